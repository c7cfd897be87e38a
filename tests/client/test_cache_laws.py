"""Laws of informers under any history of writes, compactions and restarts."""
from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import anyio
from hypothesis import given, settings
from hypothesis import strategies as st

from kubelet_lite.api.core_v1 import ConfigMap
from kubelet_lite.api.errors import NotFound
from kubelet_lite.client.cache import Change, Informer
from kubelet_lite.simulation.virtual.environment import SimulatedEnvironment
from kubelet_lite.simulation.virtual.run import simulate
from tests.registry.world import World, config_map

Step = tuple[str, str, str]
STEPS = st.lists(
    st.tuples(st.sampled_from(("put", "put", "delete", "wait", "compact", "restart")), st.sampled_from("abc"), st.sampled_from(("x", "y"))), max_size=30,
)


class Mirror:
    """What a handler knows if it believes all it is told."""

    def __init__(self) -> None:
        self.known: dict[str, ConfigMap] = {}

    def handle(self, changes: Sequence[Change[ConfigMap]]) -> None:
        for change in changes:
            name = change.object.metadata.name
            assert (change.old is None) == (name not in self.known), "told of a change to what it was never told of"
            if change.new is None:
                del self.known[name]
            else:
                self.known[name] = change.new


async def perform(world: World, step: Step, number: int) -> None:
    what, name, label = step
    if what == "put":
        wanted = config_map(name, labels={"l": label}, data={"n": str(number)})
        try:
            await world.client.update(wanted)
        except NotFound:
            await world.client.create(wanted)
    elif what == "delete":
        with suppress(NotFound):
            await world.client.delete(ConfigMap, name, namespace="default")
    elif what == "wait":
        await world.environment.sleep(1)
    elif what == "compact":
        world.store.compact(world.store.revision)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1000), STEPS, st.sampled_from(("", "l=x")))
def test_an_informer_ends_up_with_what_there_is_and_so_do_those_it_tells(seed: int, steps: list[Step], selector: str) -> None:
    async def main(environment: SimulatedEnvironment) -> None:
        world = World(environment)
        informer: Informer[Any] = Informer(world.client, environment, ConfigMap, label_selector=selector)
        mirror = Mirror()
        informer.add_handler(mirror.handle)
        remaining = list(enumerate(steps))
        while True:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(informer.run)
                while remaining:
                    number, step = remaining.pop(0)
                    if step[0] == "restart":
                        break
                    await perform(world, step, number)
                else:
                    await environment.sleep(10)
                tasks.cancel_scope.cancel()
            if not remaining:
                break
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(informer.run)
            await environment.sleep(10)
            tasks.cancel_scope.cancel()
        wanted = {obj.metadata.name: obj for obj in world.registry.view.list("configmaps") if not selector or obj.metadata.labels["l"] == "x"}
        assert {obj.metadata.name: obj for obj in informer.list()} == wanted
        assert mirror.known == wanted

    simulate(seed, main)
