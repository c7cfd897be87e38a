"""Which of a Service's fields its type makes meaningful. https://kubernetes.io/docs/concepts/services-networking/service/"""
from __future__ import annotations

from typing import Final

from kubelet_lite.api.core_v1 import Service

NONE: Final = "None"
CLUSTER_IP: Final = "ClusterIP"
NODE_PORT: Final = "NodePort"
LOAD_BALANCER: Final = "LoadBalancer"
EXTERNAL_NAME: Final = "ExternalName"


def needs_cluster_ip(service: Service) -> bool:
    return service.spec.type != EXTERNAL_NAME


def is_headless(service: Service) -> bool:
    return bool(service.spec.clusterIPs) and service.spec.clusterIPs[0] == NONE


def needs_node_ports(service: Service) -> bool:
    return service.spec.type in (NODE_PORT, LOAD_BALANCER)


def allocates_node_ports(service: Service) -> bool:
    spec = service.spec
    return spec.type == NODE_PORT or (spec.type == LOAD_BALANCER and spec.allocateLoadBalancerNodePorts is True)


def needs_health_check(service: Service) -> bool:
    return service.spec.type == LOAD_BALANCER and service.spec.externalTrafficPolicy == "Local"


def externally_accessible(service: Service) -> bool:
    return needs_node_ports(service) or (service.spec.type == CLUSTER_IP and bool(service.spec.externalIPs))


def node_ports(service: Service) -> tuple[int, ...]:
    return tuple(port.nodePort for port in service.spec.ports if port.nodePort)
