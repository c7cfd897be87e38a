"""A program of the user's (an operator, a controller) as a process of a simulated cluster: it crashes like any other, and is started again.

    simulation.cluster.supervisor.start(Program("operator", my_operator.run))
    simulation.start(CrashActor(part="operator", at=30, seconds=60, at_step=12))

When it is killed, its connections are reset and its timers forgotten first, and then all its tasks are cancelled, those that it has let go
of too: whatever they still do reaches nobody. What its modules keep, they keep: there is one Python.
"""
from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final

import anyio

from kubelet_lite.actors.actor import Actor, current_incarnation
from kubelet_lite.simulation.checked import Name, checked
from kubelet_lite.simulation.virtual.libraries import forget_clients
from kubelet_lite.simulation.virtual.loop import YOUNG, SimulatedLoop, SimulatedTask
from kubelet_lite.simulation.virtual.process import ProgramDied, ProgramProcess, current_process

TURNS_TO_END: Final = 20
"""Of the loop, at one instant: so long tasks may close what they have before they are cancelled again."""
CANCEL_TURNS: Final = 50 * TURNS_TO_END
"""After so many a task does not let itself be cancelled."""


class Program(Actor):
    """`main` runs until it returns, raises (a crash), ends its process (a crash, unless it exits with 0), or is killed."""

    @checked
    def __init__(self, name: Name, main: Callable[[], Awaitable[object]]) -> None:
        super().__init__(name)
        self._main = main

    async def run(self) -> None:
        loop, incarnation = asyncio.get_running_loop(), current_incarnation.get()
        assert isinstance(loop, SimulatedLoop), "outside of a simulation a program is a process"
        assert incarnation is not None, "a program is started by a supervisor"
        process = ProgramProcess(loop, incarnation)
        loop.programs.append(process)
        incarnation.on_kill = process.silence
        main = loop.create_task(_result(self._main), name=f"{self.name} main", context=process.context)
        try:
            await asyncio.wait([main, process.ended], return_when=asyncio.FIRST_COMPLETED)
        finally:
            incarnation.on_kill = None
            loop.programs.remove(process)
            process.silence()
            with anyio.CancelScope(shield=True), unheard(loop):
                await _end_tasks(loop, process)
                forget_clients()
                error = None if main.cancelled() else main.exception()
                del main
                await asyncio.sleep(0)  # whoever waited for one of its tasks has heard of the end then, and lets go of it
                loop.forget_callbacks(process)
                gc.collect(YOUNG)
        if process.ended.done():
            if process.code not in (None, 0):
                raise ProgramDied(f"{self.name} has ended itself: {process.how}")
        elif error is not None:
            raise error


async def _result(function: Callable[[], Awaitable[object]]) -> None:
    await function()


async def _end_tasks(loop: SimulatedLoop, process: ProgramProcess) -> None:
    for turn in range(CANCEL_TURNS):
        left = _tasks_of(loop, process)
        if not left:
            return
        if turn % TURNS_TO_END == 0:
            for task in left:
                task.add_done_callback(_hear)
                task.cancel()
        await asyncio.sleep(0)
    names = ", ".join(task.get_name() for task in _tasks_of(loop, process))
    raise RuntimeError(f"{process.incarnation.actor} was killed, but these tasks go on: {names}")


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


def _tasks_of(loop: SimulatedLoop, process: ProgramProcess) -> list[SimulatedTask]:
    return [task for task in loop.tasks() if task.context.get(current_process) is process]
