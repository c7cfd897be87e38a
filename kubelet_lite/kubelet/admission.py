"""Whether a node takes a pod that is bound to it: a last check, since anybody may set spec.nodeName. Pure.

https://kubernetes.io/docs/concepts/scheduling-eviction/
"""
from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from kubelet_lite.api import quantities, scheduling_rules
from kubelet_lite.api.core_v1 import Node, Pod
from kubelet_lite.kubelet.memory import Ending

ORDER: Final = ("cpu", "memory", "ephemeral-storage")


def rejection(pod: Pod, node: Node, others: Iterable[Pod]) -> Ending | None:
    """`others`: the pods that the node has taken and that are not over."""
    taken = list(others)
    allocatable = {r: quantities.milli(q) if r == "cpu" else quantities.to_int(q) for r, q in node.status.allocatable.items()}
    if len(taken) >= allocatable.get("pods", 0):
        return Ending("OutOfpods", f"Node didn't have enough resource: pods, requested: 1, used: {len(taken)}, capacity: {allocatable.get('pods', 0)}")
    requests = scheduling_rules.pod_requests(pod)
    used: dict[str, int] = {}
    for other in taken:
        for resource, amount in scheduling_rules.pod_requests(other).items():
            used[resource] = used.get(resource, 0) + amount
    for resource in (*ORDER, *sorted(requests.keys() - set(ORDER))):
        wanted, capacity = requests.get(resource, 0), allocatable.get(resource, 0)
        if wanted and wanted > capacity - used.get(resource, 0):
            detail = f"{resource}, requested: {wanted}, used: {used.get(resource, 0)}, capacity: {capacity}"
            return Ending(f"OutOf{resource}", f"Node didn't have enough resource: {detail}")
    if not scheduling_rules.node_matches(pod, node):
        return Ending("NodeAffinity", "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector")
    ports = [port for other in taken for port in _host_ports(other)]
    if any(_clash(wanted, port) for wanted in _host_ports(pod) for port in ports):
        return Ending("NodePorts", "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports")
    for taint in node.spec.taints:
        if taint.effect == "NoExecute" and not scheduling_rules.tolerates(pod.spec.tolerations, taint):
            return Ending("TaintToleration", "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate")
    system = node.metadata.labels.get("kubernetes.io/os", "")
    if pod.spec.os is not None and system and pod.spec.os.name != system:
        return Ending("PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS")
    return None


def _host_ports(pod: Pod) -> Iterable[tuple[str, str, int]]:
    for container in (*pod.spec.containers, *(c for c in pod.spec.initContainers if c.restartPolicy == "Always")):
        for port in container.ports:
            if port.hostPort:
                yield port.hostIP or "0.0.0.0", port.protocol or "TCP", port.hostPort


def _clash(one: tuple[str, str, int], other: tuple[str, str, int]) -> bool:
    return one[1:] == other[1:] and (one[0] == other[0] or "0.0.0.0" in (one[0], other[0]))
