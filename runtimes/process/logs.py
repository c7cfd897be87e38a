"""A container's log file in the CRI's format, written from its pipes on the loop, rotated, and read back.

One line: `2026-01-02T03:04:05.678901234Z stdout F text` (F: the line is whole, P: it goes on in the next entry).
https://kubernetes.io/docs/concepts/cluster-administration/logging/#log-rotation
"""
from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

import anyio
import anyio.lowlevel

from kubelet_lite.api import timestamps

MAX_FILE_BYTES: Final = 10 * 1024 * 1024
"""containerLogMaxSize's default."""
MAX_FILES: Final = 5
"""containerLogMaxFiles' default."""
MAX_LINE_BYTES: Final = 16 * 1024
"""A longer line is written in several entries, as containerd does."""
MAX_MESSAGE_LINES: Final = 80
MAX_MESSAGE_BYTES: Final = 2048
READ_BYTES: Final = 64 * 1024
"""Read from a pipe or file at once."""


class LogWriter:
    """Owns the reading ends of a container's two pipes until both are at their end."""

    def __init__(self, path: Path, now: Callable[[], float]) -> None:
        self.path = path
        self._now = now
        self._loop = asyncio.get_running_loop()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab", buffering=0)
        self._size = self._file.tell()
        self._rests: dict[int, bytes] = {}
        self._names: dict[int, bytes] = {}
        self._grown = anyio.Event()

    def attach(self, stream: str, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self._rests[descriptor] = b""
        self._names[descriptor] = stream.encode()
        self._loop.add_reader(descriptor, self._readable, descriptor)

    @property
    def ended(self) -> bool:
        return not self._rests

    async def wait_for_more(self) -> None:
        """Returns when something was written, or the log has ended."""
        if not self.ended:
            await self._grown.wait()

    def finish(self) -> None:
        """Reads what the pipes still hold and closes them (a left-over child may keep them open at its end)."""
        for descriptor in list(self._rests):
            while descriptor in self._rests and self._read(descriptor):
                pass
            if descriptor in self._rests:
                self._close(descriptor)

    def _readable(self, descriptor: int) -> None:
        self._read(descriptor)

    def _read(self, descriptor: int) -> bool:
        """Whether there may be more."""
        try:
            data = os.read(descriptor, READ_BYTES)
        except BlockingIOError:
            return False
        if not data:
            self._close(descriptor)
            return False
        lines = (self._rests[descriptor] + data).split(b"\n")
        rest = lines.pop()
        entries = [entry for line in lines for entry in self._entries(descriptor, line, b"F")]
        while len(rest) >= MAX_LINE_BYTES:
            entries.append(self._entry(descriptor, b"P", rest[:MAX_LINE_BYTES]))
            rest = rest[MAX_LINE_BYTES:]
        self._rests[descriptor] = rest
        self._write(b"".join(entries))
        return True

    def _entries(self, descriptor: int, line: bytes, tag: bytes) -> list[bytes]:
        pieces = [line[i:i + MAX_LINE_BYTES] for i in range(0, len(line), MAX_LINE_BYTES)] or [b""]
        return [self._entry(descriptor, tag if i == len(pieces) - 1 else b"P", piece) for i, piece in enumerate(pieces)]

    def _entry(self, descriptor: int, tag: bytes, text: bytes) -> bytes:
        return b"%b %b %b %b\n" % (nano_time(self._now()), self._names[descriptor], tag, text)

    def _close(self, descriptor: int) -> None:
        rest = self._rests.pop(descriptor)
        self._loop.remove_reader(descriptor)
        os.close(descriptor)
        if rest:
            self._write(self._entry(descriptor, b"P", rest))
        if self.ended:
            self._file.close()
        self._wake()

    def _write(self, data: bytes) -> None:
        if not data:
            return
        if self._size + len(data) > MAX_FILE_BYTES and self._size:
            self._rotate()
        self._file.write(data)
        self._size += len(data)
        self._wake()

    def _rotate(self) -> None:
        self._file.close()
        for number in range(MAX_FILES - 2, 0, -1):
            with contextlib.suppress(FileNotFoundError):
                os.replace(f"{self.path}.{number}", f"{self.path}.{number + 1}")
        os.replace(self.path, f"{self.path}.1")
        self._file = self.path.open("ab", buffering=0)
        self._size = 0

    def _wake(self) -> None:
        self._grown.set()
        self._grown = anyio.Event()


def nano_time(now: float) -> bytes:
    micro = timestamps.format_micro_time(now)
    return f"{micro[:-1]}000Z".encode()


def last_lines(path: Path) -> bytes:
    """The end of a log without its headers: at most 80 lines and 2 KiB, as a termination message has them."""
    with path.open("rb") as file:
        file.seek(max(os.fstat(file.fileno()).st_size - READ_BYTES, 0))
        entries = file.read().splitlines()[-MAX_MESSAGE_LINES:]
    parts = (entry.split(b" ", 3) for entry in entries if entry.count(b" ") >= 3)
    return b"".join(text + (b"\n" if tag == b"F" else b"") for _, _, tag, text in parts)[-MAX_MESSAGE_BYTES:]


async def read(path: Path, writer: LogWriter | None, *, follow: bool) -> AsyncIterator[bytes]:
    """Whole entries in chunks, oldest first, older files before; with `follow`, an empty chunk and what comes until the writer has ended."""
    for number in range(MAX_FILES - 1, 0, -1):
        rotated = Path(f"{path}.{number}")
        if rotated.exists():
            with rotated.open("rb") as file:
                while chunk := file.read(READ_BYTES):
                    yield chunk
                    await anyio.lowlevel.checkpoint()
    if not path.exists():
        return
    file = path.open("rb")
    rest = b""
    caught_up = False
    try:
        while True:
            ended = writer is None or writer.ended
            chunk = file.read(READ_BYTES)
            if chunk:
                whole, newline, rest = (rest + chunk).rpartition(b"\n")
                if newline:
                    yield whole + newline
                await anyio.lowlevel.checkpoint()
                continue
            if path.exists() and os.fstat(file.fileno()).st_ino != os.stat(path).st_ino:  # rotated meanwhile
                file.close()
                file = path.open("rb")
                continue
            if not follow or ended or writer is None:
                break
            if not caught_up:
                caught_up = True
                yield b""
                continue
            await writer.wait_for_more()
    finally:
        file.close()
