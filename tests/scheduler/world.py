"""A registry and a scheduler in one simulated loop."""
from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from kubelet_lite.actors.environment import Environment
from kubelet_lite.actors.supervisor import Supervisor
from kubelet_lite.api.core_v1 import Event, Namespace, Node, Pod
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.client.base import Client
from kubelet_lite.client.local import LocalClient
from kubelet_lite.registry.registry import Registry
from kubelet_lite.scheduler.configuration import DEFAULT, SchedulerConfiguration
from kubelet_lite.scheduler.framework import Plugin
from kubelet_lite.scheduler.scheduler import Scheduler
from kubelet_lite.simulation.virtual.environment import SimulatedEnvironment
from kubelet_lite.simulation.virtual.run import simulate
from kubelet_lite.store import Store


class World:
    """A registry, a client of it and a scheduler."""

    def __init__(self, environment: Environment, registry: Registry, client: Client, scheduler: Scheduler) -> None:
        self.environment, self.registry, self.client, self.scheduler = environment, registry, client, scheduler

    async def nodes_of(self) -> dict[str, str]:
        """Pod → node."""
        return {pod.metadata.name: pod.spec.nodeName for pod in (await self.client.list(Pod)).items}

    async def events(self) -> list[tuple[str, str]]:
        return sorted((e.reason, e.message) for e in (await self.client.list(Event)).items)

    async def condition(self, name: str) -> tuple[str, str]:
        """Reason and message of a pod without a node."""
        pod = await self.client.get(Pod, name, namespace="default")
        found = next(c for c in pod.status.conditions if c.type == "PodScheduled")
        assert found.status == "False"
        return found.reason, found.message

    async def settle(self, seconds: float = 30.0) -> None:
        await self.environment.sleep(seconds)


async def register(client: Client, node: Node) -> None:
    """As a kubelet does: the node, then its status."""
    created = await client.create(node)
    await client.update(msgspec.structs.replace(created, status=node.status), subresource="status")


@asynccontextmanager
async def world(
    environment: Environment, *nodes: Node, configuration: SchedulerConfiguration = DEFAULT, plugins: Sequence[type[Plugin]] = (),
) -> AsyncIterator[World]:
    registry = Registry(Store(now=environment.now), environment)
    client = LocalClient(registry)
    await client.create(Namespace(metadata=ObjectMeta(name="default")))
    for node in nodes:
        await register(client, node)
    scheduler = Scheduler(client, environment, configuration, plugins)
    async with Supervisor(environment) as supervisor:
        supervisor.start(scheduler)
        await scheduler.ready.wait()
        yield World(environment, registry, client, scheduler)


def played(play: Callable[[World], Coroutine[Any, Any, None]], *nodes: Node, seed: int = 1, **more: Any) -> None:
    async def main(environment: SimulatedEnvironment) -> None:
        async with world(environment, *nodes, **more) as found:
            await play(found)

    simulate(seed, main)
