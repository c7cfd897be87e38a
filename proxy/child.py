"""The data path in a process of its own, so that traffic never holds the control loop.

Parent and child talk over a socket pair, one line of JSON a message: routes to the child, what became of them back.
The child ends when the socket does.
"""
from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from typing import Any, Final

import anyio
import msgspec

from kubelet_lite.proxy.data_path import Bound, LoopDataPath
from kubelet_lite.proxy.routes import Listen, Route, Routes

MAX_MESSAGE_BYTES: Final = 64 * 1024 * 1024
"""Routes of ten thousand Services with a hundred backends each."""


class _Entry(msgspec.Struct, frozen=True):
    listen: Listen
    route: Route


class ChildDataPath:
    """The parent's end. The child is started at the first `apply`."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._pidfd = -1
        self._ended = anyio.Event()  # of the child that runs, or of the next one
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter | None = None

    @property
    def pid(self) -> int:
        """Of the child; 0 while there is none."""
        return 0 if self._process is None else self._process.pid

    async def apply(self, routes: Routes) -> tuple[Bound, ...]:
        if self._process is None:
            if not routes:
                return ()
            await self._start()
        assert self._writer is not None
        entries = [_Entry(listen, route) for listen, route in routes.items()]
        self._writer.write(msgspec.json.encode(entries) + b"\n")
        await self._writer.drain()
        line = await self._reader.readline()
        if not line:
            raise ConnectionError("the data path's process has ended")
        return tuple(msgspec.json.decode(line, type=list[Bound]))

    async def watch(self) -> None:
        await self._ended.wait()
        raise ConnectionError("the data path's process has ended")

    async def close(self) -> None:
        process, self._process = self._process, None
        writer, self._writer = self._writer, None
        self._ended = anyio.Event()
        if process is not None:
            self._forget()
            if writer is not None:  # else cancelled while it started
                writer.close()
            process.kill()
            process.wait()

    async def _start(self) -> None:
        mine, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: ASYNC220 (returns at once; the loop's child watcher is left alone)
                [sys.executable, "-m", "kubelet_lite.proxy.child", str(theirs.fileno())], pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL, start_new_session=True,
            )
        self._pidfd = os.pidfd_open(self._process.pid)
        asyncio.get_running_loop().add_reader(self._pidfd, self._died)
        mine.setblocking(False)
        self._reader, self._writer = await asyncio.open_unix_connection(sock=mine, limit=MAX_MESSAGE_BYTES)

    def _died(self) -> None:
        self._forget()
        self._ended.set()

    def _forget(self) -> None:
        if self._pidfd >= 0:
            asyncio.get_running_loop().remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1


async def serve(descriptor: int) -> None:
    """The child's whole life."""
    end = socket.socket(fileno=descriptor)
    end.setblocking(False)
    reader, writer = await asyncio.open_unix_connection(sock=end, limit=MAX_MESSAGE_BYTES)
    loop = asyncio.get_running_loop()
    async with anyio.create_task_group() as tasks:
        def spawn(function: Any, *arguments: Any) -> None:
            tasks.start_soon(function, *arguments)

        path = LoopDataPath(loop.time, spawn)
        while line := await reader.readline():
            entries = msgspec.json.decode(line, type=list[_Entry])
            bound = await path.apply({entry.listen: entry.route for entry in entries})
            writer.write(msgspec.json.encode(bound) + b"\n")
            await writer.drain()
        await path.close()
        tasks.cancel_scope.cancel()
    writer.close()


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(serve(int(sys.argv[1])))
    os._exit(0)


if __name__ == "__main__":
    main()
