"""Which nodes may take a pod, why the others may not, and how well each would: the plug-ins of a profile, one after the other."""
from __future__ import annotations

import collections
from collections.abc import Iterable, Sequence

import numpy as np

from kubelet_lite.scheduler.framework import Filter, Profile, Refusals, Rejection, Score
from kubelet_lite.scheduler.node_table import Column, NodeTable, Rows
from kubelet_lite.scheduler.nominations import NOBODY, Promised
from kubelet_lite.scheduler.pod_info import PodInfo


def refused_by_gate(nodes: NodeTable, pod: PodInfo, profile: Profile) -> Rejection | None:
    """The first gate that does not let the pod in."""
    for gate in profile.gates:
        reason = gate.refuse(pod, nodes)
        if reason is not None:
            return Rejection(gate.name, (reason,), resolvable=False)
    return None


def lastingly_feasible(nodes: NodeTable, pod: PodInfo, profile: Profile, rows: Rows) -> Rows:
    """Those of `rows` that pass all that depends on themselves alone."""
    rows, _ = _narrowed(nodes, pod, profile, rows)
    return _passing(nodes, pod, profile.filters, rows)


def widely_feasible(nodes: NodeTable, pod: PodInfo, profile: Profile, rows: Rows, promised: Promised = NOBODY) -> Rows:
    """Those of `rows`, which are lastingly feasible, that pass the other filters too, also should all who were promised a node come."""
    rows = _passing(nodes, pod, profile.wide_filters, rows)
    if not promised:
        return rows
    return rows[~np.isin(rows, [row for row in rows.tolist() if row in promised and not _leaves_room(nodes, pod, profile, row, promised)])]


def feasible_rows(nodes: NodeTable, pod: PodInfo, profile: Profile, rows: Rows) -> Rows:
    """Those of `rows` that every filter passes."""
    return widely_feasible(nodes, pod, profile, lastingly_feasible(nodes, pod, profile, rows))


def fits(nodes: NodeTable, pod: PodInfo, profile: Profile, row: int, promised: Promised) -> bool:
    """Whether a single row passes every filter, with and without those who were promised it."""
    rows = np.array([row], np.intp)
    return (row not in promised or _leaves_room(nodes, pod, profile, row, promised)) and feasible_rows(nodes, pod, profile, rows).size > 0


def rejected(nodes: NodeTable, pod: PodInfo, profile: Profile, promised: Promised = NOBODY, among: Rows | None = None) -> Refusals:
    """The first refusal of each refused row, in groups."""
    every = np.flatnonzero(nodes.alive) if among is None else among
    rows, left_out = _narrowed(nodes, pod, profile, every)
    found: list[tuple[Rejection, Rows]] = []
    if left_out and rows.size < every.size:
        reason = f"node(s) didn't satisfy plugin(s) [{' '.join(sorted(left_out))}]"
        found.append((Rejection(left_out[0], (reason,), resolvable=False), np.setdiff1d(every, rows)))
    for row in rows.tolist() if promised else ():
        if row in promised:
            with_promised = _refusals_with(nodes, pod, profile, row, promised)
            found += with_promised
            if with_promised:
                rows = rows[rows != row]
    return found + _refusals(nodes, pod, profile, rows)


def weighted_scores(nodes: NodeTable, pod: PodInfo, scores: Sequence[Score], rows: Rows) -> Iterable[tuple[str, Column]]:
    """What each plug-in adds to the total of `rows`."""
    for plugin in scores:
        column = plugin.column(pod, nodes, rows)
        if column is not None:
            yield plugin.name, column * plugin.weight


def counted(reasons: Iterable[tuple[str, int]]) -> str:
    """`2 Insufficient cpu, 1 …`, sorted as text, as Kubernetes does."""
    counts: collections.Counter[str] = collections.Counter()
    for reason, count in reasons:
        counts[reason] += count
    return ", ".join(sorted(f"{count} {reason}" for reason, count in counts.items() if count))


def _passing(nodes: NodeTable, pod: PodInfo, filters: Sequence[Filter], rows: Rows) -> Rows:
    for plugin in filters:
        if plugin.applies(pod, nodes) and rows.size:
            rows = rows[plugin.mask(pod, nodes, rows)]
    return rows


def _refusals(nodes: NodeTable, pod: PodInfo, profile: Profile, rows: Rows) -> list[tuple[Rejection, Rows]]:
    found: list[tuple[Rejection, Rows]] = []
    for plugin in (*profile.filters, *profile.wide_filters):
        if plugin.applies(pod, nodes) and rows.size:
            mask = plugin.mask(pod, nodes, rows)
            if not mask.all():
                found += plugin.reject(pod, nodes, rows[~mask])
            rows = rows[mask]
    return found


def _refusals_with(nodes: NodeTable, pod: PodInfo, profile: Profile, row: int, promised: Promised) -> list[tuple[Rejection, Rows]]:
    """The same for one row, were those who were promised it there."""
    with nodes.supposing():
        for other in promised[row]:
            nodes.add(other, row)
        found = _refusals(nodes, pod, profile, np.array([row], np.intp))
        for other in promised[row]:
            nodes.lift(other, row)
    return found


def _leaves_room(nodes: NodeTable, pod: PodInfo, profile: Profile, row: int, promised: Promised) -> bool:
    return not _refusals_with(nodes, pod, profile, row, promised)


def _narrowed(nodes: NodeTable, pod: PodInfo, profile: Profile, rows: Rows) -> tuple[Rows, list[str]]:
    """Those of `rows` that are looked at, and which plug-ins left the others out."""
    plugins = []
    for plugin in profile.pre_filters:
        mask = plugin.narrow(pod, nodes, rows)
        if mask is not None:
            rows = rows[mask]
            plugins.append(plugin.name)
    return rows, plugins
