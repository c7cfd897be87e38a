"""NetworkPolicies. https://kubernetes.io/docs/concepts/services-networking/network-policies/"""
from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from typing import Any, Final

from msgspec.structs import replace

from kubelet_lite.api import names
from kubelet_lite.api.errors import FieldError, forbidden, invalid, not_supported, required
from kubelet_lite.api.networking_v1 import IPBlock, NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort
from kubelet_lite.api.selectors import SelectorError, label_selector_text
from kubelet_lite.registry.kinds.ages import NONE, age
from kubelet_lite.registry.rules import KindRules
from kubelet_lite.registry.validation.collected import collected
from kubelet_lite.registry.validation.labels import label_selector
from kubelet_lite.registry.validation.named import cidr
from kubelet_lite.registry.validation.ports import port_number, port_number_or_name

PROTOCOLS: Final = ("TCP", "UDP", "SCTP")
TYPES: Final = ("Ingress", "Egress")


def _default(policy: NetworkPolicy) -> NetworkPolicy:
    spec = policy.spec
    return replace(policy, spec=replace(
        spec, ingress=tuple(replace(rule, ports=_default_ports(rule.ports)) for rule in spec.ingress),
        egress=tuple(replace(rule, ports=_default_ports(rule.ports)) for rule in spec.egress),
        policyTypes=spec.policyTypes or (TYPES if spec.egress else ("Ingress",)),
    ))


def _default_ports(ports: tuple[NetworkPolicyPort, ...]) -> tuple[NetworkPolicyPort, ...]:
    return tuple(port if port.protocol is not None else replace(port, protocol="TCP") for port in ports)


@collected
def _validate(policy: NetworkPolicy) -> Iterator[FieldError]:
    spec = policy.spec
    yield from label_selector("spec.podSelector", spec.podSelector)
    for i, rule in enumerate(spec.ingress):
        yield from _rule(f"spec.ingress[{i}]", rule.ports, "from", rule.from_)
    for i, out in enumerate(spec.egress):
        yield from _rule(f"spec.egress[{i}]", out.ports, "to", out.to)
    if len(spec.policyTypes) > len(TYPES):
        yield invalid("spec.policyTypes", spec.policyTypes, "may not specify more than two policyTypes")
        return
    for i, kind in enumerate(spec.policyTypes):
        if kind not in TYPES:
            yield not_supported(f"spec.policyTypes[{i}]", kind, TYPES)


def _rule(path: str, ports: Sequence[NetworkPolicyPort], direction: str, peers: Sequence[NetworkPolicyPeer]) -> Iterator[FieldError]:
    for i, port in enumerate(ports):
        yield from _port(f"{path}.ports[{i}]", port)
    for i, peer in enumerate(peers):
        yield from _peer(f"{path}.{direction}[{i}]", peer)


def _port(path: str, port: NetworkPolicyPort) -> Iterator[FieldError]:
    if port.protocol is not None and port.protocol not in PROTOCOLS:
        yield not_supported(f"{path}.protocol", port.protocol, PROTOCOLS)
    if port.port is None:
        if port.endPort is not None:
            yield invalid(f"{path}.endPort", port.endPort, "may not be specified when `port` is not specified")
        return
    if isinstance(port.port, str):
        if port.endPort is not None:
            yield invalid(f"{path}.endPort", port.endPort, "may not be specified when `port` is non-numeric")
        yield from port_number_or_name(f"{path}.port", port.port)
        return
    yield from port_number(f"{path}.port", port.port)
    if port.endPort is not None:
        if port.endPort < port.port:
            yield invalid(f"{path}.endPort", port.port, "must be greater than or equal to `port`")
        yield from port_number(f"{path}.endPort", port.endPort)


def _peer(path: str, peer: NetworkPolicyPeer) -> Iterator[FieldError]:
    yield from label_selector(f"{path}.podSelector", peer.podSelector)
    yield from label_selector(f"{path}.namespaceSelector", peer.namespaceSelector)
    if peer.ipBlock is not None:
        yield from _block(f"{path}.ipBlock", peer.ipBlock)
        if peer.podSelector is not None or peer.namespaceSelector is not None:
            yield forbidden(path, "may not specify both ipBlock and another peer")
    elif peer.podSelector is None and peer.namespaceSelector is None:
        yield required(path, "must specify a peer")


def _block(path: str, block: IPBlock) -> Iterator[FieldError]:
    if not block.cidr:
        yield required(f"{path}.cidr")
        return
    yield from cidr(f"{path}.cidr", block.cidr)
    whole = names.network(block.cidr)
    for i, text in enumerate(block.except_):
        yield from cidr(f"{path}.except[{i}]", text)
        part = names.network(text)
        if whole is not None and part is not None and not _strictly_inside(part[1], whole[1]):
            yield invalid(f"{path}.except[{i}]", text, "must be a strict subset of `cidr`")


_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _strictly_inside(part: _Network, whole: _Network) -> bool:
    return part.version == whole.version and part.prefixlen > whole.prefixlen and part.network_address in whole


def _warnings(new: NetworkPolicy, old: NetworkPolicy | None) -> Sequence[str]:
    found: list[str] = []
    for i, rule in enumerate(new.spec.ingress):
        found += _block_warnings(f"spec.ingress[{i}].from", rule.from_)
    for i, out in enumerate(new.spec.egress):
        found += _block_warnings(f"spec.egress[{i}].to", out.to)
    return found


def _block_warnings(path: str, peers: Sequence[NetworkPolicyPeer]) -> Iterator[str]:
    for i, peer in enumerate(peers):
        if peer.ipBlock is not None:
            yield from names.cidr_warnings(f"{path}[{i}].ipBlock.cidr", peer.ipBlock.cidr)
            for j, text in enumerate(peer.ipBlock.except_):
                yield from names.cidr_warnings(f"{path}[{i}].ipBlock.except[{j}]", text)


def _row(policy: NetworkPolicy, now: float) -> Sequence[Any]:
    try:
        selector = label_selector_text(policy.spec.podSelector) or NONE
    except SelectorError:
        selector = "<error>"
    return policy.metadata.name, selector, age(policy, now)


RULES: Final = KindRules(
    resource="networkpolicies.networking.k8s.io", default=_default, validate=_validate, warnings=_warnings, generation=True, row=_row,
)
