"""RuntimeClasses. https://kubernetes.io/docs/concepts/containers/runtime-class/"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from kubelet_lite.api.errors import FieldError, duplicate, invalid, required
from kubelet_lite.api.node_v1 import RuntimeClass, Scheduling
from kubelet_lite.registry.kinds.ages import age
from kubelet_lite.registry.kinds.pods.scheduling import validate_tolerations
from kubelet_lite.registry.rules import KindRules
from kubelet_lite.registry.validation.collected import collected
from kubelet_lite.registry.validation.go_values import go_value
from kubelet_lite.registry.validation.labels import label_map
from kubelet_lite.registry.validation.named import dns_label
from kubelet_lite.registry.validation.numbers import IMMUTABLE
from kubelet_lite.registry.validation.resource_lists import limits_only


@collected
def _validate(found: RuntimeClass) -> Iterator[FieldError]:
    if not found.handler:
        yield required("handler")
    else:
        yield from dns_label("handler", found.handler)
    if found.overhead is not None:
        yield from limits_only("overhead", found.overhead.podFixed)
    if found.scheduling is not None:
        yield from _scheduling("scheduling", found.scheduling)


def _scheduling(path: str, scheduling: Scheduling) -> Iterator[FieldError]:
    yield from label_map(f"{path}.nodeSelector", scheduling.nodeSelector)
    tolerations = scheduling.tolerations
    yield from validate_tolerations(f"{path}.tolerations", tolerations)
    for i, toleration in enumerate(tolerations):
        if toleration in tolerations[:i]:
            yield duplicate(f"{path}.tolerations[{i}]", go_value(toleration))


@collected
def _validate_update(new: RuntimeClass, old: RuntimeClass) -> Iterator[FieldError]:
    if new.handler != old.handler:
        yield invalid("handler", new.handler, IMMUTABLE)


def _row(found: RuntimeClass, now: float) -> Sequence[Any]:
    return found.metadata.name, found.handler, age(found, now)


RULES: Final = KindRules(
    resource="runtimeclasses.node.k8s.io", validate=_validate, validate_update=_validate_update, unconditional_update=False, row=_row,
)
