"""Carries routes out: one listener a Service address and port, opened, changed and closed as the routes change."""
from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

import anyio
import anyio.lowlevel
import msgspec

from kubelet_lite.proxy.balancer import Balancer
from kubelet_lite.proxy.routes import Listen, Routes
from kubelet_lite.proxy.tcp import TcpListener
from kubelet_lite.proxy.udp import UdpListener

PRIVILEGED_PORTS_END: Final = 1024


class Bound(msgspec.Struct, frozen=True):
    """What became of one route: the port that really listens, or why none does."""

    listen: Listen
    service: str
    port: int = 0
    error: str = ""


class DataPath(Protocol):
    """Where traffic flows: in this loop, or in a child process."""

    async def apply(self, routes: Routes) -> tuple[Bound, ...]:
        """Makes `routes` true; returns what is new or failed."""
        ...

    async def watch(self) -> None:
        """Raises ConnectionError when the data path ends without `close`; never returns."""
        ...

    async def close(self) -> None: ...


class LoopDataPath:
    """The data path in the running loop. `spawn(function, *arguments)` starts a child task of the owner."""

    def __init__(self, monotonic: Callable[[], float], spawn: Callable[..., None]) -> None:
        self._monotonic = monotonic
        self._spawn = spawn
        self._listeners: dict[Listen, tuple[Balancer, TcpListener | UdpListener]] = {}

    async def apply(self, routes: Routes) -> tuple[Bound, ...]:
        for listen in [listen for listen in self._listeners if listen not in routes]:
            self._listeners.pop(listen)[1].close(connections=False)
        news: list[Bound] = []
        for listen, route in routes.items():
            known = self._listeners.get(listen)
            if known is not None:
                known[0].replace(route)
                continue
            if listen.protocol not in ("TCP", "UDP"):
                news.append(Bound(listen, route.service, error=f"{listen.protocol} is not supported"))
                continue
            balancer = Balancer(route)
            kind = TcpListener if listen.protocol == "TCP" else UdpListener
            listener = kind(balancer, self._monotonic, self._spawn)
            try:
                port = await _listen(listener, listen)
            except OSError as error:
                news.append(Bound(listen, route.service, error=error.strerror or str(error)))
                continue
            self._listeners[listen] = (balancer, listener)
            news.append(Bound(listen, route.service, port=port))
        return tuple(news)

    async def watch(self) -> None:
        await anyio.sleep_forever()

    async def close(self) -> None:
        for _, listener in self._listeners.values():
            listener.close(connections=True)
        self._listeners.clear()
        await anyio.lowlevel.checkpoint()  # in this turn the transports let go of their sockets


async def _listen(listener: TcpListener | UdpListener, listen: Listen) -> int:
    try:
        return await listener.listen(listen.address, listen.port)
    except PermissionError:
        if listen.port >= PRIVILEGED_PORTS_END:
            raise
        return await listener.listen(listen.address, 0)
