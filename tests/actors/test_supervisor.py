"""Restarts, back-off and crash budget in virtual time."""
from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import anyio
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from kubelet_lite.actors.actor import Actor, current_actor
from kubelet_lite.actors.supervisor import (
    CRASH_WINDOW_SECONDS,
    FIRST_BACK_OFF_SECONDS,
    JITTER,
    LONGEST_BACK_OFF_SECONDS,
    MAX_CRASHES,
    ActorCrashed,
    ActorKilled,
    CrashBudgetExceeded,
    Supervisor,
)
from kubelet_lite.simulation.virtual.environment import SimulatedEnvironment
from kubelet_lite.simulation.virtual.run import simulate


class Scripted(Actor):
    """Runs what it is given, with the number of the run."""

    def __init__(self, name: str, script: Callable[[int], Awaitable[None]]) -> None:
        super().__init__(name)
        self.runs = 0
        self._script = script

    async def run(self) -> None:
        self.runs += 1
        await self._script(self.runs)

    def statistics(self) -> Mapping[str, float]:
        return {"runs": self.runs}


async def for_ever(_: int) -> None:
    await anyio.sleep_forever()


def crashing(times: int) -> Callable[[int], Awaitable[None]]:
    async def script(run: int) -> None:
        await anyio.sleep(0)
        if run <= times:
            raise ValueError(f"crash {run}")
        await anyio.sleep_forever()

    return script


def test_a_crashed_actor_is_started_again_and_says_so() -> None:
    async def main(environment: SimulatedEnvironment) -> None:
        crashes: list[ActorCrashed] = []
        actor = Scripted("one", crashing(2))
        with structlog.testing.capture_logs() as records:
            async with Supervisor(environment, crashes.append) as supervisor:
                supervisor.start(actor)
                await environment.sleep(5)
                assert supervisor.statistics() == {"one": {"runs": 3, "crashes": 2}}
        assert [(crash.actor, str(crash.error), crash.crashes) for crash in crashes] == [("one", "crash 1", 1), ("one", "crash 2", 2)]
        assert [(record["event"], record["actor"], record["log_level"]) for record in records] == [("actor_crashed", "one", "error")] * 2

    simulate(0, main)


@given(st.integers(0, 10_000), st.integers(1, MAX_CRASHES))
def test_back_off_doubles_with_jitter_up_to_its_longest(seed: int, times: int) -> None:
    async def main(environment: SimulatedEnvironment) -> list[float | None]:
        crashes: list[ActorCrashed] = []
        async with Supervisor(environment, crashes.append) as supervisor:
            supervisor.start(Scripted("one", crashing(times)))
            await environment.sleep(CRASH_WINDOW_SECONDS)
        return [crash.restart_in_seconds for crash in crashes]

    delays = simulate(seed, main)
    assert len(delays) == times
    for count, delay in enumerate(delays):
        longest = min(LONGEST_BACK_OFF_SECONDS, FIRST_BACK_OFF_SECONDS * 2**count)
        assert delay is not None
        assert longest * (1 - JITTER) <= delay <= longest


def test_beyond_the_crash_budget_the_supervisor_ends_with_the_last_error_as_cause() -> None:
    async def main(environment: SimulatedEnvironment) -> None:
        async with Supervisor(environment) as supervisor:
            supervisors.append(supervisor)
            supervisor.start(Scripted("other", for_ever))
            supervisor.start(Scripted("one", crashing(MAX_CRASHES + 1)))
            await environment.sleep(CRASH_WINDOW_SECONDS)
            raise AssertionError("not reached")

    supervisors: list[Supervisor] = []
    with pytest.raises(CrashBudgetExceeded, match="actor one crashed") as raised:
        simulate(0, main)
    assert str(raised.value.__cause__) == f"crash {MAX_CRASHES + 1}"
    assert supervisors[0].running() == ()


def test_crashes_that_are_far_apart_never_spend_the_budget() -> None:
    async def rarely(_: int) -> None:
        await anyio.sleep(CRASH_WINDOW_SECONDS)
        raise ValueError

    async def main(environment: SimulatedEnvironment) -> int:
        actor = Scripted("one", rarely)
        async with Supervisor(environment) as supervisor:
            supervisor.start(actor)
            await environment.sleep(CRASH_WINDOW_SECONDS * 50)
        return actor.runs

    assert simulate(0, main) > 3 * MAX_CRASHES


def test_an_actor_that_is_done_is_not_started_again() -> None:
    async def main(environment: SimulatedEnvironment) -> None:
        actor = Scripted("one", lambda _: environment.sleep(1))
        async with Supervisor(environment) as supervisor:
            supervisor.start(actor)
            await environment.sleep(10)
            assert (actor.runs, supervisor.running()) == (1, ())
            supervisor.start(actor)
            await environment.sleep(10)
            assert actor.runs == 2

    simulate(0, main)


def test_stop_waits_for_the_actors_last_act_and_it_may_start_again() -> None:
    async def main(environment: SimulatedEnvironment) -> None:
        said: list[str] = []

        async def script(_: int) -> None:
            try:
                await anyio.sleep_forever()
            finally:
                with anyio.CancelScope(shield=True):
                    await environment.sleep(3)
                    said.append("goodbye")

        actor = Scripted("one", script)
        async with Supervisor(environment) as supervisor:
            supervisor.start(actor)
            await environment.sleep(1)
            await supervisor.stop(actor)
            assert (said, environment.monotonic()) == (["goodbye"], 4.0)
            await supervisor.stop(actor)
            supervisor.start(actor)
            await environment.sleep(1)
            assert actor.runs == 2

    simulate(0, main)


def test_an_actor_stopped_during_its_back_off_is_not_started_again() -> None:
    async def main(environment: SimulatedEnvironment) -> None:
        actor = Scripted("one", crashing(1))
        async with Supervisor(environment) as supervisor:
            supervisor.start(actor)
            await environment.sleep(FIRST_BACK_OFF_SECONDS * JITTER / 2)
            await supervisor.stop(actor)
            await environment.sleep(10)
        assert actor.runs == 1

    simulate(0, main)


def test_leaving_the_block_stops_the_last_one_started_first() -> None:
    async def main(environment: SimulatedEnvironment) -> list[str]:
        ended: list[str] = []

        def saying(name: str) -> Actor:
            async def script(_: int) -> None:
                try:
                    await anyio.sleep_forever()
                finally:
                    ended.append(name)

            return Scripted(name, script)

        async with Supervisor(environment) as supervisor:
            for name in ("store", "server", "kubelet"):
                supervisor.start(saying(name))
            await environment.sleep(1)
        return ended

    assert simulate(0, main) == ["kubelet", "server", "store"]


def test_an_error_of_the_block_passes_as_it_is() -> None:
    async def main(environment: SimulatedEnvironment) -> None:
        async with Supervisor(environment) as supervisor:
            supervisor.start(Scripted("one", for_ever))
            await environment.sleep(1)
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        simulate(0, main)


def test_a_cancelled_block_ends_every_actor() -> None:
    async def main(environment: SimulatedEnvironment) -> None:
        with anyio.move_on_after(1) as scope:
            async with Supervisor(environment) as supervisor:
                supervisor.start(Scripted("one", for_ever))
                await anyio.sleep_forever()
        assert scope.cancelled_caught
        assert supervisor.running() == ()

    simulate(0, main)


def test_a_task_cancelled_by_somebody_else_is_a_crash_and_not_silence() -> None:
    async def main(environment: SimulatedEnvironment) -> None:
        tasks: list[asyncio.Task[None] | None] = []

        async def script(_: int) -> None:
            tasks.append(asyncio.current_task())
            await anyio.sleep_forever()

        crashes: list[ActorCrashed] = []
        async with Supervisor(environment, crashes.append) as supervisor:
            supervisor.start(Scripted("one", script))
            await environment.sleep(1)
            assert tasks[0] is not None
            tasks[0].cancel()
            await environment.sleep(1)
            assert len(tasks) == 2
            async with asyncio.timeout(5):
                await environment.sleep(1)
        assert [type(crash.error) for crash in crashes] == [ActorKilled]

    simulate(0, main)


def test_code_knows_in_which_actor_it_runs_in_child_tasks_too() -> None:
    async def main(environment: SimulatedEnvironment) -> list[str]:
        names: list[str] = []

        async def note() -> None:
            names.append(current_actor())

        async def script(_: int) -> None:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(note)

        async with Supervisor(environment) as supervisor:
            for name in ("one", "two"):
                supervisor.start(Scripted(name, script))
            await environment.sleep(1)
        await note()
        return names

    assert simulate(0, main) == ["one", "two", ""]
