"""One HTTP/1.1 connection: bytes to requests by httptools (llhttp), answers straight to the transport, one task each.

A plain asyncio protocol instead of a web framework: per request it makes one small object and no task, which is worth a
factor of two in requests a second, and a server that does not import aiohttp starts 0.2 s sooner.
"""
from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from email.utils import formatdate
from typing import Any, Final, Protocol, cast
from urllib.parse import unquote

import anyio
import httptools

MAX_BODY_BYTES: Final = 3 * 1024 * 1024
"""Kubernetes' own limit on a request body."""
MAX_DISCARDED_BYTES: Final = 64 * 1024 * 1024
"""How much of a too large body is read away, so that the client gets to read its 413; then the connection is cut."""
MAX_HEADER_BYTES: Final = 1024 * 1024
"""Go's limit on a request's head, and so Kubernetes'."""
MAX_PIPELINED: Final = 16
"""Requests waiting on one connection; beyond it the socket is not read."""
WHOLE_CHUNK_BYTES: Final = 32 * 1024
"""Smaller chunks go out in one write with their frame."""
WRITE_BUFFER_BYTES: Final = 512 * 1024
"""Bytes a transport may hold before a stream waits for its reader."""

_REASONS: Final = {
    100: "Continue", 200: "OK", 201: "Created", 202: "Accepted", 204: "No Content", 301: "Moved Permanently", 304: "Not Modified", 400: "Bad Request",
    401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 406: "Not Acceptable", 409: "Conflict",
    410: "Gone", 411: "Length Required", 413: "Request Entity Too Large", 415: "Unsupported Media Type", 422: "Unprocessable Entity",
    429: "Too Many Requests", 431: "Request Header Fields Too Large", 500: "Internal Server Error", 501: "Not Implemented",
    502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout",
}
_STATUS_LINES: Final = {code: f"HTTP/1.1 {code} {reason}\r\n".encode() for code, reason in _REASONS.items()}
_UNKNOWN_METHOD: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+(?= )")
_BAD_REQUEST: Final = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n400 Bad Request"
_HEAD_TOO_LARGE: Final = _BAD_REQUEST.replace(b"400 Bad Request", b"431 Request Header Fields Too Large")
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class Request:
    """A whole request. Header names are lower-case bytes; `header_pairs` keeps those that came more than once."""

    __slots__ = ("body", "header_pairs", "headers", "keep_alive", "method", "minor_version", "path", "query", "target", "too_large")

    def __init__(
        self, method: str, target: bytes, header_pairs: list[tuple[bytes, bytes]], body: bytes, *,
        keep_alive: bool = True, minor_version: int = 1, too_large: bool = False,
    ) -> None:
        self.method = method
        self.target = target
        self.header_pairs = header_pairs
        self.headers = dict(reversed(header_pairs))
        self.body = body
        self.keep_alive = keep_alive
        self.minor_version = minor_version
        self.too_large = too_large
        if not target.startswith(b"/") and b"://" in target:
            target = b"/" + target.partition(b"://")[2].partition(b"/")[2]
        path, _, query = target.partition(b"?")
        text = path.decode("latin-1")
        self.path = unquote(text) if "%" in text else text
        self.query = query.decode("latin-1")

    def header(self, name: bytes) -> str:
        """The first value of a header (name in lower case), or ""."""
        return self.headers.get(name, b"").decode("utf-8", "replace")


class ConnectionOwner(Protocol):
    """What a connection needs of its server."""

    def opened(self, connection: HttpConnection) -> None: ...
    def closed(self, connection: HttpConnection) -> None: ...
    def spawn(self, run: Callable[[], Coroutine[Any, Any, None]]) -> None: ...
    def http_date(self) -> bytes: ...
    def monotonic(self) -> float: ...
    def handle(self, connection: HttpConnection, request: Request) -> Awaitable[None]: ...


def date_line(now: float) -> bytes:
    """The Date header as it stands in every answer's head."""
    return f"Date: {formatdate(now, usegmt=True)}\r\n".encode()


class HttpConnection(asyncio.Protocol):
    """Requests are handled one after the other in the order in which they came; a lost client cancels its handler."""

    def __init__(self, owner: ConnectionOwner) -> None:
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._requests: deque[Request] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._writing_paused = False
        self._reading_paused = False
        self._scope = anyio.CancelScope()
        self._parser = httptools.HttpRequestParser(self)
        self._unknown_method = ""
        self._in_head = True
        """Whether a head is being received, or none yet."""
        self._fed_bytes = 0
        """Received while that was so."""
        self.closed = False
        self.transport: asyncio.Transport
        self.peer_identities: dict[bytes, Any] = {}
        """What authentication found for this connection's certificate, by user agent."""
        self.busy = False
        """Whether a request is being handled."""
        self.last_activity = owner.monotonic()
        self._begin()

    # ---- transport events

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's are no subclass
        self.transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        self._owner.opened(self)
        self._owner.spawn(self._serve)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self._scope.cancel()
        self.resume_writing()
        self._owner.closed(self)

    def pause_writing(self) -> None:
        self._writing_paused = True

    def resume_writing(self) -> None:
        self._writing_paused = False
        if self._drained is not None:
            if not self._drained.done():
                self._drained.set_result(None)
            self._drained = None

    def eof_received(self) -> None:
        return None

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserInvalidMethodError:
            # llhttp knows a fixed list of methods; Kubernetes answers 405 to the rest.
            found = _UNKNOWN_METHOD.match(data)
            if found is None:
                return self._refuse(_BAD_REQUEST)
            self._begin()
            self._parser = httptools.HttpRequestParser(self)
            self._unknown_method = found[0].decode()
            return self.data_received(b"GET" + data[found.end():])
        except httptools.HttpParserUpgrade:
            pass  # the request itself is complete; what follows is refused with it
        except httptools.HttpParserError:
            return self._refuse(_BAD_REQUEST)
        if self._in_head:  # the parser keeps a header until its end, however long it grows
            self._fed_bytes += len(data)
            if self._fed_bytes > MAX_HEADER_BYTES:
                self._refuse(_HEAD_TOO_LARGE)
        return None

    # ---- parser events

    def _begin(self) -> None:
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._header_bytes = 0
        self._body: list[bytes] = []
        self._body_bytes = 0

    def on_message_begin(self) -> None:
        self._begin()

    def on_url(self, url: bytes) -> None:
        self._target += url
        self._count_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))
        self._count_head(len(name) + len(value))

    def _count_head(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > MAX_HEADER_BYTES:
            self._refuse(_HEAD_TOO_LARGE)

    def on_headers_complete(self) -> None:
        self._in_head = False
        for name, value in self._headers:
            if name == b"expect" and value.lower() == b"100-continue":
                self.transport.write(_CONTINUE)

    def on_body(self, data: bytes) -> None:
        self._body_bytes += len(data)
        if self._body_bytes <= MAX_BODY_BYTES:
            self._body.append(data)
        elif self._body_bytes > MAX_DISCARDED_BYTES:
            self.transport.abort()

    def on_message_complete(self) -> None:
        self._in_head = True
        self._fed_bytes = 0
        body = self._body
        too_large = self._body_bytes > MAX_BODY_BYTES
        parser = self._parser
        request = Request(
            self._unknown_method or parser.get_method().decode(), self._target, self._headers, body[0] if len(body) == 1 else b"".join(body),
            keep_alive=parser.should_keep_alive() and not parser.should_upgrade(),
            minor_version=0 if parser.get_http_version() == "1.0" else 1, too_large=too_large,
        )
        self._unknown_method = ""
        self._requests.append(request)
        if len(self._requests) > MAX_PIPELINED and not self._reading_paused:
            self._reading_paused = True
            self.transport.pause_reading()
        if self._waiter is not None:
            if not self._waiter.done():
                self._waiter.set_result(None)
            self._waiter = None

    def _refuse(self, answer: bytes) -> None:
        if not self.closed:
            self.transport.write(answer)
            self.transport.close()

    # ---- the connection's task

    async def _serve(self) -> None:
        with self._scope:
            while not self.closed:
                if not self._requests:
                    self._waiter = self._loop.create_future()
                    await self._waiter
                    continue
                request = self._requests.popleft()
                if self._reading_paused and not self._requests:
                    self._reading_paused = False
                    self.transport.resume_reading()
                self.busy = True
                await self._owner.handle(self, request)
                self.busy = False
                self.last_activity = self._owner.monotonic()
                if not request.keep_alive:
                    break
        if not self.closed:
            self.transport.close()

    def shut(self) -> None:
        """Ends the connection: what is written is sent, the handler is cancelled."""
        self._scope.cancel()
        if not self.closed:
            self.transport.close()

    # ---- answers

    def respond(self, request: Request, status: int, headers: bytes, body: bytes) -> None:
        """A whole answer in one write. `headers`: complete lines, each with its line end."""
        closing = b"" if request.keep_alive else b"Connection: close\r\n"
        head = b"%b%b%b%bContent-Length: %d\r\n\r\n" % (status_line(status), headers, self._owner.http_date(), closing, len(body))
        self.transport.write(head if request.method == "HEAD" else head + body)

    def start_stream(self, request: Request, status: int, headers: bytes) -> BodyStream:
        """An answer of unknown length."""
        if request.minor_version == 0:
            request.keep_alive = False
        chunked = request.minor_version == 1
        framing = (b"Transfer-Encoding: chunked\r\n" if chunked else b"") + (b"" if request.keep_alive else b"Connection: close\r\n")
        self.transport.write(b"%b%b%b%b\r\n" % (status_line(status), headers, self._owner.http_date(), framing))
        return BodyStream(self, chunked)

    async def drain(self) -> None:
        """Waits while the reader is behind."""
        if self._writing_paused and not self.closed:
            if self._drained is None:
                self._drained = self._loop.create_future()
            await self._drained


class BodyStream:
    """A body written in pieces. Not ended by `finish`, the client sees it broken off."""

    __slots__ = ("_chunked", "_connection")

    def __init__(self, connection: HttpConnection, chunked: bool) -> None:
        self._connection = connection
        self._chunked = chunked

    async def write(self, data: bytes) -> None:
        """Sends a piece and waits while the client is behind."""
        if not data:
            return
        transport = self._connection.transport
        if not self._chunked:
            transport.write(data)
        elif len(data) < WHOLE_CHUNK_BYTES:
            transport.write(b"%x\r\n%b\r\n" % (len(data), data))
        else:  # not copied once more
            transport.writelines((b"%x\r\n" % len(data), data, b"\r\n"))
        await self._connection.drain()

    def finish(self) -> None:
        if self._chunked:
            self._connection.transport.write(b"0\r\n\r\n")


def status_line(status: int) -> bytes:
    return _STATUS_LINES.get(status) or f"HTTP/1.1 {status} Unknown\r\n".encode()
