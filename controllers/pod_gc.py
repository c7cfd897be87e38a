"""Removes pods that nobody else will: those of nodes that are gone, and those that were deleted before they had a node.

https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-garbage-collection
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from kubelet_lite.api.core_v1 import Node, Pod
from kubelet_lite.api.scheduling_rules import FINISHED
from kubelet_lite.client.cache import Change, Informers, by_node
from kubelet_lite.controllers.base import (
    NOTHING,
    Controller,
    Delete,
    Enqueue,
    Failure,
    Key,
    Plan,
    key_of,
    on_change,
)
from kubelet_lite.controllers.disruption_target import disruption_target

QUARANTINE_SECONDS: Final = 40.0
"""How long a node has to be gone before its pods go: it may be coming back under its name."""


class View(msgspec.Struct, frozen=True):
    pod: Pod
    node_exists: bool


class PodGarbageCollector(Controller[View]):
    name = "pod-garbage-collector"

    def __init__(self, informers: Informers) -> None:
        self.primary = informers.of(Pod, indexes={"node": by_node})
        self._nodes = informers.of(Node)

    def informers(self) -> Sequence[Any]:
        return self.primary, self._nodes

    def connect(self, enqueue: Enqueue) -> None:
        on_change(self.primary, self._without_node, enqueue, QUARANTINE_SECONDS)
        on_change(self.primary, _deleted_without_node, enqueue)
        on_change(self._nodes, self._pods_of_gone, enqueue, QUARANTINE_SECONDS)

    def _without_node(self, change: Change[Pod]) -> Iterator[Key]:
        if change.new is not None and change.new.spec.nodeName and self._nodes.get(change.new.spec.nodeName) is None:
            yield key_of(change.new)

    def _pods_of_gone(self, change: Change[Node]) -> Iterator[Key]:
        if change.new is None:
            yield from (key_of(pod) for pod in self.primary.by_index("node", change.object.metadata.name))

    def view(self, key: Key, failures: Sequence[Failure]) -> View | None:
        pod = self.primary.get(key.name, key.namespace)
        return View(pod, self._nodes.get(pod.spec.nodeName) is not None) if pod is not None else None

    def plan(self, view: View, now: float) -> Plan:
        return plan(view, now)


def _deleted_without_node(change: Change[Pod]) -> Iterator[Key]:
    if change.new is not None and change.new.metadata.deletionTimestamp is not None and not change.new.spec.nodeName:
        yield key_of(change.new)


def plan(view: View, now: float) -> Plan:
    pod = view.pod
    if not pod.spec.nodeName:
        return Plan((Delete(object=pod, grace_period_seconds=0),)) if pod.metadata.deletionTimestamp is not None else NOTHING
    if view.node_exists:
        return NOTHING
    gone = Delete(object=pod, grace_period_seconds=0)
    if pod.status.phase in FINISHED:
        return Plan((gone,))
    return Plan((disruption_target(pod, "DeletionByPodGC", "PodGC: node no longer exists", now, phase="Failed"), gone))
