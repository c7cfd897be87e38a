"""Watches the nodes' heartbeats: a node that falls silent becomes Unknown and tainted, its pods not ready; taints follow conditions.

https://kubernetes.io/docs/concepts/architecture/nodes/#node-controller, KEP-589 (leases)
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from kubelet_lite.api import timestamps
from kubelet_lite.api.coordination_v1 import Lease
from kubelet_lite.api.core_v1 import Node, NodeCondition, Pod, Taint
from kubelet_lite.api.encoding import to_json
from kubelet_lite.api.requests import STRATEGIC_MERGE_PATCH
from kubelet_lite.client.cache import Change, Informers, by_node
from kubelet_lite.controllers.base import (
    Action,
    Controller,
    Enqueue,
    Failure,
    Key,
    Patch,
    Plan,
    Record,
    itself,
    key_of,
    on_change,
)

GRACE_SECONDS: Final = 50.0
"""nodeMonitorGracePeriod: how long a node may be silent."""
STARTUP_GRACE_SECONDS: Final = 60.0
"""nodeStartupGracePeriod: how long a node that never spoke may take."""
LEASE_NAMESPACE: Final = "kube-node-lease"
UNKNOWN_TYPES: Final = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
NOT_READY: Final = "node.kubernetes.io/not-ready"
UNREACHABLE: Final = "node.kubernetes.io/unreachable"
OWN_KEYS: Final = {
    ("Ready", "False"): NOT_READY, ("Ready", "Unknown"): UNREACHABLE, ("MemoryPressure", "True"): "node.kubernetes.io/memory-pressure",
    ("DiskPressure", "True"): "node.kubernetes.io/disk-pressure", ("PIDPressure", "True"): "node.kubernetes.io/pid-pressure",
    ("NetworkUnavailable", "True"): "node.kubernetes.io/network-unavailable",
}
"""(condition, status) → key of the NoSchedule taint that it stands for."""
UNSCHEDULABLE: Final = "node.kubernetes.io/unschedulable"
LABELS: Final = (("kubernetes.io/os", "beta.kubernetes.io/os"), ("kubernetes.io/arch", "beta.kubernetes.io/arch"))


class View(msgspec.Struct, frozen=True):
    """One node. `renewed_at`: its lease's last renewal, 0 for none."""

    node: Node
    renewed_at: float
    pods: tuple[Pod, ...]


class NodeLifecycle(Controller[View]):
    name = "node-controller"

    def __init__(self, informers: Informers) -> None:
        self.primary = informers.of(Node)
        self._leases = informers.of(Lease)
        self._pods = informers.of(Pod, indexes={"node": by_node})

    def informers(self) -> Sequence[Any]:
        return self.primary, self._leases, self._pods

    def connect(self, enqueue: Enqueue) -> None:
        on_change(self.primary, itself, enqueue)
        on_change(self._pods, self._node_of, enqueue)

    def _node_of(self, change: Change[Pod]) -> Iterator[Key]:
        """A pod that says it is ready on a node that is not."""
        node = self.primary.get(change.new.spec.nodeName) if change.new is not None else None
        if node is not None and _ready_status(node) != "True":
            yield key_of(node)

    def view(self, key: Key, failures: Sequence[Failure]) -> View | None:
        node = self.primary.get(key.name)
        if node is None:
            return None
        lease = self._leases.get(key.name, LEASE_NAMESPACE)
        renewed = timestamps.parse_time(lease.spec.renewTime) if lease is not None and lease.spec.renewTime else 0.0
        return View(node, renewed, tuple(self._pods.by_index("node", key.name)))

    def plan(self, view: View, now: float) -> Plan:
        return plan(view, now)


def plan(view: View, now: float) -> Plan:
    node = view.node
    actions: list[Action] = []
    heard = _heard_at(view)
    grace = GRACE_SECONDS if _ready(node) is not None else STARTUP_GRACE_SECONDS
    silent = now - heard >= grace
    if silent:
        changed = _unknown(node, now)
        if changed:
            change = {"status": {"conditions": [to_json(c) for c in changed]}}
            success = _not_ready_event(node) if _ready_status(node) == "True" else None
            actions.append(Patch(object=node, change=change, content_type=STRATEGIC_MERGE_PATCH, subresource="status", success=success))
            node = _with_conditions(node, changed)
    if _ready_status(node) != "True":
        actions += [action for pod in view.pods if (action := _pod_not_ready(pod, now)) is not None]
    taints = _taints(node, now)
    if taints != node.spec.taints:
        actions.append(Patch(object=view.node, change={"spec": {"taints": [to_json(t) for t in taints]}}, if_unchanged=node is view.node))
    missing = {old: node.metadata.labels[new] for new, old in LABELS if new in node.metadata.labels and node.metadata.labels.get(old) != node.metadata.labels[new]}
    if missing:
        actions.append(Patch(object=view.node, change={"metadata": {"labels": missing}}))
    return Plan(tuple(actions), None if silent else heard + grace)


def _heard_at(view: View) -> float:
    """The last sign of life."""
    beats = [timestamps.parse_time(c.lastHeartbeatTime) for c in view.node.status.conditions if c.type == "Ready" and c.status != "Unknown" and c.lastHeartbeatTime]
    created = timestamps.parse_time(view.node.metadata.creationTimestamp) if view.node.metadata.creationTimestamp else 0.0
    return max([view.renewed_at, created, *beats])


def _ready(node: Node) -> NodeCondition | None:
    return next((c for c in node.status.conditions if c.type == "Ready"), None)


def _ready_status(node: Node) -> str:
    ready = _ready(node)
    return ready.status if ready is not None else "False"


def _unknown(node: Node, now: float) -> list[NodeCondition]:
    """The conditions that change because the node is silent."""
    moment = timestamps.format_time(now)
    known = {c.type: c for c in node.status.conditions}
    changed = []
    for type in UNKNOWN_TYPES:
        condition = known.get(type)
        if condition is None:
            created = node.metadata.creationTimestamp
            changed.append(NodeCondition(
                type=type, status="Unknown", reason="NodeStatusNeverUpdated", message="Kubelet never posted node status.",
                lastHeartbeatTime=created, lastTransitionTime=moment,
            ))
        elif condition.status != "Unknown":
            changed.append(msgspec.structs.replace(
                condition, status="Unknown", reason="NodeStatusUnknown", message="Kubelet stopped posting node status.", lastTransitionTime=moment,
            ))
    return changed


def _with_conditions(node: Node, changed: Sequence[NodeCondition]) -> Node:
    new = {c.type: c for c in changed}
    conditions = (*(new.pop(c.type, c) for c in node.status.conditions), *new.values())
    return msgspec.structs.replace(node, status=msgspec.structs.replace(node.status, conditions=conditions))


def _not_ready_event(node: Node) -> Record:
    return Record(node, "Normal", "NodeNotReady", f"Node {node.metadata.name} status is now: NodeNotReady")


def _pod_not_ready(pod: Pod, now: float) -> Action | None:
    """A pod on a node that is not ready cannot be, whatever its own last word was."""
    ready = next((c for c in pod.status.conditions if c.type == "Ready"), None)
    if ready is None or ready.status != "True":
        return None
    condition = {"type": "Ready", "status": "False", "lastTransitionTime": timestamps.format_time(now), "observedGeneration": pod.metadata.generation}
    return Patch(
        object=pod, change={"status": {"conditions": [condition]}}, content_type=STRATEGIC_MERGE_PATCH, subresource="status",
        success=Record(pod, "Warning", "NodeNotReady", "Node is not ready"),
    )


def _taints(node: Node, now: float) -> tuple[Taint, ...]:
    """The node's taints with this controller's own put right; what stands already stays as it is, in its place."""
    statuses = {(c.type, c.status) for c in node.status.conditions}
    wanted: dict[tuple[str, str], None] = {}
    if node.spec.unschedulable:
        wanted[UNSCHEDULABLE, "NoSchedule"] = None
    for condition, key in OWN_KEYS.items():
        if condition in statuses:
            wanted[key, "NoSchedule"] = None
    ready = _ready_status(node)
    if _ready(node) is not None and ready != "True":
        wanted[NOT_READY if ready == "False" else UNREACHABLE, "NoExecute"] = None
    own = {*OWN_KEYS.values(), UNSCHEDULABLE}
    kept = [t for t in node.spec.taints if t.key not in own or (t.key, t.effect) in wanted]
    present = {(t.key, t.effect) for t in kept}
    moment = timestamps.format_time(now)
    added = [Taint(key=key, effect=effect, timeAdded=moment) for key, effect in wanted if (key, effect) not in present]
    return (*kept, *added)
