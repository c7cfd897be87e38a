"""A client over another one, which does all the work: the base of the wrappers beside this file (dry_run, namespaced)."""
from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Self, TypeVar

from kubelet_lite.api.identity import Identity
from kubelet_lite.api.requests import FieldValidation, ListOptions
from kubelet_lite.api.resources import Resource
from kubelet_lite.client.base import Client, LogOptions, ObjectList, Preconditions, Propagation, Watch

T = TypeVar("T")


class WrappedClient(Client):
    """Hands every call on as it is. `again`: a wrapper like this one over another client."""

    def __init__(self, client: Client) -> None:
        self.inner = client

    def again(self, client: Client) -> Self:
        return type(self)(client)

    @property
    def identity(self) -> Identity:  # type: ignore[override]
        return self.inner.identity

    async def get(self, kind: type[T] | Resource, name: str, *, namespace: str = "", subresource: str = "", resource_version: str = "") -> T:
        return await self.inner.get(kind, name, namespace=namespace, subresource=subresource, resource_version=resource_version)

    async def list(self, kind: type[T] | Resource, *, namespace: str = "", options: ListOptions = ListOptions()) -> ObjectList[T]:
        return await self.inner.list(kind, namespace=namespace, options=options)

    def watch(self, kind: type[T] | Resource, *, namespace: str = "", options: ListOptions = ListOptions()) -> AbstractAsyncContextManager[Watch]:
        return self.inner.watch(kind, namespace=namespace, options=options)

    async def create(self, obj: T, *, namespace: str = "", name: str = "", subresource: str = "", dry_run: bool = False, cause: str = "") -> T:
        return await self.inner.create(obj, namespace=namespace, name=name, subresource=subresource, dry_run=dry_run, cause=cause)

    async def update(self, obj: T, *, subresource: str = "", dry_run: bool = False, cause: str = "") -> T:
        return await self.inner.update(obj, subresource=subresource, dry_run=dry_run, cause=cause)

    async def patch(
        self, kind: type[T] | Resource, name: str, patch: Any, *, content_type: str, namespace: str = "", subresource: str = "",
        force: bool = False, dry_run: bool = False, cause: str = "",
    ) -> T:
        return await self.inner.patch(
            kind, name, patch, content_type=content_type, namespace=namespace, subresource=subresource, force=force, dry_run=dry_run, cause=cause,
        )

    async def delete(
        self, kind: type[T] | Resource, name: str, *, namespace: str = "", propagation: Propagation | None = None,
        grace_period_seconds: int | None = None, preconditions: Preconditions | None = None, dry_run: bool = False, cause: str = "",
    ) -> Any:
        return await self.inner.delete(
            kind, name, namespace=namespace, propagation=propagation, grace_period_seconds=grace_period_seconds, preconditions=preconditions,
            dry_run=dry_run, cause=cause,
        )

    async def delete_collection(
        self, kind: type[T] | Resource, *, namespace: str = "", options: ListOptions = ListOptions(),
        propagation: Propagation | None = None, grace_period_seconds: int | None = None,
    ) -> None:
        await self.inner.delete_collection(
            kind, namespace=namespace, options=options, propagation=propagation, grace_period_seconds=grace_period_seconds,
        )

    def logs(self, name: str, *, namespace: str, options: LogOptions = LogOptions()) -> AsyncIterator[bytes]:
        return self.inner.logs(name, namespace=namespace, options=options)

    def acting_as(self, identity: Identity, *, field_manager: str = "", field_validation: FieldValidation = "Ignore") -> Self:
        return self.again(self.inner.acting_as(identity, field_manager=field_manager, field_validation=field_validation))

    async def resources(self) -> Sequence[Resource]:
        return await self.inner.resources()

    async def bind(self, bindings: Sequence[Any]) -> Sequence[Exception | None]:
        return await self.inner.bind(bindings)
