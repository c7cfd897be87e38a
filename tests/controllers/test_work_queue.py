"""The queue of keys: once each, never two workers on one, later ones by timers."""
from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
from hypothesis import given
from hypothesis import strategies as st

from kubelet_lite.actors.actor import Incarnation, current_actor, current_incarnation
from kubelet_lite.controllers.work_queue import WorkQueue
from kubelet_lite.simulation.virtual.environment import SimulatedEnvironment
from kubelet_lite.simulation.virtual.run import simulate

Queue = WorkQueue[str]


def with_queue(test: Callable[[SimulatedEnvironment, Queue], Awaitable[None]]) -> Callable[[], None]:
    def run() -> None:
        async def main(environment: SimulatedEnvironment) -> None:
            queue: Queue = WorkQueue(environment)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(queue.run_timers)
                await test(environment, queue)
                tasks.cancel_scope.cancel()

        simulate(1, main)

    run.__name__ = test.__name__  # type: ignore[attr-defined]
    return run


@with_queue
async def test_keys_come_in_order_and_each_once(environment: SimulatedEnvironment, queue: Queue) -> None:
    for key in "abab":
        queue.add(key)
    assert [await queue.take(), await queue.take()] == ["a", "b"]
    assert queue.statistics()["ready"] == 0


@with_queue
async def test_a_key_that_is_added_while_it_is_worked_on_comes_back_when_that_is_done(environment: SimulatedEnvironment, queue: Queue) -> None:
    queue.add("a")
    await queue.take()
    queue.add("a")
    queue.add("a")
    assert queue.statistics()["ready"] == 0
    queue.done("a")
    assert await queue.take() == "a"
    queue.done("a")
    assert queue.statistics() == {"ready": 0, "busy": 0, "later": 0, "failing": 0}


@with_queue
async def test_the_earliest_time_counts(environment: SimulatedEnvironment, queue: Queue) -> None:
    queue.add("a", 10)
    queue.add("a", 5)
    queue.add("a", 7)
    await queue.take()
    assert environment.monotonic() == 5
    queue.done("a")
    await environment.sleep(20)
    assert queue.statistics()["ready"] == 0


@with_queue
async def test_back_off_doubles_until_the_key_does_not_fail(environment: SimulatedEnvironment, queue: Queue) -> None:
    async def fail(key: str) -> float:
        """How long the back-off is; it is over when this returns."""
        began = environment.monotonic()
        queue.retry(key)
        assert await queue.take() == key
        queue.done(key)
        return round(environment.monotonic() - began, 9)

    assert [await fail("a") for _ in range(4)] == [0.005, 0.01, 0.02, 0.04]
    assert [await fail("b") for _ in range(30)][-1] == 1000
    queue.forget("a")
    assert await fail("a") == 0.005


@with_queue
async def test_failures_before_the_back_off_is_over_do_not_lengthen_it(environment: SimulatedEnvironment, queue: Queue) -> None:
    for _ in range(8):
        queue.retry("a")
        await queue.take()
        queue.done("a")
    began = environment.monotonic()
    assert round(queue.retry("a"), 9) == 1.28
    for _ in range(5):
        queue.add("a")  # an event
        await queue.take()
        queue.retry("a")
        queue.done("a")
        await environment.sleep(0.1)
    await queue.take()
    assert round(environment.monotonic() - began, 9) == 1.28
    queue.done("a")
    assert round(queue.retry("a"), 9) == 2.56


@with_queue
async def test_everybody_who_waits_is_served(environment: SimulatedEnvironment, queue: Queue) -> None:
    taken: list[str] = []

    async def worker() -> None:
        while True:
            key = await queue.take()
            taken.append(key)
            await environment.sleep(1)
            queue.done(key)

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(worker)
        await environment.sleep(1)
        for key in "abc":
            queue.add(key)
        await environment.sleep(0.5)
        assert taken == ["a", "b", "c"]
        queue.add("d")
        queue.add("a")
        await environment.sleep(2)
        assert taken == ["a", "b", "c", "d", "a"]
        tasks.cancel_scope.cancel()


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([0.0, 0.0, 0.1, 1.0, 3.0]), st.floats(0, 2)), max_size=40))
def test_no_added_key_is_lost_and_none_is_worked_on_twice_at_a_time(steps: list[tuple[str, float, float]]) -> None:
    async def main(environment: SimulatedEnvironment) -> None:
        queue: Queue = WorkQueue(environment)
        busy: set[str] = set()
        served: dict[str, float] = {}
        due: dict[str, float] = {}

        async def worker() -> None:
            while True:
                key = await queue.take()
                assert key not in busy
                busy.add(key)
                served[key] = environment.monotonic()
                await environment.sleep(0.3)
                busy.remove(key)
                queue.done(key)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(queue.run_timers)
            tasks.start_soon(worker)
            tasks.start_soon(worker)
            for key, after, pause in steps:
                due[key] = max(due.get(key, 0.0), environment.monotonic()) if after == 0 else due.get(key, 0.0)
                queue.add(key, after)
                await environment.sleep(pause)
            await environment.sleep(10)
            assert queue.statistics() == {"ready": 0, "busy": 0, "later": 0, "failing": 0}
            for key, _, _ in steps:
                assert served[key] >= due[key]
            tasks.cancel_scope.cancel()

    simulate(1, main)


def test_workers_are_made_as_keys_find_all_others_busy_and_never_more_than_said() -> None:
    async def main(environment: SimulatedEnvironment) -> None:
        queue: Queue = WorkQueue(environment)
        workers: list[asyncio.Task[Any] | None] = []
        done: list[tuple[str, float]] = []

        async def work(key: str) -> None:
            if (task := asyncio.current_task()) not in workers:
                workers.append(task)
            await environment.sleep(1)
            done.append((key, environment.monotonic()))
            queue.done(key)

        queue.add("early")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(queue.serve, work, 3)
            await environment.sleep(5)
            queue.add("later", 1)
            await environment.sleep(5)
            assert (done, len(workers)) == ([("early", 1.0), ("later", 7.0)], 1)
            for key in "abcdefg":
                queue.add(key)
            await environment.sleep(5)
            assert [round(time) for _, time in done[2:]] == [11, 11, 11, 12, 12, 12, 13]
            assert ([key for key, _ in done[2:]], len(workers)) == (list("abcdefg"), 3)
            tasks.cancel_scope.cancel()

    simulate(1, main)


@with_queue
async def test_a_worker_belongs_to_the_actor_that_serves_whoever_adds_the_key(environment: SimulatedEnvironment, queue: Queue) -> None:
    served: WorkQueue[str] = WorkQueue(environment)
    seen: list[str] = []

    async def work(key: str) -> None:
        seen.append(current_actor())
        served.done(key)

    outside = current_incarnation.set(Incarnation("server"))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(served.serve, work, 2)
        await environment.sleep(1)
        current_incarnation.set(Incarnation("informer"))
        served.add("a")
        await environment.sleep(1)
        tasks.cancel_scope.cancel()
    current_incarnation.reset(outside)
    assert seen == ["server"]
