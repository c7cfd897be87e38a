"""An asyncio event loop in virtual time, the same in every process: time jumps when nothing is ready, nothing leaves the process.

What asyncio leaves to chance is made certain: timers that tie fire in the order they were set, tasks and futures hash by serial number
(a set is ordered by hash), libraries' own sets are in the order of insertion, executors run at once, sockets are in memory.
"""
from __future__ import annotations

import asyncio
import collections
import contextvars
import gc
import heapq
import inspect
import itertools
import threading
from asyncio import all_tasks  # by name: in user code asyncio.all_tasks is another
from collections.abc import Callable, Coroutine, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final, TypeVar, TypeVarTuple

from anyio._backends._asyncio import CancelScope

from kubelet_lite.simulation.errors import NothingCanHappen, NotSimulated, Spinning, TimeLimitExceeded
from kubelet_lite.simulation.virtual.network import Network, SimulatedServer
from kubelet_lite.simulation.virtual.ordered_sets import OrderedWeakSet, ordered_sets
from kubelet_lite.simulation.virtual.process import IN_PROGRAM, Process, ProgramProcess, current_process, name_of
from kubelet_lite.simulation.virtual.refusal import is_importing, place, place_of, refuses
from kubelet_lite.simulation.virtual.tape import Tape
from kubelet_lite.simulation.virtual.transports import DatagramTransport, StreamTransport

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

SPIN_LIMIT: Final = 1_000_000
"""Steps at one instant of virtual time: ten thousand pods at once take some hundred thousand."""
LOOK_LIMIT: Final = 1_000_000
"""Looks at the clock within one step. Time stands still meanwhile: whoever looks more often than this waits for it to pass."""
SPIN_SAMPLE: Final = 1_000
"""Steps watched, once the limit is reached, to see which tasks take them."""
CULPRITS: Final = 5
"""Tasks named in a message."""
SMALLEST_WAIT_SECONDS: Final = 1e-9
"""Time moves by so much at least: whoever waits for the rest of a wait, lost in rounding, does not wait for ever."""
COLLECT_EVERY_STEPS: Final = 200_000
"""The cyclic collector runs finalizers: it runs at the same steps in every process."""
YOUNG: Final = 1
"""The generations collected: all that was made since the last time. Older objects would cost time in every short run."""
MANY_CANCELLED_TIMERS: Final = 100
"""With more than this, and more than half of all, the heap is rebuilt without them."""


class SimulatedFuture(asyncio.Future[Any]):
    """A future whose hash is its serial number."""

    __slots__ = ("_serial",)
    _serial: int

    def __hash__(self) -> int:
        return self._serial


class SimulatedTask(asyncio.Task[Any]):
    """A task whose hash is its serial number. Its text is short: anyio makes it at each cancellation."""

    __slots__ = ("_serial", "context")
    _serial: int
    context: contextvars.Context

    def __hash__(self) -> int:
        return self._serial

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.get_name()}>"


class _Step(asyncio.Handle):
    """A handle that does not look whether the loop is debugged: every step of a simulation has one."""

    __slots__ = ()

    def __init__(self, callback: Any, args: Any, loop: SimulatedLoop, context: contextvars.Context | None) -> None:
        self._context = contextvars.copy_context() if context is None else context
        self._loop, self._callback, self._args = loop, callback, args
        self._cancelled, self._repr, self._source_traceback = False, None, None


class _Timer(asyncio.TimerHandle):
    """Likewise."""

    __slots__ = ()

    def __init__(self, when: float, callback: Any, args: Any, loop: SimulatedLoop, context: contextvars.Context | None) -> None:
        self._context = contextvars.copy_context() if context is None else context
        self._loop, self._callback, self._args = loop, callback, args
        self._cancelled, self._repr, self._source_traceback = False, None, None
        self._when, self._scheduled = when, True

    def cancel(self) -> None:
        if not self._cancelled:
            self._loop._timer_cancelled_count += self._scheduled
            self._cancelled = True
            self._callback, self._args = None, ()


@refuses
class SimulatedLoop(asyncio.BaseEventLoop):
    """One simulated machine. What it leaves to chance is on its tape: with `order_chance`, at each turn, which ready task goes first."""

    _ready: collections.deque[asyncio.Handle]
    _scheduled: list[tuple[float, int, asyncio.TimerHandle]]
    _stopping: bool
    _check_closed: Callable[[], None]
    _timer_cancelled_count: int

    def __init__(
        self, tape: Tape | None = None, *, spin_limit: int = SPIN_LIMIT, limit_seconds: float | None = None, order_chance: float = 0.0,
    ) -> None:
        super().__init__()
        self.tape = Tape(0) if tape is None else tape
        self._order_chance = order_chance
        self._asyncgens = OrderedWeakSet()  # instead of one in the order of addresses
        self._now = 0.0
        self._limit_seconds = limit_seconds
        self._serials = itertools.count(1)
        self._spin_limit = spin_limit
        self._steps_now = 0
        self._steps = 0
        self._looks = 0
        self.before_step: list[Callable[[asyncio.Handle], None]] = []
        """Called with each callback before it runs: for what disturbs a run from outside."""
        self.before_time_passes: list[Callable[[], None]] = []
        """Called when nothing more happens at an instant: for what looks at a run from outside."""
        self.errors: list[dict[str, Any]] = []
        self.set_exception_handler(lambda _, context: self.errors.append(context))
        self.network = Network(self, self.tape.random("network"), self.refuse)
        self.refused: list[NotSimulated] = []
        """All refusals so far: user code may have swallowed them."""
        self.surroundings: Callable[[], AbstractContextManager[None]] = nullcontext
        """Entered for as long as the loop runs."""
        self._outside = Process(self)
        self.programs: list[ProgramProcess] = []
        """Those that run."""

    # ---- time and steps

    def time(self) -> float:
        self._looks += 1
        if self._looks > LOOK_LIMIT:
            self._report_looking()
        return self._now

    def look(self) -> None:
        """Called when somebody asks, without waiting, whether something has happened meanwhile: nothing has."""
        self.time()

    @property
    def steps(self) -> int:
        """Callbacks run so far."""
        return self._steps

    def call_at(self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: contextvars.Context | None = None) -> asyncio.TimerHandle:
        self._check_closed()
        timer = _Timer(when, callback, args, self, context)
        heapq.heappush(self._scheduled, (when, next(self._serials), timer))
        return timer

    def call_soon(self, callback: Callable[[*Ts], object], *args: *Ts, context: contextvars.Context | None = None) -> asyncio.Handle:
        """As asyncio's, without its looks at threads and debugging: most of what a loop does for a step is this."""
        self._check_closed()
        handle = _Step(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def _run_once(self) -> None:
        """One turn of the loop, called by `run_forever`: all that is ready, or else what comes next in time."""
        ready = self._ready
        if not ready and not self._stopping:
            self._advance()
        if self._order_chance and len(ready) > 1:
            self._decide_order()
        for _ in range(len(ready)):
            handle = ready.popleft()
            if handle._cancelled:
                continue
            self._steps += 1
            self._steps_now += 1
            if self._steps_now > self._spin_limit:
                self._report_spinning(handle)
            if self._steps % COLLECT_EVERY_STEPS == 0:
                gc.collect(YOUNG)
            self._looks = 0
            for disturb in self.before_step:
                disturb(handle)
            try:
                handle._run()
            except SystemExit as error:
                self._end_process(handle, error)

    def _advance(self) -> None:
        """Moves time to the next timer and makes ready whatever is due then."""
        for look in self.before_time_passes:
            look()
        self._forget_cancelled_timers()
        timers = self._scheduled
        if not timers:
            raise NothingCanHappen(f"no timer is set and every task waits:\n{self.describe_tasks()}")
        when = timers[0][0]
        self._now = when if when > self._now else self._now + SMALLEST_WAIT_SECONDS
        self._steps_now = 0
        if self._limit_seconds is not None and self._now > self._limit_seconds:
            raise TimeLimitExceeded(f"not done after {self._limit_seconds:g} virtual seconds:\n{self.describe_tasks()}")
        while timers and timers[0][0] <= self._now:
            timer = heapq.heappop(timers)[2]
            timer._scheduled = False  # type: ignore[attr-defined]
            if timer.cancelled():
                self._timer_cancelled_count -= 1
            else:
                self._ready.append(timer)

    def _decide_order(self) -> None:
        """Lets another task go first. Callbacks that belong to no task keep their order: asyncio promises it, and protocols rely on it."""
        ready = self._ready
        chosen = self.tape.decide("order", len(ready), self._order_chance)
        if chosen and isinstance(callback_owner(ready[chosen]), asyncio.Task):
            handle = ready[chosen]
            del ready[chosen]
            ready.appendleft(handle)

    def _forget_cancelled_timers(self) -> None:
        timers = self._scheduled
        if self._timer_cancelled_count > MANY_CANCELLED_TIMERS and 2 * self._timer_cancelled_count > len(timers):
            for _, _, timer in timers:
                timer._scheduled = not timer.cancelled()  # type: ignore[attr-defined]
            timers[:] = [entry for entry in timers if not entry[2].cancelled()]
            heapq.heapify(timers)
            self._timer_cancelled_count = 0
        while timers and timers[0][2].cancelled():
            heapq.heappop(timers)[2]._scheduled = False  # type: ignore[attr-defined]
            self._timer_cancelled_count -= 1

    # ---- tasks, futures and executors

    def create_future(self) -> SimulatedFuture:
        future = SimulatedFuture(loop=self)
        future._serial = next(self._serials)
        return future

    def create_task(
        self, coro: Coroutine[Any, Any, T] | Generator[Any, None, T], *, name: object = None, context: contextvars.Context | None = None
    ) -> asyncio.Task[T]:
        self._check_closed()
        serial = next(self._serials)
        task = SimulatedTask.__new__(SimulatedTask)
        task._serial = serial  # before the constructor, which puts the task into a set
        task.context = contextvars.copy_context() if context is None else context
        task.__init__(coro, loop=self, name=f"task-{serial}" if name is None else str(name), context=task.context)  # type: ignore[misc]
        return task

    def run_in_executor(self, executor: Any, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """Runs the function at once in this thread; whoever awaits it hears of it a turn later."""
        self._check_closed()
        future = self.create_future()
        try:
            result = func(*args)
        except Exception as error:
            self.call_soon(_fail, future, error)
        else:
            self.call_soon(_succeed, future, result)
        return future

    async def shutdown_default_executor(self) -> None:
        """There is none."""

    def call_soon_threadsafe(self, callback: Callable[[*Ts], object], *args: *Ts, context: contextvars.Context | None = None) -> asyncio.Handle:
        if threading.get_ident() != self._thread_id:  # type: ignore[attr-defined]
            raise RuntimeError("a simulation has one thread")
        return self.call_soon(callback, *args, context=context)

    def run_forever(self) -> None:
        with ordered_sets(), self.surroundings():
            super().run_forever()

    def close(self) -> None:
        self.network.close()
        super().close()

    # ---- sockets: all of it is the network's

    async def create_connection(self, protocol_factory: Callable[[], Any], host: Any = None, port: Any = None, **options: Any) -> Any:
        return await self.network.create_connection(protocol_factory, host, port, **options)

    async def create_server(self, protocol_factory: Callable[[], Any], host: Any = None, port: Any = None, **options: Any) -> Any:
        return self.network.create_server(protocol_factory, host, port, **options)

    async def create_datagram_endpoint(self, protocol_factory: Callable[[], Any], local_addr: Any = None, remote_addr: Any = None, **options: Any) -> Any:
        return self.network.create_datagram_endpoint(protocol_factory, local_addr, remote_addr, **options)

    async def getaddrinfo(self, host: Any, port: Any, *, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0) -> Any:
        return self.network.resolve(host, port, family=family, kind=type, protocol=proto, flags=flags)

    async def getnameinfo(self, sockaddr: Any, flags: int = 0) -> tuple[str, str]:
        return str(sockaddr[0]), str(sockaddr[1])

    async def sock_connect(self, sock: Any, address: Any) -> None:
        await self.network.sock_connect(sock, address)

    # ---- what it refuses

    def refuse(self, what: str, instead: str, where: str | None = None) -> NotSimulated:
        """The error to raise. While a module is imported it is not remembered: many try what there is, and do without."""
        error = NotSimulated(f"{what} in a simulation, {where or place()}: {instead}")
        if not is_importing():
            self.refused.append(error)
        return error

    # ---- processes and signals

    @property
    def process(self) -> Process:
        """The one in which this code is."""
        return current_process.get() or self._outside

    def add_signal_handler(self, sig: int, callback: Callable[[*Ts], object], *args: *Ts) -> None:
        try:
            self.process.handle(sig, _Step(callback, args, self, None))
        except OSError as error:
            raise RuntimeError(f"sig {sig} cannot be caught") from error

    def remove_signal_handler(self, sig: int) -> bool:
        return isinstance(self.process.handler(sig), asyncio.Handle) and self.process.unhandle(sig)

    def send_signal(self, sig: int) -> None:
        """A signal to whoever handles it: this process, or else those programs that do. Raises LookupError when nobody does."""
        if self.process.handles(sig):
            self.process.receive(sig)
            return
        handling = [program for program in self.programs if program.handles(sig)]
        if not handling:
            raise LookupError(f"nobody handles {name_of(sig)}")
        for program in handling:
            program.send(sig)

    def forget_timers(self, process: ProgramProcess) -> None:
        """No timer that was set in that process fires any more."""
        _cancel(process, (timer for _, _, timer in self._scheduled))
        _cancel(process, (handle for handle in self._ready if isinstance(handle, asyncio.TimerHandle)))

    def forget_callbacks(self, process: ProgramProcess) -> None:
        """Nothing that was left to do in that process, whose tasks have ended, is done any more."""
        self.forget_timers(process)
        _cancel(process, self._ready)

    def _end_process(self, handle: asyncio.Handle, error: SystemExit) -> None:
        """A callback has ended with SystemExit: so does its process."""
        process = handle._context.get(current_process)  # type: ignore[attr-defined]
        if process is None:
            raise self.refuse(f"{error!r} would end the test itself", IN_PROGRAM, place_of(error)) from error
        process.exited(error.code, f"{error!r}, {place_of(error)}")

    # ---- messages

    def describe_tasks(self) -> str:
        """One line for each task that is not done: its name and where it waits."""
        return "\n".join(f"  {describe_task(task)}" for task in self.tasks()) or "  (no task)"

    def tasks(self) -> list[SimulatedTask]:
        """All that are not done, whosever they are, in the order in which they were made."""
        return sorted((task for task in all_tasks(self) if isinstance(task, SimulatedTask)), key=hash)

    def _report_looking(self) -> None:
        self._looks = 0
        raise self.refuse(
            f"whoever waits without an await ({LOOK_LIMIT:,} looks in one step, at a clock or a lock) waits for ever", "await asyncio.sleep, or an event",
        )

    def _report_spinning(self, handle: asyncio.Handle) -> None:
        """Watches some more steps, then names whoever takes them."""
        taken: collections.Counter[str] = collections.Counter()
        refusing: dict[str, None] = {}
        for _ in range(SPIN_SAMPLE):
            owner = callback_owner(handle)
            if isinstance(owner, asyncio.Task):
                taken[owner.get_name()] += 1
            elif isinstance(owner, CancelScope):
                refusing.update(dict.fromkeys(task.get_name() for task in _tasks_within(owner)))
            if not handle.cancelled():
                handle._run()
            if not self._ready:
                break
            handle = self._ready.popleft()
        names = ", ".join(f"{name} ({count} of {SPIN_SAMPLE} steps)" for name, count in taken.most_common(CULPRITS)) or "callbacks of no task"
        message = f"{self._steps_now} steps at {self._now:g} s, taken by {names}"
        if refusing:
            message += f"; cancelled, but not ending: {', '.join(list(refusing)[:CULPRITS])}"
        raise Spinning(f"{message}\n{self.describe_tasks()}")


def callback_owner(handle: asyncio.Handle) -> object:
    """The object whose method a callback is; for a task's step the task."""
    return getattr(handle._callback, "__self__", None)  # type: ignore[attr-defined]


def _cancel(process: ProgramProcess, handles: Iterable[asyncio.Handle]) -> None:
    """Those of that process but for the steps of its tasks, and for what the network does: packets arrive, and connections end."""
    for handle in handles:
        belongs = handle._context.get(current_process) is process  # type: ignore[attr-defined]
        if belongs and not isinstance(callback_owner(handle), asyncio.Task | StreamTransport | DatagramTransport | SimulatedServer):
            handle.cancel()


def describe_task(task: asyncio.Task[Any]) -> str:
    """A task's name, the functions it is in, outermost first, and the line at which it waits."""
    coroutine: Any = task.get_coro()
    frames = []
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "gi_frame", None) or getattr(coroutine, "ag_frame", None)
        if frame is not None:
            frames.append(frame)
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "gi_yieldfrom", None) or getattr(coroutine, "ag_await", None)
    if not frames:
        return task.get_name()
    way = " > ".join(frame.f_code.co_qualname.rpartition("<locals>.")[2] for frame in frames)
    module = inspect.getmodulename(frames[-1].f_code.co_filename)
    return f"{task.get_name()}: waits in {way} ({module}.py:{frames[-1].f_lineno})"


def _tasks_within(scope: CancelScope) -> Iterator[asyncio.Task[Any]]:
    for task in scope._tasks:
        if not task.done():
            yield task
    for child in scope._child_scopes:
        if not child._shield:
            yield from _tasks_within(child)


def _succeed(future: asyncio.Future[T], result: T) -> None:
    if not future.cancelled():
        future.set_result(result)


def _fail(future: asyncio.Future[Any], error: BaseException) -> None:
    if not future.cancelled():
        future.set_exception(error)
