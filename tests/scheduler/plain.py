"""Topology spread, inter-pod affinity and preemption as plain loops over nodes and pods: what the columns must equal."""
from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from kubelet_lite.api import scheduling_rules, selectors
from kubelet_lite.api.core_v1 import Node, Pod, PodAffinityTerm, TopologySpreadConstraint, WeightedPodAffinityTerm

Cluster = dict[str, tuple[Node, list[Pod]]]
"""By node name, the pods on it."""
Namespaces = Mapping[str, Mapping[str, str]]
"""Name → labels."""


def means(term: PodAffinityTerm, owner: Pod, other: Pod, namespaces: Namespaces) -> bool:
    """Whether a term of `owner` means `other`."""
    where = other.metadata.namespace
    chosen = where in term.namespaces
    if term.namespaceSelector is not None:
        chosen |= selectors.from_label_selector(term.namespaceSelector).matches(namespaces.get(where, {}))
    elif not term.namespaces:
        chosen = where == owner.metadata.namespace
    return chosen and selectors.from_label_selector(term.labelSelector).matches(other.metadata.labels)


def required(pod: Pod, *, near: bool) -> Sequence[PodAffinityTerm]:
    affinity = pod.spec.affinity
    part = None if affinity is None else affinity.podAffinity if near else affinity.podAntiAffinity
    return part.requiredDuringSchedulingIgnoredDuringExecution if part is not None else ()


def preferred(pod: Pod, *, near: bool) -> Sequence[WeightedPodAffinityTerm]:
    affinity = pod.spec.affinity
    part = None if affinity is None else affinity.podAffinity if near else affinity.podAntiAffinity
    return part.preferredDuringSchedulingIgnoredDuringExecution if part is not None else ()


def neighbours(cluster: Cluster, node: Node, key: str) -> Iterator[Pod]:
    """The pods in the node's domain."""
    for other, pods in cluster.values():
        if key in node.metadata.labels and other.metadata.labels.get(key) == node.metadata.labels[key]:
            yield from pods


def affinity_refusal(cluster: Cluster, node: Node, pod: Pod, namespaces: Namespaces) -> str | None:
    def all_near(other: Pod) -> bool:
        return all(means(term, pod, other, namespaces) for term in required(pod, near=True))

    terms = required(pod, near=True)
    if terms:
        first = not any(
            all_near(other) and any(t.topologyKey in n.metadata.labels for t in terms) for n, pods in cluster.values() for other in pods
        )
        labelled = all(term.topologyKey in node.metadata.labels for term in terms)
        met = all(any(all_near(other) for other in neighbours(cluster, node, term.topologyKey)) for term in terms)
        if not labelled or not (met or (first and all_near(pod))):
            return "node(s) didn't match pod affinity rules"
    for term in required(pod, near=False):
        if any(means(term, pod, other, namespaces) for other in neighbours(cluster, node, term.topologyKey)):
            return "node(s) didn't match pod anti-affinity rules"
    for other_node, others in cluster.values():
        for other in others:
            for term in required(other, near=False):
                value = other_node.metadata.labels.get(term.topologyKey)
                if value is not None and value == node.metadata.labels.get(term.topologyKey) and means(term, other, pod, namespaces):
                    return "node(s) didn't satisfy existing pods anti-affinity rules"
    return None


def affinity_scores(cluster: Cluster, names: Sequence[str], pod: Pod, namespaces: Namespaces, hard_weight: int = 1) -> dict[str, int]:
    points: dict[str, int] = {}
    for name in names:
        node, total = cluster[name][0], 0
        for sign, near in ((1, True), (-1, False)):
            for wish in preferred(pod, near=near):
                term = wish.podAffinityTerm
                total += sign * wish.weight * sum(means(term, pod, o, namespaces) for o in neighbours(cluster, node, term.topologyKey))
        for other_node, others in cluster.values():
            for other in others:
                terms = [(term, hard_weight) for term in required(other, near=True)]
                terms += [(w.podAffinityTerm, w.weight) for w in preferred(other, near=True)]
                terms += [(w.podAffinityTerm, -w.weight) for w in preferred(other, near=False)]
                for term, weight in terms:
                    value = other_node.metadata.labels.get(term.topologyKey)
                    if value is not None and value == node.metadata.labels.get(term.topologyKey) and means(term, other, pod, namespaces):
                        total += weight
        points[name] = total
    low, high = min(points.values()), max(points.values())
    return {name: int(100 * ((total - low) / (high - low))) if high > low else 0 for name, total in points.items()}


def matcher(constraint: TopologySpreadConstraint, pod: Pod) -> Callable[[Pod], bool]:
    selector = selectors.from_label_selector(constraint.labelSelector)
    own = {key: pod.metadata.labels[key] for key in constraint.matchLabelKeys if key in pod.metadata.labels}
    return lambda other: selector.matches(other.metadata.labels) and own.items() <= other.metadata.labels.items()


def is_empty(constraint: TopologySpreadConstraint, pod: Pod) -> bool:
    own = [key for key in constraint.matchLabelKeys if key in pod.metadata.labels]
    return selectors.from_label_selector(constraint.labelSelector).empty and not own


def on_node(constraint: TopologySpreadConstraint, pod: Pod, pods: Sequence[Pod]) -> int:
    if is_empty(constraint, pod):
        return 0
    matches = matcher(constraint, pod)
    return sum(o.metadata.namespace == pod.metadata.namespace and o.metadata.deletionTimestamp is None and matches(o) for o in pods)


def counts(constraint: TopologySpreadConstraint, node: Node, pod: Pod) -> bool:
    """Whether a constraint's policies leave the node in."""
    if constraint.nodeAffinityPolicy != "Ignore" and not scheduling_rules.node_matches(pod, node):
        return False
    hard = [t for t in node.spec.taints if t.effect in ("NoSchedule", "NoExecute")]
    return constraint.nodeTaintsPolicy != "Honor" or all(scheduling_rules.tolerates(pod.spec.tolerations, taint) for taint in hard)


def spread_domains(cluster: Cluster, pod: Pod, constraint: TopologySpreadConstraint, keys: Sequence[str]) -> Counter[str]:
    found: Counter[str] = Counter()
    for node, pods in cluster.values():
        if all(key in node.metadata.labels for key in keys) and counts(constraint, node, pod):
            found[node.metadata.labels.get(constraint.topologyKey, "")] += on_node(constraint, pod, pods)
    return found


def spread_refusal(cluster: Cluster, node: Node, pod: Pod) -> str | None:
    hard = [c for c in pod.spec.topologySpreadConstraints if c.whenUnsatisfiable == "DoNotSchedule"]
    for constraint in hard:
        domain = node.metadata.labels.get(constraint.topologyKey)
        if domain is None:
            return "node(s) didn't match pod topology spread constraints (missing required label)"
        domains = spread_domains(cluster, pod, constraint, [c.topologyKey for c in hard])
        fewest = min(domains.values()) if len(domains) >= (constraint.minDomains or 1) else 0
        if domains[domain] + matcher(constraint, pod)(pod) - fewest > constraint.maxSkew:
            return "node(s) didn't match pod topology spread constraints"
    return None


def spread_scores(cluster: Cluster, names: Sequence[str], pod: Pod) -> dict[str, int]:
    soft = [c for c in pod.spec.topologySpreadConstraints if c.whenUnsatisfiable == "ScheduleAnyway"]
    keys = [c.topologyKey for c in soft]
    scored = [name for name in names if all(key in cluster[name][0].metadata.labels for key in keys)]
    points = {}
    for name in scored:
        node, pods = cluster[name]
        total = 0.0
        for constraint in soft:
            key = constraint.topologyKey
            if key == "kubernetes.io/hostname":
                size, count = len(scored), on_node(constraint, pod, pods)
            else:
                size = len({cluster[n][0].metadata.labels[key] for n in scored})
                count = spread_domains(cluster, pod, constraint, keys)[node.metadata.labels[key]]
            total += count * math.log(size + 2) + (constraint.maxSkew - 1)
        points[name] = math.floor(total + 0.5)
    if not soft or not points:
        return dict.fromkeys(names, 0)
    low, high = min(points.values()), max(points.values())
    return {name: 0 if name not in points else 100 * (high + low - points[name]) // high if high else 100 for name in names}
