"""What the API server does: every verb on every resource, for the HTTP server and for clients in this process alike.

Each request is authorized, then served by the pipeline (stored objects), or by the handler of a subresource or virtual resource.
Methods raise ApiError. Objects are typed, immutable and shared with the store.
"""
from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from msgspec.structs import replace

from kubelet_lite.actors.environment import Environment
from kubelet_lite.api import resources
from kubelet_lite.api.errors import BadRequest, MethodNotAllowed
from kubelet_lite.api.identity import Identity
from kubelet_lite.api.meta_v1 import DeleteOptions
from kubelet_lite.api.requests import APPLY_PATCH, ListOptions, ListResult, RequestContext, WatchEvent
from kubelet_lite.api.resources import Resource
from kubelet_lite.registry import bodies
from kubelet_lite.registry.authorization.attributes import Attributes
from kubelet_lite.registry.pipeline import Admission, Change, Pipeline
from kubelet_lite.registry.reading import Reader
from kubelet_lite.registry.rules import KindRules
from kubelet_lite.registry.store_view import StoreView
from kubelet_lite.registry.stored import Stored, StoredResources
from kubelet_lite.store import Store


class Authorizer(Protocol):
    """Raises Forbidden for what the caller may not do."""

    def check(self, identity: Identity, attributes: Attributes) -> None: ...


class Registry:
    """One cluster's API. `rules`: the table of kinds, keyed by Resource.qualified."""

    def __init__(
        self, store: Store, environment: Environment, *, rules: Mapping[str, KindRules] | None = None, authorizer: Authorizer | None = None,
        admission: Admission | None = None,
    ) -> None:
        if rules is None:
            from kubelet_lite.registry.kinds import RULES
            rules = RULES
        self.store = store
        self.environment = environment
        self.view = StoreView(store)
        self.authorizer = authorizer
        self._resources = StoredResources(rules)
        self._pipeline = Pipeline(store, environment, self.view, admission)
        self._reader = Reader(store, environment, lambda resource: _INDEXED.get(resource, ()))
        for resource, fields in _INDEXED.items():
            for field in fields:
                store.add_index(resource, field, self._stored(resource).fields[field])

    # Read

    async def get(
        self, ctx: RequestContext, resource: Resource, namespace: str, name: str, *, subresource: str = "", resource_version: str = "",
    ) -> Any:
        self._authorize(ctx, "get", resource, namespace, name, subresource)
        target = self._target(resource)
        return target.view(self._reader.get(target, namespace, name, resource_version))

    async def list(self, ctx: RequestContext, resource: Resource, namespace: str, options: ListOptions) -> ListResult:
        self._authorize(ctx, "list", resource, namespace, "", "", options.field_selector)
        target = self._target(resource)
        result = await self._reader.list(target, namespace, options)
        return result if target.to_served is None else replace(result, items=tuple(map(target.view, result.items)))

    def watch(
        self, ctx: RequestContext, resource: Resource, namespace: str, options: ListOptions,
    ) -> AbstractAsyncContextManager[AsyncIterator[Sequence[WatchEvent]]]:
        self._authorize(ctx, "watch", resource, namespace, "", "", options.field_selector)
        return self._reader.watch(self._target(resource), namespace, options)

    # Write

    async def create(self, ctx: RequestContext, resource: Resource, namespace: str, body: Any, *, name: str = "", subresource: str = "") -> Any:
        self._authorize(ctx, "create", resource, namespace, name, subresource)
        target = self._target(resource)
        obj = self._pipeline.received(target, bodies.typed(ctx, resource, body))
        return target.view(self._pipeline.create(ctx, target, namespace, obj))

    async def update(
        self, ctx: RequestContext, resource: Resource, namespace: str, name: str, body: Any, *, subresource: str = "",
    ) -> tuple[Any, bool]:
        self._authorize(ctx, "update", resource, namespace, name, subresource)
        target = self._target(resource)
        obj = bodies.typed(ctx, resource, body)
        _check_name(obj, name)
        obj = self._pipeline.received(target, obj)
        change = Change(
            make=lambda live: obj, part=self._pipeline.part_of(target, subresource), replaces=True,
            may_create=target.rules.create_on_update and not subresource,
        )
        new, created = self._pipeline.update(ctx, target, namespace, name, change)
        return target.view(new), created

    async def patch(
        self, ctx: RequestContext, resource: Resource, namespace: str, name: str, patch: Any, content_type: str, *, subresource: str = "",
    ) -> tuple[Any, bool]:
        self._authorize(ctx, "patch", resource, namespace, name, subresource)
        target = self._target(resource)
        changes = bodies.patch(ctx, resource, patch, content_type)

        def make(live: Any | None) -> Any:
            shown = target.view(live) if live is not None else None
            return self._pipeline.received(target, bodies.patched(ctx, resource, shown, changes, content_type))

        change = Change(make=make, part=self._pipeline.part_of(target, subresource), applies=content_type == APPLY_PATCH)
        new, created = self._pipeline.update(ctx, target, namespace, name, change)
        return target.view(new), created

    async def delete(self, ctx: RequestContext, resource: Resource, namespace: str, name: str, options: DeleteOptions) -> Any:
        """The object (while something keeps it, and for some kinds), or a Status."""
        self._authorize(ctx, "delete", resource, namespace, name)
        target = self._target(resource)
        answer = self._pipeline.delete(ctx, target, namespace, name, options)
        return target.view(answer) if isinstance(answer, target.resource.type) else answer

    async def delete_collection(
        self, ctx: RequestContext, resource: Resource, namespace: str, list_options: ListOptions, options: DeleteOptions,
    ) -> ListResult:
        """What was there to be deleted."""
        self._authorize(ctx, "deletecollection", resource, namespace)
        target = self._target(resource)
        found = await self._reader.list(target, namespace, list_options)
        for obj in found.items:
            self._pipeline.delete(ctx, target, obj.metadata.namespace, obj.metadata.name, options)
        return replace(found, items=tuple(map(target.view, found.items)))

    # Resources

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        """The resource of a path."""
        return resources.find(group, version, plural)

    def _stored(self, qualified: str) -> Stored:
        return next(stored for stored in self._resources.all().values() if stored.resource.qualified == qualified)

    def _target(self, resource: Resource) -> Stored:
        target = self._resources.get(resource)
        if target is None:
            raise MethodNotAllowed("the server does not allow this method on the requested resource", details={})
        return target

    def _authorize(
        self, ctx: RequestContext, verb: str, resource: Resource, namespace: str, name: str = "", subresource: str = "", field_selector: str = "",
    ) -> None:
        if self.authorizer is None or ctx.authorized:
            return
        self.authorizer.check(ctx.identity, Attributes(
            verb=verb, group=resource.group, version=resource.version, resource=resource.plural, subresource=subresource,
            namespace=namespace, name=name, field_selector=field_selector,
        ))


def _check_name(obj: Any, name: str) -> None:
    given = obj.metadata.name
    if given != name:
        if not given:
            raise BadRequest(f"the name of the object ({name} based on URL) was undeterminable: name must be provided")
        raise BadRequest(f"the name of the object ({given}) does not match the name on the URL ({name})")


_INDEXED: Mapping[str, Sequence[str]] = {"pods": ("spec.nodeName",)}
"""Fields by which the store itself selects."""
