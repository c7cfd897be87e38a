"""Leases: who leads, and whether nodes are alive. https://kubernetes.io/docs/concepts/architecture/leases/"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from msgspec.structs import replace

from kubelet_lite.api.coordination_v1 import Lease
from kubelet_lite.api.errors import FieldError, invalid
from kubelet_lite.registry.kinds.ages import age
from kubelet_lite.registry.rules import KindRules


def _prepare(lease: Lease) -> Lease:
    """Coordinated leader election is not on by default: its fields are dropped."""
    if lease.spec.strategy is None and lease.spec.preferredHolder is None:
        return lease
    return replace(lease, spec=replace(lease.spec, strategy=None, preferredHolder=None))


def _validate(lease: Lease) -> Sequence[FieldError]:
    seconds, transitions = lease.spec.leaseDurationSeconds, lease.spec.leaseTransitions
    if (seconds is None or seconds > 0) and (transitions is None or transitions >= 0):
        return ()
    errors = []
    if seconds is not None and seconds <= 0:
        errors.append(invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0"))
    if transitions is not None and transitions < 0:
        errors.append(invalid("spec.leaseTransitions", transitions, "must be greater than or equal to 0"))
    return errors


def _row(lease: Lease, now: float) -> Sequence[Any]:
    return lease.metadata.name, lease.spec.holderIdentity or "", age(lease, now)


RULES: Final = KindRules(
    resource="leases.coordination.k8s.io", prepare_create=_prepare, prepare_update=lambda new, old: _prepare(new), validate=_validate,
    create_on_update=True, unconditional_update=False, row=_row,
)
