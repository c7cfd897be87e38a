"""NodeResourcesBalancedAllocation: prefers nodes whose use of several resources (cpu and memory) the pod brings closer together.

The recorded kube-scheduler 1.36 compares the balance with the pod against the balance without it: half of the difference
above or below 75 points.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

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
    by_amounts = True

    def __init__(self, handle: Handle, args: NodeResourcesBalancedAllocationArgs | None = None) -> None:
        super().__init__(handle, args)
        self._resources = [spec.name for spec in self.args.resources or CPU_AND_MEMORY]
        self._of_two = len(self._resources) == 2 and not any(map(is_scalar, self._resources))
        self._as_it_is: Column = np.zeros(0, np.int64)
        """The balance of each row without the pod; as of …"""
        self._as_of = (-1, 0)

    def column(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Column | None:
        resources = [r for r in self._resources if not is_scalar(r) or pod.requests.get(r)]
        if not any(pod.requests.get(resource) for resource in resources):
            return None
        column = _balance(nodes, rows, resources, pod.requests)
        column -= take(self._without(nodes), rows) if resources == self._resources else _balance(nodes, rows, resources)
        column += 3 * MAX_NODE_SCORE // 2
        column >>= 1
        return column

    def _without(self, nodes: NodeTable) -> Column:
        """The balance of each row as it is: only where pods came or went it is worked out again."""
        generation, changes = self._as_of
        self._as_of = nodes.generation, nodes.changes
        changed = nodes.changed_since(changes) if generation == nodes.generation else None
        if changed is None:
            self._as_it_is = np.zeros(nodes.width, np.int64)
            changed = nodes.rows
        if changed.size == 1 and self._of_two:
            row = int(changed[0])
            first, second = self._resources
            (whole, used), (other_whole, other_used) = nodes.amounts(first, row), nodes.amounts(second, row)
            self._as_it_is[row] = _balance_of_two(used, whole, other_used, other_whole) if whole and other_whole else MAX_NODE_SCORE
        elif changed.size:
            self._as_it_is[changed] = _balance(nodes, changed, self._resources)
        return self._as_it_is

    def points(self, pod: PodInfo, nodes: NodeTable, row: int) -> int:
        if not self._of_two:
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


def _balance(nodes: NodeTable, rows: Rows, resources: Sequence[str], more: Mapping[str, int] = MappingProxyType({})) -> Column:
    """100 where all are used to the same share, were `more` requested; with two, 50 where one is full and the other empty. What a node has
    none of is left out."""
    present = None if all(map(nodes.everywhere, resources)) else np.array([take(nodes.allocatable(r), rows) > 0 for r in resources])
    shares = [_share(nodes, rows, resource, more.get(resource, 0)) for resource in resources]
    apart: NDArray[np.float64]
    if len(shares) == 2:
        apart = np.subtract(shares[0], shares[1], out=shares[0])
        np.abs(apart, out=apart)
        apart *= 0.5
        if present is not None:
            apart = np.where(present.all(axis=0), apart, 0.0)
    else:
        apart = _deviation(np.array(shares), present if present is not None else np.ones((len(shares), shares[0].size), np.bool_))
    balance = np.subtract(1, apart, out=apart)
    balance *= MAX_NODE_SCORE
    return balance.astype(np.int64)


def _share(nodes: NodeTable, rows: Rows, resource: str, more: int) -> NDArray[np.float64]:
    divisor = nodes.divisor(resource)
    used = take(nodes.requested(resource), rows) + more
    np.minimum(used, take(nodes.allocatable(resource), rows), out=used)
    share: NDArray[np.float64] = used / take(np.maximum(nodes.allocatable(resource), 1) if divisor is None else divisor, rows)
    return share


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
