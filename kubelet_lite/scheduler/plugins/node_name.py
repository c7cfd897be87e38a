"""NodeName: a pod that names its node fits no other."""
from __future__ import annotations

from collections.abc import Callable

from kubelet_lite.api.core_v1 import Node
from kubelet_lite.scheduler.framework import Change, Lasting, Refusals, Rejection
from kubelet_lite.scheduler.node_table import Mask, NodeTable, Rows
from kubelet_lite.scheduler.pod_info import PodInfo


class NodeName(Lasting):
    steady = True

    def hint(self, change: Change) -> bool | Callable[[PodInfo], bool]:
        if change.kind is not Node or change.old is not None:
            return False
        return lambda pod: bool(pod.pod.spec.nodeName == change.new.metadata.name)

    def applies(self, pod: PodInfo, nodes: NodeTable) -> bool:
        return bool(pod.pod.spec.nodeName)

    def mask(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Mask:
        mask: Mask = rows == nodes.row_of.get(pod.pod.spec.nodeName, -1)
        return mask

    def reject(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Refusals:
        return [(Rejection(self.name, ("node(s) didn't match the requested node name",), resolvable=False), rows)]
