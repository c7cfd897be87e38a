"""Ports of endpoints: the number of a Service's port at a pod, and the order in which Kubernetes writes several.

That order is by a hash (FNV-1a, 128 bits) of what Go's reflection shows of each, so it looks like none: dns, dns-tcp, metrics in a
slice of kube-dns, metrics, dns-tcp, dns in its Endpoints.
"""
from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

from kubelet_lite.api import core_v1, discovery_v1
from kubelet_lite.api.core_v1 import Container, Pod, Service, ServicePort

TCP: Final = "TCP"
_FNV_OFFSET: Final = 0x6C62272E07BB014262B821756295C58D
_FNV_PRIME: Final = 0x0000000001000000000000000000013B
_FNV_MASK: Final = (1 << 128) - 1


def target_port(pod: Pod, port: ServicePort) -> int | None:
    """The number of a Service port's target at a pod; None: the pod has no port of that name and protocol."""
    target = port.targetPort
    if isinstance(target, int):
        return target or port.port
    if not target:
        return port.port
    for container in _long_running(pod):
        for candidate in container.ports:
            if candidate.name == target and (candidate.protocol or TCP) == (port.protocol or TCP):
                return candidate.containerPort
    return None


def _long_running(pod: Pod) -> Iterator[Container]:
    yield from pod.spec.containers
    yield from (c for c in pod.spec.initContainers if c.restartPolicy == "Always")


def found_at(pod: Pod, service: Service) -> Iterator[tuple[ServicePort, int]]:
    """The Service's ports that a pod has, and their numbers."""
    for port in service.spec.ports:
        number = target_port(pod, port)
        if number is not None:
            yield port, number


def of_slice(found: Iterable[discovery_v1.EndpointPort]) -> tuple[discovery_v1.EndpointPort, ...]:
    """In the order of an EndpointSlice."""
    return tuple(sorted(found, key=_slice_hash))


def of_subset(found: Iterable[core_v1.EndpointPort]) -> tuple[core_v1.EndpointPort, ...]:
    """In the order of a subset of Endpoints."""
    return tuple(sorted(found, key=_subset_hash))


@lru_cache(maxsize=4096)
def _slice_hash(port: discovery_v1.EndpointPort) -> int:
    number = None if port.port is None else str(port.port)
    return _hash(
        f"(v1.EndpointPort){{Name:(*string){_pointer(port.name)} Protocol:(*v1.Protocol){_pointer(port.protocol)} "
        f"Port:(*int32){_pointer(number)} AppProtocol:(*string){_pointer(port.appProtocol)}}}"
    )


@lru_cache(maxsize=4096)
def _subset_hash(port: core_v1.EndpointPort) -> int:
    return _hash(
        f"(v1.EndpointPort){{Name:(string){port.name} Port:(int32){port.port} Protocol:(v1.Protocol){port.protocol} "
        f"AppProtocol:(*string){_pointer(port.appProtocol)}}}"
    )


def _pointer(value: str | None) -> str:
    return "<nil>" if value is None else value


def _hash(shown: str) -> int:
    value = _FNV_OFFSET
    for byte in shown.encode():
        value = (value ^ byte) * _FNV_PRIME & _FNV_MASK
    return value
