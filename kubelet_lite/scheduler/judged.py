"""What is known of every node for pods of one likeness: who takes them, and who is best. Only what changed is judged again.

A pod that is placed changes one row: that one is judged as plain numbers, and takes its place among the best.
"""
from __future__ import annotations

import bisect
from collections.abc import Sequence
from typing import Final

import numpy as np

from kubelet_lite.scheduler.filtering import passing, weighted_scores
from kubelet_lite.scheduler.node_table import FEW_CHANGES, Column, Mask, NodeTable, Rows
from kubelet_lite.scheduler.pod_info import PodInfo
from kubelet_lite.scheduler.profile import Profile

FEW_ROWS: Final = 8
"""Up to here single rows are judged faster than columns."""
NOT_FEASIBLE: Final = -1


class Judged:
    """`points`, by row: the sum of all scores that are not relative, or NOT_FEASIBLE. `feasible`: how many rows are."""

    def __init__(self, nodes: NodeTable, profile: Profile, pod: PodInfo) -> None:
        self._generation, self._changes = nodes.generation, nodes.changes
        self._possible = np.zeros(nodes.width, np.bool_)
        rows = passing(nodes, pod, profile.steady_filters, np.flatnonzero(nodes.alive))
        self._possible[rows] = True
        self._steady_points = np.zeros(nodes.width, np.int64)
        for _, column in weighted_scores(nodes, pod, profile.steady_scores, rows):
            self._steady_points[rows] += column
        self.points: Column = np.full(nodes.width, NOT_FEASIBLE, np.int64)
        self.feasible = 0
        self._top = 0
        self._best: list[int] | Rows = []
        """The rows of `_top` points, in order; none: not known. A list once it was changed: most likenesses never come again."""
        alive = np.flatnonzero(nodes.alive)
        self._judge_columns(nodes, profile, pod, alive if 2 * rows.size > alive.size else rows)

    def refresh(self, nodes: NodeTable, profile: Profile, pod: PodInfo) -> bool:
        """Judges what changed; False: that would be everything."""
        if self._generation != nodes.generation:
            return False
        rows = nodes.recent(self._changes)
        if rows is None:
            return False
        self._changes = nodes.changes
        if len(rows) <= FEW_ROWS:
            for row in rows if len(rows) == 1 else set(rows):
                if self._possible.item(row):
                    self._set(row, self._judge_row(nodes, profile, pod, row))
        else:
            changed = np.array(sorted(set(rows)), np.intp) if len(rows) <= FEW_CHANGES else np.unique(np.array(rows, np.intp))
            self._judge_columns(nodes, profile, pod, changed)
        return True

    def best(self) -> Sequence[int] | Rows:
        """The feasible rows with the most points, in order."""
        if not len(self._best) and self.feasible:
            self._top = int(self.points.max())
            self._best = np.flatnonzero(self.points == self._top)
        return self._best

    def _judge_row(self, nodes: NodeTable, profile: Profile, pod: PodInfo, row: int) -> int:
        for filtering in profile.moving_filters:
            if filtering.applies(pod, nodes) and not filtering.passes(pod, nodes, row):
                return NOT_FEASIBLE
        points = self._steady_points.item(row)
        for scoring in profile.moving_scores:
            points += scoring.weight * scoring.points(pod, nodes, row)
        return points

    def _set(self, row: int, points: int) -> None:
        before = self.points.item(row)
        if points == before:
            return
        self.points[row] = points
        self.feasible += (points != NOT_FEASIBLE) - (before != NOT_FEASIBLE)
        self._rank(row, before, points)

    def _rank(self, row: int, before: int, points: int) -> None:
        """Gives a row whose points changed its place among the best, if they are known."""
        if not len(self._best):
            return
        best = self._best if isinstance(self._best, list) else self._best.tolist()
        self._best = best
        if points > self._top:
            self._top, self._best = points, [row]
        elif points == self._top:
            bisect.insort(best, row)
        elif before == self._top:
            del best[bisect.bisect_left(best, row)]

    def _judge_columns(self, nodes: NodeTable, profile: Profile, pod: PodInfo, rows: Rows) -> None:
        if not rows.size:
            return
        before = self.points[rows]
        fits = self._fits(nodes, profile, pod, rows)
        scored = rows if profile.answers_for_any and 2 * np.count_nonzero(fits) > rows.size else rows[fits]
        points = self._steady_points[scored]
        for _, column in weighted_scores(nodes, pod, profile.moving_scores, scored):
            points += column
        if scored is rows:
            after = np.where(fits, points, NOT_FEASIBLE)
        else:
            after = np.full(rows.size, NOT_FEASIBLE, np.int64)
            after[fits] = points
        self.points[rows] = after
        self.feasible += int(np.count_nonzero(fits)) - int(np.count_nonzero(before != NOT_FEASIBLE))
        if rows.size > FEW_CHANGES:
            self._best = []
        for row, old, new in zip(rows.tolist(), before.tolist(), after.tolist(), strict=True) if len(self._best) else ():
            if new != old:
                self._rank(row, old, new)

    def _fits(self, nodes: NodeTable, profile: Profile, pod: PodInfo, rows: Rows) -> Mask:
        mask = self._possible[rows]
        for filtering in profile.moving_filters:
            if not filtering.applies(pod, nodes):
                continue
            if profile.answers_for_any:
                mask &= filtering.mask(pod, nodes, rows)
            else:
                mask[mask] = filtering.mask(pod, nodes, rows[mask])
        return mask
