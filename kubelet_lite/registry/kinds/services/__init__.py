"""Services: a stable address and name for a set of pods. https://kubernetes.io/docs/concepts/services-networking/service/"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from msgspec.structs import replace

from kubelet_lite.api import names
from kubelet_lite.api.core_v1 import (
    ClientIPConfig,
    LoadBalancerStatus,
    Service,
    ServicePort,
    ServiceSpec,
    SessionAffinityConfig,
)
from kubelet_lite.registry.kinds.ages import NONE, age, labels_text
from kubelet_lite.registry.kinds.services import kind_of
from kubelet_lite.registry.kinds.services.allocation import ServiceAllocator
from kubelet_lite.registry.kinds.services.kind_of import CLUSTER_IP, EXTERNAL_NAME, LOAD_BALANCER, NODE_PORT
from kubelet_lite.registry.kinds.services.validation import (
    TOPOLOGY_HINTS,
    TOPOLOGY_MODE,
    validate,
    validate_status_update,
    validate_update,
)
from kubelet_lite.registry.rules import KindRules, Selectable

AFFINITY_SECONDS: Final = 3 * 60 * 60
"""How long a client keeps its endpoint where nothing is said."""


def _default(service: Service) -> Service:
    spec = _default_affinity(service.spec)
    if not spec.type:
        spec = replace(spec, type=CLUSTER_IP)
    spec = replace(spec, ports=tuple(_default_port(port) for port in spec.ports))
    if not spec.externalTrafficPolicy and kind_of.externally_accessible(replace(service, spec=spec)):
        spec = replace(spec, externalTrafficPolicy="Cluster")
    if spec.internalTrafficPolicy is None and spec.type in (NODE_PORT, LOAD_BALANCER, CLUSTER_IP):
        spec = replace(spec, internalTrafficPolicy="Cluster")
    service = replace(service, spec=spec)
    return _default_load_balancer(service) if spec.type == LOAD_BALANCER else service


def _default_affinity(spec: ServiceSpec) -> ServiceSpec:
    if not spec.sessionAffinity or spec.sessionAffinity == "None":
        return replace(spec, sessionAffinity="None", sessionAffinityConfig=None)
    config = spec.sessionAffinityConfig
    if spec.sessionAffinity != "ClientIP" or (config is not None and config.clientIP is not None and config.clientIP.timeoutSeconds is not None):
        return spec
    return replace(spec, sessionAffinityConfig=SessionAffinityConfig(clientIP=ClientIPConfig(timeoutSeconds=AFFINITY_SECONDS)))


def _default_port(port: ServicePort) -> ServicePort:
    if port.protocol and port.targetPort:
        return port
    return replace(port, protocol=port.protocol or "TCP", targetPort=port.targetPort or port.port)


def _default_load_balancer(service: Service) -> Service:
    if service.spec.allocateLoadBalancerNodePorts is None:
        service = replace(service, spec=replace(service.spec, allocateLoadBalancerNodePorts=True))
    ingress = service.status.loadBalancer.ingress
    if any(entry.ip and entry.ipMode is None for entry in ingress):
        done = tuple(replace(entry, ipMode="VIP") if entry.ip and entry.ipMode is None else entry for entry in ingress)
        service = replace(service, status=replace(service.status, loadBalancer=replace(service.status.loadBalancer, ingress=done)))
    return service


def _prepare_update(new: Service, old: Service) -> Service:
    """What a change of type makes meaningless goes, where the user did not change it as well."""
    spec, was = new.spec, old.spec
    if not kind_of.needs_cluster_ip(new) and kind_of.needs_cluster_ip(old):
        if (spec.clusterIP, spec.clusterIPs) == (was.clusterIP, was.clusterIPs):
            spec = replace(spec, clusterIP="", clusterIPs=())
        if spec.ipFamilies == was.ipFamilies:
            spec = replace(spec, ipFamilies=())
        if spec.ipFamilyPolicy == was.ipFamilyPolicy:
            spec = replace(spec, ipFamilyPolicy=None)
    if kind_of.needs_node_ports(old) and not kind_of.needs_node_ports(new) and set(kind_of.node_ports(new)) <= set(kind_of.node_ports(old)):
        spec = replace(spec, ports=tuple(replace(port, nodePort=0) for port in spec.ports))
    if kind_of.needs_health_check(old) and not kind_of.needs_health_check(new) and spec.healthCheckNodePort == was.healthCheckNodePort:
        spec = replace(spec, healthCheckNodePort=0)
    if was.type == LOAD_BALANCER and spec.type != LOAD_BALANCER:
        if spec.allocateLoadBalancerNodePorts == was.allocateLoadBalancerNodePorts:
            spec = replace(spec, allocateLoadBalancerNodePorts=None)
        if spec.loadBalancerClass == was.loadBalancerClass:
            spec = replace(spec, loadBalancerClass=None)
    needless = kind_of.externally_accessible(old) and not kind_of.externally_accessible(new)
    if needless and spec.externalTrafficPolicy == was.externalTrafficPolicy:
        spec = replace(spec, externalTrafficPolicy="")
    new = replace(new, spec=spec)
    if spec.type != LOAD_BALANCER and new.status.loadBalancer.ingress:
        new = replace(new, status=replace(new.status, loadBalancer=LoadBalancerStatus()))
    return new


def _warnings(new: Service, old: Service | None) -> Sequence[str]:
    spec = new.spec
    headless = spec.type == CLUSTER_IP and spec.clusterIP == kind_of.NONE
    found: list[str] = []
    if TOPOLOGY_HINTS in new.metadata.annotations:
        found.append(f"annotation {TOPOLOGY_HINTS} is deprecated, please use {TOPOLOGY_MODE} instead")
    if spec.clusterIP not in ("", kind_of.NONE):
        for i, ip in enumerate(spec.clusterIPs):
            found += names.ip_address_warnings(f"spec.clusterIPs[{i}]", ip)
    if headless:
        if spec.loadBalancerIP:
            found.append("spec.loadBalancerIP is ignored for headless services")
        if spec.externalIPs:
            found.append("spec.externalIPs is ignored for headless services")
        if spec.sessionAffinity != "None":
            found.append("spec.SessionAffinity is ignored for headless services")
    for i, ip in enumerate(spec.externalIPs):
        found += names.ip_address_warnings(f"spec.externalIPs[{i}]", ip)
    if spec.externalIPs and not headless and spec.type != EXTERNAL_NAME:
        found.append("spec.externalIPs is deprecated and may no longer be implemented in some clusters")
    if spec.loadBalancerIP:
        found += names.ip_address_warnings("spec.loadBalancerIP", spec.loadBalancerIP)
    for i, cidr in enumerate(spec.loadBalancerSourceRanges):
        found += names.cidr_warnings(f"spec.loadBalancerSourceRanges[{i}]", cidr)
    if spec.type == EXTERNAL_NAME and spec.externalIPs:
        found.append('spec.externalIPs is ignored when spec.type is "ExternalName"')
    if spec.type != EXTERNAL_NAME and spec.externalName:
        found.append('spec.externalName is ignored when spec.type is not "ExternalName"')
    if spec.trafficDistribution == "PreferClose":
        found.append('spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"')
    return found


def _row(service: Service, now: float) -> Sequence[Any]:
    spec = service.spec
    ports = ",".join(f"{p.port}:{p.nodePort}/{p.protocol}" if p.nodePort else f"{p.port}/{p.protocol}" for p in spec.ports)
    return (
        service.metadata.name, spec.type, spec.clusterIPs[0] if spec.clusterIPs else NONE, _external(service), ports or NONE,
        age(service, now), labels_text(spec.selector),
    )


def _external(service: Service) -> str:
    spec = service.spec
    match spec.type:
        case "LoadBalancer":
            ingress = service.status.loadBalancer.ingress
            found = [*dict.fromkeys(sorted(entry.ip or entry.hostname for entry in ingress)), *spec.externalIPs]
            return ",".join(found) or "<pending>"
        case "ExternalName":
            return spec.externalName
        case "ClusterIP" | "NodePort":
            return ",".join(spec.externalIPs) or NONE
    return "<unknown>"


RULES: Final = KindRules(
    resource="services", default=_default, prepare_update=_prepare_update, validate=validate, validate_update=validate_update,
    validate_on_update="after", validate_status_update=validate_status_update, warnings=_warnings,
    name_errors=names.masked_prefix(names.dns1123_label), create_on_update=True, returns_deleted=True, allocator=ServiceAllocator, storage_path="/services/specs",
    selectable=(
        Selectable("spec.clusterIP", lambda service: service.spec.clusterIP), Selectable("spec.type", lambda service: service.spec.type),
    ),
    row=_row,
)
