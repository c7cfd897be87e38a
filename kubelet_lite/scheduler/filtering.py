"""Which nodes may take a pod, why the others may not, and how well each would: the plug-ins of a profile, one after the other."""
from __future__ import annotations

import collections
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import msgspec
import numpy as np

from kubelet_lite.scheduler.framework import Filter, Filters, Refusals, Rejection
from kubelet_lite.scheduler.node_table import Column, NodeTable, Rows, chosen
from kubelet_lite.scheduler.nominations import NOBODY, Promised
from kubelet_lite.scheduler.per_node import Scoring
from kubelet_lite.scheduler.pod_info import PodInfo


class Candidates(msgspec.Struct, frozen=True):
    """What PreFilter plug-ins leave to look at."""

    refusal: Rejection | None = None
    """Why that is no node at all."""
    rows: Rows | None = None
    """None: every node."""
    narrowed_by: tuple[str, ...] = ()
    """Who named the nodes that `rows` are."""


EVERY_NODE: Final = Candidates()


def candidates(nodes: NodeTable, pod: PodInfo, profile: Filters) -> Candidates:
    """The nodes that are worth a filter's look."""
    names: frozenset[str] | None = None
    narrowed_by: list[str] = []
    for plugin in profile.pre_filter:
        found = plugin.pre_filter(pod, nodes)
        if isinstance(found, str):
            return Candidates(Rejection(plugin.name, (found,), resolvable=False))
        if found is not None:
            names = found if names is None else names & found
            narrowed_by.append(plugin.name)
            if not names:
                return Candidates(Rejection(plugin.name, (_nothing_left(narrowed_by),), resolvable=False))
    if names is None:
        return EVERY_NODE
    rows = sorted(nodes.row_of[name] for name in names if name in nodes.row_of)
    return Candidates(rows=np.array(rows, np.intp), narrowed_by=tuple(sorted(narrowed_by)))


def _nothing_left(plugins: Sequence[str]) -> str:
    if len(plugins) == 1:
        return f"node(s) didn't satisfy plugin {plugins[0]}"
    return f"node(s) didn't satisfy plugin(s) [{' '.join(plugins)}] simultaneously"


def lastingly_feasible(nodes: NodeTable, pod: PodInfo, profile: Filters, rows: Rows) -> Rows:
    """Those of `rows` that pass all that depends on themselves alone."""
    return passing(nodes, pod, profile.lasting_filters, rows)


def widely_feasible(nodes: NodeTable, pod: PodInfo, profile: Filters, rows: Rows, promised: Promised = NOBODY) -> Rows:
    """Those of `rows`, which are lastingly feasible, that pass the other filters too, also should all who were promised a node come."""
    rows = passing(nodes, pod, profile.wide_filters, rows)
    if not promised:
        return rows
    wanted = np.fromiter(promised, np.intp, len(promised))
    places = np.searchsorted(rows, wanted).tolist()
    full = [
        place for place, row in zip(places, wanted.tolist(), strict=True)
        if place < rows.size and rows[place] == row and not _leaves_room(nodes, pod, profile, row, promised)
    ]
    return np.delete(rows, full) if full else rows


def feasible_rows(nodes: NodeTable, pod: PodInfo, profile: Filters, rows: Rows) -> Rows:
    """Those of `rows` that every filter passes."""
    return widely_feasible(nodes, pod, profile, lastingly_feasible(nodes, pod, profile, rows))


def fits(nodes: NodeTable, pod: PodInfo, profile: Filters, row: int, promised: Promised) -> bool:
    """Whether a single row passes every filter, with and without those who were promised it."""
    rows = np.array([row], np.intp)
    return (row not in promised or _leaves_room(nodes, pod, profile, row, promised)) and feasible_rows(nodes, pod, profile, rows).size > 0


def rejected(nodes: NodeTable, pod: PodInfo, profile: Filters, promised: Promised = NOBODY, among: Rows | None = None) -> Refusals:
    """The first refusal of each refused row, in groups."""
    rows = every = np.flatnonzero(nodes.alive) if among is None else among
    found: list[tuple[Rejection, Rows]] = []
    worth = candidates(nodes, pod, profile)
    if worth.rows is not None:
        rows = every[np.isin(every, worth.rows)]
        if rows.size < every.size:
            reason = f"node(s) didn't satisfy plugin(s) [{' '.join(worth.narrowed_by)}]"
            found.append((Rejection(worth.narrowed_by[0], (reason,), resolvable=False), np.setdiff1d(every, rows)))
    for row in rows.tolist() if promised else ():
        if row in promised:
            with_promised = _refusals_with(nodes, pod, profile, row, promised)
            found += with_promised
            if with_promised:
                rows = rows[rows != row]
    return found + _refusals(nodes, pod, profile, rows)


def weighted_scores(nodes: NodeTable, pod: PodInfo, scores: Sequence[Scoring], rows: Rows) -> Iterable[tuple[str, Column]]:
    """What each plug-in adds to the total of `rows`."""
    for plugin in scores:
        column = plugin.column(pod, nodes, rows)
        if column is not None:
            yield plugin.name, column if plugin.weight == 1 else column * plugin.weight


def counted(reasons: Iterable[tuple[str, int]]) -> str:
    """`2 Insufficient cpu, 1 …`, sorted as text, as Kubernetes does."""
    counts: collections.Counter[str] = collections.Counter()
    for reason, count in reasons:
        counts[reason] += count
    return ", ".join(sorted(f"{count} {reason}" for reason, count in counts.items() if count))


def passing(nodes: NodeTable, pod: PodInfo, filters: Sequence[Filter], rows: Rows) -> Rows:
    """Those of `rows` that pass all of the filters."""
    for plugin in filters:
        if plugin.applies(pod, nodes) and rows.size:
            mask = plugin.mask(pod, nodes, rows)
            if not mask.all():
                rows = chosen(rows, mask)
    return rows


def _refusals(nodes: NodeTable, pod: PodInfo, profile: Filters, rows: Rows) -> list[tuple[Rejection, Rows]]:
    found: list[tuple[Rejection, Rows]] = []
    for plugin in profile.filters:
        if plugin.applies(pod, nodes) and rows.size:
            mask = plugin.mask(pod, nodes, rows)
            if not mask.all():
                found += plugin.reject(pod, nodes, rows[~mask])
            rows = rows[mask]
    return found


def _refusals_with(nodes: NodeTable, pod: PodInfo, profile: Filters, row: int, promised: Promised) -> list[tuple[Rejection, Rows]]:
    """The same for one row, were those who were promised it there."""
    with _with_promised(nodes, row, promised):
        return _refusals(nodes, pod, profile, np.array([row], np.intp))


def _leaves_room(nodes: NodeTable, pod: PodInfo, profile: Filters, row: int, promised: Promised) -> bool:
    with _with_promised(nodes, row, promised):
        return all(plugin.passes(pod, nodes, row) for plugin in profile.filters if plugin.applies(pod, nodes))


@contextmanager
def _with_promised(nodes: NodeTable, row: int, promised: Promised) -> Iterator[None]:
    with nodes.supposing():
        for other in promised[row]:
            nodes.add(other, row)
        try:
            yield
        finally:
            for other in promised[row]:
                nodes.lift(other, row)
