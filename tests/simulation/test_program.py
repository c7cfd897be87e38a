"""A user's program as a process: killed at an await, nothing of it goes on, and it is started again."""
from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

import aiohttp
import pytest
from aiohttp import web

from kubelet_lite.actors.supervisor import Supervisor
from kubelet_lite.simulation.virtual.environment import SimulatedEnvironment
from kubelet_lite.simulation.virtual.program import Program
from kubelet_lite.simulation.virtual.run import simulate

URL: Final = "http://localhost:8080/"
NAME: Final = "operator"
OTHER: Final = "other operator"


@asynccontextmanager
async def _heard() -> AsyncIterator[list[str]]:
    """What a server hears."""
    heard: list[str] = []

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        heard.append(request.query["says"])
        return web.Response()

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "localhost", 8080).start()
    try:
        yield heard
    finally:
        await runner.cleanup()


async def _say(session: aiohttp.ClientSession, what: str) -> None:
    async with session.get(URL, params={"says": what}):
        pass


async def _say_every_second(session: aiohttp.ClientSession, what: str) -> None:
    while True:
        await _say(session, what)
        await asyncio.sleep(1)


async def _stubborn() -> None:
    """Lets go of one task, and says goodbye when it is cancelled."""
    async with aiohttp.ClientSession() as session:
        background = asyncio.create_task(_say_every_second(session, "background"))
        try:
            await _say_every_second(session, "main")
        except asyncio.CancelledError:
            await _say(session, "goodbye")
            raise
        finally:
            background.cancel()


def _run(program: Callable[[], Awaitable[object]], act: Callable[[SimulatedEnvironment, Supervisor], Awaitable[None]]) -> list[str]:
    async def main(environment: SimulatedEnvironment) -> list[str]:
        async with _heard() as heard, Supervisor(environment) as supervisor:
            supervisor.start(Program(NAME, program))
            await act(environment, supervisor)
            return list(heard)

    return simulate(0, main)


def test_nothing_of_a_killed_program_goes_on_until_it_is_started_again() -> None:
    async def kill(environment: SimulatedEnvironment, supervisor: Supervisor) -> None:
        await environment.sleep(2.5)
        assert supervisor.kill(NAME)
        await environment.sleep(0)

    async def kill_and_wait(environment: SimulatedEnvironment, supervisor: Supervisor) -> None:
        await kill(environment, supervisor)
        await environment.sleep(3)

    assert sorted(_run(_stubborn, kill)) == ["background"] * 3 + ["main"] * 3
    later = _run(_stubborn, kill_and_wait)
    assert "goodbye" not in later
    assert later.count("main") >= 5, "it was started again"


def test_a_listener_of_a_killed_program_is_gone() -> None:
    async def listen() -> None:
        server = await asyncio.start_server(lambda reader, writer: writer.close(), "localhost", 9090)
        await server.serve_forever()

    async def act(environment: SimulatedEnvironment, supervisor: Supervisor) -> None:
        await environment.sleep(1)
        (await asyncio.open_connection("localhost", 9090))[1].close()
        supervisor.kill(NAME)
        await environment.sleep(0.001)
        with pytest.raises(OSError, match="Connect call failed"):
            await asyncio.open_connection("localhost", 9090)
        await environment.sleep(30)
        (await asyncio.open_connection("localhost", 9090))[1].close()

    _run(listen, act)


def test_a_program_that_fails_is_started_again_and_one_that_ends_is_not() -> None:
    starts: list[int] = []

    async def fail_once() -> None:
        starts.append(1)
        await asyncio.sleep(1)
        if len(starts) == 1:
            raise ValueError("once")

    async def wait(environment: SimulatedEnvironment, supervisor: Supervisor) -> None:
        await environment.sleep(600)
        assert supervisor.running() == ()

    _run(fail_once, wait)
    assert len(starts) == 2


def test_a_program_that_does_not_let_itself_be_cancelled_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    async def refuse() -> None:
        while not done.is_set():
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(1)

    done = asyncio.Event()

    async def act(environment: SimulatedEnvironment, supervisor: Supervisor) -> None:
        await environment.sleep(1.5)
        supervisor.kill(NAME)
        await environment.sleep(0.01)
        assert supervisor.statistics()[NAME]["crashes"] == 1
        done.set()
        await environment.sleep(2)

    _run(refuse, act)
    assert "these tasks go on: operator main" in "".join(capsys.readouterr())  # standard output once a test before it has used structlog


def test_a_program_sees_its_own_tasks_alone() -> None:
    seen: list[set[str]] = []

    async def cancels_all_that_it_sees() -> None:
        asyncio.create_task(asyncio.sleep(1000), name="of the program")  # noqa: RUF006
        await asyncio.sleep(1)
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        seen.append({task.get_name() for task in tasks if task is not None})
        for task in tasks:
            if task is not None:
                task.cancel()

    async def act(environment: SimulatedEnvironment, supervisor: Supervisor) -> None:
        async with aiohttp.ClientSession() as session:
            await environment.sleep(0.9999)
            await _say(session, "still served")
            await environment.sleep(1)
            await _say(session, "and after")

    assert _run(cancels_all_that_it_sees, act) == ["still served", "and after"]
    assert seen == [{"of the program"}]


def test_a_program_has_a_clock_of_its_own_that_may_be_wrong() -> None:
    read: list[float] = []

    async def reads_the_clock() -> None:
        for _ in range(3):
            read.append(time.time())
            await asyncio.sleep(10)

    async def act(environment: SimulatedEnvironment, supervisor: Supervisor) -> None:
        await environment.sleep(5)
        environment.of(NAME).clock_error_seconds = -3600
        read.append(time.time())
        await environment.sleep(30)

    _run(reads_the_clock, act)
    assert [moment - read[0] for moment in read] == pytest.approx([0, 5, 10 - 3600, 20 - 3600], abs=0.1)


# ---- its end, by its own hand


def _later(function: Callable[..., object], *arguments: object) -> Callable[[], object]:
    return lambda: asyncio.get_running_loop().call_later(1, function, *arguments)


def _raise_exit(code: object) -> None:
    raise SystemExit(code)


async def _exits(code: object) -> None:
    sys.exit(code)  # type: ignore[arg-type]


def _handles_and_exits() -> None:
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(5))
    os.kill(os.getpid(), signal.SIGTERM)


CRASHES: Final[dict[str, tuple[Callable[[], object], str]]] = {
    "os.kill": (lambda: os.kill(os.getpid(), signal.SIGKILL), r"SIGKILL, .*test_program\.py:\d+ in <lambda> \(task operator main\)"),
    "pthread_kill, later": (lambda: _later(signal.pthread_kill, threading.get_ident(), signal.SIGKILL)(), "SIGKILL, in a callback of the loop, pthread_kill"),
    "killpg": (lambda: os.killpg(os.getpgrp(), signal.SIGHUP), "SIGHUP"),
    "raise_signal": (lambda: signal.raise_signal(signal.SIGTERM), "SIGTERM"),
    "os.abort": (lambda: os.abort(), r"os\.abort\(\)"),
    "os._exit": (lambda: os._exit(7), r"os\._exit\(7\)"),
    "os._exit, in a thread": (lambda: asyncio.to_thread(os._exit, 7), r"os\._exit\(7\)"),
    "os._exit, later": (_later(lambda: os._exit(7)), r"os\._exit\(7\)"),
    "sys.exit": (lambda: sys.exit(3), r"SystemExit\(3\), .*test_program\.py:\d+ in <lambda>"),
    "sys.exit, in words": (lambda: sys.exit("no kubeconfig"), "no kubeconfig"),
    "sys.exit, later": (lambda: _later(sys.exit, 3)(), r"SystemExit\(3\)"),
    "SystemExit, later": (_later(_raise_exit, 3), r"SystemExit\(3\), .*test_program\.py:\d+ in _raise_exit"),
    "sys.exit, in a task": (lambda: asyncio.create_task(_exits(3)), r"SystemExit\(3\), .*test_program\.py:\d+ in _exits"),
    "sys.exit, in a handler": (_handles_and_exits, r"SystemExit\(5\)"),
}
ENDS: Final[dict[str, Callable[[], object]]] = {
    "os._exit": lambda: os._exit(0),
    "sys.exit": lambda: sys.exit(),
    "sys.exit, later": lambda: _later(sys.exit, 0)(),
    "sys.exit, in a task": lambda: asyncio.create_task(_exits(None)),
}


def _end_by(how: Callable[[], object], *, seconds: float = 650) -> tuple[list[float], list[float], list[BaseException]]:
    """When it started and did something after its end, another program beside it, and what its supervisor heard."""
    starts: list[float] = []
    ticks: list[float] = []
    after: list[float] = []
    crashes: list[BaseException] = []

    async def tick(told: list[float]) -> None:
        while True:
            told.append(time.monotonic())
            await asyncio.sleep(100)

    async def program() -> None:
        starts.append(time.monotonic())
        if len(starts) > 1:
            await asyncio.sleep(100_000)
        asyncio.get_running_loop().call_later(2, after.append, 2)
        asyncio.create_task(tick([]), name="left alone")  # noqa: RUF006
        result = how()
        if asyncio.iscoroutine(result):
            await result
        await asyncio.sleep(1.5)
        after.append(1.5)

    async def main(environment: SimulatedEnvironment) -> None:
        async with Supervisor(environment, on_crash=lambda crash: crashes.append(crash.error)) as supervisor:
            supervisor.start(Program(OTHER, lambda: tick(ticks)))
            supervisor.start(Program(NAME, program))
            await environment.sleep(seconds)
            assert [actor.name for actor in supervisor.running()] == [OTHER, NAME][:1 + (len(starts) > 1)]

    simulate(0, main)
    assert after == []
    assert len(ticks) == 7, "whoever else is there goes on"
    return starts, ticks, crashes


@pytest.mark.parametrize("name", CRASHES)
def test_what_ends_a_process_ends_that_program_alone_and_is_a_crash(name: str) -> None:
    how, words = CRASHES[name]
    starts, _, (crash,) = _end_by(how)
    assert len(starts) == 2
    assert re.search(f"operator has ended itself: .*{words}", str(crash))


@pytest.mark.parametrize("name", ENDS)
def test_a_program_that_exits_with_0_has_ended_and_is_not_started_again(name: str) -> None:
    starts, _, crashes = _end_by(ENDS[name])
    assert (len(starts), crashes) == (1, [])


def test_code_behind_the_end_of_its_process_is_not_run() -> None:
    went_on: list[str] = []

    async def program() -> None:
        with suppress(Exception):
            os._exit(0)
        went_on.append("on")

    _run(program, lambda environment, supervisor: environment.sleep(1))
    assert went_on == []


def test_signals_reach_the_handlers_of_their_own_program() -> None:
    got: list[str] = []

    def handling(name: str) -> Callable[[], Awaitable[None]]:
        async def program() -> None:
            loop, stop = asyncio.get_running_loop(), asyncio.Event()
            signal.signal(signal.SIGUSR1, lambda number, frame: got.append(f"{name} SIGUSR1"))
            loop.add_signal_handler(signal.SIGTERM, stop.set)
            os.kill(os.getpid(), signal.SIGUSR1)
            await stop.wait()
            got.append(f"{name} SIGTERM")

        return program

    async def main(environment: SimulatedEnvironment) -> None:
        async with Supervisor(environment) as supervisor:
            supervisor.start(Program(NAME, handling(NAME)))
            await environment.sleep(1)
            supervisor.start(Program(OTHER, handling(OTHER)))
            await environment.sleep(1)
            assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL, "of nobody else"
            environment.loop.send_signal(signal.SIGTERM)
            await environment.sleep(1)
            assert supervisor.running() == ()
            with pytest.raises(LookupError, match="SIGTERM"):
                environment.loop.send_signal(signal.SIGTERM)

    simulate(0, main)
    assert got == [f"{NAME} SIGUSR1", f"{OTHER} SIGUSR1", f"{NAME} SIGTERM", f"{OTHER} SIGTERM"]


def test_a_handler_that_exits_ends_the_program_that_is_sent_the_signal() -> None:
    async def program() -> None:
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
        await asyncio.sleep(1000)

    async def act(environment: SimulatedEnvironment, supervisor: Supervisor) -> None:
        await environment.sleep(1)
        environment.loop.send_signal(signal.SIGTERM)
        await environment.sleep(1)
        assert supervisor.running() == ()

    _run(program, act)


# ---- what a dead process leaves


def test_no_timer_and_no_callback_of_a_dead_program_acts() -> None:
    acted: list[str] = []

    async def program() -> None:
        loop = asyncio.get_running_loop()

        def again() -> None:
            acted.append(f"again of run {run}")
            loop.call_later(1, again)

        def at_once() -> None:
            acted.append(f"at once of run {run}")
            loop.call_soon(at_once)

        runs.append(run := len(runs))
        if run:
            await asyncio.sleep(1000)
        loop.call_later(1, again)
        try:
            await asyncio.sleep(1000)
        finally:
            loop.call_later(600, acted.append, "set when it was killed")
            loop.call_soon(at_once)

    async def act(environment: SimulatedEnvironment, supervisor: Supervisor) -> None:
        await environment.sleep(2.5)
        assert acted == ["again of run 0"] * 2
        supervisor.kill(NAME)
        await environment.sleep(0.001)
        acted.clear()
        await environment.sleep(700)

    runs: list[int] = []
    _run(program, act)
    assert (acted, runs) == ([], [0, 1])


def test_a_timer_that_is_due_at_the_instant_of_the_crash_does_not_fire() -> None:
    fired: list[float] = []

    async def program() -> None:
        loop = asyncio.get_running_loop()
        if not loop.time():
            loop.call_at(5, fired.append, 5)
        await asyncio.sleep(1000)

    async def act(environment: SimulatedEnvironment, supervisor: Supervisor) -> None:
        environment.loop.call_at(5, supervisor.kill, NAME)
        await environment.sleep(20)
        assert supervisor.statistics()[NAME]["crashes"] == 1

    _run(program, act)
    assert fired == []
