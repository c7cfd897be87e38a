"""What a request is about, read from its method and path alone: the attributes for authorization, and the route that will serve it.

As in Kubernetes, authorization comes before routing: a path that nothing serves is forbidden to who may not ask for it.
"""
from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec.structs import replace

from kubelet_lite.api.errors import ApiError, MethodNotAllowed, NotFound
from kubelet_lite.apiserver import query
from kubelet_lite.apiserver.routes import AUTHORIZED_VERBS, Find, ResourcePath, Route, resource_path, route
from kubelet_lite.registry.authorization.attributes import Attributes

NAMESPACE_SELECTOR: Final = "metadata.name="
_COLLECTION_VERBS: Final = {"get": "list", "delete": "deletecollection"}


class RequestInfo(msgspec.Struct, frozen=True, kw_only=True):
    """`path` and `route` are None for a request that is about no resource; `route` also for a resource that does not exist."""

    attributes: Attributes
    path: ResourcePath | None = None
    route: Route | None = None
    verb: str = ""
    """get, list, create, update, patch, delete, deletecollection: of the route; "" when the method is not allowed."""
    selects: bool = False
    """Whether the query can change the attributes (watch, a field selector)."""

    def unserved(self) -> ApiError | None:
        """Why no handler takes it: 404 or 405."""
        if self.route is None:
            return NotFound("the server could not find the requested resource", details={})
        if not self.verb:
            return MethodNotAllowed("the server does not allow this method on the requested resource", details={})
        return None

    def asked(self, raw_query: str) -> RequestInfo:
        """With what the query says: `watch`, and the name that a field selector selects."""
        options = query.list_options(raw_query)
        changes: dict[str, Any] = {}
        name = _selected_name(options.field_selector)
        if name:
            changes["name"] = name
        if options.field_selector:
            changes["field_selector"] = options.field_selector
        if options.watch and self.attributes.verb == "list":
            changes["verb"] = "watch"
        return replace(self, attributes=replace(self.attributes, **changes)) if changes else self


def request_info(method: str, path: str, find: Find) -> RequestInfo:
    """The info of a request without its query."""
    verb = AUTHORIZED_VERBS.get(method, "")
    parts = resource_path(path)
    if parts is None:
        return RequestInfo(attributes=Attributes(verb=verb or method.lower(), path=path))
    attributes = Attributes(
        verb=_attributed_verb(verb, parts), group=parts.group, version=parts.version, resource=parts.plural, subresource=parts.subresource,
        namespace=parts.name if parts.plural == "namespaces" and not parts.group else parts.namespace, name=parts.name,
    )
    found = route(parts, find)
    served = found.verbs.get(method, "") if found is not None else ""
    if parts.watch and served in ("get", "list"):
        served = "watch"
    return RequestInfo(attributes=attributes, path=parts, route=found, verb=served, selects=attributes.verb in ("list", "deletecollection"))


def _attributed_verb(verb: str, parts: ResourcePath) -> str:
    if parts.watch:
        return "watch"
    return _COLLECTION_VERBS.get(verb, verb) if not parts.name else verb


def _selected_name(selector: str) -> str:
    """The name that a field selector requires."""
    for part in selector.split(","):
        if part.startswith(NAMESPACE_SELECTOR):
            return part[len(NAMESPACE_SELECTOR):].removeprefix("=")
    return ""
