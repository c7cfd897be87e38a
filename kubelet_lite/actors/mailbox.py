"""Bounded queues between actors. Which one an actor has says what happens when messages come faster than it reads.

`CoalescingMailbox` keeps the newest message of a key, `DroppingMailbox` forgets the oldest, `WaitingMailbox` holds back whoever sends.
Promises of all: order is kept; a cancelled `receive` loses nothing; a batch costs one wake-up however many messages are in it.
"""
from __future__ import annotations

import collections
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping
from typing import Final, Generic, TypeVar

import anyio
import anyio.lowlevel

T = TypeVar("T")

DEFAULT_LIMIT: Final = 10_000
"""Messages of a few hundred bytes: some megabytes at worst."""
DEFAULT_BATCH: Final = 1_000
"""Messages handed over at once: work for a few milliseconds."""


class MailboxFull(Exception):
    """A message that may neither be dropped nor wait does not fit: a limit was chosen wrongly, or a reader hangs."""


class Mailbox(ABC, Generic[T]):
    """What every mailbox promises. It may be filled before anyone reads, and outlives a crash of its reader."""

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        assert limit > 0
        self._limit = limit
        self._readable: anyio.Event | None = None
        self._received = 0
        self._taken = 0
        self._longest = 0

    @abstractmethod
    def put(self, message: T) -> None:
        """Adds a message now."""

    @abstractmethod
    def __len__(self) -> int:
        """How many messages are waiting."""

    @abstractmethod
    def _take(self, limit: int) -> list[T]: ...

    async def receive_batch(self, limit: int = DEFAULT_BATCH) -> list[T]:
        """Waits for a message and takes all that are there, at most `limit`. Always lets other tasks run first."""
        await anyio.lowlevel.checkpoint()
        while not len(self):
            if self._readable is None:
                self._readable = anyio.Event()
            await self._readable.wait()
        batch = self._take(limit)
        self._taken += len(batch)
        return batch

    async def receive(self) -> T:
        """Waits for one message."""
        return (await self.receive_batch(1))[0]

    def statistics(self) -> Mapping[str, float]:
        """Numbers for `Actor.statistics`."""
        return {"waiting": len(self), "limit": self._limit, "longest": self._longest, "received": self._received, "taken": self._taken}

    def _added(self) -> None:
        self._received += 1
        self._longest = max(self._longest, len(self))
        if self._readable is not None:
            self._readable.set()
            self._readable = None


class CoalescingMailbox(Mailbox[T]):
    """One message a key: a newer one takes the place of the older one in the queue. More keys than `limit` raise MailboxFull."""

    def __init__(self, key: Callable[[T], Hashable], limit: int = DEFAULT_LIMIT) -> None:
        super().__init__(limit)
        self._key = key
        self._messages: dict[Hashable, T] = {}
        self._coalesced = 0

    def put(self, message: T) -> None:
        key = self._key(message)
        if key in self._messages:
            self._coalesced += 1
        elif len(self._messages) >= self._limit:
            raise MailboxFull(f"{self._limit} keys are waiting")
        self._messages[key] = message
        self._added()

    def __len__(self) -> int:
        return len(self._messages)

    def statistics(self) -> Mapping[str, float]:
        return {**super().statistics(), "coalesced": self._coalesced}

    def _take(self, limit: int) -> list[T]:
        if len(self._messages) <= limit:
            batch = list(self._messages.values())
            self._messages = {}
            return batch
        keys = [key for key, _ in zip(self._messages, range(limit), strict=False)]
        return [self._messages.pop(key) for key in keys]


class _QueuedMailbox(Mailbox[T]):
    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        super().__init__(limit)
        self._messages: collections.deque[T] = collections.deque()

    def __len__(self) -> int:
        return len(self._messages)

    def _take(self, limit: int) -> list[T]:
        return [self._messages.popleft() for _ in range(min(limit, len(self._messages)))]


class DroppingMailbox(_QueuedMailbox[T]):
    """Keeps the newest `limit` messages; each one lost is counted."""

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        super().__init__(limit)
        self._dropped = 0

    def put(self, message: T) -> None:
        if len(self._messages) >= self._limit:
            self._messages.popleft()
            self._dropped += 1
        self._messages.append(message)
        self._added()

    def statistics(self) -> Mapping[str, float]:
        return {**super().statistics(), "dropped": self._dropped}


class WaitingMailbox(_QueuedMailbox[T]):
    """Loses nothing: `send` waits for room, first come first served; `put` raises MailboxFull.

    A `send` that is cancelled has delivered its message once or not at all.
    """

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        super().__init__(limit)
        self._senders: collections.OrderedDict[anyio.Event, T] = collections.OrderedDict()

    def put(self, message: T) -> None:
        if len(self._messages) >= self._limit:
            raise MailboxFull(f"{self._limit} messages are waiting")
        self._messages.append(message)
        self._added()

    async def send(self, message: T) -> None:
        """Adds a message as soon as there is room."""
        await anyio.lowlevel.checkpoint()
        if len(self._messages) < self._limit:
            self.put(message)
            return
        delivered = anyio.Event()
        self._senders[delivered] = message
        try:
            await delivered.wait()
        finally:
            self._senders.pop(delivered, None)

    def statistics(self) -> Mapping[str, float]:
        return {**super().statistics(), "senders_waiting": len(self._senders)}

    def _take(self, limit: int) -> list[T]:
        batch = super()._take(limit)
        while self._senders and len(self._messages) < self._limit:
            delivered, message = self._senders.popitem(last=False)
            self.put(message)
            delivered.set()
        return batch
