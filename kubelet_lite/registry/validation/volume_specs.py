"""The spec of a PersistentVolume, by itself and inline in a VolumeAttachment.

https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/persistent-volume-v1/
"""
from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from kubelet_lite.api.core_v1 import CSIPersistentVolumeSource, LocalVolumeSource, PersistentVolumeSpec, SecretReference
from kubelet_lite.api.errors import FieldError, forbidden, not_supported, required
from kubelet_lite.registry.kinds.pods.scheduling import validate_node_selector
from kubelet_lite.registry.kinds.pods.volumes import validate_csi_driver_name, validate_host_path, validate_nfs
from kubelet_lite.registry.validation.claim_specs import VOLUME_MODES, access_modes
from kubelet_lite.registry.validation.go_values import map_value
from kubelet_lite.registry.validation.named import dns_subdomain
from kubelet_lite.registry.validation.paths import no_backsteps
from kubelet_lite.registry.validation.resource_lists import positive_quantity

RECLAIM_POLICIES: Final = ("Delete", "Recycle", "Retain")
SOURCES: Final = (
    "hostPath", "gcePersistentDisk", "awsElasticBlockStore", "glusterfs", "flocker", "nfs", "rbd", "quobyte", "cephfs", "iscsi", "cinder", "fc",
    "flexVolume", "azureFile", "vsphereVolume", "photonPersistentDisk", "portworxVolume", "azureDisk", "scaleIO", "local", "storageos", "csi",
)
"""The kinds of volume, in the order in which Kubernetes looks for them."""
_SECRETS: Final = ("controllerPublishSecretRef", "controllerExpandSecretRef", "nodePublishSecretRef", "nodeExpandSecretRef")


def volume_spec(path: str, spec: PersistentVolumeSpec, *, inline: bool = False) -> Iterator[FieldError]:
    if inline:
        yield from _nothing_of_a_volume(path, spec)
    if not spec.accessModes:
        yield required(f"{path}.accessModes")
    yield from access_modes(f"{path}.accessModes", spec.accessModes)
    if not inline:
        yield from _capacity(f"{path}.capacity", spec.capacity)
    policy = spec.persistentVolumeReclaimPolicy
    if policy and policy not in RECLAIM_POLICIES and not inline:
        yield not_supported(f"{path}.persistentVolumeReclaimPolicy", policy, RECLAIM_POLICIES)
    if spec.nodeAffinity is not None:
        if spec.nodeAffinity.required is None:
            yield required(f"{path}.nodeAffinity.required", "must specify required node constraints")
        else:
            yield from validate_node_selector(f"{path}.nodeAffinity.required", spec.nodeAffinity.required)
    yield from _sources(path, spec)
    if spec.hostPath is not None and policy == "Recycle" and posixpath.normpath(spec.hostPath.path) == "/":
        yield forbidden(f"{path}.persistentVolumeReclaimPolicy", "may not be 'recycle' for a hostPath mount of '/'")
    if spec.storageClassName and not inline:
        yield from dns_subdomain(f"{path}.storageClassName", spec.storageClassName)
    if spec.volumeMode is not None and spec.volumeMode not in VOLUME_MODES and not inline:
        yield not_supported(f"{path}.volumeMode", spec.volumeMode, VOLUME_MODES)
    if spec.volumeAttributesClassName is not None and not inline:
        yield from _attributes_class(path, spec, spec.volumeAttributesClassName)


def _nothing_of_a_volume(path: str, spec: PersistentVolumeSpec) -> Iterator[FieldError]:
    inline = "in the context of inline volumes"
    for field in ("claimRef", "capacity"):
        if getattr(spec, field):
            yield forbidden(f"{path}.{field}", f"may not be specified {inline}")
    if spec.csi is None:
        yield required(f"{path}.csi", f"has to be specified {inline}")
    if spec.persistentVolumeReclaimPolicy not in ("", "Retain"):
        yield forbidden(f"{path}.persistentVolumeReclaimPolicy", f"may only be Retain {inline}")
    for field in ("storageClassName", "volumeAttributesClassName"):
        if getattr(spec, field):
            yield forbidden(f"{path}.{field}", f"may not be specified {inline}")
    if spec.volumeMode not in (None, "Filesystem"):
        yield forbidden(f"{path}.volumeMode", f"may not specify volumeMode other than Filesystem {inline}")


def _capacity(path: str, capacity: Mapping[str, str]) -> Iterator[FieldError]:
    if not capacity:
        yield required(path)
    if "storage" not in capacity or len(capacity) > 1:
        yield not_supported(path, map_value(capacity), ["storage"])
    for name in sorted(capacity):
        yield from positive_quantity(f"{path}[{name}]", capacity[name])


def _sources(path: str, spec: PersistentVolumeSpec) -> Iterator[FieldError]:
    found = False
    for kind in SOURCES:
        source = getattr(spec, kind)
        if source is None:
            continue
        if found:
            yield forbidden(f"{path}.{kind}", "may not specify more than 1 volume type")
        elif kind in _CHECKS:
            yield from _CHECKS[kind](f"{path}.{kind}", source)
        if kind == "local" and spec.nodeAffinity is None:
            yield required(f"{path}.nodeAffinity", "Local volume requires node affinity")
        found = True
    if not found:
        yield required(path, "must specify a volume type")


def _local(path: str, source: LocalVolumeSource) -> Iterator[FieldError]:
    if not source.path:
        yield required(f"{path}.path")
        return
    yield from no_backsteps(f"{path}.path", source.path)


def _csi(path: str, source: CSIPersistentVolumeSource) -> Iterator[FieldError]:
    yield from validate_csi_driver_name(f"{path}.driver", source.driver)
    if not source.volumeHandle:
        yield required(f"{path}.volumeHandle")
    for field in _SECRETS:
        secret: SecretReference | None = getattr(source, field)
        if secret is None:
            continue
        if not secret.name:
            yield required(f"{path}.{field}.name")
        if not secret.namespace:
            yield required(f"{path}.{field}.namespace")


def _attributes_class(path: str, spec: PersistentVolumeSpec, name: str) -> Iterator[FieldError]:
    if not name:
        yield required(f"{path}.volumeAttributesClassName", "an empty string is disallowed")
    else:
        yield from dns_subdomain(f"{path}.volumeAttributesClassName", name)
    if spec.csi is None:
        yield required(f"{path}.csi", "has to be specified when using volumeAttributesClassName")


_CHECKS: Final[Mapping[str, Callable[[str, Any], Iterator[FieldError]]]] = {
    "hostPath": validate_host_path, "nfs": validate_nfs, "local": _local, "csi": _csi,
}
