"""A container's log as PodLogOptions ask for it: from the CRI's entries to the lines that a client sees. Pure but for its source.

https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/ (read log)
"""
from __future__ import annotations

import collections
from collections.abc import AsyncIterator, Iterable
from typing import Final

from kubelet_lite.api import timestamps
from kubelet_lite.wire.node_connection import LogQuery

STREAMS: Final = {"All": (b"stdout", b"stderr"), "Stdout": (b"stdout",), "Stderr": (b"stderr",)}
MAX_TAIL_ENTRIES: Final = 1_000_000
"""More lines than this are not kept for `tailLines`: the newest count."""


async def query_log(source: AsyncIterator[bytes], query: LogQuery) -> AsyncIterator[bytes]:
    """`source` yields whole entries: first what exists, then, after an empty chunk, what comes (`follow`); a tail is taken of
    what exists."""
    left = query.limit_bytes
    tail: collections.deque[bytes] | None = None
    if query.tail_lines is not None:
        tail = collections.deque(maxlen=min(query.tail_lines, MAX_TAIL_ENTRIES))
    async for chunk in source:
        if not chunk:
            if tail is not None:
                data, tail = b"".join(tail), None
                left, data = _limited(left, data)
                if data:
                    yield data
            continue
        lines = _lines(chunk, query)
        if tail is not None:
            tail.extend(_joined(tail, lines))
            continue
        left, data = _limited(left, b"".join(lines))
        if data:
            yield data
        if left == 0:
            return
    if tail:
        _, data = _limited(left, b"".join(tail))
        if data:
            yield data


def _joined(tail: collections.deque[bytes], lines: Iterable[bytes]) -> Iterable[bytes]:
    """Joins parts of one line, so that the tail counts lines."""
    open_line = tail.pop() if tail and not tail[-1].endswith(b"\n") else b""
    for line in lines:
        open_line += line
        if line.endswith(b"\n"):
            yield open_line
            open_line = b""
    if open_line:
        yield open_line


def _limited(left: int | None, data: bytes) -> tuple[int | None, bytes]:
    return (left, data) if left is None else (max(left - len(data), 0), data[:left])


def _lines(chunk: bytes, query: LogQuery) -> list[bytes]:
    found = []
    streams = STREAMS[query.stream]
    for entry in chunk.splitlines():
        time, stream, tag, text = entry.split(b" ", 3)
        if stream not in streams:
            continue
        if query.since_time is not None and timestamps.parse_time(time.decode()) < query.since_time:
            continue
        line = text + b"\n" if tag == b"F" else text
        found.append(time + b" " + line if query.timestamps else line)
    return found
