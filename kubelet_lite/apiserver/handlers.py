"""The verbs on resources: from a routed request to a call of the registry, and from what it returns to an answer.

https://kubernetes.io/docs/reference/using-api/api-concepts/
"""
from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

from msgspec.structs import replace

from kubelet_lite.api import encoding
from kubelet_lite.api.errors import NotImplementedHere, RequestEntityTooLarge, UnsupportedMediaType
from kubelet_lite.api.meta_v1 import DeleteOptions, ListMeta, Status
from kubelet_lite.api.requests import (
    APPLY_PATCH,
    JSON_PATCH,
    MERGE_PATCH,
    STRATEGIC_MERGE_PATCH,
    Body,
    ListResult,
    RequestContext,
)
from kubelet_lite.api.resources import Resource
from kubelet_lite.apiserver import lists, query, tables
from kubelet_lite.apiserver.exchange import Exchange
from kubelet_lite.apiserver.http_connection import MAX_BODY_BYTES
from kubelet_lite.apiserver.negotiation import (
    JSON,
    OFFERED,
    PLAIN,
    PROTOBUF,
    YAML,
    Representation,
    accepts,
    body_type,
    check_nesting,
    negotiate,
    not_acceptable,
)
from kubelet_lite.apiserver.request_info import RequestInfo
from kubelet_lite.apiserver.routes import ResourcePath
from kubelet_lite.apiserver.tables import TableForm, include_object
from kubelet_lite.apiserver.watches import Watches
from kubelet_lite.registry import bodies, deletion
from kubelet_lite.registry.patch.schema import SchemaResource
from kubelet_lite.registry.registry import Registry

PATCH_TYPES: Final = (JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH, APPLY_PATCH)
LATER: Final = frozenset({"exec", "attach", "portforward", "proxy"})
"""Subresources that are streams to a node."""
PRODUCED: Final = (
    "application/json", "application/yaml", "application/vnd.kubernetes.protobuf", "application/json;stream=watch",
    "application/vnd.kubernetes.protobuf;stream=watch",
)
LOG_MEDIA_TYPES: Final = ("text/plain", "application/json", "application/yaml", "application/vnd.kubernetes.protobuf")


class Handlers:
    """Serves what a RequestInfo says. Every method raises ApiError before it has begun to answer."""

    def __init__(self, registry: Registry) -> None:
        self.watches = Watches(registry)
        self._registry = registry
        self._now = registry.environment.now
        self._verbs: dict[str, Callable[[Exchange, RequestInfo], Awaitable[None]]] = {
            "get": self._get, "list": self._list, "watch": self._watch, "create": self._create, "update": self._update, "patch": self._patch,
            "delete": self._delete, "deletecollection": self._delete_collection,
        }

    async def serve(self, exchange: Exchange, info: RequestInfo) -> None:
        """Answers a request that was authorized."""
        refused = info.unserved()
        if refused is not None:
            raise refused
        path = info.path
        assert path is not None
        if path.subresource in LATER:
            raise NotImplementedHere(f"{path.plural}/{path.subresource} is not served yet: streams to containers come with a later version of kubelet-lite")
        if exchange.request.too_large:
            raise RequestEntityTooLarge(f"Request entity too large: limit is {MAX_BODY_BYTES}")
        if path.plural == "pods" and path.subresource == "log":
            await self._logs(exchange, path)
            return
        accept = exchange.request.header(b"accept")
        if info.verb == "patch" and _media_type(exchange) not in PATCH_TYPES:
            assert info.route is not None
            raise UnsupportedMediaType("415: Unsupported Media Type", details={}) if info.route.resource.module else bodies.unknown_format(bodies.CUSTOM_PATCHES)
        if accept and not accepts(accept, PRODUCED):
            raise not_acceptable()
        await self._verbs[info.verb](exchange, info)

    # ---- reading

    async def _get(self, exchange: Exchange, info: RequestInfo) -> None:
        assert info.route is not None
        path, resource = info.route.path, info.route.resource
        representation = self._representation(exchange)
        raw = exchange.request.query
        version = query.text(exchange.values, "resourceVersion") if raw else ""
        obj = await self._registry.get(
            self._context(exchange), resource, path.namespace, path.name, subresource=path.subresource, resource_version=version,
        )
        self._answer(exchange, 200, obj, resource, representation, stored=not path.subresource and self._registry.is_stored(resource))

    async def _list(self, exchange: Exchange, info: RequestInfo) -> None:
        assert info.route is not None
        path, resource = info.route.path, info.route.resource
        representation = self._representation(exchange)
        options = query.list_options(exchange.request.query)
        if options.watch:
            await self._watch(exchange, info)
            return
        if representation.transform == "PartialObjectMetadata":
            raise tables.a_list(resource, "PartialObjectMetadata")
        if representation.transform == "Table":
            include_object(exchange.values)
        result = await self._registry.list(self._context(exchange), resource, path.namespace, options)
        await self._answer_list(exchange, result, resource, representation)

    async def _watch(self, exchange: Exchange, info: RequestInfo) -> None:
        assert info.route is not None
        path, resource = info.route.path, info.route.resource
        options = query.list_options(exchange.request.query)
        if path.name:
            selector = f"metadata.name={path.name}"
            options = replace(options, field_selector=f"{selector},{options.field_selector}" if options.field_selector else selector)
        await self.watches.serve(exchange, self._context(exchange), resource, path.namespace, options, self._representation(exchange))

    async def _logs(self, exchange: Exchange, path: ResourcePath) -> None:
        accept = exchange.request.header(b"accept")
        if accept and not accepts(accept, LOG_MEDIA_TYPES):
            raise not_acceptable(LOG_MEDIA_TYPES)
        options = query.log_options(exchange.request.query)
        chunks = self._registry.logs(self._context(exchange), path.namespace, path.name, options)
        if chunks is None:
            exchange.respond(204, b"", "text/plain")
            return
        first = await anext(chunks, b"")  # raises where there is no such log, while the answer can still say so
        stream = exchange.start_stream(200, "text/plain")
        await stream.write(first)
        async for chunk in chunks:
            await stream.write(chunk)
        stream.finish()

    # ---- writing

    async def _create(self, exchange: Exchange, info: RequestInfo) -> None:
        assert info.route is not None
        path, resource = info.route.path, info.route.resource
        representation = self._representation(exchange)
        body = _body(exchange, resource)
        context = self._writing(exchange, "CreateOptions")
        obj = await self._registry.create(context, resource, path.namespace, body, name=path.name, subresource=path.subresource)
        self._answer(exchange, 201, obj, resource, representation, context, stored=not path.subresource and not context.dry_run)

    async def _update(self, exchange: Exchange, info: RequestInfo) -> None:
        assert info.route is not None
        path, resource = info.route.path, info.route.resource
        representation = self._representation(exchange)
        body = _body(exchange, resource)
        context = self._writing(exchange, "UpdateOptions")
        obj, created = await self._registry.update(
            context, resource, path.namespace, path.name, body, subresource=path.subresource,
        )
        self._answer(exchange, 201 if created else 200, obj, resource, representation, context, stored=not context.dry_run)

    async def _patch(self, exchange: Exchange, info: RequestInfo) -> None:
        assert info.route is not None
        path, resource = info.route.path, info.route.resource
        representation = self._representation(exchange)
        content_type = _media_type(exchange)
        context = self._writing(exchange, "PatchOptions", content_type)
        check_nesting(exchange.request.body)
        body = Body(exchange.request.body, content_type)
        obj, created = await self._registry.patch(
            context, resource, path.namespace, path.name, body, content_type, subresource=path.subresource,
        )
        self._answer(exchange, 201 if created else 200, obj, resource, representation, context, stored=not context.dry_run)

    async def _delete(self, exchange: Exchange, info: RequestInfo) -> None:
        assert info.route is not None
        path, resource = info.route.path, info.route.resource
        representation = self._representation(exchange)
        options = self._delete_options(exchange)
        context = self._context(exchange)
        context.dry_run = bool(options.dryRun)
        obj = await self._registry.delete(context, resource, path.namespace, path.name, options)
        kept = not isinstance(obj, Status) and options.orphanDependents is False
        self._answer(exchange, 202 if kept else 200, obj, resource, representation, context, stored=False)

    async def _delete_collection(self, exchange: Exchange, info: RequestInfo) -> None:
        assert info.route is not None
        path, resource = info.route.path, info.route.resource
        representation = self._representation(exchange)
        list_options = query.list_options(exchange.request.query)
        options = self._delete_options(exchange)
        context = self._context(exchange)
        context.dry_run = bool(options.dryRun)
        result = await self._registry.delete_collection(context, resource, path.namespace, list_options, options)
        exchange.warnings += context.warnings
        await self._answer_list(exchange, result, resource, representation)

    def _delete_options(self, exchange: Exchange) -> DeleteOptions:
        request = exchange.request
        if not request.body:
            options = query.delete_options(request.query)
        else:
            context = RequestContext(identity=exchange.identity, field_validation="Ignore")
            options = bodies.typed(context, DeleteOptions, _body(exchange), any_version=True)
        deletion.check_options(options)
        return options

    # ---- contexts

    def _context(self, exchange: Exchange) -> RequestContext:
        return RequestContext(identity=exchange.identity, authorized=True, warnings=exchange.warnings, cause=exchange.audit_id)

    def _writing(self, exchange: Exchange, kind: str, content_type: str = "") -> RequestContext:
        options = query.write_options(exchange.request.query, kind, content_type)
        return RequestContext(
            identity=exchange.identity, authorized=True, warnings=exchange.warnings, cause=exchange.audit_id, dry_run=options.dry_run,
            field_manager=options.field_manager, field_validation=options.field_validation, force=options.force,
        )

    @staticmethod
    def _representation(exchange: Exchange) -> Representation:
        accept = exchange.request.headers.get(b"accept")
        if accept is None or accept == b"application/json":
            return PLAIN
        return negotiate(accept.decode("latin-1"), transforms=True)

    # ---- answers

    def _answer(
        self, exchange: Exchange, status: int, obj: Any, resource: Resource, representation: Representation, context: RequestContext | None = None,
        *, stored: bool,
    ) -> None:
        """`stored`: the object stands in the store as it is, so its bytes are worth keeping."""
        if representation.transform and not isinstance(obj, Status):
            if representation.transform == "PartialObjectMetadataList":
                raise tables.not_a_list(resource, representation.transform)
            item = self._transformed(exchange, obj, resource, representation)
        elif stored and type(obj) is resource.type:
            item = encoding.whole(obj, self._registry.store.encoded(obj, encoding.encode_item))
        else:
            item = encoding.encode(obj)
        exchange.json(status, item, representation)

    def _transformed(self, exchange: Exchange, obj: Any, resource: Resource, representation: Representation) -> bytes:
        if representation.transform == "PartialObjectMetadata":
            return tables.partial(obj, representation.meta_version)
        form = TableForm(
            registry=self._registry, resource=resource, version=representation.meta_version, include=include_object(exchange.values),
            kind=None if type(obj) is resource.type else type(obj),
        )
        return form.table(obj, self._now())

    async def _answer_list(self, exchange: Exchange, result: ListResult, resource: Resource, representation: Representation) -> None:
        metadata = encoding.encode_value(ListMeta(
            resourceVersion=result.resource_version, continue_=result.continue_, remainingItemCount=result.remaining,
        ))
        if not resource.module and not representation.transform and not result.continue_:
            metadata = b'{"continue":"",%b' % metadata[1:]  # a list of no type leaves nothing out
        items: Iterator[bytes]
        if representation.transform == "Table":
            form = TableForm(
                registry=self._registry, resource=resource, version=representation.meta_version, include=include_object(exchange.values),
            )
            head, now = form.head(metadata), self._now()
            items = (form.row(obj, now) for obj in result.items)
        elif representation.transform:
            version = representation.meta_version
            head = b'{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/%b","metadata":%b,"items":[' % (version.encode(), metadata)
            items = (tables.partial(obj, version) for obj in result.items)
        else:
            kind = resource.list_kind if isinstance(resource, SchemaResource) else f"{resource.kind}List"
            head = b'{"kind":"%b","apiVersion":"%b","metadata":%b,"items":[' % (kind.encode(), resource.api_version.encode(), metadata)
            encoded, encode_item = self._registry.store.encoded, encoding.encode_item
            if self._registry.is_stored(resource):
                items = (encoded(obj, encode_item) for obj in result.items)
            else:
                items = map(encode_item, result.items)
        await lists.write(exchange, lists.Listing(head=head, items=items), representation, self._yield)

    async def _yield(self) -> None:
        await self._registry.environment.sleep(0)


def _media_type(exchange: Exchange) -> str:
    return exchange.request.header(b"content-type").partition(";")[0].strip()


def _body(exchange: Exchange, resource: Resource | None = None) -> Body:
    """The body; of a custom resource JSON or YAML, since nobody knows its Protobuf."""
    content_type = exchange.request.headers.get(b"content-type")
    if content_type is None or content_type == b"application/json":
        media_type = JSON
    else:
        media_type = body_type(content_type.decode("latin-1"), OFFERED if resource is None or resource.module else (JSON, YAML))
    data = exchange.request.body
    if media_type == PROTOBUF:
        from kubelet_lite.apiserver import protobuf

        return Body(encoding.encode_value(protobuf.to_json(data)), JSON)
    check_nesting(data)
    return Body(data, media_type)
