"""What a Service and its pods say about endpoints: who is one, whether it is ready, under which address. Pure."""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from kubelet_lite.api.core_v1 import ObjectReference, Pod, Service
from kubelet_lite.api.scheduling_rules import FINISHED
from kubelet_lite.client.cache import Change, Informer
from kubelet_lite.controllers.base import Key, key_of
from kubelet_lite.controllers.pod_facts import is_ready

HEADLESS_LABEL: Final = "service.kubernetes.io/headless"


def selects(service: Service) -> bool:
    """Whether a Service has endpoints that come from pods."""
    return bool(service.spec.selector) and service.spec.type != "ExternalName"


def is_headless(service: Service) -> bool:
    return service.spec.clusterIP in ("", "None")


def is_selected(service: Service, labels: Mapping[str, str]) -> bool:
    return all(labels.get(key) == value for key, value in service.spec.selector.items())


def selected(service: Service, pods: Informer[Pod]) -> Sequence[Pod]:
    return [pod for pod in pods.list(service.metadata.namespace) if is_selected(service, pod.metadata.labels)]


def is_endpoint(pod: Pod, *, terminating: bool) -> bool:
    """Whether a selected pod is an endpoint at all; `terminating`: those that are being deleted too."""
    if pod.status.phase in FINISHED or not pod.status.podIPs:
        return False
    return terminating or pod.metadata.deletionTimestamp is None


def addresses_of(pod: Pod, family: str) -> tuple[str, ...]:
    """The pod's addresses of a family (IPv4, IPv6)."""
    return tuple(ip.ip for ip in pod.status.podIPs if (":" in ip.ip) == (family == "IPv6"))


def hostname_of(pod: Pod, service: Service) -> str:
    """The name under which DNS knows the pod behind a headless Service."""
    same = pod.spec.hostname and pod.spec.subdomain == service.metadata.name and pod.metadata.namespace == service.metadata.namespace
    return pod.spec.hostname if same else ""


def target(pod: Pod) -> ObjectReference:
    meta = pod.metadata
    return ObjectReference(kind="Pod", namespace=meta.namespace, name=meta.name, uid=meta.uid)


def services_of(services: Informer[Service], change: Change[Pod]) -> Iterator[Key]:
    """The Services whose endpoints a pod's change may concern."""
    old, new = change.old, change.new
    if old is not None and new is not None and _facts(old) == _facts(new):
        return
    for service in services.list(change.object.metadata.namespace):
        if selects(service) and any(pod is not None and is_selected(service, pod.metadata.labels) for pod in (old, new)):
            yield key_of(service)


def _facts(pod: Pod) -> Sequence[Any]:
    """What an endpoint is made of, as far as it may change."""
    return (
        pod.metadata.uid, pod.metadata.labels, pod.metadata.deletionTimestamp is None, pod.status.podIPs, pod.status.phase in FINISHED, is_ready(pod),
        pod.spec.nodeName, pod.spec.hostname, pod.spec.subdomain,
    )
