"""The store: every object of a cluster, in memory, at every revision that is kept. All of it is synchronous and so atomic.

Promises: every change takes the next revision; a write succeeds only against the revision it expects; a read at a revision that is
kept sees exactly what was there; an error in a transaction leaves nothing of it; what is not kept is refused, never guessed.
Objects are opaque immutable values, stamped by the writer with `metadata.resourceVersion = str(store.next_revision)`.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any, Final

import msgspec

from kubelet_lite.store.encoded import Encode, EncodedCache
from kubelet_lite.store.errors import Compacted, FutureRevision
from kubelet_lite.store.event import Event
from kubelet_lite.store.head import Head
from kubelet_lite.store.keys import Key
from kubelet_lite.store.limits import Limits
from kubelet_lite.store.log import ALL, NAME, NAMESPACE, Selector
from kubelet_lite.store.retention import Marks, Weights, surplus
from kubelet_lite.store.table import Page, Table
from kubelet_lite.store.transaction import Transaction
from kubelet_lite.store.wakeup import Bell
from kubelet_lite.store.watch import Accepts, WatchChannel

CHECKED_EVERY: Final = 1 << 10
"""Writes between two looks at the limits: history outgrows them by no more, even when nobody else looks."""
DROPPED_AT_ONCE: Final = 2_048
"""Events dropped between two awaits: freeing so many pods takes some milliseconds. More than CHECKED_EVERY, so that dropping keeps up."""


def stamped(obj: Any, revision: int) -> Any:
    """The object as of `revision`."""
    replace = msgspec.structs.replace
    return replace(obj, metadata=replace(obj.metadata, resourceVersion=str(revision)))


class Store:
    """`now` tells the time (Unix seconds) by which history ages."""

    def __init__(self, limits: Limits = Limits(), *, now: Callable[[], float]) -> None:
        self.limits = limits
        self._now = now
        self._head = Head()
        self._bell = Bell(self._head)
        self._tables: dict[str, Table] = {}
        self._weights: dict[str, Weights] = {}
        """One of each table."""
        self._marks = Marks(limits.history_age_seconds)
        self._look_at = self._head.revision + CHECKED_EVERY
        """The revision at which the limits are looked at again at the latest."""
        self._encoded = EncodedCache(limits.encoded_bytes)

    @property
    def revision(self) -> int:
        """Of the last change."""
        return self._head.revision

    @property
    def next_revision(self) -> int:
        """What the next change has to be stamped with."""
        return self._head.revision + 1

    @property
    def compacted(self) -> int:
        """The oldest revision at which everything can still be read; single resources may go further back."""
        return max((table.log.compacted for table in self._tables.values()), default=0)

    # Reads

    def get(self, key: Key, revision: int | None = None) -> Any | None:
        """The object, or None. Raises Compacted, FutureRevision."""
        table = self._tables.get(key.resource)
        if table is None:
            return None
        if revision is None:
            return table.get(key)
        self._check_kept(table, revision)
        return table.get_at(key, revision)

    def mod_revision(self, key: Key) -> int:
        """The revision of the object's last change; 0 when there is none."""
        obj = self.get(key)
        return int(obj.metadata.resourceVersion) if obj is not None else 0

    def list(
        self, resource: str, namespace: str = "", *, revision: int | None = None, after: tuple[str, str] | None = None, limit: int = 0,
        field: tuple[str, str] | None = None,
    ) -> Page:
        """Objects in the order of (namespace, name), from behind `after`, all or `limit`. `namespace` "" means all of them.

        `field`: only those whose indexed field has a value, `("spec.nodeName", "node-1")`. Raises Compacted, FutureRevision.
        """
        table = self._table(resource)
        if revision is None:
            revision = self._head.revision
        else:
            self._check_kept(table, revision)
        if field is not None:
            return table.page_of_field(field, namespace, after, limit, revision)
        return table.page(namespace, after, limit, revision)

    def count(self, resource: str, namespace: str = "") -> int:
        """How many objects there are now."""
        table = self._tables.get(resource)
        return table.count(namespace) if table is not None else 0

    def changed(self, *resources: str) -> int:
        """The revision of the newest change to any object of the resources; 0 when there has been none."""
        newest, tables = 0, self._tables
        for resource in resources:
            table = tables.get(resource)
            if table is not None and (revision := table.log.newest) > newest:
                newest = revision
        return newest

    def encoded(self, obj: Any, encode: Encode) -> bytes:
        """`encode(obj)`, made once and shared while it is in use."""
        return self._encoded.get(obj, encode)

    # Writes

    def put(self, key: Key, obj: Any, *, expected: int) -> int:
        """Creates (`expected` 0) or replaces the object at revision `expected`; returns the new revision. Raises Stale."""
        table = self._tables.get(key.resource)
        if table is None:
            table = self._table(key.resource)
        head = self._head
        revision = head.revision + 1
        table.put(key, obj, revision, expected)
        head.revision = revision
        if table.log.attended:
            self._bell.ring(table.log)
        if revision >= self._look_at and not head.depth:
            self.enforce_limits()
        return revision

    def delete(self, key: Key, *, expected: int, final: Any) -> int:
        """Deletes the object at revision `expected`. `final`: the object as last seen, stamped like a write. Raises Stale."""
        table = self._table(key.resource)
        revision = self._head.revision + 1
        table.delete(key, final, revision, expected)
        self._head.revision = revision
        if table.log.attended:
            self._bell.ring(table.log)
        if revision >= self._look_at and not self._head.depth:
            self.enforce_limits()
        return revision

    def transaction(self) -> Transaction:
        """`with store.transaction():` what is written inside is written together, or on an exception not at all."""
        return Transaction(self._head, self._roll_back)

    # Watching

    def watch(
        self, resource: str, *, after: int, namespace: str = "", name: str = "", field: tuple[str, str] | None = None,
    ) -> WatchChannel:
        """All changes later than revision `after`, of all objects or those selected.

        An event is selected when the object or the previous one has the field's value: so one that leaves is seen to leave.
        Raises Compacted, FutureRevision.
        """
        assert not self._head.depth, "a watch begins at a revision that stays"
        table = self._table(resource)
        self._check_kept(table, after)
        return self._channel(table, _selector(namespace, name, field), self._filter(table, namespace, name, field), after)

    def events(self, *, after: int) -> Sequence[Event]:
        """All changes of all resources later than revision `after`, in order: what a trace shows. Raises Compacted, FutureRevision."""
        assert not self._head.depth
        for table in self._tables.values():
            self._check_kept(table, after)
        streams = [table.log.all for table in self._tables.values()]
        return sorted(
            (event for stream in streams for event in stream.events[stream.position_after(after) - stream.base :]), key=attrgetter("revision"),
        )

    def add_index(self, resource: str, field: str, getter: Callable[[Any], str]) -> None:
        """Lets lists and watches select by a field of the objects, without looking at any that do not have its value."""
        self._table(resource).add_index(field, getter)

    # History

    def compact(self, revision: int) -> None:
        """Forgets all history that a read at `revision` or later does not need."""
        assert not self._head.depth
        if revision > self._head.revision:
            raise FutureRevision(revision, self._head.revision)
        for table in self._tables.values():
            stream = table.log.all
            self._drop(table, stream.position_after(revision) - stream.base)

    def restore(self, objects: Iterable[tuple[Key, Any]], revision: int) -> None:
        """Holds these objects, each as it was stamped, and stands at a revision, be it an earlier one. Whoever watches gets Compacted."""
        assert not self._head.depth
        by_resource: dict[str, list[tuple[Key, Any]]] = {resource: [] for resource in self._tables}
        for key, obj in objects:
            by_resource.setdefault(key.resource, []).append((key, obj))
        for resource, held in by_resource.items():
            self._table(resource).restore(held, revision)
            self._weights[resource] = Weights()
        self._head.revision = revision
        self._marks = Marks(self.limits.history_age_seconds)
        self._look_at = revision + CHECKED_EVERY

    def enforce_limits(self) -> bool:
        """Forgets history that is too old, too long or too heavy, as much as may be done at once; returns whether there is more."""
        assert not self._head.depth
        self._look_at = self._head.revision + CHECKED_EVERY
        now = self._now()
        self._marks.note(now, self._head.revision)
        outlived = self._marks.outlived(now)
        left = DROPPED_AT_ONCE
        for table in self._tables.values():
            events = table.log.all.events
            if not events:
                continue
            self._weights[table.resource].measure(events)
            if events[0].revision <= outlived or len(events) > self.limits.history_events:
                left -= self._drop(table, min(left, surplus(table.log, outlived, self.limits)))
        while left and (excess := self.history_bytes - self.limits.history_bytes) > 0:
            resource, weights = max(self._weights.items(), key=lambda item: item[1].total_bytes)
            left -= self._drop(self._tables[resource], min(left, weights.count_of(excess)))
        return not left

    @property
    def history_bytes(self) -> int:
        """What all histories weigh, as far as it has been measured."""
        return sum(weights.total_bytes for weights in self._weights.values())

    def statistics(self) -> dict[str, float]:
        logs = [table.log for table in self._tables.values()]
        return {
            "revision": self._head.revision,
            "objects": sum(table.count() for table in self._tables.values()),
            "history_events": sum(len(log.all.events) for log in logs),
            "history_bytes": self.history_bytes,
            "encoded_bytes": self._encoded.size_bytes,
            "encoded_total": self._encoded.encoded,
            "watchers": sum(log.readers for log in logs),
        }

    def _table(self, resource: str) -> Table:
        table = self._tables.get(resource)
        if table is None:
            table = self._tables[resource] = Table(resource)
            self._weights[resource] = Weights()
        return table

    def _channel(self, table: Table, selector: Selector, accepts: Accepts | None, after: int) -> WatchChannel:
        return WatchChannel(table.log, selector, accepts, after, self._head, self._bell)

    def _check_kept(self, table: Table, revision: int) -> None:
        if revision > self._head.revision:
            raise FutureRevision(revision, self._head.revision)
        if revision < table.log.compacted:
            raise Compacted(table.resource, revision, table.log.compacted)

    def _filter(self, table: Table, namespace: str, name: str, field: tuple[str, str] | None) -> Accepts | None:
        """What the chosen stream leaves to be checked of each event."""
        checks: list[Accepts] = []
        if namespace and (name or field):
            checks.append(lambda event: event.key.namespace == namespace)
        if name and field:
            getter, value = table.log.getters[field[0]], field[1]
            checks.append(lambda event: any(obj is not None and getter(obj) == value for obj in (event.object, event.previous)))
        if not checks:
            return None
        return checks[0] if len(checks) == 1 else lambda event: all(check(event) for check in checks)

    def _drop(self, table: Table, count: int) -> int:
        if count:
            table.drop(count)
            self._weights[table.resource].drop(count)
        return count

    def _roll_back(self, start: int) -> None:
        for table in self._tables.values():
            events = table.log.all.events
            while events and events[-1].revision > start:
                table.undo()
        self._head.revision = start
        self._bell.ring_again()


def _selector(namespace: str, name: str, field: tuple[str, str] | None) -> Selector:
    """The one that fewest events have."""
    if name:
        return (NAME, name)
    if field is not None:
        return field
    return (NAMESPACE, namespace) if namespace else ALL
