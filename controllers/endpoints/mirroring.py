"""Mirrors Endpoints that somebody made for a Service without selector into EndpointSlices.

https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/#endpointslice-mirroring
"""
from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from kubelet_lite.api.core_v1 import EndpointAddress, Endpoints, Service
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
from kubelet_lite.controllers.endpoints.slices import MANAGED_BY, SERVICE_LABEL

MANAGER: Final = "endpointslicemirroring-controller.k8s.io"
SKIP_LABEL: Final = "endpointslice.kubernetes.io/skip-mirror"
LEADER_ANNOTATION: Final = "control-plane.alpha.kubernetes.io/leader"
NOT_COPIED: Final = frozenset({"kubectl.kubernetes.io/last-applied-configuration", backends.TRIGGER_TIME})
MAX_ENDPOINTS: Final = 1000
"""mirroringMaxEndpointsPerSubset."""

Group = tuple[str, tuple[EndpointPort, ...]]


class View(msgspec.Struct, frozen=True):
    endpoints: Endpoints | None
    service: Service | None
    slices: tuple[EndpointSlice, ...]


class EndpointSliceMirroring(Controller[View]):
    name = "endpointslicemirroring-controller"

    def __init__(self, informers: Informers) -> None:
        self.primary = informers.of(Endpoints)
        self._services = informers.of(Service)
        self._slices = informers.of(EndpointSlice, indexes={"service": by_label(SERVICE_LABEL)})

    def informers(self) -> Sequence[Any]:
        return self.primary, self._services, self._slices

    def connect(self, enqueue: Enqueue) -> None:
        on_change(self.primary, itself, enqueue)
        on_change(self._services, itself, enqueue)
        on_change(self._slices, _endpoints_of, enqueue)

    def view(self, key: Key, failures: Sequence[Failure]) -> View | None:
        mine = tuple(s for s in self._slices.by_index("service", f"{key.namespace}/{key.name}") if s.metadata.labels.get(MANAGED_BY) == MANAGER)
        return View(self.primary.get(key.name, key.namespace), self._services.get(key.name, key.namespace), mine)

    def plan(self, view: View, now: float) -> Plan:
        return plan(view)


def _endpoints_of(change: Change[EndpointSlice]) -> Iterator[Key]:
    for obj in (change.old, change.new):
        if obj is not None and obj.metadata.labels.get(MANAGED_BY) == MANAGER and SERVICE_LABEL in obj.metadata.labels:
            yield Key(obj.metadata.namespace, obj.metadata.labels[SERVICE_LABEL])


def is_mirrored(endpoints: Endpoints, service: Service) -> bool:
    labels, annotations = endpoints.metadata.labels, endpoints.metadata.annotations
    return not service.spec.selector and labels.get(SKIP_LABEL) != "true" and LEADER_ANNOTATION not in annotations


def plan(view: View) -> Plan:
    endpoints = view.endpoints
    if endpoints is None or view.service is None or endpoints.metadata.deletionTimestamp is not None or not is_mirrored(endpoints, view.service):
        return Plan(tuple(Delete(object=s) for s in view.slices)) if view.slices else NOTHING
    wanted = desired(endpoints)
    actions: list[Action] = []
    left = list(view.slices)
    for (family, ports), found in wanted.items():
        existing = next((s for s in left if s.addressType == family and tuple(s.ports) == ports), None)
        slice_ = EndpointSlice(metadata=_metadata(endpoints), addressType=family, endpoints=tuple(found), ports=ports)
        if existing is None:
            actions.append(Create(object=slice_))
            continue
        left.remove(existing)
        meta = existing.metadata
        metadata = msgspec.structs.replace(
            meta, labels=slice_.metadata.labels, annotations=slice_.metadata.annotations, ownerReferences=slice_.metadata.ownerReferences,
        )
        changed = msgspec.structs.replace(slice_, metadata=metadata)
        if changed != existing:
            actions.append(Update(object=changed))
    return Plan((*actions, *(Delete(object=s) for s in left)))


def desired(endpoints: Endpoints) -> Mapping[Group, Sequence[Endpoint]]:
    """One slice an address family and set of ports."""
    groups: dict[Group, list[Endpoint]] = {}
    for subset in endpoints.subsets:
        ports = tuple(EndpointPort(name=p.name, protocol=p.protocol or "TCP", port=p.port, appProtocol=p.appProtocol) for p in subset.ports)
        addresses = [(address, True) for address in subset.addresses] + [(address, False) for address in subset.notReadyAddresses]
        for address, ready in addresses[:MAX_ENDPOINTS]:
            family = "IPv6" if ipaddress.ip_address(address.ip).version == 6 else "IPv4"
            groups.setdefault((family, ports), []).append(_endpoint(address, ready))
    return groups


def _endpoint(address: EndpointAddress, ready: bool) -> Endpoint:
    return Endpoint(
        addresses=(address.ip,), conditions=EndpointConditions(ready=ready), hostname=address.hostname or None, nodeName=address.nodeName,
        targetRef=address.targetRef,
    )


def _metadata(endpoints: Endpoints) -> ObjectMeta:
    meta = endpoints.metadata
    return ObjectMeta(
        generateName=f"{meta.name}-", namespace=meta.namespace, labels={**meta.labels, SERVICE_LABEL: meta.name, MANAGED_BY: MANAGER},
        annotations={key: value for key, value in meta.annotations.items() if key not in NOT_COPIED},
        ownerReferences=(controller_reference(endpoints, resource_of(Endpoints)),),
    )
