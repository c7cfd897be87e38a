"""Every plug-in at once: refusals with their words, scores, and the node that is chosen, ties included, equal plain loops over nodes."""
from __future__ import annotations

import random
from typing import Any

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kubelet_lite.api.core_v1 import (
    Affinity,
    Container,
    ContainerImage,
    ContainerPort,
    Node,
    NodeAffinity,
    NodeSelector,
    NodeSelectorTerm,
    Pod,
    PreferredSchedulingTerm,
    ResourceRequirements,
    Taint,
    Toleration,
)
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.scheduler.decision import Placement
from kubelet_lite.scheduler.filtering import feasible_rows, rejected, weighted_scores
from kubelet_lite.scheduler.framework import Handle
from kubelet_lite.scheduler.plugins.inter_pod_affinity import InterPodAffinity, InterPodAffinityArgs
from kubelet_lite.scheduler.plugins.node_affinity import NodeAffinity as NodeAffinityPlugin
from kubelet_lite.scheduler.plugins.node_affinity import NodeAffinityArgs
from kubelet_lite.scheduler.plugins.node_resources_balanced_allocation import (
    NodeResourcesBalancedAllocation,
    NodeResourcesBalancedAllocationArgs,
)
from kubelet_lite.scheduler.plugins.node_resources_fit import (
    NodeResourcesFit,
    NodeResourcesFitArgs,
    RequestedToCapacityRatioParam,
    ScoringStrategy,
)
from kubelet_lite.scheduler.pod_info import pod_info
from kubelet_lite.scheduler.scoring_resources import ResourceSpec, UtilizationShapePoint
from tests.scheduler import plain, plain_nodes
from tests.scheduler.objects import a_node, decisions
from tests.scheduler.test_node_terms import terms as node_terms
from tests.scheduler.test_reference_of_pods import (
    AROUND,
    HOSTNAME,
    NAMESPACES,
    ZONE,
    affinities,
    constraints,
    label_maps,
)

GPU = "e.com/gpu"
rarely = st.sampled_from([False, False, False, True])
taints = st.lists(st.builds(
    lambda key, effect: Taint(key=key, effect=effect), st.sampled_from("ab"), st.sampled_from(["NoSchedule", "NoExecute", "PreferNoSchedule", "PreferNoSchedule"]),
), max_size=2).map(tuple)
tolerations = st.lists(st.builds(
    lambda key, effect: Toleration(key=key, operator="Exists", effect=effect), st.sampled_from(["a", "b"]), st.sampled_from(["", "NoSchedule", "PreferNoSchedule"]),
), max_size=2).map(tuple)
images = st.lists(st.sampled_from([("x:1", 300), ("y:latest", 30), ("x:1", 900)]), max_size=2).map(
    lambda found: tuple(ContainerImage(names=(name,), sizeBytes=size * plain_nodes.MEGABYTE) for name, size in dict(found).items())
)


def node_of(number: int, cpu: str, memory: str, pods: str, gpu: str, zone: str, cordoned: bool, its_taints: Any, its_images: Any) -> Node:
    node = a_node(f"n{number}", cpu, memory, pods, labels={HOSTNAME: f"n{number}", **({ZONE: zone} if zone else {})}, taints=its_taints, unschedulable=cordoned or None)
    allocatable = {**node.status.allocatable, **({GPU: gpu} if gpu else {})}
    return msgspec.structs.replace(node, status=msgspec.structs.replace(node.status, allocatable=allocatable, images=its_images))


nodes_of = st.lists(st.tuples(
    st.sampled_from(["0", "2", "4", "4"]), st.sampled_from(["1Gi", "4Gi", "4Gi"]), st.sampled_from(["1", "9", "9"]), st.sampled_from(["", "", "2"]),
    st.sampled_from(["", "1", "1", "2"]), rarely, taints, images,
), min_size=1, max_size=5)


def pod_of(name: str, cpu: str, memory: str, gpu: bool, port: int, labels: dict[str, str], **spec: Any) -> Pod:
    requests = {r: a for r, a in (("cpu", cpu), ("memory", memory), (GPU, "1" if gpu else "")) if a}
    ports = (ContainerPort(containerPort=80, hostPort=port, hostIP="10.0.0.1" if port == 81 else ""),) if port else ()
    spec = {"schedulerName": "default-scheduler", **spec}
    pod = Pod(metadata=ObjectMeta(name=name, namespace="default", uid=name, labels=labels))
    container = Container(name="c", image="x:1", resources=ResourceRequirements(requests=requests), ports=ports)
    return msgspec.structs.replace(pod, spec=msgspec.structs.replace(pod.spec, containers=(container, Container(name="d", image="y")), **spec))


amounts, sizes, ports = st.sampled_from(["", "500m", "1", "2"]), st.sampled_from(["", "512Mi", "1Gi"]), st.sampled_from([0, 0, 80, 81])
old_pods = st.lists(st.tuples(st.integers(0, 4), amounts, sizes, rarely, ports, label_maps, st.none() | affinities), max_size=6)


def wishes_of(required: list[NodeSelectorTerm] | None, preferred: list[tuple[int, NodeSelectorTerm]], affinity: Affinity | None) -> Affinity:
    of_node = NodeAffinity(
        requiredDuringSchedulingIgnoredDuringExecution=None if required is None else NodeSelector(nodeSelectorTerms=tuple(required)),
        preferredDuringSchedulingIgnoredDuringExecution=tuple(PreferredSchedulingTerm(weight=w, preference=t) for w, t in preferred),
    )
    return msgspec.structs.replace(affinity or Affinity(), nodeAffinity=of_node)


matching_terms = st.none() | st.none() | st.lists(node_terms, min_size=1, max_size=2)
new_pods = st.builds(
    lambda cpu, memory, gpu, port, labels, named, tolerated, spread, affinity: pod_of(
        "new", cpu, memory, gpu, port, labels, nodeName=named, tolerations=tolerated, topologySpreadConstraints=spread, affinity=affinity,
    ), amounts, sizes, rarely, ports, label_maps, st.sampled_from(["", "", "", "n0"]), tolerations, st.just(()) | constraints,
    st.builds(wishes_of, matching_terms, st.lists(st.tuples(st.integers(1, 9), node_terms), max_size=2), st.none() | affinities),
)


def arranged(specs: list[Any], others: list[Any]) -> tuple[Any, plain.Cluster]:
    handle, cluster = Handle.alone(AROUND), plain.Cluster()
    for number, spec in enumerate(specs):
        node = node_of(number, *spec)
        handle.nodes.set_node(node)
        cluster[f"n{number}"] = node, []
    for number, (where, cpu, memory, gpu, port, labels, affinity) in enumerate(others):
        if f"n{where}" in cluster:
            old = pod_of(f"old{number}", cpu, memory, gpu, port, labels, affinity=affinity)
            handle.nodes.place(pod_info(old), f"n{where}")
            cluster[f"n{where}"][1].append(old)
    return handle.nodes, cluster


@settings(max_examples=400)
@given(nodes_of, old_pods, new_pods, st.integers(0, 5))
def test_a_decision_equals_plain_loops_in_everything(specs: list[Any], others: list[Any], pod: Pod, seed: int) -> None:
    nodes, cluster = arranged(specs, others)
    wanted, found = pod_info(pod), decisions(nodes, AROUND)
    profile = found.profile
    refused = {nodes.name(int(row)): (r.plugin, r.reasons) for r, rows in rejected(nodes, wanted, profile) for row in rows}
    plainly = {name: plain_nodes.refusal(cluster, name, pod, NAMESPACES) for name in cluster}
    left_out = {name for name, (_, reasons) in refused.items() if reasons[0].startswith("node(s) didn't satisfy plugin")}
    assert {n: r for n, r in refused.items() if n not in left_out} == {n: r for n, r in plainly.items() if r is not None and n not in left_out}
    assert all(plainly[name] is not None for name in left_out)
    rows = feasible_rows(nodes, wanted, profile, np.flatnonzero(nodes.alive))
    names = [nodes.name(int(row)) for row in rows]
    assert names == [name for name, why in plainly.items() if why is None]
    if names:
        given_scores = {plugin: np.broadcast_to(column, rows.shape).tolist() for plugin, column in weighted_scores(nodes, wanted, profile.scores, rows)}
        for plugin, points in plain_nodes.scores(cluster, names, pod, NAMESPACES).items():
            assert given_scores.get(plugin, [0] * len(names)) == [plain_nodes.WEIGHTS[plugin] * points[name] for name in names], plugin
    outcome = found.decide(wanted, random.Random(seed))
    chosen = outcome.node_name if isinstance(outcome, Placement) else None
    assert chosen == plain_nodes.decide(cluster, pod, NAMESPACES, random.Random(seed))


@settings(max_examples=100)
@given(nodes_of, st.lists(new_pods, min_size=2, max_size=8), st.integers(0, 5))
def test_pods_one_after_the_other_go_where_plain_loops_put_them(specs: list[Any], pods: list[Pod], seed: int) -> None:
    """What is remembered from one pod to the next never shows."""
    nodes, cluster = arranged(specs, [])
    found = decisions(nodes, AROUND)
    for number, like in enumerate(pods):
        name = f"p{number}"
        pod = msgspec.structs.replace(like, metadata=msgspec.structs.replace(like.metadata, name=name, uid=name))
        outcome = found.decide(pod_info(pod), random.Random(seed))
        wanted = plain_nodes.decide(cluster, pod, NAMESPACES, random.Random(seed))
        assert (outcome.node_name if isinstance(outcome, Placement) else None) == wanted
        if wanted is not None:
            nodes.place(pod_info(pod), wanted)
            cluster[wanted][1].append(pod)


PLAIN = pod_of("plain", "500m", "512Mi", False, 0, {"app": "a"})
templates_of = st.builds(
    lambda labels, affinity, others: [PLAIN, pod_of("choosy", "500m", "", False, 0, labels, affinity=affinity), PLAIN, *others],
    label_maps, affinities, st.lists(new_pods, max_size=1),
)


@settings(max_examples=300)
@given(nodes_of, nodes_of, templates_of, st.lists(st.tuples(st.sampled_from("pppprn"), st.integers(0, 8)), min_size=4, max_size=24))
def test_pods_of_a_template_go_where_plain_loops_put_them_whatever_happens_in_between(
    specs: list[Any], others: list[Any], templates: list[Pod], steps: list[tuple[str, int]],
) -> None:
    """Pods share the very spec, as they do in the store; pods leave, and nodes become others."""
    nodes, cluster = arranged(specs, [])
    found = decisions(nodes, AROUND)
    for number, (step, which) in enumerate(steps):
        placed = [(name, old) for name, (_, there) in cluster.items() for old in there]
        if step == "n":
            place = which % len(specs)
            node = node_of(place, *others[which % len(others)][:-1], specs[place][-1])  # an image is as large as it was first said to be
            nodes.set_node(node)
            cluster[f"n{place}"] = node, cluster[f"n{place}"][1]
        elif step == "r" and placed:
            name, old = placed[which % len(placed)]
            nodes.remove((old.metadata.namespace, old.metadata.name))
            cluster[name][1].remove(old)
        elif step == "p":
            like = templates[which % len(templates)]
            pod = msgspec.structs.replace(like, metadata=msgspec.structs.replace(like.metadata, name=f"p{number}", uid=f"p{number}"))
            found.needs(pod_info(pod))
            outcome = found.decide(pod_info(pod), random.Random(number))
            wanted = plain_nodes.decide(cluster, pod, NAMESPACES, random.Random(number))
            assert (outcome.node_name if isinstance(outcome, Placement) else None) == wanted
            if wanted is not None:
                nodes.place(pod_info(pod), wanted)
                cluster[wanted][1].append(pod)


@settings(max_examples=25)
@given(st.integers(0, 2**32), st.integers(2, 12), st.integers(10, 60))
def test_never_more_pods_without_a_node_nor_a_less_even_use_than_plain_loops(seed: int, width: int, count: int) -> None:
    """The law of the quality of placement, over whole clusters filled pod by pod."""
    draw = random.Random(seed)
    specs = [(draw.choice(["2", "4", "8"]), draw.choice(["2Gi", "8Gi"]), "20", "", draw.choice("12"), False, (), ()) for _ in range(width)]
    templates = [pod_of("", cpu, memory, False, 0, {"app": app}) for cpu in ("100m", "500m", "1") for memory in ("128Mi", "512Mi") for app in "ab"]
    pods = [msgspec.structs.replace(t, metadata=msgspec.structs.replace(t.metadata, name=f"p{i}")) for i, t in enumerate(draw.choices(templates, k=count))]
    nodes, cluster = arranged(specs, [])
    found, ours, theirs = decisions(nodes, AROUND), random.Random(seed + 1), random.Random(seed + 1)
    without = {"ours": 0, "theirs": 0}
    for pod in pods:
        outcome = found.decide(pod_info(pod), ours)
        if isinstance(outcome, Placement):
            nodes.place(pod_info(pod), outcome.node_name)
        else:
            without["ours"] += 1
        name = plain_nodes.decide(cluster, pod, NAMESPACES, theirs)
        if name is not None:
            cluster[name][1].append(pod)
        else:
            without["theirs"] += 1
    rows = np.flatnonzero(nodes.alive)
    assert without["ours"] <= without["theirs"]
    for resource in ("cpu", "memory"):
        used = nodes.requested(resource)[rows] / nodes.allocatable(resource)[rows]
        plainly = [plain_nodes.asked(there, resource) / plain_nodes.whole(node, resource) for node, there in cluster.values()]
        assert float(np.std(used)) <= float(np.std(plainly)) + 1e-12


weights = st.dictionaries(st.sampled_from(["cpu", "memory", GPU, "ephemeral-storage"]), st.integers(1, 5), min_size=1)
shapes = st.lists(st.tuples(st.integers(0, 100), st.integers(0, 10)), min_size=1, max_size=4, unique_by=lambda point: point[0]).map(sorted)


@settings(max_examples=200)
@given(nodes_of, old_pods, new_pods, st.sampled_from(["LeastAllocated", "MostAllocated", "RequestedToCapacityRatio"]), weights, shapes)
def test_strategies_of_scoring_equal_plain_arithmetic(specs: list[Any], others: list[Any], pod: Pod, kind: str, weighed: dict[str, int], shape: list[tuple[int, int]]) -> None:
    nodes, cluster = arranged(specs, others)
    points = RequestedToCapacityRatioParam(tuple(UtilizationShapePoint(*point) for point in shape))
    strategy = ScoringStrategy(kind, tuple(ResourceSpec(*item) for item in weighed.items()), points if kind == "RequestedToCapacityRatio" else None)
    plugin = NodeResourcesFit(Handle.alone(nodes=nodes), NodeResourcesFitArgs(scoringStrategy=strategy))
    rows = np.flatnonzero(nodes.alive)
    have = plugin.column(pod_info(pod), nodes, rows).tolist()
    assert have == [plain_nodes.by_strategy(*cluster[nodes.name(int(row))], pod, kind, weighed, shape) for row in rows]


@given(nodes_of, old_pods, new_pods, st.lists(st.sampled_from(["cpu", "memory", GPU]), min_size=1, unique=True))
def test_balance_of_any_resources_equals_plain_arithmetic(specs: list[Any], others: list[Any], pod: Pod, resources: list[str]) -> None:
    nodes, cluster = arranged(specs, others)
    plugin = NodeResourcesBalancedAllocation(Handle.alone(nodes=nodes), NodeResourcesBalancedAllocationArgs(tuple(ResourceSpec(r, 1) for r in resources)))
    rows = np.flatnonzero(nodes.alive)
    have = plugin.column(pod_info(pod), nodes, rows)
    wanted = [plain_nodes.balanced(*cluster[nodes.name(int(row))], pod, resources) for row in rows]
    assert (have.tolist() if have is not None else [None] * rows.size) == wanted


@given(nodes_of, old_pods, new_pods, st.booleans())
def test_resources_that_are_ignored_refuse_nobody(specs: list[Any], others: list[Any], pod: Pod, by_group: bool) -> None:
    nodes, cluster = arranged(specs, others)
    args = NodeResourcesFitArgs(ignoredResourceGroups=("e.com",)) if by_group else NodeResourcesFitArgs(ignoredResources=(GPU, "cpu"))
    plugin = NodeResourcesFit(Handle.alone(nodes=nodes), args)
    rows = np.flatnonzero(nodes.alive)
    mask = plugin.mask(pod_info(pod), nodes, rows)
    assert mask.tolist() == [not plain_nodes.fit(*cluster[nodes.name(int(row))], pod, (GPU,)) for row in rows]


@given(nodes_of, new_pods, node_terms, node_terms, st.integers(1, 9))
def test_added_affinity_counts_for_every_pod(specs: list[Any], pod: Pod, enforced: NodeSelectorTerm, wished: NodeSelectorTerm, weight: int) -> None:
    nodes, cluster = arranged(specs, [])
    selector = NodeSelector(nodeSelectorTerms=(enforced,))
    added = NodeAffinity(
        requiredDuringSchedulingIgnoredDuringExecution=selector,
        preferredDuringSchedulingIgnoredDuringExecution=(PreferredSchedulingTerm(weight=weight, preference=wished),),
    )
    plugin, wanted, rows = NodeAffinityPlugin(Handle.alone(nodes=nodes), NodeAffinityArgs(added)), pod_info(pod), np.flatnonzero(nodes.alive)
    assert plugin.applies(wanted, nodes)
    mask = plugin.mask(wanted, nodes, rows)
    at = [cluster[nodes.name(int(row))][0] for row in rows]
    rules = plain_nodes.scheduling_rules
    assert mask.tolist() == [rules.selects(selector, node) and rules.node_matches(pod, node) for node in at]
    reasons = {nodes.name(int(row)): r.reasons[0] for r, refused in plugin.reject(wanted, nodes, rows[~mask]) for row in refused}
    assert all(("enforced" in reason) == (not rules.selects(selector, cluster[name][0])) for name, reason in reasons.items())
    points = {n.metadata.name: rules.preferred_node_score(pod, n) + weight * rules.term_matches(wished, n) for n in at}
    column = plugin.column(wanted, nodes, rows)
    assert column is not None
    assert column.tolist() == list(plain_nodes.normalised(points).values())


@given(nodes_of, old_pods, new_pods, st.integers(0, 100), st.booleans())
def test_required_affinity_of_placed_pods_counts_by_its_weight(specs: list[Any], others: list[Any], pod: Pod, weight: int, ignores: bool) -> None:
    nodes, cluster = arranged(specs, others)
    plugin = InterPodAffinity(Handle.alone(AROUND, nodes), InterPodAffinityArgs(weight, ignores))
    rows = np.flatnonzero(nodes.alive)
    have = plugin.column(pod_info(pod), nodes, rows)
    own = plain.preferred(pod, near=True) or plain.preferred(pod, near=False)
    wanted = plain.affinity_scores(cluster, list(cluster), pod, NAMESPACES, hard_weight=weight)
    assert (have.tolist() if have is not None else [0] * rows.size) == ([0] * rows.size if ignores and not own else list(wanted.values()))
