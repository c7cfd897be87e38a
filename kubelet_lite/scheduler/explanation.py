"""Why a pod goes where it goes: which nodes each plug-in cuts, and how it scores the rest."""
from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from kubelet_lite.scheduler.decision import Decisions, Placement, Unschedulable
from kubelet_lite.scheduler.filtering import rejected, weighted_scores
from kubelet_lite.scheduler.framework import Rejection
from kubelet_lite.scheduler.nominations import NOBODY, Nomination
from kubelet_lite.scheduler.pod_info import PodInfo


class Cut(msgspec.Struct, frozen=True):
    """Nodes that a plug-in refused for the same reasons."""

    plugin: str
    reasons: tuple[str, ...]
    resolvable: bool
    """Whether removing other pods could help."""
    nodes: tuple[str, ...]


class Explanation(msgspec.Struct, frozen=True):
    nodes: int
    """How many there are."""
    kept_out: tuple[str, str] | None
    """The PreEnqueue plug-in that does not let the pod into the queue, and why."""
    cuts: tuple[Cut, ...]
    """Each node where the first plug-in refused it."""
    weights: Mapping[str, int]
    """Of the plug-ins that have something to say of the pod."""
    scores: Mapping[str, Mapping[str, int]]
    """Node → plug-in → what it adds to the node's total (score times weight); of the nodes that are left."""
    totals: Mapping[str, int]
    message: str
    """What the pod's condition would say; "": it fits somewhere."""
    nomination: Nomination | None
    """Where room could be made for it, and who would have to leave."""

    @property
    def best(self) -> Sequence[str]:
        """The nodes with the highest total: one of them, by chance."""
        highest = max(self.totals.values(), default=0)
        return [name for name, total in self.totals.items() if total == highest]


def explain(decisions: Decisions, pod: PodInfo) -> Explanation:
    """Changes nothing."""
    nodes, profile = decisions.nodes, decisions.profile
    kept_out = profile.refused_at_the_door(pod)
    outcome = decisions.decide(pod, random.Random(0))
    found = decisions.feasible(pod)
    if isinstance(found, Unschedulable):
        assert found.gate is not None
        cut = _cut(found.gate, sorted(nodes.row_of))
        return Explanation(len(nodes), kept_out, (cut,), {}, {}, {}, found.message, None)
    promised = decisions.nominations.before(pod, nodes) if decisions.nominations else NOBODY
    cuts = [_cut(rejection, sorted(map(nodes.name, rows.tolist()))) for rejection, rows in rejected(nodes, pod, profile, promised)]
    names = [nodes.name(row) for row in found.rows.tolist()]
    scores: dict[str, dict[str, int]] = {name: {} for name in names}
    weights: dict[str, int] = {}
    for plugin, column in weighted_scores(nodes, pod, profile.scores, found.rows) if names else ():
        weights[plugin] = next(scoring.weight for scoring in profile.scores if scoring.name == plugin)
        for name, points in zip(names, np.broadcast_to(column, found.rows.shape).tolist(), strict=True):
            scores[name][plugin] = points
    totals = {name: sum(points.values()) for name, points in scores.items()}
    if isinstance(outcome, Placement):
        return Explanation(len(nodes), kept_out, tuple(cuts), weights, scores, totals, "", None)
    return Explanation(len(nodes), kept_out, tuple(cuts), weights, scores, totals, outcome.message, outcome.attempt.nomination)


def _cut(rejection: Rejection, names: Sequence[str]) -> Cut:
    return Cut(rejection.plugin, rejection.reasons, rejection.resolvable, tuple(names))
