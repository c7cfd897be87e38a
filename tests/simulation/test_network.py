"""The network in memory: streams, aiohttp over it, datagrams."""
from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import anyio
import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from kubelet_lite.simulation.errors import LeftBehind
from kubelet_lite.simulation.virtual.environment import SimulatedEnvironment
from kubelet_lite.simulation.virtual.run import simulate


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(70_000):
        writer.write(data)
        await writer.drain()
    writer.close()
    await writer.wait_closed()


@settings(max_examples=30)
@given(st.lists(st.integers(1, 300_000), max_size=8), st.integers(0, 1000))
def test_what_is_written_arrives_whole_and_in_order_through_full_buffers(sizes: list[int], seed: int) -> None:
    async def main(environment: SimulatedEnvironment) -> None:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1])
            sent = b"".join(bytes([number]) * size for number, size in enumerate(sizes))

            async def send() -> None:
                position = 0
                for size in sizes:
                    writer.write(sent[position : position + size])
                    await writer.drain()
                    position += size
                writer.write_eof()

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(send)
                await environment.sleep(1)
                assert await reader.read() == sent
            writer.close()
            await writer.wait_closed()

    simulate(seed, main)


def test_nobody_listens_is_refused() -> None:
    async def main(_: SimulatedEnvironment) -> None:
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", 1)
        with pytest.raises(OSError, match=r"Connect call failed .*::1.*, .*127\.0\.0\.1"):
            await asyncio.open_connection("localhost", 1)

    simulate(0, main)


def test_a_taken_port_is_refused_and_a_wildcard_takes_it_for_all_addresses() -> None:
    async def main(environment: SimulatedEnvironment) -> None:
        async with await asyncio.start_server(echo, "0.0.0.0", 80):
            with pytest.raises(OSError, match="already in use"):
                await asyncio.start_server(echo, "127.0.0.1", 80)
            with pytest.raises(OSError, match="already in use"):
                environment.hold_port("127.0.0.2", 80)
            environment.hold_port("::1", 80).close()
            _reader, writer = await asyncio.open_connection("10.1.2.3", 80)
            writer.close()
            await writer.wait_closed()
        async with await asyncio.start_server(echo, "127.0.0.1", 80):
            pass

    simulate(0, main)


def test_an_aborted_connection_is_reset_at_the_other_end() -> None:
    async def main(_: SimulatedEnvironment) -> None:
        errors: list[str] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await reader.read()
            except ConnectionResetError:
                errors.append("reset")
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 80):
            _reader, writer = await asyncio.open_connection("127.0.0.1", 80)
            writer.write(b"x" * 1000)
            writer.transport.abort()
            await anyio.sleep(1)
        assert errors == ["reset"]

    simulate(0, main)


def test_whoever_goes_on_writing_to_a_closed_end_is_reset() -> None:
    async def main(_: SimulatedEnvironment) -> None:
        outcome: list[object] = []

        class Stubborn(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                self.transport: Any = transport

            def eof_received(self) -> bool:
                self.transport.write(b"and another thing")
                return True

            def connection_lost(self, error: Exception | None) -> None:
                outcome.append(type(error))

        loop = asyncio.get_running_loop()
        async with await loop.create_server(Stubborn, "127.0.0.1", 80):
            _reader, writer = await asyncio.open_connection("127.0.0.1", 80)
            writer.close()
            await writer.wait_closed()
            await anyio.sleep(1)
        assert outcome == [ConnectionResetError]

    simulate(0, main)


def test_buffered_protocols_are_served_too() -> None:
    async def main(_: SimulatedEnvironment) -> None:
        received = bytearray()

        class Buffered(asyncio.BufferedProtocol):
            def get_buffer(self, sizehint: int) -> bytearray:
                self.buffer = bytearray(100)
                return self.buffer

            def buffer_updated(self, nbytes: int) -> None:
                received.extend(self.buffer[:nbytes])

        loop = asyncio.get_running_loop()
        async with await loop.create_server(Buffered, "127.0.0.1", 80):
            _reader, writer = await asyncio.open_connection("127.0.0.1", 80)
            writer.write(b"0123456789" * 25)
            writer.close()
            await anyio.sleep(1)
        assert bytes(received) == b"0123456789" * 25

    simulate(0, main)


def test_an_open_connection_left_behind_is_an_error() -> None:
    async def main(_: SimulatedEnvironment) -> None:
        class Quiet(asyncio.Protocol):
            pass

        loop = asyncio.get_running_loop()
        async with await loop.create_server(Quiet, "127.0.0.1", 80):
            await loop.create_connection(Quiet, "127.0.0.1", 80)
            await anyio.sleep(1)

    with pytest.raises(LeftBehind, match=r"connection from .*127\.0\.0\.1.* to .*127\.0\.0\.1', 80"):
        simulate(0, main)


async def answer(request: web.Request) -> web.Response:
    await anyio.sleep(float(request.query.get("after", 0)))
    return web.json_response({"method": request.method, "size": len(await request.read()), "remote": request.remote})


async def count(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for number in range(3):
        await response.write(b"%d\n" % number)
        await anyio.sleep(10)
    return response


async def web_socket(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(heartbeat=20)
    await socket.prepare(request)
    async for message in socket:
        await socket.send_str(message.data.upper())
    return socket


class Site:
    """An aiohttp server on the simulated network."""

    async def __aenter__(self) -> str:
        application = web.Application()
        application.add_routes([web.route("*", "/", answer), web.get("/count", count), web.get("/socket", web_socket)])
        self._runner = web.AppRunner(application)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 8080).start()
        return "http://localhost:8080"

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()


def test_aiohttp_serves_aiohttp() -> None:
    async def main(environment: SimulatedEnvironment) -> None:
        async with Site() as url, aiohttp.ClientSession() as session:
            async with session.post(url, data=b"x" * 1_000_000) as response:
                assert await response.json() == {"method": "POST", "size": 1_000_000, "remote": "127.0.0.1"}
            async with session.get(f"{url}/count") as response:
                lines = [(line, round(environment.monotonic())) async for line in response.content]
            assert lines == [(b"0\n", 0), (b"1\n", 10), (b"2\n", 20)]
            async with session.ws_connect(f"{url}/socket") as socket:
                await socket.send_str("hello")
                assert (await socket.receive()).data == "HELLO"
                await environment.sleep(100)

    simulate(0, main)


def test_happy_eyeballs_race_takes_the_address_that_answers() -> None:
    async def main(environment: SimulatedEnvironment) -> None:
        environment.loop.network.names["twice"] = ("::1", "::2", "127.0.0.9", "127.0.0.1")
        async with Site(), aiohttp.ClientSession() as session, session.get("http://twice:8080") as response:
            assert response.status == 200

    simulate(0, main)


def test_aiohttp_times_out_in_virtual_time() -> None:
    async def main(environment: SimulatedEnvironment) -> None:
        async with Site() as url, aiohttp.ClientSession() as session:
            with pytest.raises(TimeoutError):
                await session.get(url, params={"after": "40"}, timeout=aiohttp.ClientTimeout(total=30))
            assert round(environment.monotonic()) == 30

    simulate(0, main)


def test_a_name_nobody_has_is_an_error() -> None:
    async def main(_: SimulatedEnvironment) -> None:
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ClientConnectorDNSError):
                await session.get("http://nowhere.example")

    simulate(0, main)


class Datagrams(asyncio.DatagramProtocol):
    """Keeps what comes; answers when told to."""

    def __init__(self, answers: bool = False) -> None:
        self.heard: list[object] = []
        self._answers = answers

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.heard.append(data)
        if self._answers:
            self.transport.sendto(data.upper(), addr)

    def error_received(self, exc: Exception) -> None:
        self.heard.append(type(exc))


def test_datagrams_go_there_and_back_and_nowhere_is_an_error() -> None:
    async def main(environment: SimulatedEnvironment) -> None:
        loop = environment.loop
        server, _ = await loop.create_datagram_endpoint(lambda: Datagrams(answers=True), local_addr=("127.0.0.1", 53))
        client, heard = await loop.create_datagram_endpoint(Datagrams, remote_addr=("127.0.0.1", 53))
        client.sendto(b"query")
        await environment.sleep(1)
        server.close()
        client.sendto(b"lost")
        await environment.sleep(1)
        client.close()
        assert heard.heard == [b"QUERY", ConnectionRefusedError]

    simulate(0, main)
