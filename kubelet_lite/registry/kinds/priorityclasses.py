"""PriorityClasses. https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from msgspec.structs import replace

from kubelet_lite.api.errors import FieldError, forbidden, invalid, not_supported, required
from kubelet_lite.api.scheduling_rules import SYSTEM_PRIORITIES
from kubelet_lite.api.scheduling_v1 import PriorityClass
from kubelet_lite.registry.kinds.ages import age
from kubelet_lite.registry.rules import KindRules
from kubelet_lite.registry.validation.collected import collected
from kubelet_lite.registry.validation.numbers import IMMUTABLE

HIGHEST_OF_USERS: Final = 1_000_000_000
POLICIES: Final = ("PreemptLowerPriority", "Never")
_RESERVED: Final = "priority class names with 'system-' prefix are reserved for system use only. error: "


def _default(found: PriorityClass) -> PriorityClass:
    return found if found.preemptionPolicy is not None else replace(found, preemptionPolicy="PreemptLowerPriority")


@collected
def _validate(found: PriorityClass) -> Iterator[FieldError]:
    name = found.metadata.name
    if name.startswith("system-"):
        if name not in SYSTEM_PRIORITIES:
            yield forbidden("metadata.name", f"{_RESERVED}{name} is not a known system priority class")
        elif found.value != SYSTEM_PRIORITIES[name]:
            yield forbidden("metadata.name", f"{_RESERVED}value of {name} PriorityClass must be {SYSTEM_PRIORITIES[name]}")
        elif found.globalDefault:
            yield forbidden("metadata.name", f"{_RESERVED}globalDefault of {name} PriorityClass must be false")
    elif found.value > HIGHEST_OF_USERS:
        yield forbidden("value", f"maximum allowed value of a user defined priority is {HIGHEST_OF_USERS}")
    if found.preemptionPolicy == "":
        yield required("preemptionPolicy")
    elif found.preemptionPolicy not in POLICIES:
        yield not_supported("preemptionPolicy", found.preemptionPolicy, POLICIES)


@collected
def _validate_update(new: PriorityClass, old: PriorityClass) -> Iterator[FieldError]:
    if new.value != old.value:
        yield forbidden("value", "may not be changed in an update.")
    if new.preemptionPolicy != old.preemptionPolicy:
        yield invalid("preemptionPolicy", new.preemptionPolicy, IMMUTABLE)


def _row(found: PriorityClass, now: float) -> Sequence[Any]:
    return found.metadata.name, found.value, found.globalDefault, age(found, now), found.preemptionPolicy or ""


RULES: Final = KindRules(
    resource="priorityclasses.scheduling.k8s.io", default=_default, validate=_validate, validate_update=_validate_update,
    validate_on_update="never", generation=True, generation_moves=lambda new, old: False, row=_row,
)
