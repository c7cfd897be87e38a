"""NodeResourcesBalancedAllocation: prefers nodes whose cpu and memory use the pod brings closer together.

The recorded kube-scheduler 1.36 compares the balance with the pod against the balance without it: half of the difference
above or below 75 points.
"""
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kubelet_lite.scheduler.framework import MAX_NODE_SCORE
from kubelet_lite.scheduler.node_table import Column, NodeTable, Rows
from kubelet_lite.scheduler.pod_info import PodInfo


class NodeResourcesBalancedAllocation:
    name = "NodeResourcesBalancedAllocation"
    weight = 1
    relative = False

    def column(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Column | None:
        wanted = pod.requests.get("cpu", 0), pod.requests.get("memory", 0)
        if wanted == (0, 0):
            return None
        with_pod = self._balance(nodes, rows, *wanted)
        without = self._balance(nodes, rows, 0, 0)
        column: Column = (3 * MAX_NODE_SCORE // 2 + with_pod - without) // 2
        return column

    @staticmethod
    def _balance(nodes: NodeTable, rows: Rows, cpu: int, memory: int) -> Column:
        """100 where both are used to the same share, 50 where one is full and the other empty."""
        shares = [_share(nodes.requested(r)[rows] + more, nodes.allocatable(r)[rows]) for r, more in (("cpu", cpu), ("memory", memory))]
        apart = np.abs(shares[0] - shares[1]) / 2
        balance: Column = ((1 - apart) * MAX_NODE_SCORE).astype(np.int64)
        return balance


def _share(requested: Column, allocatable: Column) -> NDArray[np.float64]:
    share: NDArray[np.float64] = np.minimum(requested / np.maximum(allocatable, 1), 1.0)
    return share
