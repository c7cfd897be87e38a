"""A controller to try the idiom with: as many pods for each ConfigMap as its data says, each with a label that names it."""
from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from kubelet_lite.actors.supervisor import Supervisor
from kubelet_lite.api.core_v1 import ConfigMap, Container, Pod, PodSpec
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.client.cache import Change, Informer, Informers, by_label
from kubelet_lite.controllers.base import (
    Action,
    Controller,
    Create,
    Delete,
    Enqueue,
    Failure,
    Key,
    Plan,
    Record,
    itself,
    on_change,
)
from kubelet_lite.controllers.loop import ControllerActor, InformersActor
from tests.registry.world import World

OF = "of"


class CountView(msgspec.Struct, frozen=True):
    wanted: ConfigMap
    pods: Sequence[Pod]
    failures: Sequence[Failure] = ()


class Counting(Controller[CountView]):
    name = "replicaset-controller"

    def __init__(self, informers: Informers) -> None:
        self.primary: Informer[ConfigMap] = informers.of(ConfigMap)
        self.pods = informers.of(Pod, indexes={OF: by_label(OF)})
        self.look: Callable[[CountView, float], float | None] = lambda view, now: None
        """Asked before each plan, also when to wake."""

    def informers(self) -> Sequence[Informer[Any]]:
        return self.primary, self.pods

    def connect(self, enqueue: Enqueue) -> None:
        on_change(self.primary, itself, enqueue)
        on_change(self.pods, self._owners, enqueue)

    def _owners(self, change: Change[Pod]) -> Iterator[Key]:
        yield Key(change.object.metadata.namespace, change.object.metadata.labels.get(OF, ""))

    def view(self, key: Key, failures: Sequence[Failure]) -> CountView | None:
        wanted = self.primary.get(key.name, key.namespace)
        if wanted is None:
            return None
        return CountView(wanted, self.pods.by_index(OF, f"{key.namespace}/{key.name}"), failures)

    def plan(self, view: CountView, now: float) -> Plan:
        wake_at = self.look(view, now)
        name, count = view.wanted.metadata.name, int(view.wanted.data["pods"])
        alive = [pod for pod in view.pods if pod.metadata.deletionTimestamp is None]
        made = Create(
            object=Pod(
                metadata=ObjectMeta(generateName=f"{name}-", namespace="default", labels={OF: name}),
                spec=PodSpec(containers=(Container(name="c", image="x"),)),
            ),
            success=Record(view.wanted, "Normal", "Made", "Made {name}"),
            failure=Record(view.wanted, "Warning", "NotMade", "Not made: {error}"),
        )
        actions: list[Action] = [made] * (count - len(alive))
        actions += [Delete(object=pod) for pod in alive[count:]]
        return Plan(tuple(actions), wake_at)


@asynccontextmanager
async def counting(world: World, change: Callable[[Counting], None] = lambda controller: None) -> AsyncIterator[ControllerActor]:
    """The controller at work; `change` may fit it before it starts."""
    informers = Informers(world.client, world.environment)
    controller = Counting(informers)
    change(controller)
    actor = ControllerActor(controller, world.client, world.environment)
    async with Supervisor(world.environment) as supervisor:
        supervisor.start(InformersActor(informers))
        supervisor.start(actor)
        yield actor
