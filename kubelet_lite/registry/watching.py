"""The events of one watch: what its selectors make of the store's events, bookmarks, and the end by a timeout.

https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""
from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

import anyio
from msgspec.structs import replace

from kubelet_lite.actors.environment import Environment
from kubelet_lite.api.errors import Expired
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.requests import ListOptions, WatchEvent
from kubelet_lite.registry.selection import Filter
from kubelet_lite.registry.stored import Stored
from kubelet_lite.store import Compacted, Event
from kubelet_lite.store.watch import WatchChannel

BOOKMARK_SECONDS: Final = 60.0
"""How often a watch that wants bookmarks gets one, as kube-apiserver does about."""
LAST_BOOKMARK_SECONDS: Final = 2.0
"""A bookmark comes so long before a watch ends by its timeout."""
INITIAL_EVENTS_END: Final = "k8s.io/initial-events-end"
SENT_AT_ONCE: Final = 2_000
"""Initial events between two awaits."""


class WatchStream:
    """The events of one watch, in batches; ends by the timeout of its options. (No generator: those end when the collector finds them.)"""

    def __init__(
        self, target: Stored, chosen: Filter, options: ListOptions, channel: WatchChannel, initial: Sequence[Any], not_before: int,
        environment: Environment,
    ) -> None:
        self._target = target
        self._chosen = chosen
        self._channel = channel
        self._not_before = not_before
        """Set where a revision was asked for that had not happened yet: events up to it are nobody's."""
        self._environment = environment
        self._now = environment.monotonic
        self._bookmarks = options.allow_watch_bookmarks
        self._ends = self._now() + options.timeout_seconds if options.timeout_seconds else None
        self._initial = initial
        self._sent = 0
        """How many of `initial` have been."""
        self._ends_initial = bool(options.send_initial_events and self._bookmarks)
        """Whether a bookmark is due when they all have."""
        self._marks_at = self._next_mark() if self._bookmarks else None

    def __aiter__(self) -> AsyncIterator[Sequence[WatchEvent]]:
        return self

    async def __anext__(self) -> Sequence[WatchEvent]:
        if self._sent < len(self._initial) or self._ends_initial:
            return await self._next_initial()
        while True:
            events = self._selected(await self._next_batch())
            if events:
                return events
            if self._marks_at is not None and self._now() >= self._marks_at:
                self._marks_at = self._next_mark()
                return [_bookmark(self._target, self._channel.progress)]
            if self._ends is not None and self._now() >= self._ends:
                raise StopAsyncIteration

    async def _next_initial(self) -> Sequence[WatchEvent]:
        """What was there when the watch began, a part at a time."""
        if self._sent:
            await self._environment.sleep(0)
        part = self._initial[self._sent:self._sent + SENT_AT_ONCE]
        self._sent += len(part)
        events = [WatchEvent("ADDED", self._target.view(obj)) for obj in part]
        if self._sent == len(self._initial):
            self._initial, self._sent = (), 0
            if self._ends_initial:
                self._ends_initial = False
                events.append(_bookmark(self._target, self._channel.progress, initial_end=True))
        return events

    async def _next_batch(self) -> Sequence[Event]:
        """What has happened; nothing when it is time for something else."""
        wakes_at = self._ends if self._marks_at is None else self._marks_at
        batch: Sequence[Event] = ()
        try:
            if wakes_at is None:
                return await self._channel.next_batch()
            with anyio.move_on_after(wakes_at - self._now()):
                batch = await self._channel.next_batch()
        except Compacted as error:
            raise Expired(f"too old resource version: {self._channel.progress} ({error.compacted})") from error
        return batch

    def _next_mark(self) -> float | None:
        """When the next bookmark is due: never again when the watch is about to end."""
        now = self._now()
        if self._ends is None:
            return now + BOOKMARK_SECONDS
        at = min(now + BOOKMARK_SECONDS, self._ends - LAST_BOOKMARK_SECONDS)
        return at if at > now else None

    def _selected(self, batch: Sequence[Event]) -> Sequence[WatchEvent]:
        if not batch or self._chosen.nothing:
            return ()
        if batch[0].revision <= self._not_before:
            batch = [event for event in batch if event.revision > self._not_before]
        matches, view = self._chosen.matches, self._target.view
        events = []
        for event in batch:
            obj, previous = event.object, event.previous
            if matches is not None:
                if previous is not None and not matches(previous):
                    previous = None
                if obj is not None and not matches(obj):
                    obj = None
                if obj is None and previous is None:
                    continue
            if obj is None:
                last = event.final if event.final is not None else _at(previous, event.revision)
                events.append(WatchEvent("DELETED", view(last)))
            else:
                events.append(WatchEvent("ADDED" if previous is None else "MODIFIED", view(obj)))
        return events


def _at(obj: Any, revision: int) -> Any:
    return replace(obj, metadata=replace(obj.metadata, resourceVersion=str(revision)))


def _bookmark(target: Stored, revision: int, *, initial_end: bool = False) -> WatchEvent:
    annotations = {INITIAL_EVENTS_END: "true"} if initial_end else {}
    return WatchEvent("BOOKMARK", target.served.type(metadata=ObjectMeta(resourceVersion=str(revision), annotations=annotations)))
