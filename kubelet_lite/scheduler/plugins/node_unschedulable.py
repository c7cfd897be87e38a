"""NodeUnschedulable: cordoned nodes take only pods that tolerate it."""
from __future__ import annotations

from kubelet_lite.api import scheduling_rules
from kubelet_lite.api.core_v1 import Node, Taint
from kubelet_lite.scheduler.framework import Change, Lasting, Refusals, Rejection
from kubelet_lite.scheduler.node_table import Mask, NodeTable, Rows
from kubelet_lite.scheduler.pod_info import PodInfo

UNSCHEDULABLE = Taint(key="node.kubernetes.io/unschedulable", effect="NoSchedule")


class NodeUnschedulable(Lasting):
    steady = True

    def hint(self, change: Change) -> bool:
        if change.kind is not Node or change.new is None or change.new.spec.unschedulable:
            return False
        return change.old is None or bool(change.old.spec.unschedulable)

    def applies(self, pod: PodInfo, nodes: NodeTable) -> bool:
        return bool(nodes.unschedulable.any()) and not scheduling_rules.tolerates(pod.pod.spec.tolerations, UNSCHEDULABLE)

    def mask(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Mask:
        mask: Mask = ~nodes.unschedulable[rows]
        return mask

    def reject(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Refusals:
        return [(Rejection(self.name, ("node(s) were unschedulable",), resolvable=False), rows)]
