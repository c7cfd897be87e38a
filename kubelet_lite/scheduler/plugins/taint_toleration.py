"""TaintToleration: NoSchedule and NoExecute taints refuse, PreferNoSchedule taints cost points.

https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/
"""
from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from kubelet_lite.api import scheduling_rules
from kubelet_lite.api.core_v1 import Node, Taint, Toleration
from kubelet_lite.scheduler.framework import MAX_NODE_SCORE, Change, Lasting, Refusals, Rejection, normalised
from kubelet_lite.scheduler.node_table import Column, Mask, NodeTable, Rows
from kubelet_lite.scheduler.pod_info import PodInfo


class TaintToleration(Lasting):
    """Nodes share few distinct sets of taints: each set is judged once a pod, and rows look their answer up."""

    steady = True

    def hint(self, change: Change) -> bool | Callable[[PodInfo], bool]:
        if change.kind is not Node or change.new is None or (change.old is not None and change.old.spec.taints == change.new.spec.taints):
            return False
        return lambda pod: untolerated(pod.pod.spec.tolerations, change.new.spec.taints) is None

    def applies(self, pod: PodInfo, nodes: NodeTable) -> bool:
        return len(nodes.taint_sets) > 1

    def mask(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Mask:
        passes = np.array([untolerated(pod.pod.spec.tolerations, taints) is None for taints in nodes.taint_sets], np.bool_)
        mask: Mask = passes[nodes.taint_set[rows]]
        return mask

    def reject(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Refusals:
        return [(Rejection(self.name, ("node(s) had untolerated taint(s)",), resolvable=False), rows)]

    def ranks(self, pod: PodInfo, nodes: NodeTable) -> bool:
        return len(nodes.taint_sets) > 1 and any(taint.effect == "PreferNoSchedule" for taints in nodes.taint_sets for taint in taints)

    def column(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Column:
        tolerations = tuple(t for t in pod.pod.spec.tolerations if not t.effect or t.effect == "PreferNoSchedule")
        counts = [
            sum(taint.effect == "PreferNoSchedule" and not scheduling_rules.tolerates(tolerations, taint) for taint in taints)
            for taints in nodes.taint_sets
        ]
        if not any(counts):
            return np.array(MAX_NODE_SCORE, np.int64)
        return normalised(np.array(counts, np.int64)[nodes.taint_set[rows]], reverse=True)


def untolerated(tolerations: Iterable[Toleration], taints: Iterable[Taint]) -> Taint | None:
    """The first taint that keeps a pod off."""
    for taint in taints:
        if taint.effect in ("NoSchedule", "NoExecute") and not scheduling_rules.tolerates(tolerations, taint):
            return taint
    return None
