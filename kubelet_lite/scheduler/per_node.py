"""Plug-ins that look at a node at a time, as columns."""
from __future__ import annotations

import numpy as np

from kubelet_lite.scheduler.framework import (
    MAX_NODE_SCORE,
    Plugin,
    PluginError,
    Refusals,
    Rejection,
    Unresolvable,
    defines,
    single,
)
from kubelet_lite.scheduler.node_info import NodeInfo
from kubelet_lite.scheduler.node_table import Column, Mask, NodeTable, Rows
from kubelet_lite.scheduler.pod_info import PodInfo


class Filtering:
    """What a profile has of a plug-in that filters."""

    def __init__(self, plugin: Plugin) -> None:
        self.plugin = plugin
        self.name = plugin.name
        self.lasting = defines(plugin, "likeness")
        self.steady = self.lasting and plugin.steady
        self.by_amounts = self.lasting and plugin.by_amounts
        self.applies = plugin.applies
        self.mask = plugin.mask
        self.reject = plugin.reject
        self.passes = plugin.passes
        if not defines(plugin, "mask"):
            self.mask, self.reject, self.passes = self._mask, self._reject, self._passes

    def _passes(self, pod: PodInfo, nodes: NodeTable, row: int) -> bool:
        return self.plugin.filter(pod, NodeInfo(nodes, row)) is None

    def _mask(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Mask:
        judge = self.plugin.filter
        return np.fromiter((judge(pod, NodeInfo(nodes, row)) is None for row in rows.tolist()), np.bool_, rows.size)

    def _reject(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Refusals:
        groups: dict[Rejection, list[int]] = {}
        for row in rows.tolist():
            reason = self.plugin.filter(pod, NodeInfo(nodes, row)) or ""
            groups.setdefault(Rejection(self.name, (str(reason),), not isinstance(reason, Unresolvable)), []).append(row)
        return [(rejection, np.array(refused, np.intp)) for rejection, refused in groups.items()]


class Scoring:
    """What a profile has of a plug-in that scores."""

    def __init__(self, plugin: Plugin, weight: int, *, prepares: bool) -> None:
        self.plugin = plugin
        self.name = plugin.name
        self.weight = weight
        self._prepares = prepares
        by_node, adjusts = not defines(plugin, "column"), prepares or defines(plugin, "normalize")
        self.relative = not defines(plugin, "likeness") or adjusts or (not by_node and plugin.relative)
        self.steady = not self.relative and plugin.steady
        self.by_amounts = not self.relative and plugin.by_amounts
        self.ranks = plugin.ranks
        self.column, self.points = (self._adjusted, self._points) if adjusts or by_node or plugin.guarded else (plugin.column, plugin.points)

    def _points(self, pod: PodInfo, nodes: NodeTable, row: int) -> int:
        return single(self.column(pod, nodes, np.array([row], np.intp)))

    def _adjusted(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Column | None:
        plugin = self.plugin
        if self._prepares:
            plugin.pre_score(pod, nodes, rows)
        scores: Column | None
        if defines(plugin, "column"):
            scores = plugin.column(pod, nodes, rows)
            if scores is None:
                return None
        else:
            scores = np.fromiter((plugin.score(pod, NodeInfo(nodes, row)) for row in rows.tolist()), np.int64, rows.size)
        scores = plugin.normalize(pod, scores)
        for extreme in (scores.min(initial=0), scores.max(initial=0)):
            if not 0 <= extreme <= MAX_NODE_SCORE:
                raise PluginError(self.name, "score", ValueError(f"{extreme} is not between 0 and {MAX_NODE_SCORE}"))
        return scores
