"""RuntimeClass: a pod gets the overhead and the scheduling rules of the class that it names.

https://kubernetes.io/docs/concepts/containers/runtime-class/
"""
from __future__ import annotations

from typing import Any, Final

from msgspec.structs import replace

from kubelet_lite.api import quantities
from kubelet_lite.api.core_v1 import Pod
from kubelet_lite.api.node_v1 import RuntimeClass
from kubelet_lite.registry.admission.plugin import Plugin, Review, World, on

CLASSES: Final = "runtimeclasses.node.k8s.io"


def _class_of(pod: Pod, review: Review, world: World) -> RuntimeClass | None:
    name = pod.spec.runtimeClassName
    if name is None:
        return None
    found: RuntimeClass | None = world.view.get(CLASSES, "", name)
    if found is None:
        raise review.forbidden(f'pod rejected: RuntimeClass "{name}" not found', pod)
    return found


def _mutate(pod: Pod, review: Review, world: World) -> Pod:
    found = _class_of(pod, review, world)
    if found is None:
        return pod
    changes: dict[str, Any] = {}
    if found.overhead is not None and found.overhead.podFixed:
        overhead = found.overhead.podFixed
        if pod.spec.overhead and not _same(pod.spec.overhead, overhead):
            raise review.forbidden("pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead", pod)
        changes["overhead"] = overhead
    if found.scheduling is not None:
        for key, value in found.scheduling.nodeSelector.items():
            if pod.spec.nodeSelector.get(key, value) != value:
                raise review.forbidden(
                    f"conflict: runtimeClass.Scheduling.NodeSelector[{key}] = {value}, pod.Spec.NodeSelector[{key}] = {pod.spec.nodeSelector[key]}", pod,
                )
        changes["nodeSelector"] = {**pod.spec.nodeSelector, **found.scheduling.nodeSelector}
        present = pod.spec.tolerations
        changes["tolerations"] = (*present, *(t for t in found.scheduling.tolerations if t not in present))
    return replace(pod, spec=replace(pod.spec, **changes)) if changes else pod


def _same(one: Any, other: Any) -> bool:
    return one.keys() == other.keys() and all(quantities.parse(one[name]) == quantities.parse(other[name]) for name in one)


def _validate(pod: Pod, review: Review, world: World) -> None:
    found = _class_of(pod, review, world)
    if found is not None and found.overhead is not None and found.overhead.podFixed:
        if not _same(pod.spec.overhead, found.overhead.podFixed):
            raise review.forbidden("pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead", pod)
    elif pod.spec.overhead:
        raise review.forbidden("pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead", pod)


PLUGIN: Final = Plugin(name="RuntimeClass", handles=on("pods", "CREATE"), mutate=_mutate, validate=_validate)
