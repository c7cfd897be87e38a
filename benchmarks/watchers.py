"""Many watchers in one process, as cheap as Python can: they count events and look at nothing.

`python -m benchmarks.watchers COUNT URL TOKEN PATH` prints `ready` when all watch; when its input has ended and nothing has come for a
while, how many events came and the seconds from the first to the last.
"""
from __future__ import annotations

import asyncio
import ssl
import sys
import time
from typing import Final, cast

QUIET_SECONDS: Final = 1.0
EVENT_END: Final = b"}\n"
"""No other byte sequence of the stream: JSON text holds no line ends, a chunk's frame none after a brace."""


class Tally:
    """What all watchers of this process have seen."""

    def __init__(self, count: int) -> None:
        self._count = count
        self.watching = 0
        self.everybody = asyncio.Event()
        """Set once all watch."""
        self.events = 0
        self.first = self.last = 0.0

    def begun(self) -> None:
        self.watching += 1
        if self.watching == self._count:
            self.everybody.set()

    async def quiet(self) -> None:
        """Returns when nothing has come for a while."""
        seen = -1
        while seen != self.events:
            seen = self.events
            await asyncio.sleep(QUIET_SECONDS)


class Watcher(asyncio.Protocol):
    """One watch. `_tail`: the last byte, since a piece may end within the mark of an event's end."""

    def __init__(self, request: bytes, tally: Tally) -> None:
        self._request = request
        self._tally = tally
        self._answered = False
        self._tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.WriteTransport, transport).write(self._request)

    def data_received(self, data: bytes) -> None:
        tally = self._tally
        if not self._answered:
            assert data.startswith(b"HTTP/1.1 200"), data
            self._answered = True
            tally.begun()
        count = data.count(EVENT_END)
        if self._tail == b"}" and data.startswith(b"\n"):
            count += 1
        self._tail = data[-1:]
        if count:
            tally.events += count
            tally.last = time.monotonic()
            tally.first = tally.first or tally.last


async def watch(count: int, url: str, token: str, path: str) -> None:
    host, _, port = url.removeprefix("https://").partition(":")
    request = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {token}\r\nAccept: application/json\r\n\r\n".encode()
    loop, tally, context = asyncio.get_running_loop(), Tally(count), ssl._create_unverified_context()
    for _ in range(count):
        await loop.create_connection(lambda: Watcher(request, tally), host, int(port), ssl=context)
    await tally.everybody.wait()
    print("ready", flush=True)
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()
    await tally.quiet()
    print(tally.events, tally.last - tally.first, flush=True)


def run() -> None:
    count, url, token, path = sys.argv[1:]
    main = watch(int(count), url, token, path)
    try:
        import uvloop
    except ImportError:
        asyncio.run(main)
    else:
        uvloop.run(main)


if __name__ == "__main__":
    run()
