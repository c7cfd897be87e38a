"""Endpoints of Services with a selector: the older form, one object a Service with all its addresses.

https://kubernetes.io/docs/concepts/services-networking/service/#endpoints
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from kubelet_lite.api.core_v1 import EndpointAddress, EndpointPort, Endpoints, EndpointSubset, Pod, Service
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.client.cache import Change, Informers
from kubelet_lite.controllers.base import (
    NOTHING,
    Controller,
    Create,
    Delete,
    Enqueue,
    Failure,
    Key,
    Plan,
    Update,
    itself,
    key_of,
    on_change,
)
from kubelet_lite.controllers.endpoints import backends

MANAGED_BY: Final = "endpoints.kubernetes.io/managed-by"
MANAGER: Final = "endpoint-controller"
OVER_CAPACITY: Final = "endpoints.kubernetes.io/over-capacity"
MAX_ADDRESSES: Final = 1000
"""Addresses beyond it are left out, and an annotation says so."""


class View(msgspec.Struct, frozen=True):
    """`service` is None for Endpoints whose Service is gone."""

    service: Service | None
    pods: tuple[Pod, ...]
    endpoints: Endpoints | None


class EndpointsController(Controller[View]):
    name = "endpoint-controller"

    def __init__(self, informers: Informers) -> None:
        self.primary = informers.of(Service)
        self._pods = informers.of(Pod)
        self._endpoints = informers.of(Endpoints)

    def informers(self) -> Sequence[Any]:
        return self.primary, self._pods, self._endpoints

    def all_keys(self) -> Sequence[Key]:
        managed = [key_of(e) for e in self._endpoints.list() if e.metadata.labels.get(MANAGED_BY) == MANAGER]
        return list(dict.fromkeys([*super().all_keys(), *managed]))

    def connect(self, enqueue: Enqueue) -> None:
        on_change(self.primary, itself, enqueue)
        on_change(self._pods, lambda change: backends.services_of(self.primary, change), enqueue)
        on_change(self._endpoints, _managed, enqueue)

    def view(self, key: Key, failures: Sequence[Failure]) -> View | None:
        service, endpoints = self.primary.get(key.name, key.namespace), self._endpoints.get(key.name, key.namespace)
        if service is None:
            mine = endpoints is not None and endpoints.metadata.labels.get(MANAGED_BY) == MANAGER
            return View(None, (), endpoints) if mine else None
        if not backends.selects(service):
            return None
        terminating = service.spec.publishNotReadyAddresses
        pods = tuple(
            pod for pod in self._pods.list(key.namespace)
            if backends.is_selected(service, pod.metadata.labels) and backends.is_endpoint(pod, terminating=terminating)
        )
        return View(service, pods, endpoints)

    def plan(self, view: View, now: float) -> Plan:
        return plan(view)


def _managed(change: Change[Endpoints]) -> Iterator[Key]:
    if change.old is not None and change.old.metadata.labels.get(MANAGED_BY) == MANAGER:
        yield key_of(change.object)


def plan(view: View) -> Plan:
    service, existing = view.service, view.endpoints
    if service is None:
        return Plan((Delete(object=existing),)) if existing is not None else NOTHING
    if service.metadata.deletionTimestamp is not None:
        return NOTHING
    subsets, over = _truncated(_subsets(service, view.pods))
    labels = {**service.metadata.labels, MANAGED_BY: MANAGER}
    if service.spec.clusterIP == "None":
        labels[backends.HEADLESS_LABEL] = ""
    if existing is None:
        times = [service.metadata.creationTimestamp or "", *(backends.ready_since(pod) for pod in view.pods)]
        annotations = _annotations({}, backends.trigger_time(times) if subsets else "", over)
        metadata = ObjectMeta(name=service.metadata.name, namespace=service.metadata.namespace, labels=labels, annotations=annotations)
        return Plan((Create(object=Endpoints(metadata=metadata, subsets=subsets)),))
    if existing.subsets == subsets and existing.metadata.labels == labels and (OVER_CAPACITY in existing.metadata.annotations) == over:
        return NOTHING
    annotations = _annotations(existing.metadata.annotations, _trigger(existing.subsets, subsets, view.pods), over)
    metadata = msgspec.structs.replace(existing.metadata, labels=labels, annotations=annotations)
    return Plan((Update(object=msgspec.structs.replace(existing, metadata=metadata, subsets=subsets)),))


def _annotations(known: Any, trigger: str, over: bool) -> dict[str, str]:
    found = {key: value for key, value in backends.annotated(known, trigger).items() if key != OVER_CAPACITY}
    return {**found, OVER_CAPACITY: "truncated"} if over else found


def _trigger(old: Sequence[EndpointSubset], new: Sequence[EndpointSubset], pods: Sequence[Pod]) -> str:
    """The earliest readiness change among the addresses that are new or changed sides."""
    def sides(subsets: Sequence[EndpointSubset]) -> dict[str, bool]:
        found = {a.targetRef.uid: False for s in subsets for a in s.notReadyAddresses if a.targetRef is not None}
        return {**found, **{a.targetRef.uid: True for s in subsets for a in s.addresses if a.targetRef is not None}}

    before, after = sides(old), sides(new)
    changed = {uid for uid, ready in after.items() if before.get(uid) is not ready}
    return backends.trigger_time(backends.ready_since(pod) for pod in pods if pod.metadata.uid in changed)


def _subsets(service: Service, pods: Sequence[Pod]) -> tuple[EndpointSubset, ...]:
    """Addresses with equal ports together; both in a fixed order, so that the same endpoints always look the same."""
    family = (service.spec.ipFamilies or ("IPv4",))[0]
    groups: dict[tuple[EndpointPort, ...], tuple[list[EndpointAddress], list[EndpointAddress]]] = {}
    for pod in pods:
        ip = backends.address_of(pod, family)
        if not ip:
            continue
        ports = tuple(sorted(_ports(service, pod), key=lambda p: (p.name, p.protocol, p.port)))
        if service.spec.ports and not ports:
            continue
        address = EndpointAddress(ip=ip, hostname=backends.hostname_of(pod, service), nodeName=pod.spec.nodeName or None, targetRef=backends.target(pod))
        ready, not_ready = groups.setdefault(ports, ([], []))
        (ready if backends.is_ready(pod) or service.spec.publishNotReadyAddresses else not_ready).append(address)
    by_ip = lambda a: (a.ip, a.targetRef.uid if a.targetRef is not None else "")  # noqa: E731
    found = [
        EndpointSubset(addresses=tuple(sorted(ready, key=by_ip)), notReadyAddresses=tuple(sorted(rest, key=by_ip)), ports=ports)
        for ports, (ready, rest) in groups.items()
    ]
    return tuple(sorted(found, key=lambda s: [(p.port, p.name) for p in s.ports]))


def _ports(service: Service, pod: Pod) -> Iterator[EndpointPort]:
    for port in service.spec.ports:
        number = backends.target_port(pod, port)
        if number is not None:
            yield EndpointPort(name=port.name, port=number, protocol=port.protocol or "TCP", appProtocol=port.appProtocol)


def _truncated(subsets: tuple[EndpointSubset, ...]) -> tuple[tuple[EndpointSubset, ...], bool]:
    """Ready addresses count first."""
    left = MAX_ADDRESSES
    if sum(len(s.addresses) + len(s.notReadyAddresses) for s in subsets) <= left:
        return subsets, False
    kept = []
    for subset in subsets:
        ready = subset.addresses[:left]
        left -= len(ready)
        kept.append(msgspec.structs.replace(subset, addresses=ready))
    for index, subset in enumerate(kept):
        rest = subset.notReadyAddresses[:left]
        left -= len(rest)
        kept[index] = msgspec.structs.replace(subset, notReadyAddresses=rest)
    return tuple(s for s in kept if s.addresses or s.notReadyAddresses), True
