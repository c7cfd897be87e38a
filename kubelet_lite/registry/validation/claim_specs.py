"""The spec of a PersistentVolumeClaim, by itself and inside templates (ephemeral volumes, StatefulSets).

https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/persistent-volume-claim-v1/
"""
from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from kubelet_lite.api.core_v1 import PersistentVolumeClaimSpec, TypedLocalObjectReference, TypedObjectReference
from kubelet_lite.api.errors import FieldError, forbidden, invalid, not_supported, required
from kubelet_lite.registry.validation import named
from kubelet_lite.registry.validation.labels import label_selector
from kubelet_lite.registry.validation.resource_lists import positive_quantity

ACCESS_MODES: Final = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
VOLUME_MODES: Final = ("Block", "Filesystem")


def default_claim_spec(spec: PersistentVolumeClaimSpec) -> PersistentVolumeClaimSpec:
    return spec if spec.volumeMode is not None else replace(spec, volumeMode="Filesystem")


def access_modes(path: str, modes: tuple[str, ...]) -> Iterator[FieldError]:
    for mode in modes:
        if mode not in ACCESS_MODES:
            yield not_supported(path, mode, ACCESS_MODES)
    if "ReadWriteOncePod" in modes and any(mode in ACCESS_MODES and mode != "ReadWriteOncePod" for mode in modes):
        yield forbidden(path, "may not use ReadWriteOncePod with other access modes")


def claim_spec(path: str, spec: PersistentVolumeClaimSpec) -> Iterator[FieldError]:
    if not spec.accessModes:
        yield required(f"{path}.accessModes", "at least 1 access mode is required")
    yield from label_selector(f"{path}.selector", spec.selector)
    yield from access_modes(f"{path}.accessModes", spec.accessModes)
    storage = spec.resources.requests.get("storage")
    if storage is None:
        yield required(f"{path}.resources[storage]")
    else:
        yield from positive_quantity(f"{path}.resources[storage]", storage)
    if spec.storageClassName:
        yield from named.dns_subdomain(f"{path}.storageClassName", spec.storageClassName)
    if spec.volumeMode is not None and spec.volumeMode not in VOLUME_MODES:
        yield not_supported(f"{path}.volumeMode", spec.volumeMode, VOLUME_MODES)
    if spec.dataSource is not None:
        yield from _source(f"{path}.dataSource", spec.dataSource)
    if spec.dataSourceRef is not None:
        yield from _source(f"{path}.dataSourceRef", spec.dataSourceRef)
        if spec.dataSourceRef.namespace:
            yield from named.dns_label(f"{path}.dataSourceRef.namespace", spec.dataSourceRef.namespace)
    yield from _both_sources(path, spec)
    if spec.volumeAttributesClassName:
        yield from named.dns_subdomain(f"{path}.volumeAttributesClassName", spec.volumeAttributesClassName)


def _source(path: str, source: TypedLocalObjectReference | TypedObjectReference) -> Iterator[FieldError]:
    if not source.name:
        yield required(f"{path}.name")
    if not source.kind:
        yield required(f"{path}.kind")
    if not source.apiGroup:
        if source.kind != "PersistentVolumeClaim":
            yield invalid(path, source.kind, "must be 'PersistentVolumeClaim' when referencing the default apiGroup")
    else:
        yield from named.dns_subdomain(f"{path}.apiGroup", source.apiGroup)


def _both_sources(path: str, spec: PersistentVolumeClaimSpec) -> Iterator[FieldError]:
    source, reference = spec.dataSource, spec.dataSourceRef
    if source is None or reference is None:
        return
    if reference.namespace:
        yield invalid(path, {}, "may not be specified when dataSourceRef.namespace is specified")
    elif (source.apiGroup, source.kind, source.name) != (reference.apiGroup, reference.kind, reference.name):
        yield invalid(path, {}, "must match dataSourceRef")
