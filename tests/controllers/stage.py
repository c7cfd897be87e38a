"""A cluster without nodes for scenarios of controllers: pods become what the test says they do."""
from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import anyio

from kubelet_lite.actors.supervisor import Supervisor
from kubelet_lite.api import encoding, timestamps
from kubelet_lite.api.apps_v1 import Deployment, ReplicaSet
from kubelet_lite.api.core_v1 import Event, Pod
from kubelet_lite.api.requests import STRATEGIC_MERGE_PATCH
from kubelet_lite.client.cache import Informers
from kubelet_lite.client.local import LocalClient
from kubelet_lite.controllers.deployment import DeploymentController
from kubelet_lite.controllers.loop import ControllerActor, InformersActor
from kubelet_lite.controllers.replicaset import ReplicaSetController
from kubelet_lite.registry.registry import Registry
from kubelet_lite.simulation.virtual.environment import SimulatedEnvironment
from kubelet_lite.simulation.virtual.run import simulate
from kubelet_lite.store import CheckedStore

T = TypeVar("T")
TURN_SECONDS = 0.5
"""How often the stand-in kubelet looks at pods."""


class Stage:
    """`ready`: whether a pod becomes ready, by its image; asked at every turn until it is."""

    def __init__(self, environment: SimulatedEnvironment) -> None:
        self.environment = environment
        self.store = CheckedStore(now=environment.now, encode=encoding.encode)
        self.registry = Registry(self.store, environment)
        self.client = LocalClient(self.registry)
        self.ready: Callable[[str], bool] = lambda image: True

    async def get(self, kind: type[T], name: str = "web") -> T:
        return await self.client.get(kind, name, namespace="default")

    async def all(self, kind: type[T]) -> Sequence[T]:
        return (await self.client.list(kind, namespace="default")).items

    async def patch(self, change: dict[str, Any], name: str = "web") -> None:
        await self.client.patch(Deployment, name, change, namespace="default", content_type=STRATEGIC_MERGE_PATCH)

    async def set_image(self, image: str) -> None:
        await self.patch({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": image}]}}}})

    async def sizes(self) -> dict[str, int]:
        """Image → size of its ReplicaSet."""
        return {rs.spec.template.spec.containers[0].image: rs.spec.replicas or 0 for rs in await self.all(ReplicaSet)}

    async def messages(self, reason: str) -> list[str]:
        return [event.message for event in await self.all(Event) if event.reason == reason]

    async def condition(self, type: str) -> tuple[str, str, str]:
        obj = await self.get(Deployment)
        return next((c.status, c.reason, c.message) for c in obj.status.conditions if c.type == type)

    async def until(self, holds: Callable[[], Awaitable[bool]], seconds: float = 300) -> None:
        with anyio.fail_after(seconds):
            while not await holds():
                await self.environment.sleep(0.1)

    async def rolled_out(self) -> bool:
        obj = await self.get(Deployment)
        wanted, status = obj.spec.replicas, obj.status
        return (
            status.observedGeneration == obj.metadata.generation
            and status.updatedReplicas == status.replicas == status.availableReplicas == wanted
        )

    async def run_pods(self) -> None:
        """The stand-in kubelet."""
        while True:
            for pod in await self.all(Pod):
                if pod.status.phase == "Pending" and self.ready(pod.spec.containers[0].image):
                    time = timestamps.format_time(self.environment.now())
                    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": time}]}
                    await self.client.patch(
                        Pod, pod.metadata.name, {"status": status}, namespace="default", subresource="status", content_type=STRATEGIC_MERGE_PATCH,
                    )
            await self.environment.sleep(TURN_SECONDS)

    async def play(self, scenario: Callable[[Stage], Awaitable[None]]) -> None:
        """Runs a scenario with the controllers of Deployments and ReplicaSets at work."""
        informers = Informers(self.client, self.environment)
        actors = [ControllerActor(kind(informers), self.client, self.environment) for kind in (DeploymentController, ReplicaSetController)]
        async with Supervisor(self.environment) as supervisor, anyio.create_task_group() as tasks:
            supervisor.start(InformersActor(informers))
            for actor in actors:
                supervisor.start(actor)
            tasks.start_soon(self.run_pods)
            await scenario(self)
            tasks.cancel_scope.cancel()
        self.store.check_all()


def on_stage(scenario: Callable[[Stage], Awaitable[None]]) -> Callable[[], None]:
    def run() -> None:
        async def main(environment: SimulatedEnvironment) -> None:
            await Stage(environment).play(scenario)

        simulate(11, main)

    run.__name__ = scenario.__name__  # type: ignore[attr-defined]
    return run
