"""Crashes an actor at any of its awaits, in a simulated run: what a process does that is killed there.

All tasks of the actor end at their next await, and its supervisor starts it again. Sweeping the step covers every await.
"""
from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Final

import anyio

from kubelet_lite.actors.actor import current_incarnation
from kubelet_lite.simulation.checked import Name, Positive, checked
from kubelet_lite.simulation.virtual.environment import SimulatedEnvironment
from kubelet_lite.simulation.virtual.loop import callback_owner
from kubelet_lite.simulation.virtual.run import simulate

MOST_CRASHES: Final = 100_000
"""Of one sweep: a run in which the actor takes more steps than this is no test."""


class Crash:
    """One crash to come. `steps` counts the steps of the actor's tasks so far, in all its incarnations."""

    def __init__(self, actor: str, at_step: int) -> None:
        assert at_step > 0
        self.actor = actor
        self.at_step = at_step
        self.steps = 0
        self.done = anyio.Event()
        """Set when it happens."""

    @property
    def happened(self) -> bool:
        """Whether the actor lived long enough to be crashed."""
        return self.steps >= self.at_step

    def before_step(self, handle: asyncio.Handle) -> None:
        """For the loop: kills the actor when its step has come."""
        if self.happened or not isinstance(callback_owner(handle), asyncio.Task):
            return
        incarnation = handle._context.get(current_incarnation)  # type: ignore[attr-defined]
        if incarnation is None or incarnation.actor != self.actor:
            return
        self.steps += 1
        if self.happened:
            incarnation.kill()
            self.done.set()


@checked
@contextmanager
def crash_actor(environment: SimulatedEnvironment, actor: Name, *, at_step: Positive) -> Iterator[Crash]:
    """Kills the named actor once, before the `at_step`-th step that its tasks take within the block."""
    disturbing = environment.loop.before_step
    crash = Crash(actor, at_step)
    disturbing.append(crash.before_step)
    try:
        yield crash
    finally:
        disturbing.remove(crash.before_step)


def crash_at_every_step(
    seed: int, actor: str, main: Callable[[SimulatedEnvironment], Coroutine[Any, Any, object]], *, first: int = 1, stride: int = 1,
) -> int:
    """Runs `main` again and again, with a crash `stride` steps later each time, until the actor ends before it; how many crashes that were."""
    for count, at_step in zip(range(MOST_CRASHES), itertools.count(first, stride), strict=False):
        crashes: list[Crash] = []

        async def crashing(environment: SimulatedEnvironment, at_step: int = at_step, crashes: list[Crash] = crashes) -> None:
            with crash_actor(environment, actor, at_step=at_step) as crash:
                crashes.append(crash)
                await main(environment)

        try:
            simulate(seed, crashing)
        except BaseException as error:
            error.add_note(f"actor {actor} crashed at its step {at_step}")
            raise
        if not crashes[0].happened:
            return count
    raise AssertionError(f"actor {actor} takes more than {first + MOST_CRASHES * stride} steps")
