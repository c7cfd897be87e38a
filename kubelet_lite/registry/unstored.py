"""Resources that can be read though nobody stores them: each answer is made up when it is asked for."""
from __future__ import annotations

from typing import Any, Final, Protocol

from kubelet_lite.api.errors import MethodNotAllowed, NotFound
from kubelet_lite.api.requests import ListOptions, ListResult
from kubelet_lite.api.resources import Resource
from kubelet_lite.registry.stored import Stored

NOT_ALLOWED: Final = "the server does not allow this method on the requested resource"


class Unstored(Protocol):
    """One such resource."""

    @property
    def shown(self) -> Stored:
        """How an object of it is shown, as if it were stored."""
        ...

    async def get(self, namespace: str, name: str) -> Any:
        """Raises NotFound."""
        ...

    async def list(self, namespace: str, options: ListOptions) -> ListResult: ...


class UnstoredResources:
    """Those of one registry: `built_in` are always there, `offer` adds others."""

    def __init__(self, *built_in: Unstored) -> None:
        self._all = {one.shown.served.qualified: one for one in built_in}
        self.offered: tuple[Resource, ...] = ()
        """Beside the built-in ones; the same tuple as long as nothing is added."""

    def offer(self, *more: Unstored) -> None:
        self._all |= {one.shown.served.qualified: one for one in more}
        self.offered = (*self.offered, *(one.shown.served for one in more))

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        """Of those that are offered."""
        return next((r for r in self.offered if (r.group, r.version, r.plural) == (group, version, plural)), None)

    def find_kind(self, api_version: str, kind: str) -> Resource | None:
        return next((r for r in self.offered if (r.api_version, r.kind) == (api_version, kind)), None)

    def of(self, resource: Resource) -> Unstored:
        """Raises MethodNotAllowed for what cannot be read without a store, NotFound for what could but is not offered."""
        found = self._all.get(resource.qualified)
        if found is not None:
            return found
        if "list" in resource.verbs:
            raise NotFound("the server could not find the requested resource", details={})
        raise MethodNotAllowed(NOT_ALLOWED, details={})
