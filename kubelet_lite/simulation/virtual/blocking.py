"""What would block the only thread of a simulation: refused with its place where it would have to wait, and as it is where it would not.

Real time does not pass in a step, and nobody else runs: whoever waits within one, for a lock that is held, for a file descriptor, for a
process, waits for ever or, with a limit, for nothing. Asking again and again without waiting is counted by the loop (`loop.look`).
"""
from __future__ import annotations

import _queue
import _thread
import asyncio
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.from_thread

from kubelet_lite.simulation.virtual.refusal import Looped, refusing

if TYPE_CHECKING:
    pass

OTHER_THREADS_SECONDS: Final = 5.0
"""Real ones: so long a lock may be held by a thread that is no part of the simulation (a test runner's, another simulation's)."""
NO_LOCK: Final = "one thread has taken it and is to release it itself: use asyncio.Lock, or release it before the next await"
NO_THREAD: Final = "use asyncio.Event, asyncio.Queue, or await the future"
NO_READING: Final = "a simulation has one thread, and a network in memory: use streams or protocols (asyncio.open_connection)"
NO_SIGNAL: Final = "use loop.add_signal_handler, or asyncio.timeout"
ONE_LOOP: Final = "a simulation has one thread and one event loop: await it there, or make the function async"
NO_CHILD: Final = "a simulation has no other processes"


# ---- threads


_real_acquire, _real_wait = _thread.LockType.acquire, threading.Condition.wait


def _acquire(world: Looped, lock: _thread.LockType, blocking: bool = True, timeout: float = -1) -> bool:
    if not blocking or timeout == 0:
        taken = _real_acquire(lock, blocking, timeout)
        if not taken:
            world.loop.look()
        return taken
    if _real_acquire(lock, False):
        return True
    patience = OTHER_THREADS_SECONDS if timeout < 0 else min(timeout, OTHER_THREADS_SECONDS)
    if len(sys._current_frames()) > 1 and _real_acquire(lock, True, patience):
        return True
    raise world.loop.refuse("a lock is held that nobody can release", NO_LOCK)


def _wait(world: Looped, condition: threading.Condition, timeout: float | None = None) -> bool:
    if timeout is None or timeout > 0:
        raise world.loop.refuse("nothing can wait for another thread", NO_THREAD)
    world.loop.look()
    return _real_wait(condition, timeout)


def _get(world: Looped, queue: _queue.SimpleQueue[Any], block: bool = True, timeout: float | None = None) -> Any:
    try:
        return queue.get_nowait()
    except _queue.Empty:
        if block and timeout != 0:
            raise world.loop.refuse("nothing can wait for another thread", NO_THREAD) from None
        world.loop.look()
        raise


def _sleep(world: Looped, seconds: float) -> None:
    if seconds != 0:
        raise world.loop.refuse(f"time.sleep({seconds!r}) would stop everything", "await asyncio.sleep")
    world.loop.look()


# ---- file descriptors and processes


def _polling(what: str, real: Callable[..., Any], position: int) -> Callable[..., Any]:
    """A function that waits unless its timeout, the argument of that position, is 0."""

    def poll(world: Looped, *args: Any, **kwargs: Any) -> Any:
        timeout = args[position] if len(args) > position else kwargs.get("timeout")
        if timeout is None or timeout != 0:
            raise world.loop.refuse(f"{what} would stop everything", NO_READING)
        world.loop.look()
        return real(*args, **kwargs)

    return poll


def _waiting(what: str, real: Callable[..., Any]) -> Callable[..., Any]:
    """A function that waits for a child unless the options, its last argument, say otherwise."""

    def wait(world: Looped, *args: Any) -> Any:
        if not (args and args[-1] & os.WNOHANG):
            raise world.loop.refuse(f"{what} would stop everything", NO_CHILD)
        world.loop.look()
        return real(*args)

    return wait


def _alarm(off: object) -> Callable[..., Any]:
    """Switching an alarm off is all that can be asked for: the real one is the test's."""

    def alarm(world: Looped, *args: Any) -> Any:
        if any(args[-2:]):
            raise world.loop.refuse("no real alarm can be set", NO_SIGNAL)
        return off

    return alarm


# ---- other event loops


def _running(real: Callable[..., Any]) -> Callable[..., Any]:

    def run(world: Looped, loop: asyncio.BaseEventLoop, *args: Any) -> Any:
        return real(loop, *args) if loop is world.loop else _run_other(world, loop, *args)

    return run


_run_other: Final = refusing("no other event loop can run", ONE_LOOP)
_Poll = type(select.poll())

BLOCKING_FUNCTIONS: Final[dict[Callable[..., Any], Callable[..., Any]]] = {
    time.sleep: _sleep,
    select.select: _polling("select.select", select.select, 3),
    **{function: _waiting(f"os.{function.__name__}", function) for function in (os.waitpid, os.wait3, os.wait4, os.waitid)},
    os.wait: refusing("os.wait would stop everything", NO_CHILD),
    **{function: refusing(f"signal.{function.__name__} would stop everything", NO_SIGNAL) for function in (
        signal.pause, signal.sigwait, signal.sigwaitinfo, signal.sigtimedwait,
    )},
    signal.alarm: _alarm(0),
    signal.setitimer: _alarm((0.0, 0.0)),
    **dict.fromkeys((asyncio.run, anyio.run, anyio.from_thread.run), _run_other),
}

BLOCKING_METHODS: Final[tuple[tuple[type, str, Callable[..., Any]], ...]] = (
    (_thread.LockType, "acquire", _acquire),
    (_thread.LockType, "__enter__", _acquire),
    (threading.Condition, "wait", _wait),
    (_queue.SimpleQueue, "get", _get),
    (_Poll, "poll", _polling("poll", _Poll.poll, 1)),
    (select.epoll, "poll", _polling("epoll.poll", select.epoll.poll, 1)),
    (asyncio.Runner, "run", _run_other),
    *((asyncio.BaseEventLoop, name, _running(getattr(asyncio.BaseEventLoop, name))) for name in ("run_forever", "run_until_complete")),
    *((socket.socket, name, refusing(f"socket.{name} would stop everything", NO_READING)) for name in (
        "accept", "recv", "recv_into", "recvfrom", "recvfrom_into", "recvmsg", "recvmsg_into",
    )),
)
