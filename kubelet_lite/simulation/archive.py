"""Every revision of a simulated run, who wrote it and when: what invariants watch, stories tell and a replay steps through.

A store forgets; the archive of its run does not.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from kubelet_lite.actors.actor import current_actor
from kubelet_lite.simulation.parts import current_part
from kubelet_lite.store.event import Event
from kubelet_lite.store.keys import Key
from kubelet_lite.store.store import Store


class Revision(msgspec.Struct, frozen=True, gc=False):
    """One change: `event` is the store's, `time` virtual Unix seconds, `actor` the part that wrote it ("" for the scenario itself)."""

    event: Event
    time: float
    actor: str
    expected: int | None = None
    """At which revision the writer believed the object to be; 0: that there was none; None: nobody knows."""

    @property
    def verb(self) -> str:
        """create, update or delete."""
        return "delete" if self.event.object is None else "create" if self.event.previous is None else "update"

    @property
    def object(self) -> Any:
        """As written; for a delete as last seen."""
        return self.event.final if self.event.object is None else self.event.object


class LogRecord(msgspec.Struct, frozen=True):
    """What an actor logged. `after`: the revision that was the last one then."""

    after: int
    time: float
    actor: str
    level: str
    fields: Mapping[str, Any]
    """`event` says what happened."""


class Archive:
    """All revisions of one store, and all log records, in order, until it is closed. What a transaction takes back never was."""

    def __init__(self) -> None:
        self.revisions: list[Revision] = []
        self.records: list[LogRecord] = []
        self.answers: list[Any] | None = None
        """What the API answered (answers.py) and nobody has judged yet; None: nobody wants to."""
        self.began = 0.0
        """When the cluster became ready, in virtual Unix seconds; 0: never."""
        self.ready = 0
        """The last revision then: of what the cluster is made of before anybody asks for anything."""
        self._closed = False

    def begin(self, time: float) -> None:
        """The cluster is ready."""
        self.began = time
        self.ready = self.revisions[-1].event.revision if self.revisions else 0

    def close(self) -> None:
        """The run is over: what happens while it is taken down is no part of it."""
        self._closed = True

    def add(self, revision: Revision) -> None:
        if not self._closed:
            self.revisions.append(revision)

    def log(self, time: float, level: str, fields: Mapping[str, Any]) -> None:
        if not self._closed:
            after = self.revisions[-1].event.revision if self.revisions else 0
            self.records.append(LogRecord(after, time, current_actor(), level, dict(fields)))

    def take_back(self, start: int) -> None:
        """Forgets what is later than revision `start`: it was never committed."""
        while self.revisions and self.revisions[-1].event.revision > start:
            self.revisions.pop()


class ArchivedStore(Store):
    """A store that writes down all it does."""

    def __init__(self, archive: Archive, *, now: Callable[[], float]) -> None:
        super().__init__(now=now)
        self.archive = archive

    def put(self, key: Key, obj: Any, *, expected: int) -> int:
        revision = super().put(key, obj, expected=expected)
        self._write_down(key.resource, expected)
        return revision

    def delete(self, key: Key, *, expected: int, final: Any) -> int:
        revision = super().delete(key, expected=expected, final=final)
        self._write_down(key.resource, expected)
        return revision

    def _write_down(self, resource: str, expected: int) -> None:
        self.archive.add(Revision(self._table(resource).log.all.events[-1], self._now(), current_part(), expected))

    def _roll_back(self, start: int) -> None:
        super()._roll_back(start)
        self.archive.take_back(start)
