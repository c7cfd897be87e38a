"""The loop: virtual time, certain order, and failures that name the culprit."""
from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelet_lite.simulation.errors import LeftBehind, NothingCanHappen, Spinning, TimeLimitExceeded, UnhandledErrors
from kubelet_lite.simulation.virtual.environment import EPOCH, SimulatedEnvironment
from kubelet_lite.simulation.virtual.run import simulate


def test_an_hour_passes_at_once_and_exactly() -> None:
    async def main(environment: SimulatedEnvironment) -> tuple[float, float]:
        await environment.sleep(3600)
        return environment.monotonic(), environment.now()

    assert simulate(0, main) == (3600.0, EPOCH + 3600)


@given(st.lists(st.tuples(st.sampled_from([0.0, 1.0, 1.0, 2.0]), st.booleans())))
def test_timers_fire_by_time_and_those_that_tie_in_the_order_they_were_set(timers: list[tuple[float, bool]]) -> None:
    async def main(environment: SimulatedEnvironment) -> list[int]:
        fired: list[int] = []
        for number, (delay, cancelled) in enumerate(timers):
            timer = environment.loop.call_later(delay, fired.append, number)
            if cancelled:
                timer.cancel()
        await environment.sleep(3)
        return fired

    expected = sorted((delay, number) for number, (delay, cancelled) in enumerate(timers) if not cancelled)
    assert simulate(0, main) == [number for _, number in expected]


def test_thousands_of_cancelled_timers_are_forgotten() -> None:
    async def main(environment: SimulatedEnvironment) -> int:
        for _ in range(5000):
            with anyio.move_on_after(1000):
                await environment.sleep(0)
        await environment.sleep(1)
        return len(environment.loop._scheduled)

    assert simulate(0, main) < 200


@given(st.floats(0, 1e7), st.floats(1e-9, 100))
def test_whoever_waits_for_what_is_left_of_a_wait_does_not_wait_for_ever(since: float, seconds: float) -> None:
    async def main(environment: SimulatedEnvironment) -> None:
        await environment.sleep(since)
        start = environment.monotonic()
        while environment.monotonic() - start < seconds:
            await environment.sleep(seconds - (environment.monotonic() - start))

    simulate(0, main, limit_seconds=1e9, spin_limit=1000)


def test_sets_of_tasks_and_futures_are_in_order_of_creation() -> None:
    async def main(environment: SimulatedEnvironment) -> None:
        futures = [environment.loop.create_future() for _ in range(20)]
        assert [hash(future) for future in futures] == sorted(map(hash, futures))
        tasks = [asyncio.create_task(asyncio.sleep(1)) for _ in range(20)]
        assert [hash(task) for task in tasks] == sorted(map(hash, tasks))
        done, _ = await asyncio.wait(tasks)
        assert done == set(tasks)

    simulate(0, main)


def test_tasks_that_are_cancelled_together_end_in_the_same_order_in_every_run() -> None:
    async def main(environment: SimulatedEnvironment) -> list[int]:
        ended: list[int] = []

        async def sleeper(number: int) -> None:
            try:
                with anyio.CancelScope() if number % 2 else contextlib.nullcontext():
                    await anyio.sleep_forever()
            finally:
                ended.append(number)

        async with anyio.create_task_group() as tasks:
            for number in range(50):
                tasks.start_soon(sleeper, number)
            await environment.sleep(1)
            tasks.cancel_scope.cancel()
        return ended

    garbage: list[object] = []
    runs = []
    for _ in range(5):
        garbage.append(bytearray(1000))  # so that addresses differ
        runs.append(simulate(0, main))
    assert sorted(runs[0]) == list(range(50))
    assert runs == [runs[0]] * 5


def test_executors_run_at_once_in_this_thread() -> None:
    async def main(environment: SimulatedEnvironment) -> None:
        assert await environment.loop.run_in_executor(None, threading.get_ident) == threading.get_ident()
        assert await asyncio.to_thread(threading.get_ident) == threading.get_ident()
        with pytest.raises(ZeroDivisionError):
            await environment.loop.run_in_executor(None, divmod, 1, 0)

    simulate(0, main)


def test_a_deadlock_is_an_error_that_says_who_waits_and_where() -> None:
    async def waits_for_nothing() -> None:
        await anyio.Event().wait()

    async def main(_: SimulatedEnvironment) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(waits_for_nothing, name="patient")

    with pytest.raises(NothingCanHappen, match=r"patient: waits in .*waits_for_nothing > .*Event\.wait \(locks\.py") as raised:
        simulate(3, main)
    assert raised.value.__notes__[0].startswith("simulation seed 3, virtual second 0, step ")


def test_a_task_that_refuses_to_be_cancelled_is_named() -> None:
    async def stubborn() -> None:
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await anyio.sleep_forever()

    async def main(environment: SimulatedEnvironment) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stubborn, name="stubborn")
            tasks.start_soon(anyio.sleep_forever, name="obedient")
            await environment.sleep(1)
            tasks.cancel_scope.cancel()

    with pytest.raises(Spinning, match=r"cancelled, but not ending: (main, )?stubborn") as raised:
        simulate(0, main, spin_limit=1000)
    assert "obedient" not in str(raised.value)


def test_a_task_that_never_lets_time_pass_is_named() -> None:
    async def busy(environment: SimulatedEnvironment) -> None:
        while True:
            await environment.sleep(0)

    async def main(environment: SimulatedEnvironment) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(busy, environment, name="busy")
            await environment.sleep(1)

    with pytest.raises(Spinning, match=r"taken by busy \(1000 of 1000 steps\)"):
        simulate(0, main, spin_limit=1000)


def test_a_run_that_only_ticks_is_ended_by_its_limit() -> None:
    async def main(environment: SimulatedEnvironment) -> None:
        while True:
            await environment.sleep(10)

    with pytest.raises(TimeLimitExceeded, match="not done after 1000 virtual seconds"):
        simulate(0, main, limit_seconds=1000)


def test_a_task_left_behind_is_an_error() -> None:
    async def main(_: SimulatedEnvironment) -> None:
        orphans.append(asyncio.create_task(anyio.sleep_forever(), name="orphan"))

    orphans: list[asyncio.Task[None]] = []
    with pytest.raises(LeftBehind, match="orphan"):
        simulate(0, main)


def test_an_error_nobody_hears_of_is_an_error() -> None:
    async def fails() -> None:
        raise ValueError("lost")

    async def main(environment: SimulatedEnvironment) -> None:
        environment.loop.create_task(fails())
        await environment.sleep(1)

    with pytest.raises(UnhandledErrors, match=r"never retrieved.*lost"):
        simulate(0, main)


def test_an_error_of_main_is_raised_with_the_seed_and_everything_is_closed() -> None:
    async def main(environment: SimulatedEnvironment) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.sleep_forever)
            await environment.sleep(2)
            raise KeyError("mine")

    with pytest.raises(ExceptionGroup) as raised:
        simulate(5, main)
    assert raised.value.__notes__[0].startswith("simulation seed 5, virtual second 2, step ")


@pytest.mark.parametrize("seed", [1, 2])
def test_randomness_follows_from_the_seed(seed: int) -> None:
    async def main(environment: SimulatedEnvironment) -> tuple[object, ...]:
        return environment.uid(), environment.token(), environment.random.random(), environment.free_port()

    def run(seed: int) -> tuple[object, ...]:
        return simulate(seed, main)

    assert run(seed) == run(seed)
    assert run(seed)[:3] != run(seed + 1)[:3]


def test_threads_of_the_outside_cannot_call_into_a_simulation() -> None:
    running = threading.Event()
    loops: list[asyncio.AbstractEventLoop] = []
    errors: list[str] = []

    def call() -> None:
        running.wait()
        try:
            loops[0].call_soon_threadsafe(print)
        except RuntimeError as error:
            errors.append(str(error))

    thread = threading.Thread(target=call)
    thread.start()

    async def main(environment: SimulatedEnvironment) -> None:
        loops.append(environment.loop)
        running.set()
        thread.join()

    simulate(0, main)
    assert errors == ["a simulation has one thread"]


def test_async_generators_left_half_way_are_closed() -> None:
    closed: list[bool] = []

    async def numbers() -> Any:
        try:
            for number in range(10):
                yield number
        finally:
            await anyio.sleep(1)
            closed.append(True)

    async def main(_: SimulatedEnvironment) -> None:
        generators.append(numbers())
        assert await anext(generators[0]) == 0

    generators: list[Any] = []
    simulate(0, main)
    assert closed == [True]


def test_two_runs_in_one_process_are_the_same_step_by_step() -> None:
    async def main(environment: SimulatedEnvironment) -> tuple[int, float]:
        async with anyio.create_task_group() as tasks:
            for _ in range(50):
                tasks.start_soon(environment.sleep, environment.random.random())
        return environment.loop.steps, environment.monotonic()

    assert simulate(4, main) == simulate(4, main) != simulate(5, main)
