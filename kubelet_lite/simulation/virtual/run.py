"""`simulate(seed, main)`: an async function from beginning to end in virtual time, and nothing left behind.

Whatever goes wrong carries the seed as a note; the same seed repeats it.
"""
from __future__ import annotations

import asyncio
import gc
import itertools
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, TypeVar

from kubelet_lite.simulation.checked import Chance, Positive, Seconds, checked
from kubelet_lite.simulation.errors import LeftBehind, SimulationFailed, UnhandledErrors
from kubelet_lite.simulation.virtual.environment import SimulatedEnvironment
from kubelet_lite.simulation.virtual.loop import SPIN_LIMIT, YOUNG, SimulatedLoop, describe_task
from kubelet_lite.simulation.virtual.program import unheard
from kubelet_lite.simulation.virtual.tape import Tape
from kubelet_lite.simulation.virtual.world import virtual_world

T = TypeVar("T")

LIMIT_SECONDS: Final = 86_400.0
"""A day of virtual time: whoever waits for longer waits for nothing."""
SETTLE_SECONDS: Final = 1.0
"""After `main`, for the last packets to arrive."""
WHOLE_COLLECTION_EVERY_RUNS: Final = 20
"""One takes some 20 ms."""
CANCEL_ROUNDS: Final = 10
"""How often a task is cancelled before it is given up."""

_runs: Final = itertools.count(1)


@checked
def simulate(
    seed: int | Tape, main: Callable[[SimulatedEnvironment], Coroutine[Any, Any, T]], *, limit_seconds: Seconds = LIMIT_SECONDS,
    spin_limit: Positive = SPIN_LIMIT, order_chance: Chance = 0.0,
) -> T:
    """What `main` returns or raises. A SimulationFailed when it hangs, spins, or leaves tasks, connections or unhandled errors behind.

    `order_chance`: of each turn of the loop, that a task goes before its turn.
    """
    check_no_loop_runs("simulate")
    tape = seed if isinstance(seed, Tape) else Tape(seed)
    with simulated_environment(tape, limit_seconds=limit_seconds, spin_limit=spin_limit, order_chance=order_chance) as environment:
        loop = environment.loop
        result = loop.run_until_complete(loop.create_task(main(environment), name="main"))
        check_nothing_is_left(loop)
        return result


@contextmanager
def simulated_environment(
    tape: Tape, *, limit_seconds: float = LIMIT_SECONDS, spin_limit: int = SPIN_LIMIT, order_chance: float = 0.0,
) -> Iterator[SimulatedEnvironment]:
    """An environment for the block, whose loop runs within the world that it makes. What is still there at the end is cancelled."""
    check_no_loop_runs("a simulated environment")
    loop = SimulatedLoop(tape, spin_limit=spin_limit, limit_seconds=limit_seconds, order_chance=order_chance)
    environment = SimulatedEnvironment(loop)
    with _collector_off(), virtual_world(environment):
        try:
            yield environment
        except BaseException as error:
            for refused in loop.refused:
                if refused is not error:
                    error.add_note(f"before that: {refused}")
            error.add_note(f"simulation seed {tape.seed}, virtual second {loop.time():g}, step {loop.steps}")
            raise
        finally:
            _abandon_everything(loop)
            loop.close()
            if loop.network.dead:
                with unheard(loop):
                    gc.collect()


def check_no_loop_runs(what: str) -> None:
    """Raises RuntimeError within async code."""
    if asyncio._get_running_loop() is not None:
        raise RuntimeError(f"{what} runs an event loop of its own, and one runs here already: call it from a synchronous test (def, not async def)")


def check_nothing_is_left(loop: SimulatedLoop) -> None:
    """To be asked when all has come to its end. Raises LeftBehind, UnhandledErrors; NotSimulated when user code has swallowed it."""
    loop.run_until_complete(loop.create_task(asyncio.sleep(SETTLE_SECONDS), name="settle"))
    loop.run_until_complete(loop.create_task(loop.shutdown_asyncgens(), name="shutdown"))
    gc.collect(YOUNG)
    if loop.refused:
        raise loop.refused[0]
    left = [describe_task(task) for task in loop.tasks()] + loop.network.left_open()
    if left:
        raise LeftBehind("still there after the run:\n  " + "\n  ".join(left))
    if loop.errors:
        messages = [f"{context.get('message')}: {context.get('exception')!r}" for context in loop.errors]
        raise UnhandledErrors("\n  ".join(messages)) from loop.errors[0].get("exception")


def _abandon_everything(loop: SimulatedLoop) -> None:
    """After a failure: cancels what there is, and drops what refuses."""
    for _ in range(CANCEL_ROUNDS):
        tasks = loop.tasks()
        if not tasks:
            break
        for task in tasks:
            task.cancel()
        with suppress(SimulationFailed, asyncio.CancelledError):  # an operator that ends may cancel every task that it sees
            loop.run_until_complete(loop.create_task(asyncio.sleep(SETTLE_SECONDS), name="settle"))
    for task in loop.tasks():
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        coroutine = task.get_coro()
        if coroutine is not None:
            with suppress(BaseException):
                coroutine.close()


@contextmanager
def _collector_off() -> Iterator[None]:
    """The loop collects at steps of its own choice: finalizers act, and must act at the same step in every process.

    What a run leaves is old by its end, where Python looks too rarely for runs in which it may not look at all: 4 MB each would add up.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if next(_runs) % WHOLE_COLLECTION_EVERY_RUNS == 0:
            gc.collect()
        if enabled:
            gc.enable()
