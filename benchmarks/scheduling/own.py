"""10,000 pods onto 5,000 nodes that are not in scheduler_perf: other kinds of pods, and kubelets.

`decide-…`: filter, score, pick; nothing is written. `bind`: the API and the scheduler: pods created through LocalClient until all
are bound. `run`: with a fake kubelet on every node, until all pods are Running.
"""
from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

import anyio
import msgspec

from benchmarks.report import Row, Workload
from kubelet_lite.api.core_v1 import (
    Affinity,
    Container,
    ContainerPort,
    Node,
    NodeAffinity,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    NodeSpec,
    NodeStatus,
    Pod,
    PodSpec,
    PreferredSchedulingTerm,
    ResourceRequirements,
    ServiceAccount,
    Taint,
    Toleration,
)
from kubelet_lite.api.errors import AlreadyExists
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.requests import ListOptions
from kubelet_lite.cluster import Cluster
from kubelet_lite.scheduler.decision import Decisions, Placement
from kubelet_lite.scheduler.framework import Handle
from kubelet_lite.scheduler.node_table import NodeTable
from kubelet_lite.scheduler.plugins import default_profile
from kubelet_lite.scheduler.pod_info import pod_info

NODES: Final = 5_000
PODS: Final = 10_000
ZONES: Final = 3
LONGEST_SECONDS: Final = 120.0
"""After this the run counts as failed."""


def node(number: int) -> Node:
    """One of three zones; every tenth is tainted."""
    labels = {"kubernetes.io/hostname": f"n{number}", "topology.kubernetes.io/zone": f"z{number % ZONES}"}
    taints = (Taint(key="dedicated", value="batch", effect="NoSchedule"),) if number % 10 == 0 else ()
    allocatable = {"cpu": "16", "memory": "64Gi", "pods": "110", "ephemeral-storage": "100Gi"}
    return Node(metadata=ObjectMeta(name=f"n{number}", labels=labels), spec=NodeSpec(taints=taints), status=NodeStatus(allocatable=allocatable))


def plain(number: int) -> Pod:
    requests = {"cpu": f"{100 + number % 5 * 50}m", "memory": f"{128 + number % 7 * 64}Mi"}
    container = Container(name="c", image="web:1", resources=ResourceRequirements(requests=requests))
    return Pod(metadata=ObjectMeta(name=f"p{number}", namespace="default"), spec=PodSpec(containers=(container,), schedulerName="default-scheduler"))


def demanding(number: int) -> Pod:
    """Also a zone, a wish, a toleration and (every fourth) a host port."""
    requests = {"cpu": "100m", "memory": "128Mi"}
    ports = (ContainerPort(containerPort=80, hostPort=8000 + number % 50),) if number % 4 == 0 else ()
    wish = NodeSelectorTerm(matchExpressions=(NodeSelectorRequirement(key="topology.kubernetes.io/zone", operator="In", values=(f"z{number % 2}",)),))
    spec = PodSpec(
        containers=(Container(name="c", image="web:1", resources=ResourceRequirements(requests=requests), ports=ports),),
        nodeSelector={"topology.kubernetes.io/zone": f"z{number % ZONES}"},
        tolerations=(Toleration(key="dedicated", operator="Exists"),) if number % 2 else (),
        affinity=Affinity(nodeAffinity=NodeAffinity(preferredDuringSchedulingIgnoredDuringExecution=(PreferredSchedulingTerm(weight=5, preference=wish),))),
    )
    return Pod(metadata=ObjectMeta(name=f"p{number}", namespace="default"), spec=spec)


def decide(name: str, pods: list[Pod]) -> Iterable[Row]:
    nodes, rng = NodeTable(), random.Random(1)
    handle = Handle.alone(nodes=nodes)
    decisions = Decisions(nodes, default_profile(handle), handle.nominations)
    started = time.perf_counter()
    for number in range(NODES):
        nodes.set_node(node(number))
    filled = time.perf_counter()
    longest = 0.0
    for pod in pods:
        before = time.perf_counter()
        info = pod_info(pod)
        outcome = decisions.decide(info, rng)
        assert isinstance(outcome, Placement)
        nodes.place(info, outcome.node_name)
        longest = max(longest, time.perf_counter() - before)
    seconds = time.perf_counter() - filled
    note = f"{len(pods):,} pods, {NODES:,} nodes, nothing written"
    yield Row(name, "decisions", len(pods) / seconds, "pods/s", note)
    yield Row(name, "longest decision", longest * 1000, "ms", note)
    yield Row(name, "filling the node table", (filled - started) * 1000, "ms", note)


async def bind() -> list[Row]:
    async with Cluster(nodes=0, components=("apiserver", "scheduler")) as cluster:
        client = cluster.client
        for number in range(NODES):
            wanted = node(number)
            created = await client.create(wanted)
            created = await client.update(msgspec.structs.replace(created, spec=wanted.spec))  # without the taint of a node not ready yet
            await client.update(msgspec.structs.replace(created, status=wanted.status), subresource="status")
        return await placed(cluster, "bind", lambda pod: bool(pod.spec.nodeName), f"{NODES:,} nodes without kubelets")


async def run() -> list[Row]:
    started = time.perf_counter()
    async with Cluster(nodes=NODES, runtime="fake", components=("apiserver", "controllers", "scheduler", "kubelet")) as cluster:
        ready = time.perf_counter() - started
        gc.collect()
        gc.freeze()  # as `kubelet-lite up` does
        rows = await placed(cluster, "run", lambda pod: pod.status.phase == "Running", f"{NODES:,} fake kubelets")
        return [Row("run", "cluster ready", ready, "s", f"{NODES:,} fake kubelets"), *rows]


async def placed(cluster: Cluster, name: str, done: Callable[[Pod], bool], note: str) -> list[Row]:
    """Creates the pods and follows them until each is done."""
    client = cluster.client
    with suppress(AlreadyExists):
        await client.create(ServiceAccount(metadata=ObjectMeta(name="default", namespace="default")))
    first = await client.list(Pod, namespace="default")
    started = time.perf_counter()

    async def create() -> None:
        for number in range(PODS):
            await client.create(plain(number))

    waiting = {f"p{number}" for number in range(PODS)}
    with anyio.fail_after(LONGEST_SECONDS):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(create)
            async with client.watch(Pod, namespace="default", options=ListOptions(resource_version=first.resource_version)) as watch:
                async for batch in watch:
                    waiting.difference_update(event.object.metadata.name for event in batch if done(event.object))
                    if not waiting:
                        break
    seconds = time.perf_counter() - started
    note = f"{PODS:,} pods, {note}, in process, memory"
    return [Row(name, "all done after", seconds, "s", note), Row(name, "throughput", PODS / seconds, "pods/s", note)]


def all_different() -> list[Pod]:
    """No two ask for the same."""
    found = []
    for number in range(PODS):
        pod = plain(number)
        requests = {"cpu": f"{100 + number % 400}m", "memory": f"{128 + number // 400}Mi"}
        container = msgspec.structs.replace(pod.spec.containers[0], resources=ResourceRequirements(requests=requests))
        found.append(msgspec.structs.replace(pod, spec=msgspec.structs.replace(pod.spec, containers=(container,))))
    return found


WORKLOADS: Final[dict[str, Workload]] = {
    "decide-plain": lambda: decide("decide-plain", [plain(i) for i in range(PODS)]),
    "decide-demanding": lambda: decide("decide-demanding", [demanding(i) for i in range(PODS)]),
    "decide-different": lambda: decide("decide-different", all_different()),
    "bind": lambda: anyio.run(bind),
    "run": lambda: anyio.run(run),
}
