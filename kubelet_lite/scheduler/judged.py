"""What is known of every node for pods of one likeness: who takes them, and who is best. Only what changed is judged again.

A pod that is placed changes one row: that one is judged as plain numbers, and takes its place among the best. Rows of equal amounts
are judged once, where nothing but amounts matters.
"""
from __future__ import annotations

import bisect
import functools
import operator
from collections.abc import Sequence
from typing import Final

import numpy as np

from kubelet_lite.scheduler.filtering import passing, weighted_scores
from kubelet_lite.scheduler.node_table import Column, Mask, NodeTable, Rows, take
from kubelet_lite.scheduler.pod_info import PodInfo
from kubelet_lite.scheduler.profile import Profile

FEW_ROWS: Final = 8
"""Up to here single rows are judged faster than columns."""
FEW_CHANGES: Final = 256
"""With more rows changed at a time the best are looked for anew."""
MAX_KEPT_STATES: Final = 512
"""Amounts of a row whose verdict is remembered, for each likeness."""
NOT_FEASIBLE: Final = -1


class Steady:
    """What plug-ins say that do not look at pods on nodes; it stands while the nodes do. `rows`: whom they let take the pod."""

    def __init__(self, nodes: NodeTable, profile: Profile, pod: PodInfo) -> None:
        self.generation = nodes.generation
        self.rows = passing(nodes, pod, profile.steady_filters, nodes.rows)
        self.possible = np.zeros(nodes.width, np.bool_)
        self.possible[self.rows] = True
        self.everywhere = self.rows.size == nodes.rows.size
        self.points: Column | None = None
        for _, column in weighted_scores(nodes, pod, profile.steady_scores, self.rows):
            if self.points is None:
                self.points = np.zeros(nodes.width, np.int64)
            self.points[self.rows] += column


class Judged:
    """`points`, by row: the sum of all scores that are not relative, or NOT_FEASIBLE. `feasible`: how many rows are."""

    def __init__(self, nodes: NodeTable, profile: Profile, pod: PodInfo, steady: Steady) -> None:
        self._changes = nodes.changes
        self._steady = steady
        self._by_amounts = all(f.by_amounts or not (f.plugin.guarded or f.applies(pod, nodes)) for f in profile.moving_filters) and all(
            s.by_amounts for s in profile.moving_scores
        )
        self._of_states: dict[tuple[int, ...], int] = {}
        """What moving plug-ins say of a row, by its amounts."""
        self._top = 0
        self._best: list[int] | Rows = []
        """The rows of `_top` points, in order; none: not known. A list once it was changed: most likenesses never come again."""
        self.points: Column = np.full(nodes.width, NOT_FEASIBLE, np.int64)
        alive = nodes.rows
        rows = alive if 2 * steady.rows.size > alive.size else steady.rows
        self.feasible = self._judge_columns(nodes, profile, pod, rows)[1] if rows.size else 0

    def refresh(self, nodes: NodeTable, profile: Profile, pod: PodInfo) -> bool:
        """Judges what changed; False: that would be everything."""
        if self._steady.generation != nodes.generation:
            return False
        rows = nodes.recent(self._changes)
        if rows is None:
            return False
        self._changes = nodes.changes
        changed: Sequence[int] = rows
        if len(rows) > 1:
            changed = sorted(set(rows))
        unknown = changed if not self._by_amounts else [row for row in changed if not self._judge_by_state(nodes, row)]
        if len(unknown) <= FEW_ROWS:
            for row in unknown:
                if self._steady.possible.item(row):
                    self._set(row, self._judge_row(nodes, profile, pod, row))
        else:
            self._judge_again(nodes, profile, pod, np.array(unknown, np.intp))
        return True

    def best(self) -> Sequence[int] | Rows:
        """The feasible rows with the most points, in order."""
        if not len(self._best) and self.feasible:
            self._top = int(self.points.max())
            self._best = np.flatnonzero(self.points == self._top)
        return self._best

    def _judge_by_state(self, nodes: NodeTable, row: int) -> bool:
        """Whether a row of such amounts was judged before, or need not be."""
        if not self._steady.possible.item(row):
            return True
        found = self._of_states.get(nodes.state(row))
        if found is None:
            return False
        self._set(row, found if found == NOT_FEASIBLE or self._steady.points is None else found + self._steady.points.item(row))
        return True

    def _judge_row(self, nodes: NodeTable, profile: Profile, pod: PodInfo, row: int) -> int:
        points = self._moving_points(nodes, profile, pod, row)
        if self._by_amounts:
            if len(self._of_states) >= MAX_KEPT_STATES:
                self._of_states.clear()
            self._of_states[nodes.state(row)] = points
        return points if points == NOT_FEASIBLE or self._steady.points is None else points + self._steady.points.item(row)

    @staticmethod
    def _moving_points(nodes: NodeTable, profile: Profile, pod: PodInfo, row: int) -> int:
        for filtering in profile.moving_filters:
            if filtering.applies(pod, nodes) and not filtering.passes(pod, nodes, row):
                return NOT_FEASIBLE
        points = 0
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

    def _judge_again(self, nodes: NodeTable, profile: Profile, pod: PodInfo, rows: Rows) -> None:
        before = self.points[rows]
        after, fitting = self._judge_columns(nodes, profile, pod, rows)
        self.feasible += fitting - int(np.count_nonzero(before != NOT_FEASIBLE))
        if rows.size > FEW_CHANGES:
            self._best = []
        for row, old, new in zip(rows.tolist(), before.tolist(), after.tolist(), strict=True) if len(self._best) else ():
            if new != old:
                self._rank(row, old, new)

    def _judge_columns(self, nodes: NodeTable, profile: Profile, pod: PodInfo, rows: Rows) -> tuple[Column, int]:
        """Sets the points of `rows`, and says them and how many are feasible."""
        fits = self._fits(nodes, profile, pod, rows)
        fitting = int(np.count_nonzero(fits))
        scored = rows if profile.answers_for_any and 2 * fitting > rows.size else rows[fits]
        columns = [column for _, column in weighted_scores(nodes, pod, profile.moving_scores, scored)]
        if self._steady.points is not None:
            columns.append(take(self._steady.points, scored))
        if scored is rows:
            after = np.where(fits, sum_of(columns), NOT_FEASIBLE)
        else:
            after = np.full(rows.size, NOT_FEASIBLE, np.int64)
            after[fits] = sum_of(columns)
        put(self.points, rows, after)
        return after, fitting

    def _fits(self, nodes: NodeTable, profile: Profile, pod: PodInfo, rows: Rows) -> Mask:
        mask: Mask = np.ones(rows.size, np.bool_) if self._steady.everywhere else self._steady.possible[rows]
        for filtering in profile.moving_filters:
            if not filtering.applies(pod, nodes):
                continue
            if profile.answers_for_any:
                mask &= filtering.mask(pod, nodes, rows)
            else:
                mask[mask] = filtering.mask(pod, nodes, rows[mask])
        return mask


def sum_of(columns: Sequence[Column]) -> Column | int:
    """Nothing is added where there is one alone."""
    return functools.reduce(operator.add, columns) if columns else 0


def put(column: Column, rows: Rows, values: Column) -> None:
    """`column[rows] = values`, faster where `rows`, which are in order, are the first ones without a gap."""
    count = rows.size
    if count and rows[-1] == count - 1:
        column[:count] = values
    else:
        column[rows] = values
