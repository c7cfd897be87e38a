"""One node of the table, for plug-ins that look at a node at a time."""
from __future__ import annotations

from collections.abc import Sequence

from kubelet_lite.api.core_v1 import Node
from kubelet_lite.scheduler.node_table import NodeTable
from kubelet_lite.scheduler.pod_info import PodInfo
from kubelet_lite.scheduler.priorities import PODS


class NodeInfo:
    """A view of one row: what it says is true until something changes in the table."""

    __slots__ = ("_nodes", "_row")

    def __init__(self, nodes: NodeTable, row: int) -> None:
        self._nodes, self._row = nodes, row

    @property
    def node(self) -> Node:
        node = self._nodes.nodes[self._row]
        assert node is not None
        return node

    @property
    def name(self) -> str:
        return self.node.metadata.name

    @property
    def pods(self) -> Sequence[PodInfo]:
        """In the order in which they came; those that are assumed too."""
        return tuple(self._nodes.placed_on(self._row))

    def allocatable(self, resource: str) -> int:
        """In base units: millicores, bytes, counts."""
        return int(self._nodes.pod_limit[self._row] if resource == PODS else self._nodes.allocatable(resource)[self._row])

    def requested(self, resource: str) -> int:
        """By all pods on the node."""
        return int(self._nodes.pod_count[self._row] if resource == PODS else self._nodes.requested(resource)[self._row])

    def free(self, resource: str) -> int:
        return self.allocatable(resource) - self.requested(resource)
