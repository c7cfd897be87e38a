"""NodePorts: a host port is taken once a node, address and protocol."""
from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kubelet_lite.api.core_v1 import Node, Pod
from kubelet_lite.scheduler.framework import Change, Lasting, Refusals, Rejection
from kubelet_lite.scheduler.node_table import Mask, NodeTable, Rows
from kubelet_lite.scheduler.pod_info import PodInfo, ports_of


class NodePorts(Lasting):
    def hint(self, change: Change) -> bool | Callable[[PodInfo], bool]:
        if change.kind is Node:
            return change.old is None
        if change.kind is not Pod or change.new is not None:
            return False
        freed = ports_of(change.old)
        return lambda pod: any(wanted.clashes_with(taken) for taken in freed for wanted in pod.host_ports)

    def applies(self, pod: PodInfo, nodes: NodeTable) -> bool:
        return bool(pod.host_ports)

    def mask(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Mask:
        free = (not any(wanted.clashes_with(taken) for taken in nodes.ports(row) for wanted in pod.host_ports) for row in rows.tolist())
        return np.fromiter(free, np.bool_, rows.size)

    def reject(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Refusals:
        return [(Rejection(self.name, ("node(s) didn't have free ports for the requested pod ports",), resolvable=True), rows)]
