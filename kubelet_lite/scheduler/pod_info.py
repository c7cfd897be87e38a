"""A pod as the scheduler sees it: requests in base units (millicores, bytes, counts), ports and placement wishes, read once.

https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from kubelet_lite.api import scheduling_rules
from kubelet_lite.api.core_v1 import Pod, Volume
from kubelet_lite.scheduler.pod_terms import AffinityTerms, Spread, affinity_terms, spreads
from kubelet_lite.scheduler.volumes import claims

DEFAULTS: Final = {"cpu": 100, "memory": 200 * 1024 * 1024}
"""What a container without a request counts for in scores (never in filters): millicores, bytes."""

MAX_KEPT: Final = 1024


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
    """(millicores, bytes) with Kubernetes' defaults for containers that ask for nothing: what the pod counts for once placed."""
    arriving_requests: tuple[int, int]
    """The same while its own node is chosen: there kube-scheduler 1.36 does not see what the pod asks for as a whole."""
    host_ports: tuple[HostPort, ...]
    placement_key: bytes
    """Equal for pods with equal node selector and node affinity; b"" when they have neither."""
    likeness: bytes
    """Equal for pods that every plug-in judges alike."""
    steady_likeness: bytes
    """Equal for pods that are judged alike by every plug-in that looks at nodes but not at the pods on them."""

    affinity: AffinityTerms | None
    """What it says of other pods; None: nothing."""
    spreads: tuple[Spread, ...]
    volumes: tuple[Volume, ...]
    """Those that say something about where it may run."""

    @property
    def priority(self) -> int:
        return self.pod.spec.priority or 0

    key: tuple[str, str]
    """Namespace and name."""
    template: object
    """The same one only for pods of one spec, one set of labels and the same owners."""


_read: Final[dict[int, PodInfo]] = {}
"""By the identity of their spec, pods that were read: equal specs are one object in the store, so that most pods need no reading."""


def pod_info(pod: Pod) -> PodInfo:
    meta = pod.metadata
    known = _read.get(id(pod.spec))
    if known is not None and known.pod.spec is pod.spec and not pod.status.containerStatuses:
        like = known.pod.metadata
        if like.namespace == meta.namespace and like.labels == meta.labels and like.ownerReferences == meta.ownerReferences:
            return msgspec.structs.replace(known, pod=pod, key=(meta.namespace, meta.name))
    info = _pod_info(pod)
    if not pod.status.containerStatuses:  # those may say that a resize is under way
        if len(_read) >= MAX_KEPT:
            _read.clear()
        _read[id(pod.spec)] = info
    return info


def _pod_info(pod: Pod) -> PodInfo:
    spec = pod.spec
    requests = scheduling_rules.pod_requests(pod)
    arriving = _scored(pod)
    placed = _scored(pod, requests) if spec.resources is not None else arriving
    affinity = spec.affinity.nodeAffinity if spec.affinity is not None else None
    placement_key = msgspec.json.encode((spec.nodeSelector, affinity), order="sorted") if spec.nodeSelector or affinity is not None else b""
    ports = ports_of(pod)
    images = [c.image for c in (*spec.containers, *spec.initContainers)]
    volumes = claims.matter(spec.volumes) if spec.volumes else ()
    steady_likeness = msgspec.json.encode((placement_key, spec.tolerations, spec.nodeName, images), order="sorted")
    likeness = msgspec.json.encode((requests, arriving, ports, steady_likeness), order="sorted")
    key = pod.metadata.namespace, pod.metadata.name
    return PodInfo(pod, requests, placed, arriving, ports, placement_key, likeness, steady_likeness, affinity_terms(pod), spreads(pod), volumes, key, object())


def ports_of(pod: Pod) -> tuple[HostPort, ...]:
    spec = pod.spec
    return tuple(
        HostPort(port.hostIP or "0.0.0.0", port.protocol or "TCP", port.hostPort)
        for container in (*spec.containers, *(c for c in spec.initContainers if c.restartPolicy == "Always"))
        for port in container.ports
        if port.hostPort
    )


def _scored(pod: Pod, whole: Mapping[str, int] | None = None) -> tuple[int, int]:
    """(millicores, bytes) of the containers; `whole`: what the pod as a whole asks for goes before defaults."""
    missing = {name: amount for name, amount in DEFAULTS.items() if whole is None or name not in whole}
    found = scheduling_rules.pod_requests(pod, missing=missing, pod_level=whole is not None)
    return found.get("cpu", 0), found.get("memory", 0)
