"""Who has to leave, with every plug-in of the default profile: against plain loops that take pods off a node and put them back."""
from __future__ import annotations

import random
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from kubelet_lite.api.core_v1 import Pod
from kubelet_lite.scheduler.decision import Placement, Unschedulable
from kubelet_lite.scheduler.pod_info import pod_info
from kubelet_lite.scheduler.surroundings import Given
from tests.scheduler import plain_nodes
from tests.scheduler.objects import decisions
from tests.scheduler.plain import Cluster
from tests.scheduler.test_preemption import a_budget, budgets_of, plain_harm
from tests.scheduler.test_reference_of_decisions import (
    NAMESPACES,
    affinities,
    amounts,
    arranged,
    constraints,
    label_maps,
    new_pods,
    nodes_of,
    pod_of,
    ports,
    sizes,
)

HOPELESS = (
    "NodeUnschedulable", "NodeName", "TaintToleration", "NodeAffinity",
    "node(s) didn't match pod affinity rules", "node(s) didn't match pod topology spread constraints (missing required label)",
)
"""Plug-ins and reasons that removing pods does not help."""


def may_help(cluster: Cluster, name: str, pod: Pod) -> bool:
    refused = plain_nodes.refusal(cluster, name, pod, NAMESPACES)
    assert refused is not None
    plugin, reasons = refused
    if plugin in HOPELESS or reasons[0] in HOPELESS:
        return False
    if plugin != "NodeResourcesFit":
        return True
    node, _ = cluster[name]
    return not plain_nodes.fit(node, [], pod) or ("Too many pods" in reasons and int(node.status.allocatable["pods"]) > 0 and not [
        r for r in plain_nodes.fit(node, [], pod) if r in reasons
    ])


def importance(pod: Pod) -> tuple[int, str]:
    return -(pod.spec.priority or 0), pod.status.startTime or "9"


def victims(cluster: Cluster, name: str, pod: Pod, budgets: list[Any]) -> tuple[list[Pod], int] | None:
    """Who has to leave the node and how many of them are protected; None: that does not help."""
    node, pods = cluster[name]
    lower = sorted((p for p in pods if (p.spec.priority or 0) < (pod.spec.priority or 0)), key=importance)
    kept = [p for p in pods if p not in lower]
    trial = {**cluster, name: (node, kept)}
    if not lower or plain_nodes.refusal(trial, name, pod, NAMESPACES) is not None:
        return None
    allowed = {budget.metadata.name: budget.status.disruptionsAllowed for budget in budgets}
    protected = []
    for p in lower:
        for budget in budgets:
            if budget.spec.selector.matchLabels.items() <= p.metadata.labels.items():
                allowed[budget.metadata.name] -= 1
                if allowed[budget.metadata.name] < 0 and p not in protected:
                    protected.append(p)
    gone = []
    for p in (*protected, *(p for p in lower if p not in protected)):
        kept.append(p)
        if plain_nodes.refusal(trial, name, pod, NAMESPACES) is not None:
            kept.remove(p)
            gone.append(p)
    return (gone, sum(p in protected for p in gone)) if gone else None


large = st.sampled_from(["1", "2", "2"])
crowded = st.lists(st.tuples(st.just("2"), st.just("4Gi"), st.sampled_from(["1", "9", "9"]), st.just(""), st.sampled_from(["1", "1", "2"]), st.just(False), st.just(()), st.just(())), min_size=1, max_size=3)
old_pods = st.lists(st.tuples(st.integers(0, 2), large | amounts, sizes, st.just(False), ports, label_maps, st.none() | st.none() | affinities), min_size=3, max_size=8)
urgent_pods = st.builds(
    lambda cpu, port, labels, spread, affinity: pod_of("new", cpu, "", False, port, labels, topologySpreadConstraints=spread, affinity=affinity),
    large, st.sampled_from([80, 0]), label_maps, st.just(()) | st.just(()) | constraints, st.none() | st.none() | affinities,
)


@settings(max_examples=400)
@given(
    crowded | crowded | nodes_of, old_pods, st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=8, max_size=8), urgent_pods | urgent_pods | new_pods,
    st.sampled_from([3, 3, 3, 1, 2]), budgets_of, st.integers(0, 3),
)
def test_victims_equal_plain_loops_with_every_plugin(
    specs: list[Any], others: list[Any], ranks: list[tuple[int, int]], like: Pod, priority: int, protecting: list[tuple[str, int]], seed: int,
) -> None:
    nodes, cluster = arranged(specs, [])
    for number, ((where, cpu, memory, gpu, port, labels, affinity), (rank, minute)) in enumerate(zip(others, ranks, strict=False)):
        if f"n{where}" in cluster:
            old = pod_of(f"old{number}", cpu, memory, gpu, port, labels, affinity=affinity, priority=rank)
            old = msgspec.structs.replace(old, status=msgspec.structs.replace(old.status, startTime=f"2026-01-01T00:0{minute}:00Z"))
            nodes.place(pod_info(old), f"n{where}")
            cluster[f"n{where}"][1].append(old)
    budgets = [a_budget(f"b{i}", *budget) for i, budget in enumerate(protecting)]
    pod = msgspec.structs.replace(like, spec=msgspec.structs.replace(like.spec, priority=priority))
    around = Given([*budgets, *decisions_around()])
    before = nodes.changes
    outcome = decisions(nodes, around).decide(pod_info(pod), random.Random(seed))
    assert nodes.changes == before
    if isinstance(outcome, Placement) or outcome.gate is not None:
        return
    assert isinstance(outcome, Unschedulable)
    left_out = {name for name in cluster if not_worth(outcome, name, pod)}
    found = {name: v for name in cluster if name not in left_out and may_help(cluster, name, pod) and (v := victims(cluster, name, pod, budgets)) is not None}
    nomination = outcome.attempt.nomination
    assert (nomination is not None) == bool(found), (found, outcome.message)
    if nomination is not None:
        gone, violations = found[nomination.node_name]
        assert {v.pod.metadata.name for v in nomination.victims} == {p.metadata.name for p in gone}
        assert nomination.violations == violations
        assert plain_harm(gone, violations) == min(plain_harm(*v) for v in found.values())


def not_worth(outcome: Unschedulable, name: str, pod: Pod) -> bool:
    """Left out by PreFilter: the pod's affinity names other nodes. No filter looked at it, and removing pods does not help."""
    named = plain_nodes.scheduling_rules.required_node_names(pod)
    return named is not None and name not in named


def decisions_around() -> list[Any]:
    from kubelet_lite.api.core_v1 import Namespace
    from kubelet_lite.api.meta_v1 import ObjectMeta

    return [Namespace(metadata=ObjectMeta(name=name, labels=labels)) for name, labels in NAMESPACES.items()]
