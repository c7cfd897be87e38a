"""Evicts pods from nodes with NoExecute taints that they do not tolerate, at once or when their tolerationSeconds are over.

https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/#taint-based-evictions
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from kubelet_lite.api import scheduling_rules, timestamps
from kubelet_lite.api.core_v1 import Node, Pod, Taint
from kubelet_lite.client.cache import Change, Informers, by_node
from kubelet_lite.controllers.base import (
    NOTHING,
    Action,
    Controller,
    Delete,
    Enqueue,
    Failure,
    Key,
    Plan,
    Record,
    key_of,
    on_change,
)
from kubelet_lite.controllers.disruption_target import disruption_target


class View(msgspec.Struct, frozen=True):
    """One pod and the NoExecute taints of its node."""

    pod: Pod
    taints: tuple[Taint, ...]


class TaintEviction(Controller[View]):
    name = "taint-eviction-controller"
    account = "node-controller"

    def __init__(self, informers: Informers) -> None:
        self.primary = informers.of(Pod, indexes={"node": by_node})
        self._nodes = informers.of(Node)

    def informers(self) -> Sequence[Any]:
        return self.primary, self._nodes

    def connect(self, enqueue: Enqueue) -> None:
        on_change(self.primary, self._on_tainted_node, enqueue)
        on_change(self._nodes, self._pods_of, enqueue)

    def _on_tainted_node(self, change: Change[Pod]) -> Iterator[Key]:
        node = self._nodes.get(change.new.spec.nodeName) if change.new is not None else None
        if node is not None and _no_execute(node):
            yield key_of(change.object)

    def _pods_of(self, change: Change[Node]) -> Iterator[Key]:
        before = _no_execute(change.old) if change.old is not None else ()
        after = _no_execute(change.new) if change.new is not None else ()
        if before != after:
            yield from (key_of(pod) for pod in self.primary.by_index("node", change.object.metadata.name))

    def view(self, key: Key, failures: Sequence[Failure]) -> View | None:
        pod = self.primary.get(key.name, key.namespace)
        node = self._nodes.get(pod.spec.nodeName) if pod is not None and pod.spec.nodeName else None
        return View(pod, _no_execute(node)) if pod is not None and node is not None else None

    def plan(self, view: View, now: float) -> Plan:
        return plan(view, now)


def _no_execute(node: Node) -> tuple[Taint, ...]:
    return tuple(taint for taint in node.spec.taints if taint.effect == "NoExecute")


def plan(view: View, now: float) -> Plan:
    pod = view.pod
    if pod.metadata.deletionTimestamp is not None or not view.taints:
        return NOTHING
    at = evicted_at(pod, view.taints, now)
    if at is None:
        return NOTHING
    return Plan(_evict(pod, now)) if at <= now else Plan(wake_at=at)


def evicted_at(pod: Pod, taints: Sequence[Taint], now: float) -> float | None:
    """When a pod has to go; None: never. A taint that is not tolerated: now; else the shortest time that one is tolerated for."""
    times = []
    for taint in taints:
        tolerating = [t for t in pod.spec.tolerations if scheduling_rules.tolerates((t,), taint)]
        if not tolerating:
            return now
        limits = [max(t.tolerationSeconds, 0) for t in tolerating if t.tolerationSeconds is not None]
        if limits:
            since = timestamps.parse_time(taint.timeAdded) if taint.timeAdded else now
            times.append(since + min(limits))
    return min(times, default=None)


def _evict(pod: Pod, now: float) -> tuple[Action, ...]:
    name = f"{pod.metadata.namespace}/{pod.metadata.name}"
    return (
        Record(pod, "Normal", "TaintManagerEviction", f"Marking for deletion Pod {name}"),
        disruption_target(pod, "DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint", now),
        Delete(object=pod),
    )
