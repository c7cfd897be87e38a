"""End to end: pods created through the client, scheduled by the actor, bound in the store, Events included.

In process: API server, scheduler and load generator in one. Over HTTPS: the API server in another process, or any that a kubeconfig
names; there the scheduler may be another one, too. A watch of all pods, as any client has it, says when a pod is bound.
"""
from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, Final

import anyio
import msgspec
from msgspec.structs import replace

from benchmarks.scheduling.meter import Meter
from kubelet_lite.actors.environment import Environment
from kubelet_lite.actors.supervisor import Supervisor
from kubelet_lite.api import identity
from kubelet_lite.api.core_v1 import Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod, ServiceAccount
from kubelet_lite.api.errors import AlreadyExists, NotFound
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.requests import ListOptions
from kubelet_lite.api.scheduling_v1 import PriorityClass
from kubelet_lite.client import kubeconfig
from kubelet_lite.client.base import Client
from kubelet_lite.client.cache import Informers
from kubelet_lite.client.http import HttpClient
from kubelet_lite.cluster import Cluster
from kubelet_lite.controllers.garbage_collector import GarbageCollector
from kubelet_lite.controllers.loop import ControllerActor, InformersActor
from kubelet_lite.controllers.resource_claim import PodResourceClaims, ResourceClaimRelease
from kubelet_lite.kubelet.kubelet import Kubelet
from kubelet_lite.kubelet.node_status import FAKE_MACHINE
from kubelet_lite.runtimes.fake import FakeRuntime
from kubelet_lite.runtimes.network.loopback import PretendNetwork
from kubelet_lite.scheduler.scheduler import Scheduler

CONNECTIONS: Final = 32
"""Pods that are created at the same time over HTTPS."""
LONGEST_SECONDS: Final = 900.0
"""After this a run counts as failed."""
Key = tuple[str, str]
OF_CLAIMS: Final = (PodResourceClaims, ResourceClaimRelease)


class Api:
    """A World behind a client."""

    def __init__(self, client: Client, meter: Meter, *, at_once: int = 1, controllers: Supervisor | None = None) -> None:
        """`controllers`: who runs those of ResourceClaims once a workload has some; None: they run already."""
        self._client, self._meter, self._at_once, self._controllers = client, meter, at_once, controllers
        self._bound: dict[Key, Pod] = {}
        self._created: dict[Key, float] = {}
        self._measured: dict[Key, None] = {}
        """Measured pods that are not bound yet."""
        self._untried: dict[Key, None] = {}
        self._moved = anyio.Event()

    async def follow(self, resource_version: str) -> None:
        while True:
            async with self._client.watch(Pod, options=ListOptions(resource_version=resource_version)) as watch:
                async for batch in watch:
                    for event in batch:
                        self._see(event.type, event.object)
                        resource_version = event.object.metadata.resourceVersion
                    self._moved.set()
                    self._moved = anyio.Event()

    def _see(self, kind: str, pod: Pod) -> None:
        key = pod.metadata.namespace, pod.metadata.name
        if kind == "DELETED":
            self._bound.pop(key, None)
            return
        if pod.status.conditions:
            self._untried.pop(key, None)
        if self._arrived(pod) and key not in self._bound:
            self._bound[key] = pod
            if key in self._measured:
                del self._measured[key]
                self._meter.done(time.perf_counter() - self._created[key])

    def _arrived(self, pod: Pod) -> bool:
        return bool(pod.spec.nodeName)

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
            with suppress(AlreadyExists):  # where controllers run, these may be faster
                await self._client.create(ServiceAccount(metadata=ObjectMeta(name="default", namespace=obj.metadata.name)))
        elif isinstance(obj, Node):
            await self._client.update(replace(created, spec=obj.spec))  # without the taint of a node that is not ready yet
        elif isinstance(obj, (PersistentVolume, PersistentVolumeClaim)):
            await self._client.update(replace(created, status=obj.status), subresource="status")
        return created

    async def write_status(self, obj: Any) -> None:
        await self._client.update(obj, subresource="status")

    async def look_after_claims(self) -> None:
        if self._controllers is None:
            return
        environment = Environment.real()
        informers = Informers(self._client.acting_as(identity.component("kube-controller-manager")), environment)
        actors: list[ControllerActor | GarbageCollector] = [ControllerActor(made(informers), self._client, environment) for made in OF_CLAIMS]
        actors.append(GarbageCollector(informers, self._client, environment))
        self._controllers.start(InformersActor(informers))
        for actor in actors:
            self._controllers.start(actor)
            await actor.ready.wait()

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

        async def create() -> None:
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

        async with anyio.create_task_group() as tasks:
            for _ in range(self._at_once):
                tasks.start_soon(create)
        for key in keys:
            while key not in self._bound:
                await self._moved.wait()

    async def steady_pods(self, pods: Iterator[Pod], *, at_once: int, seconds: float) -> None:
        async def one_after_the_other() -> None:
            while time.perf_counter() < until:
                pod = next(pods)
                await self._create(iter((pod,)), wait=True, measured=True)
                await self.remove(pod)

        until = time.perf_counter() + seconds
        with self._meter.measuring():
            async with anyio.create_task_group() as tasks:
                for _ in range(at_once):
                    tasks.start_soon(one_after_the_other)

    async def attempted(self) -> None:
        while self._untried:
            await self._moved.wait()

    def in_namespace(self, namespace: str) -> list[Pod]:
        return [pod for pod in self._bound.values() if pod.metadata.namespace == namespace]


class WithKubelets(Api):
    """A fake kubelet makes each node, and a pod has arrived when it reports Running."""

    def __init__(self, cluster: Cluster, meter: Meter, runtimes: AsyncExitStack, folder: Path) -> None:
        super().__init__(cluster.client, meter)
        self._cluster, self._runtimes, self._folder, self._network = cluster, runtimes, folder, PretendNetwork()

    def _arrived(self, pod: Pod) -> bool:
        return pod.status.phase == "Running"

    async def add(self, obj: Any) -> Any:
        if not isinstance(obj, Node):
            return await super().add(obj)
        name, cluster = obj.metadata.name, self._cluster
        environment = cluster.environment.of(f"kubelet-{name}")
        runtime = FakeRuntime(environment, self._network)
        self._runtimes.push_async_callback(runtime.close)
        kubelet = cluster.kubelets[name] = Kubelet(
            cluster.client, environment, runtime, node_name=name, node_address=self._network.node_address, folder=self._folder / name,
            machine=replace(FAKE_MACHINE, capacity={**FAKE_MACHINE.capacity, **obj.status.capacity}), labels=obj.metadata.labels,
        )
        cluster.supervisor.start(kubelet)
        await kubelet.ready.wait()
        node = await self._client.get(Node, name)
        return await self._client.update(replace(node, spec=replace(node.spec, taints=obj.spec.taints)))


@asynccontextmanager
async def with_kubelets(meter: Meter) -> AsyncIterator[Api]:
    with tempfile.TemporaryDirectory() as folder:
        async with (
            AsyncExitStack() as runtimes,
            Cluster(nodes=0, components=("apiserver", "controllers", "scheduler")) as cluster,
            following(WithKubelets(cluster, meter, runtimes, Path(folder)), cluster.client) as api,
        ):
            yield api


@asynccontextmanager
async def following(api: Api, client: Client) -> AsyncIterator[Api]:
    """The same, told of all pods."""
    async with anyio.create_task_group() as tasks:
        first = await client.list(Pod)
        tasks.start_soon(api.follow, first.resource_version)
        with anyio.fail_after(LONGEST_SECONDS):
            yield api
        tasks.cancel_scope.cancel()


class Transport(msgspec.Struct, frozen=True):
    """Where the API server is, and who schedules."""

    kubelets: bool = False
    """Whether there is a fake kubelet on every node, and pods shall run (in process)."""

    https: bool = False
    """Whether it is in another process."""
    kubeconfig: str = ""
    """Of a server that is there already; "": one is started."""
    scheduler: bool = True
    """Whether ours is started; else another one is expected to schedule."""

    @property
    def note(self) -> str:
        where = f"HTTPS, server of {self.kubeconfig}" if self.kubeconfig else "HTTPS, API server in another process" if self.https else "in process"
        if self.kubelets:
            return "until Running on fake kubelets, in process, memory, Events included"
        return f"{where}, {'' if self.kubeconfig else 'memory, '}{'Events included' if self.scheduler else 'scheduled by another'}"


@asynccontextmanager
async def opened(transport: Transport, meter: Meter) -> AsyncIterator[Api]:
    if transport.kubelets:
        async with with_kubelets(meter) as api:
            yield api
        return
    if not transport.https and not transport.kubeconfig:
        async with in_process(meter) as api:
            yield api
        return
    with nullcontext(transport.kubeconfig) if transport.kubeconfig else another_process() as path:
        ours = not transport.kubeconfig
        async with HttpClient(kubeconfig.load(path)) as client, over_https(client, meter, scheduler=transport.scheduler, controllers=ours) as api:
            yield api


@contextmanager
def another_process() -> Iterator[str]:
    """An API server, memory only; its kubeconfig."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/kubeconfig"
        command = [str(Path(sys.executable).parent / "kubelet-lite"), "up", "--components", "apiserver", "--port", "0", "--kubeconfig", path]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            assert any("https://" in line for line in process.stdout), "the server did not start"
            yield path
        finally:
            process.terminate()
            process.communicate()


@asynccontextmanager
async def over_https(client: HttpClient, meter: Meter, *, scheduler: bool, controllers: bool) -> AsyncIterator[Api]:
    environment = Environment.real()
    async with Supervisor(environment) as supervisor:
        if scheduler:
            ours = Scheduler(client.acting_as(identity.component("kube-scheduler")), environment)
            supervisor.start(ours)
            await ours.ready.wait()
        api = Api(client, meter, at_once=CONNECTIONS, controllers=supervisor if controllers else None)
        async with following(api, client) as api:
            yield api


@asynccontextmanager
async def in_process(meter: Meter) -> AsyncIterator[Api]:
    """A cluster without kubelets or controllers."""
    async with (
        Cluster(nodes=0, components=("apiserver", "scheduler")) as cluster,
        following(Api(cluster.client, meter, controllers=cluster.supervisor), cluster.client) as api,
    ):
        yield api
