"""Validation of the volume types that name a storage system, most of them deprecated: kept because old manifests name them."""
from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from kubelet_lite.api import names
from kubelet_lite.api.errors import FieldError, invalid, not_supported, required
from kubelet_lite.registry.validation.named import dns_label
from kubelet_lite.registry.validation.numbers import in_range
from kubelet_lite.registry.validation.paths import descending

LONGEST_ISCSI_NAME: Final = 64
ISCSI_NAME_TOO_LONG: Final = "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified."
CACHING_MODES: Final = ("None", "ReadOnly", "ReadWrite")
DISK_KINDS: Final = ("Dedicated", "Managed", "Shared")
_QUALIFIED_NAMES: Final = {
    "iqn": re.compile(r"iqn\.\d{4}-\d{2}\.([A-Za-z0-9\-.]+)(:[^,;*&$|\s]+)$"),
    "eui": re.compile(r"^eui.[A-Za-z0-9]{16}$"),
    "naa": re.compile(r"^naa.[A-Za-z0-9]{32}$"),
}


def _required(path: str, source: Any, *fields: str) -> Iterator[FieldError]:
    for field in fields:
        if not getattr(source, field):
            yield required(f"{path}.{field}")


def git_repo(path: str, source: Any) -> Iterator[FieldError]:
    yield from _required(path, source, "repository")
    yield from descending(f"{path}.directory", source.directory)


def gce_disk(path: str, source: Any) -> Iterator[FieldError]:
    yield from _required(path, source, "pdName")
    if not 0 <= source.partition <= 255:
        yield invalid(f"{path}.partition", source.partition, names.not_between(1, 255))


def aws_disk(path: str, source: Any) -> Iterator[FieldError]:
    yield from _required(path, source, "volumeID")
    if not 0 <= source.partition <= 255:
        yield invalid(f"{path}.partition", source.partition, names.not_between(1, 255))


def iscsi(path: str, source: Any) -> Iterator[FieldError]:
    yield from _required(path, source, "targetPortal", "iqn")
    if source.iqn:
        yield from _iscsi_name(f"{path}.iqn", source.iqn)
    yield from in_range(f"{path}.lun", source.lun, 0, 255)
    if (source.chapAuthDiscovery or source.chapAuthSession) and source.secretRef is None:
        yield required(f"{path}.secretRef")
    if source.initiatorName is not None:
        yield from _iscsi_name(f"{path}.initiatorname", source.initiatorName)


def _iscsi_name(path: str, name: str) -> Iterator[FieldError]:
    pattern = _QUALIFIED_NAMES.get(name[:3])
    if pattern is None:
        yield invalid(path, name, "must be valid format starting with iqn, eui, or naa")
    elif not pattern.search(name):
        yield invalid(path, name, "must be valid format")


def glusterfs(path: str, source: Any) -> Iterator[FieldError]:
    yield from _required(path, source, "endpoints", "path")


def flocker(path: str, source: Any) -> Iterator[FieldError]:
    if not source.datasetName and not source.datasetUUID:
        yield required(path, "one of datasetName and datasetUUID is required")
    if source.datasetName and source.datasetUUID:
        yield invalid(path, "resource", "datasetName and datasetUUID can not be specified simultaneously")
    if "/" in source.datasetName:
        yield invalid(f"{path}.datasetName", source.datasetName, "must not contain '/'")


def rbd(path: str, source: Any) -> Iterator[FieldError]:
    yield from _required(path, source, "monitors", "image")


def cinder(path: str, source: Any) -> Iterator[FieldError]:
    yield from _required(path, source, "volumeID")
    if source.secretRef is not None:
        yield from _required(f"{path}.secretRef", source.secretRef, "name")


def cephfs(path: str, source: Any) -> Iterator[FieldError]:
    yield from _required(path, source, "monitors")


def quobyte(path: str, source: Any) -> Iterator[FieldError]:
    pairs = "must be a host:port pair or multiple pairs separated by commas"
    if not source.registry:
        yield required(f"{path}.registry", pairs)
    elif len(source.tenant) >= 65:
        yield required(f"{path}.tenant", "must be a UUID and may not exceed a length of 64 characters")
    else:
        for pair in source.registry.split(","):
            host, colon, _ = pair.rpartition(":")
            if not colon or (":" in host.strip("[]") and not (host.startswith("[") and host.endswith("]"))):
                yield invalid(f"{path}.registry", source.registry, pairs)
    yield from _required(path, source, "volume")


def fc(path: str, source: Any) -> Iterator[FieldError]:
    if not source.targetWWNs and not source.wwids:
        yield required(f"{path}.targetWWNs", "must specify either targetWWNs or wwids, but not both")
    if source.targetWWNs and source.wwids:
        yield invalid(f"{path}.targetWWNs", list(source.targetWWNs), "targetWWNs and wwids can not be specified simultaneously")
    if source.targetWWNs:
        if source.lun is None:
            yield required(f"{path}.lun", "lun is required if targetWWNs is specified")
        else:
            yield from in_range(f"{path}.lun", source.lun, 0, 255)


def flex_volume(path: str, source: Any) -> Iterator[FieldError]:
    yield from _required(path, source, "driver")
    for key in sorted(source.options):
        namespace = "." + key.partition("/")[0].lower()
        if namespace.endswith((".kubernetes.io", ".k8s.io")):
            yield invalid(f"{path}.options[{key}]", key, "kubernetes.io and k8s.io namespaces are reserved")


def azure_file(path: str, source: Any) -> Iterator[FieldError]:
    yield from _required(path, source, "secretName", "shareName")


def azure_disk(path: str, source: Any) -> Iterator[FieldError]:
    yield from _required(path, source, "diskName", "diskURI")
    if source.cachingMode is not None and source.cachingMode not in CACHING_MODES:
        yield not_supported(f"{path}.cachingMode", source.cachingMode, CACHING_MODES)
    if source.kind is None:
        return
    if source.kind not in DISK_KINDS:
        yield not_supported(f"{path}.kind", source.kind, DISK_KINDS)
    if source.kind == "Managed":
        if not source.diskURI.startswith("/subscriptions/"):
            yield not_supported(f"{path}.diskURI", source.diskURI, (
                "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}",))
    elif not source.diskURI.startswith("https://"):
        yield not_supported(f"{path}.diskURI", source.diskURI, (
            "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd",))


def vsphere(path: str, source: Any) -> Iterator[FieldError]:
    yield from _required(path, source, "volumePath")


def photon(path: str, source: Any) -> Iterator[FieldError]:
    yield from _required(path, source, "pdID")


def portworx(path: str, source: Any) -> Iterator[FieldError]:
    yield from _required(path, source, "volumeID")


def storageos(path: str, source: Any) -> Iterator[FieldError]:
    if not source.volumeName:
        yield required(f"{path}.volumeName")
    else:
        yield from dns_label(f"{path}.volumeName", source.volumeName)
    if source.volumeNamespace:
        yield from dns_label(f"{path}.volumeNamespace", source.volumeNamespace)
    if source.secretRef is not None:
        yield from _required(f"{path}.secretRef", source.secretRef, "name")


def scale_io(path: str, source: Any) -> Iterator[FieldError]:
    yield from _required(path, source, "gateway", "system", "volumeName")
