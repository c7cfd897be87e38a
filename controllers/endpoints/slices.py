"""EndpointSlices of Services with a selector: which endpoints there are, and the slices that are to hold them.

https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from kubelet_lite.api.core_v1 import Node, Pod, Service
from kubelet_lite.api.discovery_v1 import (
    Endpoint,
    EndpointConditions,
    EndpointHints,
    EndpointPort,
    EndpointSlice,
    ForNode,
    ForZone,
)
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.resources import resource_of
from kubelet_lite.client.cache import Change, Informers, by_label, by_node
from kubelet_lite.controllers.base import (
    Action,
    Controller,
    Create,
    Delete,
    Enqueue,
    Failure,
    Key,
    Plan,
    Record,
    Update,
    controller_reference,
    itself,
    on_change,
)
from kubelet_lite.controllers.endpoints import backends, packing
from kubelet_lite.controllers.endpoints import ports as endpoint_ports
from kubelet_lite.controllers.endpoints.packing import Ports
from kubelet_lite.controllers.endpoints.trigger_times import TriggerTimes, annotated
from kubelet_lite.controllers.pod_facts import is_ready

SERVICE_LABEL: Final = "kubernetes.io/service-name"
MANAGED_BY: Final = "endpointslice.kubernetes.io/managed-by"
MANAGER: Final = "endpointslice-controller.k8s.io"
RESERVED_LABELS: Final = frozenset({SERVICE_LABEL, MANAGED_BY, backends.HEADLESS_LABEL})
ZONE_LABEL: Final = "topology.kubernetes.io/zone"
TOPOLOGY_MODES: Final = ("service.kubernetes.io/topology-aware-hints", "service.kubernetes.io/topology-mode")
"""Annotations that ask for other hints than `trafficDistribution`; the first that is there counts."""


class View(msgspec.Struct, frozen=True):
    """One Service, those of its pods that are endpoints, all slices that say they are its."""

    service: Service
    pods: tuple[Pod, ...]
    slices: tuple[EndpointSlice, ...]
    zones: Mapping[str, str]
    """The zone of each node that there is and that one of the pods is on; "" for none."""
    trigger: str = ""
    """When the change happened that this view follows."""


class EndpointSliceController(Controller[View]):
    """It remembers the times that it saw, for an annotation alone."""

    name = "endpointslice-controller"
    event_source = "endpoint-slice-controller"

    def __init__(self, informers: Informers) -> None:
        self.primary = informers.of(Service)
        self._pods = informers.of(Pod, indexes={"node": by_node})
        self._nodes = informers.of(Node)
        self._slices = informers.of(EndpointSlice, indexes={"service": by_label(SERVICE_LABEL)})
        self._times = TriggerTimes()

    def informers(self) -> Sequence[Any]:
        return self.primary, self._pods, self._nodes, self._slices

    def connect(self, enqueue: Enqueue) -> None:
        on_change(self.primary, itself, enqueue)
        on_change(self._pods, lambda change: backends.services_of(self.primary, change), enqueue)
        on_change(self._nodes, self._services_on, enqueue)
        on_change(self._slices, lambda change: services_of_slice(change, MANAGER), enqueue)

    def view(self, key: Key, failures: Sequence[Failure]) -> View | None:
        service = self.primary.get(key.name, key.namespace)
        if service is None:
            self._times.forget(key)
        if service is None or not backends.selects(service):
            return None
        selected = backends.selected(service, self._pods)
        pods = tuple(pod for pod in selected if backends.is_endpoint(pod, terminating=True))
        slices = tuple(s for s in self._slices.by_index("service", f"{key.namespace}/{key.name}") if s.metadata.labels.get(MANAGED_BY) == MANAGER)
        names = dict.fromkeys(pod.spec.nodeName for pod in pods)
        zones = {name: node.metadata.labels.get(ZONE_LABEL, "") for name in names if (node := self._nodes.get(name)) is not None}
        return View(service, pods, slices, zones, self._times.look(key, service, selected))

    def plan(self, view: View, now: float) -> Plan:
        return plan(view)

    def _services_on(self, change: Change[Node]) -> Iterator[Key]:
        """A node that came, or whose zone is another now: its pods' endpoints are too."""
        old, new = change.old, change.new
        if new is not None and (old is None or old.metadata.labels.get(ZONE_LABEL) != new.metadata.labels.get(ZONE_LABEL)):
            for pod in self._pods.by_index("node", new.metadata.name):
                yield from backends.services_of(self.primary, Change(None, pod))


def services_of_slice(change: Change[EndpointSlice], manager: str) -> Iterator[Key]:
    """The Service of a manager's slice: what somebody else changes is put right."""
    for obj in (change.old, change.new):
        if obj is not None and obj.metadata.labels.get(MANAGED_BY) == manager and SERVICE_LABEL in obj.metadata.labels:
            yield Key(obj.metadata.namespace, obj.metadata.labels[SERVICE_LABEL])


def plan(view: View) -> Plan:
    families = view.service.spec.ipFamilies or ("IPv4",)
    actions: list[Action] = []
    alive = [s for s in view.slices if s.metadata.deletionTimestamp is None]
    for family in families:
        actions += _family(view, family, [s for s in alive if s.addressType == family])
    actions += [_delete(view.service, s) for s in alive if s.addressType not in families]
    return Plan((*actions, *_complaint(view)))


def _family(view: View, family: str, existing: Sequence[EndpointSlice]) -> list[Action]:
    service = view.service
    changes = packing.pack(desired(view, family), [s for s in existing if _is_owned(s, service)], _labels(service))
    actions: list[Action] = []
    if service.metadata.deletionTimestamp is None:  # the garbage collector is about to take all of them
        actions += [_create(view, family, ports, endpoints) for ports, endpoints in changes.made]
    actions += [_update(view, slice_, ports, endpoints) for slice_, ports, endpoints in changes.changed]
    foreign = [s for s in existing if not _is_owned(s, service)]  # of an older Service of the same name
    return [*actions, *(_delete(service, s) for s in [*foreign, *changes.gone])]


def desired(view: View, family: str) -> dict[Ports, list[Endpoint]]:
    """All endpoints of a family by their ports, in the order of their addresses. Ports that no endpoint of the family has are there too."""
    found: dict[Ports, list[Endpoint]] = {}
    for pod in view.pods:
        endpoints = found.setdefault(_ports(view.service, pod), [])
        addresses = backends.addresses_of(pod, family)
        if addresses and _is_placed(view, pod):
            endpoints.append(_endpoint(view, pod, addresses))
    return {ports: sorted(endpoints, key=packing.identity) for ports, endpoints in found.items()}


def _is_placed(view: View, pod: Pod) -> bool:
    """Whether a pod's node exists. One that is published whatever happens may lack it."""
    return pod.spec.nodeName in view.zones or view.service.spec.publishNotReadyAddresses


def _ports(service: Service, pod: Pod) -> Ports:
    return endpoint_ports.of_slice(
        EndpointPort(name=port.name, protocol=port.protocol or endpoint_ports.TCP, port=number, appProtocol=port.appProtocol)
        for port, number in endpoint_ports.found_at(pod, service)
    )


def _endpoint(view: View, pod: Pod, addresses: tuple[str, ...]) -> Endpoint:
    service = view.service
    serving, terminating = is_ready(pod), pod.metadata.deletionTimestamp is not None
    ready = service.spec.publishNotReadyAddresses or (serving and not terminating)
    node, zone = pod.spec.nodeName or None, view.zones.get(pod.spec.nodeName) or None
    return Endpoint(
        addresses=addresses, conditions=EndpointConditions(ready=ready, serving=serving, terminating=terminating),
        hostname=backends.hostname_of(pod, service) or None, targetRef=backends.target(pod), nodeName=node, zone=zone,
        hints=_hints(service, node, zone) if ready else None,
    )


def _hints(service: Service, node: str | None, zone: str | None) -> EndpointHints | None:
    """For whom an endpoint is meant: what the Service asks for by `trafficDistribution`."""
    annotations = service.metadata.annotations
    mode = next((annotations[name] for name in TOPOLOGY_MODES if name in annotations), "")
    if service.spec.trafficDistribution is None or mode in ("Auto", "auto"):
        return None
    zones = (ForZone(name=zone),) if zone is not None else ()
    nodes = (ForNode(name=node),) if node is not None and service.spec.trafficDistribution == "PreferSameNode" else ()
    return EndpointHints(forZones=zones, forNodes=nodes) if zones or nodes else None


def _is_owned(slice_: EndpointSlice, service: Service) -> bool:
    return any(r.uid == service.metadata.uid and r.kind == "Service" and r.apiVersion == "v1" for r in slice_.metadata.ownerReferences)


def _labels(service: Service) -> dict[str, str]:
    labels = {key: value for key, value in service.metadata.labels.items() if key not in RESERVED_LABELS}
    if backends.is_headless(service):
        labels[backends.HEADLESS_LABEL] = ""
    return {**labels, SERVICE_LABEL: service.metadata.name, MANAGED_BY: MANAGER}


# ---- actions


def _create(view: View, family: str, ports: Ports, endpoints: Sequence[Endpoint]) -> Create:
    meta = view.service.metadata
    metadata = ObjectMeta(
        generateName=f"{meta.name}-", namespace=meta.namespace, labels=_labels(view.service), annotations=annotated({}, view.trigger),
        ownerReferences=(controller_reference(view.service, resource_of(Service)),),
    )
    made = _filled(EndpointSlice(metadata=metadata, addressType=family), ports, endpoints)
    return Create(object=made, failure=_failure(view.service, f"failed to create EndpointSlice for Service {_named(view.service)}"))


def _update(view: View, slice_: EndpointSlice, ports: Ports, endpoints: Sequence[Endpoint]) -> Update:
    meta = slice_.metadata
    metadata = msgspec.structs.replace(meta, labels=_labels(view.service), annotations=annotated(meta.annotations, view.trigger))
    changed = _filled(EndpointSlice(metadata=metadata, addressType=slice_.addressType), ports, endpoints)
    return Update(object=changed, failure=_failure(view.service, f"failed to update {meta.name} EndpointSlice for Service {_named(view.service)}"))


def _delete(service: Service, slice_: EndpointSlice) -> Delete:
    what = f"failed to delete {slice_.metadata.name} EndpointSlice for Service {_named(service)}"
    return Delete(object=slice_, failure=_failure(service, what))


def _filled(slice_: EndpointSlice, ports: Ports, endpoints: Sequence[Endpoint]) -> EndpointSlice:
    """Without ports, the list of ports stays as a new slice has it: null."""
    filled = msgspec.structs.replace(slice_, endpoints=tuple(endpoints))
    return msgspec.structs.replace(filled, ports=ports) if ports else filled


def _named(service: Service) -> str:
    return f"{service.metadata.namespace}/{service.metadata.name}"


def _failure(service: Service, what: str) -> Record:
    return Record(service, "Warning", "FailedToUpdateEndpointSlices", f"Error updating Endpoint Slices for Service {_named(service)}: {what}: {{error}}")


def _complaint(view: View) -> Iterator[Record]:
    """About pods that are left out, until their node is there."""
    service = view.service
    said = [
        f"skipping Pod {pod.metadata.name} for Service {_named(service)}: Node {pod.spec.nodeName} Not Found"
        for pod in view.pods if not _is_placed(view, pod)
    ]
    if said:
        what = said[0] if len(said) == 1 else f"[{', '.join(said)}]"
        yield Record(service, "Warning", "FailedToUpdateEndpointSlices", f"Error updating Endpoint Slices for Service {_named(service)}: {what}")
