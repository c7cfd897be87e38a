"""The events of one watch: what its selectors make of the store's events, bookmarks, and the end by a timeout.

https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import Any, Final, Self

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


class Shown:
    """One resource's events as every watcher without selectors sees them: made once, whoever reads them first."""

    def __init__(self, target: Stored) -> None:
        self._view = target.view
        self._newest: Event | None = None
        self._events: Sequence[WatchEvent] = ()
        """Of `newest` alone: mostly all watchers read it at the same time."""

    def of(self, batch: Sequence[Event]) -> Sequence[WatchEvent]:
        newest = batch[-1]
        if len(batch) > 1:
            return [self._one(event) for event in batch]
        if newest is not self._newest:
            self._newest = newest
            self._events = (self._one(newest),)
        return self._events

    def _one(self, event: Event) -> WatchEvent:
        if event.object is None:
            return WatchEvent("DELETED", self._view(_last(event)))
        return WatchEvent("ADDED" if event.previous is None else "MODIFIED", self._view(event.object))


class WatchStream:
    """The events of one watch, in batches; ends by the timeout of its options. (No generator: those end when the collector finds them.)"""

    def __init__(
        self, target: Stored, chosen: Filter, options: ListOptions, channel: WatchChannel, initial: Sequence[Any], not_before: int,
        environment: Environment, shown: Shown,
    ) -> None:
        self._target = target
        self._chosen = chosen
        self._channel = channel
        self._not_before = not_before
        """Set where a revision was asked for that had not happened yet: events up to it are nobody's."""
        self._shown = shown if chosen.matches is None and not chosen.nothing and not not_before else None
        """Where this watch sees what all do."""
        self._environment = environment
        self._now = environment.monotonic
        self._bookmarks = options.allow_watch_bookmarks
        self._ends = self._now() + options.timeout_seconds if options.timeout_seconds else None
        self._initial = initial
        self._sent = 0
        """How many of `initial` have been."""
        self._ends_initial = bool(options.send_initial_events and self._bookmarks)
        """Whether a bookmark is due when they all have."""
        self._begins = bool(initial) or self._ends_initial
        """Whether there is anything to send before the first event."""
        self._marks_at = self._next_mark() if self._bookmarks else None
        self._alarm: asyncio.TimerHandle | None = None
        """Rouses the channel when a bookmark is due or the watch ends: a timer a minute, where one for each wait would cost more than it."""
        self._ended = False
        """Whether it is to end before its time."""
        self._set_alarm()

    def end(self) -> None:
        """Ends it once what has happened is read."""
        self._ended = True
        self._channel.rouse()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._channel.close()

    def __aiter__(self) -> AsyncIterator[Sequence[WatchEvent]]:
        return self

    async def __anext__(self) -> Sequence[WatchEvent]:
        if self._begins:
            return await self._next_initial()
        channel = self._channel
        while True:
            await channel.changed()
            try:
                batch = channel.poll()
            except Compacted as error:
                raise Expired(f"too old resource version: {channel.progress} ({error.compacted})") from error
            if batch:
                events = self._selected(batch) if self._shown is None else self._shown.of(batch)
                if events:
                    return events
            elif not channel.was_roused():
                continue
            elif self._ended:
                raise StopAsyncIteration
            elif self._marks_at is not None and self._now() >= self._marks_at:
                self._marks_at = self._next_mark()
                self._set_alarm()
                return [_bookmark(self._target, channel.progress)]
            elif self._ends is not None and self._now() >= self._ends:
                raise StopAsyncIteration
            else:
                self._set_alarm()

    def _set_alarm(self) -> None:
        at = self._ends if self._marks_at is None else self._marks_at
        if at is not None:
            self._alarm = asyncio.get_running_loop().call_later(at - self._now(), self._channel.rouse)

    async def _next_initial(self) -> Sequence[WatchEvent]:
        """What was there when the watch began, a part at a time."""
        if self._sent:
            await self._environment.sleep(0)
        part = self._initial[self._sent:self._sent + SENT_AT_ONCE]
        self._sent += len(part)
        events = [WatchEvent("ADDED", self._target.view(obj)) for obj in part]
        if self._sent == len(self._initial):
            self._initial, self._sent, self._begins = (), 0, False
            if self._ends_initial:
                self._ends_initial = False
                events.append(_bookmark(self._target, self._channel.progress, initial_end=True))
        return events

    def _next_mark(self) -> float | None:
        """When the next bookmark is due: never again when the watch is about to end."""
        now = self._now()
        if self._ends is None:
            return now + BOOKMARK_SECONDS
        at = min(now + BOOKMARK_SECONDS, self._ends - LAST_BOOKMARK_SECONDS)
        return at if at > now else None

    def _selected(self, batch: Sequence[Event]) -> Sequence[WatchEvent]:
        if batch[0].revision <= self._not_before:
            batch = [event for event in batch if event.revision > self._not_before]
        if self._chosen.nothing or not batch:
            return ()
        matches, view = self._chosen.matches, self._target.view
        events = []
        for event in batch:
            new, old = event.object, event.previous
            if matches is not None:
                new = new if new is not None and matches(new) else None
                old = old if old is not None and matches(old) else None
            if new is not None:
                events.append(WatchEvent("ADDED" if old is None else "MODIFIED", view(new)))
            elif old is not None:
                events.append(WatchEvent("DELETED", view(_last(event))))
        return events


def _last(event: Event) -> Any:
    """What a DELETED shows: the object as last seen, or as it was before it left the selection, at the revision of the event."""
    if event.final is not None:
        return event.final
    obj = event.previous
    assert obj is not None
    return replace(obj, metadata=replace(obj.metadata, resourceVersion=str(event.revision)))


def _bookmark(target: Stored, revision: int, *, initial_end: bool = False) -> WatchEvent:
    annotations = {INITIAL_EVENTS_END: "true"} if initial_end else {}
    return WatchEvent("BOOKMARK", target.empty(ObjectMeta(resourceVersion=str(revision), annotations=annotations)))
