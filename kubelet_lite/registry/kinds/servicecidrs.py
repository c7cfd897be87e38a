"""ServiceCIDRs: the ranges that Services' addresses come from. https://kubernetes.io/docs/tasks/network/extend-service-ip-ranges/"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from kubelet_lite.api import names
from kubelet_lite.api.errors import FieldError, invalid, required
from kubelet_lite.api.networking_v1 import ServiceCIDR
from kubelet_lite.registry.kinds.ages import age
from kubelet_lite.registry.rules import KindRules
from kubelet_lite.registry.validation.collected import collected
from kubelet_lite.registry.validation.named import cidr
from kubelet_lite.registry.validation.numbers import IMMUTABLE

MOST: Final = 2


@collected
def _validate(found: ServiceCIDR) -> Iterator[FieldError]:
    cidrs = found.spec.cidrs
    if not cidrs:
        yield required("spec.cidrs", "at least one CIDR required")
        return
    if len(cidrs) > MOST:
        yield invalid("spec.cidrs", cidrs, "may only hold up to 2 values")
        return
    networks = [names.network(text) for text in cidrs]
    versions = [network[1].version for network in networks if network is not None]
    if len(cidrs) == MOST and len(versions) == MOST and len(set(versions)) < MOST:
        yield invalid("spec.cidrs", cidrs, "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64")
    for i, (text, network) in enumerate(zip(cidrs, networks, strict=True)):
        yield from cidr(f"spec.cidrs[{i}]", text)
        if network is not None and text != str(network[1]):
            yield invalid(f"spec.cidrs[{i}]", text, f'must be in canonical form ("{network[1]}")')


@collected
def _validate_update(new: ServiceCIDR, old: ServiceCIDR) -> Iterator[FieldError]:
    """Only a second family may be added."""
    now, was = new.spec.cidrs, old.spec.cidrs
    if len(now) == len(was):
        for i, text in enumerate(now):
            if text != was[i]:
                yield invalid(f"spec.cidrs[{i}]", text, IMMUTABLE)
    elif (len(was), len(now)) == (1, 2):
        if now[0] != was[0]:
            yield invalid("spec.cidrs[0]", now[0], IMMUTABLE)
        yield from _validate(new)
    else:
        yield invalid("spec.cidrs", now or None, IMMUTABLE)


def _row(found: ServiceCIDR, now: float) -> Sequence[Any]:
    return found.metadata.name, ",".join(found.spec.cidrs), age(found, now)


RULES: Final = KindRules(
    resource="servicecidrs.networking.k8s.io", validate=_validate, validate_update=_validate_update, validate_on_update="never", row=_row,
)
