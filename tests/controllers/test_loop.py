"""The loop around every controller, tried with one that counts pods."""
from __future__ import annotations

import itertools
from typing import Any

from kubelet_lite.api.core_v1 import ConfigMap, Event, Pod
from kubelet_lite.api.errors import Forbidden
from kubelet_lite.simulation.crash import crash_at_every_step
from kubelet_lite.simulation.virtual.environment import SimulatedEnvironment
from kubelet_lite.store import Event as StoreEvent
from tests.controllers.counting import Counting, CountView, counting
from tests.registry.world import World, config_map, in_world


async def pods(world: World) -> list[Pod]:
    return [pod for pod in (await world.client.list(Pod)).items if pod.metadata.deletionTimestamp is None]


async def want(world: World, name: str, count: int) -> None:
    await world.client.update(config_map(name, data={"pods": str(count)}))


def made(world: World) -> int:
    """How many pods have ever been made."""
    return sum(event.key.resource == "pods" and event.previous is None for event in history(world))


def history(world: World) -> list[StoreEvent]:
    with world.store.watch("pods", after=0) as channel:
        return list(channel.poll(10_000))


@in_world
async def test_a_key_is_planned_until_all_is_as_it_should_be(world: World) -> None:
    await world.client.create(config_map("a", data={"pods": "3"}))
    async with counting(world) as actor:
        await actor.ready.wait()
        await world.environment.sleep(1)
        assert len(await pods(world)) == 3
        await want(world, "a", 1)
        await world.environment.sleep(1)
        assert len(await pods(world)) == 1
        await world.client.delete(Pod, (await pods(world))[0].metadata.name, namespace="default")
        await world.environment.sleep(1)
        assert len(await pods(world)) == 1


@in_world
async def test_a_plan_sees_what_the_last_one_wrote(world: World) -> None:
    await world.client.create(config_map("a", data={"pods": "100"}))
    async with counting(world):
        for count in (300, 7, 200, 0, 50):
            await world.environment.sleep(0.001)
            await want(world, "a", count)
        await world.environment.sleep(5)
        assert len(await pods(world)) == 50
    created = [event for event in history(world) if event.previous is None]
    alive = 0
    most = 0
    for event in history(world):
        alive += (event.previous is None) - (event.object is None)
        most = max(most, alive)
    assert most <= 300
    assert len(created) <= 100 + 200 + 200 + 50


@in_world
async def test_it_wakes_when_a_plan_says_so(world: World) -> None:
    times: list[float] = []
    began = world.environment.now()

    def look(view: CountView, now: float) -> float | None:
        times.append(now - began)
        return now + 60 if len(times) < 3 else None

    def with_look(controller: Counting) -> None:
        controller.look = look

    await world.client.create(config_map("a", data={"pods": "0"}))
    async with counting(world, with_look):
        await world.environment.sleep(1000)
    assert [round(time) for time in times] == [0, 60, 120]


@in_world
async def test_a_failure_is_told_to_the_next_plan_and_tried_again_ever_later(world: World) -> None:
    seen: list[tuple[float, str]] = []
    began = world.environment.now()

    def look(view: CountView, now: float) -> None:
        seen.append((now - began, view.failures[0].error.message if view.failures else ""))

    def with_look(controller: Counting) -> None:
        controller.look = look

    create, allowed = world.registry.create, False

    async def guarded(ctx: Any, resource: Any, *args: Any, **more: Any) -> Any:
        if resource.qualified == "pods" and not allowed:
            raise Forbidden("no pods today")
        return await create(ctx, resource, *args, **more)

    world.registry.create = guarded  # type: ignore[method-assign]
    await world.client.create(config_map("a", data={"pods": "4"}))
    async with counting(world, with_look) as actor:
        await world.environment.sleep(1)
        allowed = True
        await world.environment.sleep(10)
        assert len(await pods(world)) == 4
        assert actor.statistics()["failing"] == 0
    waits = [round(later - earlier, 3) for (earlier, _), (later, _) in itertools.pairwise(seen)][:8]
    assert waits == [0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64]
    assert [failure for _, failure in seen[:3]] == ["", "no pods today", "no pods today"]
    assert seen[-1][1] == ""
    messages = [event.message for event in (await world.client.list(Event)).items]
    assert messages.count("Not made: no pods today") == 1
    assert sum(message.startswith("Made a-") for message in messages) == 4


@in_world
async def test_an_object_that_is_gone_is_forgotten(world: World) -> None:
    await world.client.create(config_map("a", data={"pods": "2"}))
    async with counting(world) as actor:
        await world.environment.sleep(1)
        await world.client.delete(ConfigMap, "a", namespace="default")
        await world.client.delete(Pod, (await pods(world))[0].metadata.name, namespace="default")
        await world.environment.sleep(1)
        assert len(await pods(world)) == 1
        assert all(actor.statistics()[name] == 0 for name in ("ready", "busy", "later", "failing"))


async def counted_while_crashing(environment: SimulatedEnvironment) -> None:
    world = World(environment)
    await world.client.create(config_map("a", data={"pods": "5"}))
    await world.client.create(config_map("b", data={"pods": "3"}))
    async with counting(world):
        await environment.sleep(1)
        await want(world, "a", 2)
        await environment.sleep(60)
        assert sorted(pod.metadata.labels["of"] for pod in await pods(world)) == ["a", "a", "b", "b", "b"]
    assert made(world) == 8, "a crash made it forget what it had made"


def test_a_controller_that_is_killed_anywhere_makes_nothing_twice() -> None:
    assert crash_at_every_step(3, "replicaset-controller", counted_while_crashing) > 20


def test_informers_that_are_killed_anywhere_hide_nothing() -> None:
    assert crash_at_every_step(3, "controllers' informers", counted_while_crashing) > 5
