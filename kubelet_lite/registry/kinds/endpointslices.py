"""EndpointSlices: a Service's addresses in pieces. https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from msgspec.structs import replace

from kubelet_lite.api import names
from kubelet_lite.api.discovery_v1 import Endpoint, EndpointHints, EndpointPort, EndpointSlice
from kubelet_lite.api.errors import FieldError, duplicate, invalid, not_supported, required, too_many
from kubelet_lite.registry.kinds.ages import age
from kubelet_lite.registry.kinds.endpoints import few
from kubelet_lite.registry.rules import KindRules
from kubelet_lite.registry.validation.addresses import endpoint_address, is_api_server
from kubelet_lite.registry.validation.collected import collected
from kubelet_lite.registry.validation.named import (
    dns_label,
    dns_subdomain,
    fully_qualified_name,
    ip_address,
    qualified_name,
)
from kubelet_lite.registry.validation.numbers import IMMUTABLE
from kubelet_lite.registry.validation.ports import PROTOCOLS

SERVICE_NAME: Final = "kubernetes.io/service-name"
ADDRESS_TYPES: Final = ("FQDN", "IPv4", "IPv6")
MAX_ENDPOINTS: Final = 1000
MAX_ADDRESSES: Final = 100
MAX_PORTS: Final = 100
MAX_HINTS: Final = 8
_VERSIONS: Final = {"IPv4": 4, "IPv6": 6}


def _default(found: EndpointSlice) -> EndpointSlice:
    if all(port.name is not None and port.protocol is not None for port in found.ports):
        return found
    return replace(found, ports=tuple(_default_port(port) for port in found.ports))


def _default_port(port: EndpointPort) -> EndpointPort:
    return replace(port, name=port.name or "", protocol="TCP" if port.protocol is None else port.protocol)


@collected
def _validate(found: EndpointSlice) -> Iterator[FieldError]:
    if not found.addressType:
        yield required("addressType")
    elif found.addressType not in ADDRESS_TYPES:
        yield not_supported("addressType", found.addressType, ADDRESS_TYPES)
    own = is_api_server(found.metadata.namespace, found.metadata.labels.get(SERVICE_NAME, ""))
    if len(found.endpoints) > MAX_ENDPOINTS:
        yield too_many("endpoints", len(found.endpoints), MAX_ENDPOINTS)
    else:
        for i, endpoint in enumerate(found.endpoints):
            yield from _endpoint(f"endpoints[{i}]", endpoint, found.addressType, own)
    yield from _ports(found.ports)


def _endpoint(path: str, endpoint: Endpoint, address_type: str, own: bool) -> Iterator[FieldError]:
    if not endpoint.addresses:
        yield required(f"{path}.addresses", "must contain at least 1 address")
    elif len(endpoint.addresses) > MAX_ADDRESSES:
        yield too_many(f"{path}.addresses", len(endpoint.addresses), MAX_ADDRESSES)
    for i, address in enumerate(endpoint.addresses):
        yield from _address(f"{path}.addresses", i, address, address_type, own)
    if endpoint.nodeName is not None:
        yield from dns_subdomain(f"{path}.nodeName", endpoint.nodeName)
    if endpoint.hostname is not None:
        yield from dns_label(f"{path}.hostname", endpoint.hostname)
    if endpoint.hints is not None:
        yield from _hints(f"{path}.hints", endpoint.hints)


def _address(path: str, i: int, address: str, address_type: str, own: bool) -> Iterator[FieldError]:
    if address_type == "FQDN":
        yield from fully_qualified_name(f"{path}[{i}]", address)
    version = _VERSIONS.get(address_type)
    if version is None:
        return
    found = names.address(address)
    if found is None:
        yield from ip_address(f"{path}[{i}]", address)
        return
    if found.version != version:
        yield invalid(path, address, f"must be an {address_type} address")
    yield from endpoint_address(f"{path}[{i}]", address, own=own)


def _hints(path: str, hints: EndpointHints) -> Iterator[FieldError]:
    zones, nodes = [zone.name for zone in hints.forZones], [node.name for node in hints.forNodes]
    if len(zones) > MAX_HINTS:
        yield too_many(f"{path}.forZones", len(zones), MAX_HINTS)
    for i, name in enumerate(zones[:MAX_HINTS]):
        if name in zones[:i]:
            yield duplicate(f"{path}.forZones[{i}].name", name)
        for message in names.label_value(name):
            yield invalid(f"{path}.forZones[{i}].name", name, message)
    if len(nodes) > MAX_HINTS:
        yield too_many(f"{path}.forNodes", len(nodes), MAX_HINTS)
    for i, name in enumerate(nodes[:MAX_HINTS]):
        if name in nodes[:i]:
            yield duplicate(f"{path}.forNodes[{i}].name", name)
        yield from dns_subdomain(f"{path}.forNodes[{i}].name", name)


def _ports(ports: Sequence[EndpointPort]) -> Iterator[FieldError]:
    if len(ports) > MAX_PORTS:
        yield too_many("ports", len(ports), MAX_PORTS)
        return
    for i, port in enumerate(ports):
        if port.name:
            yield from dns_label(f"ports[{i}].name", port.name)
        if port.name in [other.name for other in ports[:i]]:
            yield duplicate(f"ports[{i}].name", port.name)
        if port.protocol is None:
            yield required(f"ports[{i}].protocol")
        elif port.protocol not in PROTOCOLS:
            yield not_supported(f"ports[{i}].protocol", port.protocol, PROTOCOLS)
        if port.appProtocol is not None:
            yield from qualified_name(f"ports[{i}].appProtocol", port.appProtocol)


@collected
def _validate_update(new: EndpointSlice, old: EndpointSlice) -> Iterator[FieldError]:
    if new.addressType != old.addressType:
        yield invalid("addressType", new.addressType, IMMUTABLE)


def _warnings(new: EndpointSlice, old: EndpointSlice | None) -> Sequence[str]:
    found = ["spec.addressType: FQDN endpoints are deprecated"] if new.addressType == "FQDN" else []
    if new.addressType in _VERSIONS:
        for i, endpoint in enumerate(new.endpoints):
            for j, address in enumerate(endpoint.addresses):
                found += names.ip_address_warnings(f"endpoints[{i}].addresses[{j}]", address)
    return found


def _generation_moves(new: EndpointSlice, old: EndpointSlice) -> bool:
    """For every change but those the server itself makes to metadata."""
    now, was = new.metadata, old.metadata
    if (new.endpoints, new.ports, new.addressType) != (old.endpoints, old.ports, old.addressType):
        return True
    return (now.labels, now.annotations, now.ownerReferences, now.finalizers) != (was.labels, was.annotations, was.ownerReferences, was.finalizers)


def _row(found: EndpointSlice, now: float) -> Sequence[Any]:
    ports = few(["*" if port.port is None else str(port.port) for port in found.ports], "<unset>")
    addresses = few([address for endpoint in found.endpoints for address in endpoint.addresses], "<unset>")
    return found.metadata.name, found.addressType, ports, addresses, age(found, now)


RULES: Final = KindRules(
    resource="endpointslices.discovery.k8s.io", default=_default, validate=_validate, validate_update=_validate_update, validate_on_update="instead",
    warnings=_warnings,
    generation=True, generation_moves=_generation_moves, row=_row,
)
