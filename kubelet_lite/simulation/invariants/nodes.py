"""What is true of nodes and their pods once things have calmed down. https://kubernetes.io/docs/concepts/architecture/nodes/"""
from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from kubelet_lite.api.core_v1 import Node, Pod
from kubelet_lite.simulation.archive import Revision
from kubelet_lite.simulation.invariant import Invariant
from kubelet_lite.simulation.invariants.facts import named
from kubelet_lite.simulation.snapshot import Snapshot

if TYPE_CHECKING:
    from kubelet_lite.simulation.simulation import Simulation

EVICTOR: Final = "taint-eviction-controller"
LATE_SECONDS: Final = 10.0
"""How late the controller may hear that a taint is gone, when no fault is at work."""


class EvictionNeedsTaint(Invariant):
    """The taint eviction controller deletes a pod only from a node with a NoExecute taint, or one that had it LATE_SECONDS
    ago, counted from the last fault: a taint that went in time cancels the eviction. (kubernetes/kubernetes#90794)"""

    name = "EvictionNeedsTaint"
    resources = ("pods", "nodes")

    def __init__(self) -> None:
        self._untainted: dict[str, float] = {}
        """Nodes that had a NoExecute taint and have none, and since when."""

    def on_revision(self, revision: Revision, before: Snapshot) -> Iterable[str]:
        event = revision.event
        new, old = event.object, event.previous
        if event.key.resource == "nodes":
            if new is None or _is_tainted(new):
                self._untainted.pop(event.key.name, None)
            elif old is not None and _is_tainted(old):
                self._untainted[event.key.name] = revision.time
            return ()
        if revision.actor != EVICTOR or old is None or old.metadata.deletionTimestamp is not None:
            return ()
        if new is not None and new.metadata.deletionTimestamp is None:
            return ()
        node = before.get(Node, old.spec.nodeName)
        if node is None or _is_tainted(node):
            return ()
        since = max(self._untainted.get(node.metadata.name, 0.0), before.calm_since)
        if revision.time - since > LATE_SECONDS:
            return (f"{event.key} was evicted at revision {event.revision} from {node.metadata.name}, which has no NoExecute taint",)
        return ()


def _is_tainted(node: Node) -> bool:
    return any(taint.effect == "NoExecute" for taint in node.spec.taints)


class NoPodOnDeletedNode(Invariant):
    """At rest no pod is on a node that does not exist. (Before, one may be: a pod may be bound to a node that is about to go.)"""

    name = "NoPodOnDeletedNode"

    def at_rest(self, simulation: Simulation) -> Iterable[str]:
        snapshot = simulation.snapshot
        for pod in snapshot.list(Pod):
            if pod.spec.nodeName and snapshot.get(Node, pod.spec.nodeName) is None:
                yield f"pod {named(pod)} is on node {pod.spec.nodeName}, which does not exist"
