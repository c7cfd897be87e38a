"""What is true of nodes and their pods once things have calmed down. https://kubernetes.io/docs/concepts/architecture/nodes/"""
from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kubelet_lite.api.core_v1 import Node, Pod
from kubelet_lite.simulation.invariant import Invariant
from kubelet_lite.simulation.invariants.facts import named

if TYPE_CHECKING:
    from kubelet_lite.simulation.simulation import Simulation


class NoPodOnDeletedNode(Invariant):
    """At rest no pod is on a node that does not exist. (Before, one may be: a pod may be bound to a node that is about to go.)"""

    name = "NoPodOnDeletedNode"

    def at_rest(self, simulation: Simulation) -> Iterable[str]:
        snapshot = simulation.snapshot
        for pod in snapshot.list(Pod):
            if pod.spec.nodeName and snapshot.get(Node, pod.spec.nodeName) is None:
                yield f"pod {named(pod)} is on node {pod.spec.nodeName}, which does not exist"
