"""A watch: a cursor into a stream of events, and a future while there is nothing to read. It has no queue.

Promises (etcd's, https://etcd.io/docs/latest/learning/api_guarantees/#watch-apis): Ordered, Unique, Atomic (nothing of a transaction
before all of it), Reliable (no gap: `Compacted` instead), Resumable (after any revision that is kept), Filter, and `progress` as bookmark.
A cancelled `next_batch` loses nothing.
"""
from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Final, NoReturn, Self

import anyio
import anyio.lowlevel

from kubelet_lite.store.errors import Compacted
from kubelet_lite.store.event import Event
from kubelet_lite.store.head import Head
from kubelet_lite.store.log import ALL, EventLog, Selector
from kubelet_lite.store.wakeup import Bell

BATCH: Final = 1_000
"""Events handed over at once: what a reader can do with so many takes milliseconds."""

Accepts = Callable[[Event], bool]


class WatchChannel:
    """Read by one task at a time. Close it, or use it as a context manager."""

    def __init__(self, log: EventLog, selector: Selector, accepts: Accepts | None, after: int, head: Head, bell: Bell) -> None:
        self._log = log
        self._selector: Selector = selector
        self._accepts = accepts
        self._head = head
        self._bell = bell
        self._stream = log.open(selector, after)
        self._position = self._stream.position_after(after)
        self._seen = after
        """The revision of the newest event passed, or where the watch began."""
        self._progress = after
        self._loop: asyncio.AbstractEventLoop | None = None
        """Where it is read, once it has had to wait."""
        self._waiter: asyncio.Future[None] | None = None
        """What its reader waits for."""
        self._roused = False
        """Whether the reader is to return without events."""
        self._closed = False

    async def next_batch(self, limit: int = BATCH) -> Sequence[Event]:
        """Waits for events and returns those that are there; none when it is roused. Always lets other tasks run first.

        Raises Compacted when compaction has passed the cursor, ClosedResourceError when the channel is closed.
        """
        while True:
            await self.changed()
            if (batch := self.poll(limit)) or self.was_roused():
                return batch

    def changed(self) -> Awaitable[None]:
        """To be awaited before a `poll`, by one task at a time: over when there is reason for one. Always lets other tasks run first."""
        if self._loop is None or not self._log.attended:
            self._listen()
        stream = self._stream
        if self._roused or self._closed or self._position < stream.base + len(stream.events):
            return anyio.lowlevel.checkpoint()
        last = self._waiter
        if last is not None and last.cancelled() and last in stream.sleepers:
            stream.sleepers.remove(last)
        # A bare future: an anyio.Event costs ten times as much, and a thousand watchers wake at once.
        waiter: asyncio.Future[None] = asyncio.Future(loop=self._loop)
        self._waiter = waiter
        stream.sleepers.append(waiter)
        return waiter

    def _listen(self) -> None:
        """From now on the bell rings for every event: what is there already is seen without it."""
        self._log.distribute()
        self._log.attended = True
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._bell.hears(self._loop)

    def was_roused(self) -> bool:
        """Whether it is to return without events, once."""
        roused, self._roused = self._roused, False
        return roused

    def poll(self, limit: int = BATCH) -> Sequence[Event]:
        """The same without waiting: what is there now, maybe nothing."""
        assert not self._head.depth, "events of a transaction that is not over are nobody's"
        stream = self._stream
        while True:
            start = self._position - stream.base
            if start < 0 or self._closed:
                self._raise()
            batch = stream.events[start:start + limit]
            if not batch:
                if self._selector is ALL:
                    return ()
                self._log.distribute()
                batch = stream.events[start:start + limit]
                if not batch:
                    return ()
            assert batch[0].revision > self._seen, "a watch goes forward"
            self._position += len(batch)
            self._seen = batch[-1].revision
            if self._accepts is None:
                return batch
            batch = [event for event in batch if self._accepts(event)]
            if batch:
                return batch

    @property
    def progress(self) -> int:
        """Every event of the watch up to this revision has been returned. Never falls."""
        if not self._head.depth and not self._closed:
            self._progress = max(self._progress, self._seen if self._is_behind() else self._head.revision)
        return self._progress

    def rouse(self) -> None:
        """Lets whoever waits in `next_batch`, or waits there next, return without events: it is time for something else."""
        self._roused = True
        self._wake()

    def close(self) -> None:
        """Lets go; whoever waits in `next_batch` gets ClosedResourceError."""
        if self._closed:
            return
        self._closed = True
        self._log.close(self._selector, self._stream)
        self._wake()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self.close()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _is_behind(self) -> bool:
        if self._selector is not ALL:
            self._log.distribute()
        stream = self._stream
        return self._closed or self._position < stream.base + len(stream.events)

    def _raise(self) -> NoReturn:
        if self._closed:
            raise anyio.ClosedResourceError
        raise Compacted(self._log.resource, self._seen, self._log.compacted)
