"""The decision for one pod: filter, score, pick. Given the table, the pod and a source of randomness for ties, nothing else.

https://kubernetes.io/docs/concepts/scheduling-eviction/kube-scheduler/
"""
from __future__ import annotations

import collections
import random
from collections.abc import Hashable, Sequence
from typing import Any, Final

import msgspec
import numpy as np

from kubelet_lite.scheduler.filtering import (
    EVERY_NODE,
    Candidates,
    candidates,
    counted,
    lastingly_feasible,
    rejected,
    weighted_scores,
    widely_feasible,
)
from kubelet_lite.scheduler.framework import NOT_TRIED, Attempt, Refusals, Rejection, Unplaced
from kubelet_lite.scheduler.judged import NOT_FEASIBLE, Judged, Steady
from kubelet_lite.scheduler.node_table import Column, NodeTable, Rows, take
from kubelet_lite.scheduler.nominations import NOBODY, Nominations, Promised
from kubelet_lite.scheduler.pod_info import PodInfo
from kubelet_lite.scheduler.profile import Profile

MAX_KEPT_LIKENESSES: Final = 256
"""Different pods in a row whose nodes are remembered: some 10 bytes a node each."""
MAX_KEPT_TEMPLATES: Final = 1024


class Placement(msgspec.Struct, frozen=True):
    """Where the pod goes."""

    node_name: str
    feasible: int
    """How many nodes could have taken it."""


class Unschedulable(msgspec.Struct, frozen=True):
    """No node takes the pod: the first refusal of each node, counted."""

    refusals: tuple[tuple[Rejection, int], ...]
    node_count: int
    attempt: Attempt
    """What became of making room for it."""
    gate: Rejection | None = None
    """Who refused it before any node was looked at."""

    @property
    def plugins(self) -> frozenset[str]:
        """Who refused."""
        gate = (self.gate.plugin,) if self.gate is not None else ()
        return frozenset((*gate, *(rejection.plugin for rejection, _ in self.refusals)))

    @property
    def message(self) -> str:
        """What the FailedScheduling event and the PodScheduled condition say."""
        if self.node_count == 0:
            return "no nodes available to schedule pods"
        head = f"0/{self.node_count} nodes are available"
        if self.gate is not None:
            return f"{head}: {', '.join(self.gate.reasons)}. not found"  # so ends what kube-scheduler says then
        reasons = counted((reason, count) for rejection, count in self.refusals for reason in rejection.reasons)
        if self.attempt.nomination is not None or not self.attempt.words:
            return f"{head}: {reasons}."
        return f"{head}: {reasons}. {self.attempt.words}"


class Feasible(msgspec.Struct, frozen=True):
    """Where a pod could go."""

    rows: Rows
    points: Column | None
    """By row, the sum of all scores that are not relative; None: not known yet."""
    promised: Promised


class Template(msgspec.Struct, frozen=True):
    """What plug-ins say of all pods of a template before they look at nodes."""

    needs: Sequence[type[Any]]
    plain: bool
    """Whether every node is worth a look, and each is judged by itself."""


class Decisions:
    """Decides for one pod after the other, of one profile. Pods are often alike: what was found for one stands for the next, but on
    the rows that changed in between."""

    def __init__(self, nodes: NodeTable, profile: Profile, nominations: Nominations) -> None:
        self.nodes = nodes
        self.profile = profile
        self.nominations = nominations
        self._judged: collections.OrderedDict[Hashable, Judged] = collections.OrderedDict()
        self._steady: dict[Hashable, Steady] = {}
        self._templates: dict[object, Template] = {}
        """What is known of the pods of one template, as of …"""
        self._templates_as_of: tuple[int, ...] = ()

    def needs(self, pod: PodInfo) -> Sequence[type[Any]]:
        """The kinds of objects that must be known to decide for the pod."""
        return self._template(pod).needs

    def decide(self, pod: PodInfo, rng: random.Random) -> Placement | Unschedulable:
        """`rng` breaks ties."""
        worth = EVERY_NODE if self._template(pod).plain else candidates(self.nodes, pod, self.profile)
        if worth is EVERY_NODE and self._lasting_ones_decide(pod):
            judged = self._judge(pod)
            best = judged.best()
            if not len(best):
                return self.unplaced(pod, NOBODY, rng)
            row = best[0] if len(best) == 1 else best[rng.randrange(len(best))]
            return Placement(self.nodes.name(int(row)), judged.feasible)
        found = self.feasible(pod, worth)
        if isinstance(found, Unschedulable):
            return found
        if found.rows.size == 0:
            return self.unplaced(pod, found.promised, rng)
        return self.pick(pod, found, rng)

    def _lasting_ones_decide(self, pod: PodInfo) -> bool:
        """Whether the verdict and the points of a node follow from that node alone."""
        if self.nominations or pod.pod.status.nominatedNodeName:
            return False
        return self._template(pod).plain or not self._wide_ones_matter(pod)

    def _wide_ones_matter(self, pod: PodInfo) -> bool:
        nodes, profile = self.nodes, self.profile
        return (
            any(filtering.applies(pod, nodes) for filtering in profile.wide_filters)
            or any(scoring.ranks(pod, nodes) for scoring in profile.relative_scores)
        )

    def _template(self, pod: PodInfo) -> Template:
        """It holds until a node changes, or anything else but pods that say nothing of others. Claims are a matter of the single pod."""
        nodes, profile = self.nodes, self.profile
        if pod.volumes or pod.pod.spec.resourceClaims or not profile.steadfast:
            return Template(profile.needs(pod, nodes), plain=False)
        as_of = nodes.generation, nodes.lowest_priority, nodes.tallies.moves, profile.surroundings.moves
        if as_of != self._templates_as_of or len(self._templates) > MAX_KEPT_TEMPLATES:
            self._templates.clear()
            self._templates_as_of = as_of
        found = self._templates.get(pod.template)
        if found is None:
            plain = candidates(nodes, pod, profile) is EVERY_NODE and not self._wide_ones_matter(pod)
            found = self._templates[pod.template] = Template(profile.needs(pod, nodes), plain)
        return found

    def feasible(self, pod: PodInfo, worth: Candidates | None = None) -> Feasible | Unschedulable:
        """The nodes that every filter passes; Unschedulable where a PreFilter plug-in wants none. `worth`: what PreFilter left, if that is
        known."""
        nodes, profile = self.nodes, self.profile
        if worth is None:
            worth = candidates(nodes, pod, profile)
        if worth.refusal is not None:
            return Unschedulable((), len(nodes), NOT_TRIED, worth.refusal)
        promised = self.nominations.before(pod, nodes) if self.nominations else NOBODY
        judged = None
        if worth.rows is None:
            judged = self._judge(pod)
            lasting = nodes.rows if judged.feasible == nodes.rows.size else np.flatnonzero(judged.points != NOT_FEASIBLE)
        else:
            lasting = lastingly_feasible(nodes, pod, profile, worth.rows)
        rows = self._preferred(pod, widely_feasible(nodes, pod, profile, lasting, promised))
        return Feasible(rows, judged.points if judged is not None else None, promised)

    def pick(self, pod: PodInfo, found: Feasible, rng: random.Random, extra: Column | None = None) -> Placement:
        """The best of `found.rows`; `extra`: points that others give them."""
        nodes, rows = self.nodes, found.rows
        if rows.size == 1:
            return Placement(nodes.name(int(rows[0])), 1)
        total, missing = (take(found.points, rows), ()) if found.points is not None else (np.zeros(rows.size, np.int64), self.profile.lasting_scores)
        ranking = [scoring for scoring in self.profile.relative_scores if scoring.ranks(pod, nodes)]
        for _, column in weighted_scores(nodes, pod, (*missing, *ranking), rows):
            total = total + column
        if extra is not None:
            total = total + extra
        best = np.flatnonzero(total == total.max())
        row = int(rows[best[0] if best.size == 1 else best[rng.randrange(best.size)]])
        return Placement(nodes.name(row), int(rows.size))

    def _preferred(self, pod: PodInfo, rows: Rows) -> Rows:
        """The node that was promised to the pod, if it takes it."""
        name = pod.pod.status.nominatedNodeName
        if not name:
            return rows
        promised = rows[rows == self.nodes.row_of.get(name, -1)]
        return promised if promised.size else rows

    def unplaced(self, pod: PodInfo, promised: Promised, rng: random.Random, refused: Refusals = ()) -> Unschedulable:
        """What is said of a pod that fits nowhere, once its PostFilter plug-ins were asked; `refused`: nodes that others refused."""
        found = [*rejected(self.nodes, pod, self.profile, promised), *refused]
        unplaced = Unplaced(pod, found, promised, self.profile, rng)
        attempts: list[Attempt] = []
        for plugin in self.profile.post_filter:
            attempts.append(plugin.post_filter(self.nodes, unplaced))
            if attempts[-1].nomination is not None:
                break
        words = ", ".join(attempt.words for attempt in attempts if attempt.words)
        last = attempts[-1] if attempts else NOT_TRIED
        hopeless = last.nomination is None and any(attempt.hopeless for attempt in attempts)
        deeds = [deed for attempt in attempts for deed in attempt.deeds]
        attempt = Attempt(words, last.nomination, hopeless=hopeless, candidates=last.candidates, deeds=deeds)
        return Unschedulable(tuple((rejection, int(rows.size)) for rejection, rows in found), len(self.nodes), attempt)

    def _judge(self, pod: PodInfo) -> Judged:
        likeness = self.profile.likeness(pod)
        judged = self._judged.get(likeness)
        if judged is None or not judged.refresh(self.nodes, self.profile, pod):
            judged = self._judged[likeness] = Judged(self.nodes, self.profile, pod, self._steadily(pod))
            if len(self._judged) > MAX_KEPT_LIKENESSES:
                self._judged.popitem(last=False)
        self._judged.move_to_end(likeness)
        return judged

    def _steadily(self, pod: PodInfo) -> Steady:
        likeness = self.profile.steady_likeness(pod)
        found = self._steady.get(likeness)
        if found is None or found.generation != self.nodes.generation:
            if len(self._steady) >= MAX_KEPT_LIKENESSES:
                self._steady.clear()
            found = self._steady[likeness] = Steady(self.nodes, self.profile, pod)
        return found
