"""A client of any Kubernetes API server, over HTTPS: REST with JSON, watches as streams.

What a newer server adds is dropped silently, so write by patch, apply or subresource, never by replacing what was read. A server that
cannot be reached is a ServiceUnavailable. https://kubernetes.io/docs/reference/using-api/api-concepts/
"""
from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar, cast
from urllib.parse import quote

import anyio
import msgspec
from msgspec.structs import replace

from kubelet_lite.actors.environment import Environment
from kubelet_lite.api import encoding, resources
from kubelet_lite.api.errors import ApiError, NotFound
from kubelet_lite.api.identity import Identity
from kubelet_lite.api.meta_v1 import Status
from kubelet_lite.api.requests import APPLY_PATCH, FieldValidation, ListOptions, WatchEvent
from kubelet_lite.api.resources import Resource, Subresource, resource_of
from kubelet_lite.api.unstructured import Unstructured
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
from kubelet_lite.client.http_transport import Transport
from kubelet_lite.client.kubeconfig import Server

if TYPE_CHECKING:
    import aiohttp

T = TypeVar("T")
MAX_EVENT_BYTES: Final = 16 * 1024 * 1024
"""The longest event of a watch: more than the largest object a server stores, so that a broken stream does not fill the memory."""
BINDINGS_AT_ONCE: Final = 16
"""Requests of one `bind` under way at a time."""


class HttpClient(Client):
    """`async with HttpClient(kubeconfig.load()) as client:`; clients made by `acting_as` share the connections of their origin.

    `identity` is what the user agent is taken from; who the caller is, the server finds out by the server's credentials.
    """

    def __init__(
        self, server: Server, *, identity: Identity = Identity(name=""), field_manager: str = "", field_validation: FieldValidation = "Ignore",
        environment: Environment | None = None,
    ) -> None:
        self.identity = identity
        self._field_manager = field_manager
        self._field_validation = field_validation
        self._transport = Transport(server, environment or Environment.real())
        self._impersonated: Identity | None = None
        if server.acting_as:
            self._impersonated = Identity(name=server.acting_as, uid=server.acting_as_uid, groups=server.acting_as_groups)
        self._discovered: dict[str, tuple[Resource, ...]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections, also those of clients made by `acting_as`."""
        await self._transport.close()

    def acting_as(self, identity: Identity, *, field_manager: str = "", field_validation: FieldValidation = "Ignore") -> HttpClient:
        other = HttpClient.__new__(HttpClient)
        other.identity, other._impersonated = identity, identity
        other._field_manager, other._field_validation = field_manager, field_validation
        other._transport, other._discovered = self._transport, self._discovered
        return other

    async def get(self, kind: type[T] | Resource, name: str, *, namespace: str = "", subresource: str = "", resource_version: str = "") -> T:
        resource = resource_of(kind)
        query = {"resourceVersion": resource_version} if resource_version else {}
        return cast(T, _decoded(await self._call("GET", path_of(resource, namespace, name, subresource), query), resource, subresource))

    async def list(self, kind: type[T] | Resource, *, namespace: str = "", options: ListOptions = ListOptions()) -> ObjectList[T]:
        resource = resource_of(kind)
        return _page(await self._call("GET", path_of(resource, namespace), query_of(options)), resource)

    @asynccontextmanager
    async def watch(self, kind: type[T] | Resource, *, namespace: str = "", options: ListOptions = ListOptions()) -> AsyncGenerator[Watch]:
        resource = resource_of(kind)
        query = query_of(replace(options, watch=True))
        async with self._transport.stream("GET", path_of(resource, namespace), query, headers=self._headers()) as response:
            yield _events(self._transport, response, resource)

    async def create(self, obj: T, *, namespace: str = "", name: str = "", subresource: str = "", dry_run: bool = False, cause: str = "") -> T:
        metadata = cast(Any, obj).metadata
        resource = OWNERS_OF[subresource] if subresource else await self._resource(obj)
        path = path_of(resource, namespace or metadata.namespace, (name or metadata.name) if subresource else "", subresource)
        return cast(T, _decoded(await self._call("POST", path, self._written(dry_run), encoding.encode(obj)), resource, subresource, type(obj)))

    async def update(self, obj: T, *, subresource: str = "", dry_run: bool = False, cause: str = "") -> T:
        metadata, resource = cast(Any, obj).metadata, await self._resource(obj)
        path = path_of(resource, metadata.namespace, metadata.name, subresource)
        return cast(T, _decoded(await self._call("PUT", path, self._written(dry_run), encoding.encode(obj)), resource, subresource))

    async def patch(
        self, kind: type[T] | Resource, name: str, patch: Any, *, content_type: str, namespace: str = "", subresource: str = "",
        force: bool = False, dry_run: bool = False, cause: str = "",
    ) -> T:
        resource = resource_of(kind)
        query = self._written(dry_run)
        if content_type == APPLY_PATCH:
            query["fieldManager"] = self._field_manager or self.identity.user_agent.partition("/")[0]
        if force:
            query["force"] = "true"
        body = encoding.encode(patch) if isinstance(patch, msgspec.Struct) else encoding.encode_value(patch)
        path = path_of(resource, namespace, name, subresource)
        return cast(T, _decoded(await self._call("PATCH", path, query, body, content_type), resource, subresource))

    async def delete(
        self, kind: type[T] | Resource, name: str, *, namespace: str = "", propagation: Propagation | None = None,
        grace_period_seconds: int | None = None, preconditions: Preconditions | None = None, dry_run: bool = False, cause: str = "",
    ) -> Any:
        resource = resource_of(kind)
        body = encoding.encode(delete_options(propagation, grace_period_seconds, preconditions))
        return _decoded(await self._call("DELETE", path_of(resource, namespace, name), {"dryRun": "All"} if dry_run else {}, body), resource)

    async def delete_collection(
        self, kind: type[T] | Resource, *, namespace: str = "", options: ListOptions = ListOptions(),
        propagation: Propagation | None = None, grace_period_seconds: int | None = None,
    ) -> None:
        body = encoding.encode(delete_options(propagation, grace_period_seconds, None))
        await self._call("DELETE", path_of(resource_of(kind), namespace), query_of(options), body)

    async def logs(self, name: str, *, namespace: str, options: LogOptions = LogOptions()) -> AsyncGenerator[bytes]:
        query = _query(options, LogOptions(), _LOG_QUERY)
        path = f"/api/v1/namespaces/{quote(namespace, safe='')}/pods/{quote(name, safe='')}/log"
        async with self._transport.stream("GET", path, query, headers=self._headers()) as response:
            async for chunk in self._transport.chunks(response):
                yield chunk

    async def bind(self, bindings: Sequence[Any]) -> Sequence[Exception | None]:
        answers: list[Exception | None] = [None] * len(bindings)
        left = iter(range(len(bindings)))

        async def bind_some() -> None:
            for position in left:
                (answers[position],) = await super(HttpClient, self).bind(bindings[position : position + 1])

        async with anyio.create_task_group() as group:
            for _ in range(min(BINDINGS_AT_ONCE, len(bindings))):
                group.start_soon(bind_some)
        return answers

    async def _call(self, method: str, path: str, query: Mapping[str, str], body: bytes | None = None, content_type: str = "application/json") -> bytes:
        return await self._transport.call(method, path, query, body, headers=self._headers(), content_type=content_type)

    def _headers(self) -> Sequence[tuple[str, str]]:
        headers = [("Accept", "application/json"), ("User-Agent", self.identity.user_agent)]
        who = self._impersonated
        if who is None:
            return headers
        headers.append(("Impersonate-User", who.name))
        headers += [("Impersonate-Uid", who.uid)] if who.uid else []
        headers += [("Impersonate-Group", group) for group in who.groups]
        headers += [(f"Impersonate-Extra-{quote(key, safe='')}", value) for key, values in who.extra.items() for value in values]
        return headers

    def _written(self, dry_run: bool) -> dict[str, str]:
        """The query of a write."""
        query = {"fieldValidation": str(self._field_validation)}
        if self._field_manager:
            query["fieldManager"] = self._field_manager
        if dry_run:
            query["dryRun"] = "All"
        return query

    async def _resource(self, obj: Any) -> Resource:
        """The resource an object belongs to; of a custom resource, what the server says of its kind."""
        if not isinstance(obj, Unstructured):
            return resource_of(type(obj))
        built_in = resources.find_kind(obj.apiVersion, obj.kind)
        if built_in is not None:
            return built_in
        for known in (self._discovered.get(obj.apiVersion, ()), None):
            for resource in known if known is not None else await self._discover(obj.apiVersion):
                if resource.kind == obj.kind:
                    return resource
        raise NotFound(f'no matches for kind "{obj.kind}" in version "{obj.apiVersion}"')

    async def resources(self) -> Sequence[Resource]:
        groups = msgspec.json.decode(await self._call("GET", "/apis", {}))["groups"]
        found = list(resources.RESOURCES)
        for group in groups:
            if not any(resource.group == group["name"] for resource in resources.RESOURCES):
                for version in group["versions"]:
                    found += await self._discover(version["groupVersion"])
        return found

    async def _discover(self, api_version: str) -> tuple[Resource, ...]:
        group, _, version = api_version.rpartition("/")
        answer = msgspec.json.decode(await self._call("GET", f"/apis/{api_version}" if group else f"/api/{version}", {}))
        found = tuple(
            resources.define(
                group=group, version=version, plural=r["name"], singular=r.get("singularName", ""), kind=r["kind"], namespaced=r["namespaced"],
                verbs=tuple(r.get("verbs") or ()), short_names=tuple(r.get("shortNames") or ()), categories=tuple(r.get("categories") or ()),
                subresources=_parts(r["name"], answer["resources"]),
            )
            for r in answer.get("resources") or () if "/" not in r["name"]
        )
        self._discovered[api_version] = found
        return found


def _parts(plural: str, rows: Sequence[Mapping[str, Any]]) -> tuple[Subresource, ...]:
    """The subresources of one resource in a discovery document."""
    return tuple(
        Subresource(row["name"].partition("/")[2], row["kind"], row.get("group", ""), row.get("version", ""), tuple(row.get("verbs") or ()))
        for row in rows if row["name"].startswith(f"{plural}/")
    )


def path_of(resource: Resource, namespace: str = "", name: str = "", subresource: str = "") -> str:
    """The path of a collection, an object or a subresource."""
    parts = ["/apis" if resource.group else "/api", resource.api_version]
    if namespace and resource.namespaced:
        parts += ["namespaces", quote(namespace, safe="")]
    parts.append(resource.plural)
    if name:
        parts.append(quote(name, safe=""))
    if subresource:
        parts.append(subresource)
    return "/".join(parts)


def query_of(options: ListOptions) -> dict[str, str]:
    """What differs from the default."""
    return _query(options, ListOptions(), _LIST_QUERY)


def _query(options: Any, default: Any, names: Mapping[str, str]) -> dict[str, str]:
    values = ((wire, getattr(options, field), getattr(default, field)) for field, wire in names.items())
    return {wire: _text(value) for wire, value, usual in values if value is not None and (value != usual or type(value) is not type(usual))}


def _text(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


_LIST_QUERY: Final = {
    "label_selector": "labelSelector", "field_selector": "fieldSelector", "limit": "limit", "continue_": "continue", "resource_version": "resourceVersion",
    "resource_version_match": "resourceVersionMatch", "watch": "watch", "allow_watch_bookmarks": "allowWatchBookmarks",
    "send_initial_events": "sendInitialEvents", "timeout_seconds": "timeoutSeconds",
}
_LOG_QUERY: Final = {
    "container": "container", "follow": "follow", "previous": "previous", "timestamps": "timestamps", "since_seconds": "sinceSeconds",
    "tail_lines": "tailLines", "limit_bytes": "limitBytes",
}
class _Kind(msgspec.Struct, frozen=True):
    kind: str = ""


_KIND: Final = msgspec.json.Decoder(_Kind)


def _decoded(data: bytes, resource: Resource, subresource: str = "", sent: Any = None) -> Any:
    """An answer: the object, what a subresource answers with, or a Status."""
    kind = _KIND.decode(data).kind
    if kind == "Status" and resource.kind != "Status":
        return encoding.decode_lenient(Status, data)
    if sent is not None and sent is not Unstructured and kind == sent.__name__:
        return encoding.decode_lenient(sent, data)
    return encoding.decode_lenient(_type_of(resource, subresource), data)


@cache
def _type_of(resource: Resource, subresource: str) -> Any:
    part = resource.subresource(subresource) if subresource else None
    if part is None or part.kind == resource.kind:
        return resource.type
    found = resources.find_kind(f"{part.group}/{part.version}" if part.group else part.version or resource.api_version, part.kind)
    if found is not None:
        return found.type
    from kubelet_lite.api import authentication_v1, autoscaling_v1, core_v1, policy_v1

    for module in (autoscaling_v1, authentication_v1, policy_v1, core_v1):
        if hasattr(module, part.kind):
            return getattr(module, part.kind)
    return Unstructured


class _ListMeta(msgspec.Struct, frozen=True):
    resourceVersion: str = ""
    continue_: str = msgspec.field(name="continue", default="")
    remainingItemCount: int | None = None


class _List(msgspec.Struct, frozen=True):
    """Any list, its items not yet decoded."""

    apiVersion: str = ""
    kind: str = ""
    metadata: _ListMeta = _ListMeta()
    items: tuple[msgspec.Raw, ...] | None = ()


_LIST: Final = msgspec.json.Decoder(_List)


def _page(data: bytes, resource: Resource) -> ObjectList[Any]:
    found = _LIST.decode(data)
    kind = resource.type
    items = tuple(encoding.decode_lenient(kind, bytes(item)) for item in found.items or ())
    return ObjectList(
        items=items, resource_version=found.metadata.resourceVersion, continue_=found.metadata.continue_, remaining=found.metadata.remainingItemCount,
    )


class _Event(msgspec.Struct, frozen=True):
    type: str
    object: msgspec.Raw


_EVENT: Final = msgspec.json.Decoder(_Event)


async def _events(transport: Transport, response: aiohttp.ClientResponse, resource: Resource) -> AsyncIterator[Sequence[WatchEvent]]:
    """The events that came together, as one batch. Raises the error that the server ends a watch with."""
    kind = resource.type
    rest = b""
    async for chunk in transport.chunks(response):
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) > MAX_EVENT_BYTES:
            raise ApiError(f"an event of more than {MAX_EVENT_BYTES} bytes")
        batch: list[WatchEvent] = []
        for line in lines:
            if not line.strip():
                continue
            event = _EVENT.decode(line)
            if event.type == "ERROR":
                if batch:
                    yield batch
                raise ApiError.from_status(msgspec.json.decode(event.object))
            batch.append(WatchEvent(event.type, encoding.decode_lenient(kind, bytes(event.object))))
        if batch:
            yield batch
