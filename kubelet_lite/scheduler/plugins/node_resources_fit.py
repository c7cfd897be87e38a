"""NodeResourcesFit: requests must fit into what is left; the emptier the node, the better (LeastAllocated, cpu and memory alike).

https://kubernetes.io/docs/concepts/scheduling-eviction/resource-bin-packing/
"""
from __future__ import annotations

from typing import Final

import numpy as np

from kubelet_lite.scheduler.framework import MAX_NODE_SCORE, Rejection
from kubelet_lite.scheduler.node_table import Column, Mask, NodeTable, Rows
from kubelet_lite.scheduler.pod_info import PodInfo

ORDER: Final = {"cpu": 0, "memory": 1, "ephemeral-storage": 2}
"""Kubernetes names what is insufficient in this order, extended resources after it."""


class NodeResourcesFit:
    name = "NodeResourcesFit"
    weight = 1

    def applies(self, pod: PodInfo, nodes: NodeTable) -> bool:
        return True

    def mask(self, pod: PodInfo, nodes: NodeTable) -> Mask:
        mask: Mask = nodes.pod_count < nodes.pod_limit
        for resource, amount in pod.requests.items():
            if amount:
                mask &= nodes.allocatable(resource) - nodes.requested(resource) >= amount
        return mask

    def reject(self, pod: PodInfo, nodes: NodeTable, row: int) -> Rejection:
        reasons, resolvable = [], True
        if nodes.pod_count[row] >= nodes.pod_limit[row]:
            reasons.append("Too many pods")
            resolvable = bool(nodes.pod_limit[row] > 0)
        for resource, amount in sorted(pod.requests.items(), key=lambda item: (ORDER.get(item[0], len(ORDER)), item[0])):
            available = nodes.allocatable(resource)[row]
            if amount and amount > available - nodes.requested(resource)[row]:
                reasons.append(f"Insufficient {resource}")
                resolvable = resolvable and bool(amount <= available)
        return Rejection(self.name, tuple(reasons), resolvable)

    def column(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Column:
        cpu = _left(nodes.allocatable("cpu")[rows], nodes.scored_cpu[rows] + pod.arriving_requests[0])
        memory = _left(nodes.allocatable("memory")[rows], nodes.scored_memory[rows] + pod.arriving_requests[1])
        counted = (nodes.allocatable("cpu")[rows] > 0).astype(np.int64) + (nodes.allocatable("memory")[rows] > 0)
        column: Column = (cpu + memory) // np.maximum(counted, 1)
        return column


def _left(allocatable: Column, requested: Column) -> Column:
    """The share left over, in points; nothing where more is requested than there is."""
    points: Column = np.maximum(allocatable - requested, 0) * MAX_NODE_SCORE // np.maximum(allocatable, 1)
    return points
