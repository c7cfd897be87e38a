"""Crashing an actor at each of its awaits."""
from __future__ import annotations

import anyio
import pytest

from kubelet_lite.actors.actor import Actor
from kubelet_lite.actors.supervisor import ActorKilled, Supervisor
from kubelet_lite.simulation.crash import crash_actor, crash_at_every_step
from kubelet_lite.simulation.virtual.environment import SimulatedEnvironment
from kubelet_lite.simulation.virtual.run import simulate


class Adder(Actor):
    """Adds the numbers of `todo` into `done`, one in each child task; crash-only unless `forgetful`."""

    def __init__(self, todo: list[int], *, forgetful: bool = False) -> None:
        super().__init__("adder")
        self._todo = todo
        self._forgetful = forgetful
        self.done: list[int] = []

    async def run(self) -> None:
        for number in list(self._todo):
            if number in self.done:
                continue
            if self._forgetful:
                self._todo.remove(number)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._add, number)

    async def _add(self, number: int) -> None:
        await anyio.sleep(1)
        self.done.append(number)
        await anyio.sleep(1)


def adding(*, forgetful: bool = False) -> Adder:
    return Adder([1, 2, 3], forgetful=forgetful)


async def all_are_added(environment: SimulatedEnvironment, actor: Adder) -> None:
    async with Supervisor(environment) as supervisor:
        supervisor.start(actor)
        await environment.sleep(60)
    assert actor.done == [1, 2, 3]


def test_an_actor_that_keeps_nothing_to_itself_survives_a_crash_at_every_await() -> None:
    crashes = crash_at_every_step(0, "adder", lambda environment: all_are_added(environment, adding()))
    assert crashes > 10


def test_an_actor_that_forgets_is_found_out_with_the_step_that_shows_it() -> None:
    with pytest.raises(AssertionError) as raised:
        crash_at_every_step(0, "adder", lambda environment: all_are_added(environment, adding(forgetful=True)))
    assert raised.value.__notes__[-1] == "actor adder crashed at its step 1"


def test_a_crash_kills_the_named_actor_once_and_no_other() -> None:
    class Sleeper(Actor):
        runs = 0

        async def run(self) -> None:
            self.runs += 1
            while True:
                await anyio.sleep(1)

    async def main(environment: SimulatedEnvironment) -> None:
        one, two = Sleeper("one"), Sleeper("two")
        crashes: list[BaseException] = []
        async with Supervisor(environment, lambda crash: crashes.append(crash.error)) as supervisor:
            supervisor.start(one)
            supervisor.start(two)
            with crash_actor(environment, "one", at_step=5) as crash:
                await environment.sleep(3)
                assert not crash.happened
                await environment.sleep(3)
                assert crash.happened
        assert (one.runs, two.runs) == (2, 1)
        assert [type(error) for error in crashes] == [ActorKilled]

    simulate(0, main)
