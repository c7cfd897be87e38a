import msgspec

from kubelet_lite.api.core_v1 import (
    Node,
    NodeCondition,
    NodeSpec,
    NodeStatus,
    Pod,
    PodCondition,
    PodSpec,
    PodStatus,
    Taint,
    Toleration,
)
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.timestamps import format_time
from kubelet_lite.controllers import node_lifecycle, pod_gc, taint_eviction

NOW = 1_800_000_000.0
MOMENT = format_time(NOW)


def node(ready="True", taints=(), unschedulable=False, heard=NOW):
    conditions = (NodeCondition(type="Ready", status=ready, lastHeartbeatTime=format_time(heard)),)
    meta = ObjectMeta(name="n", creationTimestamp=format_time(NOW - 1000))
    return Node(metadata=meta, spec=NodeSpec(taints=taints, unschedulable=unschedulable), status=NodeStatus(conditions=conditions))


def pod(*tolerations, ready="True", node="n"):
    status = PodStatus(phase="Running", conditions=(PodCondition(type="Ready", status=ready),))
    return Pod(metadata=ObjectMeta(name="p", namespace="ns"), spec=PodSpec(nodeName=node, tolerations=tolerations), status=status)


def taints_of(plan):
    return next(a.change["spec"]["taints"] for a in plan.actions if "spec" in getattr(a, "change", {}))


def test_a_node_that_speaks_is_left_alone_until_its_grace_is_over():
    plan = node_lifecycle.plan(node_lifecycle.View(node(), NOW - 5, (pod(),)), NOW)
    assert plan.actions == ()
    assert plan.wake_at == NOW + 50


def test_a_silent_node_becomes_unknown_tainted_and_its_pods_not_ready():
    plan = node_lifecycle.plan(node_lifecycle.View(node(heard=NOW - 100), NOW - 60, (pod(), pod(ready="False"))), NOW)
    conditions = plan.actions[0].change["status"]["conditions"]
    assert (conditions[0]["type"], conditions[0]["status"], conditions[0]["reason"]) == ("Ready", "Unknown", "NodeStatusUnknown")
    assert plan.actions[0].success.reason == "NodeNotReady"
    assert plan.actions[1].change["status"]["conditions"][0]["status"] == "False"
    assert [(t["key"], t["effect"]) for t in taints_of(plan)] == [
        ("node.kubernetes.io/unreachable", "NoSchedule"), ("node.kubernetes.io/unreachable", "NoExecute"),
    ]


def test_the_admission_taint_of_a_new_node_goes_when_it_is_ready_and_others_stay():
    foreign = Taint(key="mine", effect="NoExecute")
    plan = node_lifecycle.plan(node_lifecycle.View(node(taints=(foreign, Taint(key="node.kubernetes.io/not-ready", effect="NoSchedule"))), NOW, ()), NOW)
    assert taints_of(plan) == [{"key": "mine", "effect": "NoExecute"}]


def test_a_cordoned_node_has_its_taint():
    plan = node_lifecycle.plan(node_lifecycle.View(node(unschedulable=True), NOW, ()), NOW)
    assert [(t["key"], t["effect"]) for t in taints_of(plan)] == [("node.kubernetes.io/unschedulable", "NoSchedule")]


OUT = Taint(key="out", effect="NoExecute", timeAdded=MOMENT)


def test_eviction_comes_at_once_or_after_the_shortest_toleration_or_never():
    forever = Toleration(key="out", operator="Exists")
    short = Toleration(key="out", operator="Exists", tolerationSeconds=30)
    assert taint_eviction.evicted_at(pod(), (OUT,), NOW) == NOW
    assert taint_eviction.evicted_at(pod(short), (OUT,), NOW + 10) == NOW + 30
    assert taint_eviction.evicted_at(pod(short, forever), (OUT,), NOW) == NOW + 30
    assert taint_eviction.evicted_at(pod(forever), (OUT,), NOW) is None
    plan = taint_eviction.plan(taint_eviction.View(pod(short), (OUT,)), NOW + 10)
    assert (plan.actions, plan.wake_at) == ((), NOW + 30)


def test_eviction_is_not_done_when_the_taint_has_gone():
    assert taint_eviction.plan(taint_eviction.View(pod(), ()), NOW).actions == ()


def test_pods_of_a_gone_node_fail_and_go():
    plan = pod_gc.plan(pod_gc.View(pod(), False), NOW)
    assert plan.actions[0].change["status"]["phase"] == "Failed"
    assert plan.actions[1].grace_period_seconds == 0
    assert pod_gc.plan(pod_gc.View(pod(), True), NOW).actions == ()
    waiting = pod(node="")
    deleted = msgspec.structs.replace(waiting, metadata=msgspec.structs.replace(waiting.metadata, deletionTimestamp=MOMENT))
    assert len(pod_gc.plan(pod_gc.View(deleted, False), NOW).actions) == 1
