"""What pods say of other pods: the columns say what plain loops say, however the cluster came about."""
from __future__ import annotations

import random
from typing import Any

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kubelet_lite.api.core_v1 import (
    Affinity,
    Namespace,
    Node,
    Pod,
    PodAffinity,
    PodAffinityTerm,
    PodAntiAffinity,
    Taint,
    Toleration,
    TopologySpreadConstraint,
    WeightedPodAffinityTerm,
)
from kubelet_lite.api.meta_v1 import LabelSelector, LabelSelectorRequirement, ObjectMeta
from kubelet_lite.scheduler.decision import Placement
from kubelet_lite.scheduler.filtering import feasible_rows, rejected, weighted_scores
from kubelet_lite.scheduler.node_table import NodeTable
from kubelet_lite.scheduler.pod_info import pod_info
from kubelet_lite.scheduler.surroundings import Given
from tests.scheduler import plain
from tests.scheduler.objects import a_node, a_pod, a_profile, decisions

NAMESPACES = {"default": {"team": "a"}, "other": {"team": "b"}, "third": {"team": "a", "x": "y"}}
AROUND = Given(Namespace(metadata=ObjectMeta(name=name, labels=labels)) for name, labels in NAMESPACES.items())
HOSTNAME, ZONE = "kubernetes.io/hostname", "zone"

Old = tuple[str, dict[str, str], Affinity | None, int, bool]
"""Namespace, labels, affinity, number of the node, whether it is being deleted."""
label_maps = st.sampled_from([{"app": "a"}, {"app": "a"}, {"app": "b"}, {"app": "a", "tier": "x"}, {}])
selectors = st.sampled_from([
    *[LabelSelector(matchLabels={"app": "a"})] * 3, LabelSelector(matchLabels={"app": "b"}), LabelSelector(), None,
    LabelSelector(matchExpressions=(LabelSelectorRequirement(key="app", operator="Exists"),)),
    LabelSelector(matchExpressions=(LabelSelectorRequirement(key="tier", operator="DoesNotExist"),)),
])
terms = st.builds(
    PodAffinityTerm, labelSelector=selectors, topologyKey=st.sampled_from([HOSTNAME, ZONE]),
    namespaces=st.sampled_from([(), (), ("default",), ("default", "other"), ("third",)]),
    namespaceSelector=st.sampled_from([None, None, *(LabelSelector(matchLabels=team) for team in ({}, {"team": "a"}, {"team": "b"}))]),
)
few_terms = st.lists(terms, max_size=1).map(tuple)
wishes = st.lists(st.builds(lambda term, weight: WeightedPodAffinityTerm(podAffinityTerm=term, weight=weight), terms, st.integers(1, 9)), max_size=2).map(tuple)
affinities = st.none() | st.builds(
    lambda near, apart, wished, shunned: Affinity(
        podAffinity=PodAffinity(requiredDuringSchedulingIgnoredDuringExecution=near, preferredDuringSchedulingIgnoredDuringExecution=wished),
        podAntiAffinity=PodAntiAffinity(requiredDuringSchedulingIgnoredDuringExecution=apart, preferredDuringSchedulingIgnoredDuringExecution=shunned),
    ), few_terms, few_terms, wishes, wishes,
)
constraints = st.lists(st.builds(
    TopologySpreadConstraint, maxSkew=st.integers(1, 3), topologyKey=st.sampled_from([HOSTNAME, ZONE]), labelSelector=selectors,
    whenUnsatisfiable=st.sampled_from(["DoNotSchedule", "ScheduleAnyway"]), minDomains=st.none() | st.integers(1, 4),
    nodeAffinityPolicy=st.sampled_from([None, "Honor", "Ignore"]), nodeTaintsPolicy=st.sampled_from([None, "Honor", "Honor", "Ignore"]),
    matchLabelKeys=st.sampled_from([(), (), ("app",)]),
), min_size=1, max_size=3).map(tuple)
often = st.sampled_from([True, True, True, False])
node_specs = st.lists(st.tuples(often, st.sampled_from(["", "1", "1", "2", "3"]), st.booleans()), min_size=2, max_size=6)


def placed_pods(affinity: st.SearchStrategy[Affinity | None]) -> st.SearchStrategy[list[Old]]:
    namespaces = st.sampled_from([*["default"] * 4, "other", "third"])
    return st.lists(st.tuples(namespaces, label_maps, affinity, st.integers(0, 6), often.map(lambda x: not x)), max_size=9)


def node_of(number: int, named: bool, zone: str, tainted: bool) -> Node:
    labels = ({HOSTNAME: f"n{number}"} if named else {}) | ({ZONE: zone} if zone else {})
    return a_node(f"n{number}", labels=labels, taints=(Taint(key="a", effect="NoSchedule"),) if tainted else ())


def pod_of(name: str, namespace: str, labels: dict[str, str], deleted: bool = False, **spec: Any) -> Pod:
    metadata = ObjectMeta(name=name, namespace=namespace, labels=labels, deletionTimestamp="2026-01-01T00:00:00Z" if deleted else None)
    return msgspec.structs.replace(a_pod(name, **spec), metadata=metadata)


def check(table: NodeTable, cluster: plain.Cluster, pod: Pod) -> None:
    """Refusals and scores of both plug-ins, column against loop."""
    profile, wanted = a_profile(AROUND), pod_info(pod)
    spread, affinity = (next(f for f in profile.filters if f.name == name) for name in ("PodTopologySpread", "InterPodAffinity"))
    every = np.flatnonzero(table.alive)
    for plugin, plainly in (
        (spread, {name: plain.spread_refusal(cluster, node, pod) for name, (node, _) in cluster.items()}),
        (affinity, {name: plain.affinity_refusal(cluster, node, pod, NAMESPACES) for name, (node, _) in cluster.items()}),
    ):
        mask = plugin.mask(wanted, table, every) if plugin.applies(wanted, table) else np.ones(every.size, np.bool_)
        assert {table.name(int(row)) for row in every[mask]} == {name for name, refusal in plainly.items() if refusal is None}
        if not mask.all():
            found = {table.name(int(row)): r.reasons for r, rows in plugin.reject(wanted, table, every[~mask]) for row in rows}
            assert found == {name: (refusal,) for name, refusal in plainly.items() if refusal is not None}
    rows = feasible_rows(table, wanted, profile, every)
    refused = [int(row) for _, group in rejected(table, wanted, profile) for row in group]
    assert sorted(refused) == sorted(set(every.tolist()) - set(rows.tolist()))
    if rows.size:
        names = [table.name(int(row)) for row in rows]
        of_pods = [scoring for scoring in profile.scores if scoring.name in ("PodTopologySpread", "InterPodAffinity")]
        scores = {name: column.tolist() for name, column in weighted_scores(table, wanted, of_pods, rows)}
        wanted_spread = plain.spread_scores(cluster, names, pod)
        wanted_affinity = plain.affinity_scores(cluster, names, pod, NAMESPACES)
        assert scores.get("PodTopologySpread", [0] * len(names)) == [2 * wanted_spread[name] for name in names]
        assert scores.get("InterPodAffinity", [0] * len(names)) == [2 * wanted_affinity[name] for name in names]


def play(specs: list[tuple[bool, str, bool]], others: list[Old], pod: Pod, leaving: list[int], *, renew: bool) -> None:
    """Checks before pods come, while they come, and after some left and a node changed."""
    table, cluster = NodeTable(), plain.Cluster()
    for number, spec in enumerate(specs):
        node = node_of(number, *spec)
        table.set_node(node)
        cluster[f"n{number}"] = node, []
    check(table, cluster, pod)
    for number, (namespace, labels, affinity, where, deleted) in enumerate(others):
        old = pod_of(f"old{number}", namespace, labels, deleted, affinity=affinity)
        table.place(pod_info(old), f"n{where}")
        if f"n{where}" in cluster:
            cluster[f"n{where}"][1].append(old)
        if number == 2:
            check(table, cluster, pod)
    check(table, cluster, pod)
    for number in leaving:
        if number < len(others):
            table.remove((others[number][0], f"old{number}"))
            for _, pods in cluster.values():
                pods[:] = [p for p in pods if p.metadata.name != f"old{number}"]
    if renew:
        node = node_of(0, True, "2", False)
        table.set_node(node)
        cluster["n0"] = node, cluster["n0"][1]
    check(table, cluster, pod)


@settings(max_examples=100)
@given(node_specs, placed_pods(affinities), label_maps, affinities, constraints, st.lists(st.tuples(st.integers(0, 8), label_maps), max_size=4))
def test_pods_that_get_other_labels_on_their_node_count_by_them(
    specs: list[tuple[bool, str, bool]], others: list[Old], labels: dict[str, str], affinity: Affinity | None, spread: tuple[TopologySpreadConstraint, ...],
    changes: list[tuple[int, dict[str, str]]],
) -> None:
    table, cluster = NodeTable(), plain.Cluster()
    for number, spec in enumerate(specs):
        node = node_of(number, *spec)
        table.set_node(node)
        cluster[f"n{number}"] = node, []
    olds = [pod_of(f"old{i}", namespace, its, deleted, affinity=a) for i, (namespace, its, a, _, deleted) in enumerate(others)]
    for old, (*_, where, _) in zip(olds, others, strict=True):
        table.place(pod_info(old), f"n{where}")
    pod = pod_of("new", "default", labels, affinity=affinity, topologySpreadConstraints=spread)
    decisions(table, AROUND).decide(pod_info(pod), random.Random(1))
    for number, its in changes:
        if number < len(olds):
            olds[number] = msgspec.structs.replace(olds[number], metadata=msgspec.structs.replace(olds[number].metadata, labels=its))
            placed = table.placed((olds[number].metadata.namespace, olds[number].metadata.name))
            if placed is not None:
                table.refresh(msgspec.structs.replace(placed.info, pod=olds[number]))
            else:
                table.place(pod_info(olds[number]), f"n{others[number][3]}")
    for old, (*_, where, _) in zip(olds, others, strict=True):
        if f"n{where}" in cluster:
            cluster[f"n{where}"][1].append(old)
    check(table, cluster, pod)


departures = st.lists(st.integers(0, 8), max_size=3)


@settings(max_examples=200)
@given(node_specs, placed_pods(st.none()), label_maps, constraints, st.booleans(), often.map(lambda x: not x), departures, st.booleans())
def test_spreading_equals_plain_loops(
    specs: list[tuple[bool, str, bool]], others: list[Old], labels: dict[str, str], spread: tuple[TopologySpreadConstraint, ...],
    tolerates: bool, picky: bool, leaving: list[int], renew: bool,
) -> None:
    tolerations = (Toleration(key="a", operator="Exists"),) if tolerates else ()
    selector = {ZONE: "1"} if picky else {}
    pod = pod_of("new", "default", labels, topologySpreadConstraints=spread, tolerations=tolerations, nodeSelector=selector)
    play(specs, others, pod, leaving, renew=renew)


@settings(max_examples=200)
@given(node_specs, placed_pods(affinities), label_maps, affinities, departures, st.booleans())
def test_affinity_equals_plain_loops(
    specs: list[tuple[bool, str, bool]], others: list[Old], labels: dict[str, str], affinity: Affinity | None, leaving: list[int], renew: bool,
) -> None:
    play(specs, others, pod_of("new", "default", labels, affinity=affinity), leaving, renew=renew)


@settings(max_examples=100)
@given(node_specs, st.lists(st.tuples(label_maps, affinities, constraints, st.booleans()), min_size=1, max_size=12), st.integers(0, 3))
def test_what_is_kept_between_decisions_never_changes_one(
    specs: list[tuple[bool, str, bool]], pods: list[tuple[dict[str, str], Affinity | None, tuple[TopologySpreadConstraint, ...], bool]], seed: int,
) -> None:
    table = NodeTable()
    for number, spec in enumerate(specs):
        table.set_node(node_of(number, *spec))
    kept = decisions(table, AROUND)
    for number, (labels, affinity, spread, leaves) in enumerate(pods):
        pod = pod_info(pod_of(f"p{number}", "default", labels, affinity=affinity, topologySpreadConstraints=spread))
        outcome = kept.decide(pod, random.Random(seed))
        assert outcome == decisions(table, AROUND).decide(pod, random.Random(seed))
        if isinstance(outcome, Placement):
            table.place(pod, outcome.node_name)
        if leaves:
            table.remove(("default", f"p{number // 2}"))


@settings(max_examples=50)
@given(placed_pods(affinities))
def test_tallies_of_pods_that_left_are_empty(others: list[Old]) -> None:
    table = NodeTable()
    for number in range(6):
        table.set_node(node_of(number, True, "1", False))
    profile = a_profile(AROUND)
    asking = pod_info(pod_of("new", "default", {}, topologySpreadConstraints=(
        TopologySpreadConstraint(maxSkew=1, topologyKey=ZONE, whenUnsatisfiable="DoNotSchedule", labelSelector=LabelSelector(matchLabels={"app": "a"})),
    )))
    feasible_rows(table, asking, profile, np.flatnonzero(table.alive))
    for number, (namespace, labels, affinity, where, deleted) in enumerate(others):
        table.place(pod_info(pod_of(f"old{number}", namespace, labels, deleted, affinity=affinity)), f"n{where}")
    for number, other in enumerate(others):
        table.remove((other[0], f"old{number}"))
    assert not table.tallies.forbidding
    assert not table.tallies.preferring
    assert not table.tallies.requiring
    assert table.tallies.groups == 0
