"""NodeResourcesFit: requests must fit into what is left; how full a node should be, its scoring strategy says.

https://kubernetes.io/docs/concepts/scheduling-eviction/resource-bin-packing/
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from kubelet_lite.api import quantities
from kubelet_lite.api.core_v1 import Node, Pod
from kubelet_lite.scheduler.framework import MAX_NODE_SCORE, Change, Handle, Lasting, Refusals, Rejection
from kubelet_lite.scheduler.node_table import Column, Mask, NodeTable, Rows, take
from kubelet_lite.scheduler.pod_info import PodInfo
from kubelet_lite.scheduler.scoring_resources import (
    CPU_AND_MEMORY,
    ResourceSpec,
    UtilizationShapePoint,
    along,
    is_scalar,
    whole_and_used,
    whole_and_used_of,
    with_weights,
)

Divisor = NDArray[np.float64]
Points = NDArray[np.float64]
"""Whole numbers up to a hundred, as floats: these are divided and cut off the faster."""
ORDER: Final = {"cpu": 0, "memory": 1, "ephemeral-storage": 2}
"""Kubernetes names what is insufficient in this order, extended resources after it."""


class RequestedToCapacityRatioParam(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    shape: tuple[UtilizationShapePoint, ...] = ()


class ScoringStrategy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    type: str = "LeastAllocated"
    resources: tuple[ResourceSpec, ...] = CPU_AND_MEMORY
    requestedToCapacityRatio: RequestedToCapacityRatioParam | None = None


class NodeResourcesFitArgs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    ignoredResources: tuple[str, ...] = ()
    """Extended resources that somebody else looks after; …"""
    ignoredResourceGroups: tuple[str, ...] = ()
    """… also by what stands before their slash."""
    scoringStrategy: ScoringStrategy = ScoringStrategy()


class NodeResourcesFit(Lasting):
    Args = NodeResourcesFitArgs
    args: NodeResourcesFitArgs
    relative = False
    by_amounts = True

    def __init__(self, handle: Handle, args: NodeResourcesFitArgs | None = None) -> None:
        super().__init__(handle, args)
        strategy = self.args.scoringStrategy
        self._weights = [(spec.name, spec.weight) for spec in with_weights(strategy.resources or CPU_AND_MEMORY)]
        self._shape = strategy.requestedToCapacityRatio.shape if strategy.requestedToCapacityRatio is not None else ()
        self._points: Callable[[Column, Column, Divisor | None], Points] = {
            "LeastAllocated": _least_allocated, "MostAllocated": _most_allocated, "RequestedToCapacityRatio": self._by_shape,
        }[strategy.type]
        self._ignores = bool(self.args.ignoredResources or self.args.ignoredResourceGroups)

    def asked(self, pod: PodInfo) -> Mapping[str, int]:
        """What must fit."""
        if not self._ignores:
            return pod.requests
        return {resource: amount for resource, amount in pod.requests.items() if not self._is_ignored(resource)}

    def _is_ignored(self, resource: str) -> bool:
        if not is_scalar(resource):
            return False
        return resource in self.args.ignoredResources or resource.partition("/")[0] in self.args.ignoredResourceGroups

    def hint(self, change: Change) -> bool | Callable[[PodInfo], bool]:
        if change.kind is Pod:
            if change.new is not None and change.old is None:
                return False
            return lambda pod: any(pod.requests.values()) or change.new is None
        if change.kind is not Node or change.new is None:
            return False
        node: Node = change.new
        if change.old is not None and change.old.status.allocatable == node.status.allocatable:
            return False
        whole = {resource: _base_units(resource, amount) for resource, amount in node.status.allocatable.items()}
        return lambda pod: all(amount <= whole.get(resource, 0) for resource, amount in self.asked(pod).items())

    # Filter

    def mask(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Mask:
        mask: Mask = take(nodes.pod_count, rows) < take(nodes.pod_limit, rows)
        for resource, amount in self.asked(pod).items():
            if amount:
                mask &= take(nodes.allocatable(resource), rows) - take(nodes.requested(resource), rows) >= amount
        return mask

    def passes(self, pod: PodInfo, nodes: NodeTable, row: int) -> bool:
        if nodes.pod_count.item(row) >= nodes.pod_limit.item(row):
            return False
        for resource, amount in self.asked(pod).items():
            whole, used = nodes.amounts(resource, row)
            if amount and whole - used < amount:
                return False
        return True

    def reject(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Refusals:
        lacks = [("Too many pods", nodes.pod_count[rows] >= nodes.pod_limit[rows], nodes.pod_limit[rows] <= 0)]
        for resource, amount in sorted(self.asked(pod).items(), key=lambda item: (ORDER.get(item[0], len(ORDER)), item[0])):
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

    # Score

    def column(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Column:
        total: NDArray[np.float64] = np.zeros(rows.size)
        weights: int | Column = 0
        for resource, weight in self._weights:
            if is_scalar(resource) and not pod.requests.get(resource):
                continue
            whole, used = whole_and_used(pod, nodes, rows, resource)
            divisor = nodes.divisor(resource)
            points = self._points(whole, used, take(divisor, rows) if divisor is not None else None)
            total += points if weight == 1 else points * weight
            if self._shape:
                weights = weights + np.where(points > 0, weight, 0)  # what gives no points has no weight either
            else:
                weights = weights + (weight if nodes.everywhere(resource) else np.where(whole > 0, weight, 0))
        weights = max(weights, 1) if isinstance(weights, int) else np.maximum(weights, 1)
        mean = (2 * total + weights) / (2 * weights) if self._shape else total / weights  # by shape: to the nearest, halves up
        column: Column = np.floor(mean, out=mean).astype(np.int64)
        return column

    def points(self, pod: PodInfo, nodes: NodeTable, row: int) -> int:
        if self._shape:
            return super().points(pod, nodes, row)
        total = weights = 0
        most = self.args.scoringStrategy.type == "MostAllocated"
        for resource, weight in self._weights:
            if is_scalar(resource) and not pod.requests.get(resource):
                continue
            whole, used = whole_and_used_of(pod, nodes, row, resource)
            if whole:
                total += weight * ((min(used, whole) if most else max(whole - used, 0)) * MAX_NODE_SCORE // whole)
                weights += weight
        return total // max(weights, 1)

    def _by_shape(self, whole: Column, used: Column, divisor: Divisor | None) -> Points:
        full = used > whole
        utilization = np.where(full, MAX_NODE_SCORE, used * MAX_NODE_SCORE // np.maximum(whole, 1))
        return np.where(whole > 0, along(self._shape, utilization), 0).astype(np.float64)


def _least_allocated(whole: Column, used: Column, divisor: Divisor | None) -> Points:
    """The share left over, in points; nothing where more is requested than there is."""
    left = whole - used
    return _points(np.maximum(left, 0, out=left), whole, divisor)


def _most_allocated(whole: Column, used: Column, divisor: Divisor | None) -> Points:
    """The share in use, in points."""
    return _points(np.minimum(used, whole), whole, divisor)


def _points(part: Column, whole: Column, divisor: Divisor | None) -> Points:
    """Whole hundredths of `whole`. Floats divide five times as fast as integers. `part` is used up."""
    part *= MAX_NODE_SCORE
    if divisor is None:
        return (part // np.maximum(whole, 1)).astype(np.float64)
    points = part / divisor
    return np.floor(points, out=points)


def _base_units(resource: str, amount: str) -> int:
    return quantities.milli(amount) if resource == "cpu" else quantities.to_int(amount)
