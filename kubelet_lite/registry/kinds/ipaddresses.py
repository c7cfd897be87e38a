"""IPAddresses: cluster addresses that are taken, and by whom. https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/ip-address-v1/"""
from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from typing import Any, Final

from kubelet_lite.api.errors import FieldError, invalid, required
from kubelet_lite.api.networking_v1 import IPAddress, ParentReference
from kubelet_lite.registry.rules import KindRules
from kubelet_lite.registry.validation.collected import collected
from kubelet_lite.registry.validation.go_values import go_value
from kubelet_lite.registry.validation.named import dns_subdomain, path_segment
from kubelet_lite.registry.validation.numbers import IMMUTABLE


def _name_errors(name: str, prefix: bool) -> Sequence[str]:
    try:
        found = ipaddress.ip_address(name)
    except ValueError:
        return ("must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",)
    return () if str(found) == name else ("must be in canonical form",)


@collected
def _validate(address: IPAddress) -> Iterator[FieldError]:
    parent = address.spec.parentRef
    if parent is None or parent == ParentReference():
        yield required("spec.parentRef")
        return
    if parent.group:
        yield from dns_subdomain("spec.parentRef.group", parent.group)
    if not parent.resource:
        yield required("spec.parentRef.resource")
    else:
        yield from path_segment("spec.parentRef.resource", parent.resource)
    if not parent.name:
        yield required("spec.parentRef.name")
    else:
        yield from path_segment("spec.parentRef.name", parent.name)
    if parent.namespace:
        yield from path_segment("spec.parentRef.namespace", parent.namespace)


@collected
def _validate_update(new: IPAddress, old: IPAddress) -> Iterator[FieldError]:
    if new.spec.parentRef != old.spec.parentRef:
        yield invalid("spec.parentRef", go_value(new.spec.parentRef), IMMUTABLE)


def _row(address: IPAddress, now: float) -> Sequence[Any]:
    parent, shown = address.spec.parentRef, ""
    if parent is not None:
        resource = f"{parent.resource}.{parent.group}".lower() if parent.group else parent.resource.lower()
        shown = "/".join(part for part in (resource, parent.namespace, parent.name) if part)
    return address.metadata.name, shown


RULES: Final = KindRules(
    resource="ipaddresses.networking.k8s.io", validate=_validate, validate_update=_validate_update, name_errors=_name_errors, row=_row,
)
