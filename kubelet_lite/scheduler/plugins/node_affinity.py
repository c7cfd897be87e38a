"""NodeAffinity: the node selector and required node affinity refuse, preferred terms give points.

https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#node-affinity
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec
import numpy as np

from kubelet_lite.api import core_v1, scheduling_rules
from kubelet_lite.api.core_v1 import Node, PreferredSchedulingTerm
from kubelet_lite.scheduler import node_terms
from kubelet_lite.scheduler.framework import Change, Handle, Lasting, Refusals, Rejection, normalised
from kubelet_lite.scheduler.node_table import Column, Mask, NodeTable, Rows
from kubelet_lite.scheduler.pod_info import PodInfo

MAX_KEPT_WISHES: Final = 1024
"""Distinct selectors whose columns are kept between pods; the oldest go first."""


class NodeAffinityArgs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    addedAffinity: core_v1.NodeAffinity | None = None
    """What is asked of nodes in the name of every pod of the profile."""


class NodeAffinity(Lasting):
    """Labels change rarely: the columns of a selector are kept while the table's generation stands."""

    Args = NodeAffinityArgs
    args: NodeAffinityArgs
    steady = True

    def __init__(self, handle: Handle, args: NodeAffinityArgs | None = None) -> None:
        super().__init__(handle, args)
        added = self.args.addedAffinity
        self._enforced = added.requiredDuringSchedulingIgnoredDuringExecution if added is not None else None
        self._wished = added.preferredDuringSchedulingIgnoredDuringExecution if added is not None else ()
        self._generation = -1
        self._masks: dict[bytes, Mask] = {}
        self._points: dict[bytes, Column] = {}
        self._enforced_mask: Mask | None = None

    def hint(self, change: Change) -> bool | Callable[[PodInfo], bool]:
        if change.kind is not Node or change.new is None or (change.old is not None and change.old.metadata.labels == change.new.metadata.labels):
            return False
        if self._enforced is not None and not scheduling_rules.selects(self._enforced, change.new):
            return False
        return lambda pod: scheduling_rules.node_matches(pod.pod, change.new)

    # PreFilter and Filter

    def pre_filter(self, pod: PodInfo, nodes: NodeTable) -> str | frozenset[str] | None:
        named = scheduling_rules.required_node_names(pod.pod) if pod.placement_key else None
        return "pod affinity terms conflict" if named == frozenset() else named

    def applies(self, pod: PodInfo, nodes: NodeTable) -> bool:
        return bool(pod.placement_key) or self._enforced is not None

    def mask(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Mask:
        mask: Mask = self._selected(pod, nodes)[rows]
        return mask if self._enforced is None else mask & self._let_in(nodes)[rows]

    def reject(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Refusals:
        let_in = self._let_in(nodes)[rows] if self._enforced is not None else np.ones(rows.size, np.bool_)
        found = (
            (Rejection(self.name, ("node(s) didn't match scheduler-enforced node affinity",), resolvable=False), rows[~let_in]),
            (Rejection(self.name, ("node(s) didn't match Pod's node affinity/selector",), resolvable=False), rows[let_in]),
        )
        return [(rejection, refused) for rejection, refused in found if refused.size]

    def _selected(self, pod: PodInfo, nodes: NodeTable) -> Mask:
        """What the pod itself asks for."""
        self._refresh(nodes)
        found = self._masks.get(pod.placement_key)
        if found is None:
            found = self._masks[pod.placement_key] = node_terms.matching(nodes, pod.pod)
        return found

    def _let_in(self, nodes: NodeTable) -> Mask:
        """What the profile asks for."""
        self._refresh(nodes)
        if self._enforced_mask is None:
            assert self._enforced is not None
            self._enforced_mask = node_terms.selected(nodes, self._enforced)
        return self._enforced_mask

    # Score

    def ranks(self, pod: PodInfo, nodes: NodeTable) -> bool:
        return bool(self._wished or (pod.placement_key and _wishes(pod)))

    def column(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Column | None:
        wishes = _wishes(pod)
        if not self._wished and not wishes:
            return None
        self._refresh(nodes)
        found = self._points.get(pod.placement_key)
        if found is None:
            found = self._points[pod.placement_key] = node_terms.preferred_points(nodes, (*wishes, *self._wished))
        return normalised(found[rows])

    def _refresh(self, nodes: NodeTable) -> None:
        if self._generation != nodes.generation or len(self._masks) > MAX_KEPT_WISHES or len(self._points) > MAX_KEPT_WISHES:
            self._masks.clear()
            self._points.clear()
            self._enforced_mask = None
            self._generation = nodes.generation


def _wishes(pod: PodInfo) -> Sequence[PreferredSchedulingTerm]:
    """What the pod itself prefers."""
    affinity = pod.pod.spec.affinity
    own = affinity.nodeAffinity if affinity is not None else None
    return own.preferredDuringSchedulingIgnoredDuringExecution if own is not None else ()
