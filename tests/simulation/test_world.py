"""What code in a simulation sees of the world: each thing that is virtual, each that is refused, and that nothing of it stays."""
from __future__ import annotations

import asyncio
import datetime
import importlib
import inspect
import multiprocessing
import os
import queue
import random
import secrets
import select
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import uuid
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import date
from datetime import datetime as aliased_datetime
from os import urandom as aliased_urandom
from pathlib import Path
from random import choice as aliased_choice
from random import random as aliased_random
from time import monotonic as aliased_monotonic
from time import sleep as aliased_sleep
from time import time as aliased_time
from typing import Any, Final

import aiohttp
import anyio.from_thread
import anyio.to_thread
import httpx
import pytest
from aiohttp import web

from kubelet_lite.simulation.errors import NotSimulated
from kubelet_lite.simulation.virtual import loop as loop_module
from kubelet_lite.simulation.virtual.environment import EPOCH, SimulatedEnvironment
from kubelet_lite.simulation.virtual.run import simulate

UTC: Final = datetime.UTC
LOCK: Final = threading.Lock()
"""As modules have them: made long before any simulation."""
BEGIN: Final = datetime.datetime.fromtimestamp(EPOCH, UTC)


def kept_by_default(clock: Callable[[], float] = time.monotonic) -> float:
    return clock()


class Clock:
    read = time.perf_counter


CLOCKS: Final[dict[str, Callable[[], float]]] = {
    "time.time": lambda: time.time() - EPOCH,
    "time.time_ns": lambda: time.time_ns() / 1e9 - EPOCH,
    "from time import time": lambda: aliased_time() - EPOCH,
    "time.monotonic": lambda: time.monotonic(),
    "time.monotonic_ns": lambda: time.monotonic_ns() / 1e9,
    "time.perf_counter": lambda: time.perf_counter(),
    "time.perf_counter_ns": lambda: time.perf_counter_ns() / 1e9,
    "from time import monotonic": lambda: aliased_monotonic(),
    "a default argument": kept_by_default,
    "an attribute of a class": lambda: Clock.read(),
    "loop.time": lambda: asyncio.get_running_loop().time(),
    "datetime.now": lambda: (datetime.datetime.now(UTC) - BEGIN).total_seconds(),
    "datetime.utcnow": lambda: (datetime.datetime.utcnow() - BEGIN.replace(tzinfo=None)).total_seconds(),
    "from datetime import datetime": lambda: (aliased_datetime.now(UTC) - BEGIN).total_seconds(),
    "datetime.today": lambda: aliased_datetime.today().timestamp() - EPOCH,
    "time.gmtime": lambda: datetime.datetime(*time.gmtime()[:6], tzinfo=UTC).timestamp() - EPOCH,
    "time.localtime": lambda: time.mktime(time.localtime()) - EPOCH,
}

DRAWS: Final[dict[str, Callable[[], object]]] = {
    "random.random": lambda: random.random(),
    "from random import random": lambda: aliased_random(),
    "random.getrandbits": lambda: random.getrandbits(64),
    "random.sample": lambda: random.sample(range(10**9), 3),
    "random.gauss": lambda: random.gauss(0, 1),
    "from random import choice": lambda: aliased_choice(range(10**9)),
    "random.Random()": lambda: random.Random().random(),
    "random.seed()": lambda: (random.seed(), random.random()),
    "SystemRandom": lambda: random.SystemRandom().random(),
    "uuid4": lambda: uuid.uuid4(),
    "uuid1": lambda: uuid.uuid1(),
    "os.urandom": lambda: os.urandom(16),
    "os.getrandom": lambda: os.getrandom(16),
    "from os import urandom": lambda: aliased_urandom(16),
    "secrets": lambda: secrets.token_hex(),
}


def within(function: Callable[[], Any], seed: int = 0) -> Any:
    """What it returns in a simulation."""

    async def main(environment: SimulatedEnvironment) -> Any:
        return function()

    return simulate(seed, main)


# ---- clocks


@pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow")
@pytest.mark.parametrize("name", CLOCKS)
def test_a_clock_goes_by_virtual_time(name: str) -> None:
    read = CLOCKS[name]

    async def main(environment: SimulatedEnvironment) -> list[float]:
        readings = [read()]
        await asyncio.sleep(7200)
        return [*readings, read()]

    assert simulate(0, main) == pytest.approx([0, 7200], abs=1e-6)


def test_the_date_changes_with_the_time() -> None:
    async def main(environment: SimulatedEnvironment) -> tuple[date, date]:
        before = date.today()
        await asyncio.sleep(3 * 86_400 - 1)
        return before, date.today()

    before, after = simulate(0, main, limit_seconds=10 * 86_400)
    assert (before, after - before) == (aliased_datetime.fromtimestamp(EPOCH).date(), datetime.timedelta(2))


def test_a_wrong_clock_is_wrong_for_user_code_too() -> None:
    async def main(environment: SimulatedEnvironment) -> tuple[float, float]:
        environment.clock_error_seconds = -60
        return time.time() - EPOCH, time.monotonic()

    assert simulate(0, main) == pytest.approx((-60, 0), abs=1e-6)


# ---- randomness


@pytest.mark.parametrize("name", DRAWS)
def test_a_draw_follows_from_the_seed(name: str) -> None:
    draw = DRAWS[name]
    first = within(lambda: (draw(), draw()), seed=1)
    assert first[0] != first[1]
    assert within(lambda: (draw(), draw()), seed=1) == first
    assert within(lambda: (draw(), draw()), seed=2) != first


def test_a_generator_with_a_seed_of_its_own_keeps_it() -> None:
    assert within(lambda: random.Random(5).random()) == random.Random(5).random()


def test_the_generator_of_the_outside_is_not_touched() -> None:
    before = random.getstate()
    within(lambda: (random.seed(3), random.random(), random.gauss(0, 1)))
    assert random.getstate() == before


def test_what_modules_draw_when_they_are_imported_moves_nobody_elses_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "draws_at_import.py").write_text("import os\nfrom os import urandom\nfrom time import sleep\nDRAWN = os.urandom(8)\n")
    monkeypatch.syspath_prepend(tmp_path)

    def draw() -> tuple[bytes, bytes]:
        return importlib.import_module("draws_at_import").DRAWN, os.urandom(8)

    first, second = within(draw), within(draw)
    assert first == second
    module = sys.modules.pop("draws_at_import")
    assert (module.urandom, module.sleep) == (os.urandom, time.sleep)


def test_names_of_temporary_files_are_real_and_move_nobody_elses_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "_name_sequence", None)

    def draw() -> tuple[str, uuid.UUID]:
        with tempfile.TemporaryDirectory() as folder:
            return folder, uuid.uuid4()

    (one, first), (other, second) = within(draw), within(draw)
    assert one != other
    assert first == second


# ---- names, threads, signals


def test_names_are_those_of_the_simulated_network() -> None:
    async def main(environment: SimulatedEnvironment) -> tuple[Any, ...]:
        environment.loop.network.names["api.example"] = ("10.0.0.7",)
        of_loop = await environment.loop.getaddrinfo("api.example", 80, type=socket.SOCK_STREAM)
        assert socket.getaddrinfo("api.example", 80, type=socket.SOCK_STREAM) == of_loop
        assert socket.getaddrinfo("api.example", 80, proto=socket.IPPROTO_TCP) == of_loop
        assert await environment.loop.getaddrinfo("api.example", 80, proto=socket.IPPROTO_TCP) == of_loop
        with pytest.raises(socket.gaierror):
            await environment.loop.getaddrinfo("api.example", 80, flags=socket.AI_NUMERICHOST)
        with pytest.raises(socket.gaierror, match="Servname not supported"):
            await environment.loop.getaddrinfo("10.0.0.7", "http")
        return socket.gethostname(), socket.getfqdn(), socket.gethostbyname("api.example"), of_loop[0][4]

    assert simulate(0, main) == ("simulated", "simulated", "10.0.0.7", ("10.0.0.7", 80))


def test_work_for_threads_is_done_at_once_by_the_only_one() -> None:
    async def main(environment: SimulatedEnvironment) -> list[int]:
        with ThreadPoolExecutor() as pool:
            inside = [
                await asyncio.to_thread(threading.get_ident),
                await anyio.to_thread.run_sync(threading.get_ident),
                await environment.loop.run_in_executor(pool, threading.get_ident),
            ]
        with pytest.raises(KeyError):
            await anyio.to_thread.run_sync({}.__getitem__, "absent")
        return inside

    assert simulate(0, main) == [threading.get_ident()] * 3


def test_signal_handlers_are_called_by_simulated_signals_alone() -> None:
    before = signal.getsignal(signal.SIGTERM)

    async def main(environment: SimulatedEnvironment) -> list[object]:
        got: list[object] = []
        loop = asyncio.get_running_loop()
        with pytest.raises(LookupError, match="SIGTERM"):
            environment.loop.send_signal(signal.SIGTERM)
        loop.add_signal_handler(signal.SIGTERM, got.append, "asyncio")
        environment.loop.send_signal(signal.SIGTERM)
        await asyncio.sleep(0)
        assert (loop.remove_signal_handler(signal.SIGTERM), loop.remove_signal_handler(signal.SIGTERM)) == (True, False)
        assert signal.signal(signal.SIGTERM, lambda number, frame: got.append(number)) == signal.SIG_DFL
        environment.loop.send_signal(signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(OSError, match="Invalid argument"):
            signal.signal(signal.SIGKILL, lambda number, frame: None)
        with pytest.raises(RuntimeError, match="cannot be caught"):
            loop.add_signal_handler(signal.SIGKILL, got.append, "never")
        return got

    assert simulate(0, main) == ["asyncio", signal.SIGTERM, signal.SIGTERM]
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_set_of_coroutines_begins_in_the_same_order_every_time() -> None:
    began: list[int] = []

    async def work(number: int) -> None:
        began.append(number)

    async def main(environment: SimulatedEnvironment) -> None:
        for done in asyncio.as_completed({work(number) for number in random.sample(range(50), 50)}):
            await done

    simulate(0, main)
    assert began == sorted(began, key=lambda number: repr({"number": number}))


# ---- clients over the simulated network


async def _serve(port: int, answer: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]], **options: Any) -> web.ServerRunner:
    runner = web.ServerRunner(web.Server(answer, **options))
    await runner.setup()
    await web.TCPSite(runner, "localhost", port).start()
    return runner


def test_unmodified_clients_reach_servers() -> None:
    async def hello(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(text=str(request.remote))

    async def main(environment: SimulatedEnvironment) -> list[tuple[int, str]]:
        runner = await _serve(8080, hello)
        async with aiohttp.ClientSession() as session, session.get("http://localhost:8080/") as response:
            answers = [(response.status, await response.text())]
        async with httpx.AsyncClient() as client:
            answer = await client.get("http://localhost:8080/")
        await runner.cleanup()
        return [*answers, (answer.status_code, answer.text)]

    assert simulate(0, main) == [(200, "::1"), (200, "::1")]


def test_httpx_keeps_an_idle_connection_and_notices_when_the_server_has_closed_it() -> None:
    async def port(request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        return web.Response(text=str(request.transport.get_extra_info("peername")[1]))

    async def main(environment: SimulatedEnvironment) -> list[str]:
        runner = await _serve(8080, port, keepalive_timeout=10)
        ports = []
        async with httpx.AsyncClient(limits=httpx.Limits(keepalive_expiry=None)) as client:
            for pause in (1, 1, 60, 0):
                ports.append((await client.get("http://localhost:8080/")).text)
                await asyncio.sleep(pause)
        await runner.cleanup()
        return ports

    first, second, third, after_a_minute = simulate(0, main)
    assert first == second == third != after_a_minute


# ---- what is refused


def _unreachable() -> None:
    raise AssertionError("not reached")


REFUSED: Final[dict[str, tuple[Callable[[], Any], str]]] = {
    "time.sleep": (lambda: time.sleep(3), "time.sleep\\(3\\).*asyncio.sleep"),
    "from time import sleep": (lambda: aliased_sleep(3), "asyncio.sleep"),
    "thread": (lambda: threading.Thread(target=_unreachable).start(), "no thread.*to_thread"),
    "executor": (lambda: ThreadPoolExecutor().submit(_unreachable), "no thread.*to_thread"),
    "waiting for a thread": (lambda: threading.Event().wait(1), "another thread.*asyncio.Event"),
    "a lock taken twice": (lambda: (LOCK.acquire(), LOCK.acquire()), "a lock is held.*asyncio.Lock"),
    "a lock taken twice, in vain": (lambda: (LOCK.acquire(), LOCK.acquire(timeout=1000)), "a lock is held.*asyncio.Lock"),
    "a lock taken twice by with": (lambda: _take_twice(threading.Lock()), "a lock is held.*asyncio.Lock"),
    "a semaphore": (lambda: threading.Semaphore(0).acquire(), "another thread.*asyncio.Event"),
    "a queue": (lambda: queue.Queue[int]().get(), "another thread.*asyncio.Queue"),
    "a simple queue": (lambda: queue.SimpleQueue[int]().get(timeout=1000), "another thread.*asyncio.Queue"),
    "select": (lambda: select.select([], [], [], 1000), "select.select would stop everything.*streams"),
    "poll": (lambda: select.poll().poll(), "poll would stop everything.*streams"),
    "epoll": (lambda: select.epoll().poll(1000), "epoll.poll would stop everything.*streams"),
    "a selector": (lambda: selectors.DefaultSelector().select(), "poll would stop everything.*streams"),
    "recv": (lambda: _with_pair(lambda one: one.recv(1)), "socket.recv would stop everything.*streams"),
    "a file of a socket": (lambda: _with_pair(lambda one: one.makefile("rb").read(1)), "socket.recv_into would stop everything.*streams"),
    "waitpid": (lambda: os.waitpid(-1, 0), "os.waitpid would stop everything"),
    "pause": (lambda: signal.pause(), "signal.pause would stop everything"),
    "alarm": (lambda: signal.alarm(1000), "alarm.*asyncio.timeout"),
    "setitimer": (lambda: signal.setitimer(signal.ITIMER_REAL, 1000), "alarm.*asyncio.timeout"),
    "an event loop for a thread": (lambda: asyncio.to_thread(lambda: asyncio.run(asyncio.sleep(1))), "no other event loop.*await"),
    "an event loop": (lambda: asyncio.run(asyncio.sleep(1)), "no other event loop.*await"),
    "a runner": (lambda: _run_another(), "no other event loop.*await"),
    "a new event loop": (lambda: _with_loop(lambda loop: loop.run_until_complete(asyncio.sleep(1))), "no other event loop.*await"),
    "a new event loop for ever": (lambda: _with_loop(lambda loop: loop.run_forever()), "no other event loop.*await"),
    "anyio.run": (lambda: anyio.run(anyio.sleep, 1), "no other event loop.*await"),
    "back from a thread": (lambda: anyio.to_thread.run_sync(anyio.from_thread.run, anyio.sleep, 1), "no other event loop.*await"),
    "multiprocessing": (lambda: multiprocessing.get_context("spawn").Process(target=print).start(), "no process can be started"),
    "exec": (lambda: os.execv("/bin/true", ["true"]), "no process can become another"),
    "a signal to somebody else": (lambda: os.kill(os.getppid(), signal.SIGTERM), "no other process .* can be sent a signal"),
    "os.kill": (lambda: os.kill(os.getpid(), signal.SIGTERM), "SIGTERM would end the test itself.*supervisor.start\\(Program"),
    "os.killpg": (lambda: os.killpg(0, signal.SIGKILL), "SIGKILL would end the test itself.*Program"),
    "pthread_kill": (lambda: signal.pthread_kill(threading.get_ident(), signal.SIGINT), "SIGINT would end the test itself.*Program"),
    "raise_signal": (lambda: signal.raise_signal(signal.SIGUSR1), "SIGUSR1 would end the test itself.*Program"),
    "SIGSTOP": (lambda: signal.raise_signal(signal.SIGSTOP), "SIGSTOP cannot stop a process.*StopActor"),
    "os._exit": (lambda: os._exit(0), "os._exit\\(0\\) would end the test itself.*Program"),
    "os.abort": (lambda: os.abort(), "os.abort\\(\\) would end the test itself.*Program"),
    "sys.exit": (lambda: sys.exit("sorry"), "sys.exit\\('sorry'\\) would end the test itself.*Program"),
    "synchronous HTTP": (lambda: urllib.request.urlopen("http://localhost:8080/"), "no real socket.*aiohttp"),
    "a name outside": (lambda: urllib.request.urlopen("http://example.com/"), "no name can be looked up outside \\('example.com'\\).*aiohttp"),
    "gethostbyname": (lambda: socket.gethostbyname("example.com"), "no name can be looked up outside"),
    "connect": (lambda: _with_socket(lambda sock: sock.connect(("127.0.0.1", 8080))), "no real socket.*aiohttp"),
    "connect_ex": (lambda: _with_socket(lambda sock: sock.connect_ex(("127.0.0.1", 8080))), "no real socket.*aiohttp"),
    "bind": (lambda: _with_socket(lambda sock: sock.bind(("127.0.0.1", 0))), "no real socket.*start_server"),
    "listen": (lambda: _with_socket(lambda sock: sock.listen()), "no real socket.*start_server"),
    "sendto": (lambda: _with_socket(lambda sock: sock.sendto(b"x", ("127.0.0.1", 8080))), "no real datagram.*create_datagram_endpoint"),
    "subprocess": (lambda: subprocess.run(["true"], check=True), "no process"),
    "asyncio subprocess": (lambda: asyncio.create_subprocess_exec("true"), "subprocess_exec"),
    "os.system": (lambda: os.system("true"), "no process"),
    "os.fork": (lambda: os.fork(), "no process"),
    "add_reader": (lambda: asyncio.get_running_loop().add_reader(0, _unreachable), "add_reader.*file descriptors"),
    "unix sockets": (lambda: asyncio.open_unix_connection("/tmp/socket"), "create_unix_connection.*TCP"),
    "start_tls": (lambda: asyncio.get_running_loop().start_tls(None, None, None), "start_tls.*http://"),  # type: ignore[arg-type]
    "TLS": (lambda: asyncio.open_connection("localhost", 8080, ssl=True), "no TLS.*http://"),
}


def _with_socket(use: Callable[[socket.socket], Any]) -> None:
    with socket.socket() as sock:
        use(sock)


def _with_pair(use: Callable[[socket.socket], Any]) -> None:
    one, other = socket.socketpair()
    with one, other:
        use(one)


def _take_twice(lock: threading.Lock) -> None:
    with lock, lock:
        pass


def _run_another() -> None:
    with asyncio.Runner() as runner:
        runner.run(asyncio.sleep(1))


def _with_loop(use: Callable[[asyncio.AbstractEventLoop], Any]) -> None:
    loop = asyncio.new_event_loop()
    try:
        use(loop)
    finally:
        loop.close()


@pytest.fixture
def free_lock() -> Iterator[None]:
    yield
    if LOCK.locked():
        LOCK.release()


@pytest.mark.usefixtures("free_lock")
@pytest.mark.filterwarnings("ignore:coroutine.*was never awaited")
@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_simulated_is_refused_with_the_place_and_what_to_use_instead(name: str) -> None:
    call, words = REFUSED[name]

    async def main(environment: SimulatedEnvironment) -> None:
        result = call()
        if inspect.isawaitable(result):
            await result

    with pytest.raises(NotSimulated, match=words) as caught:
        simulate(0, main)
    assert f"{__file__}:" in str(caught.value)
    assert "(task main)" in str(caught.value)


def test_the_place_is_the_users_line() -> None:
    async def main(environment: SimulatedEnvironment) -> None:
        urllib.request.urlopen("http://localhost:8080/")

    line = inspect.getsourcelines(main)[1] + 1
    with pytest.raises(NotSimulated, match=f"test_world.py:{line} in .*main"):
        simulate(0, main)


def test_a_refusal_that_is_swallowed_fails_the_run() -> None:
    async def main(environment: SimulatedEnvironment) -> str:
        with suppress(Exception):
            time.sleep(1)
        return "converged"

    with pytest.raises(NotSimulated, match=r"time\.sleep"):
        simulate(0, main)


def test_a_refusal_that_is_swallowed_is_a_note_of_what_went_wrong_later() -> None:
    async def main(environment: SimulatedEnvironment) -> None:
        with suppress(Exception):
            time.sleep(1)
        raise ValueError("later")

    with pytest.raises(ValueError, match="later") as caught:
        simulate(0, main)
    assert any("time.sleep" in note for note in caught.value.__notes__)


def test_what_a_module_tries_when_it_is_imported_is_refused_and_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tries_at_import.py").write_text(
        "import socket\ntry:\n    with socket.socket() as s: s.bind(('::1', 0))\nexcept Exception as error:\n    WHY = str(error)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert "no real socket" in within(lambda: importlib.import_module("tries_at_import").WHY)


def test_yielding_the_processor_is_no_wait() -> None:
    within(lambda: time.sleep(0))


def _spin_on(look: Callable[[], object]) -> None:
    while True:
        look()


def _try_to_get(things: queue.SimpleQueue[int]) -> None:
    with suppress(queue.Empty):
        things.get(block=False)


LOOKS: Final[dict[str, Callable[[], object]]] = {
    **{name: CLOCKS[name] for name in ("time.time", "time.monotonic", "time.perf_counter_ns", "a default argument", "loop.time", "datetime.now")},
    "time.sleep(0)": lambda: time.sleep(0),
    "a lock": lambda: LOCK.acquire() if not LOCK.locked() else LOCK.acquire(blocking=False),
    "a condition": lambda: threading.Event().wait(0),
    "select": lambda: select.select([], [], [], 0),
    "poll": lambda: select.poll().poll(0),
    "a simple queue": lambda: _try_to_get(queue.SimpleQueue()),
}


@pytest.mark.usefixtures("free_lock")
@pytest.mark.parametrize("name", LOOKS)
def test_whoever_looks_again_and_again_without_waiting_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_module, "LOOK_LIMIT", 1_000)

    async def main(environment: SimulatedEnvironment) -> None:
        await asyncio.sleep(1)
        _spin_on(LOOKS[name])

    with pytest.raises(NotSimulated, match=r"waits without an await \(1,000 looks in one step.*test_world.py:\d+ in .*\(task main\).*asyncio.sleep"):
        simulate(0, main)


def test_looks_are_counted_within_one_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_module, "LOOK_LIMIT", 1_000)

    async def main(environment: SimulatedEnvironment) -> None:
        for _ in range(10):
            for _ in range(400):
                time.time(), time.monotonic()
            await asyncio.sleep(0)

    simulate(0, main)


def test_a_million_looks_are_found_in_real_code() -> None:
    async def main(environment: SimulatedEnvironment) -> None:
        end = time.monotonic() + 5
        while time.monotonic() < end:
            pass

    line = inspect.getsourcelines(main)[1] + 2
    with pytest.raises(NotSimulated, match=f"1,000,000 looks.*test_world.py:{line} in .*main"):
        simulate(0, main)


def test_what_need_not_wait_is_as_it_is() -> None:
    def use() -> None:
        with LOCK:
            assert LOCK.locked()
            assert not LOCK.acquire(blocking=False)
            assert not LOCK.acquire(timeout=0)
        reentrant = threading.RLock()
        with reentrant, reentrant:
            pass
        assert LOCK.acquire(timeout=5)
        LOCK.release()
        things = queue.SimpleQueue[int]()
        things.put(5)
        assert things.get() == 5
        with pytest.raises(queue.Empty):
            things.get(timeout=0)
        assert select.select([], [], [], 0) == ([], [], [])
        assert (select.poll().poll(0), select.epoll().poll(0), selectors.DefaultSelector().select(0)) == ([], [], [])
        with pytest.raises(ChildProcessError):
            os.waitpid(os.getpid(), os.WNOHANG)  # no child of its own
        assert (signal.alarm(0), signal.setitimer(signal.ITIMER_REAL, 0)) == (0, (0.0, 0.0))
        os.kill(os.getpid(), 0)
        signal.raise_signal(signal.SIGCHLD)

    within(use)


def test_a_lock_of_another_thread_is_waited_for() -> None:
    lock, told, taken = threading.Lock(), threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            taken.set()
            told.wait()
            time.sleep(0.05)

    def take() -> bool:
        told.set()
        return lock.acquire()

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait()
    assert within(take)
    thread.join()


def test_the_place_of_a_callback_that_no_code_calls_is_its_name() -> None:
    async def main(environment: SimulatedEnvironment) -> None:
        asyncio.get_running_loop().call_later(1, time.sleep, 3)
        await asyncio.sleep(2)

    with pytest.raises(NotSimulated, match="in a callback of the loop, sleep: await"):
        simulate(0, main)


def test_an_exit_that_is_raised_outside_of_a_program_fails_the_run() -> None:
    def leave() -> None:
        raise SystemExit(3)

    async def main(environment: SimulatedEnvironment) -> None:
        asyncio.get_running_loop().call_soon(leave)
        await asyncio.sleep(1)

    with pytest.raises(NotSimulated, match=r"SystemExit\(3\) would end the test itself.*test_world.py:\d+ in .*leave"):
        simulate(0, main)


# ---- whom it concerns, and for how long


def _functions() -> list[object]:
    from anyio._backends._asyncio import AsyncIOBackend

    module = sys.modules[__name__]
    names = ("aliased_urandom", "aliased_random", "aliased_choice", "aliased_sleep", "aliased_time", "aliased_monotonic")
    return [
        time.sleep, os.urandom, os.fork, random.random, random.choice, random.Random.seed, socket.getaddrinfo, socket.gethostname,
        asyncio.as_completed, asyncio.tasks.as_completed, signal.signal, uuid.getnode, threading.Thread.start, threading.Condition.wait,
        os.kill, os._exit, sys.exit, signal.pthread_kill, select.select, select.epoll.poll, type(LOCK).acquire, type(LOCK).__enter__,
        queue.SimpleQueue.get, asyncio.BaseEventLoop.run_forever, "recv" in vars(socket.socket),
        socket.socket.connect, subprocess.Popen.__init__, *(getattr(module, name) for name in names),
        AsyncIOBackend.__dict__["run_sync_in_worker_thread"], "connect" in vars(socket.socket),
    ]


def test_nothing_stays_when_a_run_has_ended_or_failed() -> None:
    before = _functions()

    async def fails(environment: SimulatedEnvironment) -> None:
        assert os.urandom is not before[1]
        raise ValueError("on purpose")

    within(lambda: None)
    assert _functions() == before
    with pytest.raises(ValueError, match="on purpose"):
        simulate(0, fails)
    assert _functions() == before
    assert abs(time.time() - EPOCH) > 86_400
    assert time.monotonic() < time.monotonic() + kept_by_default()


def test_other_threads_live_in_the_real_world() -> None:
    stop, seen = threading.Event(), []

    def look() -> Iterator[Any]:
        yield time.time()
        yield time.monotonic()
        yield datetime.datetime.now(UTC).timestamp()
        yield random.random()
        yield os.urandom(4)
        time.sleep(0.001)
        yield subprocess.run(["true"], check=True).returncode

    def live() -> None:
        while not stop.is_set():
            seen.append(tuple(look()))

    thread = threading.Thread(target=live)
    real_time, real_monotonic = time.time(), time.monotonic()
    thread.start()

    async def main(environment: SimulatedEnvironment) -> list[float]:
        count, drawn = len(seen), []
        while len(seen) < count + 3:
            await asyncio.sleep(100)
            drawn.append(random.random())
        return drawn

    try:
        drawn = simulate(0, main, limit_seconds=1e9, spin_limit=10**9)
    finally:
        stop.set()
        thread.join()
    assert len(seen) >= 3
    for moment, monotonic, now, number, _, code in seen:
        assert 0 <= moment - real_time < 600
        assert 0 <= monotonic - real_monotonic < 600
        assert 0 <= now - real_time < 600
        assert number not in drawn
        assert code == 0
    assert drawn[:3] == within(lambda: [random.random() for _ in range(3)]), "others draw from others"


def test_two_simulations_in_two_threads_do_not_meet() -> None:
    meet = threading.Barrier(2, timeout=60)
    results: dict[int, Any] = {}

    def run(seed: int) -> None:
        async def main(environment: SimulatedEnvironment) -> tuple[Any, ...]:
            await asyncio.sleep(seed * 1000)
            results[-seed] = None
            while not {-1, -2} <= results.keys():
                await asyncio.sleep(0)
            return time.time() - EPOCH - environment.monotonic(), random.random(), uuid.uuid4()

        meet.wait()
        results[seed] = simulate(seed, main, spin_limit=10**9)

    threads = [threading.Thread(target=run, args=(seed,)) for seed in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed in (1, 2):
        assert results[seed] == (pytest.approx(0, abs=1e-6), *within(lambda: (random.random(), uuid.uuid4()), seed=seed))


def test_the_world_is_real_between_the_turns_of_a_loop() -> None:
    from kubelet_lite.simulation.virtual.run import simulated_environment
    from kubelet_lite.simulation.virtual.tape import Tape

    with simulated_environment(Tape(0)) as environment:
        inside = environment.loop.run_until_complete(_coroutine(time.time))
        assert inside == pytest.approx(EPOCH)
        assert abs(time.time() - EPOCH) > 86_400
        time.sleep(0.001)


async def _coroutine(function: Callable[[], Any]) -> Any:
    return function()


SCRIPT: Final = """
import sys
from tests.simulation.test_world import CLOCKS, DRAWS, within
for seed in range(5):
    print(within(lambda: [draw() for draw in DRAWS.values()], seed))
    print(within(lambda: [read() for read in CLOCKS.values()], seed))
"""


def test_every_process_sees_the_same_world() -> None:
    root = Path(__file__).parents[2]
    printed = {
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", SCRIPT], cwd=root, env={**os.environ, "PYTHONHASHSEED": hash_seed, "TZ": "UTC"}, check=True,
            capture_output=True, text=True,
        ).stdout
        for hash_seed in ("1", "271828", "random")
    }
    assert len(printed) == 1
    assert len(printed.pop().splitlines()) == 10
