"""The traced run of actors that talk HTTP over the simulated network: all of the engine, nothing of Kubernetes."""
from __future__ import annotations

from typing import Final

import aiohttp
import anyio
import structlog
from aiohttp import web

from kubelet_lite.actors.actor import Actor
from kubelet_lite.actors.environment import Environment
from kubelet_lite.actors.mailbox import CoalescingMailbox, WaitingMailbox
from kubelet_lite.actors.supervisor import Supervisor
from kubelet_lite.simulation.trace import Trace
from kubelet_lite.simulation.virtual.environment import SimulatedEnvironment

CLIENTS: Final = 5
REQUESTS: Final = 4
HANGING: Final = 40
_log = structlog.get_logger()


class _Site(Actor):
    """Counts its requests by client, and crashes now and then."""

    def __init__(self, environment: Environment, counts: CoalescingMailbox[str]) -> None:
        super().__init__("site")
        self._environment = environment
        self._counts = counts

    async def run(self) -> None:
        runner = web.ServerRunner(web.Server(self._answer))
        await runner.setup()
        try:
            await web.TCPSite(runner, "localhost", 8080).start()
            await self._environment.sleep(self._environment.random.uniform(0.5, 1.5))
            raise RuntimeError("now and then")
        finally:
            with anyio.CancelScope(shield=True):
                await runner.cleanup()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        client = request.query["client"]
        await self._environment.sleep(self._environment.random.random() / 10)
        self._counts.put(client)
        return web.json_response({"hello": client, "uid": self._environment.uid()})


class _Visitor(Actor):
    """Asks until it has been answered so many times."""

    def __init__(self, environment: Environment, name: str, done: WaitingMailbox[str]) -> None:
        super().__init__(name)
        self._environment = environment
        self._done = done

    async def run(self) -> None:
        async with aiohttp.ClientSession() as session:
            answers = 0
            while answers < REQUESTS:
                await self._environment.sleep(self._environment.random.random())
                try:
                    async with session.get("http://localhost:8080", params={"client": self.name}) as response:
                        _log.info("answered", answer=await response.json())
                        answers += 1
                except aiohttp.ClientError as error:
                    _log.info("not_answered", error=type(error).__name__)
        await self._done.send(self.name)


async def run(environment: SimulatedEnvironment, trace: Trace) -> None:
    """Actors that talk HTTP to one that crashes."""
    done = WaitingMailbox[str](1)
    counts = CoalescingMailbox[str](lambda name: name)
    async with Supervisor(environment) as supervisor:
        supervisor.start(_Site(environment, counts))
        for number in range(CLIENTS):
            supervisor.start(_Visitor(environment, f"visitor-{number}", done))
        for _ in range(CLIENTS):
            trace.add("done", await done.receive())
        for name in await counts.receive_batch():
            trace.add("counted", name)
    await _hang_up(environment, trace)


async def _hang_up(environment: SimulatedEnvironment, trace: Trace) -> None:
    """Closes a session in the middle of many requests: aiohttp keeps their connections in a set."""

    async def hang(request: web.BaseRequest) -> web.StreamResponse:
        try:
            await anyio.sleep_forever()
        finally:
            trace.add("cancelled", request.query["number"])
        raise AssertionError("not reached")

    async def ask(session: aiohttp.ClientSession, number: int) -> None:
        try:
            await session.get("http://localhost:8081", params={"number": number})
        except aiohttp.ClientError:
            trace.add("hung_up", str(number))

    runner = web.ServerRunner(web.Server(hang, handler_cancellation=True))
    await runner.setup()
    await web.TCPSite(runner, "localhost", 8081).start()
    async with anyio.create_task_group() as tasks, aiohttp.ClientSession() as session:
        for number in range(HANGING):
            tasks.start_soon(ask, session, number)
        await environment.sleep(1)
    await runner.cleanup()
