"""Names in order, in chunks: neither an insertion nor a removal moves more than two chunks' worth of them."""
from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from typing import Final

CHUNK: Final = 512
"""A chunk is split at twice this: small enough to shift in 50 ns, large enough that 150,000 names make 300 chunks."""


class SortedNames:
    """A set of names in code point order, as etcd orders its keys."""

    __slots__ = ("_chunks", "_count", "_lasts")

    def __init__(self) -> None:
        self._chunks: list[list[str]] = []
        self._lasts: list[str] = []
        """The last name of each chunk; no chunk is empty."""
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, name: str) -> None:
        """`name` must not be in it."""
        self._count += 1
        lasts = self._lasts
        i = bisect_left(lasts, name)
        if i == len(lasts):
            if not lasts:
                self._chunks.append([name])
                lasts.append(name)
                return
            i -= 1
            lasts[i] = name
            chunk = self._chunks[i]
            chunk.append(name)
        else:
            chunk = self._chunks[i]
            insort(chunk, name)
        if len(chunk) > 2 * CHUNK:
            self._chunks.insert(i + 1, chunk[CHUNK:])
            del chunk[CHUNK:]
            lasts.insert(i, chunk[-1])

    def remove(self, name: str) -> None:
        """`name` must be in it."""
        i = bisect_left(self._lasts, name)
        chunk = self._chunks[i]
        j = bisect_left(chunk, name)
        assert chunk[j] == name
        del chunk[j]
        self._count -= 1
        if not chunk:
            del self._chunks[i], self._lasts[i]
        elif j == len(chunk):
            self._lasts[i] = chunk[-1]

    def runs(self, after: str | None = None) -> Iterator[list[str]]:
        """All names behind `after`, in order, some hundreds at a time. Must not change while this is read; the lists are not to be changed."""
        if after is None:
            yield from self._chunks
            return
        first = bisect_right(self._lasts, after)
        for i in range(first, len(self._chunks)):
            chunk = self._chunks[i]
            run = chunk[bisect_right(chunk, after):] if i == first else chunk
            if run:
                yield run

    def between(self, after: str | None, through: str) -> list[str]:
        """The names behind `after` up to and with `through`."""
        found: list[str] = []
        for run in self.runs(after):
            if run[-1] > through:
                return found + run[:bisect_right(run, through)]
            found += run
        return found

    def count_after(self, after: str) -> int:
        i = bisect_right(self._lasts, after)
        if i == len(self._chunks):
            return 0
        chunk = self._chunks[i]
        return len(chunk) - bisect_right(chunk, after) + sum(map(len, self._chunks[i + 1:]))
