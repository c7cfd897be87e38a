"""What the API answered in a run: every object read or written, every list, every batch of a watch, in order, for invariants to judge.

The registry that notes them stands below whatever disturbs a run: an answer that is lost on its way, or a watch that breaks, is no
answer of the API's.
"""
from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

import msgspec

from kubelet_lite.api import selectors
from kubelet_lite.api.meta_v1 import DeleteOptions, Status
from kubelet_lite.api.requests import ListOptions, ListResult, RequestContext, WatchEvent
from kubelet_lite.api.resources import Resource
from kubelet_lite.registry.registry import Registry
from kubelet_lite.registry.stored import Stored
from kubelet_lite.simulation.archive import ArchivedStore
from kubelet_lite.simulation.parts import current_part
from kubelet_lite.simulation.snapshot import Place
from kubelet_lite.store.keys import Key
from kubelet_lite.store.table import Table

Selects = Callable[[Any], bool]
as_kept: Final = msgspec.json.Encoder(enc_hook=str).encode
"""An object as bytes, to see later whether it was changed: JSON, without the kind."""


class Got(msgspec.Struct, frozen=True, gc=False):
    """An object that was read (None: it was not there), at store revision `at`."""

    at: int
    resource: str
    place: Place
    object: Any | None


class Wrote(msgspec.Struct, frozen=True, gc=False):
    """A write that was acknowledged with this object; `at`: the store's revision right after it."""

    at: int
    resource: str
    place: Place
    object: Any


class Listed(msgspec.Struct, frozen=True, gc=False):
    """A page of a list. `whole`: it is all there is; else there are pages before or behind it. `selects` None: everything."""

    at: int
    resource: str
    selects: Selects | None
    revision: str
    items: Sequence[Any]
    whole: bool


class Watching:
    """One watch that is open. `after`: it is handed what is later than this revision; with `initial` first what was there then."""

    def __init__(self, resource: str, selects: Selects | None, after: int, *, initial: bool = False, asked: bool = True, actor: str = "") -> None:
        self.resource = resource
        self.selects = selects
        self.after = after
        self.initial = initial
        self.asked = asked
        """Whether the watcher named the revision."""
        self.actor = actor
        self.waits = False
        """Whether its reader waits for the next batch."""
        self.open = True


class Opened(msgspec.Struct, frozen=True, gc=False):
    """A watch began."""

    at: int
    watch: Watching


class Batch(msgspec.Struct, frozen=True, gc=False):
    """What a watcher was handed. `committed`: no transaction was open then."""

    at: int
    watch: Watching
    events: Sequence[WatchEvent]
    committed: bool = True


class Ended(msgspec.Struct, frozen=True, gc=False):
    """A watch ended, for whatever reason."""

    at: int
    watch: Watching


class Compaction(msgspec.Struct, frozen=True, gc=False):
    """The store forgot history of a resource up to `compacted`; `live`: what it holds since."""

    at: int
    resource: str
    compacted: int
    live: Mapping[Place, Any]


class StoredObject(msgspec.Struct, frozen=True, gc=False):
    """An object as it was when it was stored; `kept`: `as_kept` then."""

    at: int
    key: Key
    object: Any
    kept: bytes


class Unheard(msgspec.Struct, frozen=True, gc=False):
    """The answer of a write did not reach who asked: he may believe that it did not happen."""

    at: int
    part: str


Answer = Got | Wrote | Listed | Opened | Batch | Ended | Compaction | StoredObject | Unheard
Noted = list[Answer]


class NotingStore(ArchivedStore):
    """Notes what is stored, and compactions, where somebody wants to know."""

    @property
    def in_transaction(self) -> bool:
        return bool(self._head.depth)

    def put(self, key: Key, obj: Any, *, expected: int) -> int:
        revision = super().put(key, obj, expected=expected)
        if self.archive.answers is not None:
            self.archive.answers.append(StoredObject(revision, key, obj, as_kept(obj)))
        return revision

    def _drop(self, table: Table, count: int) -> int:
        dropped = super()._drop(table, count)
        if dropped and self.archive.answers is not None:
            live = {(obj.metadata.namespace, obj.metadata.name): obj for obj in table.page("", None, 0, self.revision).items}
            self.archive.answers.append(Compaction(self.revision, table.resource, table.log.compacted, live))
        return dropped


class NotingRegistry(Registry):
    """A registry that notes what it answers, where somebody wants to know. Its store is a NotingStore."""

    store: NotingStore

    @property
    def _noted(self) -> Noted | None:
        return self.store.archive.answers

    def _kept(self, resource: Resource, subresource: str = "") -> Stored | None:
        """How a resource is stored; None where an answer shows something else than what is."""
        return self._resources.get(resource) if subresource in ("", "status") else None

    async def get(
        self, ctx: RequestContext, resource: Resource, namespace: str, name: str, *, subresource: str = "", resource_version: str = "",
    ) -> Any:
        found = await super().get(ctx, resource, namespace, name, subresource=subresource, resource_version=resource_version)
        noted = self._noted
        if noted is not None and (target := self._kept(resource, subresource)) is not None:
            noted.append(Got(self.store.revision, target.resource.qualified, (namespace, name), found))
        return found

    async def list(self, ctx: RequestContext, resource: Resource, namespace: str, options: ListOptions) -> ListResult:
        result = await super().list(ctx, resource, namespace, options)
        noted = self._noted
        if noted is not None and (target := self._kept(resource)) is not None:
            noted.append(Listed(
                self.store.revision, target.resource.qualified, _selects(target, namespace, options), result.resource_version, result.items,
                not options.continue_ and not result.continue_,
            ))
        return result

    def watch(
        self, ctx: RequestContext, resource: Resource, namespace: str, options: ListOptions,
    ) -> AbstractAsyncContextManager[AsyncIterator[Sequence[WatchEvent]]]:
        opened = super().watch(ctx, resource, namespace, options)
        noted = self._noted
        target = self._kept(resource)
        return opened if noted is None or target is None else self._watch(opened, noted, target, namespace, options)

    @asynccontextmanager
    async def _watch(
        self, opened: AbstractAsyncContextManager[AsyncIterator[Sequence[WatchEvent]]], noted: Noted, target: Stored, namespace: str,
        options: ListOptions,
    ) -> AsyncIterator[AsyncIterator[Sequence[WatchEvent]]]:
        asked = int(options.resource_version) if options.resource_version.isdigit() else 0
        initial = options.send_initial_events if options.send_initial_events is not None else not asked
        watch = Watching(
            target.resource.qualified, _selects(target, namespace, options), self.store.revision if initial or not asked else asked,
            initial=initial, asked=bool(asked), actor=current_part(),
        )
        async with opened as batches:
            noted.append(Opened(self.store.revision, watch))
            try:
                yield _NotedWatch(batches, watch, noted, self.store)
            finally:
                watch.open = watch.waits = False
                noted.append(Ended(self.store.revision, watch))

    async def create(self, ctx: RequestContext, resource: Resource, namespace: str, body: Any, *, name: str = "", subresource: str = "") -> Any:
        made = await super().create(ctx, resource, namespace, body, name=name, subresource=subresource)
        if not subresource:
            self._note_write(ctx, resource, "", made)
        return made

    async def update(
        self, ctx: RequestContext, resource: Resource, namespace: str, name: str, body: Any, *, subresource: str = "",
    ) -> tuple[Any, bool]:
        new, created = await super().update(ctx, resource, namespace, name, body, subresource=subresource)
        self._note_write(ctx, resource, subresource, new)
        return new, created

    async def patch(
        self, ctx: RequestContext, resource: Resource, namespace: str, name: str, patch: Any, content_type: str, *, subresource: str = "",
    ) -> tuple[Any, bool]:
        new, created = await super().patch(ctx, resource, namespace, name, patch, content_type, subresource=subresource)
        self._note_write(ctx, resource, subresource, new)
        return new, created

    async def delete(self, ctx: RequestContext, resource: Resource, namespace: str, name: str, options: DeleteOptions) -> Any:
        answer = await super().delete(ctx, resource, namespace, name, options)
        if not isinstance(answer, Status) and not options.dryRun:
            self._note_write(ctx, resource, "", answer)
        return answer

    def _note_write(self, ctx: RequestContext, resource: Resource, subresource: str, obj: Any) -> None:
        noted = self._noted
        if noted is not None and not ctx.dry_run and (target := self._kept(resource, subresource)) is not None:
            meta = obj.metadata
            noted.append(Wrote(self.store.revision, target.resource.qualified, (meta.namespace, meta.name), obj))


class _NotedWatch:
    def __init__(self, batches: AsyncIterator[Sequence[WatchEvent]], watch: Watching, noted: Noted, store: NotingStore) -> None:
        self._next = batches.__anext__
        self._watch = watch
        self._noted = noted
        self._store = store

    def __aiter__(self) -> _NotedWatch:
        return self

    async def __anext__(self) -> Sequence[WatchEvent]:
        watch = self._watch
        watch.waits = True
        try:
            batch = await self._next()
        finally:
            watch.waits = False
        self._noted.append(Batch(self._store.revision, watch, batch, not self._store.in_transaction))
        return batch


def _selects(target: Stored, namespace: str, options: ListOptions) -> Selects | None:
    """What a request selects, of stored objects; None: all."""
    checks: list[Selects] = []
    if namespace:
        checks.append(lambda obj: obj.metadata.namespace == namespace)
    if options.label_selector:
        labels = selectors.parse_labels(options.label_selector)
        checks.append(lambda obj: labels.matches(obj.metadata.labels))
    for requirement in selectors.parse_fields(options.field_selector) if options.field_selector else ():
        checks.append(_field_check(target.fields[requirement.field], requirement))
    if not checks:
        return None
    return checks[0] if len(checks) == 1 else lambda obj: all(check(obj) for check in checks)


def _field_check(getter: Callable[[Any], str], wanted: selectors.FieldRequirement) -> Selects:
    return lambda obj: (getter(obj) == wanted.value) is wanted.equal
