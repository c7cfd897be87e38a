"""What scores weigh: which resources, how much each, and by which function of how full a node would be.

https://kubernetes.io/docs/concepts/scheduling-eviction/resource-bin-packing/
"""
from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from kubelet_lite.scheduler.node_table import BASE_RESOURCES, Column, NodeTable, Rows, take
from kubelet_lite.scheduler.pod_info import PodInfo

MAX_SHAPE_SCORE: Final = 10
"""The highest score of a point of a shape: it stands for 100."""


class ResourceSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str = ""
    weight: int = 0


class UtilizationShapePoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    utilization: int = 0
    """Percent."""
    score: int = 0


CPU_AND_MEMORY: Final = (ResourceSpec("cpu", 1), ResourceSpec("memory", 1))


def with_weights(resources: Sequence[ResourceSpec]) -> tuple[ResourceSpec, ...]:
    """A weight that is not given is 1."""
    return tuple(ResourceSpec(r.name, r.weight or 1) for r in resources)


def is_scalar(resource: str) -> bool:
    """Extended resources and the like: a pod that does not ask for one is not scored by it."""
    return resource not in BASE_RESOURCES


def whole_and_used(pod: PodInfo, nodes: NodeTable, rows: Rows, resource: str) -> tuple[Column, Column]:
    """What there is of the resource, and what of it would be in use with the pod, as scores count it: pods that ask for neither cpu nor
    memory count for Kubernetes' defaults."""
    match resource:
        case "cpu":
            used: Column = take(nodes.scored_cpu, rows) + pod.arriving_requests[0]
        case "memory":
            used = take(nodes.scored_memory, rows) + pod.arriving_requests[1]
        case _:
            used = take(nodes.requested(resource), rows) + pod.requests.get(resource, 0)
    return take(nodes.allocatable(resource), rows), used


def whole_and_used_of(pod: PodInfo, nodes: NodeTable, row: int, resource: str) -> tuple[int, int]:
    """The same for a single row."""
    whole, requested = nodes.amounts(resource, row)
    match resource:
        case "cpu":
            return whole, nodes.scored_cpu.item(row) + pod.arriving_requests[0]
        case "memory":
            return whole, nodes.scored_memory.item(row) + pod.arriving_requests[1]
        case _:
            return whole, requested + pod.requests.get(resource, 0)


def along(shape: Sequence[UtilizationShapePoint], utilization: Column) -> Column:
    """The shape as a broken line, in points of 100; whole numbers, rounded towards zero as Go does."""
    factor = 100 // MAX_SHAPE_SCORE
    found = np.full(utilization.shape, shape[-1].score * factor, np.int64)
    for before, after in reversed(tuple(itertools.pairwise(shape))):
        rise = (after.score - before.score) * factor * (utilization - before.utilization)
        run = after.utilization - before.utilization
        step = np.sign(rise) * (np.abs(rise) // run)
        found = np.where(utilization <= after.utilization, before.score * factor + step, found)
    first: Column = np.where(utilization <= shape[0].utilization, shape[0].score * factor, found)
    return first
