"""The world around user code: while a simulated loop runs, its thread sees that simulation's clocks, randomness, names and network.

Virtual: `time`, `datetime`, `random`, `uuid`, `secrets`, `os.urandom`, names of hosts, worker threads of asyncio and anyio (which run at
once), signals and exits (`process.py`). What cannot be virtual raises NotSimulated: the table `REFUSED`, and what would have to wait
(`blocking.py`). Files, environment variables and process ids are the real ones. Other threads see nothing of it, and nothing of it is left.
"""
from __future__ import annotations

import _posixsubprocess
import asyncio
import os
import random
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import Context, copy_context
from functools import cache, partial
from typing import Any, Final, cast

from anyio import CapacityLimiter
from anyio._backends._asyncio import AsyncIOBackend

from kubelet_lite.actors.actor import current_incarnation
from kubelet_lite.simulation.virtual.blocking import BLOCKING_FUNCTIONS, BLOCKING_METHODS
from kubelet_lite.simulation.virtual.environment import SimulatedEnvironment
from kubelet_lite.simulation.virtual.libraries import Libraries
from kubelet_lite.simulation.virtual.loop import SimulatedTask
from kubelet_lite.simulation.virtual.patches import Attribute, Builtin, Names, Patch, Patches, Replaced, Visits
from kubelet_lite.simulation.virtual.process import PROCESS_FUNCTIONS, current_process
from kubelet_lite.simulation.virtual.refusal import NO_PROCESS, is_importing, refusing

HOST_NAME: Final = "simulated"
NANOSECONDS: Final = 1_000_000_000
LOCALLY_ADMINISTERED: Final = 0x0100_0000_0000
"""The bit of a node number that no network card has, as RFC 9562 wants of invented ones."""
ASYNCHRONOUS: Final = "a simulation has one thread: use an asynchronous client (aiohttp, httpx.AsyncClient, kr8s.asyncio, kubernetes_asyncio)"
IN_LOOP: Final = "a simulation has one thread: await the work, or hand it to asyncio.to_thread, which runs it at once"
_visits: Final = Visits["World"]()
_real_as_completed, _real_all_tasks = asyncio.as_completed, asyncio.all_tasks


class World:
    """One simulation's, as the code in it sees it."""

    def __init__(self, environment: SimulatedEnvironment) -> None:
        self._environment = environment
        self.loop = environment.loop
        self.network = environment.loop.network
        self.random = environment.tape.random("user random")
        """What the functions of `random` draw from."""
        self._entropy = environment.tape.random("user entropy")
        self._entropy_of_imports = environment.tape.random("user entropy of imports")
        self.node = LOCALLY_ADMINISTERED | self._entropy.getrandbits(40)

    @property
    def entropy(self) -> random.Random:
        """What would come from the operating system. A module is imported once in a process: what it draws then moves nobody else's numbers."""
        return self._entropy_of_imports if is_importing() else self._entropy

    def monotonic(self) -> float:
        return self._environment.monotonic()

    def nanoseconds(self) -> int:
        """Unix time, by the clock of the program that asks: it may be wrong (ClockJump)."""
        process = current_process.get()
        return _nanoseconds((self._environment if process is None else self._environment.of(process.incarnation.actor)).now())


@contextmanager
def virtual_world(environment: SimulatedEnvironment) -> Iterator[None]:
    """Within the block the thread that runs the environment's loop is, for as long as it runs, in a world of that simulation's."""
    world = World(environment)
    loop = environment.loop
    with _patches().installed():
        before, loop.surroundings = loop.surroundings, partial(_visit, world)
        try:
            yield
        finally:
            loop.surroundings = before


def _visit(world: World) -> AbstractContextManager[None]:
    return _visits.visit(world)


def _nanoseconds(seconds: float) -> int:
    whole = int(seconds)
    return whole * NANOSECONDS + round((seconds - whole) * NANOSECONDS)


# ---- what is another function within


@cache
def _patches() -> Patches:
    """Made when the first world is: it looks at every module that there is."""
    refused = {function: refusing(what, instead) for function, what, instead in REFUSED}
    functions = {**_FUNCTIONS, **PROCESS_FUNCTIONS, **BLOCKING_FUNCTIONS, **_random_functions(), **refused}
    return Patches((_WallClock(), *_clocks(), Names(_visits, functions), *_methods()))


class _WallClock(Patch):
    """`time.time`, `datetime.now`, `gmtime()` and their like are time-machine's business: it goes by this clock."""

    def install(self) -> None:
        try:
            import time_machine
        except ImportError as error:
            raise ImportError("to simulate user code, install kubelet-lite[testing]") from error
        real = time_machine.escape_hatch.time.time_ns

        def time_ns() -> int:
            world = _visits.here()
            return real() if world is None else world.nanoseconds()

        self._travel = time_machine.travel(0, tick=False)
        self._travel.start().time_ns = time_ns  # type: ignore[method-assign]

    def remove(self) -> None:
        self._travel.stop()


def _clocks() -> Iterator[Patch]:
    """time-machine leaves these alone, since a real event loop would stand still without them; ours are virtual in one thread only."""
    for function in (time.monotonic, time.perf_counter):
        yield Builtin(_visits, function, World.monotonic)
    for function_ns in (time.monotonic_ns, time.perf_counter_ns):
        yield Builtin(_visits, function_ns, lambda world: _nanoseconds(world.monotonic()))


def _random_functions() -> dict[Callable[..., Any], Callable[..., Any]]:
    """`random.random` and its like: methods of one hidden generator. In a world, of that world's."""

    def method(name: str) -> Callable[..., Any]:
        return lambda world, *args, **kwargs: getattr(world.random, name)(*args, **kwargs)

    hidden = cast(Any, random)._inst
    methods = {name: value for name, value in vars(random).items() if getattr(value, "__self__", None) is hidden}
    return {function: method(name) for name, function in methods.items()}


class _RealRandom(random.Random):
    """Draws from the operating system, in a simulation too."""

    seed = random.Random.seed


def _seed(world: World, generator: random.Random, a: Any = None, version: int = 2) -> None:
    _RealRandom.seed(cast(_RealRandom, generator), world.entropy.getrandbits(128) if a is None else a, version)


def _methods() -> Iterator[Patch]:
    yield Attribute(_visits, random.Random, "seed", _seed)
    yield Replaced(tempfile, "_Random", _RealRandom)  # files are real, and simulations of the same seed run side by side
    yield Attribute(_visits, AsyncIOBackend, "run_sync_in_worker_thread", _run_in_no_thread)
    yield Attribute(_visits, ssl.SSLContext, "load_verify_locations", _load_no_certificates)
    yield Attribute(_visits, ssl.SSLContext, "set_default_verify_paths", lambda world, context: None)
    for owner, name, what, instead in REFUSED_METHODS:
        yield Attribute(_visits, owner, name, refusing(what, instead))
    for owner, name, virtual in BLOCKING_METHODS:
        yield Attribute(_visits, owner, name, virtual)
    yield Libraries(_visits)


async def _run_in_no_thread(
    world: World, backend: type[AsyncIOBackend], func: Callable[..., Any], args: tuple[Any, ...], abandon_on_cancel: bool = False,
    limiter: CapacityLimiter | None = None,
) -> Any:
    """As anyio.to_thread.run_sync: at once. Nothing can be abandoned, since nothing takes time."""
    await backend.checkpoint()
    async with limiter or backend.current_default_thread_limiter():
        return copy_context().run(func, *args)


def _urandom(world: World, size: int, flags: int = 0) -> bytes:
    if size < 0:
        raise ValueError("negative argument not allowed")
    return world.entropy.randbytes(size)


def _resolve(world: World, host: Any, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0) -> Any:
    """A blocking lookup is the first that a blocking client does: of a name that nobody here has it is refused, as the connection would be."""
    try:
        return world.network.resolve(host, port, family=family, kind=type, protocol=proto, flags=flags)
    except socket.gaierror:
        raise world.loop.refuse(f"no name can be looked up outside ({host!r})", f"give it an address in loop.network.names; {ASYNCHRONOUS}") from None


def _address(world: World, name: str) -> str:
    return str(_resolve(world, name, 0, socket.AF_INET)[0][4][0])


def _as_completed(world: World, fs: Iterable[Any], *, timeout: float | None = None) -> Any:
    """As asyncio.as_completed, which begins with the futures in the order of their addresses; here a set of coroutines has one too."""
    ordered = sorted(fs, key=_shown) if isinstance(fs, (set, frozenset)) else list(fs)
    return _real_as_completed([asyncio.ensure_future(each, loop=world.loop) for each in ordered], timeout=timeout)


def _all_tasks(world: World, loop: asyncio.AbstractEventLoop | None = None) -> set[asyncio.Task[Any]]:
    """As asyncio.all_tasks: those of the program that asks. Some cancel all that they see when they end, as if the loop were theirs."""
    asking = _owner(copy_context())
    tasks = _real_all_tasks(world.loop if loop is None else loop)
    return {task for task in tasks if isinstance(task, SimulatedTask) and _owner(task.context) == asking}


def _owner(context: Context) -> tuple[object, object]:
    return context.get(current_incarnation), context.get(current_process)


def _shown(awaitable: Any) -> tuple[str, str]:
    """What a coroutine is and was called with, as far as it says so in every process the same way; of a task, which one."""
    frame = getattr(awaitable, "cr_frame", None)
    if frame is None:
        return "", f"{hash(awaitable):020d}"
    plain = {name: value for name, value in frame.f_locals.items() if isinstance(value, str | int | float | bytes | bool | None)}
    return frame.f_code.co_qualname, repr(plain)


_FUNCTIONS: Final[dict[Callable[..., Any], Callable[..., Any]]] = {
    os.urandom: _urandom,
    os.getrandom: _urandom,
    ssl.RAND_bytes: _urandom,
    uuid.getnode: lambda world: world.node,
    socket.getaddrinfo: _resolve,
    socket.gethostbyname: _address,
    socket.gethostbyname_ex: lambda world, name: (name, [], [_address(world, name)]),
    socket.getnameinfo: lambda world, sockaddr, flags: (str(sockaddr[0]), str(sockaddr[1])),
    socket.gethostname: lambda world: HOST_NAME,
    socket.getfqdn: lambda world, name="": name or HOST_NAME,
    asyncio.as_completed: _as_completed,
    asyncio.all_tasks: _all_tasks,
}


# ---- what is refused


REFUSED_METHODS: Final[tuple[tuple[type, str, str, str], ...]] = (
    (threading.Thread, "start", "no thread can be started", IN_LOOP),
    (socket.socket, "connect", "no real socket can be connected", ASYNCHRONOUS),
    (socket.socket, "connect_ex", "no real socket can be connected", ASYNCHRONOUS),
    (socket.socket, "bind", "no real socket can be bound", "listen through the loop (asyncio.start_server, aiohttp.web), with port 0 for any"),
    (socket.socket, "listen", "no real socket can listen", "listen through the loop (asyncio.start_server, aiohttp.web)"),
    (socket.socket, "sendto", "no real datagram can be sent", "use loop.create_datagram_endpoint"),
    (subprocess.Popen, "__init__", "no process can be started", NO_PROCESS),
)

REFUSED: Final[tuple[tuple[Callable[..., Any], str, str], ...]] = (
    (os.fork, "no process can be forked", NO_PROCESS),
    (os.forkpty, "no process can be forked", NO_PROCESS),
    (os.system, "no process can be started", NO_PROCESS),
    (os.posix_spawn, "no process can be started", NO_PROCESS),
    (os.posix_spawnp, "no process can be started", NO_PROCESS),
    (_posixsubprocess.fork_exec, "no process can be started", NO_PROCESS),
    (os.execv, "no process can become another", NO_PROCESS),
    (os.execve, "no process can become another", NO_PROCESS),
    (threading._start_new_thread, "no thread can be started", IN_LOOP),  # type: ignore[attr-defined]
)


def _load_no_certificates(world: World, context: ssl.SSLContext, cafile: Any = None, capath: Any = None, cadata: Any = None) -> None:
    """There is no TLS, but clients make ready for it: reading all authorities of a system takes longer than many a run."""
    for path in (cafile, capath):
        if path is not None:
            os.stat(path)
