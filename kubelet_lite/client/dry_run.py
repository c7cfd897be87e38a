"""A client whose writes are all dry runs: checked and answered, never stored."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from kubelet_lite.api.requests import ListOptions
from kubelet_lite.api.resources import Resource
from kubelet_lite.client.base import Client, Preconditions, Propagation
from kubelet_lite.client.wrapper import WrappedClient

T = TypeVar("T")


class DryRunClient(WrappedClient):
    """What each method returns is what would have become of the object."""

    async def create(self, obj: T, *, namespace: str = "", name: str = "", subresource: str = "", dry_run: bool = True, cause: str = "") -> T:
        return await super().create(obj, namespace=namespace, name=name, subresource=subresource, dry_run=True, cause=cause)

    async def update(self, obj: T, *, subresource: str = "", dry_run: bool = True, cause: str = "") -> T:
        return await super().update(obj, subresource=subresource, dry_run=True, cause=cause)

    async def patch(
        self, kind: type[T] | Resource, name: str, patch: Any, *, content_type: str, namespace: str = "", subresource: str = "",
        force: bool = False, dry_run: bool = True, cause: str = "",
    ) -> T:
        return await super().patch(
            kind, name, patch, content_type=content_type, namespace=namespace, subresource=subresource, force=force, dry_run=True, cause=cause,
        )

    async def delete(
        self, kind: type[T] | Resource, name: str, *, namespace: str = "", propagation: Propagation | None = None,
        grace_period_seconds: int | None = None, preconditions: Preconditions | None = None, dry_run: bool = True, cause: str = "",
    ) -> Any:
        return await super().delete(
            kind, name, namespace=namespace, propagation=propagation, grace_period_seconds=grace_period_seconds, preconditions=preconditions,
            dry_run=True, cause=cause,
        )

    async def delete_collection(
        self, kind: type[T] | Resource, *, namespace: str = "", options: ListOptions = ListOptions(),
        propagation: Propagation | None = None, grace_period_seconds: int | None = None,
    ) -> None:
        """One dry run an object."""
        found: Any = await self.list(kind, namespace=namespace, options=options)
        for obj in found.items:
            await self.delete(
                kind, obj.metadata.name, namespace=obj.metadata.namespace, propagation=propagation, grace_period_seconds=grace_period_seconds,
            )

    async def bind(self, bindings: Sequence[Any]) -> Sequence[Exception | None]:
        """One dry run a binding."""
        return await Client.bind(self, bindings)
