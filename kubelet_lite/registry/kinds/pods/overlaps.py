"""Files of one volume that hide each other: the same path twice, or one below the other."""
from __future__ import annotations

from collections.abc import Iterator

from kubelet_lite.api.core_v1 import DownwardAPIVolumeFile, KeyToPath, Volume, VolumeProjection


def overlapping_paths(volumes: tuple[Volume, ...]) -> Iterator[str]:
    for volume in volumes:
        if volume.configMap is not None:
            yield from _overlaps(volume.name, f'ConfigMap "{volume.configMap.name}"', _paths(volume.configMap.items, ""))
        if volume.secret is not None:
            yield from _overlaps(volume.name, f'Secret "{volume.secret.secretName}"', _paths(volume.secret.items, ""))
        if volume.downwardAPI is not None:
            yield from _overlaps(volume.name, "DownwardAPI", _paths(volume.downwardAPI.items, ""))
        if volume.projected is not None:
            paths: list[tuple[str, str]] = []
            for source in volume.projected.sources:
                if source == VolumeProjection():
                    yield f'volume "{volume.name}" (Projected) has no sources provided'
                paths += _projected(source)
            yield from _overlaps(volume.name, "Projected", paths)


def _paths(items: tuple[KeyToPath, ...] | tuple[DownwardAPIVolumeFile, ...], source: str) -> list[tuple[str, str]]:
    return [(item.path, source) for item in items]


def _projected(source: VolumeProjection) -> list[tuple[str, str]]:
    if source.configMap is not None:
        return _paths(source.configMap.items, f'ConfigMap "{source.configMap.name}"')
    if source.secret is not None:
        return _paths(source.secret.items, f'Secret "{source.secret.name}"')
    if source.downwardAPI is not None:
        return _paths(source.downwardAPI.items, "DownwardAPI")
    if source.serviceAccountToken is not None:
        return [(source.serviceAccountToken.path, "ServiceAccountToken")]
    if source.clusterTrustBundle is not None:
        bundle = source.clusterTrustBundle
        return [(bundle.path, f'ClusterTrustBundle "{bundle.name if bundle.name is not None else bundle.signerName or ""}"')]
    if source.podCertificate is not None:
        certificate = source.podCertificate
        files = (certificate.credentialBundlePath, certificate.keyPath, certificate.certificateChainPath)
        return [(file, f'PodCertificate "{certificate.signerName}"') for file in files if file]
    return []


def _overlaps(volume: str, what: str, paths: list[tuple[str, str]]) -> Iterator[str]:
    before: list[tuple[str, str]] = []
    for path, source in paths:
        path = path.rstrip("/")
        for other, other_source in before:
            if path and other and (f"{path}/".startswith(f"{other}/") or f"{other}/".startswith(f"{path}/")):
                yield f'volume "{volume}" ({what}): overlapping paths: {_shown(path, source)} with {_shown(other, other_source)}'
        before.append((path, source))


def _shown(path: str, source: str) -> str:
    return f'"{path}" ({source})' if source else f'"{path}"'
