"""Which address families a Service gets, before addresses are allocated: what the user left out is inferred from the rest.

https://kubernetes.io/docs/concepts/services-networking/dual-stack/
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from msgspec.structs import replace

from kubelet_lite.api.core_v1 import Service
from kubelet_lite.api.errors import FieldError, Invalid, invalid
from kubelet_lite.registry.kinds.services.kind_of import CLUSTER_IP, EXTERNAL_NAME, LOAD_BALANCER, NODE_PORT, NONE
from kubelet_lite.registry.kinds.services.validation import cluster_ip_fields, family_of

SINGLE: Final = "SingleStack"
PREFER_DUAL: Final = "PreferDualStack"
REQUIRE_DUAL: Final = "RequireDualStack"
_POLICY: Final = "spec.ipFamilyPolicy"
_OTHER: Final = {"IPv4": "IPv6", "IPv6": "IPv4"}


def with_families(new: Service, old: Service | None, configured: Sequence[str]) -> Service:
    """`configured`: the families the cluster has addresses of, its default first. Raises Invalid."""
    if new.spec.type == EXTERNAL_NAME or unchanged_preference(new, old):
        return new
    if new.spec.ipFamilyPolicy is None:
        new = replace(new, spec=replace(new.spec, ipFamilyPolicy=_inferred_policy(new, old)))
    _refuse(new, cluster_ip_fields(new))
    new = _reduced(new, old)
    _refuse(new, tuple(_contradictions(new, old, configured)))
    families = (*new.spec.ipFamilies, *(family_of(ip) for ip in new.spec.clusterIPs[len(new.spec.ipFamilies):] if ip != NONE))
    if new.spec.clusterIP == NONE and not new.spec.selector:
        families = families or (configured[0],)
        if len(families) < 2 and new.spec.ipFamilyPolicy != SINGLE:
            families = (*families, _OTHER[families[0]])
        return replace(new, spec=replace(new.spec, ipFamilies=families))
    _refuse(new, tuple(_not_configured(new, families, configured)))
    families = families or (configured[0],)
    if len(families) == 1 and len(configured) == 2 and new.spec.ipFamilyPolicy != SINGLE:
        families = (*families, _OTHER[families[0]])
    return replace(new, spec=replace(new.spec, ipFamilies=families))


def unchanged_preference(new: Service, old: Service | None) -> bool:
    """A Service that merely prefers two families is not changed because the cluster has changed its families since."""
    return (
        old is not None and new.spec.ipFamilyPolicy == PREFER_DUAL and new.spec.type == old.spec.type
        and new.spec.type in (CLUSTER_IP, NODE_PORT, LOAD_BALANCER) and old.spec.ipFamilyPolicy in (None, PREFER_DUAL)
        and new.spec.clusterIPs == old.spec.clusterIPs and new.spec.ipFamilies == old.spec.ipFamilies
    )


def _inferred_policy(new: Service, old: Service | None) -> str:
    if old is not None and old.spec.ipFamilyPolicy is not None:
        return old.spec.ipFamilyPolicy
    return REQUIRE_DUAL if new.spec.clusterIP == NONE and not new.spec.selector else SINGLE


def _reduced(new: Service, old: Service | None) -> Service:
    """Setting the policy to one family is a clear wish to give the second one up."""
    if old is None or new.spec.ipFamilyPolicy != SINGLE:
        return new
    spec = new.spec
    if spec.clusterIPs == old.spec.clusterIPs:
        spec = replace(spec, clusterIPs=spec.clusterIPs[:1])
    if spec.ipFamilies == old.spec.ipFamilies:
        spec = replace(spec, ipFamilies=spec.ipFamilies[:1])
    return replace(new, spec=spec)


def _contradictions(new: Service, old: Service | None, configured: Sequence[str]) -> Iterator[FieldError]:
    spec = new.spec
    if old is not None and spec.ipFamilyPolicy != SINGLE:
        if 0 < len(spec.clusterIPs) < len(old.spec.clusterIPs):
            yield invalid(_POLICY, spec.ipFamilyPolicy, "must be 'SingleStack' to release the secondary cluster IP")
        if 0 < len(spec.ipFamilies) < len(old.spec.ipFamilies):
            yield invalid(_POLICY, spec.ipFamilyPolicy, "must be 'SingleStack' to release the secondary IP family")
    if spec.ipFamilyPolicy == SINGLE:
        both = "must be 'RequireDualStack' or 'PreferDualStack' when multiple"
        if len(spec.clusterIPs) == 2:
            yield invalid(_POLICY, spec.ipFamilyPolicy, f"{both} cluster IPs are specified")
        if len(spec.ipFamilies) == 2:
            yield invalid(_POLICY, spec.ipFamilyPolicy, f"{both} IP families are specified")
    for i, ip in enumerate(spec.clusterIPs):
        if ip == NONE:
            break
        if i >= len(spec.ipFamilies) and family_of(ip) not in configured:
            yield invalid(f"spec.clusterIPs[{i}]", spec.clusterIPs, f"{family_of(ip)} is not configured on this cluster")


def _not_configured(new: Service, families: Sequence[str], configured: Sequence[str]) -> Iterator[FieldError]:
    if new.spec.ipFamilyPolicy == REQUIRE_DUAL and len(configured) < 2:
        yield invalid(_POLICY, REQUIRE_DUAL, "this cluster is not configured for dual-stack services")
    for i, family in enumerate(families):
        if family not in configured:
            yield invalid(f"spec.ipFamilies[{i}]", family, "not configured on this cluster")


def _refuse(service: Service, errors: Sequence[FieldError]) -> None:
    if errors:
        raise Invalid.of("", "Service", service.metadata.name, errors)
