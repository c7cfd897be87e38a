"""The decision for one pod: filter, score, pick. Given the table, the pod and a source of randomness for ties, nothing else.

https://kubernetes.io/docs/concepts/scheduling-eviction/kube-scheduler/
"""
from __future__ import annotations

import collections
import random
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
import numpy as np

from kubelet_lite.scheduler.framework import Profile, Refusals, Rejection, Score
from kubelet_lite.scheduler.node_table import Column, Mask, NodeTable, Rows
from kubelet_lite.scheduler.pod_info import PodInfo

MAX_KEPT_LIKENESSES: Final = 256
"""Different pods in a row whose nodes are remembered: 9 bytes a node each."""


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


class Judged(msgspec.Struct):
    """What is known of the nodes for one likeness of pods, as of `generation` and `changes` of the table."""

    generation: int
    changes: int
    fits: Mask
    points: Column
    """The sum of all scores that are not relative, for rows that fit."""


class Decisions:
    """Decides for one pod after the other. Pods are often alike: what was found for one stands for the next, but on the rows that
    changed in between."""

    def __init__(self, nodes: NodeTable, profile: Profile) -> None:
        self._nodes = nodes
        self._profile = profile
        self._relative = tuple(plugin for plugin in profile.scores if plugin.relative)
        self._absolute = tuple(plugin for plugin in profile.scores if not plugin.relative)
        self._judged: collections.OrderedDict[bytes, Judged] = collections.OrderedDict()

    def decide(self, pod: PodInfo, rng: random.Random) -> Placement | Unschedulable:
        """`rng` breaks ties."""
        nodes = self._nodes
        judged = self._judge(pod)
        rows = np.flatnonzero(judged.fits)
        if rows.size == 0:
            refusals = tuple((rejection, int(refused.size)) for rejection, refused in rejected(nodes, pod, self._profile))
            return Unschedulable(refusals, len(nodes), pod.pod.spec.preemptionPolicy != "Never")
        if rows.size == 1:
            return Placement(nodes.name(int(rows[0])), 1)
        total = judged.points[rows]
        for _, column in weighted_scores(nodes, pod, self._relative, rows):
            total += column
        best = rows[total == total.max()]
        row = int(best[0]) if best.size == 1 else int(best[rng.randrange(best.size)])
        return Placement(nodes.name(row), int(rows.size))

    def _judge(self, pod: PodInfo) -> Judged:
        nodes, judged = self._nodes, self._judged.get(pod.likeness)
        rows = nodes.changed_since(judged.changes) if judged is not None and judged.generation == nodes.generation else None
        if judged is None or rows is None:
            judged = Judged(nodes.generation, 0, np.zeros(nodes.width, np.bool_), np.zeros(nodes.width, np.int64))
            self._judged[pod.likeness] = judged
            rows = np.flatnonzero(nodes.alive)
            if len(self._judged) > MAX_KEPT_LIKENESSES:
                self._judged.popitem(last=False)
        self._judged.move_to_end(pod.likeness)
        judged.changes = nodes.changes
        if rows.size:
            fitting = feasible_rows(nodes, pod, self._profile, rows)
            judged.fits[rows] = False
            judged.fits[fitting] = True
            judged.points[rows] = 0
            for _, column in weighted_scores(nodes, pod, self._absolute, fitting):
                judged.points[fitting] += column
        return judged


def feasible_rows(nodes: NodeTable, pod: PodInfo, profile: Profile, rows: Rows) -> Rows:
    """Those of `rows` that every filter passes."""
    rows, _ = _narrowed(nodes, pod, profile, rows)
    for plugin in profile.filters:
        if plugin.applies(pod, nodes):
            rows = rows[plugin.mask(pod, nodes, rows)]
    return rows


def rejected(nodes: NodeTable, pod: PodInfo, profile: Profile) -> Refusals:
    """The first refusal of each refused row, in groups."""
    every = np.flatnonzero(nodes.alive)
    rows, left_out = _narrowed(nodes, pod, profile, every)
    found: list[tuple[Rejection, Rows]] = []
    if left_out:
        reason = f"node(s) didn't satisfy plugin(s) [{' '.join(sorted(left_out))}]"
        found.append((Rejection(left_out[0], (reason,), resolvable=False), np.setdiff1d(every, rows)))
    for plugin in profile.filters:
        if plugin.applies(pod, nodes):
            mask = plugin.mask(pod, nodes, rows)
            if not mask.all():
                found += plugin.reject(pod, nodes, rows[~mask])
            rows = rows[mask]
    return found


def weighted_scores(nodes: NodeTable, pod: PodInfo, scores: Sequence[Score], rows: Rows) -> Iterable[tuple[str, Column]]:
    """What each plug-in adds to the total of `rows`."""
    for plugin in scores:
        column = plugin.column(pod, nodes, rows)
        if column is not None:
            yield plugin.name, column * plugin.weight


def _narrowed(nodes: NodeTable, pod: PodInfo, profile: Profile, rows: Rows) -> tuple[Rows, list[str]]:
    """Those of `rows` that are looked at, and which plug-ins left the others out."""
    plugins = []
    for plugin in profile.pre_filters:
        mask = plugin.narrow(pod, nodes, rows)
        if mask is not None:
            rows = rows[mask]
            plugins.append(plugin.name)
    return rows, plugins


def _counted(reasons: Iterable[tuple[str, int]]) -> str:
    """`2 Insufficient cpu, 1 …`, sorted as text, as Kubernetes does."""
    counts: collections.Counter[str] = collections.Counter()
    for reason, count in reasons:
        counts[reason] += count
    return ", ".join(sorted(f"{count} {reason}" for reason, count in counts.items() if count))
