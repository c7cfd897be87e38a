"""Resources of a pod as a whole (`spec.resources`): what its containers ask for together, and what it is given by default.

https://kubernetes.io/docs/tasks/configure-pod-container/assign-pod-level-resources/
"""
from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from kubelet_lite.api.core_v1 import PodSpec, ResourceRequirements
from kubelet_lite.api.errors import FieldError, forbidden, invalid
from kubelet_lite.api.quantities import canonical, read, total
from kubelet_lite.registry.validation.resource_lists import POD_LEVEL, is_huge_pages, requirements


def container_requests(spec: PodSpec) -> dict[str, str]:
    """The most that is requested at one time: sidecars run beside the containers, other init containers one by one before them."""
    together: dict[str, list[str]] = {}
    for container in spec.containers:
        for name, quantity in container.resources.requests.items():
            together.setdefault(name, []).append(quantity)
    sidecars: dict[str, list[str]] = {}
    peaks: dict[str, list[str]] = {}
    for container in spec.initContainers:
        for name, quantity in container.resources.requests.items():
            if container.restartPolicy == "Always":
                sidecars.setdefault(name, []).append(quantity)
                together.setdefault(name, []).append(quantity)
                peaks.setdefault(name, []).append(total(sidecars[name]))
            else:
                peaks.setdefault(name, []).append(total((quantity, *sidecars.get(name, ()))))
    found = {}
    for name in {**together, **peaks}:
        candidates = [total(together.get(name, ())), *peaks.get(name, ())]
        found[name] = max(candidates, key=lambda quantity: read(quantity).nanos)
    return found


def supported(name: str) -> bool:
    return name in POD_LEVEL or is_huge_pages(name)


def default_resources(spec: PodSpec) -> ResourceRequirements:
    resources = spec.resources
    assert resources is not None
    if not resources.limits:
        return resources
    asked = {name: quantity for name, quantity in container_requests(spec).items() if name in POD_LEVEL}
    limits = {name: quantity for name, quantity in resources.limits.items() if supported(name)}
    return replace(resources, requests={**limits, **asked, **resources.requests})


def validate_pod_resources(path: str, spec: PodSpec, claim_names: tuple[str, ...]) -> Iterator[FieldError]:
    resources = spec.resources
    if resources is None:
        return
    if resources.claims:
        yield forbidden(f"{path}.claims", "claims cannot be set for Resources at pod-level")
    yield from requirements(path, resources, claim_names, of_pod=True)
    for name, asked in container_requests(spec).items():
        granted = resources.requests.get(name, "0")
        if supported(name) and read(asked).nanos > read(granted).nanos:
            yield invalid(f"{path}.requests[{name}]", canonical(granted),
                          f"must be greater than or equal to aggregate container requests of {canonical(asked)}")
    for i, container in enumerate(spec.containers):
        for name, limit in container.resources.limits.items():
            most = resources.limits.get(name)
            if most is not None and read(limit).nanos > read(most).nanos:
                yield invalid(f"{path}.containers[{i}][{name}].limits", canonical(limit),
                              f"must be less than or equal to pod limits of {canonical(most)}")
