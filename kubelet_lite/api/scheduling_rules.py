"""What scheduler, kubelet and controllers must agree on: what a pod asks for, which nodes it may run on, which taints it tolerates.

https://kubernetes.io/docs/concepts/scheduling-eviction/
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from kubelet_lite.api import quantities
from kubelet_lite.api.core_v1 import (
    Container,
    ContainerStatus,
    Node,
    NodeSelector,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    Pod,
    Taint,
    Toleration,
)
from kubelet_lite.api.selectors import integer

MILLI: Final = quantities.NANO // 1000
POD_LEVEL: Final = ("cpu", "memory")
"""The resources (with hugepages) that a pod may ask for as a whole."""

FINISHED: Final = ("Succeeded", "Failed")
"""Phases of pods that have ended for good, and count on no node any more."""
SYSTEM_PRIORITIES: Final = {"system-node-critical": 2_000_001_000, "system-cluster-critical": 2_000_000_000}
"""The priority classes that every cluster has."""

Nanos = dict[str, int]


# ---- requests


def pod_requests(pod: Pod, *, missing: Mapping[str, int] | None = None, pod_level: bool = True) -> dict[str, int]:
    """What the pod asks for at its most demanding moment, by resource: cpu in millicores, all else in whole units (bytes, counts).

    `missing`: what a container counts for that does not say, in the same units; `pod_level`: whether `spec.resources` counts.
    """
    spec = pod.spec
    defaults = {name: _nanos_of(name, amount) for name, amount in (missing or {}).items()}
    statuses = {s.name: s for s in (*pod.status.containerStatuses, *pod.status.initContainerStatuses)} if pod.status.containerStatuses else {}
    infeasible = bool(statuses) and any(c.type == "PodResizePending" and c.reason == "Infeasible" for c in pod.status.conditions)
    total: Nanos = {}
    for container in spec.containers:
        _add(total, _container_requests(container, statuses, infeasible, defaults))
    sidecars: Nanos = {}
    first: Nanos = {}
    for container in spec.initContainers:
        sidecar = container.restartPolicy == "Always"
        wanted = _container_requests(container, statuses if sidecar else {}, infeasible, defaults)
        if sidecar:
            _add(total, wanted)
            _add(sidecars, wanted)
            _raise(first, sidecars)
        else:
            _add(wanted, sidecars)
            _raise(first, wanted)
    _raise(total, first)
    if pod_level and spec.resources is not None:
        total |= {name: quantities.read(q).nanos for name, q in spec.resources.requests.items() if is_pod_level(name)}
    for name, quantity in spec.overhead.items():
        total[name] = total.get(name, 0) + quantities.read(quantity).nanos
    return {name: _rounded(name, nanos) for name, nanos in total.items()}


def is_pod_level(resource: str) -> bool:
    return resource in POD_LEVEL or resource.startswith("hugepages-")


def _container_requests(container: Container, statuses: Mapping[str, ContainerStatus], infeasible: bool, defaults: Nanos) -> Nanos:
    """As the spec says, or what was granted where a resize is under way."""
    found = {name: quantities.read(q).nanos for name, q in container.resources.requests.items()}
    status = statuses.get(container.name)
    if status is not None and status.resources is not None:
        if infeasible:
            found = {}
        for granted in (status.resources.requests, status.allocatedResources):
            _raise(found, {name: quantities.read(q).nanos for name, q in granted.items()})
    return {**defaults, **found} if defaults else found


def _add(total: Nanos, more: Nanos) -> None:
    for name, amount in more.items():
        total[name] = total.get(name, 0) + amount


def _raise(total: Nanos, other: Nanos) -> None:
    """To the greater of both, for each resource."""
    for name, amount in other.items():
        if amount > total.get(name, 0) or name not in total:
            total[name] = amount


def _nanos_of(name: str, amount: int) -> int:
    return amount * (MILLI if name == "cpu" else quantities.NANO)


def _rounded(name: str, nanos: int) -> int:
    return -(-nanos // (MILLI if name == "cpu" else quantities.NANO))


# ---- taints


def tolerates(tolerations: Iterable[Toleration], taint: Taint) -> bool:
    """Whether any of the tolerations covers the taint."""
    return any(tolerates_taint(toleration, taint) for toleration in tolerations)


def tolerates_taint(toleration: Toleration, taint: Taint) -> bool:
    if toleration.effect and toleration.effect != taint.effect:
        return False
    if toleration.key and toleration.key != taint.key:
        return False
    match toleration.operator:
        case "" | "Equal":
            return toleration.value == taint.value
        case "Exists":
            return True
        case "Lt" | "Gt":
            have, limit = integer(taint.value), integer(toleration.value)
            if have is None or limit is None:
                return False
            return have < limit if toleration.operator == "Lt" else have > limit
        case _:
            return False


# ---- node selectors


def node_matches(pod: Pod, node: Node) -> bool:
    """Whether the pod's node selector and required node affinity allow the node."""
    labels = node.metadata.labels
    if any(labels.get(key) != value for key, value in pod.spec.nodeSelector.items()):
        return False
    required = required_terms(pod)
    return required is None or selects(required, node)


def selects(selector: NodeSelector, node: Node) -> bool:
    """One term must match; a selector without terms matches nothing."""
    return any(term_matches(term, node) for term in selector.nodeSelectorTerms)


def term_matches(term: NodeSelectorTerm, node: Node) -> bool:
    """All of a term's conditions must hold; a term without any matches nothing."""
    if not term.matchExpressions and not term.matchFields:
        return False
    return all(holds(e, node.metadata.labels) for e in term.matchExpressions) and all(field_holds(f, node.metadata.name) for f in term.matchFields)


def holds(requirement: NodeSelectorRequirement, labels: Mapping[str, str]) -> bool:
    """Whether labels meet one condition."""
    value = labels.get(requirement.key)
    match requirement.operator:
        case "In":
            return value is not None and value in requirement.values
        case "NotIn":
            return value is None or value not in requirement.values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt":
            have = integer(value) if value is not None else None
            limit = integer(requirement.values[0]) if len(requirement.values) == 1 else None
            if have is None or limit is None:
                return False
            return have > limit if requirement.operator == "Gt" else have < limit
        case _:
            return False


def field_holds(requirement: NodeSelectorRequirement, node_name: str) -> bool:
    """Whether a node's name, the only field there is, meets one condition."""
    if requirement.key != "metadata.name" or len(requirement.values) != 1:
        return False
    equal = requirement.values[0] == node_name
    return equal if requirement.operator == "In" else not equal if requirement.operator == "NotIn" else False


def required_node_names(pod: Pod) -> frozenset[str] | None:
    """The only nodes that required affinity by name leaves; None: it does not single out any. For membership alone."""
    required = required_terms(pod)
    if required is None or not required.nodeSelectorTerms:
        return None
    names: set[str] = set()
    for term in required.nodeSelectorTerms:
        of_term: set[str] | None = None
        for field in term.matchFields:
            if field.key == "metadata.name" and field.operator == "In":
                of_term = set(field.values) if of_term is None else of_term & set(field.values)
        if of_term is None:
            return None
        names |= of_term
    return frozenset(names)


def preferred_node_score(pod: Pod, node: Node) -> int:
    """The sum of the weights of the preferred terms that match. Here a term without conditions matches nothing either."""
    affinity = pod.spec.affinity.nodeAffinity if pod.spec.affinity is not None else None
    if affinity is None:
        return 0
    return sum(p.weight for p in affinity.preferredDuringSchedulingIgnoredDuringExecution if term_matches(p.preference, node))


def required_terms(pod: Pod) -> NodeSelector | None:
    """The node affinity that must be met."""
    affinity = pod.spec.affinity.nodeAffinity if pod.spec.affinity is not None else None
    return affinity.requiredDuringSchedulingIgnoredDuringExecution if affinity is not None else None
