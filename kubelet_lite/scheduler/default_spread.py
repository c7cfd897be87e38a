"""Spreading of pods that do not ask for it: over nodes and zones, together with the pods of the same Services and the same owner.

https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/#internal-default-constraints
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from kubelet_lite.api import selectors
from kubelet_lite.api.apps_v1 import ReplicaSet, StatefulSet
from kubelet_lite.api.core_v1 import Pod, ReplicationController, Service, TopologySpreadConstraint
from kubelet_lite.api.meta_v1 import OwnerReference
from kubelet_lite.api.selectors import EVERYTHING, Selector
from kubelet_lite.scheduler.pod_terms import HOSTNAME, ZONE, Spread, spread_by
from kubelet_lite.scheduler.surroundings import Surroundings

OWNERS: Final[Mapping[tuple[str, str], type[ReplicationController | ReplicaSet | StatefulSet]]] = {
    ("v1", "ReplicationController"): ReplicationController,
    ("apps/v1", "ReplicaSet"): ReplicaSet,
    ("apps/v1", "StatefulSet"): StatefulSet,
}
BUILT_IN: Final = (
    TopologySpreadConstraint(topologyKey=HOSTNAME, maxSkew=3, whenUnsatisfiable="ScheduleAnyway"),
    TopologySpreadConstraint(topologyKey=ZONE, maxSkew=5, whenUnsatisfiable="ScheduleAnyway"),
)
MAX_KEPT: Final = 1024


class DefaultSpread:
    """Finds a pod's default constraints; once for pods of equal labels and owner, until Services or owners change."""

    def __init__(self, surroundings: Surroundings, constraints: Sequence[TopologySpreadConstraint] = BUILT_IN) -> None:
        self._surroundings = surroundings
        self._by = constraints
        self._services: dict[str, list[Selector]] = {}
        self._services_as_of = -1
        self._found: dict[object, Sequence[Spread]] = {}

    def needs(self, pod: Pod) -> Sequence[type[Any]]:
        """Only pods with labels can be selected."""
        owner = owner_of(pod) if pod.metadata.ownerReferences else None
        if not pod.metadata.labels or not self._by:
            return ()
        return (Service,) if owner is None else (Service, OWNERS[owner.apiVersion, owner.kind])

    def spreads(self, pod: Pod) -> Sequence[Spread]:
        """None of them where nothing selects the pod."""
        if self._services_as_of != self._surroundings.changed(Service):
            self._read_services()
        services = self._services.get(pod.metadata.namespace, ())
        owner = owner_of(pod) if pod.metadata.ownerReferences else None
        if not services and owner is None:
            return ()
        owner_as_of = self._surroundings.changed(OWNERS[owner.apiVersion, owner.kind]) if owner is not None else 0
        key = pod.metadata.namespace, frozenset(pod.metadata.labels.items()), owner and (owner.kind, owner.name), owner_as_of
        found = self._found.get(key)
        if found is None:
            if len(self._found) >= MAX_KEPT:
                self._found.clear()
            found = self._found[key] = self._constraints(pod, services, owner)
        return found

    def _read_services(self) -> None:
        self._services, self._found = {}, {}
        for service in self._surroundings.list(Service):
            if service.spec.selector:
                self._services.setdefault(service.metadata.namespace, []).append(selectors.from_labels(service.spec.selector))
        self._services_as_of = self._surroundings.changed(Service)

    def _constraints(self, pod: Pod, services: Sequence[Selector], owner: OwnerReference | None) -> Sequence[Spread]:
        requirements = {r: None for selector in services if selector.matches(pod.metadata.labels) for r in selector.requirements}
        of_owner = self._owner_selector(pod, owner) if owner is not None else EVERYTHING
        selector = Selector((*requirements, *of_owner.requirements))
        return () if selector.empty else tuple(spread_by(constraint, selector) for constraint in self._by)

    def _owner_selector(self, pod: Pod, reference: OwnerReference) -> Selector:
        """What the owner selects by; everything when it is gone."""
        owner = self._surroundings.get(OWNERS[reference.apiVersion, reference.kind], reference.name, pod.metadata.namespace)
        if owner is None:
            return EVERYTHING
        if isinstance(owner, ReplicationController):
            return selectors.from_labels(owner.spec.selector)
        return selectors.from_label_selector(owner.spec.selector)


def owner_of(pod: Pod) -> OwnerReference | None:
    """The pod's controller, if it is of a kind that is spread."""
    return next((r for r in pod.metadata.ownerReferences if r.controller and (r.apiVersion, r.kind) in OWNERS), None)
