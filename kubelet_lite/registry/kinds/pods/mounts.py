"""Validation of where a container mounts volumes and puts block devices.

https://kubernetes.io/docs/concepts/storage/volumes/#using-subpath
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from kubelet_lite.api.core_v1 import Container, EphemeralContainer, Volume, VolumeMount
from kubelet_lite.api.errors import FieldError, forbidden, invalid, not_found, not_supported, required
from kubelet_lite.registry.validation.paths import descending

MOUNT_PROPAGATIONS: Final = ("Bidirectional", "HostToContainer", "None")
RECURSIVE_READ_ONLY: Final = ("Disabled", "Enabled", "IfPossible")


def validate_mounts(path: str, container: Container | EphemeralContainer, volumes: Mapping[str, Volume]) -> Iterator[FieldError]:
    devices = {device.name: device.devicePath for device in container.volumeDevices}
    device_paths = set(devices.values())
    taken: set[str] = set()
    for i, mount in enumerate(container.volumeMounts):
        at = f"{path}[{i}]"
        if not mount.name:
            yield required(f"{at}.name")
        volume = volumes.get(mount.name)
        if volume is None:
            yield not_found(f"{at}.name", mount.name)
        if not mount.mountPath:
            yield required(f"{at}.mountPath")
        if mount.mountPath in taken:
            yield invalid(f"{at}.mountPath", mount.mountPath, "must be unique")
        taken.add(mount.mountPath)
        if mount.name in devices:
            yield invalid(f"{at}.name", mount.name, "must not already exist in volumeDevices")
        if mount.mountPath in device_paths:
            yield invalid(f"{at}.mountPath", mount.mountPath, "must not already exist as a path in volumeDevices")
        if mount.subPath:
            yield from descending(f"{path}.subPath", mount.subPath)
        if mount.subPathExpr:
            if mount.subPath:
                yield invalid(f"{at}.subPathExpr", mount.subPathExpr, "subPathExpr and subPath are mutually exclusive")
            yield from descending(f"{path}.subPathExpr", mount.subPathExpr)
        yield from _propagation(f"{path}.mountPropagation", mount, container)
        yield from _recursive_read_only(f"{path}.recursiveReadOnly", mount)


def _propagation(path: str, mount: VolumeMount, container: Container | EphemeralContainer) -> Iterator[FieldError]:
    propagation = mount.mountPropagation
    if propagation is None:
        return
    if propagation not in MOUNT_PROPAGATIONS:
        yield not_supported(path, propagation, MOUNT_PROPAGATIONS)
    if propagation == "Bidirectional" and (container.securityContext is None or not container.securityContext.privileged):
        yield forbidden(path, "Bidirectional mount propagation is available only to privileged containers")


def _recursive_read_only(path: str, mount: VolumeMount) -> Iterator[FieldError]:
    match mount.recursiveReadOnly:
        case None | "Disabled":
            return
        case "Enabled" | "IfPossible":
            if not mount.readOnly:
                yield forbidden(path, "may only be specified when readOnly is true")
            if mount.mountPropagation not in (None, "None"):
                yield forbidden(path, "may only be specified when mountPropagation is None or not specified")
        case unknown:
            yield not_supported(path, unknown, RECURSIVE_READ_ONLY)


def validate_devices(path: str, container: Container | EphemeralContainer, volumes: Mapping[str, Volume]) -> Iterator[FieldError]:
    mounts = {mount.name: mount.mountPath for mount in container.volumeMounts}
    mount_paths = set(mounts.values())
    seen_names: set[str] = set()
    seen_paths: set[str] = set()
    for i, device in enumerate(container.volumeDevices):
        at, volume = f"{path}[{i}]", volumes.get(device.name)
        if not device.name:
            yield required(f"{at}.name")
        if device.name in seen_names:
            yield invalid(f"{at}.name", device.name, "must be unique")
        if volume is None:
            yield not_found(f"{at}.name", device.name)
        elif volume.persistentVolumeClaim is None and volume.ephemeral is None:
            yield invalid(f"{at}.name", device.name, "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode")
        if not device.devicePath:
            yield required(f"{at}.devicePath")
        if device.devicePath in seen_paths:
            yield invalid(f"{at}.devicePath", device.devicePath, "must be unique")
        if ".." in device.devicePath.split("/"):
            yield invalid(f"{at}.devicePath", device.devicePath, "can not contain backsteps ('..')")
        else:
            seen_paths.add(device.devicePath)
        if device.name in mounts:
            yield invalid(f"{at}.name", device.name, "must not already exist in volumeMounts")
        if device.devicePath in mount_paths:
            yield invalid(f"{at}.devicePath", device.devicePath, "must not already exist as a path in volumeMounts")
        if device.name:
            seen_names.add(device.name)
