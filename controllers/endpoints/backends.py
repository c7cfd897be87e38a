"""What a Service and its pods say about endpoints: who is one, whether it is ready, on which ports. Pure."""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from kubelet_lite.api.core_v1 import Container, ObjectReference, Pod, Service, ServicePort
from kubelet_lite.client.cache import Change, Informer
from kubelet_lite.controllers.base import Key, key_of

TRIGGER_TIME: Final = "endpoints.kubernetes.io/last-change-trigger-time"
HEADLESS_LABEL: Final = "service.kubernetes.io/headless"
ZONE_LABEL: Final = "topology.kubernetes.io/zone"
TERMINAL: Final = ("Succeeded", "Failed")


def selects(service: Service) -> bool:
    """Whether a Service has endpoints that come from pods."""
    return bool(service.spec.selector) and service.spec.type != "ExternalName"


def is_selected(service: Service, labels: Mapping[str, str]) -> bool:
    return all(labels.get(key) == value for key, value in service.spec.selector.items())


def is_endpoint(pod: Pod, *, terminating: bool) -> bool:
    """Whether a selected pod is an endpoint at all; `terminating`: those that are being deleted too."""
    if pod.status.phase in TERMINAL or not pod.status.podIPs:
        return False
    return terminating or pod.metadata.deletionTimestamp is None


def is_ready(pod: Pod) -> bool:
    return any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions)


def ready_since(pod: Pod) -> str:
    """When its readiness last changed; "" when it was never said."""
    return next((c.lastTransitionTime or "" for c in pod.status.conditions if c.type == "Ready"), "")


def address_of(pod: Pod, family: str) -> str:
    """The pod's address of a family (IPv4, IPv6); "" when it has none."""
    return next((ip.ip for ip in pod.status.podIPs if (":" in ip.ip) == (family == "IPv6")), "")


def hostname_of(pod: Pod, service: Service) -> str:
    """The name under which DNS knows the pod behind a headless Service."""
    same = pod.spec.hostname and pod.spec.subdomain == service.metadata.name and pod.metadata.namespace == service.metadata.namespace
    return pod.spec.hostname if same else ""


def target_port(pod: Pod, port: ServicePort) -> int | None:
    """The number of a Service port's target at a pod; None: the pod has no port of that name and protocol."""
    target = port.targetPort
    if isinstance(target, int):
        return target or port.port
    if not target:
        return port.port
    for container in _long_running(pod):
        for candidate in container.ports:
            if candidate.name == target and (candidate.protocol or "TCP") == (port.protocol or "TCP"):
                return candidate.containerPort
    return None


def _long_running(pod: Pod) -> Iterator[Container]:
    yield from pod.spec.containers
    yield from (c for c in pod.spec.initContainers if c.restartPolicy == "Always")


def target(pod: Pod) -> ObjectReference:
    meta = pod.metadata
    return ObjectReference(kind="Pod", namespace=meta.namespace, name=meta.name, uid=meta.uid)


def trigger_time(times: Iterable[str]) -> str:
    """The earliest of the changes that an update follows; "" for one that follows from none with a time."""
    return min((time for time in times if time), default="")


def annotated(annotations: Mapping[str, str], trigger: str) -> dict[str, str]:
    kept = {key: value for key, value in annotations.items() if key != TRIGGER_TIME}
    return {**kept, TRIGGER_TIME: trigger} if trigger else kept


def services_of(services: Informer[Service], change: Change[Pod]) -> Iterator[Key]:
    """The Services whose endpoints a pod's change may concern."""
    old, new = change.old, change.new
    if old is not None and new is not None and _same(old, new):
        return
    for service in services.list(change.object.metadata.namespace):
        if selects(service) and any(pod is not None and is_selected(service, pod.metadata.labels) for pod in (old, new)):
            yield key_of(service)


def _same(old: Pod, new: Pod) -> bool:
    """Whether nothing changed that an endpoint is made of."""
    def facts(pod: Pod) -> Sequence[Any]:
        return (
            pod.metadata.labels, pod.metadata.deletionTimestamp is None, pod.status.podIPs, pod.status.phase in TERMINAL, is_ready(pod),
            pod.spec.nodeName, pod.spec.hostname, pod.spec.subdomain,
        )

    return facts(old) == facts(new)
