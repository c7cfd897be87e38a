"""Informers: a copy of part of the cluster in memory, kept up to date by list and watch, with indexes and callbacks.

Works over any client. What is read here may be older than the server, never wrong: `has_seen` says how old, for those who must read
their own writes. https://pkg.go.dev/k8s.io/client-go/tools/cache
"""
from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Generic, TypeVar

import anyio
import msgspec

from kubelet_lite.actors import logs
from kubelet_lite.actors.actor import Actor
from kubelet_lite.actors.environment import Environment
from kubelet_lite.api.errors import ApiError, Expired, NotFound
from kubelet_lite.api.requests import ListOptions, WatchEvent
from kubelet_lite.api.resources import Resource, resource_of
from kubelet_lite.client.base import Client

T = TypeVar("T")
Key = tuple[str, str]
"""Namespace and name."""

PAGE: Final = 500
"""Objects of one page of a list: as client-go asks for."""
WATCH_SECONDS: Final = 300
"""A watch is opened again after so long, and at most twice as long: so that no dead connection goes unnoticed."""
FIRST_BACKOFF_SECONDS: Final = 0.8
LONGEST_BACKOFF_SECONDS: Final = 30.0
"""Between tries when the server cannot be reached, as client-go's reflectors wait."""

_log = logs.get_logger()


class Change(msgspec.Struct, Generic[T], frozen=True):
    """What became of one object between two moments: `old` is None for a new one, `new` for one that is gone.

    Several changes in one batch are one; an object that came and went within it has none.
    """

    old: T | None
    new: T | None

    @property
    def object(self) -> T:
        """The newest that is known of it."""
        found: Any = self.old if self.new is None else self.new
        return found  # type: ignore[no-any-return]


Handler = Callable[[Sequence[Change[T]]], None]
"""Called once a batch, after the cache holds all of it. Synchronous: it notes what is to be done, it does not do it."""
Index = Callable[[T], Iterable[str]]
"""The values under which an object is found."""


class Informer(Actor, Generic[T]):
    """All objects of a kind that the selectors select. Read it at any time; it is empty until it is synced.

    A restart lists again: handlers then get the difference.
    """

    def __init__(
        self, client: Client, environment: Environment, kind: type[T] | Resource, *, namespace: str = "", label_selector: str = "",
        field_selector: str = "", indexes: Mapping[str, Index[T]] | None = None,
    ) -> None:
        self.resource = resource_of(kind)
        parts = [self.resource.qualified, namespace, label_selector, field_selector]
        super().__init__("informer " + " ".join(part for part in parts if part))
        self._client = client
        self._environment = environment
        self._kind = kind
        self._namespace = namespace
        self._options = ListOptions(label_selector=label_selector, field_selector=field_selector)
        self._objects: dict[Key, T] = {}
        self._namespaces: dict[str, dict[Key, T]] = {}
        self._indexes: dict[str, _Values[T]] = {name: _Values(getter) for name, getter in (indexes or {}).items()}
        self._handlers: list[Handler[T]] = []
        self._synced = anyio.Event()
        self._revision = 0
        self._awaited: list[tuple[int, int, Callable[[], None]]] = []
        """A heap of who waits for which revision; the number between keeps the order of those who wait for the same."""
        self._awaiters = 0
        self._lists = 0
        """Lists begun, and …"""
        self._listed = 0
        """… the newest that was taken in, and …"""
        self._list_wanted = 1
        """… the one that must be, before the next watch."""
        self._watching: anyio.CancelScope | None = None
        self._relisted = anyio.Event()
        self._watches = 0

    # Reading

    def get(self, name: str, namespace: str = "") -> T | None:
        return self._objects.get((namespace, name))

    def list(self, namespace: str = "") -> Sequence[T]:
        """All objects (of a namespace), in the order in which they were first seen."""
        return list((self._namespaces.get(namespace, {}) if namespace else self._objects).values())

    def by_index(self, index: str, value: str) -> Sequence[T]:
        """Those that an index finds under a value."""
        return self._indexes[index].get(value)

    async def wait_synced(self) -> None:
        await self._synced.wait()

    @property
    def is_whole(self) -> bool:
        """Whether it is of every object of its kind."""
        return not self._namespace and self._options == ListOptions()

    @property
    def revision(self) -> int:
        """Every change up to it has been seen, as far as the server has told."""
        return self._revision

    def has_seen(self, revision: int | str) -> bool:
        """Whether a write that returned this resourceVersion is in the cache. (For an informer with selectors: once a later change is.)"""
        return self._revision >= int(revision)

    async def refresh(self) -> None:
        """Returns when a list has been taken in that was begun after this call: for a writer that forgot what it wrote."""
        wanted = self._list_wanted = self._lists + 1
        if self._watching is not None:
            self._watching.cancel()
        while self._listed < wanted:
            await self._relisted.wait()

    # Being told

    def when_seen(self, revision: int | str, then: Callable[[], None]) -> None:
        """Calls `then` once `has_seen` holds, after the handlers: now, if it does."""
        if self.has_seen(revision):
            then()
            return
        self._awaiters += 1
        heapq.heappush(self._awaited, (int(revision), self._awaiters, then))

    def add_handler(self, handler: Handler[T]) -> None:
        """Calls `handler` with every change from now on, and now with what is there already."""
        self._handlers.append(handler)
        if self._objects:
            handler([Change(None, obj) for obj in self._objects.values()])

    def add_index(self, name: str, getter: Index[T]) -> None:
        """The same name again keeps the first: those who share an informer ask for the same."""
        if name not in self._indexes:
            values = self._indexes[name] = _Values(getter)
            for key, obj in self._objects.items():
                values.change(key, None, obj)

    # Running

    async def run(self) -> None:
        """Lists and watches until cancelled."""
        self._list_wanted, backoff = self._lists + 1, FIRST_BACKOFF_SECONDS
        while True:
            try:
                if self._listed < self._list_wanted:
                    await self._list()
                    backoff = FIRST_BACKOFF_SECONDS
                else:
                    with anyio.CancelScope() as self._watching:
                        await self._watch()
                    backoff = FIRST_BACKOFF_SECONDS
            except Expired:
                self._list_wanted = self._lists + 1
            except ApiError as error:
                log = _log.info if isinstance(error, NotFound) else _log.warning  # a custom resource goes with its definition
                log("watch_failed", informer=self.name, error=error.message)
                await self._environment.sleep(backoff * (1 + self._environment.random.random()))
                backoff = min(2 * backoff, LONGEST_BACKOFF_SECONDS)

    async def _list(self) -> None:
        """Replaces what is known by what there is, and tells the difference."""
        self._lists += 1
        number = self._lists
        found: dict[Key, T] = {}
        token, revision = "", ""
        while True:
            options = msgspec.structs.replace(self._options, limit=PAGE, continue_=token)
            page = await self._client.list(self._kind, namespace=self._namespace, options=options)
            found.update((_key(obj), obj) for obj in page.items)
            revision = revision or page.resource_version
            token = page.continue_
            if not token:
                break
        changes = [self._set(key, None) for key in [key for key in self._objects if key not in found]]
        changes += [self._set(key, obj) for key, obj in found.items() if not _same(self._objects.get(key), obj)]
        self._revision = int(revision)
        self._listed = number
        self._synced.set()
        self._relisted.set()
        self._relisted = anyio.Event()
        self._tell(changes)

    async def _watch(self) -> None:
        self._watches += 1
        seconds = WATCH_SECONDS + int(self._environment.random.random() * WATCH_SECONDS)
        options = msgspec.structs.replace(
            self._options, resource_version=str(self._revision), allow_watch_bookmarks=True, timeout_seconds=seconds,
        )
        async with self._client.watch(self._kind, namespace=self._namespace, options=options) as batches:
            async for batch in batches:
                self._apply(batch)

    def _apply(self, batch: Sequence[WatchEvent]) -> None:
        """Takes a batch in: one change for each object, however often it changed."""
        before: dict[Key, T | None] = {}
        for event in batch:
            if event.type != "BOOKMARK":
                key = _key(event.object)
                change = self._set(key, None if event.type == "DELETED" else event.object, last=event.object)
                before.setdefault(key, change.old)
        self._revision = max(self._revision, int(batch[-1].object.metadata.resourceVersion))
        changes = []
        for key, old in before.items():
            new = self._objects.get(key)
            if old is not None or new is not None:
                changes.append(Change(old, new))
        self._tell(changes)

    def _set(self, key: Key, new: T | None, last: T | None = None) -> Change[T]:
        old = self._objects.get(key)
        if new is None:
            if old is not None:
                del self._objects[key]
                del self._namespaces[key[0]][key]
        else:
            self._objects[key] = new
            self._namespaces.setdefault(key[0], {})[key] = new
        for index in self._indexes.values():
            index.change(key, old, new)
        return Change(last if new is None and old is not None and last is not None else old, new)

    def _tell(self, changes: Sequence[Change[T]]) -> None:
        if changes:
            for handler in self._handlers:
                handler(changes)
        while self._awaited and self._awaited[0][0] <= self._revision:
            heapq.heappop(self._awaited)[2]()

    def statistics(self) -> Mapping[str, float]:
        return {"objects": len(self._objects), "revision": self._revision, "lists": self._lists, "watches": self._watches}


class Informers:
    """Informers shared by many actors: one for each kind and selection. Start those of `all()`."""

    def __init__(self, client: Client, environment: Environment) -> None:
        self._client = client
        self._environment = environment
        self._known: dict[tuple[Resource, str, str, str], Informer[Any]] = {}

    def of(
        self, kind: type[T] | Resource, *, namespace: str = "", label_selector: str = "", field_selector: str = "",
        indexes: Mapping[str, Index[T]] | None = None,
    ) -> Informer[T]:
        """The informer, made when it is first asked for."""
        key = (resource_of(kind), namespace, label_selector, field_selector)
        informer = self._known.get(key)
        if informer is None:
            informer = self._known[key] = Informer(
                self._client, self._environment, kind, namespace=namespace, label_selector=label_selector, field_selector=field_selector,
            )
        for name, getter in (indexes or {}).items():
            informer.add_index(name, getter)
        return informer

    def all(self) -> Sequence[Informer[Any]]:
        return list(self._known.values())

    async def wait_synced(self) -> None:
        for informer in self.all():
            await informer.wait_synced()


class _Values(Generic[T]):
    """One index."""

    def __init__(self, getter: Index[T]) -> None:
        self._getter = getter
        self._found: dict[str, dict[Key, T]] = {}

    def get(self, value: str) -> Sequence[T]:
        return list(self._found.get(value, {}).values())

    def change(self, key: Key, old: T | None, new: T | None) -> None:
        was = tuple(self._getter(old)) if old is not None else ()
        now = tuple(self._getter(new)) if new is not None else ()
        for value in was:
            if value not in now:
                objects = self._found[value]
                del objects[key]
                if not objects:
                    del self._found[value]
        if new is not None:
            for value in now:
                self._found.setdefault(value, {})[key] = new


def by_controller(obj: Any) -> Iterable[str]:
    """An index: the UID of the object's managing controller."""
    return (reference.uid for reference in obj.metadata.ownerReferences if reference.controller)


def by_owner(obj: Any) -> Iterable[str]:
    """An index: the UIDs of all owners."""
    return (reference.uid for reference in obj.metadata.ownerReferences)


def by_label(label: str) -> Index[Any]:
    """An index: the value of a label, together with the namespace: `namespace/value`."""

    def values(obj: Any) -> Iterable[str]:
        value = obj.metadata.labels.get(label)
        return () if value is None else (f"{obj.metadata.namespace}/{value}",)

    return values


def by_node(pod: Any) -> Iterable[str]:
    """An index of pods: the node that each is assigned to."""
    return (pod.spec.nodeName,) if pod.spec.nodeName else ()


def _key(obj: Any) -> Key:
    return obj.metadata.namespace, obj.metadata.name


def _same(old: Any, new: Any) -> bool:
    return old is not None and old.metadata.resourceVersion == new.metadata.resourceVersion and old.metadata.uid == new.metadata.uid
