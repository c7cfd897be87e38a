"""Pods that were promised a node: they displaced others from it, which are still leaving.

A pod of lower priority, or of the same, must leave room for them.
https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/#user-exposed-information
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from kubelet_lite.scheduler.node_table import NodeTable
from kubelet_lite.scheduler.pod_info import PodInfo

Promised = Mapping[int, Sequence[PodInfo]]
"""Row → who was promised it."""
NOBODY: Final[Promised] = {}
Harm = tuple[int, int, int, int, float]
"""Protected pods displaced; the highest priority; the sum of all; how many; and how long ago the most important ones started."""


class Nomination(msgspec.Struct, frozen=True):
    """A node that is promised to the pod, once its victims are gone."""

    node_name: str
    victims: tuple[PodInfo, ...]
    """The most important first."""
    violations: int
    """How many of them a disruption budget protects."""
    harm: Harm
    """The less, the better."""


class Nominations:
    """Who was promised which node."""

    def __init__(self) -> None:
        self._nodes: dict[tuple[str, str], tuple[PodInfo, str]] = {}

    def __bool__(self) -> bool:
        return bool(self._nodes)

    def add(self, pod: PodInfo, node_name: str) -> None:
        self._nodes[pod.key] = pod, node_name

    def remove(self, key: tuple[str, str]) -> None:
        self._nodes.pop(key, None)

    def node_of(self, key: tuple[str, str]) -> str:
        found = self._nodes.get(key)
        return found[1] if found is not None else ""

    def before(self, pod: PodInfo, nodes: NodeTable) -> Promised:
        """The promises that come before this pod."""
        found: dict[int, list[PodInfo]] = {}
        for key, (other, node_name) in self._nodes.items():
            row = nodes.row_of.get(node_name)
            if row is not None and other.priority >= pod.priority and key != pod.key:
                found.setdefault(row, []).append(other)
        return found

    def below(self, pod: PodInfo, node_name: str) -> Sequence[PodInfo]:
        """Pods of lower priority that were promised the node."""
        return [other for other, name in self._nodes.values() if name == node_name and other.priority < pod.priority]
