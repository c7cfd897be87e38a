"""Who has to leave for a pod: against plain loops, and that trying leaves no trace."""
from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from kubelet_lite.api import quantities
from kubelet_lite.api.core_v1 import Affinity, Pod, PodAffinityTerm, PodAntiAffinity, PodCondition, Taint
from kubelet_lite.api.meta_v1 import LabelSelector, ObjectMeta
from kubelet_lite.api.policy_v1 import PodDisruptionBudget, PodDisruptionBudgetSpec, PodDisruptionBudgetStatus
from kubelet_lite.scheduler.decision import Decisions, Placement, Unschedulable
from kubelet_lite.scheduler.framework import Handle
from kubelet_lite.scheduler.node_table import NodeTable
from kubelet_lite.scheduler.nominations import Nomination
from kubelet_lite.scheduler.plugins.default_preemption import DefaultPreemption, DefaultPreemptionArgs
from kubelet_lite.scheduler.plugins.node_resources_fit import NodeResourcesFit
from kubelet_lite.scheduler.pod_info import PodInfo, pod_info
from kubelet_lite.scheduler.profile import Profile, everywhere
from kubelet_lite.scheduler.surroundings import Given
from kubelet_lite.scheduler.victims import victims_for_resources
from tests.scheduler import plain
from tests.scheduler.objects import a_node, a_pod, decisions, table

Old = tuple[str, int, int, str, int]
"""cpu, priority, minute of its start, label `app`, number of the node."""
old_pods = st.lists(st.tuples(
    st.sampled_from(["100m", "500m", "1", "1500m"]), st.integers(0, 3), st.integers(0, 2), st.sampled_from("ab"), st.integers(0, 2),
), max_size=9)
budgets_of = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 2)), max_size=2)


def a_budget(name: str, app: str, allowed: int) -> PodDisruptionBudget:
    return PodDisruptionBudget(
        metadata=ObjectMeta(name=name, namespace="default"), spec=PodDisruptionBudgetSpec(selector=LabelSelector(matchLabels={"app": app})),
        status=PodDisruptionBudgetStatus(disruptionsAllowed=allowed),
    )


def pod_of(name: str, cpu: str, priority: int, *, app: str = "a", minute: int = 0, status: dict[str, Any] | None = None, **spec: Any) -> Pod:
    pod = a_pod(name, cpu, priority=priority, **spec)
    status = {"startTime": f"2026-01-01T00:0{minute}:00Z", **(status or {})}
    return msgspec.structs.replace(
        pod, metadata=msgspec.structs.replace(pod.metadata, labels={"app": app}), status=msgspec.structs.replace(pod.status, **status),
    )


def plain_fit(cluster: plain.Cluster, name: str, pod: Pod) -> bool:
    node, pods = cluster[name]
    asked = sum(quantities.milli(p.spec.containers[0].resources.requests["cpu"]) for p in (*pods, pod))
    return asked <= quantities.milli(node.status.allocatable["cpu"]) and plain.affinity_refusal(cluster, node, pod, {}) is None


def plain_victims(cluster: plain.Cluster, name: str, pod: Pod, budgets: list[PodDisruptionBudget]) -> tuple[list[Pod], int] | None:
    """The victims on a node and how many of them are protected; None: removing pods does not help."""
    pods = cluster[name][1]
    kept = [p for p in pods if (p.spec.priority or 0) >= (pod.spec.priority or 0)]
    lower = sorted((p for p in pods if p not in kept), key=lambda p: (-(p.spec.priority or 0), p.status.startTime or ""))
    trial = {**cluster, name: (cluster[name][0], kept)}
    if not lower or not plain_fit(trial, name, pod):
        return None
    allowed = {budget.metadata.name: budget.status.disruptionsAllowed for budget in budgets}
    violating = []
    for p in lower:
        for budget in budgets:
            if budget.spec.selector is not None and budget.spec.selector.matchLabels["app"] == p.metadata.labels["app"]:
                allowed[budget.metadata.name] -= 1
                if allowed[budget.metadata.name] < 0 and p not in violating:
                    violating.append(p)
    victims = []
    for p in (*violating, *(p for p in lower if p not in violating)):
        kept.append(p)
        if not plain_fit(trial, name, pod):
            kept.remove(p)
            victims.append(p)
    return victims, sum(p in violating for p in victims)


def plain_harm(victims: list[Pod], violations: int) -> tuple[Any, ...]:
    priorities = [p.spec.priority or 0 for p in victims]
    first = min(p.status.startTime or "" for p in victims if p.spec.priority == max(priorities))
    return violations, max(priorities), sum(p + 2 ** 31 for p in priorities), len(victims), [-ord(c) for c in first]


def state(nodes: NodeTable) -> tuple[Any, ...]:
    on = [sorted(info.key for info in nodes.placed_on(row)) for row in range(3)]
    return nodes.requested("cpu").tolist(), nodes.pod_count.tolist(), nodes.changes, on


@settings(max_examples=200)
@given(old_pods, budgets_of, st.sampled_from(["500m", "1", "2", "3"]), st.integers(0, 3), st.booleans(), st.integers(0, 3))
def test_victims_equal_plain_loops(others: list[Old], protecting: list[tuple[str, int]], cpu: str, priority: int, alone: bool, seed: int) -> None:
    budgets = [a_budget(f"b{i}", *budget) for i, budget in enumerate(protecting)]
    nodes, cluster = NodeTable(), plain.Cluster()
    for i in range(3):
        node = a_node(f"n{i}", cpu="2", labels={"kubernetes.io/hostname": f"n{i}"})
        nodes.set_node(node)
        cluster[f"n{i}"] = node, []
    for i, (its_cpu, its_priority, minute, app, where) in enumerate(others):
        old = pod_of(f"old{i}", its_cpu, its_priority, app=app, minute=minute)
        nodes.place(pod_info(old), f"n{where}")
        cluster[f"n{where}"][1].append(old)
    term = PodAffinityTerm(labelSelector=LabelSelector(matchLabels={"app": "b"}), topologyKey="kubernetes.io/hostname")
    affinity = Affinity(podAntiAffinity=PodAntiAffinity(requiredDuringSchedulingIgnoredDuringExecution=(term,))) if alone else None
    pod = pod_of("new", cpu, priority, affinity=affinity)
    around = Given(budgets)
    before = state(nodes)
    outcome = decisions(nodes, around).decide(pod_info(pod), random.Random(seed))
    assert state(nodes) == before
    if isinstance(outcome, Placement):
        assert plain_fit(cluster, outcome.node_name, pod)
        return
    assert not any(plain_fit(cluster, name, pod) for name in cluster)
    found = {name: v for name in cluster if (v := plain_victims(cluster, name, pod, budgets)) is not None}
    nomination = outcome.attempt.nomination
    assert (nomination is not None) == bool(found)
    if nomination is not None:
        victims, violations = found[nomination.node_name]
        assert {v.pod.metadata.name for v in nomination.victims} == {p.metadata.name for p in victims}
        assert nomination.violations == violations
        assert plain_harm(victims, violations) == min(plain_harm(*v) for v in found.values())


def refused(nodes: NodeTable, pod: Pod) -> Unschedulable:
    outcome = decisions(nodes).decide(pod_info(pod), random.Random(1))
    assert isinstance(outcome, Unschedulable)
    return outcome


def test_a_pod_whose_victims_are_leaving_waits_for_them() -> None:
    nodes = table(a_node("a", cpu="1"))
    conditions = (PodCondition(type="DisruptionTarget", status="True", reason="PreemptionByScheduler"),)
    old = pod_of("old", "1", 0, status={"conditions": conditions})
    old = msgspec.structs.replace(old, metadata=msgspec.structs.replace(old.metadata, deletionTimestamp="2026-01-01T00:00:00Z"))
    nodes.place(pod_info(old), "a")
    waiting = pod_of("new", "1", 5, status={"nominatedNodeName": "a"})
    assert refused(nodes, waiting).message.endswith("preemption: not eligible due to a terminating pod on the nominated node.")


def test_a_promise_is_void_when_nothing_helps_any_more() -> None:
    nodes = table(a_node("a", cpu="1", taints=(Taint(key="k", effect="NoSchedule"),)))
    assert refused(nodes, pod_of("new", "1", 5, status={"nominatedNodeName": "a"})).attempt.hopeless


def test_room_is_left_for_who_was_promised_a_node() -> None:
    nodes = table(a_node("a", cpu="2"), a_node("b", cpu="1"))
    found = decisions(nodes)
    found.nominations.add(pod_info(pod_of("first", "2", 5)), "a")
    assert found.decide(pod_info(pod_of("second", "1", 5)), random.Random(1)) == Placement("b", 1)
    assert isinstance(found.decide(pod_info(pod_of("third", "2", 4)), random.Random(1)), Unschedulable)
    assert found.decide(pod_info(pod_of("important", "2", 6)), random.Random(1)) == Placement("a", 1)
    assert found.decide(pod_info(pod_of("first", "2", 5)), random.Random(1)) == Placement("a", 1)
    assert not nodes.pod_count.any()


def test_who_was_promised_a_node_takes_it_though_another_is_emptier() -> None:
    nodes = table(a_node("a"), a_node("b"))
    nodes.place(pod_info(pod_of("old", "3", 9)), "a")
    assert decisions(nodes).decide(pod_info(pod_of("new", "1", 5, status={"nominatedNodeName": "a"})), random.Random(1)) == Placement("a", 1)


def test_the_search_ends_when_there_are_candidates_enough(monkeypatch: Any) -> None:
    nodes = table(*(a_node(f"n{i}", cpu="1") for i in range(12)))
    for i in range(12):
        nodes.place(pod_info(pod_of(f"old{i}", "1", 0)), f"n{i}")
    tried: list[int] = []

    def counting(nodes: NodeTable, pod: PodInfo, asked: Mapping[str, int], row: int, budgets: Sequence[PodDisruptionBudget]) -> Nomination | Sequence[str]:
        tried.append(row)
        return victims_for_resources(nodes, pod, asked, row, budgets)

    monkeypatch.setattr("kubelet_lite.scheduler.plugins.default_preemption.victims_for_resources", counting)
    handle = Handle.alone(nodes=nodes)
    preemption = DefaultPreemption(handle, DefaultPreemptionArgs(minCandidateNodesAbsolute=2))
    few = Decisions(nodes, Profile("few", everywhere((NodeResourcesFit(handle), 1), (preemption, 0))), handle.nominations)
    for i in range(2):
        outcome = few.decide(pod_info(pod_of(f"new{i}", "1", 5)), random.Random(1))
        assert isinstance(outcome, Unschedulable)
        assert outcome.attempt.nomination is not None
        assert len(tried) == 2  # and what was found once is not looked for again
