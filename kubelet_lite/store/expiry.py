"""Event objects end: after their time to live, and the oldest when there are too many. (kube-apiserver attaches an etcd lease to them.)"""
from __future__ import annotations

from collections import OrderedDict
from types import TracebackType
from typing import Final, Self

from kubelet_lite.store.errors import Compacted
from kubelet_lite.store.keys import Key
from kubelet_lite.store.retention import Marks
from kubelet_lite.store.store import Store, stamped
from kubelet_lite.store.watch import WatchChannel

EVENTS: Final = "events"
DELETED_AT_ONCE: Final = 500
"""Deletions between two awaits: about a millisecond, and as much again for each watcher of Events."""


class Expiry:
    """Follows the Event objects by list and watch. Their age counts from when this began or they were last written."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._marks = Marks(store.limits.event_ttl_seconds)
        self._written: OrderedDict[Key, int] = OrderedDict()
        """The revision of each Event object, ascending."""
        self._channel = self._follow()

    def sweep(self, now: float) -> bool:
        """Deletes those that are due, as many as may be at once; returns whether there are more."""
        self._read()
        self._marks.note(now, self._store.revision)
        outlived = self._marks.outlived(now)
        for _ in range(DELETED_AT_ONCE):
            if not self._written:
                return False
            key, revision = next(iter(self._written.items()))
            if revision > outlived and len(self._written) <= self._store.limits.event_objects:
                return False
            del self._written[key]
            final = stamped(self._store.get(key), self._store.next_revision)
            self._store.delete(key, expected=revision, final=final)
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._channel.close()

    def _follow(self) -> WatchChannel:
        page = self._store.list(EVENTS)
        found = [(int(obj.metadata.resourceVersion), Key(EVENTS, obj.metadata.namespace, obj.metadata.name)) for obj in page.items]
        self._written = OrderedDict((key, revision) for revision, key in sorted(found))
        return self._store.watch(EVENTS, after=page.revision)

    def _read(self) -> None:
        try:
            while batch := self._channel.poll():
                for event in batch:
                    self._written.pop(event.key, None)
                    if event.object is not None:
                        self._written[event.key] = event.revision
        except Compacted:
            self._channel.close()
            self._channel = self._follow()
