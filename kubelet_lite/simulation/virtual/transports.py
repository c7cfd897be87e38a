"""Both ends of a connection, and of datagrams, in memory: asyncio's transports with latency, flow control and half-close.

Bytes arrive in order, after a latency, in the context of whoever made the receiving end. A closed end is closed at once; what it has
sent still arrives, then the end of the stream. https://docs.python.org/3.11/library/asyncio-protocol.html
"""
from __future__ import annotations

import asyncio
import contextvars
import errno
import socket
from collections.abc import Callable
from typing import Any, Final, Protocol

HIGH_WATER_BYTES: Final = 64 * 1024
"""Sent and not yet received: beyond it the writer is asked to pause, as by asyncio."""
SEGMENT_BYTES: Final = 256 * 1024
"""What arrives in one piece at most, as in asyncio."""

Address = tuple[str, int]


class Wire(Protocol):
    """What transports need of the network."""

    def latency(self) -> float: ...

    def opened(self, transport: StreamTransport | DatagramTransport) -> None: ...

    def closed(self, transport: StreamTransport | DatagramTransport) -> None: ...

    def deliver(self, data: bytes, source: DatagramTransport, target: Address) -> None: ...

    def descriptor(self, *, readable: bool) -> int: ...


class ConnectedSocket:
    """What a connection's transport shows as its socket: options are taken and forgotten, and whoever polls it (httpcore asks so whether
    an idle connection has ended) gets the truth. Nothing can be read from it."""

    type = socket.SOCK_STREAM
    proto = socket.IPPROTO_TCP

    def __init__(self, transport: StreamTransport, own: Address, peer: Address) -> None:
        self.family = socket.AF_INET6 if ":" in own[0] else socket.AF_INET
        self._transport = transport
        self._own = own
        self._peer = peer
        self._options: dict[tuple[int, int], int | bytes] = {}

    def fileno(self) -> int:
        return -1 if self._transport.is_closing() else self._transport.poll_descriptor()

    def getsockname(self) -> tuple[Any, ...]:
        return self._full(self._own)

    def getpeername(self) -> tuple[Any, ...]:
        return self._full(self._peer)

    def _full(self, address: Address) -> tuple[Any, ...]:
        return address if self.family == socket.AF_INET else (*address, 0, 0)

    def setsockopt(self, level: int, option: int, value: int | bytes) -> None:
        self._options[level, option] = value

    def getsockopt(self, level: int, option: int) -> int | bytes:
        return self._options.get((level, option), 0)

    def setblocking(self, flag: bool) -> None:
        if flag:
            raise OSError(errno.EINVAL, "a simulated connection never blocks")


class StreamTransport(asyncio.Transport):
    """One end of a connection; `join` makes two of them a pair."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, wire: Wire, context: contextvars.Context, own: Address, peer: Address,
        sock: socket.socket | None = None,
    ) -> None:
        super().__init__({"sockname": own, "peername": peer, "socket": ConnectedSocket(self, own, peer)})
        self._loop = loop
        self._wire = wire
        self.context = context
        self._sock = sock
        self._protocol: Any = None
        self._peer: StreamTransport
        self._sent: list[bytes] = []
        self._sent_bytes = 0
        self._delivery: asyncio.TimerHandle | None = None
        self._high, self._low = HIGH_WATER_BYTES, HIGH_WATER_BYTES // 4
        self._writing_paused = False
        self._reading_paused = False
        self._closing = False
        self._lost = False
        self._end: BaseException | bool = False
        """What follows what was sent: nothing yet, the end of the stream (True), or a reset."""
        self._end_delivered = False
        self.dialled = False
        """Whether this is the end that asked for the connection."""

    def join(self, peer: StreamTransport) -> None:
        """Connects this end with the other one."""
        self._peer, peer._peer = peer, self
        self._wire.opened(self)
        self._wire.opened(peer)

    def start(self, protocol: asyncio.BaseProtocol) -> None:
        """Hands this end to its protocol."""
        self._protocol = protocol
        protocol.connection_made(self)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        protocol: asyncio.BaseProtocol = self._protocol
        return protocol

    # ---- writing

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._end is True and not self._closing:
            raise RuntimeError("cannot write after write_eof")
        if not data or self._closing:
            return
        self._sent.append(bytes(data))
        self._sent_bytes += len(data)
        self._schedule_delivery()
        if self._sent_bytes > self._high and not self._writing_paused:
            self._writing_paused = True
            self._protocol.pause_writing()

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        if self._end is False:
            self._end = True
            self._schedule_delivery()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = high if high is not None else HIGH_WATER_BYTES if low is None else 4 * low
        self._low = low if low is not None else self._high // 4

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._low, self._high

    def get_write_buffer_size(self) -> int:
        return self._sent_bytes

    # ---- reading

    def pause_reading(self) -> None:
        self._reading_paused = True

    def resume_reading(self) -> None:
        self._reading_paused = False
        self._peer._schedule_delivery()

    def is_reading(self) -> bool:
        return not self._reading_paused and not self._closing

    def is_readable(self) -> bool:
        """Whether reading the socket would not block: something has arrived that the protocol has not got, or the end."""
        peer = self._peer
        arrived = self._reading_paused and peer._delivery is None and bool(peer._sent or peer._end is not False)
        return self._closing or peer._end_delivered or arrived

    def poll_descriptor(self) -> int:
        """A file that polls as this connection's socket would now."""
        return self._wire.descriptor(readable=self.is_readable())

    # ---- the end

    def is_closing(self) -> bool:
        return self._closing

    def is_forgotten(self) -> bool:
        """Whether the server has closed, and the client has not yet noticed: pools do when they need a connection again."""
        return self.dialled and self._peer._closing

    def close(self) -> None:
        if not self._closing:
            self.write_eof()
            self._lose(None)

    def abort(self) -> None:
        self._reset(None)

    def close_file(self) -> None:
        """Of the socket with which a connector came here."""
        if self._sock is not None:
            self._sock.close()

    def _reset(self, error: OSError | None) -> None:
        """Forgets what was not yet received; the other end learns of a reset."""
        self._sent.clear()
        self._sent_bytes = 0
        if self._end_delivered is False:
            self._end = ConnectionResetError("the connection was reset by the other end")
            self._schedule_delivery()
        if not self._closing:
            self._lose(error)

    def _lose(self, error: OSError | None) -> None:
        self._closing = True
        self._loop.call_soon(self._tell_lost, error, context=self.context)

    def _tell_lost(self, error: OSError | None) -> None:
        if self._lost:
            return
        self._lost = True
        self._wire.closed(self)
        self.close_file()
        if self._protocol is not None:
            self._protocol.connection_lost(error)
        self._peer._schedule_delivery()

    # ---- what happens on the way

    def _schedule_delivery(self) -> None:
        if self._delivery is None and (self._sent or self._end is not False) and not self._end_delivered:
            self._delivery = self._loop.call_later(self._wire.latency(), self._deliver, context=self._peer.context)

    def _deliver(self) -> None:
        """Runs in the other end's context."""
        self._delivery = None
        peer = self._peer
        if peer._closing:
            self._undeliverable()
            return
        if isinstance(self._end, OSError):
            self._end_delivered = True
            peer._reset(self._end)
            return
        if peer._reading_paused:
            return  # resume_reading comes back to it
        if self._sent:
            data = self._take()
            self._schedule_delivery()
            peer._received(data)
        else:
            self._end_delivered = True
            peer._received_end()

    def _take(self) -> bytes:
        data = b"".join(self._sent)
        self._sent.clear()
        if len(data) > SEGMENT_BYTES:
            self._sent.append(data[SEGMENT_BYTES:])
            data = data[:SEGMENT_BYTES]
        self._sent_bytes -= len(data)
        if self._writing_paused and self._sent_bytes <= self._low:
            self._writing_paused = False
            if not self._closing:
                self._loop.call_soon(self._protocol.resume_writing, context=self.context)
        return data

    def _undeliverable(self) -> None:
        """The other end is closed. Whoever heard of it and goes on sending is reset, as by TCP."""
        data_lost = bool(self._sent)
        self._sent.clear()
        self._sent_bytes = 0
        self._end_delivered = self._end_delivered or self._end is not False
        if data_lost and self._peer._end_delivered and not self._closing:
            self._lose(ConnectionResetError("the other end is closed"))

    def _received(self, data: bytes) -> None:
        if isinstance(self._protocol, asyncio.BufferedProtocol):
            view = memoryview(data)
            while view and not self._closing:
                buffer = self._protocol.get_buffer(len(view))
                size = min(len(buffer), len(view))  # type: ignore[arg-type]
                buffer[:size] = view[:size]  # type: ignore[index]
                self._protocol.buffer_updated(size)
                view = view[size:]
        else:
            self._protocol.data_received(data)

    def _received_end(self) -> None:
        if not self._protocol.eof_received():
            self.close()


class DatagramTransport(asyncio.DatagramTransport):
    """One bound datagram socket; with a `remote` it hears only from there."""

    def __init__(self, loop: asyncio.AbstractEventLoop, wire: Wire, context: contextvars.Context, own: Address, remote: Address | None) -> None:
        super().__init__({"sockname": own, "peername": remote})
        self.own = own
        self.remote = remote
        self._loop = loop
        self._wire = wire
        self.context = context
        self._protocol: Any = None
        self._closing = False

    def start(self, protocol: asyncio.BaseProtocol) -> None:
        """Hands the socket to its protocol."""
        self._protocol = protocol
        self._wire.opened(self)
        protocol.connection_made(self)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        protocol: asyncio.BaseProtocol = self._protocol
        return protocol

    def sendto(self, data: bytes | bytearray | memoryview, addr: Any = None) -> None:
        if self._closing:
            return
        target = self.remote if addr is None else (str(addr[0]), int(addr[1]))
        if target is None or (self.remote is not None and target != self.remote):
            raise ValueError(f"datagrams of this socket go to {self.remote}")
        self._wire.deliver(bytes(data), self, target)

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._wire.closed(self)
            self._loop.call_soon(self._protocol.connection_lost, None, context=self.context)

    def abort(self) -> None:
        self.close()

    def later(self, seconds: float, what: Callable[[DatagramTransport], None]) -> None:
        """Runs `what` with this socket after a while, in its own context, unless it is closed by then."""
        self._loop.call_later(seconds, lambda: None if self._closing else what(self), context=self.context)

    def received(self, data: bytes, source: Address) -> None:
        """A datagram has arrived."""
        self._protocol.datagram_received(data, source)

    def refused(self) -> None:
        """Nothing is bound where the last datagram went."""
        self._protocol.error_received(ConnectionRefusedError("nothing is bound there"))
