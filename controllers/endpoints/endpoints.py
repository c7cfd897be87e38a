"""Endpoints of Services with a selector: the older form, one object a Service with all its addresses.

https://kubernetes.io/docs/concepts/services-networking/service/#endpoints
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from kubelet_lite.api.core_v1 import Endpoints, Pod, Service
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
    Record,
    Update,
    itself,
    key_of,
    on_change,
)
from kubelet_lite.controllers.endpoints import backends
from kubelet_lite.controllers.endpoints.subsets import cut, subsets
from kubelet_lite.controllers.endpoints.trigger_times import TriggerTimes, annotated

MANAGED_BY: Final = "endpoints.kubernetes.io/managed-by"
MANAGER: Final = "endpoint-controller"
OVER_CAPACITY: Final = "endpoints.kubernetes.io/over-capacity"
LEADER_ANNOTATION: Final = "control-plane.alpha.kubernetes.io/leader"
"""On Endpoints by which processes of old elected a leader: they have no Service."""


class View(msgspec.Struct, frozen=True):
    """`service` is None for Endpoints whose Service is gone. `trigger`: when the change happened that this view follows."""

    service: Service | None
    pods: tuple[Pod, ...]
    endpoints: Endpoints | None
    trigger: str = ""


class EndpointsController(Controller[View]):
    """It remembers the times that it saw, for an annotation alone."""

    name = "endpoint-controller"

    def __init__(self, informers: Informers) -> None:
        self.primary = informers.of(Service)
        self._pods = informers.of(Pod)
        self._endpoints = informers.of(Endpoints)
        self._times = TriggerTimes()

    def informers(self) -> Sequence[Any]:
        return self.primary, self._pods, self._endpoints

    def all_keys(self) -> Sequence[Key]:
        """Services, and Endpoints that may have been left behind by one."""
        return list(dict.fromkeys([*super().all_keys(), *(key_of(endpoints) for endpoints in self._endpoints.list())]))

    def connect(self, enqueue: Enqueue) -> None:
        on_change(self.primary, itself, enqueue)
        on_change(self._pods, lambda change: backends.services_of(self.primary, change), enqueue)
        on_change(self._endpoints, _known, enqueue)

    def view(self, key: Key, failures: Sequence[Failure]) -> View | None:
        service, endpoints = self.primary.get(key.name, key.namespace), self._endpoints.get(key.name, key.namespace)
        if service is None:
            self._times.forget(key)
            left_behind = endpoints is not None and LEADER_ANNOTATION not in endpoints.metadata.annotations
            return View(None, (), endpoints) if left_behind else None
        if not backends.selects(service):
            return None
        selected = backends.selected(service, self._pods)
        terminating = service.spec.publishNotReadyAddresses
        pods = tuple(pod for pod in selected if backends.is_endpoint(pod, terminating=terminating))
        return View(service, pods, endpoints, self._times.look(key, service, selected))

    def plan(self, view: View, now: float) -> Plan:
        return plan(view)


def _known(change: Change[Endpoints]) -> Iterator[Key]:
    """Ours that are changed, and all that are deleted. Those that somebody makes before the Service may wait for it."""
    if change.new is None or (change.old is not None and change.old.metadata.labels.get(MANAGED_BY) == MANAGER):
        yield key_of(change.object)


def plan(view: View) -> Plan:
    service, existing = view.service, view.endpoints
    if service is None:
        return Plan((Delete(object=existing),)) if existing is not None else NOTHING
    found, over = cut(subsets(service, view.pods))
    named = f"{service.metadata.namespace}/{service.metadata.name}"
    if existing is None:
        metadata = ObjectMeta(
            name=service.metadata.name, namespace=service.metadata.namespace, labels=_labels(service), annotations=_annotations({}, view.trigger, over),
        )
        made = Endpoints(metadata=metadata, subsets=found)
        failure = Record(made, "Warning", "FailedToCreateEndpoint", f"Failed to create endpoint for service {named}: {{error}}")
        return Plan((Create(object=made, failure=failure),))
    metadata = existing.metadata
    if existing.subsets == found and metadata.labels == _labels(service) and (OVER_CAPACITY in metadata.annotations) == over:
        return NOTHING
    metadata = msgspec.structs.replace(metadata, labels=_labels(service), annotations=_annotations(metadata.annotations, view.trigger, over))
    failure = Record(existing, "Warning", "FailedToUpdateEndpoint", f"Failed to update endpoint {named}: {{error}}")
    return Plan((Update(object=msgspec.structs.replace(existing, metadata=metadata, subsets=found), failure=failure),))


def _labels(service: Service) -> dict[str, str]:
    labels = {key: value for key, value in service.metadata.labels.items() if key != backends.HEADLESS_LABEL}
    if backends.is_headless(service):
        labels[backends.HEADLESS_LABEL] = ""
    return {**labels, MANAGED_BY: MANAGER}


def _annotations(known: Mapping[str, str], trigger: str, over: bool) -> dict[str, str]:
    found = {key: value for key, value in annotated(known, trigger).items() if key != OVER_CAPACITY}
    return {**found, OVER_CAPACITY: "truncated"} if over else found
