"""Endpoints: the older, whole list of a Service's addresses. https://kubernetes.io/docs/concepts/services-networking/service/#endpoints"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from msgspec.structs import replace

from kubelet_lite.api.core_v1 import EndpointAddress, EndpointPort, Endpoints, EndpointSubset
from kubelet_lite.api.errors import FieldError, required
from kubelet_lite.registry.kinds.ages import NONE, age
from kubelet_lite.registry.rules import KindRules
from kubelet_lite.registry.validation.addresses import endpoint_address, is_api_server
from kubelet_lite.registry.validation.collected import collected
from kubelet_lite.registry.validation.named import dns_label, dns_subdomain, ip_address, qualified_name
from kubelet_lite.registry.validation.ports import port_number, protocol

MOST_SHOWN: Final = 3
"""Addresses in a table's cell."""


def _default(endpoints: Endpoints) -> Endpoints:
    return replace(endpoints, subsets=tuple(_default_subset(subset) for subset in endpoints.subsets))


def _default_subset(subset: EndpointSubset) -> EndpointSubset:
    if all(port.protocol for port in subset.ports):
        return subset
    return replace(subset, ports=tuple(port if port.protocol else replace(port, protocol="TCP") for port in subset.ports))


@collected
def _validate(endpoints: Endpoints) -> Iterator[FieldError]:
    own = is_api_server(endpoints.metadata.namespace, endpoints.metadata.name)
    for i, subset in enumerate(endpoints.subsets):
        path = f"subsets[{i}]"
        if not subset.addresses and not subset.notReadyAddresses:
            yield required(path, "must specify `addresses` or `notReadyAddresses`")
        for j, address in enumerate(subset.addresses):
            yield from _address(f"{path}.addresses[{j}]", address, own)
        for j, address in enumerate(subset.notReadyAddresses):
            yield from _address(f"{path}.notReadyAddresses[{j}]", address, own)
        for j, port in enumerate(subset.ports):
            yield from _port(f"{path}.ports[{j}]", port, len(subset.ports) > 1)


def _address(path: str, address: EndpointAddress, own: bool) -> Iterator[FieldError]:
    yield from ip_address(f"{path}.ip", address.ip)
    if address.hostname:
        yield from dns_label(f"{path}.hostname", address.hostname)
    if address.nodeName is not None:
        yield from dns_subdomain(f"{path}.nodeName", address.nodeName)
    yield from endpoint_address(f"{path}.ip", address.ip, own=own)


def _port(path: str, port: EndpointPort, named: bool) -> Iterator[FieldError]:
    if port.name:
        yield from dns_label(f"{path}.name", port.name)
    elif named:
        yield required(f"{path}.name")
    yield from port_number(f"{path}.port", port.port)
    yield from protocol(f"{path}.protocol", port.protocol)
    if port.appProtocol is not None:
        yield from qualified_name(f"{path}.appProtocol", port.appProtocol)


def _row(endpoints: Endpoints, now: float) -> Sequence[Any]:
    found: list[str] = []
    for subset in endpoints.subsets:
        if not subset.ports:
            found += [address.ip for address in subset.addresses]
        for port in subset.ports:
            found += [f"[{a.ip}]:{port.port}" if ":" in a.ip else f"{a.ip}:{port.port}" for a in subset.addresses]
    return endpoints.metadata.name, few(found, NONE) if endpoints.subsets else NONE, age(endpoints, now)


def few(items: Sequence[str], none: str) -> str:
    """The first of a list that is too long for a cell."""
    shown = ",".join(items[:MOST_SHOWN])
    return f"{shown} + {len(items) - MOST_SHOWN} more..." if len(items) > MOST_SHOWN else shown or none


RULES: Final = KindRules(
    resource="endpoints", default=_default, validate=_validate, create_on_update=True, storage_path="/services/endpoints", row=_row,
)
