"""Runs actors in one task group and starts crashed ones again: exponential back-off with jitter, within a crash budget.

A crash is a log record and an `ActorCrashed`, never silence; an actor that crashes beyond its budget ends the supervisor, and with
it everything it runs. One-for-one as in Erlang/OTP: https://www.erlang.org/doc/system/sup_princ.html
"""
from __future__ import annotations

import asyncio
import collections
import math
import traceback
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Final

import anyio
import msgspec
from anyio.abc import TaskGroup

from kubelet_lite.actors import logs
from kubelet_lite.actors.actor import Actor, Incarnation, current_actor, current_incarnation
from kubelet_lite.actors.environment import Environment

FIRST_BACK_OFF_SECONDS: Final = 0.1
"""Most crashes come of a passing state: the first restart is quick."""
LONGEST_BACK_OFF_SECONDS: Final = 10.0
"""So that an actor is never away for longer than a node may miss heartbeats."""
JITTER: Final = 0.5
"""Up to this part of a back-off is left away by chance, so that what crashed together does not restart together."""
MAX_CRASHES: Final = 10
"""More crashes than this …"""
CRASH_WINDOW_SECONDS: Final = 120.0
"""… within this time are no accident. An actor that ran for so long without a crash starts from the first back-off."""

_log = logs.get_logger()


class ActorCrashed(msgspec.Struct, frozen=True, kw_only=True):
    """An actor raised. `restart_in_seconds` is None when it is not started again."""

    actor: str
    error: BaseException
    crashes: int
    restart_in_seconds: float | None


class CrashBudgetExceeded(Exception):
    """An actor crashed again and again; its last error is the cause of this one."""


class ActorKilled(Exception):
    """Somebody other than its supervisor cancelled the actor's run."""


class _Running:
    """One started actor. `crashed_at` holds the times of its crashes within the window, oldest first."""

    def __init__(self, actor: Actor) -> None:
        self.actor = actor
        self.scope = anyio.CancelScope()
        self.ended = anyio.Event()
        self.incarnation: Incarnation | None = None
        """None between a crash and the restart."""
        self.crashed_at: collections.deque[float] = collections.deque()
        self.crashes = 0


class Supervisor:
    """`async with Supervisor(environment) as supervisor`: leaving the block stops every actor, the last one started first."""

    def __init__(self, environment: Environment, on_crash: Callable[[ActorCrashed], None] | None = None) -> None:
        self._environment = environment
        self._on_crash = on_crash
        self._running: dict[str, _Running] = {}
        self._group: TaskGroup | None = None

    async def __aenter__(self) -> Supervisor:
        assert self._group is None, "a supervisor runs once"
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> bool | None:
        """An error of the block passes through as it is, not in a group."""
        assert self._group is not None
        try:
            if isinstance(error, asyncio.CancelledError):
                return await self._group.__aexit__(kind, error, trace)
            try:
                await self._stop_all()
            except asyncio.CancelledError as cancelled:
                return await self._group.__aexit__(type(cancelled), cancelled, cancelled.__traceback__)
            await self._group.__aexit__(None, None, None)
            return None
        except BaseExceptionGroup as group:
            if len(group.exceptions) == 1 and isinstance(group.exceptions[0], CrashBudgetExceeded):
                raise group.exceptions[0] from group.exceptions[0].__cause__
            raise

    def start(self, actor: Actor) -> None:
        """Starts an actor; its name is unique among those that run."""
        assert self._group is not None, "enter the supervisor first"
        assert actor.name not in self._running, f"actor {actor.name} runs already"
        running = self._running[actor.name] = _Running(actor)
        self._group.start_soon(self._supervise, running, name=actor.name)

    async def stop(self, actor: Actor) -> None:
        """Cancels an actor and waits until its last task has ended. Stopping one that does not run does nothing."""
        running = self._running.get(actor.name)
        if running is None or running.actor is not actor:
            return
        assert current_actor() != actor.name, "an actor ends by returning from run"
        running.scope.cancel()
        await running.ended.wait()

    def kill(self, name: str) -> bool:
        """Ends an actor's run wherever it waits: a crash like any other. False: it does not run now."""
        incarnation = self.incarnation_of(name)
        if incarnation is None:
            return False
        incarnation.kill()
        return True

    def incarnation_of(self, name: str) -> Incarnation | None:
        """An actor's present run; None between a crash and the restart, and of one that is not there."""
        running = self._running.get(name)
        return None if running is None else running.incarnation

    def running(self) -> tuple[Actor, ...]:
        """The actors that run or wait for a restart, in the order of their start."""
        return tuple(running.actor for running in self._running.values())

    def statistics(self) -> Mapping[str, Mapping[str, float]]:
        """Each running actor's own numbers and how often it crashed, by name."""
        return {name: {**running.actor.statistics(), "crashes": running.crashes} for name, running in self._running.items()}

    async def _stop_all(self) -> None:
        while self._running:
            _, running = next(reversed(self._running.items()))
            running.scope.cancel()
            await running.ended.wait()

    async def _supervise(self, running: _Running) -> None:
        name = running.actor.name
        current_incarnation.set(None)
        try:
            with running.scope:
                while (error := await self._crash_of(running)) is not None:
                    delay = self._record_crash(running, error)
                    if delay is None:
                        raise CrashBudgetExceeded(f"actor {name} crashed {len(running.crashed_at)} times in {CRASH_WINDOW_SECONDS:g} s") from error
                    await self._environment.sleep(delay)
        finally:
            del self._running[name]
            running.ended.set()

    async def _crash_of(self, running: _Running) -> BaseException | None:
        """Runs an actor once; what it crashed with, or None when it is done."""
        actor = running.actor
        incarnation = running.incarnation = Incarnation(actor.name)
        outside = current_incarnation.set(incarnation)
        try:
            with incarnation.scope:
                await actor.run()
            return ActorKilled(f"actor {actor.name} was killed") if incarnation.scope.cancel_called else None
        except (KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except asyncio.CancelledError as error:
            if anyio.current_effective_deadline() == -math.inf:
                raise
            return _killed_from_outside(actor, error)
        except BaseException as error:  # whatever an actor crashes with is the supervisor's business
            return error
        finally:
            running.incarnation = None
            current_incarnation.reset(outside)

    def _record_crash(self, running: _Running, error: BaseException) -> float | None:
        """Tells everybody; how long to wait before the restart, or None when the budget is spent."""
        now = self._environment.monotonic()
        recent = running.crashed_at
        while recent and now - recent[0] > CRASH_WINDOW_SECONDS:
            recent.popleft()
        recent.append(now)
        running.crashes += 1
        delay = None
        if len(recent) <= MAX_CRASHES:
            longest = min(LONGEST_BACK_OFF_SECONDS, FIRST_BACK_OFF_SECONDS * 2 ** (len(recent) - 1))
            delay = longest * (1 - JITTER * self._environment.random.random())
        name = running.actor.name
        _log.error(
            "actor_crashed", actor=name, crashes=running.crashes, restart_in_seconds=delay, error=repr(error),
            exception="".join(traceback.format_exception(error)),
        )
        if self._on_crash is not None:
            self._on_crash(ActorCrashed(actor=name, error=error, crashes=running.crashes, restart_in_seconds=delay))
        return delay


def _killed_from_outside(actor: Actor, cancelled: asyncio.CancelledError) -> ActorKilled:
    """Of a task that was cancelled past anyio; makes it fit to go on."""
    task = asyncio.current_task()
    while task is not None and task.cancelling():
        task.uncancel()
    killed = ActorKilled(f"the task of actor {actor.name} was cancelled")
    killed.__cause__ = cancelled
    return killed
