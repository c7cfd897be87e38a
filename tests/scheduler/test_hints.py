"""Queueing hints: a change wakes the pods that it helps, and few others."""
from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubelet_lite.api.core_v1 import (
    Affinity,
    Container,
    ContainerPort,
    Namespace,
    Node,
    PersistentVolume,
    PersistentVolumeClaim,
    Pod,
    Taint,
    Toleration,
    TopologySpreadConstraint,
)
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.storage_v1 import CSINode, StorageClass, VolumeAttachment
from kubelet_lite.scheduler.decision import Decisions, Placement, Unschedulable
from kubelet_lite.scheduler.framework import Change, Handle
from kubelet_lite.scheduler.plugins import default_profile
from kubelet_lite.scheduler.pod_info import pod_info
from kubelet_lite.scheduler.queue import SchedulingQueue
from tests.scheduler.objects import a_node, a_pod
from tests.scheduler.test_reference_of_pods import AROUND, HOSTNAME, ZONE, affinities, constraints, label_maps


class Line:
    """A queue before a node table, as the scheduler has them."""

    def __init__(self) -> None:
        handle = Handle.alone(AROUND)
        self.nodes = handle.nodes
        self.profile = default_profile(handle)
        self.decisions = Decisions(handle.nodes, self.profile, handle.nominations)
        self.queue = SchedulingQueue(
            order=lambda info, arrived: (arrived,), door=lambda info: None, hint=lambda refuser, change: self.profile.helped_by(refuser[1], change),
        )
        self.asleep: dict[tuple[str, str], Any] = {}
        self.now = 0.0

    def tell(self, change: Change) -> None:
        self.now += 100.0
        self.queue.changed(change, self.now)
        self.try_all()

    def try_all(self) -> None:
        while (waiting := self.queue.pop(self.now)) is not None:
            self.asleep.pop(waiting.info.key, None)
            outcome = self.decisions.decide(waiting.info, random.Random(1))
            if isinstance(outcome, Unschedulable):
                self.queue.failed(waiting, self.now, (("default-scheduler", plugin) for plugin in outcome.plugins))
                self.asleep[waiting.info.key] = waiting.info
            else:
                self.nodes.place(waiting.info, outcome.node_name)
                self.queue.changed(Change(Pod, new=waiting.info.pod), self.now)
                self.now += 100.0

    def check(self) -> None:
        """The law: nobody sleeps who could be placed."""
        for info in self.asleep.values():
            outcome = self.decisions.decide(info, random.Random(1))
            assert not isinstance(outcome, Placement), (info.key, outcome)


def with_port(pod: Pod, port: int) -> Pod:
    container = Container(name="c", image="x", resources=pod.spec.containers[0].resources, ports=(ContainerPort(containerPort=80, hostPort=port),) if port else ())
    return msgspec.structs.replace(pod, spec=msgspec.structs.replace(pod.spec, containers=(container,)))


rarely = st.sampled_from([False, False, False, True])
nodes_of = st.builds(
    lambda number, cpu, zone, tainted, cordoned: a_node(
        f"n{number}", cpu=cpu, pods="2", labels={HOSTNAME: f"n{number}", **({ZONE: zone} if zone else {})},
        taints=(Taint(key="a", effect="NoSchedule"),) if tainted else (), unschedulable=cordoned or None,
    ), st.integers(0, 2), st.sampled_from(["1", "2"]), st.sampled_from(["", "1", "1", "2"]), rarely, rarely,
)


def a_waiting_pod(cpu: str, labels: dict[str, str], affinity: Affinity | None, spread: tuple[TopologySpreadConstraint, ...], port: int, zone: str, tolerates: bool) -> Pod:
    selector = {ZONE: zone} if zone else {}
    tolerations = (Toleration(key="a", operator="Exists"),) if tolerates else ()
    pod = with_port(a_pod("x", cpu, affinity=affinity, topologySpreadConstraints=spread, nodeSelector=selector, tolerations=tolerations), port)
    return msgspec.structs.replace(pod, metadata=msgspec.structs.replace(pod.metadata, labels=labels))


pods_of = st.builds(
    a_waiting_pod, st.sampled_from(["", "500m", "1", "2"]), label_maps, st.none() | affinities, st.just(()) | constraints, st.sampled_from([0, 80]),
    st.sampled_from(["", "", "1", "2"]), st.booleans(),
)
steps = st.lists(
    st.tuples(st.just("pod"), pods_of) | st.tuples(st.just("node"), nodes_of) | st.tuples(st.sampled_from(["no node", "no pod", "relabel", "going"]), st.integers(0, 5)),
    min_size=3, max_size=25,
)


@settings(max_examples=300)
@given(st.lists(nodes_of, min_size=1, max_size=3), steps)
def test_no_pod_sleeps_through_a_change_that_helps_it(nodes: list[Node], found: list[tuple[str, Any]]) -> None:
    line = Line()
    for node in nodes:
        line.nodes.set_node(node)
    for number, (action, value) in enumerate(found):
        if action == "pod":
            name = f"p{number}"
            line.queue.add(pod_info(msgspec.structs.replace(value, metadata=msgspec.structs.replace(value.metadata, name=name, uid=name))), line.now)
            line.try_all()
        elif action == "node":
            before = line.nodes.node(value.metadata.name)
            line.nodes.set_node(value)
            line.tell(Change(Node, before, value))
        elif action == "no node":
            before = line.nodes.node(f"n{value}")
            if before is not None:
                line.nodes.remove_node(f"n{value}")
                line.tell(Change(Node, old=before))
        else:
            placed = [info for row in line.nodes.row_of.values() for info in line.nodes.placed_on(row)]
            if value < len(placed):
                old = placed[value]
                changed = {"labels": {"app": "b"}} if action == "relabel" else {"deletionTimestamp": "2026-01-01T00:00:00Z"}
                if action == "no pod":
                    line.nodes.remove(old.key)
                    line.tell(Change(Pod, old=old.pod))
                else:
                    row = line.nodes.placed(old.key)
                    assert row is not None
                    new = msgspec.structs.replace(old.pod, metadata=msgspec.structs.replace(old.pod.metadata, **changed))
                    line.nodes.place(pod_info(new), line.nodes.name(row.row))
                    line.tell(Change(Pod, old.pod, new))
        line.check()


def helps(plugin: str, change: Change, pod: Pod) -> bool:
    found = default_profile(Handle.alone()).plugins[plugin].hint(change)
    return found if isinstance(found, bool) else found(pod_info(pod))


NODE = a_node("a", cpu="2", labels={"zone": "1"})
TAINTED = a_node("a", cpu="2", labels={"zone": "1"}, taints=(Taint(key="k", effect="NoSchedule"),))
BEAT = msgspec.structs.replace(NODE, metadata=msgspec.structs.replace(NODE.metadata, annotations={"x": "y"}))
CAME = Change(Node, new=NODE)
SMALL, LARGE = a_pod("small", "1"), a_pod("large", "4")


@pytest.mark.parametrize(("plugin", "change", "pod", "wakes"), [
    ("NodeResourcesFit", CAME, SMALL, True), ("NodeResourcesFit", CAME, LARGE, False), ("NodeResourcesFit", Change(Node, NODE, BEAT), SMALL, False),
    ("NodeResourcesFit", Change(Node, NODE, a_node("a", cpu="3")), SMALL, True), ("NodeResourcesFit", Change(Node, old=NODE), SMALL, False),
    ("NodeResourcesFit", Change(Pod, old=SMALL), LARGE, True), ("NodeResourcesFit", Change(Pod, new=SMALL), LARGE, False),
    ("TaintToleration", Change(Node, TAINTED, NODE), SMALL, True), ("TaintToleration", Change(Node, NODE, TAINTED), SMALL, False),
    ("TaintToleration", Change(Node, NODE, BEAT), SMALL, False), ("TaintToleration", Change(Pod, old=SMALL), SMALL, False),
    ("NodeAffinity", CAME, a_pod(nodeSelector={"zone": "1"}), True), ("NodeAffinity", CAME, a_pod(nodeSelector={"zone": "2"}), False),
    ("NodeAffinity", Change(Node, NODE, BEAT), a_pod(nodeSelector={"zone": "1"}), False),
    ("NodeName", CAME, a_pod(nodeName="a"), True), ("NodeName", CAME, a_pod(nodeName="b"), False),
    ("NodeUnschedulable", Change(Node, a_node("a", unschedulable=True), NODE), SMALL, True), ("NodeUnschedulable", Change(Node, NODE, BEAT), SMALL, False),
    ("NodePorts", Change(Pod, old=with_port(SMALL, 80)), with_port(SMALL, 80), True), ("NodePorts", Change(Pod, old=with_port(SMALL, 81)), with_port(SMALL, 80), False),
    ("SchedulingGates", CAME, SMALL, False), ("InterPodAffinity", Change(Namespace, new=Namespace()), SMALL, True),
    ("InterPodAffinity", Change(Pod, old=SMALL), SMALL, False), ("PodTopologySpread", Change(Pod, old=SMALL), SMALL, False),
    ("VolumeBinding", Change(PersistentVolume, new=PersistentVolume()), SMALL, True), ("VolumeBinding", Change(Pod, old=SMALL), SMALL, False),
    ("VolumeZone", Change(StorageClass, new=StorageClass(provisioner="x")), SMALL, True), ("VolumeZone", Change(Node, NODE, BEAT), SMALL, False),
    ("VolumeRestrictions", Change(PersistentVolumeClaim, new=PersistentVolumeClaim()), SMALL, True), ("VolumeRestrictions", Change(Pod, old=SMALL), SMALL, False),
    ("NodeVolumeLimits", Change(VolumeAttachment, old=SMALL), SMALL, True), ("NodeVolumeLimits", Change(CSINode, new=CSINode(metadata=ObjectMeta(name="a"))), SMALL, True),
])
def test_what_a_plugin_makes_of_a_change(plugin: str, change: Change, pod: Pod, wakes: bool) -> None:
    assert helps(plugin, change, pod) is wakes
