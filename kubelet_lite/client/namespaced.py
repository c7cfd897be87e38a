"""A client at home in one namespace: what is namespaced and does not say where, is meant there."""
from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any, Self, TypeVar, cast

from msgspec.structs import replace

from kubelet_lite.api.requests import ListOptions
from kubelet_lite.api.resources import Resource, find_kind, resource_of
from kubelet_lite.client.base import Client, LogOptions, ObjectList, Preconditions, Propagation, Watch
from kubelet_lite.client.wrapper import WrappedClient

T = TypeVar("T")


class NamespacedClient(WrappedClient):
    """Lists and watches are of that namespace; another one may be named. Cluster-scoped kinds are as ever."""

    def __init__(self, client: Client, namespace: str) -> None:
        super().__init__(client)
        self.namespace = namespace

    def again(self, client: Client) -> Self:
        return type(self)(client, self.namespace)

    async def get(self, kind: type[T] | Resource, name: str, *, namespace: str = "", subresource: str = "", resource_version: str = "") -> T:
        return await super().get(
            kind, name, namespace=namespace or self._home(kind), subresource=subresource, resource_version=resource_version,
        )

    async def list(self, kind: type[T] | Resource, *, namespace: str = "", options: ListOptions = ListOptions()) -> ObjectList[T]:
        return await super().list(kind, namespace=namespace or self._home(kind), options=options)

    def watch(self, kind: type[T] | Resource, *, namespace: str = "", options: ListOptions = ListOptions()) -> AbstractAsyncContextManager[Watch]:
        return super().watch(kind, namespace=namespace or self._home(kind), options=options)

    async def create(self, obj: T, *, namespace: str = "", name: str = "", subresource: str = "", dry_run: bool = False, cause: str = "") -> T:
        return await super().create(
            self._placed(obj, namespace), namespace=namespace, name=name, subresource=subresource, dry_run=dry_run, cause=cause,
        )

    async def update(self, obj: T, *, subresource: str = "", dry_run: bool = False, cause: str = "") -> T:
        return await super().update(self._placed(obj, ""), subresource=subresource, dry_run=dry_run, cause=cause)

    async def patch(
        self, kind: type[T] | Resource, name: str, patch: Any, *, content_type: str, namespace: str = "", subresource: str = "",
        force: bool = False, dry_run: bool = False, cause: str = "",
    ) -> T:
        return await super().patch(
            kind, name, patch, content_type=content_type, namespace=namespace or self._home(kind), subresource=subresource, force=force,
            dry_run=dry_run, cause=cause,
        )

    async def delete(
        self, kind: type[T] | Resource, name: str, *, namespace: str = "", propagation: Propagation | None = None,
        grace_period_seconds: int | None = None, preconditions: Preconditions | None = None, dry_run: bool = False, cause: str = "",
    ) -> Any:
        return await super().delete(
            kind, name, namespace=namespace or self._home(kind), propagation=propagation, grace_period_seconds=grace_period_seconds,
            preconditions=preconditions, dry_run=dry_run, cause=cause,
        )

    async def delete_collection(
        self, kind: type[T] | Resource, *, namespace: str = "", options: ListOptions = ListOptions(),
        propagation: Propagation | None = None, grace_period_seconds: int | None = None,
    ) -> None:
        await super().delete_collection(
            kind, namespace=namespace or self._home(kind), options=options, propagation=propagation, grace_period_seconds=grace_period_seconds,
        )

    def logs(self, name: str, *, namespace: str = "", options: LogOptions = LogOptions()) -> AsyncIterator[bytes]:
        return super().logs(name, namespace=namespace or self.namespace, options=options)

    def _home(self, kind: Any) -> str:
        return self.namespace if resource_of(kind).namespaced else ""

    def _placed(self, obj: T, namespace: str) -> T:
        """The object with its namespace. What has no resource of its own (a Binding, an Eviction) belongs to a pod or service account."""
        whole = cast(Any, obj)
        if whole.metadata.namespace:
            return obj
        resource = find_kind(whole.apiVersion, whole.kind)
        if resource is not None and not resource.namespaced:
            return obj
        return cast(T, replace(whole, metadata=replace(whole.metadata, namespace=namespace or self.namespace)))
