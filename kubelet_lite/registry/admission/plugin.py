"""What an admission plug-in is and what it is given.

https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec

from kubelet_lite.actors.environment import Environment
from kubelet_lite.api.errors import Forbidden
from kubelet_lite.api.identity import Identity
from kubelet_lite.api.requests import RequestContext
from kubelet_lite.api.resources import Resource
from kubelet_lite.registry.authorization.authorizer import ClusterAuthorizer
from kubelet_lite.registry.view import View

Operation = Literal["CREATE", "UPDATE", "DELETE", "CONNECT"]


class Review(msgspec.Struct, kw_only=True, gc=False):
    """One write as admission sees it, beside the object itself. `namespace` and `name` are those of the request
    (`name` is "" for a create whose name is generated, and for a deletecollection)."""

    context: RequestContext
    resource: Resource
    operation: Operation
    namespace: str
    name: str
    subresource: str = ""
    old: Any = None
    """The stored object of an update or delete."""

    @property
    def identity(self) -> Identity:
        return self.context.identity

    def forbidden(self, why: str, new: Any = None) -> Forbidden:
        """The refusal of this write: `pods "web" is forbidden: …`. `new` names it where the request does not."""
        resource = self.resource
        name = self.name
        if not name:
            name = (new.metadata.name or new.metadata.generateName) if new is not None else "Unknown!"
        details = {"name": name}
        if resource.group:
            details["group"] = resource.group
        details["kind"] = resource.plural
        return Forbidden(f'{resource.qualified} "{name}" is forbidden: {why}', details=details)


class World(msgspec.Struct, frozen=True, kw_only=True):
    """What a plug-in may use beside the request."""

    view: View
    environment: Environment
    authorizer: ClusterAuthorizer
    write: Callable[[str, Any], None]
    """(resource, object): stores a changed object at once, without admission of its own; a quota's usage."""


Mutate = Callable[[Any, Review, World], Any]
"""(object, review, world) -> the object, changed or not."""
Validate = Callable[[Any, Review, World], None]
"""(object, review, world); the object is None for a delete."""


class Plugin(msgspec.Struct, frozen=True, kw_only=True):
    """`handles` says of which requests it wants to hear: (resource's qualified name, subresource, operation) -> bool; asked once each."""

    name: str
    handles: Callable[[str, str, Operation], bool]
    mutate: Mutate | None = None
    validate: Validate | None = None


def on(resources: str | tuple[str, ...], *operations: Operation, subresources: tuple[str, ...] = ("",)) -> Callable[[str, str, Operation], bool]:
    """`handles` for some resources and operations."""
    names = (resources,) if isinstance(resources, str) else resources
    return lambda resource, subresource, operation: resource in names and subresource in subresources and operation in operations
