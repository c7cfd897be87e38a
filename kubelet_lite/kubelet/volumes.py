"""A pod's volumes as real files of the machine, and where each container finds them.

Files of ConfigMaps, Secrets and the downward API change all at once: they lie in a folder of their own behind the link `..data`.
https://kubernetes.io/docs/concepts/storage/volumes/
"""
from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from kubelet_lite.api.core_v1 import (
    ConfigMap,
    Container,
    DownwardAPIVolumeFile,
    KeyToPath,
    Pod,
    Secret,
    ServiceAccountTokenProjection,
    Volume,
)
from kubelet_lite.kubelet.container_environment import ConfigError, Sources, expand, field_value, resource_value
from kubelet_lite.runtimes.base import Mount

DATA_LINK: Final = "..data"
DEFAULT_MODE: Final = 0o644
PROJECTED_FILES: Final = ("configMap", "secret", "downwardAPI", "projected")
OFFERED: Final = ("emptyDir", "hostPath", *PROJECTED_FILES)


class VolumeError(Exception):
    """A volume cannot be made ready (yet): a FailedMount event with this message."""


class File(msgspec.Struct, frozen=True):
    path: str
    data: bytes
    mode: int


class Tokens(msgspec.Struct, frozen=True):
    """Service account tokens by (audience, seconds), fetched before."""

    tokens: Mapping[tuple[str, int], str]


def wanted_tokens(pod: Pod) -> Iterable[tuple[str, int]]:
    """What `files` will ask Tokens for."""
    for volume in pod.spec.volumes:
        for source in volume.projected.sources if volume.projected is not None else ():
            if source.serviceAccountToken is not None:
                yield _token_key(source.serviceAccountToken)


def _token_key(source: ServiceAccountTokenProjection) -> tuple[str, int]:
    return source.audience, source.expirationSeconds or 3600


def files(pod: Pod, volume: Volume, sources: Sources, tokens: Tokens) -> Sequence[File] | None:
    """The files of a volume that is made of objects; None for other kinds. Raises VolumeError. Pure."""
    if volume.configMap is not None:
        config = volume.configMap
        mode = DEFAULT_MODE if config.defaultMode is None else config.defaultMode
        return _config_map_files(sources.config_map(config.name), config.name, config.items, mode, config.optional)
    if volume.secret is not None:
        secret = volume.secret
        mode = DEFAULT_MODE if secret.defaultMode is None else secret.defaultMode
        return _secret_files(sources.secret(secret.secretName), secret.secretName, secret.items, mode, secret.optional)
    if volume.downwardAPI is not None:
        mode = DEFAULT_MODE if volume.downwardAPI.defaultMode is None else volume.downwardAPI.defaultMode
        return _downward_files(pod, volume.downwardAPI.items, mode, sources)
    if volume.projected is None:
        return None
    mode = DEFAULT_MODE if volume.projected.defaultMode is None else volume.projected.defaultMode
    found: list[File] = []
    for source in volume.projected.sources:
        if source.configMap is not None:
            found += _config_map_files(sources.config_map(source.configMap.name), source.configMap.name, source.configMap.items, mode, source.configMap.optional)
        elif source.secret is not None:
            found += _secret_files(sources.secret(source.secret.name), source.secret.name, source.secret.items, mode, source.secret.optional)
        elif source.downwardAPI is not None:
            found += _downward_files(pod, source.downwardAPI.items, mode, sources)
        elif source.serviceAccountToken is not None:
            token = tokens.tokens[_token_key(source.serviceAccountToken)]
            found.append(File(source.serviceAccountToken.path, token.encode(), 0o600 if mode == DEFAULT_MODE else mode))
        else:
            raise VolumeError("a projected source of this kind is not offered")
    return found


def _config_map_files(config_map: ConfigMap | None, name: str, items: Sequence[KeyToPath], mode: int, optional: bool | None) -> list[File]:
    if config_map is None:
        if optional:
            return []
        raise VolumeError(f'configmap "{name}" not found')
    data = {**{key: value.encode() for key, value in config_map.data.items()}, **config_map.binaryData}
    return _picked(data, items, mode, optional, "configmap")


def _secret_files(secret: Secret | None, name: str, items: Sequence[KeyToPath], mode: int, optional: bool | None) -> list[File]:
    if secret is None:
        if optional:
            return []
        raise VolumeError(f'secret "{name}" not found')
    return _picked(secret.data, items, mode, optional, "secret")


def _picked(data: Mapping[str, bytes], items: Sequence[KeyToPath], mode: int, optional: bool | None, kind: str) -> list[File]:
    if not items:
        return [File(key, value, mode) for key, value in sorted(data.items())]
    found = []
    for item in items:
        if item.key in data:
            found.append(File(item.path, data[item.key], mode if item.mode is None else item.mode))
        elif not optional:
            raise VolumeError(f"{'references non-existent config key' if kind == 'configmap' else 'references non-existent secret key'}: {item.key}")
    return found


def _downward_files(pod: Pod, items: Sequence[DownwardAPIVolumeFile], mode: int, sources: Sources) -> list[File]:
    found = []
    for item in items:
        try:
            if item.fieldRef is not None:
                text = field_value(pod, item.fieldRef, sources.node)
            elif item.resourceFieldRef is not None:
                text = resource_value(pod, pod.spec.containers[0], item.resourceFieldRef, sources.node)
            else:
                continue
        except ConfigError as error:
            raise VolumeError(str(error)) from error
        found.append(File(item.path, text.encode(), mode if item.mode is None else item.mode))
    return found


def follows(volume: Volume) -> bool:
    """Whether the volume's files change with objects of the API."""
    return any(getattr(volume, kind) is not None for kind in PROJECTED_FILES)


def unknown_kind(volume: Volume) -> str:
    """The name of a volume kind that is not offered; "" for one that is."""
    for name in volume.__struct_fields__:
        if name != "name" and getattr(volume, name) is not None:
            return "" if name in OFFERED else name
    return ""


def make(folder: Path, pod: Pod, sources: Sources, tokens: Tokens) -> dict[str, str]:
    """Makes all volumes of a pod below `folder`; name → path. Raises VolumeError. Made again, files follow their objects."""
    paths = {}
    for volume in pod.spec.volumes:
        try:
            paths[volume.name] = str(_make_one(folder, pod, volume, sources, tokens))
        except (VolumeError, OSError) as error:
            raise VolumeError(f'MountVolume.SetUp failed for volume "{volume.name}" : {error}') from error
    return paths


def _make_one(folder: Path, pod: Pod, volume: Volume, sources: Sources, tokens: Tokens) -> Path:
    kind = unknown_kind(volume)
    if kind:
        raise VolumeError(f"volumes of kind {kind} are not offered")
    if volume.hostPath is not None:
        path = Path(volume.hostPath.path)
        _check_host_path(path, volume.hostPath.type or "")
        return path
    path = folder / volume.name
    path.mkdir(parents=True, exist_ok=True)
    wanted = files(pod, volume, sources, tokens)
    if wanted is not None:
        _write_all(path, wanted)
    return path


def _check_host_path(path: Path, type: str) -> None:
    if type == "DirectoryOrCreate":
        path.mkdir(parents=True, exist_ok=True, mode=0o755)
    elif type == "FileOrCreate" and not path.exists():
        path.touch(mode=0o644)
    checks = {"Directory": path.is_dir, "File": path.is_file, "Socket": path.is_socket, "CharDevice": path.is_char_device, "BlockDevice": path.is_block_device}
    if type in checks and not checks[type]():
        raise VolumeError(f"hostPath type check failed: {path} is not a {type.lower()}")


def _write_all(folder: Path, wanted: Sequence[File]) -> None:
    """As Kubernetes' atomic writer: a new folder, then one rename of the link that all names lead through."""
    current = folder / DATA_LINK
    if current.is_symlink() and _same(current, wanted):
        return
    number = int(os.readlink(current).rpartition("_")[2]) + 1 if current.is_symlink() else 1
    fresh = folder / f"..files_{number}"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    for file in wanted:
        path = fresh / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.data)
        path.chmod(file.mode)
    old = folder / os.readlink(current) if current.is_symlink() else None
    link = folder / "..data_tmp"
    link.unlink(missing_ok=True)
    link.symlink_to(fresh.name)
    os.replace(link, current)
    names = {Path(file.path).parts[0] for file in wanted}
    for entry in list(folder.iterdir()):
        if not entry.name.startswith("..") and entry.name not in names:
            entry.unlink()
    for name in sorted(names):
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"{DATA_LINK}/{name}")
    if old is not None:
        shutil.rmtree(old, ignore_errors=True)


def _same(folder: Path, wanted: Sequence[File]) -> bool:
    found = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    return found == {file.path for file in wanted} and all(
        (folder / f.path).read_bytes() == f.data and (folder / f.path).stat().st_mode & 0o7777 == f.mode for f in wanted
    )


def mounts(container: Container, paths: Mapping[str, str], variables: Mapping[str, str]) -> tuple[Mount, ...]:
    """Where a container finds its volumes. Raises ConfigError for a subPath that cannot be."""
    found = []
    for mount in container.volumeMounts:
        if mount.name not in paths:
            raise ConfigError(f'volume "{mount.name}" not found')
        path = Path(paths[mount.name])
        below = expand(mount.subPathExpr, variables) if mount.subPathExpr else mount.subPath
        if below:
            if below.startswith("/") or ".." in Path(below).parts:
                raise ConfigError(f'failed to prepare subPath for volumeMount "{mount.name}" of container "{container.name}"')
            path = path / below
            if not path.exists():
                path.mkdir(parents=True)
        found.append(Mount(str(path), mount.mountPath, bool(mount.readOnly)))
    return tuple(found)
