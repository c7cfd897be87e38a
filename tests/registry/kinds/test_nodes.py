"""Nodes: two fields for one fact, and what a row says."""
from __future__ import annotations

from msgspec.structs import replace

from kubelet_lite.api.core_v1 import Node, NodeCondition, NodeSpec, NodeStatus, Taint
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.registry.kinds.nodes import RULES


def node(**spec: object) -> Node:
    return Node(metadata=ObjectMeta(name="n"), spec=NodeSpec(**spec))  # type: ignore[arg-type]


def test_the_first_range_of_pods_stands_in_both_fields() -> None:
    assert RULES.default(node(podCIDR="10.0.0.0/24")).spec.podCIDRs == ("10.0.0.0/24",)
    assert RULES.default(node(podCIDRs=("10.0.0.0/24", "fd00::/64"))).spec.podCIDR == "10.0.0.0/24"


def test_a_range_of_pods_stays() -> None:
    old = RULES.default(node(podCIDR="10.0.0.0/24"))
    assert not RULES.validate_update(old, RULES.default(node()))
    assert [error.field for error in RULES.validate_update(RULES.default(node(podCIDR="10.0.1.0/24")), old)] == ["spec.podCIDRs"]


def test_two_ranges_are_of_two_families() -> None:
    assert not RULES.validate(node(podCIDRs=("10.0.0.0/24", "fd00::/64")))
    assert [error.field for error in RULES.validate(node(podCIDRs=("10.0.0.0/24", "10.0.1.0/24")))] == ["spec.podCIDRs"]


def test_a_taint_is_there_once() -> None:
    taint = Taint(key="a", effect="NoSchedule")
    assert not RULES.validate(node(taints=(taint, replace(taint, effect="NoExecute"))))
    assert [error.type for error in RULES.validate(node(taints=(taint, replace(taint, value="x"))))] == ["FieldValueDuplicate"]


def test_a_row_says_whether_it_is_ready_and_takes_pods() -> None:
    ready = NodeStatus(conditions=(NodeCondition(type="Ready", status="True"),))
    labels = {"node-role.kubernetes.io/worker": "", "node-role.kubernetes.io/control-plane": "", "kubernetes.io/role": "x"}
    found = replace(node(unschedulable=True), status=ready, metadata=ObjectMeta(name="n", labels=labels))
    assert RULES.row is not None
    assert RULES.row(found, 0.0)[:3] == ("n", "Ready,SchedulingDisabled", "control-plane,worker,x")
    assert RULES.row(node(), 0.0)[:3] == ("n", "Unknown", "<none>")
