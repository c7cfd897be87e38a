"""A program of the user's (an operator, a controller) as a process of a simulated cluster: it crashes like any other, and is started again.

    simulation.cluster.supervisor.start(Program("operator", my_operator.run))
    simulation.start(CrashActor(part="operator", at=30, seconds=60, at_step=12))

When it is killed, its connections are reset first, and then all its tasks are cancelled, those that it has let go of too: whatever they
still do reaches nobody. What its modules keep, they keep: there is one Python.
"""
from __future__ import annotations

import asyncio
import contextvars
import gc
import warnings
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

import anyio

from kubelet_lite.actors.actor import Actor, Incarnation, current_incarnation
from kubelet_lite.simulation.virtual.libraries import forget_clients
from kubelet_lite.simulation.virtual.loop import YOUNG, SimulatedLoop, SimulatedTask

TURNS_TO_END: Final = 20
"""Of the loop, at one instant: so long tasks may close what they have before they are cancelled again."""
CANCEL_TURNS: Final = 50 * TURNS_TO_END
"""After so many a task does not let itself be cancelled."""


current_program: Final[ContextVar[Incarnation | None]] = ContextVar("current_program", default=None)
"""The run of a program in which this code is: that of the actor, without the actor's own task."""


class Program(Actor):
    """`main` runs until it returns, raises (a crash), or is killed."""

    def __init__(self, name: str, main: Callable[[], Awaitable[object]]) -> None:
        super().__init__(name)
        self._main = main

    async def run(self) -> None:
        loop, incarnation = asyncio.get_running_loop(), current_incarnation.get()
        assert isinstance(loop, SimulatedLoop), "outside of a simulation a program is a process"
        assert incarnation is not None, "a program is started by a supervisor"
        inside = contextvars.copy_context()
        inside.run(current_program.set, incarnation)
        main = loop.create_task(_result(self._main), name=f"{self.name} main", context=inside)
        try:
            await asyncio.wait([main])
        finally:
            loop.network.kill(incarnation)
            with anyio.CancelScope(shield=True), unheard(loop):
                await _end_tasks(loop, incarnation)
                forget_clients()
                error = None if main.cancelled() else main.exception()
                del main
                await asyncio.sleep(0)  # whoever waited for one of its tasks has heard of the end then, and lets go of it
                gc.collect(YOUNG)
        if error is not None:
            raise error


async def _result(function: Callable[[], Awaitable[object]]) -> None:
    await function()


async def _end_tasks(loop: SimulatedLoop, incarnation: Incarnation) -> None:
    for turn in range(CANCEL_TURNS):
        left = _tasks_of(loop, incarnation)
        if not left:
            return
        if turn % TURNS_TO_END == 0:
            for task in left:
                task.add_done_callback(_hear)
                task.cancel()
        await asyncio.sleep(0)
    names = ", ".join(task.get_name() for task in _tasks_of(loop, incarnation))
    raise RuntimeError(f"{incarnation.actor} was killed, but these tasks go on: {names}")


def _hear(task: asyncio.Task[object]) -> None:
    """What a task of a dead process ends with is nobody's business."""
    if not task.cancelled():
        task.exception()


@contextmanager
def unheard(loop: SimulatedLoop) -> Iterator[None]:
    """What dead processes have left open or half done is complained about within the block, and nobody listens."""
    errors = len(loop.errors)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
        yield
    del loop.errors[errors:]


def _tasks_of(loop: SimulatedLoop, incarnation: Incarnation) -> list[SimulatedTask]:
    return [task for task in loop.tasks() if task.context.get(current_program) is incarnation]
