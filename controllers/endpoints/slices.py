"""EndpointSlices of Services with a selector: at most 100 endpoints each, grouped by their ports, changed as little as possible.

https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from kubelet_lite.api.core_v1 import Node, Pod, Service
from kubelet_lite.api.discovery_v1 import Endpoint, EndpointConditions, EndpointPort, EndpointSlice
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.resources import resource_of
from kubelet_lite.client.cache import Change, Informers, by_label
from kubelet_lite.controllers.base import (
    NOTHING,
    Action,
    Controller,
    Create,
    Delete,
    Enqueue,
    Failure,
    Key,
    Plan,
    Update,
    controller_reference,
    itself,
    on_change,
)
from kubelet_lite.controllers.endpoints import backends

MAX_ENDPOINTS: Final = 100
"""maxEndpointsPerSlice."""
SERVICE_LABEL: Final = "kubernetes.io/service-name"
MANAGED_BY: Final = "endpointslice.kubernetes.io/managed-by"
MANAGER: Final = "endpointslice-controller.k8s.io"
RESERVED_LABELS: Final = frozenset({SERVICE_LABEL, MANAGED_BY, backends.HEADLESS_LABEL})

Ports = tuple[EndpointPort, ...]


class View(msgspec.Struct, frozen=True):
    """One Service, the pods that it selects, all slices that say they are its, and the zone of each node."""

    service: Service
    pods: tuple[Pod, ...]
    slices: tuple[EndpointSlice, ...]
    zones: Mapping[str, str]


class EndpointSliceController(Controller[View]):
    name = "endpointslice-controller"

    def __init__(self, informers: Informers) -> None:
        self.primary = informers.of(Service)
        self._pods = informers.of(Pod)
        self._nodes = informers.of(Node)
        self._slices = informers.of(EndpointSlice, indexes={"service": by_label(SERVICE_LABEL)})

    def informers(self) -> Sequence[Any]:
        return self.primary, self._pods, self._nodes, self._slices

    def connect(self, enqueue: Enqueue) -> None:
        on_change(self.primary, itself, enqueue)
        on_change(self._pods, lambda change: backends.services_of(self.primary, change), enqueue)
        on_change(self._slices, _service_of, enqueue)

    def view(self, key: Key, failures: Sequence[Failure]) -> View | None:
        service = self.primary.get(key.name, key.namespace)
        if service is None or not backends.selects(service):
            return None
        pods = tuple(
            pod for pod in self._pods.list(key.namespace)
            if backends.is_selected(service, pod.metadata.labels) and backends.is_endpoint(pod, terminating=True)
        )
        slices = tuple(s for s in self._slices.by_index("service", f"{key.namespace}/{key.name}") if s.metadata.labels.get(MANAGED_BY) == MANAGER)
        names = {pod.spec.nodeName for pod in pods}
        zones = {name: node.metadata.labels.get(backends.ZONE_LABEL, "") for name in sorted(names) if (node := self._nodes.get(name)) is not None}
        return View(service, pods, slices, zones)

    def plan(self, view: View, now: float) -> Plan:
        return plan(view)


def _service_of(change: Change[EndpointSlice]) -> Iterator[Key]:
    """Slices that somebody else changes are put right."""
    for obj in (change.old, change.new):
        if obj is not None and obj.metadata.labels.get(MANAGED_BY) == MANAGER and SERVICE_LABEL in obj.metadata.labels:
            yield Key(obj.metadata.namespace, obj.metadata.labels[SERVICE_LABEL])


def plan(view: View) -> Plan:
    service = view.service
    if service.metadata.deletionTimestamp is not None:
        return NOTHING
    actions: list[Action] = []
    families = service.spec.ipFamilies or ("IPv4",)
    for family in families:
        existing = [s for s in view.slices if s.addressType == family and s.metadata.deletionTimestamp is None]
        actions += _family(view, family, existing)
    actions += [Delete(object=s) for s in view.slices if s.addressType not in families]
    return Plan(tuple(actions))


def _family(view: View, family: str, existing: Sequence[EndpointSlice]) -> list[Action]:
    wanted = desired(view, family)
    actions: list[Action] = []
    kept: list[EndpointSlice] = []
    for ports, endpoints in wanted.items():
        mine = [s for s in existing if tuple(s.ports) == ports]
        kept += mine
        actions += _group(view, family, ports, endpoints, mine)
    unused = [s for s in existing if not any(s is k for k in kept)]
    if not wanted:  # a Service without endpoints keeps one empty slice
        if unused:
            empty = _changed(view, unused[0], (), ())
            actions += [Update(object=empty)] if empty != unused[0] else []
        else:
            actions.append(Create(object=_new(view, family, (), ())))
        unused = unused[1:]
    return [*actions, *(Delete(object=s) for s in unused)]


def desired(view: View, family: str) -> dict[Ports, list[Endpoint]]:
    """All endpoints of a family by their ports, in the order of their addresses."""
    found: dict[Ports, list[Endpoint]] = {}
    for pod in view.pods:
        address = backends.address_of(pod, family)
        if address:
            found.setdefault(_ports(view.service, pod), []).append(_endpoint(view, pod, address))
    return {ports: sorted(endpoints, key=lambda e: (e.addresses, _uid(e))) for ports, endpoints in found.items()}


def _group(view: View, family: str, ports: Ports, wanted: Sequence[Endpoint], existing: Sequence[EndpointSlice]) -> list[Action]:
    """Keeps each endpoint in the slice where it is, fills what has room, and makes new slices only for the rest."""
    missing = {(e.addresses, _uid(e)): e for e in wanted}
    content: list[tuple[EndpointSlice, list[Endpoint]]] = []
    for slice_ in existing:
        here = []
        for endpoint in slice_.endpoints:
            now = missing.pop((endpoint.addresses, _uid(endpoint)), None)
            if now is not None:
                here.append(now)
        content.append((slice_, here))
    rest = list(missing.values())
    for _, here in sorted(content, key=lambda pair: -len(pair[1])):
        room = max(MAX_ENDPOINTS - len(here), 0)
        here += rest[:room]
        rest = rest[room:]
    actions: list[Action] = []
    for slice_, here in content:
        if not here:
            actions.append(Delete(object=slice_))
            continue
        changed = _changed(view, slice_, ports, tuple(here))
        if changed != slice_:
            actions.append(Update(object=changed))
    actions += [Create(object=_new(view, family, ports, tuple(rest[i:i + MAX_ENDPOINTS]))) for i in range(0, len(rest), MAX_ENDPOINTS)]
    return actions


def _uid(endpoint: Endpoint) -> str:
    return endpoint.targetRef.uid if endpoint.targetRef is not None else ""


def _ports(service: Service, pod: Pod) -> Ports:
    found = []
    for port in service.spec.ports:
        number = backends.target_port(pod, port)
        if number is not None:
            found.append(EndpointPort(name=port.name, protocol=port.protocol or "TCP", port=number, appProtocol=port.appProtocol))
    return tuple(found)


def _endpoint(view: View, pod: Pod, address: str) -> Endpoint:
    serving, terminating = backends.is_ready(pod), pod.metadata.deletionTimestamp is not None
    ready = view.service.spec.publishNotReadyAddresses or (serving and not terminating)
    return Endpoint(
        addresses=(address,), conditions=EndpointConditions(ready=ready, serving=serving, terminating=terminating),
        hostname=backends.hostname_of(pod, view.service) or None, targetRef=backends.target(pod), nodeName=pod.spec.nodeName or None,
        zone=view.zones.get(pod.spec.nodeName) or None,
    )


def _labels(service: Service) -> dict[str, str]:
    labels = {key: value for key, value in service.metadata.labels.items() if key not in RESERVED_LABELS}
    if service.spec.clusterIP == "None":
        labels[backends.HEADLESS_LABEL] = ""
    return {**labels, SERVICE_LABEL: service.metadata.name, MANAGED_BY: MANAGER}


def _new(view: View, family: str, ports: Ports, endpoints: tuple[Endpoint, ...]) -> EndpointSlice:
    meta = view.service.metadata
    trigger = backends.trigger_time([meta.creationTimestamp or "", *_times(view, endpoints)]) if endpoints else ""
    metadata = ObjectMeta(
        generateName=f"{meta.name}-", namespace=meta.namespace, labels=_labels(view.service), annotations=backends.annotated({}, trigger),
        ownerReferences=(controller_reference(view.service, resource_of(Service)),),
    )
    slice_ = EndpointSlice(metadata=metadata, addressType=family, endpoints=endpoints)
    return msgspec.structs.replace(slice_, ports=ports) if ports else slice_


def _changed(view: View, slice_: EndpointSlice, ports: Ports, endpoints: tuple[Endpoint, ...]) -> EndpointSlice:
    """The slice as it should be, or itself when it is so: the trigger's time alone is no reason to write."""
    labels, owner = _labels(view.service), (controller_reference(view.service, resource_of(Service)),)
    meta = slice_.metadata
    if tuple(slice_.endpoints) == endpoints and tuple(slice_.ports) == ports and meta.labels == labels and meta.ownerReferences == owner:
        return slice_
    before = {e.addresses: e for e in slice_.endpoints}
    news = [e for e in endpoints if before.get(e.addresses) is None or before[e.addresses].conditions != e.conditions]
    annotations = backends.annotated(meta.annotations, backends.trigger_time(_times(view, news)))
    metadata = msgspec.structs.replace(meta, labels=labels, annotations=annotations, ownerReferences=owner)
    changed = EndpointSlice(metadata=metadata, addressType=slice_.addressType, endpoints=endpoints)
    return msgspec.structs.replace(changed, ports=ports) if ports else changed


def _times(view: View, endpoints: Sequence[Endpoint]) -> list[str]:
    uids = {_uid(endpoint) for endpoint in endpoints}
    return [backends.ready_since(pod) for pod in view.pods if pod.metadata.uid in uids and pod.metadata.deletionTimestamp is None]
