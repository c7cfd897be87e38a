"""The gate before the API: every request of every part passes it, in process and over HTTP, and meets what faults put in its way.

Who asks is a *part* (parts.py). What a hindered part sees is what a real API server and a real network let it see; over HTTP a lost
connection is lost.
"""
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from fnmatch import fnmatchcase
from functools import partial
from types import TracebackType
from typing import Any, Final, TypeVar

import anyio
import msgspec
from msgspec.structs import replace

from kubelet_lite.actors.actor import Incarnation, current_actor
from kubelet_lite.api.core_v1 import Pod, PodLogOptions
from kubelet_lite.api.errors import ApiError, Expired, NotFound, ServiceUnavailable
from kubelet_lite.api.identity import LOOPBACK
from kubelet_lite.api.meta_v1 import DeleteOptions
from kubelet_lite.api.requests import ListOptions, ListResult, RequestContext, WatchEvent
from kubelet_lite.api.resources import Resource, resource_of
from kubelet_lite.registry.registry import Registry
from kubelet_lite.simulation.parts import SERVER, USER, asking_incarnation, names_of
from kubelet_lite.store import Compacted, Key

T = TypeVar("T")
SomeObstacle = TypeVar("SomeObstacle", bound="Obstacle")
Batch = Sequence[WatchEvent]
PATIENCE_SECONDS: Final = 60.0
"""How long an asker waits for an answer before it takes it for lost: as long as clients and servers of Kubernetes do."""
WRITES: Final = frozenset({"create", "update", "patch", "delete", "deletecollection", "bind"})
STRAIGHT: Final = ("get", "list", "logs", "create", "update", "patch", "delete", "delete_collection", "bind")
"""The registry's methods that pass the gate whole: a watch may meet what comes into its way later."""
_PODS: Final = resource_of(Pod)


class Request(msgspec.Struct, frozen=True, gc=False):
    """One request. `resource` is its qualified name; `name` is "" where it concerns many objects or one without a name yet."""

    verb: str
    resource: str
    namespace: str
    name: str
    parts: tuple[str, ...]
    """The names by which the asker is known."""
    over_http: bool = False
    dry_run: bool = False
    any_revision: bool = False
    """Whether a read is content with what the server's cache holds (resourceVersion=0)."""
    incarnation: Incarnation | None = None
    """The run of an actor that asks; None: no actor does."""

    @property
    def writes(self) -> bool:
        return self.verb in WRITES and not self.dry_run

    def is_of(self, pattern: str) -> bool:
        """Whether a part that a pattern finds asks. The scenario is found by its very names alone: it looks at what befalls others."""
        if USER in self.parts:
            return pattern in self.parts
        return any(fnmatchcase(part, pattern) for part in self.parts)

    def lost(self, why: str) -> Exception:
        """What a lost connection raises: for a client in process what HttpClient would, for the HTTP server what ends the connection."""
        return ConnectionAbortedError(why) if self.over_http else ServiceUnavailable(f"the API server cannot be reached: {why}")


class Obstacle:
    """What stands in the way of requests for a while. Its methods may wait, and raise what the asker gets instead of an answer."""

    def __init__(self) -> None:
        self.over = anyio.Event()
        """Set when it is gone."""

    def concerns(self, request: Request) -> bool:
        return True

    async def before(self, request: Request) -> None:
        """Nothing has happened yet, and nothing will if this raises. A watch comes here when it is opened."""

    async def after(self, request: Request) -> None:
        """It has taken effect; the asker has no answer yet."""

    async def on_batch(self, request: Request) -> None:
        """A watch has a batch for its reader. If this raises, the batch is lost with the watch."""

    def frozen_at(self, request: Request) -> int | None:
        """The revision that reads get which are content with any."""
        return None


class Gate:
    """What stands in the way now, and the watches that are open. `turned`: told whether there is anything, when that changes."""

    def __init__(self, turned: Callable[[bool], None]) -> None:
        self.obstacles: dict[Obstacle, None] = {}
        self._turned = turned
        self.unheard: Callable[[Request], None] = lambda request: None
        """Told of every request that took effect and whose asker did not get the answer."""
        self._watches: dict[GatedWatch, None] = {}

    @contextmanager
    def hindered(self, obstacle: SomeObstacle) -> Iterator[SomeObstacle]:
        """Within the block it stands there."""
        self.obstacles[obstacle] = None
        if len(self.obstacles) == 1:
            self._turned(True)
        try:
            yield obstacle
        finally:
            del self.obstacles[obstacle]
            if not self.obstacles:
                self._turned(False)
            obstacle.over.set()

    def cut(self, concerns: Callable[[Request], bool], end: Callable[[Request], Exception]) -> int:
        """Ends open watches, each with an exception of its own (StopAsyncIteration: the server ends it); how many."""
        cut = [watch for watch in self._watches if concerns(watch.request)]
        for watch in cut:
            watch.cut(end(watch.request))
        return len(cut)

    def request(
        self, verb: str, ctx: RequestContext, resource: Resource, namespace: str, name: str, resource_version: str = "",
    ) -> Request:
        return Request(
            verb, resource.qualified, namespace, name, names_of(ctx.identity), current_actor() == SERVER, ctx.dry_run, resource_version == "0",
            asking_incarnation(),
        )

    def frozen_at(self, request: Request) -> int | None:
        """The revision that a read gets which is content with any; None: the newest."""
        if not request.any_revision:
            return None
        return next((at for obstacle in self.obstacles if obstacle.concerns(request) and (at := obstacle.frozen_at(request)) is not None), None)

    async def before(self, request: Request) -> Sequence[Obstacle]:
        """Lets a request meet what stands in its way, and returns that."""
        met = [obstacle for obstacle in self.obstacles if obstacle.concerns(request)]
        for obstacle in met:
            await obstacle.before(request)
        return met

    async def through(self, request: Request, serve: Callable[[], Awaitable[T]]) -> T:
        """Lets a request pass all obstacles, there and back."""
        met = await self.before(request)
        answer = await serve()
        try:
            for obstacle in reversed(met):
                await obstacle.after(request)
        except BaseException:
            self.unheard(request)
            raise
        return answer

    def opened(self, watch: GatedWatch) -> None:
        self._watches[watch] = None

    def closed(self, watch: GatedWatch) -> None:
        self._watches.pop(watch, None)


class GatedWatch:
    """The batches of one watch, as far as they come through. A reader that stops waiting for a batch loses nothing."""

    def __init__(self, gate: Gate, request: Request, batches: AsyncIterator[Batch], first: Sequence[Batch]) -> None:
        self.request = request
        self._gate = gate
        self._next = batches.__anext__
        self._first = list(first)
        self._held: Batch | None = None
        """One that obstacles hold back."""
        self._reader: asyncio.Task[Any] | None = None
        """Who waits for the next one."""
        self._end: Exception | None = None

    def __aiter__(self) -> GatedWatch:
        return self

    async def __anext__(self) -> Batch:
        if self._end is not None:
            raise self._end
        if self._held is None:
            self._held = self._first.pop(0) if self._first else await self._wait()
        if self._gate.obstacles:
            await self._meet()
        batch, self._held = self._held, None
        return batch

    async def _wait(self) -> Batch:
        self._reader = asyncio.current_task()
        try:
            return await self._next()
        except asyncio.CancelledError:
            if self._end is None:
                raise
            raise self._end from None
        finally:
            self._reader = None

    async def _meet(self) -> None:
        """Waits for what holds a batch back; what comes into its way meanwhile holds it back, too."""
        met: dict[Obstacle, None] = {}
        while True:
            new = [obstacle for obstacle in self._gate.obstacles if obstacle not in met and obstacle.concerns(self.request)]
            if not new:
                break
            for obstacle in new:
                met[obstacle] = None
                await obstacle.on_batch(self.request)
        if self._end is not None:
            raise self._end

    def cut(self, end: Exception) -> None:
        """Ends it. What was on its way is lost with it."""
        if self._end is None:
            self._end = end
            self._wake()

    def _wake(self) -> None:
        """Whoever waits in the watch beneath waits for a future of that watch alone. One that is just being woken is looked at a turn later."""
        reader = self._reader
        if reader is None:
            return
        waiter = reader._fut_waiter  # type: ignore[attr-defined]
        if waiter is None or not waiter.cancel():
            reader.get_loop().call_soon(self._wake)


class _OpenedWatch(AbstractAsyncContextManager[AsyncIterator[Batch]]):
    """What `async with registry.watch(…)` enters."""

    def __init__(self, registry: GatedRegistry, ctx: RequestContext, resource: Resource, namespace: str, options: ListOptions) -> None:
        self._registry = registry
        self._gate = registry.gate
        self._arguments = (ctx, resource, namespace, options)
        self._request = registry.gate.request("watch", ctx, resource, namespace, "", options.resource_version)
        self._beneath: AbstractAsyncContextManager[AsyncIterator[Batch]]
        self._watch: GatedWatch

    async def __aenter__(self) -> AsyncIterator[Batch]:
        ctx, resource, namespace, options = self._arguments
        first: Sequence[Batch] = ()
        if self._gate.obstacles and ctx.identity is not LOOPBACK:
            await self._gate.before(self._request)
            frozen = self._gate.frozen_at(self._request)
            if frozen is not None:
                found = await self._registry.list_at(frozen, ctx, resource, namespace, options)
                first = [[WatchEvent("ADDED", obj) for obj in found.items]] if found.items else []
                options = replace(options, resource_version=str(frozen), resource_version_match="", send_initial_events=None)
        self._beneath = self._registry.watch_beneath(ctx, resource, namespace, options)
        batches = await self._beneath.__aenter__()
        self._watch = GatedWatch(self._gate, self._request, batches, first)
        self._gate.opened(self._watch)
        return self._watch

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> bool | None:
        self._gate.closed(self._watch)
        return await self._beneath.__aexit__(kind, error, traceback)


class GatedRegistry(Registry):
    """A registry behind a gate. The API server's own requests do not pass it. While there is no obstacle the methods of the registry
    beneath stand in the place of those here, but for watches: an open gate costs nothing."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.gate = Gate(self._turned)
        self._turned(False)

    def _turned(self, hindered: bool) -> None:
        for verb in STRAIGHT:
            if hindered:
                delattr(self, verb)
            else:
                setattr(self, verb, getattr(super(), verb))

    def _pass(
        self, verb: str, ctx: RequestContext, resource: Resource, namespace: str, name: str, serve: Callable[[], Coroutine[Any, Any, T]],
    ) -> Coroutine[Any, Any, T]:
        if ctx.identity is LOOPBACK:
            return serve()
        return self.gate.through(self.gate.request(verb, ctx, resource, namespace, name), serve)

    # Read

    def get(
        self, ctx: RequestContext, resource: Resource, namespace: str, name: str, *, subresource: str = "", resource_version: str = "",
    ) -> Coroutine[Any, Any, Any]:
        serve = super().get
        if ctx.identity is LOOPBACK:
            return serve(ctx, resource, namespace, name, subresource=subresource, resource_version=resource_version)
        request = self.gate.request("get", ctx, resource, namespace, name, resource_version)

        async def found() -> Any:
            frozen = self.gate.frozen_at(request)
            if frozen is None or subresource or not self.is_stored(resource):
                return await serve(ctx, resource, namespace, name, subresource=subresource, resource_version=resource_version)
            return self._get_at(frozen, ctx, resource, namespace, name)

        return self.gate.through(request, found)

    def _get_at(self, revision: int, ctx: RequestContext, resource: Resource, namespace: str, name: str) -> Any:
        """The object as it was."""
        self._begin(ctx, "get", resource, namespace, name)
        target = self._target(resource)
        try:
            obj = self.store.get(Key(target.resource.qualified, namespace, name), revision)
        except Compacted as error:
            raise Expired(f"too old resource version: {revision} ({error.compacted})") from error
        if obj is None:
            raise NotFound.of(resource.group, resource.plural, name)
        return target.view(obj)

    def list(self, ctx: RequestContext, resource: Resource, namespace: str, options: ListOptions) -> Coroutine[Any, Any, ListResult]:
        serve = super().list
        if ctx.identity is LOOPBACK:
            return serve(ctx, resource, namespace, options)
        request = self.gate.request("list", ctx, resource, namespace, "", options.resource_version)

        async def found() -> ListResult:
            frozen = self.gate.frozen_at(request)
            if frozen is None or not self.is_stored(resource):  # what nobody stores is as it is
                return await serve(ctx, resource, namespace, options)
            return await self.list_at(frozen, ctx, resource, namespace, options)

        return self.gate.through(request, found)

    def list_at(
        self, revision: int, ctx: RequestContext, resource: Resource, namespace: str, options: ListOptions,
    ) -> Coroutine[Any, Any, ListResult]:
        """All of it, as it was."""
        selected = ListOptions(
            label_selector=options.label_selector, field_selector=options.field_selector, resource_version=str(revision), resource_version_match="Exact",
        )
        return super().list(ctx, resource, namespace, selected)

    def watch(
        self, ctx: RequestContext, resource: Resource, namespace: str, options: ListOptions,
    ) -> AbstractAsyncContextManager[AsyncIterator[Batch]]:
        return _OpenedWatch(self, ctx, resource, namespace, options)

    def watch_beneath(
        self, ctx: RequestContext, resource: Resource, namespace: str, options: ListOptions,
    ) -> AbstractAsyncContextManager[AsyncIterator[Batch]]:
        return super().watch(ctx, resource, namespace, options)

    def logs(self, ctx: RequestContext, namespace: str, name: str, options: PodLogOptions) -> AsyncIterator[bytes] | None:
        chunks = super().logs(ctx, namespace, name, options)
        if chunks is None or ctx.identity is LOOPBACK:
            return chunks
        return self._logs(self.gate.request("get", ctx, _PODS, namespace, name), chunks)

    async def _logs(self, request: Request, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        await self.gate.before(request)
        async for chunk in chunks:
            yield chunk

    # Write

    def create(
        self, ctx: RequestContext, resource: Resource, namespace: str, body: Any, *, name: str = "", subresource: str = "",
    ) -> Coroutine[Any, Any, Any]:
        serve = partial(super().create, ctx, resource, namespace, body, name=name, subresource=subresource)
        return self._pass("create", ctx, resource, namespace, name, serve)

    def update(
        self, ctx: RequestContext, resource: Resource, namespace: str, name: str, body: Any, *, subresource: str = "",
    ) -> Coroutine[Any, Any, tuple[Any, bool]]:
        serve = partial(super().update, ctx, resource, namespace, name, body, subresource=subresource)
        return self._pass("update", ctx, resource, namespace, name, serve)

    def patch(
        self, ctx: RequestContext, resource: Resource, namespace: str, name: str, patch: Any, content_type: str, *, subresource: str = "",
    ) -> Coroutine[Any, Any, tuple[Any, bool]]:
        serve = partial(super().patch, ctx, resource, namespace, name, patch, content_type, subresource=subresource)
        return self._pass("patch", ctx, resource, namespace, name, serve)

    def delete(
        self, ctx: RequestContext, resource: Resource, namespace: str, name: str, options: DeleteOptions,
    ) -> Coroutine[Any, Any, Any]:
        return self._pass("delete", ctx, resource, namespace, name, partial(super().delete, ctx, resource, namespace, name, options))

    def delete_collection(
        self, ctx: RequestContext, resource: Resource, namespace: str, list_options: ListOptions, options: DeleteOptions,
    ) -> Coroutine[Any, Any, ListResult]:
        serve = partial(super().delete_collection, ctx, resource, namespace, list_options, options)
        return self._pass("deletecollection", ctx, resource, namespace, "", serve)

    def bind(self, ctx: RequestContext, bindings: Sequence[Any]) -> Coroutine[Any, Any, Sequence[Exception | None]]:
        return super().bind(ctx, bindings) if ctx.identity is LOOPBACK else self._bind_each(ctx, bindings)

    async def _bind_each(self, ctx: RequestContext, bindings: Sequence[Any]) -> Sequence[Exception | None]:
        """Over the network these are requests of their own, under way at the same time."""
        answers: list[Exception | None] = [None] * len(bindings)
        serve = super().bind

        async def bind_one(position: int) -> None:
            binding = bindings[position]

            async def bound() -> None:
                (error,) = await serve(ctx, [binding])
                if error is not None:
                    raise error

            try:
                await self._pass("bind", ctx, _PODS, binding.metadata.namespace, binding.metadata.name, bound)
            except ApiError as error:
                answers[position] = error

        async with anyio.create_task_group() as tasks:
            for position in range(len(bindings)):
                tasks.start_soon(bind_one, position)
        return answers
