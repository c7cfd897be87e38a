"""End to end: pods created through the client, scheduled by the actor, bound in the store, Events included; all in this process.

A watch of all pods, as any client has it, says when a pod is bound.
"""
from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import anyio
from msgspec.structs import replace

from benchmarks.scheduling.meter import Meter
from kubelet_lite.api.core_v1 import Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod, ServiceAccount
from kubelet_lite.api.errors import AlreadyExists, NotFound
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.requests import ListOptions
from kubelet_lite.api.scheduling_v1 import PriorityClass
from kubelet_lite.client.base import Client
from kubelet_lite.cluster import Cluster

LONGEST_SECONDS: Final = 900.0
"""After this a run counts as failed."""
Key = tuple[str, str]


class Api:
    """A World behind a client."""

    def __init__(self, client: Client, meter: Meter) -> None:
        self._client, self._meter = client, meter
        self._bound: dict[Key, Pod] = {}
        self._created: dict[Key, float] = {}
        self._measured: dict[Key, None] = {}
        """Measured pods that are not bound yet."""
        self._untried: dict[Key, None] = {}
        self._moved = anyio.Event()

    async def follow(self, resource_version: str) -> None:
        async with self._client.watch(Pod, options=ListOptions(resource_version=resource_version)) as watch:
            async for batch in watch:
                for event in batch:
                    self._see(event.type, event.object)
                self._moved.set()
                self._moved = anyio.Event()

    def _see(self, kind: str, pod: Pod) -> None:
        key = pod.metadata.namespace, pod.metadata.name
        if kind == "DELETED":
            self._bound.pop(key, None)
            return
        if pod.status.conditions:
            self._untried.pop(key, None)
        if pod.spec.nodeName and key not in self._bound:
            self._bound[key] = pod
            if key in self._measured:
                del self._measured[key]
                self._meter.done(time.perf_counter() - self._created[key])

    async def _admissible(self, pod: Pod) -> Pod:
        """Upstream switches the admission of priorities off: here a class stands for the number."""
        priority = pod.spec.priority
        if priority is None:
            return pod
        name = f"priority-{priority}"
        with suppress(AlreadyExists):
            await self._client.create(PriorityClass(metadata=ObjectMeta(name=name), value=priority))
        return replace(pod, spec=replace(pod.spec, priority=None, priorityClassName=name))

    async def add(self, obj: Any) -> Any:
        created = await self._client.create(await self._admissible(obj) if isinstance(obj, Pod) else obj)
        if isinstance(obj, Namespace):
            await self._client.create(ServiceAccount(metadata=ObjectMeta(name="default", namespace=obj.metadata.name)))
        elif isinstance(obj, Node):
            await self._client.update(replace(created, spec=obj.spec))  # without the taint of a node that is not ready yet
        elif isinstance(obj, (PersistentVolume, PersistentVolumeClaim)):
            await self._client.update(replace(created, status=obj.status), subresource="status")
        return created

    async def remove(self, obj: Any) -> None:
        with suppress(NotFound):
            await self._client.delete(type(obj), obj.metadata.name, namespace=obj.metadata.namespace, grace_period_seconds=0)

    async def pods(self, pods: Iterator[Pod], *, measured: bool, wait: bool) -> None:
        if not measured:
            await self._create(pods, wait=wait, measured=False)
            return
        with self._meter.measuring():
            await self._create(pods, wait=wait, measured=True)

    async def _create(self, pods: Iterator[Pod], *, wait: bool, measured: bool) -> None:
        keys: list[Key] = []
        for pod in pods:
            key = pod.metadata.namespace, pod.metadata.name
            if measured:
                self._created[key] = time.perf_counter()
                self._measured[key] = None
            if wait:
                keys.append(key)
            else:
                self._untried[key] = None
            await self._client.create(await self._admissible(pod))
        for key in keys:
            while key not in self._bound:
                await self._moved.wait()

    async def attempted(self) -> None:
        while self._untried:
            await self._moved.wait()

    def in_namespace(self, namespace: str) -> list[Pod]:
        return [pod for pod in self._bound.values() if pod.metadata.namespace == namespace]


@asynccontextmanager
async def in_process(meter: Meter) -> AsyncIterator[Api]:
    """A cluster without kubelets or controllers."""
    async with Cluster(nodes=0, components=("apiserver", "scheduler")) as cluster, anyio.create_task_group() as tasks:
        api = Api(cluster.client, meter)
        first = await cluster.client.list(Pod)
        tasks.start_soon(api.follow, first.resource_version)
        with anyio.fail_after(LONGEST_SECONDS):
            yield api
        tasks.cancel_scope.cancel()
