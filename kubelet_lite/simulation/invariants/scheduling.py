"""Where pods are placed, and that they stay there. https://kubernetes.io/docs/concepts/scheduling-eviction/kube-scheduler/"""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kubelet_lite.api.scheduling_rules import FINISHED
from kubelet_lite.simulation.archive import Revision
from kubelet_lite.simulation.invariant import Invariant
from kubelet_lite.simulation.invariants.facts import allocatable, requests
from kubelet_lite.simulation.snapshot import Place, Snapshot


class BindOnce(Invariant):
    """A pod is given a node once: from then on `spec.nodeName` is what it is. (API conventions: a binding is refused for a bound pod.)"""

    name = "BindOnce"
    resources = ("pods",)

    def on_revision(self, revision: Revision, before: Snapshot) -> Iterable[str]:
        new, old = revision.event.object, revision.event.previous
        if new is not None and old is not None and old.spec.nodeName not in ("", new.spec.nodeName) and old.metadata.uid == new.metadata.uid:
            where = new.spec.nodeName or "no node"
            return (f"{revision.event.key} was on {old.spec.nodeName} and is on {where} at revision {revision.event.revision}",)
        return ()


class NoOvercommit(Invariant):
    """What the scheduler binds to a node fits it: the requests of all that was bound there and is not finished, at most its allocatable.

    Only a binding can break it: a pod that was made with a node, or resized later, is its kubelet's to refuse, and a node that
    shrinks evicts nobody. So pods made with a node do not count, a resized one with the least it ever asked for, and a node with the most
    it ever had under its UID (the scheduler may know an older one).
    """

    name = "NoOvercommit"
    resources = ("pods", "nodes")

    def __init__(self) -> None:
        self._bound: dict[str, dict[Place, Mapping[str, int]]] = {}
        """By node: what each pod that was bound there takes."""
        self._most: dict[str, tuple[str, Mapping[str, int]]] = {}
        """By node: its UID, and the most it had of each resource."""

    def on_revision(self, revision: Revision, before: Snapshot) -> Iterable[str]:
        event = revision.event
        if event.key.resource == "nodes":
            self._node(event.object)
            return ()
        place, new, old = (event.key.namespace, event.key.name), event.object, event.previous
        if new is None or new.status.phase in FINISHED:
            if old is not None and old.spec.nodeName:
                self._bound.get(old.spec.nodeName, {}).pop(place, None)
            return ()
        name = new.spec.nodeName
        if not name or old is None:
            return ()
        bound = self._bound.setdefault(name, {})
        if old.spec.nodeName:
            if place in bound and old.spec is not new.spec and old.spec != new.spec:
                bound[place] = _least(bound[place], requests(new))
            return ()
        bound[place] = requests(new)
        return self._overcommitted(name, bound, revision)

    def _node(self, node: Any | None) -> None:
        if node is None:
            return
        uid, most = self._most.get(node.metadata.name, ("", {}))
        has = allocatable(node)
        if uid == node.metadata.uid:
            has = {name: max(has.get(name, 0), most.get(name, 0)) for name in {**has, **most}}
        self._most[node.metadata.name] = (node.metadata.uid, has)

    def _overcommitted(self, name: str, bound: Mapping[Place, Mapping[str, int]], revision: Revision) -> Iterable[str]:
        if name not in self._most:
            return
        has = self._most[name][1]
        for resource in bound[revision.event.key.namespace, revision.event.key.name]:
            asked = sum(pod.get(resource, 0) for pod in bound.values())
            if bound[revision.event.key.namespace, revision.event.key.name][resource] and asked > has.get(resource, 0):
                unit = " thousandths" if resource == "cpu" else ""
                yield (
                    f"{revision.event.key} was bound to {name} at revision {revision.event.revision}: its {len(bound)} pods ask for "
                    f"{asked}{unit} of {resource}, it has {has.get(resource, 0)}"
                )


def _least(one: Mapping[str, int], other: Mapping[str, int]) -> Mapping[str, int]:
    return {name: min(one.get(name, 0), other.get(name, 0)) for name in {**one, **other}}
