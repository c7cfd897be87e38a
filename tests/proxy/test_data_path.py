"""Real sockets: what goes in at a Service's address comes out at a backend, and back."""
import asyncio
from contextlib import asynccontextmanager

import anyio
import pytest

from kubelet_lite.proxy.child import ChildDataPath
from kubelet_lite.proxy.data_path import LoopDataPath
from kubelet_lite.proxy.routes import Backend, Listen, Route


@pytest.fixture(params=["loop", "child"])
def opened(request):
    @asynccontextmanager
    async def open_path():
        async with anyio.create_task_group() as tasks:
            path = LoopDataPath(asyncio.get_running_loop().time, tasks.start_soon) if request.param == "loop" else ChildDataPath()
            yield path
            await path.close()
            tasks.cancel_scope.cancel()

    return open_path


async def backend(name, address):
    async def answer(reader, writer):
        request = await reader.read()
        writer.write(name + request)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    return await asyncio.start_server(answer, address, 0)


async def ask(port, data=b"hello", address="127.0.0.1"):
    reader, writer = await asyncio.open_connection(address, port)
    writer.write(data)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


async def bound(path, *backends, protocol="TCP"):
    listen = Listen("127.0.0.1", 0, protocol)
    (result,) = await path.apply({listen: Route("default/web", tuple(backends))})
    assert not result.error
    return listen, result.port


async def test_connections_go_round_and_data_flows_both_ways(opened):
    async with opened() as path, await backend(b"one ", "127.0.0.1") as one, await backend(b"two ", "127.0.0.1") as two:
        ports = [server.sockets[0].getsockname()[1] for server in (one, two)]
        _, port = await bound(path, *(Backend("127.0.0.1", p) for p in ports))
        big = b"x" * 3_000_000
        answers = [await ask(port, big) for _ in range(4)]
        assert sorted(a[:4] for a in answers) == [b"one ", b"one ", b"two ", b"two "]
        assert all(a[4:] == big for a in answers)


async def test_a_backend_that_refuses_is_passed_over(opened):
    async with opened() as path, await backend(b"up ", "127.0.0.1") as up:
        async with await backend(b"", "127.0.0.1") as gone:
            dead = gone.sockets[0].getsockname()[1]
        _, port = await bound(path, Backend("127.0.0.1", dead), Backend("127.0.0.1", up.sockets[0].getsockname()[1]))
        assert [await ask(port) for _ in range(3)] == [b"up hello"] * 3


async def test_a_route_that_goes_closes_its_listener(opened):
    async with opened() as path, await backend(b"", "127.0.0.1") as server:
        _, port = await bound(path, Backend("127.0.0.1", server.sockets[0].getsockname()[1]))
        await ask(port)
        await path.apply({})
        with pytest.raises(OSError):  # noqa: PT011
            await ask(port)


async def test_datagrams_of_a_client_go_to_one_backend_and_answers_come_back(opened):
    async with opened() as path:
        class Echo(asyncio.DatagramProtocol):
            def connection_made(self, transport):
                self.transport = transport

            def datagram_received(self, data, address):
                self.transport.sendto(b"echo " + data, address)

        class Client(asyncio.DatagramProtocol):
            def __init__(self):
                self.answers = asyncio.Queue()

            def datagram_received(self, data, address):
                self.answers.put_nowait(data)

        loop = asyncio.get_running_loop()
        server, _ = await loop.create_datagram_endpoint(Echo, local_addr=("127.0.0.1", 0))
        _, port = await bound(path, Backend("127.0.0.1", server.get_extra_info("sockname")[1]), protocol="UDP")
        transport, client = await loop.create_datagram_endpoint(Client, remote_addr=("127.0.0.1", port))
        for number in range(3):
            transport.sendto(b"%d" % number)
        with anyio.fail_after(10):
            assert sorted([await client.answers.get() for _ in range(3)]) == [b"echo 0", b"echo 1", b"echo 2"]
        transport.close()
        server.close()
