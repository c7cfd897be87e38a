"""Nodes and pods in one line."""
from __future__ import annotations

from typing import Any

from kubelet_lite.api.core_v1 import (
    Container,
    Node,
    NodeSpec,
    NodeStatus,
    Pod,
    PodSpec,
    PodStatus,
    ResourceRequirements,
)
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.scheduler.decision import Decisions
from kubelet_lite.scheduler.framework import Handle
from kubelet_lite.scheduler.node_table import NodeTable
from kubelet_lite.scheduler.plugins import default_profile
from kubelet_lite.scheduler.pod_info import PodInfo, pod_info
from kubelet_lite.scheduler.profile import Profile
from kubelet_lite.scheduler.surroundings import Given


def a_node(name: str, cpu: str = "4", memory: str = "8Gi", pods: str = "110", *, labels: dict[str, str] | None = None, **spec: Any) -> Node:
    allocatable = {"cpu": cpu, "memory": memory, "pods": pods}
    return Node(metadata=ObjectMeta(name=name, labels=labels or {}), spec=NodeSpec(**spec), status=NodeStatus(allocatable=allocatable))


def a_pod(name: str = "p", cpu: str = "", memory: str = "", *, phase: str = "Pending", **spec: Any) -> Pod:
    requests = {resource: amount for resource, amount in (("cpu", cpu), ("memory", memory)) if amount}
    container = Container(name="c", image="image:1", resources=ResourceRequirements(requests=requests))
    spec = {"containers": (container,), "schedulerName": "default-scheduler", **spec}
    return Pod(metadata=ObjectMeta(name=name, namespace="default", uid=f"uid-{name}"), spec=PodSpec(**spec), status=PodStatus(phase=phase))


def info(*args: Any, **more: Any) -> PodInfo:
    return pod_info(a_pod(*args, **more))


def table(*nodes: Node) -> NodeTable:
    found = NodeTable()
    for node in nodes:
        found.set_node(node)
    return found


def a_profile(around: Given | None = None) -> Profile:
    """The default one."""
    return default_profile(Handle.alone(around))


def decisions(nodes: NodeTable, around: Given | None = None) -> Decisions:
    """Of the default profile."""
    handle = Handle.alone(around, nodes)
    return Decisions(nodes, default_profile(handle), handle.nominations)
