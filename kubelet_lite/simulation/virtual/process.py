"""A program's process, as an operating system knows it: its signal handlers, and its end.

A signal that a program sends itself reaches its own handlers. What would end a process (SIGKILL, `os._exit`, `sys.exit`) ends the run of
that Program alone, and is a crash unless it exits with 0. Everything outside of a Program is the test itself: to end that is refused.
"""
from __future__ import annotations

import asyncio
import contextvars
import errno
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, NoReturn

from kubelet_lite.simulation.virtual.refusal import NO_PROCESS, Looped, place

if TYPE_CHECKING:
    from kubelet_lite.actors.actor import Incarnation
    from kubelet_lite.simulation.virtual.loop import SimulatedLoop

IGNORED_SIGNALS: Final = frozenset({signal.SIGCHLD, signal.SIGCONT, signal.SIGURG, signal.SIGWINCH})
"""Unless they are handled. https://man7.org/linux/man-pages/man7/signal.7.html"""
STOPPING_SIGNALS: Final = frozenset({signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU})
UNCATCHABLE_SIGNALS: Final = frozenset({signal.SIGKILL, signal.SIGSTOP})
DEFAULT_HANDLERS: Final = (signal.SIG_DFL, signal.SIG_IGN, signal.default_int_handler)
KILLED_CODE: Final = 128
"""The exit code of what a signal ended, as shells say it: this, and the signal's number."""
IN_PROGRAM: Final = "only a Program is a process of its own: supervisor.start(Program(name, main)) (kubelet_lite.simulation.virtual.program)"


class ProcessEnded(SystemExit):
    """Leaves the code that has ended its process, which does not go on."""


class ProgramDied(Exception):
    """A program has ended itself, and not with 0: to its supervisor, a crash."""


class Process:
    """All that is outside of programs."""

    def __init__(self, loop: SimulatedLoop) -> None:
        self._loop = loop
        self._handlers: dict[int, Any] = {}
        """A function as of signal.signal, a Handle as of loop.add_signal_handler, or SIG_IGN. What is not there is SIG_DFL."""

    def handler(self, number: int) -> Any:
        return self._handlers.get(number, signal.SIG_DFL)

    def handle(self, number: int, handler: Any) -> None:
        """Raises OSError for what cannot be handled, as signal.signal."""
        if number in UNCATCHABLE_SIGNALS or number not in signal.valid_signals():
            raise _invalid()
        self._handlers[number] = handler

    def unhandle(self, number: int) -> bool:
        return self._handlers.pop(number, None) is not None

    def handles(self, number: int) -> bool:
        return self.handler(number) not in DEFAULT_HANDLERS

    def receive(self, number: int) -> None:
        """A signal, in the process: the code that runs is interrupted by it."""
        if number not in signal.valid_signals():
            raise _invalid()
        handler = self.handler(number)
        if isinstance(handler, asyncio.Handle):
            self._loop._ready.append(handler)
        elif self.handles(number):
            handler(number, None)
        elif handler is not signal.SIG_IGN and number not in IGNORED_SIGNALS:
            name = name_of(number)
            if number in STOPPING_SIGNALS:
                raise self._loop.refuse(f"{name} cannot stop a process", "a program that is not there for a while is StopActor's business")
            self.end(KILLED_CODE + number, name)

    def end(self, code: int, what: str) -> NoReturn:
        """Ends it here and now, because of `what`."""
        raise self._loop.refuse(f"{what} would end the test itself", IN_PROGRAM)


class ProgramProcess(Process):
    """Of one run of a program."""

    def __init__(self, loop: SimulatedLoop, incarnation: Incarnation) -> None:
        super().__init__(loop)
        self.incarnation: Final = incarnation
        self.context: Final = contextvars.copy_context()
        self.context.run(current_process.set, self)
        self.ended: Final[asyncio.Future[None]] = loop.create_future()
        """Done when it has ended itself."""
        self.code: int | str | None = None
        """What it exited with then."""
        self.how = ""
        """Likewise, in words."""

    def send(self, number: int) -> None:
        """A signal from somebody else: it gets it at its next turn."""
        self._loop.call_soon(self.receive, number, context=self.context)

    def end(self, code: int, what: str) -> NoReturn:
        self.exited(code, f"{what}, {place()}")
        raise ProcessEnded(code)

    def exited(self, code: int | str | None, how: str) -> None:
        """Notes its end, unless that is known, and silences it."""
        if not self.ended.done():
            self.code, self.how = code, how
            self.ended.set_result(None)
            self.silence()

    def silence(self) -> None:
        """What it still does, until its tasks have ended, reaches nobody; its timers never fire."""
        self._loop.network.kill(self.incarnation)
        self._loop.forget_timers(self)


current_process: Final[ContextVar[ProgramProcess | None]] = ContextVar("current_process", default=None)
"""The process of the program in which this code is: the actor's own task, which runs the program, is not in it."""


def _invalid() -> OSError:
    return OSError(errno.EINVAL, os.strerror(errno.EINVAL))


def name_of(number: int) -> str:
    """Of a signal."""
    names = {each.value: each.name for each in signal.Signals}
    return names.get(number, f"signal {number}")


# ---- what the functions of the standard library are for a program


def _kill(world: Looped, pid: int, number: int) -> None:
    if not number:
        _real_kill(pid, number)  # asks whether there is such a process
    elif pid in (os.getpid(), 0, -os.getpgrp()):
        world.loop.process.receive(number)
    else:
        raise world.loop.refuse(f"no other process ({pid}) can be sent a signal", NO_PROCESS)


def _kill_group(world: Looped, group: int, number: int) -> None:
    _kill(world, -group or -os.getpgrp(), number)


def _kill_thread(world: Looped, thread: int, number: int) -> None:
    if thread != threading.get_ident():
        raise world.loop.refuse(f"no other thread ({thread}) can be sent a signal", NO_PROCESS)
    if number:
        world.loop.process.receive(number)


def _exit(world: Looped, status: Any = None) -> NoReturn:
    """In a program it is an exception like any other, until it reaches the loop."""
    if current_process.get() is None:
        world.loop.process.end(1, f"sys.exit({'' if status is None else repr(status)})")
    raise SystemExit(status)


def _handle(world: Looped, number: int, handler: Any) -> Any:
    process = world.loop.process
    before = process.handler(number)
    process.handle(number, handler)
    return before


_real_kill = os.kill

PROCESS_FUNCTIONS: Final[dict[Callable[..., Any], Callable[..., Any]]] = {
    os.kill: _kill,
    os.killpg: _kill_group,
    os._exit: lambda world, status: world.loop.process.end(status, f"os._exit({status})"),
    os.abort: lambda world: world.loop.process.end(KILLED_CODE + signal.SIGABRT, "os.abort()"),
    sys.exit: _exit,
    signal.raise_signal: lambda world, number: world.loop.process.receive(number),
    signal.pthread_kill: _kill_thread,
    signal.signal: _handle,
    signal.getsignal: lambda world, number: world.loop.process.handler(number),
}
