"""UDP through a Service address: datagrams of one client go to one backend for as long as it keeps talking."""
from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Final

from kubelet_lite.proxy.balancer import Balancer

IDLE_SECONDS: Final = 30.0
"""A silent flow is forgotten after this, as kube-proxy's connection tracking does."""
MAX_FLOWS: Final = 4096
"""Clients at once a Service port; more are dropped."""

Address = tuple[str, int]


class _Flow(asyncio.DatagramProtocol):
    """The socket towards the backend of one client."""

    def __init__(self, listener: UdpListener, client: Address) -> None:
        self._listener = listener
        self._client = client

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        self._listener.answer(self._client, data)

    def error_received(self, exc: Exception) -> None:
        self._listener.forget(self._client)


class UdpListener(asyncio.DatagramProtocol):
    """Listens at one Service address."""

    def __init__(self, balancer: Balancer, monotonic: Callable[[], float], spawn: Callable[..., None]) -> None:
        self._balancer = balancer
        self._monotonic = monotonic
        self._spawn = spawn
        self._transport: asyncio.DatagramTransport | None = None
        self._flows: dict[Address, asyncio.DatagramTransport | list[bytes]] = {}
        self._heard: dict[Address, float] = {}

    async def listen(self, address: str, port: int) -> int:
        """Returns the port bound. Raises OSError."""
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET)
        self._transport = transport
        bound: int = transport.get_extra_info("sockname")[1]
        return bound

    def close(self, *, connections: bool) -> None:
        if self._transport is not None:
            self._transport.close()
        for client in list(self._flows):
            self.forget(client)

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        client: Address = (str(addr[0]), addr[1])
        now = self._monotonic()
        flow = self._flows.get(client)
        if flow is None:
            self._expire(now)
            if len(self._flows) >= MAX_FLOWS:
                return
            self._flows[client] = [data]
            self._spawn(self._open, client)
        elif isinstance(flow, list):
            flow.append(data)
        else:
            flow.sendto(data)
        self._heard[client] = now

    def answer(self, client: Address, data: bytes) -> None:
        self._heard[client] = self._monotonic()
        if self._transport is not None:
            self._transport.sendto(data, client)

    def forget(self, client: Address) -> None:
        flow = self._flows.pop(client, None)
        self._heard.pop(client, None)
        if flow is not None and not isinstance(flow, list):
            flow.close()

    async def _open(self, client: Address) -> None:
        loop = asyncio.get_running_loop()
        for backend in self._balancer.candidates(client[0], self._monotonic()):
            try:
                transport, _ = await loop.create_datagram_endpoint(lambda: _Flow(self, client), remote_addr=(backend.address, backend.port))
            except OSError:
                continue
            waiting = self._flows.get(client)
            if not isinstance(waiting, list):
                transport.close()
                return
            self._flows[client] = transport
            self._balancer.chosen(client[0], backend, self._monotonic())
            for data in waiting:
                transport.sendto(data)
            return
        self.forget(client)

    def _expire(self, now: float) -> None:
        for client, heard in list(self._heard.items()):
            if now - heard > IDLE_SECONDS:
                self.forget(client)
