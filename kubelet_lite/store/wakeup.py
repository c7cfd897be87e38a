"""Wakes watchers once a turn of the event loop, however many writes the turn made."""
from __future__ import annotations

from asyncio import AbstractEventLoop

from kubelet_lite.store.head import Head
from kubelet_lite.store.log import EventLog


class Bell:
    """A write costs one `ring`; who is to be woken is found out when the turn is over."""

    def __init__(self, head: Head) -> None:
        self._head = head
        self._loop: AbstractEventLoop | None = None
        """Where the watchers sleep."""
        self._logs: dict[EventLog, None] = {}
        """Those with new events since the last turn; while there are any, `_toll` is scheduled."""

    def hears(self, loop: AbstractEventLoop) -> None:
        """A watcher is about to sleep in `loop`."""
        if loop is not self._loop:
            self._loop = loop
            self._logs.clear()

    def ring(self, log: EventLog) -> None:
        if not self._logs and self._loop is not None:
            self._loop.call_soon(self._toll)
        self._logs[log] = None

    def ring_again(self) -> None:
        """For what was written before a transaction that was interrupted."""
        if self._logs and self._loop is not None:
            self._loop.call_soon(self._toll)

    def _toll(self) -> None:
        if self._head.depth:
            self._head.interrupted = True  # the transaction will be rolled back, and then rings again
            return
        logs, self._logs = self._logs, {}
        for log in logs:
            log.wake()
