"""Several writes as one: all or nothing, and watchers see nothing before all of it. Not to be awaited in."""
from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

from kubelet_lite.store.head import Head


class Transaction:
    """A transaction inside another one is a savepoint."""

    def __init__(self, head: Head, roll_back: Callable[[int], None]) -> None:
        self._head = head
        self._roll_back = roll_back
        self._start = 0

    def __enter__(self) -> None:
        self._head.depth += 1
        self._start = self._head.revision

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._head.depth -= 1
        if error is None and not self._head.interrupted:
            return
        self._roll_back(self._start)
        if self._head.interrupted and not self._head.depth:
            self._head.interrupted = False
            raise AssertionError("somebody awaited inside a transaction: it is rolled back")
