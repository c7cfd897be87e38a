"""Where a pod goes, and what is said when it goes nowhere."""
from __future__ import annotations

import random

import msgspec

from kubelet_lite.api.core_v1 import (
    Affinity,
    ContainerPort,
    NodeAffinity,
    NodeSelector,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    Taint,
    Toleration,
)
from kubelet_lite.scheduler.decision import Placement, Unschedulable
from kubelet_lite.scheduler.node_table import NodeTable
from kubelet_lite.scheduler.pod_info import PodInfo, pod_info
from tests.scheduler.objects import a_node, a_pod, decisions, info, table


def decided(nodes: NodeTable, pod: PodInfo, seed: int = 0) -> Placement | Unschedulable:
    return decisions(nodes).decide(pod, random.Random(seed))


def message(nodes: NodeTable, pod: PodInfo) -> str:
    outcome = decided(nodes, pod)
    assert isinstance(outcome, Unschedulable)
    return outcome.message


def test_the_emptier_node_is_chosen() -> None:
    nodes = table(a_node("a"), a_node("b"))
    nodes.place(info("old", "2", "2Gi"), "a")
    assert decided(nodes, info("new", "1", "1Gi")) == Placement("b", 2)


def test_ties_are_broken_by_the_given_randomness() -> None:
    nodes = table(*(a_node(name) for name in "abcd"))
    chosen = {outcome.node_name for seed in range(40) if isinstance(outcome := decided(nodes, info("new"), seed), Placement)}
    assert chosen == {"a", "b", "c", "d"}
    assert decided(nodes, info("new"), 7) == decided(nodes, info("new"), 7)


def test_without_nodes_the_message_says_so() -> None:
    assert message(NodeTable(), info()) == "no nodes available to schedule pods"


def test_reasons_are_counted_and_sorted_as_text() -> None:
    nodes = table(
        a_node("a", cpu="1"), a_node("b", cpu="1", memory="1Gi"), a_node("c", unschedulable=True),
        a_node("d", taints=(Taint(key="k", effect="NoSchedule"),)), a_node("e", taints=(Taint(key="k", effect="NoExecute"),)),
    )
    assert message(nodes, info("new", "2", "2Gi")) == (
        "0/5 nodes are available: 1 Insufficient memory, 1 node(s) were unschedulable, 2 Insufficient cpu, 2 node(s) had untolerated taint(s). "
        "no new claims to deallocate, preemption: 0/5 nodes are available: 5 Preemption is not helpful for scheduling."
    )


def test_a_node_that_removing_pods_could_help_is_told_apart() -> None:
    nodes = table(a_node("a", pods="1"), a_node("b", pods="0"))
    nodes.place(info("old", "1"), "a")
    assert message(nodes, info("new")).endswith(
        "0/2 nodes are available: 2 Too many pods. no new claims to deallocate, preemption: 0/2 nodes are available: "
        "1 No preemption victims found for incoming pod, 1 Preemption is not helpful for scheduling."
    )


def test_a_pod_that_displaces_nobody_is_not_eligible_for_preemption() -> None:
    assert message(table(a_node("a", cpu="1")), info("new", "2", preemptionPolicy="Never")) == (
        "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: not eligible due to preemptionPolicy=Never."
    )


def test_nodes_that_affinity_by_name_leaves_out_are_not_filtered() -> None:
    required = NodeSelectorTerm(matchFields=(NodeSelectorRequirement(key="metadata.name", operator="In", values=("a",)),))
    affinity = Affinity(nodeAffinity=NodeAffinity(requiredDuringSchedulingIgnoredDuringExecution=NodeSelector(nodeSelectorTerms=(required,))))
    nodes = table(a_node("a", cpu="1"), a_node("b", unschedulable=True), a_node("c"))
    assert message(nodes, info("new", "2", affinity=affinity)).startswith(
        "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) didn't satisfy plugin(s) [NodeAffinity]."
    )


def test_a_host_port_is_taken_once_a_node_address_and_protocol() -> None:
    def with_port(name: str, protocol: str = "TCP", address: str = "") -> PodInfo:
        container = a_pod().spec.containers[0]
        port = ContainerPort(containerPort=80, hostPort=80, protocol=protocol, hostIP=address)
        return info(name, containers=(type(container)(name="c", image="x", ports=(port,)),))

    nodes = table(a_node("a"))
    nodes.place(with_port("old", address="10.0.0.1"), "a")
    assert isinstance(decided(nodes, with_port("new")), Unschedulable)
    assert isinstance(decided(nodes, with_port("new", "UDP")), Placement)
    assert isinstance(decided(nodes, with_port("new", address="10.0.0.2")), Placement)
    nodes.remove(("default", "old"))
    assert isinstance(decided(nodes, with_port("new")), Placement)


def test_a_resource_that_no_node_has_is_insufficient_everywhere() -> None:
    container = a_pod().spec.containers[0]
    resources = type(container.resources)(requests={"example.com/gpu": "1"})
    pod = info("new", containers=(type(container)(name="c", image="x", resources=resources),))
    assert message(table(a_node("a")), pod).startswith("0/1 nodes are available: 1 Insufficient example.com/gpu.")


def test_tolerations_let_a_pod_onto_tainted_and_cordoned_nodes() -> None:
    nodes = table(a_node("a", unschedulable=True, taints=(Taint(key="node.kubernetes.io/unschedulable", effect="NoSchedule"),)))
    assert isinstance(decided(nodes, info("new")), Unschedulable)
    assert decided(nodes, info("new", tolerations=(Toleration(operator="Exists"),))) == Placement("a", 1)


def test_pods_of_a_template_shun_a_node_that_gets_a_taint_in_between() -> None:
    nodes = table(a_node("a"), a_node("b"))
    found, like, rng = decisions(nodes), a_pod("p", cpu="1"), random.Random(1)
    chosen = []
    for number in range(6):
        if number == 2:
            nodes.set_node(a_node("a", taints=(Taint(key="t", effect="PreferNoSchedule"),)))
        pod = pod_info(msgspec.structs.replace(like, metadata=msgspec.structs.replace(like.metadata, name=f"p{number}")))
        outcome = found.decide(pod, rng)
        assert isinstance(outcome, Placement)
        nodes.place(pod, outcome.node_name)
        chosen.append(outcome.node_name)
    assert sorted(chosen[:2]) == ["a", "b"]
    assert chosen[2:5] == ["b", "b", "b"]
