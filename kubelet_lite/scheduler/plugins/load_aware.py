"""LoadAware: prefers nodes that have little to do, by what they really use instead of what is requested of them. Off by default.

Usage is that of metrics.k8s.io, learned anew every 15 seconds. It is about the past: pods that came to a node since the last
measurement but one count on top with what they request, and so does the pod itself. A node of which no fresh measurement is known
counts as loaded as the measured ones are on average; where none is known, the plug-in has nothing to say. Both stand in the log.
"""
from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np

from kubelet_lite.actors import logs
from kubelet_lite.api import quantities, timestamps
from kubelet_lite.api.metrics_v1beta1 import NodeMetrics
from kubelet_lite.scheduler.framework import MAX_NODE_SCORE, Handle, Plugin
from kubelet_lite.scheduler.node_table import Column, NodeTable, Rows, take
from kubelet_lite.scheduler.pod_info import PodInfo
from kubelet_lite.scheduler.scoring_resources import CPU_AND_MEMORY, ResourceSpec, with_weights

MEASURED_RESOURCES: Final = ("cpu", "memory")
DEFAULT_EXPIRATION_SECONDS: Final = 60
NAMED_NODES: Final = 5
"""Of those without a measurement, in the log."""
Amounts = tuple[int, int]
"""Millicores and bytes."""
NOTHING: Final = (0, 0)
ZERO: Final = "1970-01-01T00:00:00Z"
"""Of what is not dated."""
_log = logs.get_logger()


class LoadAwareArgs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    resources: tuple[ResourceSpec, ...] = CPU_AND_MEMORY
    """cpu, memory or both, with weights."""
    expirationSeconds: int = DEFAULT_EXPIRATION_SECONDS
    """A measurement that is older counts as none."""


class LoadAware(Plugin):
    Args = LoadAwareArgs
    args: LoadAwareArgs
    relative = False

    def __init__(self, handle: Handle, args: LoadAwareArgs | None = None) -> None:
        super().__init__(handle, args)
        self._weights = [(MEASURED_RESOURCES.index(spec.name), spec.weight) for spec in with_weights(self.args.resources or CPU_AND_MEMORY)]
        self._as_of = (-1, -1)
        """Of which generation of metrics, and of nodes, all that follows was made."""
        self._version = 0
        self._measured = 0
        """How many nodes are."""
        nothing: Column = np.zeros(0, np.int64)
        self._used: tuple[Column, ...] = (nothing, nothing)
        """For each resource, by row: what is used, measured or supposed; …"""
        self._seen: tuple[Column, ...] = (nothing, nothing)
        """… and what is requested by pods whose usage that includes."""
        self._requested: Mapping[str, Amounts] | None = None
        """By node, when metrics came in last; …"""
        self._included: Mapping[str, Amounts] = {}
        """… and when those before them did: pods that came since may not have begun to work when the last ones were measured."""
        self._unmeasured: Sequence[str] = ()

    def needs(self, pod: PodInfo, nodes: NodeTable) -> Sequence[type[Any]]:
        return (NodeMetrics,)

    def likeness(self, pod: PodInfo) -> Hashable:
        self._read(self.handle.nodes)
        return self._version

    def ranks(self, pod: PodInfo, nodes: NodeTable) -> bool:
        self._read(nodes)
        return self._measured > 0

    def column(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Column | None:
        if not self.ranks(pod, nodes):
            return None
        total: Column = np.zeros(rows.size, np.int64)
        weights: Column = np.zeros(rows.size, np.int64)
        for index, weight in self._weights:
            whole = take(nodes.allocatable(MEASURED_RESOURCES[index]), rows)
            scored = nodes.scored_memory if index else nodes.scored_cpu
            came = np.maximum(take(scored, rows) - take(self._seen[index], rows), 0)
            left = np.maximum(whole - take(self._used[index], rows) - came - pod.arriving_requests[index], 0)
            total += weight * (left * MAX_NODE_SCORE // np.maximum(whole, 1))
            weights += np.where(whole > 0, weight, 0)
        points: Column = total // np.maximum(weights, 1)
        return points

    def points(self, pod: PodInfo, nodes: NodeTable, row: int) -> int:
        if not self.ranks(pod, nodes):
            return 0
        total = weights = 0
        for index, weight in self._weights:
            whole, _ = nodes.amounts(MEASURED_RESOURCES[index], row)
            if whole:
                scored = nodes.scored_memory if index else nodes.scored_cpu
                came = max(scored.item(row) - self._seen[index].item(row), 0)
                left = max(whole - self._used[index].item(row) - came - pod.arriving_requests[index], 0)
                total += weight * (left * MAX_NODE_SCORE // whole)
                weights += weight
        return total // max(weights, 1)

    def _read(self, nodes: NodeTable) -> None:
        """Takes over metrics and nodes, if there are others than before."""
        surroundings = self.handle.surroundings
        as_of = (surroundings.changed(NodeMetrics), nodes.generation)
        if as_of == self._as_of:
            return
        if as_of[0] != self._as_of[0] or self._requested is None:
            requested = {name: (nodes.scored_cpu.item(row), nodes.scored_memory.item(row)) for name, row in nodes.row_of.items()}
            self._included = self._requested if self._requested is not None else requested
            self._requested = requested
        self._as_of = as_of
        self._version += 1
        oldest = self.handle.environment.now() - self.args.expirationSeconds if self.handle.environment is not None else None
        usage = {
            metrics.metadata.name: (quantities.milli(metrics.usage.get("cpu", "0")), quantities.to_int(metrics.usage.get("memory", "0")))
            for metrics in surroundings.list(NodeMetrics)
            if metrics.metadata.name in nodes.row_of and (oldest is None or timestamps.parse_time(metrics.timestamp or ZERO) >= oldest)
        }
        self._measured = len(usage)
        self._fill(nodes, usage)
        self._say(sorted(nodes.row_of.keys() - usage.keys()), len(nodes))

    def _fill(self, nodes: NodeTable, usage: Mapping[str, Amounts]) -> None:
        self._used, self._seen = ((np.zeros(nodes.width, np.int64), np.zeros(nodes.width, np.int64)) for _ in range(2))
        for index, resource in enumerate(MEASURED_RESOURCES):
            whole = {name: nodes.amounts(resource, row)[0] for name, row in nodes.row_of.items()}
            all_used, all_there_is = sum(used[index] for used in usage.values()), sum(whole[name] for name in usage)
            for name, row in nodes.row_of.items():
                used = usage[name][index] if name in usage else whole[name] * all_used // all_there_is if all_there_is else 0
                self._used[index][row] = min(used, whole[name])  # a node is no more than full
                self._seen[index][row] = self._included.get(name, NOTHING)[index]

    def _say(self, unmeasured: Sequence[str], count: int) -> None:
        if unmeasured != self._unmeasured:
            if unmeasured:
                _log.warning(
                    "node_load_unknown", unmeasured=len(unmeasured), nodes=count, first=", ".join(unmeasured[:NAMED_NODES]),
                    then="they count as loaded as the others are on average" if self._measured else "LoadAware has no say",
                )
            else:
                _log.info("node_load_known", nodes=count)
        self._unmeasured = unmeasured
