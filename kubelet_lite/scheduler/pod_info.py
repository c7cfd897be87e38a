"""A pod as the scheduler sees it: requests in base units (millicores, bytes, counts), ports and placement wishes, read once.

https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from kubelet_lite.api import scheduling_rules
from kubelet_lite.api.core_v1 import Pod

DEFAULT_MILLI_CPU: Final = 100
"""What a container without a cpu request counts for in scores (never in filters)."""
DEFAULT_MEMORY_BYTES: Final = 200 * 1024 * 1024
"""Likewise for memory."""


class HostPort(msgspec.Struct, frozen=True):
    """A port of the node that a container wants."""

    address: str
    protocol: str
    port: int

    def clashes_with(self, other: HostPort) -> bool:
        if self.port != other.port or self.protocol != other.protocol:
            return False
        return self.address == other.address or "0.0.0.0" in (self.address, other.address)


class PodInfo(msgspec.Struct, frozen=True, eq=False):
    """Everything that filters and scores ask about a pod."""

    pod: Pod
    requests: Mapping[str, int]
    """By resource name; cpu in millicores. What the pod asks for at its most demanding moment."""
    scored_requests: tuple[int, int]
    """(millicores, bytes) with Kubernetes' defaults for containers that ask for nothing."""
    host_ports: tuple[HostPort, ...]
    placement_key: bytes
    """Equal for pods with equal node selector and node affinity; b"" when they have neither."""

    @property
    def key(self) -> tuple[str, str]:
        return self.pod.metadata.namespace, self.pod.metadata.name


def pod_info(pod: Pod) -> PodInfo:
    spec = pod.spec
    requests = scheduling_rules.pod_requests(pod)
    defaulted = scheduling_rules.pod_requests(pod, missing={"cpu": DEFAULT_MILLI_CPU, "memory": DEFAULT_MEMORY_BYTES})
    affinity = spec.affinity.nodeAffinity if spec.affinity is not None else None
    placement_key = msgspec.json.encode((spec.nodeSelector, affinity), order="sorted") if spec.nodeSelector or affinity is not None else b""
    ports = tuple(
        HostPort(port.hostIP or "0.0.0.0", port.protocol or "TCP", port.hostPort)
        for container in (*spec.containers, *(c for c in spec.initContainers if c.restartPolicy == "Always"))
        for port in container.ports
        if port.hostPort
    )
    return PodInfo(pod, requests, (defaulted.get("cpu", 0), defaulted.get("memory", 0)), ports, placement_key)
