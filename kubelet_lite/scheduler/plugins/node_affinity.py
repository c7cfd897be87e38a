"""NodeAffinity: the node selector and required node affinity refuse, preferred terms give points.

https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#node-affinity
"""
from __future__ import annotations

from typing import Final

import numpy as np

from kubelet_lite.api import scheduling_rules
from kubelet_lite.scheduler import node_terms
from kubelet_lite.scheduler.framework import Refusals, Rejection, normalised
from kubelet_lite.scheduler.node_table import Column, Mask, NodeTable, Rows
from kubelet_lite.scheduler.pod_info import PodInfo

MAX_KEPT_WISHES: Final = 1024
"""Distinct selectors whose columns are kept between pods; the oldest go first."""


class NodeAffinity:
    """Labels change rarely: the columns of a selector are kept while the table's generation stands."""

    name = "NodeAffinity"
    weight = 2
    relative = True

    def __init__(self) -> None:
        self._generation = -1
        self._masks: dict[bytes, Mask] = {}
        self._points: dict[bytes, Column] = {}

    def refuse(self, pod: PodInfo, nodes: NodeTable) -> str | None:
        if not pod.placement_key or scheduling_rules.required_node_names(pod.pod) != frozenset():
            return None
        return "pod affinity terms conflict"

    def applies(self, pod: PodInfo, nodes: NodeTable) -> bool:
        return bool(pod.placement_key)

    def mask(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Mask:
        self._refresh(nodes)
        found = self._masks.get(pod.placement_key)
        if found is None:
            found = self._masks[pod.placement_key] = node_terms.matching(nodes, pod.pod)
        mask: Mask = found[rows]
        return mask

    def narrow(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Mask | None:
        named = scheduling_rules.required_node_names(pod.pod) if pod.placement_key else None
        if named is None:
            return None
        return np.isin(rows, [nodes.row_of.get(name, -1) for name in named])

    def reject(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Refusals:
        return [(Rejection(self.name, ("node(s) didn't match Pod's node affinity/selector",), resolvable=False), rows)]

    def column(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Column | None:
        affinity = pod.pod.spec.affinity
        if affinity is None or affinity.nodeAffinity is None or not affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution:
            return None
        self._refresh(nodes)
        found = self._points.get(pod.placement_key)
        if found is None:
            found = self._points[pod.placement_key] = node_terms.preferred_points(nodes, pod.pod)
        return normalised(found[rows])

    def _refresh(self, nodes: NodeTable) -> None:
        if self._generation != nodes.generation or len(self._masks) > MAX_KEPT_WISHES or len(self._points) > MAX_KEPT_WISHES:
            self._masks.clear()
            self._points.clear()
            self._generation = nodes.generation
