"""What a pod says of other pods: affinity terms and spread constraints, read once.

https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#inter-pod-affinity-and-anti-affinity
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from kubelet_lite.api import selectors
from kubelet_lite.api.core_v1 import Pod, PodAffinityTerm, TopologySpreadConstraint
from kubelet_lite.api.selectors import NOTHING, Requirement, Selector

HOSTNAME: Final = "kubernetes.io/hostname"
ZONE: Final = "topology.kubernetes.io/zone"


class Term(msgspec.Struct, frozen=True):
    """Pods that a pod wants in, or not in, the same domain of nodes: those with an equal label `topology_key`."""

    topology_key: str
    namespaces: tuple[str, ...]
    namespace_selector: Selector
    selector: Selector

    def matches(self, namespace: str, labels: Mapping[str, str], namespace_labels: Mapping[str, str]) -> bool:
        """Whether a pod with these labels, in this namespace, is meant."""
        return (namespace in self.namespaces or self.namespace_selector.matches(namespace_labels)) and self.selector.matches(labels)


class AffinityTerms(msgspec.Struct, frozen=True):
    """All terms of one pod."""

    required: tuple[Term, ...]
    forbidden: tuple[Term, ...]
    preferred: tuple[tuple[Term, int], ...]
    """With weights: negative where the pod would rather be apart."""

    @property
    def every(self) -> Iterable[Term]:
        return (*self.required, *self.forbidden, *(term for term, _ in self.preferred))


class Spread(msgspec.Struct, frozen=True):
    """How evenly pods like this one shall lie over the domains of a topology key."""

    topology_key: str
    max_skew: int
    selector: Selector
    required: bool
    """Refuses nodes; otherwise it is a wish."""
    min_domains: int = 1
    honor_affinity: bool = True
    """Whether nodes that the pod's node affinity leaves out are left out of the count, …"""
    honor_taints: bool = False
    """… and those whose taints it does not tolerate."""


def affinity_terms(pod: Pod) -> AffinityTerms | None:
    """None for a pod that says nothing of others."""
    affinity = pod.spec.affinity
    if affinity is None or (affinity.podAffinity is None and affinity.podAntiAffinity is None):
        return None
    near, apart = affinity.podAffinity, affinity.podAntiAffinity
    preferred = [(w.podAffinityTerm, w.weight) for w in near.preferredDuringSchedulingIgnoredDuringExecution] if near is not None else []
    preferred += [(w.podAffinityTerm, -w.weight) for w in apart.preferredDuringSchedulingIgnoredDuringExecution] if apart is not None else []
    return AffinityTerms(
        tuple(_term(pod, term) for term in near.requiredDuringSchedulingIgnoredDuringExecution) if near is not None else (),
        tuple(_term(pod, term) for term in apart.requiredDuringSchedulingIgnoredDuringExecution) if apart is not None else (),
        tuple((_term(pod, term), weight) for term, weight in preferred),
    )


def _term(pod: Pod, term: PodAffinityTerm) -> Term:
    """Without any namespaces, the pod's own is meant. (What matchLabelKeys adds, the API server wrote into the selector.)"""
    own = not term.namespaces and term.namespaceSelector is None
    return Term(
        term.topologyKey, (pod.metadata.namespace,) if own else tuple(sorted(set(term.namespaces))),
        _selector_or_nothing(term.namespaceSelector), _selector_or_nothing(term.labelSelector),
    )


def spreads(pod: Pod) -> tuple[Spread, ...]:
    """The pod's own spread constraints."""
    return tuple(_spread(pod, constraint) for constraint in pod.spec.topologySpreadConstraints)


def _spread(pod: Pod, constraint: TopologySpreadConstraint) -> Spread:
    selector = _selector_or_nothing(constraint.labelSelector)
    own = [Requirement(key, "=", (pod.metadata.labels[key],)) for key in constraint.matchLabelKeys if key in pod.metadata.labels]
    if own and not selector.nothing:
        selector = Selector((*own, *selector.requirements))
    return spread_by(constraint, selector)


def spread_by(constraint: TopologySpreadConstraint, selector: Selector) -> Spread:
    """The constraint for the pods that `selector` means."""
    return Spread(
        topology_key=constraint.topologyKey, max_skew=constraint.maxSkew, selector=selector,
        required=constraint.whenUnsatisfiable == "DoNotSchedule",
        min_domains=1 if constraint.minDomains is None else constraint.minDomains,
        honor_affinity=constraint.nodeAffinityPolicy != "Ignore", honor_taints=constraint.nodeTaintsPolicy == "Honor",
    )


def _selector_or_nothing(selector: object) -> Selector:
    """One that validation would have refused selects nothing."""
    try:
        return selectors.from_label_selector(selector)  # type: ignore[arg-type]
    except selectors.SelectorError:
        return NOTHING
