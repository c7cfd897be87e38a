"""Mirrors Endpoints that somebody made for a Service without selector into EndpointSlices.

https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/#endpointslice-mirroring
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from kubelet_lite.api import names
from kubelet_lite.api.core_v1 import EndpointAddress, Endpoints, EndpointSubset, Service
from kubelet_lite.api.discovery_v1 import Endpoint, EndpointConditions, EndpointPort, EndpointSlice
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.resources import resource_of
from kubelet_lite.client.cache import Informers, by_label
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
    Record,
    Update,
    controller_reference,
    itself,
    on_change,
)
from kubelet_lite.controllers.endpoints import packing, trigger_times
from kubelet_lite.controllers.endpoints import ports as endpoint_ports
from kubelet_lite.controllers.endpoints.endpoints import LEADER_ANNOTATION
from kubelet_lite.controllers.endpoints.slices import MANAGED_BY, SERVICE_LABEL, services_of_slice

MANAGER: Final = "endpointslicemirroring-controller.k8s.io"
SKIP_LABEL: Final = "endpointslice.kubernetes.io/skip-mirror"
NOT_COPIED: Final = frozenset({"kubectl.kubernetes.io/last-applied-configuration", trigger_times.ANNOTATION})
MAX_ADDRESSES: Final = 1000
"""Of a subset (mirroringMaxEndpointsPerSubset), and so of a slice."""

Group = tuple[str, packing.Ports]
"""Address family and ports: one slice each."""


class View(msgspec.Struct, frozen=True):
    endpoints: Endpoints | None
    service: Service | None
    slices: tuple[EndpointSlice, ...]


class EndpointSliceMirroring(Controller[View]):
    name = "endpointslicemirroring-controller"
    event_source = "endpoint-slice-mirroring-controller"

    def __init__(self, informers: Informers) -> None:
        self.primary = informers.of(Endpoints)
        self._services = informers.of(Service)
        self._slices = informers.of(EndpointSlice, indexes={"service": by_label(SERVICE_LABEL)})

    def informers(self) -> Sequence[Any]:
        return self.primary, self._services, self._slices

    def connect(self, enqueue: Enqueue) -> None:
        on_change(self.primary, itself, enqueue)
        on_change(self._services, itself, enqueue)
        on_change(self._slices, lambda change: services_of_slice(change, MANAGER), enqueue)

    def view(self, key: Key, failures: Sequence[Failure]) -> View | None:
        mine = tuple(s for s in self._slices.by_index("service", f"{key.namespace}/{key.name}") if s.metadata.labels.get(MANAGED_BY) == MANAGER)
        return View(self.primary.get(key.name, key.namespace), self._services.get(key.name, key.namespace), mine)

    def plan(self, view: View, now: float) -> Plan:
        return plan(view)


def is_mirrored(endpoints: Endpoints, service: Service) -> bool:
    labels, annotations = endpoints.metadata.labels, endpoints.metadata.annotations
    return not service.spec.selector and labels.get(SKIP_LABEL) != "true" and LEADER_ANNOTATION not in annotations


def plan(view: View) -> Plan:
    endpoints, service = view.endpoints, view.service
    alive = [s for s in view.slices if s.metadata.deletionTimestamp is None]
    if endpoints is None or service is None or not is_mirrored(endpoints, service):
        return Plan(tuple(Delete(object=s) for s in alive)) if alive else NOTHING
    groups: dict[Group, dict[packing.Identity, Endpoint]] = {}
    invalid = skipped = 0
    for subset in endpoints.subsets:
        added, refused = _mirror(subset, groups)
        invalid += refused
        skipped += len(subset.addresses) + len(subset.notReadyAddresses) - added
    actions: list[Action] = []
    made: list[EndpointSlice] = []
    for (family, ports), found in groups.items():
        slice_ = EndpointSlice(metadata=_metadata(endpoints), addressType=family, endpoints=tuple(found.values()))
        slice_ = msgspec.structs.replace(slice_, ports=ports) if ports else slice_
        same = next((s for s in alive if s.addressType == family and endpoint_ports.of_slice(s.ports) == ports), None)
        if same is None:
            made.append(slice_)
            continue
        alive.remove(same)
        actions += _updated(same, slice_)
    for slice_ in made:
        unneeded = next((s for s in alive if s.addressType == slice_.addressType), None)
        if unneeded is not None:
            alive.remove(unneeded)
            actions += _updated(unneeded, slice_)
        elif endpoints.metadata.deletionTimestamp is None:
            actions.insert(0, Create(object=slice_))
    return Plan((*actions, *(Delete(object=s) for s in alive), *(_complaints(endpoints, invalid, skipped) if actions else ())))


def _mirror(subset: EndpointSubset, groups: dict[Group, dict[packing.Identity, Endpoint]]) -> tuple[int, int]:
    """Adds a subset's endpoints to the groups; how many, and how many addresses are none."""
    ports = endpoint_ports.of_slice(
        EndpointPort(name=p.name, protocol=p.protocol or endpoint_ports.TCP, port=p.port, appProtocol=p.appProtocol) for p in subset.ports
    )
    added = refused = 0
    for address, ready in [*((a, True) for a in subset.addresses), *((a, False) for a in subset.notReadyAddresses)]:
        if added == MAX_ADDRESSES:
            break
        ip = names.address(address.ip)
        if ip is None:
            refused += 1
            continue
        endpoint = _endpoint(address, str(ip), ready)
        groups.setdefault((f"IPv{ip.version}", ports), {})[packing.identity(endpoint)] = endpoint
        added += 1
    return added, refused


def _endpoint(address: EndpointAddress, ip: str, ready: bool) -> Endpoint:
    return Endpoint(
        addresses=(ip,), conditions=EndpointConditions(ready=ready), hostname=address.hostname or None, nodeName=address.nodeName,
        targetRef=address.targetRef,
    )


def _metadata(endpoints: Endpoints) -> ObjectMeta:
    meta = endpoints.metadata
    return ObjectMeta(
        generateName=f"{meta.name}-", namespace=meta.namespace, labels={**meta.labels, SERVICE_LABEL: meta.name, MANAGED_BY: MANAGER},
        annotations={key: value for key, value in meta.annotations.items() if key not in NOT_COPIED},
        ownerReferences=(controller_reference(endpoints, resource_of(Endpoints)),),
    )


def _updated(existing: EndpointSlice, wanted: EndpointSlice) -> Iterator[Update]:
    meta = wanted.metadata
    metadata = msgspec.structs.replace(existing.metadata, labels=meta.labels, annotations=meta.annotations, ownerReferences=meta.ownerReferences)
    changed = msgspec.structs.replace(wanted, metadata=metadata)
    if changed != existing:
        yield Update(object=changed)


def _complaints(endpoints: Endpoints, invalid: int, skipped: int) -> Iterator[Record]:
    """About addresses that are left out."""
    if invalid:
        yield Record(endpoints, "Warning", "InvalidIPAddress", f"Skipped {invalid} invalid IP addresses when mirroring to EndpointSlices")
    if skipped > invalid:
        message = f"A max of {MAX_ADDRESSES} addresses can be mirrored to EndpointSlices per Endpoints subset. {skipped} addresses were skipped"
        yield Record(endpoints, "Warning", "TooManyAddressesToMirror", message)
