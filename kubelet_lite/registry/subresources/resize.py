"""The subresource `resize` of pods: changes the cpu and memory of containers that run.

https://kubernetes.io/docs/tasks/configure-pod-container/resize-container-resources/
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec.structs import replace

from kubelet_lite.api.core_v1 import Container, Pod, PodSpec
from kubelet_lite.api.errors import FieldError, forbidden, invalid
from kubelet_lite.registry.kinds import pods
from kubelet_lite.registry.kinds.pods.creation import qos_class
from kubelet_lite.registry.part import transition_errors
from kubelet_lite.registry.rules import spec_changed
from kubelet_lite.registry.subresources.ephemeral_containers import MIRROR_ANNOTATION

RESIZABLE: Final = ("cpu", "memory")
_LISTS: Final = ("containers", "initContainers")
generation_moves = spec_changed


def prepare(new: Pod, live: Pod, now: float) -> Pod:
    """The live pod with the resources and resize policies of the new one, container by container."""
    spec = replace(live.spec, resources=new.spec.resources)
    for field in _LISTS:
        wanted = {container.name: container for container in getattr(new.spec, field)}
        containers = tuple(_resized(container, wanted.get(container.name)) for container in getattr(live.spec, field))
        if [container.name for container in getattr(new.spec, field)] != [container.name for container in containers]:
            containers = getattr(new.spec, field)  # not the same ones: for validation to say so
        spec = replace(spec, **{field: containers})
    meta = replace(live.metadata, uid=new.metadata.uid, resourceVersion=new.metadata.resourceVersion)
    return replace(live, metadata=meta, spec=spec)


def _resized(container: Container, wanted: Container | None) -> Container:
    return container if wanted is None else replace(container, resources=wanted.resources, resizePolicy=wanted.resizePolicy)


def validate(new: Pod, live: Pod) -> Sequence[FieldError]:
    if MIRROR_ANNOTATION in live.metadata.annotations:
        return [forbidden("", "static pods cannot be resized")]
    if live.spec.os is not None and live.spec.os.name == "windows":
        return [forbidden("", "windows pods cannot be resized")]
    return [*transition_errors(new, live), *pods.validate(new), *_resize(new, live)]


def _resize(new: Pod, live: Pod) -> Iterator[FieldError]:
    before = live.status.qosClass or qos_class(live.spec)
    if qos_class(new.spec) != before:
        yield invalid("spec", before, "Pod QOS Class may not change as a result of resizing")
    running = next((status for status in live.status.containerStatuses if status.state.running is not None), None)
    if running is not None and running.resources is None:
        yield forbidden("spec", "Pod running on node without support for resize")
    order = [*_order(new.spec, live.spec)]
    yield from order
    if order:
        return
    for field in _LISTS:
        for i, (after, container) in enumerate(zip(getattr(new.spec, field), getattr(live.spec, field), strict=True)):
            for name in ("requests", "limits"):
                if set(getattr(container.resources, name)) - set(getattr(after.resources, name)):
                    yield forbidden(f"spec.{field}[{i}].resources.{name}", f"resource {name} cannot be removed")
    if _without_resizable(new.spec) != _without_resizable(live.spec):
        yield forbidden("spec", "only cpu and memory resources are mutable")


def _order(new: PodSpec, live: PodSpec) -> Iterator[FieldError]:
    for field in _LISTS:
        after, before = getattr(new, field), getattr(live, field)
        if len(after) < len(before):
            yield forbidden(f"spec.{field}", f"{field} may not be removed during resize")
        elif len(after) > len(before):
            yield forbidden(f"spec.{field}", f"{field} may not be added during resize")
        else:
            for i, (a, b) in enumerate(zip(after, before, strict=True)):
                if a.name != b.name:
                    yield forbidden(f"spec.{field}[{i}].name", f"{field} may not be renamed or reordered on resize")


def _without_resizable(spec: PodSpec) -> PodSpec:
    """The spec but for what a resize may change."""
    changes: dict[str, Any] = {}
    for field in _LISTS:
        changes[field] = tuple(
            replace(container, resizePolicy=(), resources=replace(
                container.resources, requests=_others(container.resources.requests), limits=_others(container.resources.limits),
            )) for container in getattr(spec, field)
        )
    return replace(spec, resources=None, **changes)


def _others(amounts: Mapping[str, str]) -> Mapping[str, str]:
    return {name: amount for name, amount in amounts.items() if name not in RESIZABLE}
