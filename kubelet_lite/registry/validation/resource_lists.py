"""Names and amounts of resources: what containers request, what volumes claim.

https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from kubelet_lite.api import names
from kubelet_lite.api.core_v1 import ResourceClaim, ResourceRequirements
from kubelet_lite.api.errors import FieldError, duplicate, forbidden, invalid, not_found, required
from kubelet_lite.api.quantities import canonical, milli, read
from kubelet_lite.registry.validation import named
from kubelet_lite.registry.validation.numbers import NEGATIVE, NOT_INTEGER, NOT_POSITIVE

HUGE_PAGES: Final = "hugepages-"
STANDARD: Final = frozenset({"cpu", "memory", "ephemeral-storage"})
STANDARD_CONTAINER: Final = STANDARD
POD_LEVEL: Final = frozenset({"cpu", "memory"})
_INTEGER: Final = frozenset({
    "pods", "services", "replicationcontrollers", "resourcequotas", "secrets", "configmaps", "persistentvolumeclaims",
    "services.nodeports", "services.loadbalancers",
})
_STANDARD_ANYWHERE: Final = STANDARD | _INTEGER | {"requests.cpu", "requests.memory", "requests.ephemeral-storage", "limits.cpu", "limits.memory",
                                                  "limits.ephemeral-storage", "storage", "requests.storage"}


def is_huge_pages(name: str) -> bool:
    return name.startswith(HUGE_PAGES)


def is_native(name: str) -> bool:
    return "/" not in name or "kubernetes.io/" in name


def is_extended(name: str) -> bool:
    if is_native(name) or name.startswith("requests."):
        return False
    return not names.qualified_name(f"requests.{name}")


def may_overcommit(name: str) -> bool:
    return is_native(name) and not is_huge_pages(name)


def is_integer(name: str) -> bool:
    return name in _INTEGER or is_extended(name)


def resource_name(path: str, name: str) -> Iterator[FieldError]:
    """A name that may stand in any list of resources."""
    wrong = list(named.qualified_name(path, name))
    yield from wrong
    if not wrong and "/" not in name and name not in _STANDARD_ANYWHERE and not is_huge_pages(name):
        yield invalid(path, name, "must be a standard resource type or fully qualified")


def container_resource_name(path: str, name: str) -> Iterator[FieldError]:
    yield from resource_name(path, name)
    if "/" not in name:
        if name not in STANDARD_CONTAINER and not is_huge_pages(name):
            yield invalid(path, name, "must be a standard resource for containers")
    elif not is_native(name) and not is_extended(name):
        yield invalid(path, name, "doesn't follow extended resource name standard")


def pod_resource_name(path: str, name: str) -> Iterator[FieldError]:
    yield from resource_name(path, name)
    if name not in POD_LEVEL and not is_huge_pages(name):
        yield invalid(path, name, "must be a standard resource for pods")  # only what can be set for a pod as a whole


def nonnegative_quantity(path: str, quantity: str) -> Iterator[FieldError]:
    if read(quantity).nanos < 0:
        yield invalid(path, canonical(quantity), NEGATIVE)


def positive_quantity(path: str, quantity: str) -> Iterator[FieldError]:
    if read(quantity).nanos <= 0:
        yield invalid(path, canonical(quantity), NOT_POSITIVE)


def resource_quantity(path: str, name: str, quantity: str) -> Iterator[FieldError]:
    yield from nonnegative_quantity(path, quantity)
    if is_integer(name) and milli(quantity) % 1000:
        yield invalid(path, canonical(quantity), NOT_INTEGER)


def requirements(path: str, wanted: ResourceRequirements, claim_names: tuple[str, ...], *, of_pod: bool = False) -> Iterator[FieldError]:
    """`resources` of a container, or of a pod as a whole."""
    named = pod_resource_name if of_pod else container_resource_name
    for name, quantity in wanted.limits.items():
        at = f"{path}.limits[{name}]"
        yield from named(at, name)
        yield from resource_quantity(at, name, quantity)
        yield from _whole_pages(at, name, quantity)
    for name, quantity in wanted.requests.items():
        at = f"{path}.requests[{name}]"
        yield from named(at, name)
        yield from resource_quantity(at, name, quantity)
        yield from _within_limit(path, name, quantity, wanted.limits.get(name))
        yield from _whole_pages(at, name, quantity)
    mentioned = (*wanted.limits, *wanted.requests)
    if any(map(is_huge_pages, mentioned)) and "cpu" not in mentioned and "memory" not in mentioned:
        yield forbidden(path, "HugePages require cpu or memory")
    yield from _claims(f"{path}.claims", wanted.claims, claim_names)


def limits_only(path: str, limits: Mapping[str, str]) -> Iterator[FieldError]:
    """A pod's overhead: checked as if it were limits."""
    yield from requirements(path, ResourceRequirements(limits=limits), ())


def _within_limit(path: str, name: str, quantity: str, limit: str | None) -> Iterator[FieldError]:
    if limit is None:
        if not may_overcommit(name):
            yield required(f"{path}.limits", "Limit must be set for non overcommitable resources")
        return
    request, most = read(quantity).nanos, read(limit).nanos
    if request != most and not may_overcommit(name):
        yield invalid(f"{path}.requests", canonical(quantity), f"must be equal to {name} limit of {canonical(limit)}")
    elif request > most:
        yield invalid(f"{path}.requests", canonical(quantity), f"must be less than or equal to {name} limit of {canonical(limit)}")


def _whole_pages(path: str, name: str, quantity: str) -> Iterator[FieldError]:
    if not is_huge_pages(name):
        return
    try:
        size = read(name.removeprefix(HUGE_PAGES)).nanos
    except ValueError:
        size = 0
    nanos = read(quantity).nanos
    if size <= 0 or nanos < size or nanos % size:
        yield invalid(path, canonical(quantity), f"{canonical(quantity)} is not positive integer multiple of {name}")


def _claims(path: str, claims: tuple[ResourceClaim, ...], known: tuple[str, ...]) -> Iterator[FieldError]:
    seen: dict[str, None] = {}
    for i, claim in enumerate(claims):
        at, name = f"{path}[{i}]", claim.name
        if not name:
            yield required(at)
            continue
        if name in seen:
            yield duplicate(at, name)
        else:
            key = f"{name}/{claim.request}" if claim.request else name
            if claim.request:
                yield from named.dns_label(f"{at}.request", claim.request)
            if key in seen:
                yield duplicate(at, key)
            elif not claim.request and any(other.startswith(f"{name}/") for other in seen):
                yield duplicate(at, name)
            seen[key] = None
        if name not in known:
            missing = not_found(at, name)
            which = ": " + ", ".join(sorted(known)) if known else " which is empty"
            yield FieldError(missing.type, missing.field, f"{missing.body}: must be one of the names in pod.spec.resourceClaims{which}")
