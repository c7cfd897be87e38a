"""What the kinds share that keep replicas: the counts in their status, and that their selector stays."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from kubelet_lite.api.errors import FieldError, invalid
from kubelet_lite.registry.validation.go_values import wire_value
from kubelet_lite.registry.validation.numbers import IMMUTABLE, nonnegative


def replica_status_errors(status: Any) -> Iterator[FieldError]:
    """Of a ReplicaSet or a ReplicationController."""
    for field in ("replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "terminatingReplicas", "observedGeneration"):
        yield from nonnegative(f"status.{field}", getattr(status, field, None))
    yield from at_most(status, "replicas", "status.replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas")
    yield from at_most(status, "readyReplicas", "readyReplicas", "availableReplicas")


def at_most(status: Any, limit: str, shown: str, *fields: str) -> Iterator[FieldError]:
    for field in fields:
        if getattr(status, field) > getattr(status, limit):
            yield invalid(f"status.{field}", getattr(status, field), f"cannot be greater than {shown}")


def not_decremented(new: int | None, old: int | None) -> Iterator[FieldError]:
    """`status.collisionCount` only grows."""
    if old is not None and (new is None or new < old):
        yield invalid("status.collisionCount", new or 0, "cannot be decremented")


def selector_unchanged(new: Any, old: Any) -> Sequence[FieldError]:
    """`spec.selector` never changes."""
    if new.spec.selector == old.spec.selector:
        return ()
    return (invalid("spec.selector", wire_value(new.spec.selector), IMMUTABLE),)
