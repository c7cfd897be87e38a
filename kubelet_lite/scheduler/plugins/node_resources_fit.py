"""NodeResourcesFit: requests must fit into what is left; the emptier the node, the better (LeastAllocated, cpu and memory alike).

https://kubernetes.io/docs/concepts/scheduling-eviction/resource-bin-packing/
"""
from __future__ import annotations

from typing import Final

import numpy as np

from kubelet_lite.scheduler.framework import MAX_NODE_SCORE, Refusals, Rejection
from kubelet_lite.scheduler.node_table import Column, Mask, NodeTable, Rows
from kubelet_lite.scheduler.pod_info import PodInfo
from kubelet_lite.scheduler.priorities import PODS

ORDER: Final = {"cpu": 0, "memory": 1, "ephemeral-storage": 2}
"""Kubernetes names what is insufficient in this order, extended resources after it."""


class NodeResourcesFit:
    name = "NodeResourcesFit"
    weight = 1
    relative = False

    def applies(self, pod: PodInfo, nodes: NodeTable) -> bool:
        return True

    def mask(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Mask:
        mask: Mask = nodes.pod_count[rows] < nodes.pod_limit[rows]
        for resource, amount in pod.requests.items():
            if amount:
                mask &= nodes.allocatable(resource)[rows] - nodes.requested(resource)[rows] >= amount
        return mask

    def reject(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Refusals:
        lacks = [("Too many pods", nodes.pod_count[rows] >= nodes.pod_limit[rows], nodes.pod_limit[rows] <= 0)]
        for resource, amount in sorted(pod.requests.items(), key=lambda item: (ORDER.get(item[0], len(ORDER)), item[0])):
            if amount:
                all_there_is = nodes.allocatable(resource)[rows]
                lacks.append((f"Insufficient {resource}", all_there_is - nodes.requested(resource)[rows] < amount, all_there_is < amount))
        reasons_of = np.zeros(rows.size, np.int64)  # one bit a reason; the lowest: never to be resolved
        for bit, (_, lacking, hopeless) in enumerate(lacks, start=1):
            reasons_of |= lacking.astype(np.int64) << bit | (lacking & hopeless)
        found = []
        for reasons in np.unique(reasons_of):
            texts = tuple(text for bit, (text, _, _) in enumerate(lacks, start=1) if reasons >> bit & 1)
            found.append((Rejection(self.name, texts, resolvable=not reasons & 1), rows[reasons_of == reasons]))
        return found

    def column(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Column:
        cpu = _left(nodes.allocatable("cpu")[rows], nodes.scored_cpu[rows] + pod.arriving_requests[0])
        memory = _left(nodes.allocatable("memory")[rows], nodes.scored_memory[rows] + pod.arriving_requests[1])
        counted = (nodes.allocatable("cpu")[rows] > 0).astype(np.int64) + (nodes.allocatable("memory")[rows] > 0)
        column: Column = (cpu + memory) // np.maximum(counted, 1)
        return column


def slack(pod: PodInfo, nodes: NodeTable, row: int) -> dict[str, int]:
    """What a node would have left of all that the pod wants, were it there: nothing negative where it fits."""
    left = {r: int(nodes.allocatable(r)[row]) - int(nodes.requested(r)[row]) - amount for r, amount in pod.requests.items() if amount}
    left[PODS] = int(nodes.pod_limit[row]) - int(nodes.pod_count[row]) - 1
    return left


def _left(allocatable: Column, requested: Column) -> Column:
    """The share left over, in points; nothing where more is requested than there is."""
    points: Column = np.maximum(allocatable - requested, 0) * MAX_NODE_SCORE // np.maximum(allocatable, 1)
    return points
