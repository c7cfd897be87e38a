"""The event log of one resource, and the streams that watch channels read: the log itself, and parts of it chosen by one field.

A stream for a field's value exists while somebody watches that value, and holds the log's own events: so a watcher of one node's
pods neither wakes for another node's nor reads past them. A log is told of what it missed in one go, at the latest when it is read.
"""
from __future__ import annotations

from asyncio import Future
from bisect import bisect_right
from collections.abc import Callable
from operator import attrgetter
from typing import Any, Final

from kubelet_lite.store.event import Event

NAMESPACE: Final = "metadata.namespace"
NAME: Final = "metadata.name"

Getter = Callable[[Any], str]
Selector = tuple[str, str]
"""A field and its value; `ALL` selects every event."""
ALL: Final[Selector] = ("", "")

_REVISION: Final = attrgetter("revision")


class Stream:
    """Events in ascending revision. A position counts from when the stream began, whatever has been dropped since."""

    __slots__ = ("base", "events", "readers", "since", "sleepers")

    def __init__(self, since: int) -> None:
        self.events: list[Event] = []
        self.base = 0
        """The position of the first event that is kept."""
        self.since = since
        """Every event of the stream with a higher revision is or was in it."""
        self.readers = 0
        self.sleepers: list[Future[None]] = []
        """What wakes the channels that have read all and wait."""

    @property
    def end(self) -> int:
        return self.base + len(self.events)

    def position_after(self, revision: int) -> int:
        """Where the first event later than `revision` stands or will stand."""
        return self.base + bisect_right(self.events, revision, key=_REVISION)

    def drop(self, count: int) -> None:
        del self.events[:count]
        self.base += count

    def prepend(self, events: list[Event], since: int) -> None:
        self.events[:0] = events
        self.base -= len(events)
        self.since = since

    def wake(self) -> None:
        for waiter in self.sleepers:
            if not waiter.done():
                waiter.set_result(None)
        self.sleepers.clear()


class EventLog:
    """All events of one resource since `compacted`."""

    def __init__(self, resource: str) -> None:
        self.resource = resource
        self.all = Stream(0)
        self.compacted = 0
        """The revision of the newest event dropped: what is older can be neither read nor watched from."""
        self.newest = 0
        """The revision of the newest event there has been: whoever changes the log keeps it."""
        self.attended = False
        """Whether a new event may have to wake somebody."""
        self.getters: dict[str, Getter] = {}
        """The fields of objects that may be watched by."""
        self._streams: dict[str, dict[str, Stream]] = {NAMESPACE: {}, NAME: {}}
        """By field and value: those and only those with a reader."""
        self._watched = 0
        """How many streams there are."""
        self._distributed = 0
        """The position up to which events have been handed to the streams."""

    @property
    def readers(self) -> int:
        """How many channels are open."""
        return self.all.readers + sum(stream.readers for streams in self._streams.values() for stream in streams.values())

    def add_field(self, field: str, getter: Getter) -> None:
        self.getters[field] = getter
        self._streams[field] = {}

    def open(self, selector: Selector, after: int) -> Stream:
        """The stream of what `selector` selects, with all of it that is later than `after`; to be closed again."""
        self.distribute()
        if selector == ALL:
            stream = self.all
        else:
            field, value = selector
            streams = self._streams[field]
            found = streams.get(value)
            if found is None:
                stream = streams[value] = Stream(self.newest)
                self._watched += 1
            else:
                stream = found
            if after < stream.since:
                stream.prepend([e for e in self._between(after, stream.since) if value in self._values(field, e)], after)
        stream.readers += 1
        return stream

    def close(self, selector: Selector, stream: Stream) -> None:
        stream.readers -= 1
        if not stream.readers and stream is not self.all:
            del self._streams[selector[0]][selector[1]]
            self._watched -= 1

    def distribute(self) -> None:
        """Hands the streams what they have not seen and wakes who waits for it."""
        start, self._distributed = self._distributed, self.all.base + len(self.all.events)
        if start == self._distributed or not self._watched:
            return
        by_namespace, by_name = self._streams[NAMESPACE], self._streams[NAME]
        by_field = [(getter, self._streams[field]) for field, getter in self.getters.items() if self._streams[field]]
        touched: dict[Stream, None] = {}
        for event in self.all.events[start - self.all.base:]:
            if (stream := by_namespace.get(event.key.namespace)) is not None:
                stream.events.append(event)
                touched[stream] = None
            if (stream := by_name.get(event.key.name)) is not None:
                stream.events.append(event)
                touched[stream] = None
            for getter, streams in by_field:
                value = getter(event.object) if event.object is not None else None
                previous = getter(event.previous) if event.previous is not None else None
                if value is not None and (stream := streams.get(value)) is not None:
                    stream.events.append(event)
                    touched[stream] = None
                if previous is not None and previous != value and (stream := streams.get(previous)) is not None:
                    stream.events.append(event)
                    touched[stream] = None
        for stream in touched:
            stream.wake()

    def wake(self) -> None:
        """Wakes every channel that has something to read."""
        self.attended = self._watched > 0
        self.distribute()
        self.all.wake()

    def drop(self, count: int) -> None:
        """Forgets the oldest events."""
        self.distribute()
        if not count:
            return
        self.compacted = self.all.events[count - 1].revision
        self.all.drop(count)
        for streams in self._streams.values():
            for stream in streams.values():
                if stream.events and stream.events[0].revision <= self.compacted:
                    stream.drop(stream.position_after(self.compacted) - stream.base)

    def restart(self, revision: int) -> None:
        """Forgets all events and begins again at a revision, be it an earlier one: whoever has the log open has lost its place."""
        self.compacted = self.newest = revision
        for stream in (self.all, *(stream for streams in self._streams.values() for stream in streams.values())):
            stream.drop(len(stream.events))
            stream.base += 1
            stream.since = revision
            stream.wake()
        self._distributed = self.all.end

    def _between(self, after: int, through: int) -> list[Event]:
        stream = self.all
        return stream.events[stream.position_after(after) - stream.base:stream.position_after(through) - stream.base]

    def _values(self, field: str, event: Event) -> tuple[str, ...]:
        if field == NAMESPACE:
            return (event.key.namespace,)
        if field == NAME:
            return (event.key.name,)
        getter = self.getters[field]
        return tuple(getter(obj) for obj in (event.object, event.previous) if obj is not None)
