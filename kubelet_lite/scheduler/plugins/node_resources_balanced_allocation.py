"""NodeResourcesBalancedAllocation: prefers nodes whose use of several resources (cpu and memory) the pod brings closer together.

The recorded kube-scheduler 1.36 compares the balance with the pod against the balance without it: half of the difference
above or below 75 points.
"""
from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from kubelet_lite.scheduler.framework import MAX_NODE_SCORE, Handle, Lasting
from kubelet_lite.scheduler.node_table import Column, NodeTable, Rows, take
from kubelet_lite.scheduler.pod_info import PodInfo
from kubelet_lite.scheduler.scoring_resources import CPU_AND_MEMORY, ResourceSpec, is_scalar


class NodeResourcesBalancedAllocationArgs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    resources: tuple[ResourceSpec, ...] = CPU_AND_MEMORY


class NodeResourcesBalancedAllocation(Lasting):
    Args = NodeResourcesBalancedAllocationArgs
    args: NodeResourcesBalancedAllocationArgs
    relative = False

    def __init__(self, handle: Handle, args: NodeResourcesBalancedAllocationArgs | None = None) -> None:
        super().__init__(handle, args)
        self._resources = [spec.name for spec in self.args.resources or CPU_AND_MEMORY]

    def column(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Column | None:
        resources = [r for r in self._resources if not is_scalar(r) or pod.requests.get(r)]
        if not any(pod.requests.get(resource) for resource in resources):
            return None
        whole = [take(nodes.allocatable(r).astype(np.float64) if (divisor := nodes.divisor(r)) is None else divisor, rows) for r in resources]
        used = [take(nodes.requested(r), rows) for r in resources]
        present = None if all(map(nodes.everywhere, resources)) else np.array([take(nodes.allocatable(r), rows) > 0 for r in resources])
        with_pod = _balance(whole, [u + pod.requests.get(r, 0) for u, r in zip(used, resources, strict=True)], present)
        column: Column = (3 * MAX_NODE_SCORE // 2 + with_pod - _balance(whole, used, present)) // 2
        return column

    def points(self, pod: PodInfo, nodes: NodeTable, row: int) -> int:
        if len(self._resources) != 2 or any(map(is_scalar, self._resources)):
            return super().points(pod, nodes, row)
        first, second = self._resources
        (whole, used), (other_whole, other_used) = nodes.amounts(first, row), nodes.amounts(second, row)
        asked, other_asked = pod.requests.get(first, 0), pod.requests.get(second, 0)
        if not asked and not other_asked:
            return 0
        if not whole or not other_whole:
            return 3 * MAX_NODE_SCORE // 4
        with_pod = _balance_of_two(used + asked, whole, other_used + other_asked, other_whole)
        return (3 * MAX_NODE_SCORE // 2 + with_pod - _balance_of_two(used, whole, other_used, other_whole)) // 2


def _balance_of_two(used: int, whole: int, other_used: int, other_whole: int) -> int:
    """What `_balance` says of a node that has both; in the same floating-point steps."""
    apart = abs(min(float(used) / float(whole), 1.0) - min(float(other_used) / float(other_whole), 1.0)) / 2
    return int((1 - apart) * MAX_NODE_SCORE)


def _balance(whole: Sequence[NDArray[np.float64]], used: Sequence[Column], present: NDArray[np.bool_] | None) -> Column:
    """100 where all are used to the same share; with two, 50 where one is full and the other empty. What a node has none of is left out:
    `present` says what it has; None: everything."""
    shares = [u / (w if present is None else np.maximum(w, 1)) for u, w in zip(used, whole, strict=True)]
    for share in shares:
        np.minimum(share, 1.0, out=share)
    apart: NDArray[np.float64]
    if len(shares) == 2:
        apart = np.subtract(shares[0], shares[1], out=shares[0])
        np.abs(apart, out=apart)
        apart /= 2
        if present is not None:
            apart = np.where(present.all(axis=0), apart, 0.0)
    else:
        apart = _deviation(np.array(shares), present if present is not None else np.ones((len(shares), shares[0].size), np.bool_))
    balance: Column = ((1 - apart) * MAX_NODE_SCORE).astype(np.int64)
    return balance


def _deviation(shares: NDArray[np.float64], present: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The standard deviation of what is present, for each column; of two, half of what lies between them."""
    count = np.maximum(present.sum(axis=0), 1)
    total = np.zeros(shares.shape[1])
    for share, there in zip(shares, present, strict=True):
        total += np.where(there, share, 0.0)
    squares = np.zeros(shares.shape[1])
    for share, there in zip(shares, present, strict=True):
        squares += np.where(there, (share - total / count) ** 2, 0.0)
    deviation: NDArray[np.float64] = np.sqrt(squares / count)
    return deviation
