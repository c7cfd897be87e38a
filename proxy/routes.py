"""Which address leads where: Services and their EndpointSlices in, one route a Service port out. Pure.

A route's backends are the ready endpoints; where none is ready, those that still serve while they terminate (KEP-1669).
https://kubernetes.io/docs/reference/networking/virtual-ips/
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from kubelet_lite.api.core_v1 import Service, ServicePort
from kubelet_lite.api.discovery_v1 import Endpoint, EndpointSlice

SERVICE_NAME_LABEL: Final = "kubernetes.io/service-name"
DEFAULT_AFFINITY_SECONDS: Final = 10800
PROXY_NAME_LABEL: Final = "service.kubernetes.io/service-proxy-name"
HEADLESS_LABEL: Final = "service.kubernetes.io/headless"


class Listen(msgspec.Struct, frozen=True, order=True):
    """An address that clients use."""

    address: str
    port: int
    protocol: str


class Backend(msgspec.Struct, frozen=True, order=True):
    address: str
    port: int


class Route(msgspec.Struct, frozen=True):
    """Where one Service port leads."""

    service: str
    """namespace/name."""
    backends: tuple[Backend, ...]
    affinity_seconds: int | None = None
    """Session affinity by client address, and how long it lasts."""


Routes = Mapping[Listen, Route]


def routes(services: Iterable[Service], slices: Iterable[EndpointSlice], node_addresses: Iterable[str] = ()) -> dict[Listen, Route]:
    """All routes, in the order of Services. Ports without any backend have none: connecting to them is refused."""
    by_service: dict[tuple[str, str], list[EndpointSlice]] = {}
    for part in slices:
        name = part.metadata.labels.get(SERVICE_NAME_LABEL)
        if name:
            by_service.setdefault((part.metadata.namespace, name), []).append(part)
    nodes = tuple(node_addresses)
    found: dict[Listen, Route] = {}
    for service in services:
        spec = service.spec
        if spec.type == "ExternalName" or spec.clusterIP in ("", "None") or PROXY_NAME_LABEL in service.metadata.labels:
            continue
        own = by_service.get((service.metadata.namespace, service.metadata.name), [])
        for port in spec.ports:
            backends = _backends(port, own)
            if not backends:
                continue
            route = Route(f"{service.metadata.namespace}/{service.metadata.name}", backends, _affinity(service))
            for listen in _listens(service, port, nodes):
                found.setdefault(listen, route)
    return found


def _listens(service: Service, port: ServicePort, nodes: tuple[str, ...]) -> Iterable[Listen]:
    protocol = port.protocol or "TCP"
    for address in (*(service.spec.clusterIPs or (service.spec.clusterIP,)), *service.spec.externalIPs):
        yield Listen(address, port.port, protocol)
    if port.nodePort:
        for address in nodes:
            yield Listen(address, port.nodePort, protocol)


def _backends(port: ServicePort, slices: list[EndpointSlice]) -> tuple[Backend, ...]:
    ready: list[Backend] = []
    serving: list[Backend] = []
    for part in slices:
        if part.addressType not in ("IPv4", "IPv6"):
            continue
        number = next(
            (p.port for p in part.ports if (p.name or "") == (port.name or "") and (p.protocol or "TCP") == (port.protocol or "TCP")), None
        )
        if number is None:
            continue
        for endpoint in part.endpoints:
            if _is_ready(endpoint):
                ready.append(Backend(endpoint.addresses[0], number))
            elif _is_serving(endpoint):
                serving.append(Backend(endpoint.addresses[0], number))
    return tuple(sorted(set(ready or serving)))


def _is_ready(endpoint: Endpoint) -> bool:
    return endpoint.conditions.ready is not False


def _is_serving(endpoint: Endpoint) -> bool:
    return endpoint.conditions.serving is True and endpoint.conditions.terminating is True


def _affinity(service: Service) -> int | None:
    if service.spec.sessionAffinity != "ClientIP":
        return None
    config = service.spec.sessionAffinityConfig
    seconds = config.clientIP.timeoutSeconds if config is not None and config.clientIP is not None else None
    return seconds or DEFAULT_AFFINITY_SECONDS
