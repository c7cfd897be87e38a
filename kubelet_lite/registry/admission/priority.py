"""Priority: a pod's priority class becomes a number and a preemption policy; there is one default class at most.

https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/
"""
from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Final

from msgspec.structs import replace

from kubelet_lite.api.core_v1 import Pod, PodSpec
from kubelet_lite.api.scheduling_rules import SYSTEM_PRIORITIES
from kubelet_lite.api.scheduling_v1 import PriorityClass
from kubelet_lite.registry.admission.plugin import Plugin, Review, World, on
from kubelet_lite.registry.sharing import by_identity

CLASSES: Final = "priorityclasses.scheduling.k8s.io"
DEFAULT_POLICY: Final = "PreemptLowerPriority"
MAX_SPECS: Final = 1024
"""Specs whose changed form is remembered: pods of one template share the spec that they end up with."""


def _mutate(pod: Pod, review: Review, world: World) -> Pod:
    if review.operation == "UPDATE":
        return _kept(pod, review.old)
    spec = pod.spec
    name, priority, policy = _class_of(pod, review, world)
    if spec.priority is not None and spec.priority != priority:
        raise review.forbidden(
            f"the integer value of priority ({spec.priority}) must not be provided in pod spec; priority admission controller computed"
            f" {priority} from the given PriorityClass name", pod,
        )
    if spec.preemptionPolicy is not None and spec.preemptionPolicy != policy:
        raise review.forbidden(
            f"the string value of PreemptionPolicy ({spec.preemptionPolicy}) must not be provided in pod spec; priority admission controller"
            f" computed {policy} from the given PriorityClass name", pod,
        )
    new = _with_priority(spec)(name, priority, policy)
    return pod if new is spec else replace(pod, spec=new)


@by_identity(MAX_SPECS)
def _with_priority(spec: PodSpec) -> Callable[[str, int, str], PodSpec]:
    @cache
    def changed(name: str, priority: int, policy: str) -> PodSpec:
        return replace(spec, priorityClassName=name, priority=priority, preemptionPolicy=policy)

    return changed


def _kept(pod: Pod, old: Pod) -> Pod:
    """An update that leaves them out does not take them away."""
    changes: dict[str, Any] = {}
    if pod.spec.priority is None and old.spec.priority is not None:
        changes["priority"] = old.spec.priority
    if pod.spec.preemptionPolicy is None and old.spec.preemptionPolicy is not None:
        changes["preemptionPolicy"] = old.spec.preemptionPolicy
    return replace(pod, spec=replace(pod.spec, **changes)) if changes else pod


def _class_of(pod: Pod, review: Review, world: World) -> tuple[str, int, str]:
    name = pod.spec.priorityClassName
    if name:
        found = world.view.get(CLASSES, "", name)
        if found is None:
            raise review.forbidden(f"no PriorityClass with name {name} was found", pod)
    else:
        found = _default(world)
        if found is None:
            return "", 0, DEFAULT_POLICY
    return found.metadata.name, found.value, found.preemptionPolicy or DEFAULT_POLICY


def _default(world: World) -> PriorityClass | None:
    """Of several defaults the lowest counts."""
    defaults = [c for c in world.view.list(CLASSES) if c.globalDefault]
    return min(defaults, key=lambda c: c.value, default=None)


def _validate_class(new: PriorityClass | None, review: Review, world: World) -> None:
    if new is None:
        if review.name in SYSTEM_PRIORITIES:
            raise review.forbidden("this is a system priority class and cannot be deleted")
        return
    if not new.globalDefault:
        return
    default = _default(world)
    if default is not None and (review.operation == "CREATE" or default.metadata.name != new.metadata.name):
        raise review.forbidden(f"PriorityClass {default.metadata.name} is already marked as default. Only one default can exist", new)


PODS: Final = Plugin(name="Priority", handles=on("pods", "CREATE", "UPDATE"), mutate=_mutate)
CLASS_RULES: Final = Plugin(name="Priority", handles=on(CLASSES, "CREATE", "UPDATE", "DELETE"), validate=_validate_class)
