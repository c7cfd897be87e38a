"""References from environment variables and files to fields of the pod, resources of a container, and keys of other objects.

https://kubernetes.io/docs/concepts/workloads/pods/downward-api/
"""
from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from kubelet_lite.api import names
from kubelet_lite.api.core_v1 import ObjectFieldSelector, ResourceFieldSelector
from kubelet_lite.api.errors import FieldError, invalid, not_supported, required
from kubelet_lite.api.quantities import canonical, read
from kubelet_lite.registry.validation.named import dns_subdomain, each, qualified_name

ENVIRONMENT_FIELDS: Final = (
    "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP", "status.hostIPs",
    "status.podIP", "status.podIPs",
)
VOLUME_FIELDS: Final = ("metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid")
RESOURCES: Final = (
    "limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage", "requests.memory",
)
_PAGES: Final = ("limits.hugepages-", "requests.hugepages-")
_LABELS: Final = frozenset({
    *ENVIRONMENT_FIELDS, *VOLUME_FIELDS, "spec.restartPolicy", "spec.schedulerName", "status.phase", "spec.host",
})
_RENAMED: Final = {"spec.host": "spec.nodeName"}
_SUBSCRIPTED: Final = re.compile(r"([^\[]+)\['(.*)'\]")
_CPU_DIVISORS: Final = frozenset({"1", "1m"})
_BYTE_DIVISORS: Final = ("1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei")


def validate_field_ref(path: str, ref: ObjectFieldSelector, supported: tuple[str, ...]) -> Iterator[FieldError]:
    if not ref.apiVersion:
        yield required(f"{path}.apiVersion")
        return
    if not ref.fieldPath:
        yield required(f"{path}.fieldPath")
        return
    if ref.apiVersion != "v1":
        yield invalid(f"{path}.fieldPath", ref.fieldPath, f"error converting fieldPath: unsupported pod version: {ref.apiVersion}")
        return
    subscripted = _SUBSCRIPTED.fullmatch(ref.fieldPath)
    if subscripted is not None:
        field, key = subscripted.groups()
        if field == "metadata.annotations":
            yield from qualified_name(path, key.lower())
        elif field == "metadata.labels":
            yield from qualified_name(path, key)
        else:
            yield invalid(f"{path}.fieldPath", ref.fieldPath, f"error converting fieldPath: field label does not support subscript: {ref.fieldPath}")
        return
    if ref.fieldPath not in _LABELS:
        yield invalid(f"{path}.fieldPath", ref.fieldPath, f"error converting fieldPath: field label not supported: {ref.fieldPath}")
        return
    field = _RENAMED.get(ref.fieldPath, ref.fieldPath)
    if field not in supported:
        yield not_supported(f"{path}.fieldPath", field, supported)


def validate_resource_field_ref(path: str, ref: ResourceFieldSelector, *, needs_container: bool) -> Iterator[FieldError]:
    if needs_container and not ref.containerName:
        yield required(f"{path}.containerName")
    elif not ref.resource:
        yield required(f"{path}.resource")
    elif ref.resource not in RESOURCES and not ref.resource.startswith(_PAGES):
        yield not_supported(f"{path}.resource", ref.resource, RESOURCES)
    yield from _divisor(f"{path}.divisor", ref)


def _divisor(path: str, ref: ResourceFieldSelector) -> Iterator[FieldError]:
    if read(ref.divisor).nanos == 0:
        return
    divisor, what = canonical(ref.divisor), ref.resource.partition(".")[2]
    if what == "cpu" and ref.resource in RESOURCES:
        if divisor not in _CPU_DIVISORS:
            yield invalid(path, ref.resource, "only divisor's values 1m and 1 are supported with the cpu resource")
        return
    if ref.resource in RESOURCES:
        shown = {"memory": "memory", "ephemeral-storage": "local ephemeral storage"}[what]
    elif ref.resource.startswith(_PAGES):
        shown = "hugepages"
    else:
        return
    if divisor not in _BYTE_DIVISORS:
        yield invalid(path, ref.resource, f"only divisor's values {', '.join(_BYTE_DIVISORS)} are supported with the {shown} resource")


def validate_key_ref(path: str, name: str, key: str) -> Iterator[FieldError]:
    """A key of a ConfigMap or a Secret."""
    yield from dns_subdomain(f"{path}.name", name)
    if not key:
        yield required(f"{path}.key")
    else:
        yield from each(f"{path}.key", key, names.config_map_key(key))
