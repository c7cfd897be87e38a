"""A user's program as a process: killed at an await, nothing of it goes on, and it is started again."""
from __future__ import annotations

import asyncio
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
