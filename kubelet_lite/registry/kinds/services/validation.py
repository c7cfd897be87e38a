"""What a Service must look like, and what an update may change. The order of the checks is the order of an Invalid's causes."""
from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kubelet_lite.api import names
from kubelet_lite.api.core_v1 import Service, ServicePort, SessionAffinityConfig
from kubelet_lite.api.errors import FieldError, duplicate, forbidden, invalid, not_supported, required
from kubelet_lite.registry.kinds.services import kind_of
from kubelet_lite.registry.kinds.services.kind_of import CLUSTER_IP, EXTERNAL_NAME, LOAD_BALANCER, NODE_PORT, NONE
from kubelet_lite.registry.validation.addresses import endpoint_address
from kubelet_lite.registry.validation.collected import collected
from kubelet_lite.registry.validation.labels import label_map
from kubelet_lite.registry.validation.named import cidr, dns_label, dns_subdomain, ip_address, qualified_name
from kubelet_lite.registry.validation.ports import port_number, port_number_or_name, protocol

TYPES: Final = (CLUSTER_IP, EXTERNAL_NAME, LOAD_BALANCER, NODE_PORT)
AFFINITIES: Final = ("ClientIP", NONE)
FAMILIES: Final = ("IPv4", "IPv6")
FAMILY_POLICIES: Final = ("PreferDualStack", "RequireDualStack", "SingleStack")
TRAFFIC_POLICIES: Final = ("Cluster", "Local")
DISTRIBUTIONS: Final = ("PreferClose", "PreferSameZone", "PreferSameNode")
KUBELET_PORT: Final = 10250
LONGEST_AFFINITY_SECONDS: Final = 86400
TOPOLOGY_HINTS: Final = "service.kubernetes.io/topology-aware-hints"
TOPOLOGY_MODE: Final = "service.kubernetes.io/topology-mode"
SOURCE_RANGES: Final = "service.beta.kubernetes.io/load-balancer-source-ranges"
_ONLY_LOAD_BALANCER: Final = "may only be used when `type` is 'LoadBalancer'"
_ONLY_LOCAL: Final = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"


@collected
def validate(service: Service) -> Iterator[FieldError]:
    spec = service.spec
    yield from _topology(service)
    if not spec.ports and not kind_of.is_headless(service) and spec.type != EXTERNAL_NAME:
        yield required("spec.ports")
    yield from _type_rules(service)
    seen_names: list[str] = []
    for i, port in enumerate(spec.ports):
        yield from _port(f"spec.ports[{i}]", port, len(spec.ports) > 1, seen_names)
    yield from label_map("spec.selector", spec.selector)
    yield from _affinity(service)
    yield from cluster_ip_fields(service)
    for i, ip in enumerate(spec.externalIPs):
        errors = tuple(ip_address(f"spec.externalIPs[{i}]", ip)) or tuple(endpoint_address(f"spec.externalIPs[{i}]", ip))
        yield from errors
    if spec.type not in TYPES:
        yield not_supported("spec.type", spec.type, TYPES)
    yield from _node_ports(service)
    yield from _distinct_ports(service)
    yield from _source_ranges(service)
    if spec.allocateLoadBalancerNodePorts is not None and spec.type != LOAD_BALANCER:
        yield forbidden("spec.allocateLoadBalancerNodePorts", _ONLY_LOAD_BALANCER)
    yield from _load_balancer_class(service)
    yield from _external_traffic(service)
    if spec.internalTrafficPolicy is not None and spec.internalTrafficPolicy not in TRAFFIC_POLICIES:
        yield not_supported("spec.internalTrafficPolicy", spec.internalTrafficPolicy, TRAFFIC_POLICIES)
    if spec.trafficDistribution is not None and spec.trafficDistribution not in DISTRIBUTIONS:
        yield not_supported("spec.trafficDistribution", spec.trafficDistribution, DISTRIBUTIONS)


def _topology(service: Service) -> Iterator[FieldError]:
    hints, mode = service.metadata.annotations.get(TOPOLOGY_HINTS), service.metadata.annotations.get(TOPOLOGY_MODE)
    if hints is not None and mode is not None and hints != mode:
        yield invalid(f"metadata.annotations[{TOPOLOGY_MODE}]", mode, f"must match annotations[{TOPOLOGY_HINTS}] when both are specified")


def _type_rules(service: Service) -> Iterator[FieldError]:
    spec = service.spec
    match spec.type:
        case "LoadBalancer":
            for i, port in enumerate(spec.ports):
                if port.port == KUBELET_PORT:
                    yield invalid(f"spec.ports[{i}]", port.port, f"may not expose port {KUBELET_PORT} externally since it is used by kubelet")
            if kind_of.is_headless(service):
                yield invalid("spec.clusterIPs[0]", NONE, "may not be set to 'None' for LoadBalancer services")
        case "NodePort":
            if kind_of.is_headless(service):
                yield invalid("spec.clusterIPs[0]", NONE, "may not be set to 'None' for NodePort services")
        case "ExternalName":
            if spec.clusterIPs:
                yield forbidden("spec.clusterIPs", "may not be set for ExternalName services")
            if spec.ipFamilies:
                yield forbidden("spec.ipFamilies", "may not be set for ExternalName services")
            if spec.ipFamilyPolicy is not None:
                yield forbidden("spec.ipFamilyPolicy", "may not be set for ExternalName services")
            if name := spec.externalName.removesuffix("."):
                yield from dns_subdomain("spec.externalName", name)
            else:
                yield required("spec.externalName")


def _port(path: str, port: ServicePort, named: bool, seen: list[str]) -> Iterator[FieldError]:
    if port.name:
        yield from dns_label(f"{path}.name", port.name)
        if port.name in seen:
            yield duplicate(f"{path}.name", port.name)
        seen.append(port.name)
    elif named:
        yield required(f"{path}.name")
    yield from port_number(f"{path}.port", port.port)
    yield from protocol(f"{path}.protocol", port.protocol)
    yield from port_number_or_name(f"{path}.targetPort", port.targetPort)
    if port.appProtocol is not None:
        yield from qualified_name(f"{path}.appProtocol", port.appProtocol)


def _affinity(service: Service) -> Iterator[FieldError]:
    affinity, config = service.spec.sessionAffinity, service.spec.sessionAffinityConfig
    if not affinity:
        yield required("spec.sessionAffinity")
    elif affinity not in AFFINITIES:
        yield not_supported("spec.sessionAffinity", affinity, AFFINITIES)
    if affinity == "ClientIP":
        yield from _affinity_config("spec.sessionAffinityConfig", config)
    elif affinity == NONE and config is not None:
        yield forbidden("spec.sessionAffinityConfig", "must not be set when session affinity is None")


def _affinity_config(path: str, config: SessionAffinityConfig | None) -> Iterator[FieldError]:
    why = "when session affinity type is ClientIP"
    if config is None:
        yield required(path, why)
    elif config.clientIP is None:
        yield required(f"{path}.clientIP", why)
    elif (seconds := config.clientIP.timeoutSeconds) is None:
        yield required(f"{path}.clientIP.timeoutSeconds", why)
    elif not 0 < seconds <= LONGEST_AFFINITY_SECONDS:
        yield invalid(f"{path}.clientIP.timeoutSeconds", seconds, f"must be greater than 0 and less than {LONGEST_AFFINITY_SECONDS}")


@collected
def cluster_ip_fields(service: Service) -> Iterator[FieldError]:
    """clusterIP, clusterIPs, ipFamilies and ipFamilyPolicy: checked before addresses are allocated, and again with the rest."""
    spec = service.spec
    if spec.type == EXTERNAL_NAME:
        return
    clean = True
    for error in _cluster_ips_in_step(service):
        clean = False
        yield error
    for i, family in enumerate(spec.ipFamilies):
        if family not in FAMILIES:
            clean = False
            yield not_supported(f"spec.ipFamilies[{i}]", family, FAMILIES)
        if family in spec.ipFamilies[:i]:
            clean = False
            yield duplicate(f"spec.ipFamilies[{i}]", family)
    if spec.ipFamilyPolicy is not None and spec.ipFamilyPolicy not in FAMILY_POLICIES:
        clean = False
        yield not_supported("spec.ipFamilyPolicy", spec.ipFamilyPolicy, FAMILY_POLICIES)
    malformed = False
    for i, ip in enumerate(spec.clusterIPs):
        if i == 0 and ip == NONE:
            if len(spec.clusterIPs) > 1:
                malformed = True
                yield invalid("spec.clusterIPs", spec.clusterIPs, "'None' must be the first and only value")
            continue
        for error in ip_address(f"spec.clusterIPs[{i}]", ip):
            malformed = True
            yield error
    if len(spec.clusterIPs) > len(FAMILIES):
        clean = False
        yield invalid("spec.clusterIPs", spec.clusterIPs, "may only hold up to 2 values")
    if malformed:
        return
    if len(spec.clusterIPs) > 1 and len({family_of(ip) for ip in spec.clusterIPs}) < 2:
        clean = False
        yield invalid("spec.clusterIPs", spec.clusterIPs, "may specify no more than one IP for each IP family")
    if clean and not kind_of.is_headless(service):
        for i, (ip, family) in enumerate(zip(spec.clusterIPs, spec.ipFamilies, strict=False)):
            if family != family_of(ip):
                yield invalid(f"spec.clusterIPs[{i}]", ip, f"expected an {family} value as indicated by `ipFamilies[{i}]`")


def _cluster_ips_in_step(service: Service) -> Iterator[FieldError]:
    spec = service.spec
    if not spec.clusterIP:
        if spec.clusterIPs:
            yield invalid("spec.clusterIPs", spec.clusterIPs, "must be empty when `clusterIP` is not specified")
    elif not spec.clusterIPs:
        yield required("spec.clusterIPs")
    elif spec.clusterIPs[0] != spec.clusterIP:
        yield invalid("spec.clusterIPs", spec.clusterIPs, "first value must match `clusterIP`")


def family_of(ip: str) -> str:
    found = names.address(ip)
    return "unknown" if found is None else f"IPv{found.version}"


def _node_ports(service: Service) -> Iterator[FieldError]:
    seen: list[tuple[str, int]] = []
    for i, port in enumerate(service.spec.ports):
        if service.spec.type == CLUSTER_IP and port.nodePort:
            yield forbidden(f"spec.ports[{i}].nodePort", "may not be used when `type` is 'ClusterIP'")
    for i, port in enumerate(service.spec.ports):
        if not port.nodePort:
            continue
        if (port.protocol, port.nodePort) in seen:
            yield duplicate(f"spec.ports[{i}].nodePort", port.nodePort)
        seen.append((port.protocol, port.nodePort))


def _distinct_ports(service: Service) -> Iterator[FieldError]:
    seen: list[tuple[str, int]] = []
    for i, port in enumerate(service.spec.ports):
        if (port.protocol, port.port) in seen:
            shown = {"Name": "", "Protocol": port.protocol, "AppProtocol": None, "Port": port.port, "TargetPort": 0, "NodePort": 0}
            yield duplicate(f"spec.ports[{i}]", shown)
        seen.append((port.protocol, port.port))


def _source_ranges(service: Service) -> Iterator[FieldError]:
    if ranges := service.spec.loadBalancerSourceRanges:
        path = "spec.LoadBalancerSourceRanges"
        if service.spec.type != LOAD_BALANCER:
            yield forbidden(path, _ONLY_LOAD_BALANCER)
        for i, value in enumerate(ranges):
            yield from cidr(f"{path}[{i}]", value.strip())
    elif (text := service.metadata.annotations.get(SOURCE_RANGES)) is not None:
        path = f"metadata.annotations[{SOURCE_RANGES}]"
        if service.spec.type != LOAD_BALANCER:
            yield forbidden(path, _ONLY_LOAD_BALANCER)
        for value in text.strip().split(",") if text else ():
            yield from cidr(path, value.strip())


def _load_balancer_class(service: Service) -> Iterator[FieldError]:
    name = service.spec.loadBalancerClass
    if name is None:
        return
    if service.spec.type == LOAD_BALANCER:
        yield from qualified_name("spec.loadBalancerClass", name)
    else:
        yield forbidden("spec.loadBalancerClass", _ONLY_LOAD_BALANCER)


def _external_traffic(service: Service) -> Iterator[FieldError]:
    policy, port = service.spec.externalTrafficPolicy, service.spec.healthCheckNodePort
    if not kind_of.externally_accessible(service):
        if policy:
            yield invalid("spec.externalTrafficPolicy", policy, "may only be set for externally-accessible services")
    elif not policy:
        yield required("spec.externalTrafficPolicy")
    elif policy not in TRAFFIC_POLICIES:
        yield not_supported("spec.externalTrafficPolicy", policy, TRAFFIC_POLICIES)
    if not kind_of.needs_health_check(service):
        if port:
            yield invalid("spec.healthCheckNodePort", port, _ONLY_LOCAL)
    elif not port:
        yield required("spec.healthCheckNodePort")
    else:
        yield from port_number("spec.healthCheckNodePort", port)


@collected
def validate_update(new: Service, old: Service) -> Iterator[FieldError]:
    if EXTERNAL_NAME not in (new.spec.type, old.spec.type):
        yield from _same_cluster_ips(new, old)
        yield from _same_families(new, old)
    if new.spec.type == old.spec.type == LOAD_BALANCER and new.spec.loadBalancerClass != old.spec.loadBalancerClass:
        yield invalid("spec.loadBalancerClass", new.spec.loadBalancerClass, "may not change once set")
    yield from _load_balancer_class(new)
    both_checked = kind_of.needs_health_check(new) and kind_of.needs_health_check(old)
    if both_checked and new.spec.healthCheckNodePort != old.spec.healthCheckNodePort:
        yield forbidden("spec.healthCheckNodePort", "field is immutable")


def _same_cluster_ips(new: Service, old: Service) -> Iterator[FieldError]:
    """A second address may come and go; the first stays."""
    if kind_of.is_headless(new) and kind_of.is_headless(old):
        return
    now, before = new.spec.clusterIPs, old.spec.clusterIPs
    if len(now) == len(before):
        for i, (ip, was) in enumerate(zip(now, before, strict=True)):
            if ip != was:
                yield invalid(f"spec.clusterIPs[{i}]", now, "may not change once set")
        return
    if not now:
        yield invalid("spec.clusterIPs[0]", now, "primary clusterIP can not be unset")
    if now and before and now[0] != before[0]:
        yield invalid("spec.clusterIPs[0]", now, "may not change once set")
    if len(now) == 1 and len(before) > 1 and new.spec.ipFamilyPolicy != "SingleStack":
        yield invalid("spec.ipFamilyPolicy", new.spec.ipFamilyPolicy, "must be set to 'SingleStack' when releasing the secondary clusterIP")


def _same_families(new: Service, old: Service) -> Iterator[FieldError]:
    """Those of headless Services are nobody's addresses: they may change."""
    if kind_of.is_headless(new) or kind_of.is_headless(old):
        return
    now, before = new.spec.ipFamilies, old.spec.ipFamilies
    if not now and before:
        yield invalid("spec.ipFamilies[0]", now, "primary ipFamily can not be unset")
    changed = now != before if len(now) == len(before) else now[:1] != before[:1]
    if now and before and changed:
        yield invalid("spec.ipFamilies[0]", now, "may not change once set")
    if len(now) == 1 and len(before) > 1 and new.spec.ipFamilyPolicy != "SingleStack":
        yield invalid("spec.ipFamilyPolicy", new.spec.ipFamilyPolicy, "must be set to 'SingleStack' when releasing the secondary ipFamily")


@collected
def validate_status_update(new: Service, old: Service) -> Iterator[FieldError]:
    ingresses = new.status.loadBalancer.ingress
    if ingresses and new.spec.type != LOAD_BALANCER:
        yield forbidden("status.loadBalancer.ingress", "may only be used when `spec.type` is 'LoadBalancer'")
        return
    for i, ingress in enumerate(ingresses):
        path = f"status.loadBalancer.ingress[{i}]"
        if ingress.ip:
            yield from ip_address(f"{path}.ip", ingress.ip)
        if not ingress.ip and ingress.ipMode is not None:
            yield forbidden(f"{path}.ipMode", "may not be specified when `ip` is not set")
        elif ingress.ip and ingress.ipMode is None:
            yield required(f"{path}.ipMode", "must be specified when `ip` is set")
        elif ingress.ipMode not in (None, "Proxy", "VIP"):
            yield not_supported(f"{path}.ipMode", ingress.ipMode, ["Proxy", "VIP"])
        if ingress.hostname:
            yield from dns_subdomain(f"{path}.hostname", ingress.hostname)
            if names.address(ingress.hostname) is not None:
                yield invalid(f"{path}.hostname", ingress.hostname, "must be a DNS name, not an IP address")
