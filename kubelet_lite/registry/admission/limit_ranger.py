"""LimitRanger: containers get a namespace's default requests and limits, and what exceeds its bounds is refused.

https://kubernetes.io/docs/concepts/policy/limit-range/
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from msgspec.structs import replace

from kubelet_lite.api import quantities
from kubelet_lite.api.core_v1 import Container, LimitRange, LimitRangeItem, PersistentVolumeClaim, Pod
from kubelet_lite.registry.admission.plugin import Operation, Plugin, Review, World

ANNOTATION: Final = "kubernetes.io/limit-ranger"
Resources = Mapping[str, str]


def _handles(resource: str, subresource: str, operation: Operation) -> bool:
    if resource == "persistentvolumeclaims":
        return not subresource and operation in ("CREATE", "UPDATE")
    return resource == "pods" and ((operation == "CREATE" and not subresource) or (operation == "UPDATE" and subresource == "resize"))


# ---- defaults


def _mutate(new: Any, review: Review, world: World) -> Any:
    if not isinstance(new, Pod) or review.subresource:
        return new
    for limit_range in world.view.list("limitranges", review.namespace):
        new = _with_defaults(new, limit_range)
    return new


def _with_defaults(pod: Pod, limit_range: LimitRange) -> Pod:
    limits: dict[str, str] = {}
    requests: dict[str, str] = {}
    for item in limit_range.spec.limits:
        if item.type == "Container":
            limits.update(item.default)
            requests.update(item.defaultRequest)
    if not limits and not requests:
        return pod
    notes: list[str] = []
    containers = tuple(_container_with_defaults(c, requests, limits, "container", notes) for c in pod.spec.containers)
    starters = tuple(_container_with_defaults(c, requests, limits, "init container", notes) for c in pod.spec.initContainers)
    if not notes:
        return pod
    annotations = {**pod.metadata.annotations, ANNOTATION: f"LimitRanger plugin set: {'; '.join(notes)}"}
    return replace(
        pod, metadata=replace(pod.metadata, annotations=annotations), spec=replace(pod.spec, containers=containers, initContainers=starters),
    )


def _container_with_defaults(container: Container, requests: Resources, limits: Resources, what: str, notes: list[str]) -> Container:
    present = container.resources
    new_limits = {name: amount for name, amount in limits.items() if name not in present.limits}
    new_requests = {name: amount for name, amount in requests.items() if name not in present.requests}
    if new_requests:
        notes.append(f"{', '.join(sorted(new_requests))} request for {what} {container.name}")
    if new_limits:
        notes.append(f"{', '.join(sorted(new_limits))} limit for {what} {container.name}")
    if not new_requests and not new_limits:
        return container
    resources = replace(present, limits={**present.limits, **new_limits}, requests={**present.requests, **new_requests})
    return replace(container, resources=resources)


# ---- bounds


def _validate(new: Any, review: Review, world: World) -> None:
    for limit_range in world.view.list("limitranges", review.namespace):
        errors = list(_pod_errors(new, limit_range) if isinstance(new, Pod) else _claim_errors(new, limit_range))
        if errors:
            unique = list(dict.fromkeys(errors))
            raise review.forbidden(unique[0] if len(unique) == 1 else f"[{', '.join(unique)}]", new)


def _pod_errors(pod: Pod, limit_range: LimitRange) -> Iterator[str]:
    for item in limit_range.spec.limits:
        if item.type == "Container":
            for container in (*pod.spec.containers, *pod.spec.initContainers):
                yield from _bound_errors(item, container.resources.requests, container.resources.limits)
        elif item.type == "Pod":
            yield from _bound_errors(item, pod_total(pod, _requests), pod_total(pod, _limits))


def _requests(container: Container) -> Resources:
    return container.resources.requests


def _limits(container: Container) -> Resources:
    return container.resources.limits


def pod_total(pod: Pod, of: Callable[[Container], Resources]) -> dict[str, str]:
    """What a pod's containers need at once: the sum of those that run together, or more while it starts."""
    sidecars: list[Resources] = []
    peaks: list[Resources] = []
    for container in pod.spec.initContainers:
        if container.restartPolicy == "Always":
            sidecars.append(of(container))
        else:
            peaks.append(_sum([*sidecars, of(container)]))
    together = _sum([*sidecars, *(of(container) for container in pod.spec.containers)])
    for peak in peaks:
        for name, amount in peak.items():
            if name not in together or quantities.parse(amount) > quantities.parse(together[name]):
                together[name] = amount
    return together


def _sum(parts: Iterable[Resources]) -> dict[str, str]:
    amounts: dict[str, list[str]] = {}
    for part in parts:
        for name, amount in part.items():
            amounts.setdefault(name, []).append(amount)
    return {name: quantities.total(texts) for name, texts in amounts.items()}


def _claim_errors(claim: PersistentVolumeClaim, limit_range: LimitRange) -> Iterator[str]:
    requests = claim.spec.resources.requests
    for item in limit_range.spec.limits:
        if item.type == "PersistentVolumeClaim":
            for name, bound in sorted(item.min.items()):
                yield from _minimum(item.type, name, bound, requests, {})
            for name, bound in sorted(item.max.items()):
                text = f"maximum {name} usage per {item.type} is {bound}"
                if name not in requests:
                    yield f"{text}.  No request is specified"
                elif _more(requests[name], bound):
                    yield f"{text}, but request is {requests[name]}"


def _bound_errors(item: LimitRangeItem, requests: Resources, limits: Resources) -> Iterator[str]:
    for name, bound in sorted(item.min.items()):
        yield from _minimum(item.type, name, bound, requests, limits)
    for name, bound in sorted(item.max.items()):
        text = f"maximum {name} usage per {item.type} is {bound}"
        if name not in limits:
            yield f"{text}.  No limit is specified"
        elif _more(limits[name], bound):
            yield f"{text}, but limit is {limits[name]}"
        elif name in requests and _more(requests[name], bound):
            yield f"{text}, but request is {requests[name]}"
    for name, bound in sorted(item.maxLimitRequestRatio.items()):
        text = f"{name} max limit to request ratio per {item.type} is {bound}"
        request, limit = quantities.parse(requests.get(name, "0")), quantities.parse(limits.get(name, "0"))
        if not request:
            yield f"{text}, but no request is specified or request is 0"
        elif not limit:
            yield f"{text}, but no limit is specified or limit is 0"
        elif limit / request > quantities.parse(bound):
            yield f"{text}, but provided ratio is {float(limit / request):.6f}"


def _minimum(kind: str, name: str, bound: str, requests: Resources, limits: Resources) -> Iterator[str]:
    text = f"minimum {name} usage per {kind} is {bound}"
    if name not in requests:
        yield f"{text}.  No request is specified"
    elif _more(bound, requests[name]):
        yield f"{text}, but request is {requests[name]}"
    elif name in limits and _more(bound, limits[name]):
        yield f"{text}, but limit is {limits[name]}"


def _more(amount: str, bound: str) -> bool:
    return quantities.parse(amount) > quantities.parse(bound)


PLUGIN: Final = Plugin(name="LimitRanger", handles=_handles, mutate=_mutate, validate=_validate)
