"""TCP through a Service address: each accepted connection is joined with one to a backend, with back-pressure and half-close."""
from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, cast

from kubelet_lite.proxy.balancer import Balancer

CONNECT_TIMEOUT_SECONDS: Final = 5.0
HIGH_WATER_BYTES: Final = 256 * 1024
"""What one direction of a connection may buffer before its sender is told to wait."""


class _End(asyncio.Protocol):
    """One end of a joined connection; `peer` is the other."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.peer: _End | None = None
        self.ended = False
        """Whether this side has said all that it has to say."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=HIGH_WATER_BYTES)

    def data_received(self, data: bytes) -> None:
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.write(data)

    def eof_received(self) -> bool:
        other = self.peer.transport if self.peer is not None else None
        self.ended = True
        if other is not None and not other.is_closing() and other.can_write_eof():
            other.write_eof()
        if self.peer is not None and self.peer.ended and other is not None and self.transport is not None:
            other.close()
            self.transport.close()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        other = self.peer.transport if self.peer is not None else None
        if other is not None and not other.is_closing():
            if isinstance(exc, ConnectionResetError):
                other.abort()
            else:
                other.close()

    def pause_writing(self) -> None:
        if self.peer is not None and self.peer.transport is not None:
            self.peer.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.peer is not None and self.peer.transport is not None and not self.peer.transport.is_closing():
            self.peer.transport.resume_reading()


class _Accepted(_End):
    """The client's end: reads nothing until a backend answers."""

    def __init__(self, start: Callable[[_Accepted], None]) -> None:
        super().__init__()
        self._start = start

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert self.transport is not None
        self.transport.pause_reading()
        self._start(self)


class TcpListener:
    """Listens at one Service address. `spawn` runs a connection's set-up as a child task of the owner."""

    def __init__(self, balancer: Balancer, monotonic: Callable[[], float], spawn: Callable[..., None]) -> None:
        self._balancer = balancer
        self._monotonic = monotonic
        self._spawn = spawn
        self._server: asyncio.Server | None = None
        self._open: dict[_Accepted, None] = {}

    async def listen(self, address: str, port: int) -> int:
        """Returns the port bound. Raises OSError."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Accepted(self._accepted), address, port, backlog=1024)
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    def close(self, *, connections: bool) -> None:
        """Stops listening; what is connected goes on unless `connections` are to end too."""
        if self._server is not None:
            self._server.close()
        if connections:
            for client in list(self._open):
                for end in (client, client.peer):
                    if end is not None and end.transport is not None:
                        end.transport.abort()

    def _accepted(self, client: _Accepted) -> None:
        self._open[client] = None
        self._spawn(self._join, client)

    async def _join(self, client: _Accepted) -> None:
        assert client.transport is not None
        loop = asyncio.get_running_loop()
        host = str((client.transport.get_extra_info("peername") or ("",))[0])
        try:
            for backend in self._balancer.candidates(host, self._monotonic()):
                end = _End()
                end.peer = client
                try:
                    async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
                        await loop.create_connection(lambda end=end: end, backend.address, backend.port)  # type: ignore[misc]
                except (OSError, TimeoutError):
                    continue
                client.peer = end
                self._balancer.chosen(host, backend, self._monotonic())
                if client.transport.is_closing():
                    assert end.transport is not None
                    end.transport.close()
                    return
                client.transport.resume_reading()
                return
            client.transport.abort()
        finally:
            self._open = {end: None for end in self._open if end.transport is not None and not end.transport.is_closing()}
