"""The columns say what a plain look at one node after the other says."""
from __future__ import annotations

import random
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubelet_lite.api import quantities, scheduling_rules
from kubelet_lite.api.core_v1 import Node, Pod, Taint, Toleration
from kubelet_lite.scheduler.decision import Placement
from kubelet_lite.scheduler.filtering import feasible_rows, rejected, weighted_scores
from kubelet_lite.scheduler.framework import Handle, Plugin
from kubelet_lite.scheduler.node_table import NodeTable
from kubelet_lite.scheduler.plugins.node_resources_balanced_allocation import NodeResourcesBalancedAllocation
from kubelet_lite.scheduler.plugins.node_resources_fit import (
    NodeResourcesFit,
    NodeResourcesFitArgs,
    RequestedToCapacityRatioParam,
    ScoringStrategy,
)
from kubelet_lite.scheduler.pod_info import pod_info
from kubelet_lite.scheduler.scoring_resources import ResourceSpec, UtilizationShapePoint
from tests.scheduler.objects import a_node, a_pod, a_profile, decisions

taints = st.lists(st.builds(lambda k, e: Taint(key=k, effect=e), st.sampled_from("ab"), st.sampled_from(["NoSchedule", "PreferNoSchedule"])), max_size=2)
amounts = st.sampled_from(["", "100m", "500m", "1", "2"])
sizes = st.sampled_from(["", "64Mi", "1Gi", "2Gi"])
zones = st.sampled_from(["x", "y"])
nodes_of = st.lists(
    st.builds(
        lambda cpu, memory, pods, zone, unschedulable, t: {"cpu": cpu, "memory": memory, "pods": pods, "labels": {"zone": zone}, "unschedulable": unschedulable, "taints": tuple(t)},
        st.sampled_from(["0", "1", "2", "4"]), st.sampled_from(["1Gi", "4Gi"]), st.sampled_from(["0", "1", "110"]), zones, st.booleans(), taints,
    ), max_size=6,
)
pods_of = st.lists(st.tuples(amounts, sizes, st.integers(0, 6)), max_size=10)
tolerations = st.lists(st.builds(lambda k: Toleration(key=k, operator="Exists"), st.sampled_from(["a", "b"])), max_size=2)


class Plain:
    """One node and the pods on it, looked at without columns."""

    def __init__(self, node: Node, pods: list[Pod]) -> None:
        self.node, self.pods = node, pods

    def free(self, resource: str) -> int:
        amount = self.node.status.allocatable[resource]
        whole = quantities.milli(amount) if resource == "cpu" else quantities.to_int(amount)
        return whole - sum(scheduling_rules.pod_requests(p).get(resource, 0) for p in self.pods)

    def refusal(self, pod: Pod) -> tuple[str, ...] | None:
        if self.node.spec.unschedulable:
            return ("node(s) were unschedulable",)
        if any(t.effect == "NoSchedule" and not scheduling_rules.tolerates(pod.spec.tolerations, t) for t in self.node.spec.taints):
            return ("node(s) had untolerated taint(s)",)
        if not scheduling_rules.node_matches(pod, self.node):
            return ("node(s) didn't match Pod's node affinity/selector",)
        lacks = ["Too many pods"] if len(self.pods) >= int(self.node.status.allocatable["pods"]) else []
        requests = scheduling_rules.pod_requests(pod)
        lacks += [f"Insufficient {r}" for r in ("cpu", "memory") if requests.get(r) and requests[r] > self.free(r)]
        return tuple(lacks) or None

    def least_allocated(self, pod: Pod) -> int:
        missing = {"cpu": 100, "memory": 200 * 1024 * 1024}
        points, counted = 0, 0
        for resource in ("cpu", "memory"):
            amount = self.node.status.allocatable[resource]
            whole = quantities.milli(amount) if resource == "cpu" else quantities.to_int(amount)
            asked = sum(scheduling_rules.pod_requests(p, missing=missing)[resource] for p in (*self.pods, pod))
            if whole:
                points, counted = points + max(whole - asked, 0) * 100 // whole, counted + 1
        return points // max(counted, 1)

    def intolerable(self, pod: Pod) -> int:
        return sum(t.effect == "PreferNoSchedule" and not scheduling_rules.tolerates(pod.spec.tolerations, t) for t in self.node.spec.taints)


@settings(max_examples=200)
@given(nodes_of, pods_of, amounts, sizes, st.none() | zones, tolerations)
def test_the_columns_equal_a_plain_look_at_each_node(
    nodes: list[dict[str, object]], pods: list[tuple[str, str, int]], cpu: str, memory: str, zone: str | None, tolerated: list[Toleration],
) -> None:
    table, plain = NodeTable(), {}
    for i, spec in enumerate(nodes):
        node = a_node(f"n{i}", **spec)  # type: ignore[arg-type]
        table.set_node(node)
        plain[f"n{i}"] = Plain(node, [])
    for i, (asked, size, where) in enumerate(pods):
        old = a_pod(f"old{i}", asked, size)
        table.place(pod_info(old), f"n{where}")
        if f"n{where}" in plain:
            plain[f"n{where}"].pods.append(old)
    pod = a_pod("new", cpu, memory, nodeSelector={"zone": zone} if zone else {}, tolerations=tuple(tolerated))
    profile, wanted = a_profile(), pod_info(pod)
    rows = feasible_rows(table, wanted, profile, np.flatnonzero(table.alive))
    refused = {table.name(int(row)): r.reasons for r, group in rejected(table, wanted, profile) for row in group}
    assert refused == {name: reasons for name, one in plain.items() if (reasons := one.refusal(pod)) is not None}
    assert sorted(table.name(int(row)) for row in rows) == sorted(name for name, one in plain.items() if one.refusal(pod) is None)
    if not rows.size:
        return
    names = [table.name(int(row)) for row in rows]
    scores = {name: np.broadcast_to(column, rows.shape) for name, column in weighted_scores(table, wanted, profile.scores, rows)}
    assert scores["NodeResourcesFit"].tolist() == [plain[name].least_allocated(pod) for name in names]
    counts = [plain[name].intolerable(pod) for name in names]
    most = max(counts)
    assert scores["TaintToleration"].tolist() == [3 * (100 - (c * 100 // most if most else 0)) for c in counts]


@given(nodes_of, pods_of)
def test_placing_and_removing_every_pod_leaves_nothing_requested(nodes: list[dict[str, object]], pods: list[tuple[str, str, int]]) -> None:
    table = NodeTable()
    for i, (cpu, memory, where) in enumerate(pods):
        table.place(pod_info(a_pod(f"p{i}", cpu, memory)), f"n{where}")
    for i, spec in enumerate(nodes):
        table.set_node(a_node(f"n{i}", **spec))  # type: ignore[arg-type]
    for i in range(len(nodes)):
        table.remove_node(f"n{i}")
    for i, spec in enumerate(nodes):
        table.set_node(a_node(f"n{i}", **spec))  # type: ignore[arg-type]
    for resource in ("cpu", "memory"):
        have = {table.name(row): int(table.requested(resource)[row]) for row in table.row_of.values()}
        for i in range(len(nodes)):
            on_it = [(cpu, memory) for cpu, memory, where in pods if where == i]
            amounts = [Fraction(quantities.parse(a)) * (1000 if resource == "cpu" else 1) for pair in on_it if (a := pair[resource == "memory"])]
            assert have[f"n{i}"] == sum(amounts)
    for i in range(len(pods)):
        assert table.remove(("default", f"p{i}"))
        assert not table.remove(("default", f"p{i}"))
    assert not np.any(table.requested("cpu"))
    assert not np.any(table.requested("memory"))
    assert not np.any(table.pod_count)
    assert not np.any(table.scored_cpu)


steps = st.lists(st.tuples(st.sampled_from(["decide", "decide", "decide", "remove", "node", "cordon"]), st.integers(0, 5), amounts, sizes), min_size=1, max_size=25)


@settings(max_examples=150)
@given(steps, st.integers(0, 3))
def test_what_is_kept_between_decisions_never_changes_one(found: list[tuple[str, int, str, str]], seed: int) -> None:
    table = NodeTable()
    for i in range(4):
        table.set_node(a_node(f"n{i}", "4", "4Gi"))
    kept = decisions(table)
    for i, (action, number, cpu, memory) in enumerate(found):
        if action == "decide":
            pod = pod_info(a_pod(f"p{i}", cpu, memory))
            outcome = kept.decide(pod, random.Random(seed))
            assert outcome == decisions(table).decide(pod, random.Random(seed))
            if isinstance(outcome, Placement):
                table.place(pod, outcome.node_name)
        elif action == "remove":
            table.remove(("default", f"p{number}"))
        elif action == "node":
            table.set_node(a_node(f"n{number}", cpu or "1", "2Gi"))
        else:
            table.set_node(a_node(f"n{number}", unschedulable=True))


def test_changes_beyond_what_is_remembered_are_not_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kubelet_lite.scheduler.node_table.MAX_KEPT_CHANGES", 4)
    table = NodeTable()
    for i in range(3):
        table.set_node(a_node(f"n{i}", "8"))
    kept = decisions(table)
    for i in range(30):
        pod = pod_info(a_pod(f"p{i}", "1" if i % 7 else "2"))
        outcome = kept.decide(pod, random.Random(1))
        assert outcome == decisions(table).decide(pod, random.Random(1))
        if isinstance(outcome, Placement):
            table.place(pod, outcome.node_name)


STRATEGIES = [
    ScoringStrategy(), ScoringStrategy(type="MostAllocated", resources=(ResourceSpec("memory", 3), ResourceSpec("cpu", 2), ResourceSpec("example.com/gpu", 1))),
    ScoringStrategy(
        type="RequestedToCapacityRatio",
        requestedToCapacityRatio=RequestedToCapacityRatioParam((UtilizationShapePoint(0, 10), UtilizationShapePoint(70, 3), UtilizationShapePoint(100, 0))),
    ),
]


@settings(max_examples=200)
@given(nodes_of, pods_of, amounts, sizes, st.sampled_from(STRATEGIES), st.booleans())
def test_a_single_row_is_judged_as_the_column_judges_it(
    nodes: list[dict[str, object]], pods: list[tuple[str, str, int]], cpu: str, memory: str, strategy: ScoringStrategy, without_memory: bool,
) -> None:
    table = NodeTable()
    for i, spec in enumerate(nodes):
        table.set_node(a_node(f"n{i}", **{**spec, "memory": "0"} if without_memory and i % 2 else spec))  # type: ignore[arg-type]
    for i, (asked, size, where) in enumerate(pods):
        table.place(pod_info(a_pod(f"old{i}", asked, size)), f"n{where}")
    pod, handle = pod_info(a_pod("new", cpu, memory)), Handle.alone(nodes=table)
    rows = np.flatnonzero(table.alive)
    fit = NodeResourcesFit(handle, NodeResourcesFitArgs(scoringStrategy=strategy))
    assert [fit.passes(pod, table, row) for row in rows.tolist()] == fit.mask(pod, table, rows).tolist()
    scorers: list[Plugin] = [fit, NodeResourcesBalancedAllocation(handle)]
    for plugin in scorers:
        found = plugin.column(pod, table, rows)
        column = [0] * rows.size if found is None else found.tolist()
        assert [plugin.points(pod, table, row) for row in rows.tolist()] == column
