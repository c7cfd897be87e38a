"""A machine's network in memory: names, ports, listeners, connections and datagrams. No packet leaves the process.

Every IP address is this machine's own, as in 127.0.0.0/8. Ports are handed out in order, latencies come from the seed.
There is no TLS: who needs it tests on real sockets.
"""
from __future__ import annotations

import asyncio
import contextvars
import errno
import ipaddress
import os
import socket
import weakref
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, Final, TypeVar

from kubelet_lite.actors.actor import Incarnation, current_incarnation
from kubelet_lite.simulation.virtual.refusal import NO_TLS
from kubelet_lite.simulation.virtual.transports import Address, DatagramTransport, StreamTransport

LATENCY_SECONDS: Final = (0.000_05, 0.000_5)
"""From and to: a loopback device to a fast local network."""
FIRST_EPHEMERAL_PORT: Final = 32768
LAST_EPHEMERAL_PORT: Final = 60999
"""Linux' own range."""
WILDCARDS: Final[Mapping[bool, str]] = {False: "0.0.0.0", True: "::"}
"""By whether it is IPv6."""
PROTOCOLS: Final[Mapping[socket.SocketKind, int]] = {socket.SOCK_STREAM: socket.IPPROTO_TCP, socket.SOCK_DGRAM: socket.IPPROTO_UDP}
NAMES: Final[Mapping[str, tuple[str, ...]]] = {"localhost": ("::1", "127.0.0.1")}

AddressInfo = tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[Any, ...]]
Kind = socket.SocketKind
T = TypeVar("T")
dialled_by: Final[contextvars.ContextVar[Incarnation | None]] = contextvars.ContextVar("dialled_by", default=None)
"""Where a connection is served: the run of an actor that opened it; None: no actor did."""


class ListeningSocket:
    """What `Server.sockets` shows of a listener."""

    def __init__(self, host: str, port: int) -> None:
        self.family = _family(host)
        self.type = socket.SOCK_STREAM
        self._address = (host, port)

    def getsockname(self) -> tuple[Any, ...]:
        """Host and port, for IPv6 with flow and scope."""
        return self._address if self.family == socket.AF_INET else (*self._address, 0, 0)

    def fileno(self) -> int:
        """There is no file."""
        return -1


class SimulatedServer(asyncio.AbstractServer):
    """What `create_server` returns; it listens on one or several addresses."""

    def __init__(self, loop: asyncio.AbstractEventLoop, network: Network, factory: Callable[[], Any], addresses: Sequence[Address]) -> None:
        self._loop = loop
        self._network = network
        self._factory = factory
        self._addresses = addresses
        self._serving = False
        self._closed = loop.create_future()
        self._context = contextvars.copy_context()

    @property
    def sockets(self) -> tuple[ListeningSocket, ...]:
        """Empty once it is closed."""
        return () if self._closed.done() else tuple(ListeningSocket(*address) for address in self._addresses)

    def accept(self, transport: StreamTransport) -> None:
        """Called, in a copy of the context in which the server was made, for each connection."""
        if self._closed.done():
            transport.abort()
        else:
            transport.start(self._factory())

    @property
    def context(self) -> contextvars.Context:
        """The context in which the server was made."""
        return self._context

    def close(self) -> None:
        if not self._closed.done():
            self._closed.set_result(None)
            self._serving = False
            for address in self._addresses:
                self._network.release(*address, socket.SOCK_STREAM)

    async def start_serving(self) -> None:
        if not self._closed.done():
            self._serving = True

    async def serve_forever(self) -> None:
        await self.start_serving()
        try:
            await self._loop.create_future()
        finally:
            self.close()

    def is_serving(self) -> bool:
        return self._serving

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    async def wait_closed(self) -> None:
        await asyncio.shield(self._closed)


class Network:
    """The network of one loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, random: Random, refuse: Callable[[str, str], Exception]) -> None:
        self._loop = loop
        self._refuse = refuse
        self._random = random
        self._bound: dict[tuple[str, int, Kind], SimulatedServer | DatagramTransport | None] = {}
        """All bound ports; None: held by somebody, and silent."""
        self._open: dict[StreamTransport | DatagramTransport, None] = {}
        self._connected: weakref.WeakKeyDictionary[socket.socket, Address] = weakref.WeakKeyDictionary()
        """Sockets of `sock_connect` that are not yet a transport. Their own file is never connected to anything."""
        self._next_port = FIRST_EPHEMERAL_PORT
        self._files: tuple[int, ...] = ()
        """For polls: one that always reads, one that never does, and the other end of that one. Opened when first asked for."""
        self.names: dict[str, tuple[str, ...]] = dict(NAMES)
        self.dead: dict[Incarnation, None] = {}
        """Killed processes: nothing of theirs goes out any more."""

    # ---- names and ports

    def resolve(self, host: Any, port: Any, *, family: int = 0, kind: int = 0, protocol: int = 0, flags: int = 0) -> list[AddressInfo]:
        """As socket.getaddrinfo. Of the flags AI_NUMERICHOST counts: the others ask for what is so here anyway."""
        host = host.decode() if isinstance(host, bytes) else host or ""
        named = self.names.get(host) if not flags & socket.AI_NUMERICHOST else None
        hosts = (WILDCARDS[True], WILDCARDS[False]) if host == "" else named or (_numeric(host),)
        kinds = [each for each in PROTOCOLS if kind in (0, each) and protocol in (0, PROTOCOLS[each])]
        number = _port(port)
        found: list[AddressInfo] = []
        for text in hosts:
            own = _family(text)
            if family in (0, own):
                address = (text, number) if own == socket.AF_INET else (text, number, 0, 0)
                found += [(own, each, PROTOCOLS[each], "", address) for each in kinds]
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return found

    def bind(self, host: str, port: int, kind: Kind, owner: SimulatedServer | DatagramTransport | None = None) -> int:
        """Takes a port, 0 for any, until `release`; raises OSError when it is taken."""
        if port == 0:
            port = self._free_port(host, kind)
        elif not self._is_free(host, port, kind):
            raise OSError(errno.EADDRINUSE, f"error while attempting to bind on address {(host, port)!r}: {os.strerror(errno.EADDRINUSE).lower()}")
        self._bound[host, port, kind] = owner
        return port

    def release(self, host: str, port: int, kind: Kind) -> None:
        """Gives a port back."""
        del self._bound[host, port, kind]

    def latency(self) -> float:
        """How long the next packet takes."""
        return self._random.uniform(*LATENCY_SECONDS)

    def _is_free(self, host: str, port: int, kind: Kind) -> bool:
        wildcard = WILDCARDS[":" in host]
        if host == wildcard:
            return not any(p == port and k == kind and (":" in h) == (":" in host) for h, p, k in self._bound)
        return (host, port, kind) not in self._bound and (wildcard, port, kind) not in self._bound

    def _free_port(self, host: str, kind: Kind) -> int:
        for _ in range(FIRST_EPHEMERAL_PORT, LAST_EPHEMERAL_PORT + 1):
            port = self._next_port
            self._next_port = port + 1 if port < LAST_EPHEMERAL_PORT else FIRST_EPHEMERAL_PORT
            if self._is_free(host, port, kind):
                return port
        raise OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))

    def _owner(self, address: Address, kind: Kind) -> SimulatedServer | DatagramTransport | None:
        host, port = address
        return self._bound.get((host, port, kind)) or self._bound.get((WILDCARDS[":" in host], port, kind))

    # ---- streams

    def create_server(
        self, factory: Callable[[], Any], host: Any = None, port: Any = None, *, family: int = 0, sock: socket.socket | None = None,
        ssl: Any = None, start_serving: bool = True, **_: Any,
    ) -> SimulatedServer:
        """As loop.create_server. A real socket given is asked for its address alone."""
        self._refuse_tls(ssl)
        if sock is not None:
            wanted = [sock.getsockname()[:2]]
            sock.close()
        else:
            hosts = [host] if host is None or isinstance(host, (str, bytes)) else list(host)
            wanted = list(dict.fromkeys(info[4][:2] for each in hosts for info in self.resolve(each, port, family=family, kind=socket.SOCK_STREAM)))
        addresses: list[Address] = []
        server = SimulatedServer(self._loop, self, factory, addresses)
        try:
            for address, number in wanted:
                addresses.append((address, self.bind(address, number, socket.SOCK_STREAM, server)))
        except OSError:
            server.close()
            raise
        server._serving = start_serving
        return server

    async def create_connection(
        self, factory: Callable[[], T], host: Any = None, port: Any = None, *, family: int = 0, sock: socket.socket | None = None,
        local_addr: Address | None = None, ssl: Any = None, **_: Any,
    ) -> tuple[StreamTransport, T]:
        """As loop.create_connection; several addresses are tried in order."""
        self._refuse_tls(ssl)
        if sock is not None:
            return self._connect(factory, self._connected.pop(sock), local_addr, sock)
        errors: list[OSError] = []
        for info in self.resolve(host, port, family=family, kind=socket.SOCK_STREAM):
            target: Address = info[4][:2]
            try:
                await self._reach(target)
                return self._connect(factory, target, local_addr, None)
            except OSError as error:
                errors.append(error)
        if len(errors) == 1:
            raise errors[0]
        raise OSError(errors[0].errno, f"Multiple exceptions: {', '.join(map(str, errors))}")

    async def sock_connect(self, sock: socket.socket, address: tuple[Any, ...]) -> None:
        """As loop.sock_connect: the way of connectors that race for addresses and bring the winner to `create_connection`."""
        target = (str(address[0]), int(address[1]))
        await self._reach(target)
        self._connected[sock] = target

    async def _reach(self, target: Address) -> None:
        await asyncio.sleep(self.latency() + self.latency())
        self._listener(target)

    def kill(self, incarnation: Incarnation) -> None:
        """What becomes of a killed process: its connections are reset, its listeners are gone, and nothing of it goes out any more."""
        self.dead[incarnation] = None
        for transport in list(self._open):
            if transport.context.get(current_incarnation) is incarnation:
                transport.abort()
        for owner in dict.fromkeys(self._bound.values()):
            if isinstance(owner, SimulatedServer) and owner.context.get(current_incarnation) is incarnation:
                owner.close()

    def _listener(self, target: Address) -> SimulatedServer:
        if current_incarnation.get() in self.dead:
            raise ConnectionRefusedError(errno.ECONNREFUSED, "the process is dead")
        server = self._owner(target, socket.SOCK_STREAM)
        if not isinstance(server, SimulatedServer) or not server.is_serving():
            raise ConnectionRefusedError(errno.ECONNREFUSED, f"Connect call failed {target!r}")
        return server

    def _connect(self, factory: Callable[[], T], target: Address, local: Address | None, sock: socket.socket | None) -> tuple[StreamTransport, T]:
        try:
            server = self._listener(target)
            source = local if local is not None and local[1] else (local[0] if local is not None else target[0], self._free_port(target[0], socket.SOCK_STREAM))
        except OSError:
            if sock is not None:
                sock.close()
            raise
        client = StreamTransport(self._loop, self, contextvars.copy_context(), source, target, sock)
        serving = server.context.copy()
        serving.run(dialled_by.set, current_incarnation.get())
        accepted = StreamTransport(self._loop, self, serving, target, source)
        client.join(accepted)
        client.dialled = True
        self._loop.call_soon(server.accept, accepted, context=serving)
        protocol: Any = factory()
        client.start(protocol)
        return client, protocol

    def _refuse_tls(self, ssl: Any) -> None:
        if ssl:
            raise self._refuse("there is no TLS", NO_TLS)

    # ---- datagrams

    def create_datagram_endpoint(
        self, factory: Callable[[], T], local_addr: Any = None, remote_addr: Any = None, *, family: int = 0, **_: Any
    ) -> tuple[DatagramTransport, T]:
        """As loop.create_datagram_endpoint."""
        remote: Address | None = self._first(remote_addr, family) if remote_addr else None
        if local_addr:
            host, wanted = self._first(local_addr, family)
        else:
            host, wanted = (remote[0] if remote is not None else WILDCARDS[family == socket.AF_INET6]), 0
        port = self.bind(host, wanted, socket.SOCK_DGRAM)
        transport = DatagramTransport(self._loop, self, contextvars.copy_context(), (host, port), remote)
        self._bound[host, port, socket.SOCK_DGRAM] = transport
        protocol: Any = factory()
        transport.start(protocol)
        return transport, protocol

    def deliver(self, data: bytes, source: DatagramTransport, target: Address) -> None:
        """Carries a datagram; one to nowhere comes back as an error to a socket with a remote."""
        receiver = self._owner(target, socket.SOCK_DGRAM)
        if isinstance(receiver, DatagramTransport) and receiver.remote in (None, source.own):
            receiver.later(self.latency(), lambda transport: transport.received(data, source.own))
        elif source.remote is not None:
            source.later(self.latency(), lambda transport: transport.refused())

    def descriptor(self, *, readable: bool) -> int:
        """A file for polls: one that has something to read, or one that never has."""
        if not self._files:
            self._files = (os.open(os.devnull, os.O_RDONLY), *os.pipe())
        return self._files[0 if readable else 1]

    def _first(self, address: Any, family: int) -> Address:
        host, port = self.resolve(address[0], address[1], family=family, kind=socket.SOCK_DGRAM)[0][4][:2]
        return host, port

    # ---- the end

    def opened(self, transport: StreamTransport | DatagramTransport) -> None:
        """Called by transports."""
        self._open[transport] = None

    def closed(self, transport: StreamTransport | DatagramTransport) -> None:
        """Called by transports."""
        self._open.pop(transport, None)
        if isinstance(transport, DatagramTransport):
            self.release(*transport.own, socket.SOCK_DGRAM)

    def left_open(self) -> list[str]:
        """What is bound or connected, in words."""
        bound = [f"port {port} of {host} ({'UDP' if kind == socket.SOCK_DGRAM else 'TCP'})" for host, port, kind in self._bound]
        streams = [each for each in self._open if isinstance(each, StreamTransport) and not each.is_forgotten()]
        return bound + [f"connection from {each.get_extra_info('sockname')} to {each.get_extra_info('peername')}" for each in streams]

    def close(self) -> None:
        """Forgets everything, and closes its files."""
        for transport in self._open:
            if isinstance(transport, StreamTransport):
                transport.close_file()
        for file in self._files:
            os.close(file)
        self._files = ()
        self._open.clear()
        self._bound.clear()


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _port(port: Any) -> int:
    """Raises gaierror for the name of a service: nobody knows any here."""
    port = port.decode() if isinstance(port, bytes) else port
    if isinstance(port, str) and not port.isdigit():
        raise socket.gaierror(socket.EAI_SERVICE, "Servname not supported for ai_socktype")
    return int(port or 0)


def _numeric(host: str) -> str:
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known") from None
