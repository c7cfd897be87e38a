"""All containers of a pod with their paths: init containers first, ephemeral ones last, as Kubernetes visits them."""
from __future__ import annotations

from collections.abc import Iterator

from kubelet_lite.api.core_v1 import Container, EphemeralContainer, PodSpec


def containers_with_paths(path: str, spec: PodSpec) -> Iterator[tuple[str, Container | EphemeralContainer]]:
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for i, container in enumerate(getattr(spec, field)):
            yield f"{path}.{field}[{i}]", container
