"""What every client promises, whatever is beneath it: the registry of this process, or HTTPS to any Kubernetes API server.

Objects are immutable typed values (`kubelet_lite.api`), to be shared and never changed. A client carries an identity and a
field manager; authorization, admission and managedFields apply in process exactly as over HTTP. Every method raises an ApiError.
"""
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Generic, Literal, TypeVar

import msgspec

from kubelet_lite.api import meta_v1, resources
from kubelet_lite.api.identity import Identity
from kubelet_lite.api.requests import FieldValidation, ListOptions, WatchEvent
from kubelet_lite.api.resources import Resource

T = TypeVar("T")
Propagation = Literal["Background", "Foreground", "Orphan"]


class ObjectList(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """One page of a list."""

    items: tuple[T, ...]
    resource_version: str
    continue_: str = ""
    remaining: int | None = None


class Preconditions(msgspec.Struct, frozen=True, kw_only=True):
    """What must hold of the object for a delete to happen; otherwise Conflict."""

    uid: str | None = None
    resource_version: str | None = None


class LogOptions(msgspec.Struct, frozen=True, kw_only=True):
    """PodLogOptions of the API."""

    container: str = ""
    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    since_seconds: int | None = None
    tail_lines: int | None = None
    limit_bytes: int | None = None


Watch = AsyncIterator[Sequence[WatchEvent]]
"""Batches of events in order; raises Expired (410) when the revision is too old, ends when the server ends it."""


class Client(ABC):
    """`kind` is a type of kubelet_lite.api (`Pod`) or a `Resource` (for custom resources: objects are Unstructured).

    `namespace`: a name; "" for cluster-scoped kinds and for all namespaces in lists. `resource_version=""` reads the newest.
    """

    identity: Identity

    @abstractmethod
    async def get(self, kind: type[T] | Resource, name: str, *, namespace: str = "", subresource: str = "", resource_version: str = "") -> T: ...

    @abstractmethod
    async def list(self, kind: type[T] | Resource, *, namespace: str = "", options: ListOptions = ListOptions()) -> ObjectList[T]: ...

    @abstractmethod
    def watch(self, kind: type[T] | Resource, *, namespace: str = "", options: ListOptions = ListOptions()) -> AbstractAsyncContextManager[Watch]: ...

    @abstractmethod
    async def create(self, obj: T, *, namespace: str = "", name: str = "", subresource: str = "", dry_run: bool = False, cause: str = "") -> T:
        """`name` and `subresource` for pods/binding, pods/eviction, serviceaccounts/token."""

    @abstractmethod
    async def update(self, obj: T, *, subresource: str = "", dry_run: bool = False, cause: str = "") -> T: ...

    @abstractmethod
    async def patch(
        self, kind: type[T] | Resource, name: str, patch: Any, *, content_type: str, namespace: str = "", subresource: str = "",
        force: bool = False, dry_run: bool = False, cause: str = "",
    ) -> T:
        """`patch`: JSON values (or a typed object). `content_type`: one of api.requests' four; apply creates what is absent."""

    @abstractmethod
    async def delete(
        self, kind: type[T] | Resource, name: str, *, namespace: str = "", propagation: Propagation | None = None,
        grace_period_seconds: int | None = None, preconditions: Preconditions | None = None, dry_run: bool = False, cause: str = "",
    ) -> Any: ...

    @abstractmethod
    async def delete_collection(
        self, kind: type[T] | Resource, *, namespace: str = "", options: ListOptions = ListOptions(),
        propagation: Propagation | None = None, grace_period_seconds: int | None = None,
    ) -> None: ...

    @abstractmethod
    def logs(self, name: str, *, namespace: str, options: LogOptions = LogOptions()) -> AsyncIterator[bytes]: ...

    @abstractmethod
    def acting_as(self, identity: Identity, *, field_manager: str = "", field_validation: FieldValidation = "Ignore") -> Client:
        """The same server under another identity (in process: any; over HTTP: by impersonation)."""

    @abstractmethod
    async def resources(self) -> Sequence[Resource]:
        """All that the server serves, custom resources too."""

    async def find_kind(self, api_version: str, kind: str) -> Resource | None:
        """The resource of objects with this apiVersion and kind; None where the server has no such kind."""
        built_in = resources.find_kind(api_version, kind)
        if built_in is not None:
            return built_in
        return next((found for found in await self.resources() if found.api_version == api_version and found.kind == kind), None)

    async def bind(self, bindings: Sequence[Any]) -> Sequence[Exception | None]:
        """Creates pods/binding for each (core/v1 Binding); one answer a binding. In process one store transaction for all."""
        answers: list[Exception | None] = []
        for binding in bindings:
            try:
                await self.create(binding, namespace=binding.metadata.namespace, name=binding.metadata.name, subresource="binding")
            except Exception as error:  # each binding answers for itself: the scheduler requeues that pod alone
                answers.append(error)
            else:
                answers.append(None)
        return answers


def delete_options(propagation: Propagation | None, grace_period_seconds: int | None, preconditions: Preconditions | None) -> meta_v1.DeleteOptions:
    """What a delete says, as the API has it."""
    condition = None
    if preconditions is not None:
        condition = meta_v1.Preconditions(uid=preconditions.uid, resourceVersion=preconditions.resource_version)
    return meta_v1.DeleteOptions(gracePeriodSeconds=grace_period_seconds, propagationPolicy=propagation, preconditions=condition)


OWNERS_OF: Final = {
    subresource.name: resource
    for resource in resources.RESOURCES for subresource in resource.subresources if "create" in subresource.verbs and subresource.name != "proxy"
}
"""Subresources that objects of another kind are posted to: pods/binding, pods/eviction, serviceaccounts/token."""
