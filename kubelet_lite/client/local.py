"""A client of a registry in this process: nothing is encoded, objects are shared, and still every call is authorized and admitted.

https://kubernetes.io/docs/reference/using-api/api-concepts/
"""
from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Protocol, TypeVar, cast

import anyio.lowlevel
from msgspec.structs import replace

from kubelet_lite.api import meta_v1
from kubelet_lite.api.core_v1 import PodLogOptions
from kubelet_lite.api.identity import ADMIN, Identity
from kubelet_lite.api.requests import FieldValidation, ListOptions, ListResult, RequestContext, WatchEvent
from kubelet_lite.api.resources import Resource, resource_of
from kubelet_lite.client.base import (
    OWNERS_OF,
    Client,
    LogOptions,
    ObjectList,
    Preconditions,
    Propagation,
    Watch,
    delete_options,
)

T = TypeVar("T")
CALLS_AT_ONCE: Final = 64
"""Calls of one client between two turns of the event loop: a call in process never waits, so a busy caller would let nobody else run."""


class RegistryLike(Protocol):
    """What a client in process calls: kubelet_lite.registry has one."""

    async def get(
        self, ctx: RequestContext, resource: Resource, namespace: str, name: str, *, subresource: str = "", resource_version: str = "",
    ) -> Any: ...

    async def list(self, ctx: RequestContext, resource: Resource, namespace: str, options: ListOptions) -> ListResult: ...

    def watch(
        self, ctx: RequestContext, resource: Resource, namespace: str, options: ListOptions,
    ) -> AbstractAsyncContextManager[AsyncIterator[Sequence[WatchEvent]]]: ...

    async def create(
        self, ctx: RequestContext, resource: Resource, namespace: str, body: Any, *, name: str = "", subresource: str = "",
    ) -> Any: ...

    async def update(
        self, ctx: RequestContext, resource: Resource, namespace: str, name: str, body: Any, *, subresource: str = "",
    ) -> tuple[Any, bool]: ...

    async def patch(
        self, ctx: RequestContext, resource: Resource, namespace: str, name: str, patch: Any, content_type: str, *, subresource: str = "",
    ) -> tuple[Any, bool]: ...

    async def delete(self, ctx: RequestContext, resource: Resource, namespace: str, name: str, options: meta_v1.DeleteOptions) -> Any: ...

    async def delete_collection(
        self, ctx: RequestContext, resource: Resource, namespace: str, list_options: ListOptions, options: meta_v1.DeleteOptions,
    ) -> ListResult: ...

    async def bind(self, ctx: RequestContext, bindings: Sequence[Any]) -> Sequence[Exception | None]: ...

    def logs(self, ctx: RequestContext, namespace: str, name: str, options: PodLogOptions) -> AsyncIterator[bytes] | None: ...

    def find_kind(self, api_version: str, kind: str) -> Resource | None: ...

    def served(self) -> Sequence[Resource]: ...


class LocalClient(Client):
    """`field_manager`: empty means the part of the identity's user agent before its slash."""

    def __init__(
        self, registry: RegistryLike, identity: Identity = ADMIN, *, field_manager: str = "", field_validation: FieldValidation = "Ignore",
    ) -> None:
        self.identity = identity
        self._registry = registry
        self._field_manager = field_manager
        self._field_validation: FieldValidation = field_validation
        self._calls = 0

    async def get(self, kind: type[T] | Resource, name: str, *, namespace: str = "", subresource: str = "", resource_version: str = "") -> T:
        await self._turn()
        return cast(T, await self._registry.get(
            self._context(), resource_of(kind), namespace, name, subresource=subresource, resource_version=resource_version,
        ))

    async def list(self, kind: type[T] | Resource, *, namespace: str = "", options: ListOptions = ListOptions()) -> ObjectList[T]:
        await self._turn()
        found = await self._registry.list(self._context(), resource_of(kind), namespace, options)
        return ObjectList(items=found.items, resource_version=found.resource_version, continue_=found.continue_, remaining=found.remaining)

    def watch(self, kind: type[T] | Resource, *, namespace: str = "", options: ListOptions = ListOptions()) -> AbstractAsyncContextManager[Watch]:
        if options.allow_watch_bookmarks and not options.send_initial_events:  # nothing breaks a watch here: they would only cost a timer
            options = replace(options, allow_watch_bookmarks=False, timeout_seconds=None)
        return self._registry.watch(self._context(), resource_of(kind), namespace, options)

    async def create(self, obj: T, *, namespace: str = "", name: str = "", subresource: str = "", dry_run: bool = False, cause: str = "") -> T:
        await self._turn()
        resource, whole = self._resource(obj, subresource), cast(Any, obj)
        return cast(T, await self._registry.create(
            self._context(dry_run, cause), resource, namespace or whole.metadata.namespace, obj, name=name or whole.metadata.name,
            subresource=subresource,
        ))

    async def update(self, obj: T, *, subresource: str = "", dry_run: bool = False, cause: str = "") -> T:
        await self._turn()
        metadata = cast(Any, obj).metadata
        new, _ = await self._registry.update(
            self._context(dry_run, cause), self._resource(obj, ""), metadata.namespace, metadata.name, obj, subresource=subresource,
        )
        return cast(T, new)

    async def patch(
        self, kind: type[T] | Resource, name: str, patch: Any, *, content_type: str, namespace: str = "", subresource: str = "",
        force: bool = False, dry_run: bool = False, cause: str = "",
    ) -> T:
        await self._turn()
        context = self._context(dry_run, cause)
        context.force = force
        new, _ = await self._registry.patch(context, resource_of(kind), namespace, name, patch, content_type, subresource=subresource)
        return cast(T, new)

    async def delete(
        self, kind: type[T] | Resource, name: str, *, namespace: str = "", propagation: Propagation | None = None,
        grace_period_seconds: int | None = None, preconditions: Preconditions | None = None, dry_run: bool = False, cause: str = "",
    ) -> Any:
        await self._turn()
        options = delete_options(propagation, grace_period_seconds, preconditions)
        return await self._registry.delete(self._context(dry_run, cause), resource_of(kind), namespace, name, options)

    async def delete_collection(
        self, kind: type[T] | Resource, *, namespace: str = "", options: ListOptions = ListOptions(),
        propagation: Propagation | None = None, grace_period_seconds: int | None = None,
    ) -> None:
        await self._turn()
        deletion = delete_options(propagation, grace_period_seconds, None)
        await self._registry.delete_collection(self._context(), resource_of(kind), namespace, options, deletion)

    def logs(self, name: str, *, namespace: str, options: LogOptions = LogOptions()) -> AsyncIterator[bytes]:
        log = self._registry.logs(self._context(), namespace, name, PodLogOptions(
            container=options.container, follow=options.follow, previous=options.previous, timestamps=options.timestamps,
            sinceSeconds=options.since_seconds, tailLines=options.tail_lines, limitBytes=options.limit_bytes,
        ))
        return log if log is not None else _nothing()

    def acting_as(self, identity: Identity, *, field_manager: str = "", field_validation: FieldValidation = "Ignore") -> LocalClient:
        return LocalClient(self._registry, identity, field_manager=field_manager, field_validation=field_validation)

    async def resources(self) -> Sequence[Resource]:
        return self._registry.served()

    async def bind(self, bindings: Sequence[Any]) -> Sequence[Exception | None]:
        await self._turn()
        return await self._registry.bind(self._context(), bindings)

    async def _turn(self) -> None:
        """Lets others run every now and then. Before a call, so that a cancelled caller has not written."""
        self._calls += 1
        if self._calls >= CALLS_AT_ONCE:
            self._calls = 0
            await anyio.lowlevel.checkpoint()

    def _context(self, dry_run: bool = False, cause: str = "") -> RequestContext:
        return RequestContext(
            identity=self.identity, field_manager=self._field_manager, dry_run=dry_run, field_validation=self._field_validation, cause=cause,
        )

    def _resource(self, obj: Any, subresource: str) -> Resource:
        """The resource that an object belongs to; for a subresource whose kind is none of its own, the one that has it."""
        if subresource:
            return OWNERS_OF[subresource]
        try:
            return resource_of(type(obj))
        except KeyError:
            found = self._registry.find_kind(obj.apiVersion, obj.kind)
            if found is None:
                raise
            return found


async def _nothing() -> AsyncIterator[bytes]:
    """The log of a pod that has no node yet."""
    chunks: Sequence[bytes] = ()
    for chunk in chunks:
        yield chunk
