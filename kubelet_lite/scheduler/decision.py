"""The decision for one pod: filter, score, pick. Pure: given the table, the pod and a source of randomness for ties.

https://kubernetes.io/docs/concepts/scheduling-eviction/kube-scheduler/
"""
from __future__ import annotations

import collections
import random
from collections.abc import Iterable, Sequence

import msgspec
import numpy as np

from kubelet_lite.scheduler.framework import Profile, Refusals, Rejection, Score
from kubelet_lite.scheduler.node_table import Column, Mask, NodeTable, Rows
from kubelet_lite.scheduler.pod_info import PodInfo


class Placement(msgspec.Struct, frozen=True):
    """Where the pod goes."""

    node_name: str
    feasible: int
    """How many nodes could have taken it."""


class Unschedulable(msgspec.Struct, frozen=True):
    """No node takes the pod: the first refusal of each node, counted."""

    refusals: tuple[tuple[Rejection, int], ...]
    node_count: int
    preempts: bool
    """Whether the pod may displace others at all."""

    @property
    def plugins(self) -> frozenset[str]:
        """Who refused."""
        return frozenset(rejection.plugin for rejection, _ in self.refusals)

    @property
    def message(self) -> str:
        """What the FailedScheduling event and the PodScheduled condition say."""
        if self.node_count == 0:
            return "no nodes available to schedule pods"
        head = f"0/{self.node_count} nodes are available"
        reasons = _counted((reason, count) for rejection, count in self.refusals for reason in rejection.reasons)
        return f"{head}: {reasons}. no new claims to deallocate, preemption: {self._preemption(head)}"

    def _preemption(self, head: str) -> str:
        if not self.preempts:
            return "not eligible due to preemptionPolicy=Never."
        outcomes = _counted(
            ("No preemption victims found for incoming pod" if rejection.resolvable else "Preemption is not helpful for scheduling", count)
            for rejection, count in self.refusals
        )
        return f"{head}: {outcomes}."


def schedule(nodes: NodeTable, pod: PodInfo, profile: Profile, rng: random.Random) -> Placement | Unschedulable:
    rows = feasible_rows(nodes, pod, profile)
    if rows.size == 0:
        refusals = tuple((rejection, int(refused.size)) for rejection, refused in rejected(nodes, pod, profile))
        return Unschedulable(refusals, len(nodes), pod.pod.spec.preemptionPolicy != "Never")
    if rows.size == 1:
        return Placement(nodes.name(int(rows[0])), 1)
    total = np.zeros(rows.size, np.int64)
    for _, column in weighted_scores(nodes, pod, profile.scores, rows):
        total += column
    best = rows[total == total.max()]
    row = int(best[0]) if best.size == 1 else int(best[rng.randrange(best.size)])
    return Placement(nodes.name(row), int(rows.size))


def feasible_rows(nodes: NodeTable, pod: PodInfo, profile: Profile) -> Rows:
    """The nodes that every filter passes."""
    mask, _ = _narrowed(nodes, pod, profile)
    for plugin in profile.filters:
        if plugin.applies(pod, nodes):
            mask &= plugin.mask(pod, nodes)
    return np.flatnonzero(mask)


def rejected(nodes: NodeTable, pod: PodInfo, profile: Profile) -> Refusals:
    """The first refusal of each refused row, in groups."""
    remaining, left_out = _narrowed(nodes, pod, profile)
    found: list[tuple[Rejection, Rows]] = []
    if left_out:
        reason = f"node(s) didn't satisfy plugin(s) [{' '.join(sorted(left_out))}]"
        found.append((Rejection(left_out[0], (reason,), resolvable=False), np.flatnonzero(nodes.alive & ~remaining)))
    for plugin in profile.filters:
        if plugin.applies(pod, nodes):
            mask = plugin.mask(pod, nodes)
            refused = np.flatnonzero(remaining & ~mask)
            if refused.size:
                found += plugin.reject(pod, nodes, refused)
            remaining &= mask
    return found


def weighted_scores(nodes: NodeTable, pod: PodInfo, scores: Sequence[Score], rows: Rows) -> Iterable[tuple[str, Column]]:
    """What each plug-in adds to the total of `rows`."""
    for plugin in scores:
        column = plugin.column(pod, nodes, rows)
        if column is not None:
            yield plugin.name, column * plugin.weight


def _narrowed(nodes: NodeTable, pod: PodInfo, profile: Profile) -> tuple[Mask, list[str]]:
    """The nodes that are looked at, and which plug-ins left the others out."""
    mask, plugins = nodes.alive.copy(), []
    for plugin in profile.pre_filters:
        narrower = plugin.narrow(pod, nodes)
        if narrower is not None:
            mask &= narrower
            plugins.append(plugin.name)
    return mask, plugins


def _counted(reasons: Iterable[tuple[str, int]]) -> str:
    """`2 Insufficient cpu, 1 …`, sorted as text, as Kubernetes does."""
    counts: collections.Counter[str] = collections.Counter()
    for reason, count in reasons:
        counts[reason] += count
    return ", ".join(sorted(f"{count} {reason}" for reason, count in counts.items() if count))
