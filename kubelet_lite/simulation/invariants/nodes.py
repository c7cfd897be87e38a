"""What is true of nodes and their pods once things have calmed down. https://kubernetes.io/docs/concepts/architecture/nodes/"""
from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from kubelet_lite.api import timestamps
from kubelet_lite.api.core_v1 import Node, Pod
from kubelet_lite.simulation.archive import Revision
from kubelet_lite.simulation.invariant import Invariant
from kubelet_lite.simulation.invariants.debts import Debts
from kubelet_lite.simulation.invariants.facts import SHARED, is_ready, named
from kubelet_lite.simulation.snapshot import Snapshot

if TYPE_CHECKING:
    from kubelet_lite.simulation.simulation import Simulation

EVICTOR: Final = "taint-eviction-controller"
NODE_CONTROLLER: Final = "node-controller"
LEASES: Final = "leases.coordination.k8s.io"
LEASE_NAMESPACE: Final = "kube-node-lease"
GRACE_SECONDS: Final = 50.0
"""nodeMonitorGracePeriod: how long a node may be silent."""
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
        since = max(self._untainted.get(node.metadata.name, 0.0), before.calm_since(EVICTOR, *SHARED))
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


class NoReadyPodOnSilentNode(Invariant):
    """A node of which nothing was heard for GRACE_SECONDS, neither its lease nor its status, is not said to be ready; and no pod is on a
    node that is not ready itself. But for a moment, in which the node controller acts."""

    name = "NoReadyPodOnSilentNode"
    resources = ("nodes", "pods", LEASES)

    def __init__(self) -> None:
        self._nodes = Debts(NODE_CONTROLLER)
        """By node."""
        self._pods = Debts(NODE_CONTROLLER)
        """By the pod's place."""
        self._heard: dict[str, float] = {}
        """By node: its kubelet's last word, or the later moment that this bears."""

    def on_revision(self, revision: Revision, before: Snapshot) -> Iterable[str]:
        event, now = revision.event, revision.time
        key, new = event.key, event.object
        late = [*self._nodes.late(before, now), *self._pods.late(before, now)]
        if key.resource == "pods":
            node = before.get(Node, new.spec.nodeName) if new is not None and new.spec.nodeName else None
            self._pods.note((key.namespace, key.name), _ready_there(new, node), now)
        elif key.resource == "nodes":
            if new is None:
                self._heard.pop(key.name, None)
                self._nodes.note(key.name, "", now)
            else:
                self._look_at(new, revision)
            if new is None or event.previous is None or is_ready(new) != is_ready(event.previous):
                for place, pod in before.all(Pod).items():
                    if pod.spec.nodeName == key.name:
                        self._pods.note(place, _ready_there(pod, new), now)
        elif key.namespace == LEASE_NAMESPACE and new is not None and new.spec.renewTime:
            self._hear(key.name, now, timestamps.parse_time(new.spec.renewTime))
            node = before.get(Node, key.name)
            if node is not None:
                self._due(node)
        return late

    def _look_at(self, node: Node, revision: Revision) -> None:
        name = node.metadata.name
        if revision.actor == f"kubelet-{name}" or name not in self._heard:
            beats = [timestamps.parse_time(c.lastHeartbeatTime) for c in node.status.conditions if c.type == "Ready" and c.lastHeartbeatTime]
            self._hear(name, revision.time, *beats)
        self._due(node)

    def _hear(self, node: str, *moments: float) -> None:
        self._heard[node] = max(self._heard.get(node, 0.0), *moments)

    def _due(self, node: Node) -> None:
        """A node that is said to be ready must be heard again in time."""
        name = node.metadata.name
        self._nodes.note(name, "", 0.0)
        if is_ready(node):
            due = self._heard[name] + GRACE_SECONDS
            self._nodes.note(name, f"node {name} is said to be ready, and nothing is heard of it since {timestamps.format_time(self._heard[name])}", due)


def _ready_there(pod: Pod | None, node: Node | None) -> str:
    if pod is None or node is None or is_ready(node) or not is_ready(pod):
        return ""
    return f"pod {named(pod)} is said to be ready on node {node.metadata.name}, which is not"
