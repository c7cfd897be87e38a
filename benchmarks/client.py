"""Requests in process: creates of pods and updates of Leases through LocalClient with authorization, admission, validation, defaults
and managedFields on; memory only, nothing over the wire."""
from __future__ import annotations

import gc
import importlib.util
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any, Final

import anyio
from msgspec.structs import replace

from benchmarks.report import Row, Workload, main
from kubelet_lite.api.coordination_v1 import Lease, LeaseSpec
from kubelet_lite.api.core_v1 import Container, Pod, PodSpec, ResourceRequirements, ServiceAccount
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.requests import ListOptions
from kubelet_lite.client.base import Client
from kubelet_lite.cluster import Cluster

PODS: Final = 20_000
LEASES: Final = 40_000
WATCHERS: Final = 100
WRITES: Final = 5_000
ROUNDS: Final = 3
LOOPS: Final = ("asyncio", "uvloop") if importlib.util.find_spec("uvloop") is not None else ("asyncio",)
NOTE: Final = "in process, memory"
Body = Callable[[Client], Coroutine[Any, Any, float]]


@asynccontextmanager
async def client() -> AsyncIterator[Client]:
    async with Cluster(nodes=0, components=("apiserver",)) as cluster:
        await cluster.client.create(ServiceAccount(metadata=ObjectMeta(name="default", namespace="default")))
        yield cluster.client


def pod(number: int) -> Pod:
    requests = ResourceRequirements(requests={"cpu": "100m", "memory": "64Mi"})
    container = Container(name="c", image="web:1", resources=requests)
    return Pod(metadata=ObjectMeta(name=f"p{number}", namespace="default", labels={"app": "web"}), spec=PodSpec(containers=(container,)))


async def creates(on: Client) -> float:
    pods = [pod(number) for number in range(PODS)]
    begun = time.perf_counter()
    for one in pods:
        await on.create(one)
    return PODS / (time.perf_counter() - begun)


async def lease_updates(on: Client) -> float:
    lease = await on.create(Lease(metadata=ObjectMeta(name="l", namespace="kube-node-lease"), spec=LeaseSpec(holderIdentity="n", leaseDurationSeconds=40)))
    times = [f"2026-01-01T00:00:00.{number:06d}Z" for number in range(LEASES)]
    begun = time.perf_counter()
    for moment in times:
        lease = await on.update(replace(lease, spec=replace(lease.spec, renewTime=moment)))
    return LEASES / (time.perf_counter() - begun)


async def watch_deliveries(on: Client) -> float:
    """WATCHERS watchers of Leases; the writer waits until all have each write: one write a wake."""
    lease = await on.create(Lease(metadata=ObjectMeta(name="l", namespace="kube-node-lease"), spec=LeaseSpec(holderIdentity="n", leaseDurationSeconds=40)))
    seen = 0
    everybody = anyio.Event()

    async def watcher() -> None:
        nonlocal seen, everybody
        async with on.watch(Lease, namespace="kube-node-lease", options=ListOptions(resource_version=lease.metadata.resourceVersion)) as watch:
            async for batch in watch:
                seen += len(batch)
                if seen % WATCHERS == 0:
                    everybody.set()

    async with anyio.create_task_group() as tasks:
        for _ in range(WATCHERS):
            tasks.start_soon(watcher)
        await anyio.sleep(0.05)
        begun = time.perf_counter()
        for number in range(WRITES):
            everybody = anyio.Event()
            lease = await on.update(replace(lease, spec=replace(lease.spec, renewTime=f"2026-01-01T00:00:00.{number:06d}Z")))
            await everybody.wait()
        took = time.perf_counter() - begun
        tasks.cancel_scope.cancel()
    return WATCHERS * WRITES / took


def measured(body: Body, loop: str) -> float:
    async def once() -> float:
        async with client() as on:
            gc.collect()
            return await body(on)

    return max(anyio.run(once, backend_options={"use_uvloop": loop == "uvloop"}) for _ in range(ROUNDS))


def workload(name: str, body: Body, unit: str) -> Workload:
    def run() -> Iterable[Row]:
        for loop in LOOPS:
            yield Row(name, f"throughput on {loop}", measured(body, loop), unit, f"{NOTE}; best of {ROUNDS}")

    return run


WORKLOADS: Final = {
    "create-pods": workload("create-pods", creates, "creates/s"),
    "update-leases": workload("update-leases", lease_updates, "updates/s"),
    "watch-100": workload("watch-100", watch_deliveries, "events/s"),
}

if __name__ == "__main__":
    main("client", WORKLOADS)
