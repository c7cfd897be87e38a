"""The subsets of an Endpoints object: addresses that offer the same ports, packed and cut as Kubernetes does it. Pure."""
from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from kubelet_lite.api.core_v1 import EndpointAddress, EndpointPort, EndpointSubset, Pod, Service
from kubelet_lite.controllers.endpoints import backends
from kubelet_lite.controllers.endpoints import ports as endpoint_ports
from kubelet_lite.controllers.pod_facts import is_ready

MAX_ADDRESSES: Final = 1000
"""Of all subsets together: what is beyond is cut, and an annotation says so."""

Address = tuple[str, str]
"""IP and UID of the pod: two pods may have one address, that of their node."""


def subsets(service: Service, pods: Sequence[Pod]) -> tuple[EndpointSubset, ...]:
    """Ports that the same addresses offer, with the same readiness, stand together; each port once."""
    known: dict[Address, EndpointAddress] = {}
    offered: dict[EndpointPort | None, dict[Address, bool]] = {}
    for pod, address in _addresses(service, pods):
        key = _key(address)
        known.setdefault(key, address)
        ready = is_ready(pod) or service.spec.publishNotReadyAddresses
        for port in _ports(service, pod):
            offered.setdefault(port, {})[key] = ready
    together: dict[tuple[tuple[Address, bool], ...], list[EndpointPort]] = {}
    for port, at in offered.items():
        group = together.setdefault(tuple(sorted(at.items())), [])
        if port is not None:
            group.append(port)
    found = [_subset(known, at, ports) for at, ports in together.items()]
    return tuple(sorted(found, key=lambda s: ([(p.port, p.name, p.protocol) for p in s.ports], [_key(a) for a in (*s.addresses, *s.notReadyAddresses)])))


def _addresses(service: Service, pods: Sequence[Pod]) -> Iterator[tuple[Pod, EndpointAddress]]:
    family = (service.spec.ipFamilies or ("IPv4",))[0]
    for pod in pods:
        for ip in backends.addresses_of(pod, family)[:1]:
            yield pod, EndpointAddress(
                ip=ip, hostname=backends.hostname_of(pod, service), nodeName=pod.spec.nodeName or None, targetRef=backends.target(pod),
            )


def _ports(service: Service, pod: Pod) -> Iterator[EndpointPort | None]:
    """None: a headless Service without ports has addresses all the same."""
    if not service.spec.ports and service.spec.clusterIP == "None":
        yield None
    for port, number in endpoint_ports.found_at(pod, service):
        yield EndpointPort(name=port.name, port=number, protocol=port.protocol or endpoint_ports.TCP, appProtocol=port.appProtocol)


def _subset(known: Mapping[Address, EndpointAddress], at: tuple[tuple[Address, bool], ...], ports: Sequence[EndpointPort]) -> EndpointSubset:
    return EndpointSubset(
        addresses=tuple(known[key] for key, ready in at if ready), notReadyAddresses=tuple(known[key] for key, ready in at if not ready),
        ports=endpoint_ports.of_subset(ports),
    )


def _key(address: EndpointAddress) -> Address:
    return address.ip, address.targetRef.uid if address.targetRef is not None else ""


def cut(found: tuple[EndpointSubset, ...]) -> tuple[tuple[EndpointSubset, ...], bool]:
    """No more than MAX_ADDRESSES, and whether there were more. Ready ones go before others, each subset keeps its share."""
    ready, others = sum(len(s.addresses) for s in found), sum(len(s.notReadyAddresses) for s in found)
    if ready + others <= MAX_ADDRESSES:
        return found, False
    kept = []
    left = room = MAX_ADDRESSES if ready > MAX_ADDRESSES else MAX_ADDRESSES - ready
    for subset in found:
        if ready > MAX_ADDRESSES:
            addresses = subset.addresses[:_share(len(subset.addresses), ready, room, left)]
            left -= len(addresses)
            kept.append(msgspec.structs.replace(subset, addresses=addresses, notReadyAddresses=()))
        else:
            addresses = subset.notReadyAddresses[:_share(len(subset.notReadyAddresses), others, room, left)]
            left -= len(addresses)
            kept.append(msgspec.structs.replace(subset, notReadyAddresses=addresses))
    return tuple(kept), True


def _share(number: int, total: int, room: int, left: int) -> int:
    """Rounded up: the last subsets may get less."""
    return min(math.ceil(number / total * room), left)
