"""InterPodAffinity: pods near others, or apart from them: by their own terms and by those of pods that are placed already.

https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#inter-pod-affinity-and-anti-affinity
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from kubelet_lite.api.core_v1 import Namespace, Node, Pod
from kubelet_lite.api.selectors import Selector
from kubelet_lite.scheduler.framework import MAX_NODE_SCORE, Change, Handle, Plugin, Refusals, Rejection
from kubelet_lite.scheduler.node_table import Column, Mask, NodeTable, Rows, take
from kubelet_lite.scheduler.pod_info import PodInfo
from kubelet_lite.scheduler.pod_tallies import Selection, Tally, TermTallies
from kubelet_lite.scheduler.pod_terms import Term, affinity_terms

NOT_NEAR = "node(s) didn't match pod affinity rules"
TOO_NEAR = "node(s) didn't match pod anti-affinity rules"
KEPT_OFF = "node(s) didn't satisfy existing pods anti-affinity rules"


class InterPodAffinityArgs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    hardPodAffinityWeight: int = 1
    """What a required affinity term of a placed pod counts for among the preferred ones."""
    ignorePreferredTermsOfExistingPods: bool = False
    """Whether pods without preferred terms of their own are not scored."""


class InterPodAffinity(Plugin):
    Args = InterPodAffinityArgs
    args: InterPodAffinityArgs

    def __init__(self, handle: Handle, args: InterPodAffinityArgs | None = None) -> None:
        super().__init__(handle, args)
        self._namespaces: dict[Selector, tuple[str, ...]] = {}
        self._namespaces_as_of = -1

    def needs(self, pod: PodInfo, nodes: NodeTable) -> Sequence[type[Any]]:
        """Labels of namespaces matter where some term asks for them."""
        own = pod.affinity is not None and any(term.namespace_selector.requirements for term in pod.affinity.every)
        others = any(terms.asks_for_namespace_labels for terms in nodes.tallies.of_terms)
        return (Namespace,) if own or others else ()

    def hint(self, change: Change) -> bool | Callable[[PodInfo], bool]:
        if change.kind is Node:
            return change.old is None or change.new is None or change.old.metadata.labels != change.new.metadata.labels
        if change.kind is Pod:
            return self._pod_hint(change)
        return change.kind is Namespace

    def _pod_hint(self, change: Change) -> Callable[[PodInfo], bool]:
        """A pod that is wanted near came, or one that is not wanted near, or does not want, went."""
        found = [pod.metadata.labels for pod in (change.old, change.new) if pod is not None]
        lifted = affinity_terms(change.old) if change.old is not None else None

        def may_help(waiting: PodInfo) -> bool:
            terms = waiting.affinity
            if terms is not None and any(term.selector.matches(labels) for term in (*terms.required, *terms.forbidden) for labels in found):
                return True
            return lifted is not None and any(term.selector.matches(waiting.pod.metadata.labels) for term in lifted.forbidden)

        return may_help

    # Filter

    def applies(self, pod: PodInfo, nodes: NodeTable) -> bool:
        terms = pod.affinity
        return bool(nodes.tallies.forbidding) or (terms is not None and bool(terms.required or terms.forbidden))

    def mask(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Mask:
        rules = ((self._near, terms.required), (self._apart, terms.forbidden)) if (terms := pod.affinity) is not None else ()
        mask = self._left_in_peace(pod, nodes, rows)
        for rule, said in rules:
            if said:
                mask &= rule(pod, nodes, rows)
        return mask

    def reject(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Refusals:
        found, left = [], rows
        for rule, reason, resolvable in ((self._near, NOT_NEAR, False), (self._apart, TOO_NEAR, True), (self._left_in_peace, KEPT_OFF, True)):
            passing = rule(pod, nodes, left)
            if not passing.all():
                found.append((Rejection(self.name, (reason,), resolvable), left[~passing]))
                left = left[passing]
        return found

    def _near(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Mask:
        """Where the domains of all required terms hold a pod that meets all of them. The first of its kind may go anywhere."""
        mask = np.ones(rows.size, np.bool_)
        required = pod.affinity.required if pod.affinity is not None else ()
        if not required:
            return mask
        tally = nodes.tally(Selection(tuple((self._where(term), term.selector) for term in required)))
        anywhere = False
        labelled = mask.copy()
        for term in required:
            label = nodes.label(term.topology_key)
            codes = take(label.codes, rows)
            sums = tally.sums(term.topology_key, label)
            anywhere |= bool(sums[:-1].any())
            labelled &= codes >= 0
            mask &= sums[codes] > 0
        if not anywhere and all(self._means(term, pod) for term in required):
            return labelled
        return mask & labelled

    def _apart(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Mask:
        """Where no domain of a forbidden term holds a pod that meets it."""
        mask = np.ones(rows.size, np.bool_)
        for term in pod.affinity.forbidden if pod.affinity is not None else ():
            mask &= ~_somewhere(nodes, self._tally(nodes, term), term, rows)
        return mask

    def _left_in_peace(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Mask:
        """Where no placed pod forbids this one."""
        mask = np.ones(rows.size, np.bool_)
        for term, tally in self._meaning(nodes.tallies.forbidding, pod):
            mask &= ~_somewhere(nodes, tally, term, rows)
        return mask

    # Score

    def ranks(self, pod: PodInfo, nodes: NodeTable) -> bool:
        if pod.affinity is not None and pod.affinity.preferred:
            return True
        placed = nodes.tallies.preferring or (nodes.tallies.requiring and self.args.hardPodAffinityWeight)
        return bool(placed) and not self.args.ignorePreferredTermsOfExistingPods

    def column(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Column | None:
        if not self.ranks(pod, nodes):
            return None
        own = pod.affinity.preferred if pod.affinity is not None else ()
        tallies, weight_of_required = nodes.tallies, self.args.hardPodAffinityWeight
        points = np.zeros(rows.size, np.int64)
        for term, weight in own:
            points += weight * _sums(nodes, self._tally(nodes, term), term, rows)
        for term, tally in self._meaning(tallies.preferring, pod):
            points += _sums(nodes, tally, term, rows)
        if weight_of_required:
            for term, tally in self._meaning(tallies.requiring, pod):
                points += weight_of_required * _sums(nodes, tally, term, rows)
        lowest, highest = int(points.min()), int(points.max())
        if lowest == highest:
            return None
        column: Column = (MAX_NODE_SCORE * ((points - lowest) / (highest - lowest))).astype(np.int64)
        return column

    # Terms

    def _meaning(self, terms: TermTallies, pod: PodInfo) -> Iterable[tuple[Term, Tally]]:
        """Terms of placed pods that mean this one."""
        if not terms:
            return ()
        labels = self._labels(pod) if terms.asks_for_namespace_labels else {}
        return [(holding.term, holding.tally) for holding in terms.meaning(pod.pod, labels) if holding.holders]

    def _tally(self, nodes: NodeTable, term: Term) -> Tally:
        return nodes.tally(Selection(((self._where(term), term.selector),)))

    def _means(self, term: Term, pod: PodInfo) -> bool:
        meta = pod.pod.metadata
        where = self._where(term)
        return (where is None or meta.namespace in where) and term.selector.matches(meta.labels)

    def _where(self, term: Term) -> tuple[str, ...] | None:
        """The namespaces that a term means; None: all."""
        if term.namespace_selector.nothing:
            return term.namespaces
        if term.namespace_selector.empty:
            return None
        as_of = self.handle.surroundings.changed(Namespace)
        if as_of != self._namespaces_as_of:
            self._namespaces, self._namespaces_as_of = {}, as_of
        selected = self._namespaces.get(term.namespace_selector)
        if selected is None:
            every = self.handle.surroundings.list(Namespace)
            selected = tuple(n.metadata.name for n in every if term.namespace_selector.matches(n.metadata.labels))
            self._namespaces[term.namespace_selector] = selected
        return tuple(sorted({*term.namespaces, *selected}))

    def _labels(self, pod: PodInfo) -> Mapping[str, str]:
        namespace = self.handle.surroundings.get(Namespace, pod.pod.metadata.namespace)
        return namespace.metadata.labels if namespace is not None else {}


def _sums(nodes: NodeTable, tally: Tally, term: Term, rows: Rows) -> Column:
    """For each row the sum over its domain; nothing without the label."""
    label = nodes.label(term.topology_key)
    codes = take(label.codes, rows)
    sums: Column = tally.sums(term.topology_key, label)[codes]
    return sums if label.everywhere else np.where(codes >= 0, sums, 0)


def _somewhere(nodes: NodeTable, tally: Tally, term: Term, rows: Rows) -> Mask:
    """Whether the domain holds any."""
    label = nodes.label(term.topology_key)
    holds = tally.sums(term.topology_key, label) > 0
    holds[-1] = False
    mask: Mask = holds[take(label.codes, rows)]
    return mask
