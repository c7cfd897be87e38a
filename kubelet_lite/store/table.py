"""All that is kept of one resource: its live objects in order, and what each key held at every revision since compaction.

History is the log alone. An event holds what its key held before it and the position of the key's event before that; a namespace
knows the newest event of each of its names that has any left. One name through its life (position: revision, object <- previous):

    put a       0: 2, a <- none          live: a    newest: 0
    put b       1: 3, b <- a, prior 0    live: b    newest: 1
    delete      2: 5, none <- b, prior 1 live: -    newest: 2    the name is a ghost: listed at revision 3, not now

What was there at revision 4? From the newest event back while it is later than 4: event 2 is, so `b`; event 1 is not, so stop.
Dropping 0 and 1 leaves `newest: 2`, and revision 3 can still be read; dropping 2 forgets the name.
"""
from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Final

import msgspec

from kubelet_lite.store.errors import Stale
from kubelet_lite.store.event import NO_POSITION, Event
from kubelet_lite.store.field_index import FieldIndex
from kubelet_lite.store.keys import Key
from kubelet_lite.store.log import EventLog
from kubelet_lite.store.sorted_names import SortedNames

COUNTED_EVENTS: Final = 5_000
"""`remaining` of a page of a snapshot is exact while no more events than this lie behind it: counting through them takes 1 ms."""
SORTED_PLACES: Final = 5_000
"""Up to so many objects with one value of a field are sorted for a list; with more the list goes through all objects, which are in order."""


class Page(msgspec.Struct, frozen=True, gc=False):
    """Part of a list, as of one revision."""

    items: tuple[Any, ...]
    revision: int
    more: bool
    remaining: int | None
    """How many follow; None when a field was selected. (Kubernetes calls its own an estimate; so it is for old snapshots.)"""


class Namespace:
    """The objects of one resource in one namespace."""

    __slots__ = ("ghosts", "names", "newest", "objects")

    def __init__(self) -> None:
        self.objects: dict[str, Any] = {}
        """The live ones."""
        self.names = SortedNames()
        """The keys of `objects`."""
        self.newest: dict[str, int] = {}
        """Of each name with an event in the log, the position of the newest."""
        self.ghosts = SortedNames()
        """The keys of `newest` that are not in `objects`."""


class Table:
    """One resource. Every change is one event at the end of the log; `undo` takes the last one back."""

    def __init__(self, resource: str) -> None:
        self.resource = resource
        self.log = EventLog(resource)
        self.indexes: dict[str, FieldIndex] = {}
        self._namespaces: dict[str, Namespace] = {}
        """Those with live objects or ghosts."""
        self._order: list[str] = []
        """The keys of `_namespaces`, sorted."""

    # Changes

    def put(self, key: Key, obj: Any, revision: int, expected: int) -> None:
        assert obj.metadata.resourceVersion == str(revision), f"{key} is stamped {obj.metadata.resourceVersion}, its revision is {revision}"
        name = key.name
        namespace = self._namespaces.get(key.namespace)
        current = namespace.objects.get(name) if namespace is not None else None
        if expected != (int(current.metadata.resourceVersion) if current is not None else 0):
            raise Stale(key, expected, int(current.metadata.resourceVersion) if current is not None else 0)
        if namespace is None:
            namespace = self._add_namespace(key.namespace)
        stream = self.log.all
        prior = namespace.newest.get(name, NO_POSITION)
        namespace.newest[name] = stream.base + len(stream.events)
        stream.events.append(Event(revision, key, obj, current, None, prior))
        self.log.newest = revision
        namespace.objects[name] = obj
        if current is None:
            namespace.names.add(name)
            if prior != NO_POSITION:
                namespace.ghosts.remove(name)
        for index in self.indexes.values():
            index.changed(key.namespace, name, current, obj)

    def delete(self, key: Key, final: Any, revision: int, expected: int) -> None:
        assert final.metadata.resourceVersion == str(revision), f"{key} is stamped {final.metadata.resourceVersion}, its deletion's revision is {revision}"
        current = self.get(key)
        if current is None or expected != int(current.metadata.resourceVersion):
            raise Stale(key, expected, int(current.metadata.resourceVersion) if current is not None else 0)
        namespace, name = self._namespaces[key.namespace], key.name
        stream = self.log.all
        prior = namespace.newest.get(name, NO_POSITION)
        namespace.newest[name] = stream.end
        stream.events.append(Event(revision, key, None, current, final, prior))
        self.log.newest = revision
        del namespace.objects[name]
        namespace.names.remove(name)
        namespace.ghosts.add(name)
        for index in self.indexes.values():
            index.changed(key.namespace, name, current, None)

    def undo(self) -> None:
        """Takes the last change back, as if it had never been."""
        stream = self.log.all
        event = stream.events.pop()
        self.log.newest = stream.events[-1].revision if stream.events else self.log.compacted
        namespace, name = self._namespaces[event.key.namespace], event.key.name
        if event.prior >= stream.base:
            namespace.newest[name] = event.prior
        else:
            del namespace.newest[name]
        if event.previous is None:
            del namespace.objects[name]
            namespace.names.remove(name)
            if name in namespace.newest:
                namespace.ghosts.add(name)
        else:
            namespace.objects[name] = event.previous
            if event.object is None:
                namespace.names.add(name)
                namespace.ghosts.remove(name)
        for index in self.indexes.values():
            index.changed(event.key.namespace, name, event.object, event.previous)
        self._remove_if_empty(event.key.namespace, namespace)

    def drop(self, count: int) -> None:
        """Forgets the oldest events of the log and the ghosts that nothing else remembers. Live objects stay."""
        position = self.log.all.base
        for event in islice(self.log.all.events, count):
            namespace, name = self._namespaces[event.key.namespace], event.key.name
            if namespace.newest[name] == position:
                del namespace.newest[name]
                if event.object is None:
                    namespace.ghosts.remove(name)
                    self._remove_if_empty(event.key.namespace, namespace)
            position += 1
        self.log.drop(count)

    def restore(self, objects: Iterable[tuple[Key, Any]], revision: int) -> None:
        """Holds these objects and no history, as of a revision."""
        self._namespaces.clear()
        self._order.clear()
        self.indexes = {field: FieldIndex(index.getter) for field, index in self.indexes.items()}
        self.log.restart(revision)
        for key, obj in objects:
            namespace = self._namespaces.get(key.namespace) or self._add_namespace(key.namespace)
            namespace.objects[key.name] = obj
            namespace.names.add(key.name)
            for index in self.indexes.values():
                index.changed(key.namespace, key.name, None, obj)

    def add_index(self, field: str, getter: Callable[[Any], str]) -> None:
        index = self.indexes[field] = FieldIndex(getter)
        self.log.add_field(field, getter)
        for namespace_name, namespace in self._namespaces.items():
            for name, obj in namespace.objects.items():
                index.changed(namespace_name, name, None, obj)

    # Reads

    def get(self, key: Key) -> Any | None:
        namespace = self._namespaces.get(key.namespace)
        return namespace.objects.get(key.name) if namespace is not None else None

    def get_at(self, key: Key, revision: int) -> Any | None:
        namespace = self._namespaces.get(key.namespace)
        return self._value_at(namespace, key.name, revision) if namespace is not None else None

    def count(self, namespace: str = "") -> int:
        return sum(len(found.objects) for _, found, _ in self._spans(namespace, None))

    def page(self, namespace: str, after: tuple[str, str] | None, limit: int, revision: int) -> Page:
        """What was there at `revision`, in the order of namespace and name, behind `after`; all of it when `limit` is 0."""
        items: list[Any] = []
        last = after
        more = False
        for namespace_name, names, values in self._read(namespace, after, revision):
            room = limit - len(items)
            if limit and len(values) > room:
                items += values[:room]
                last = (namespace_name, names[room - 1]) if room else last
                more = True
                break
            items += values
            last = (namespace_name, names[-1])
        remaining = 0
        if more and last is not None:
            remaining = max(1, self._count_after(namespace, last) + self._vanished(namespace, last, revision))
        return Page(tuple(items), revision, more, remaining)

    def page_of_field(self, field: tuple[str, str], namespace: str, after: tuple[str, str] | None, limit: int, revision: int) -> Page:
        """The same, of the objects whose indexed field had the value."""
        index = self.indexes[field[0]]
        if self._changed_since(revision) or index.count(field[1]) > SORTED_PLACES:
            values = self._scan(index.getter, field[1], namespace, after, revision)
        else:
            places = index.places(field[1])
            values = (
                self._namespaces[place[0]].objects[place[1]]
                for place in places[bisect_right(places, after) if after is not None else 0:]
                if not namespace or place[0] == namespace
            )
        items = tuple(islice(values, limit or None))
        more = bool(limit) and len(items) == limit and next(values, None) is not None
        return Page(items, revision, more, None)

    def _scan(self, getter: Callable[[Any], str], value: str, namespace: str, after: tuple[str, str] | None, revision: int) -> Iterator[Any]:
        for _, _, values in self._read(namespace, after, revision):
            for obj in values:
                if getter(obj) == value:
                    yield obj

    def _read(self, namespace: str, after: tuple[str, str] | None, revision: int) -> Iterator[tuple[str, list[str], list[Any]]]:
        """What was there at `revision` behind `after`, in order, some hundreds at a time (never none): namespace, names, objects."""
        past = self._changed_since(revision)
        for namespace_name, found, start in self._spans(namespace, after):
            if not past or not found.newest:
                for names in found.names.runs(start):
                    yield namespace_name, names, list(map(found.objects.__getitem__, names))
                continue
            for names in self._names_ever(found, start):
                known = [(name, obj) for name in names if (obj := self._value_at(found, name, revision)) is not None]
                if known:
                    yield namespace_name, [name for name, _ in known], [obj for _, obj in known]

    def _changed_since(self, revision: int) -> bool:
        events = self.log.all.events
        return bool(events) and events[-1].revision > revision

    def _spans(self, namespace: str, after: tuple[str, str] | None) -> Iterator[tuple[str, Namespace, str | None]]:
        """The namespaces to read, in order, each with the name to begin behind."""
        order = self._order
        if namespace:
            order = [namespace] if namespace in self._namespaces else []
        for name in order[bisect_left(order, after[0]) if after is not None else 0:]:
            yield name, self._namespaces[name], after[1] if after is not None and name == after[0] else None

    def _names_ever(self, namespace: Namespace, after: str | None) -> Iterator[list[str]]:
        """Names that are or were there behind `after`, in order."""
        start = after
        for run in namespace.names.runs(after):
            ghosts = namespace.ghosts.between(start, run[-1])
            yield sorted(run + ghosts) if ghosts else run
            start = run[-1]
        yield from namespace.ghosts.runs(start)

    def _value_at(self, namespace: Namespace, name: str, revision: int) -> Any | None:
        value = namespace.objects.get(name)
        position = namespace.newest.get(name, NO_POSITION)
        stream = self.log.all
        base, events = stream.base, stream.events
        while position >= base:
            event = events[position - base]
            if event.revision <= revision:
                break
            value = event.previous
            position = event.prior
        return value

    def _count_after(self, namespace: str, place: tuple[str, str]) -> int:
        """How many live objects follow."""
        return sum(
            len(found.objects) if start is None else found.names.count_after(start)
            for _, found, start in self._spans(namespace, place)
        )

    def _vanished(self, namespace: str, place: tuple[str, str], revision: int) -> int:
        """How many more objects than now followed `place` at `revision` (an estimate when much has happened since)."""
        stream = self.log.all
        start = stream.position_after(revision)
        difference = 0
        for event in islice(stream.events, start - stream.base, start - stream.base + COUNTED_EVENTS):
            key = event.key
            if event.prior < start and (not namespace or key.namespace == namespace) and (key.namespace, key.name) > place:
                difference += (event.previous is not None) - (self.get(key) is not None)
        return difference

    def _add_namespace(self, name: str) -> Namespace:
        insort(self._order, name)
        namespace = self._namespaces[name] = Namespace()
        return namespace

    def _remove_if_empty(self, name: str, namespace: Namespace) -> None:
        if not namespace.objects and not namespace.newest:
            del self._namespaces[name]
            del self._order[bisect_left(self._order, name)]
