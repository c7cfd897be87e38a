"""PodTopologySpread: pods of a kind lie evenly over domains of nodes; required constraints refuse, others give points.

Pods without constraints of their own are spread by those that Services, ReplicaSets and the like select with them.
https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from kubelet_lite.api.core_v1 import Node, Pod, TopologySpreadConstraint
from kubelet_lite.api.selectors import NOTHING
from kubelet_lite.scheduler import default_spread, node_terms
from kubelet_lite.scheduler.framework import MAX_NODE_SCORE, Change, Handle, Plugin, Refusals, Rejection
from kubelet_lite.scheduler.node_table import Column, Mask, NodeTable, Rows, take
from kubelet_lite.scheduler.plugins.taint_toleration import untolerated
from kubelet_lite.scheduler.pod_info import PodInfo
from kubelet_lite.scheduler.pod_tallies import LabelColumn, Selection, Tally
from kubelet_lite.scheduler.pod_terms import HOSTNAME, Spread

MAX_KEPT_DOMAINS: Final = 1024
UNEVEN: Final = "node(s) didn't match pod topology spread constraints"
NO_LABEL: Final = f"{UNEVEN} (missing required label)"


class Domains(msgspec.Struct, eq=False):
    """Which nodes count for a constraint, and the domains that they make."""

    counting: Mask | None
    """None: every node."""
    present: NDArray[np.bool_]
    """By number of the label's value."""
    number: int


class PodTopologySpreadArgs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    defaultConstraints: tuple[TopologySpreadConstraint, ...] = ()
    """For pods without constraints of their own; they have no labelSelector: what selects the pod's fellows is found."""
    defaultingType: str = "System"
    """System: by the built-in constraints; List: by `defaultConstraints`."""


class PodTopologySpread(Plugin):
    Args = PodTopologySpreadArgs
    args: PodTopologySpreadArgs

    def __init__(self, handle: Handle, args: PodTopologySpreadArgs | None = None) -> None:
        super().__init__(handle, args)
        listed = self.args.defaultingType == "List"
        self._constraints = self.args.defaultConstraints if listed else default_spread.BUILT_IN
        self._refusing_defaults = any(constraint.whenUnsatisfiable == "DoNotSchedule" for constraint in self._constraints)
        self._every_label_by_default = listed
        self._defaults = default_spread.DefaultSpread(handle.surroundings, self._constraints)
        self._generation = -1
        self._domains: dict[object, Domains] = {}

    def needs(self, pod: PodInfo, nodes: NodeTable) -> Sequence[type[Any]]:
        return () if pod.spreads else self._defaults.needs(pod.pod)

    def hint(self, change: Change) -> bool | Callable[[PodInfo], bool]:
        if change.kind is Node:
            return change.old is None or change.new is None or _differ(change.old, change.new)
        if change.kind is not Pod:
            return False
        found = [pod for pod in (change.old, change.new) if pod is not None]

        def means_one(waiting: PodInfo) -> bool:
            return any(
                pod.metadata.namespace == waiting.key[0] and any(s.selector.matches(pod.metadata.labels) for s in self._required(waiting)) for pod in found
            )

        return means_one

    # Filter

    def applies(self, pod: PodInfo, nodes: NodeTable) -> bool:
        return (bool(pod.spreads) or self._refusing_defaults) and bool(self._required(pod))

    def _required(self, pod: PodInfo) -> tuple[Spread, ...]:
        if not pod.spreads and not self._refusing_defaults:
            return ()
        return tuple(spread for spread in pod.spreads or self._defaults.spreads(pod.pod) if spread.required)

    def mask(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Mask:
        mask: Mask = self._verdicts(pod, nodes, rows) == 0
        return mask

    def reject(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Refusals:
        verdicts = self._verdicts(pod, nodes, rows)
        found = []
        for verdict, reason in ((1, UNEVEN), (2, NO_LABEL)):
            if (verdicts == verdict).any():
                found.append((Rejection(self.name, (reason,), resolvable=verdict == 1), rows[verdicts == verdict]))
        return found

    def _verdicts(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> NDArray[np.int8]:
        """0: passes; 1: too uneven; 2: lacks a label. The first constraint that is not met says."""
        required = self._required(pod)
        keys = tuple(spread.topology_key for spread in required)
        verdicts = np.zeros(rows.size, np.int8)
        for spread in required:
            label = nodes.label(spread.topology_key)
            domains = self._counting(nodes, pod, spread, keys)
            counts = _sums(nodes, _tally(nodes, pod, spread), spread.topology_key, domains)[:-1]
            fewest = int(counts[domains.present].min()) if domains.number >= max(spread.min_domains, 1) else 0
            room = spread.max_skew + fewest - int(spread.selector.matches(pod.pod.metadata.labels))
            codes = take(label.codes, rows)
            # A domain without nodes that count holds no pods; code -1 finds the verdict on nodes without the label.
            of_domain = np.append(np.where(domains.present, counts, 0) > room, False).astype(np.int8)
            of_domain[-1] = 2
            verdicts = np.where(verdicts == 0, of_domain[codes], verdicts)
        return verdicts

    # Score

    def ranks(self, pod: PodInfo, nodes: NodeTable) -> bool:
        return bool(self._wishes(pod)[0])

    def column(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Column | None:
        wishes, every_label = self._wishes(pod)
        if not wishes:
            return None
        keys = tuple(spread.topology_key for spread in wishes) if every_label else ()
        scored = np.ones(rows.size, np.bool_)
        for key in keys:
            scored &= nodes.label(key).codes[rows] >= 0
        points = np.zeros(rows.size, np.float64)
        for spread in wishes:
            label = nodes.label(spread.topology_key)
            codes = take(label.codes, rows)
            tally = _tally(nodes, pod, spread)
            if spread.topology_key == HOSTNAME:
                size = int(scored.sum())
                counts = tally.column(nodes.width)[rows]
            else:
                size = _distinct(codes[scored], label)
                counts = _sums(nodes, tally, spread.topology_key, self._counting(nodes, pod, spread, keys))[codes]
            points += np.where(codes >= 0, counts * np.log(float(size + 2)) + float(spread.max_skew - 1), 0.0)
        whole = np.floor(points)
        rounded = (whole + (points - whole >= 0.5)).astype(np.int64)
        return _normalised(rounded, scored)

    def _wishes(self, pod: PodInfo) -> tuple[Sequence[Spread], bool]:
        """What to score by, and whether nodes without all the labels are left out (not so for the built-in constraints)."""
        if pod.spreads:
            return [spread for spread in pod.spreads if not spread.required], True
        return [spread for spread in self._defaults.spreads(pod.pod) if not spread.required], self._every_label_by_default

    # Counting

    def _counting(self, nodes: NodeTable, pod: PodInfo, spread: Spread, keys: tuple[str, ...]) -> Domains:
        """The nodes that have all `keys` and that the constraint's policies leave in."""
        if self._generation != nodes.generation or len(self._domains) > MAX_KEPT_DOMAINS:
            self._domains.clear()
            self._generation = nodes.generation
        by_affinity = pod.placement_key if spread.honor_affinity else b""
        by_taints = pod.pod.spec.tolerations if spread.honor_taints and len(nodes.taint_sets) > 1 else None
        kept_under = spread.topology_key, keys, by_affinity, by_taints
        found = self._domains.get(kept_under)
        if found is not None:
            return found
        counting = nodes.alive.copy()
        for key in keys:
            counting &= nodes.label(key).codes >= 0
        if by_affinity:
            counting &= node_terms.matching(nodes, pod.pod)
        if by_taints is not None:
            tolerated = np.array([untolerated(by_taints, taints) is None for taints in nodes.taint_sets], np.bool_)
            counting &= tolerated[nodes.taint_set]
        label = nodes.label(spread.topology_key)
        present = np.zeros(len(label.numbers) + 1, np.bool_)
        present[label.codes[counting]] = True
        found = Domains(None if (counting == nodes.alive).all() else counting, present[:-1], int(present[:-1].sum()))
        self._domains[kept_under] = found
        return found


def _differ(old: Node, new: Node) -> bool:
    """In anything that domains are made of."""
    return old.metadata.labels != new.metadata.labels or old.spec.taints != new.spec.taints


def _tally(nodes: NodeTable, pod: PodInfo, spread: Spread) -> Tally:
    """Pods of the namespace that are meant; those being deleted do not count."""
    selector = NOTHING if spread.selector.empty else spread.selector  # an empty one counts no pods, yet means the pod itself
    return nodes.tally(Selection((((pod.pod.metadata.namespace,), selector),), terminating=False))


def _sums(nodes: NodeTable, tally: Tally, key: str, domains: Domains) -> Column:
    """The count of each domain; the last is for nodes without the label."""
    label = nodes.label(key)
    if domains.counting is None:
        return tally.sums(key, label)
    sums = np.zeros(len(label.numbers) + 1, np.int64)
    np.add.at(sums, label.codes[domains.counting], tally.column(nodes.width)[domains.counting])
    return sums


def _distinct(codes: Column, label: LabelColumn) -> int:
    """How many domains; nodes without the label are one, together with those whose label is empty."""
    seen = np.zeros(len(label.numbers) + 1, np.bool_)
    seen[codes] = True  # code -1: the last
    empty = label.numbers.get("")
    return int(np.count_nonzero(seen)) - int(empty is not None and bool(seen[-1]) and bool(seen[empty]))


def _normalised(points: Column, scored: Mask) -> Column:
    """The fewer, the better; nothing for nodes that are not scored."""
    highest = int(points[scored].max(initial=0))
    if highest == 0:
        return np.where(scored, MAX_NODE_SCORE, 0)
    lowest = int(points[scored].min())
    return np.where(scored, MAX_NODE_SCORE * (highest + lowest - points) // highest, 0)
