"""What each plug-in says of one node, as plain code over that node and its pods; and a whole decision made of nothing else."""
from __future__ import annotations

import itertools
import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

from kubelet_lite.api import quantities, scheduling_rules
from kubelet_lite.api.core_v1 import Node, Pod
from tests.scheduler import plain
from tests.scheduler.plain import Cluster, Namespaces

MISSING = {"cpu": 100, "memory": 200 * 1024 * 1024}
MEGABYTE = 1024 * 1024


def whole(node: Node, resource: str) -> int:
    amount = node.status.allocatable.get(resource, "0")
    return quantities.milli(amount) if resource == "cpu" else quantities.to_int(amount)


def asked(pods: Sequence[Pod], resource: str, *, scored: bool = False) -> int:
    missing = MISSING if scored else None
    return sum(scheduling_rules.pod_requests(pod, missing=missing).get(resource, 0) for pod in pods)


# ---- Filter


def hard_taints(node: Node, pod: Pod) -> bool:
    return any(t.effect in ("NoSchedule", "NoExecute") and not scheduling_rules.tolerates(pod.spec.tolerations, t) for t in node.spec.taints)


def host_ports(pod: Pod) -> list[tuple[str, str, int]]:
    return [(p.hostIP or "0.0.0.0", p.protocol or "TCP", p.hostPort) for c in pod.spec.containers for p in c.ports if p.hostPort]


def ports_clash(pods: Sequence[Pod], pod: Pod) -> bool:
    for address, protocol, port in host_ports(pod):
        for other in pods:
            for other_address, other_protocol, other_port in host_ports(other):
                if (protocol, port) == (other_protocol, other_port) and (address == other_address or "0.0.0.0" in (address, other_address)):
                    return True
    return False


def fit(node: Node, pods: Sequence[Pod], pod: Pod, ignored: Sequence[str] = ()) -> tuple[str, ...]:
    lacks = ["Too many pods"] if len(pods) >= int(node.status.allocatable.get("pods", "0")) else []
    requests = scheduling_rules.pod_requests(pod)
    order = ["cpu", "memory", "ephemeral-storage", *sorted(r for r in requests if "/" in r)]
    for resource in order:
        wanted = requests.get(resource, 0)
        if wanted and resource not in ignored and wanted > whole(node, resource) - asked(pods, resource):
            lacks.append(f"Insufficient {resource}")
    return tuple(lacks)


def refusal(cluster: Cluster, name: str, pod: Pod, namespaces: Namespaces) -> tuple[str, tuple[str, ...]] | None:
    """The first plug-in that refuses, and why."""
    node, pods = cluster[name]
    if node.spec.unschedulable and not scheduling_rules.tolerates(pod.spec.tolerations, plain_taint("node.kubernetes.io/unschedulable")):
        return "NodeUnschedulable", ("node(s) were unschedulable",)
    if pod.spec.nodeName not in ("", name):
        return "NodeName", ("node(s) didn't match the requested node name",)
    if hard_taints(node, pod):
        return "TaintToleration", ("node(s) had untolerated taint(s)",)
    if not scheduling_rules.node_matches(pod, node):
        return "NodeAffinity", ("node(s) didn't match Pod's node affinity/selector",)
    if ports_clash(pods, pod):
        return "NodePorts", ("node(s) didn't have free ports for the requested pod ports",)
    lacks = fit(node, pods, pod)
    if lacks:
        return "NodeResourcesFit", lacks
    uneven = plain.spread_refusal(cluster, node, pod)
    if uneven is not None:
        return "PodTopologySpread", (uneven,)
    unfriendly = plain.affinity_refusal(cluster, node, pod, namespaces)
    return None if unfriendly is None else ("InterPodAffinity", (unfriendly,))


def plain_taint(key: str) -> Any:
    from kubelet_lite.api.core_v1 import Taint

    return Taint(key=key, effect="NoSchedule")


# ---- Score


def normalised(scores: Mapping[str, int], *, reverse: bool = False) -> dict[str, int]:
    highest = max(scores.values())
    if highest == 0:
        return dict.fromkeys(scores, 100 if reverse else 0)
    return {name: 100 - s * 100 // highest if reverse else s * 100 // highest for name, s in scores.items()}


def by_strategy(node: Node, pods: Sequence[Pod], pod: Pod, kind: str, weights: Mapping[str, int], shape: Sequence[tuple[int, int]] = ()) -> int:
    total = weight_sum = 0
    for resource, weight in weights.items():
        if "/" in resource and not asked([pod], resource):
            continue
        there, used = whole(node, resource), asked((*pods, pod), resource, scored=True)
        if there == 0:
            continue
        if kind == "LeastAllocated":
            points = max(there - used, 0) * 100 // there
        elif kind == "MostAllocated":
            points = min(used, there) * 100 // there
        else:
            points = on_line(shape, 100 if used > there else used * 100 // there)
            if points == 0:
                continue
        total, weight_sum = total + points * weight, weight_sum + weight
    if not weight_sum:
        return 0
    return math.floor(total / weight_sum + 0.5) if kind == "RequestedToCapacityRatio" else total // weight_sum


def on_line(shape: Sequence[tuple[int, int]], utilization: int) -> int:
    points = [(u, s * 10) for u, s in shape]
    if utilization <= points[0][0]:
        return points[0][1]
    for (u0, s0), (u1, s1) in itertools.pairwise(points):
        if utilization <= u1:
            return s0 + int((s1 - s0) * (utilization - u0) / (u1 - u0))
    return points[-1][1]


def balance(node: Node, pods: Sequence[Pod], resources: Sequence[str]) -> int:
    shares = [min(asked(pods, r) / whole(node, r), 1.0) for r in resources if whole(node, r)]
    if len(shares) == 2:
        apart = abs(shares[0] - shares[1]) / 2
    else:
        mean = sum(shares) / max(len(shares), 1)
        apart = math.sqrt(sum((s - mean) ** 2 for s in shares) / max(len(shares), 1))
    return int((1 - apart) * 100)


def balanced(node: Node, pods: Sequence[Pod], pod: Pod, resources: Sequence[str] = ("cpu", "memory")) -> int | None:
    """None: nothing to say of the pod."""
    counted = [r for r in resources if "/" not in r or asked([pod], r)]
    if not any(asked([pod], r) for r in counted):
        return None
    return (150 + balance(node, (*pods, pod), counted) - balance(node, pods, counted)) // 2


def image_points(cluster: Cluster, name: str, pod: Pod) -> int:
    images = [c.image if ":" in c.image else f"{c.image}:latest" for c in pod.spec.containers]
    total = 0
    for image in images:
        having = [(other, i.sizeBytes) for other, (node, _) in cluster.items() for i in node.status.images if image in i.names]
        if name in [other for other, _ in having]:
            total += int(having[0][1] * (len(having) / len(cluster)))
    least, most = 23 * MEGABYTE, 1000 * MEGABYTE * len(images)
    return 100 * (min(max(total, least), most) - least) // (most - least)


def scores(cluster: Cluster, names: Sequence[str], pod: Pod, namespaces: Namespaces) -> dict[str, dict[str, int]]:
    """Plug-in → node → score, without weights."""
    taints = {
        name: sum(t.effect == "PreferNoSchedule" and not scheduling_rules.tolerates(
            [w for w in pod.spec.tolerations if w.effect in ("", "PreferNoSchedule")], t) for t in cluster[name][0].spec.taints)
        for name in names
    }
    even = {name: balanced(*cluster[name], pod) for name in names}
    return {
        "TaintToleration": normalised(taints, reverse=True),
        "NodeAffinity": normalised({name: scheduling_rules.preferred_node_score(pod, cluster[name][0]) for name in names}),
        "NodeResourcesFit": {name: by_strategy(*cluster[name], pod, "LeastAllocated", {"cpu": 1, "memory": 1}) for name in names},
        "PodTopologySpread": plain.spread_scores(cluster, names, pod),
        "InterPodAffinity": plain.affinity_scores(cluster, names, pod, namespaces),
        "NodeResourcesBalancedAllocation": {name: points or 0 for name, points in even.items()},
        "ImageLocality": {name: image_points(cluster, name, pod) for name in names},
    }


WEIGHTS = {
    "TaintToleration": 3, "NodeAffinity": 2, "NodeResourcesFit": 1, "PodTopologySpread": 2, "InterPodAffinity": 2,
    "NodeResourcesBalancedAllocation": 1, "ImageLocality": 1,
}


def decide(cluster: Cluster, pod: Pod, namespaces: Namespaces, rng: random.Random) -> str | None:
    """The node; None: none takes it."""
    names = [name for name in cluster if refusal(cluster, name, pod, namespaces) is None]
    if len(names) < 2:
        return names[0] if names else None
    totals = dict.fromkeys(names, 0)
    for plugin, points in scores(cluster, names, pod, namespaces).items():
        for name in names:
            totals[name] += WEIGHTS[plugin] * points[name]
    best = [name for name in names if totals[name] == max(totals.values())]
    return best[0] if len(best) == 1 else best[rng.randrange(len(best))]
