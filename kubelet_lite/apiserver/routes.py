"""From a path and a method to what is asked for, by Kubernetes' rules for request paths.

https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

import msgspec

from kubelet_lite.api.resources import Resource

CACHED_PATHS: Final = 4096
"""Paths whose parts are remembered: clients ask for few paths often."""
MAX_CACHED_PATH_BYTES: Final = 1024

COLLECTION_VERBS: Final = {"GET": "list", "POST": "create", "DELETE": "deletecollection"}
ITEM_VERBS: Final = {"GET": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
AUTHORIZED_VERBS: Final = {"POST": "create", "GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
"""What authorization is asked for a request that no route takes."""


class ResourcePath(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of /api/v1/… or /apis/GROUP/VERSION/…"""

    group: str
    version: str
    plural: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    rest: str = ""
    """What follows the subresource: the path behind a proxy."""
    watch: bool = False
    """The deprecated form with /watch/ before the resource."""


@lru_cache(maxsize=CACHED_PATHS)
def _parse(path: str) -> ResourcePath | None:
    parts = path.strip("/").split("/")
    if parts[0] == "api" and len(parts) > 2:
        group, version, parts = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) > 3:
        group, version, parts = parts[1], parts[2], parts[3:]
    else:
        return None
    watch = parts[0] == "watch" and len(parts) > 1
    if watch:
        parts = parts[1:]
    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 2 and parts[2] not in ("status", "finalize"):
        namespace, parts = parts[1], parts[2:]
    plural, name, subresource = (*parts[:3], "", "")[:3]
    return ResourcePath(
        group=group, version=version, plural=plural, namespace=namespace, name=name, subresource=subresource,
        rest="/".join(parts[3:]), watch=watch,
    )


def resource_path(path: str) -> ResourcePath | None:
    """The parts of a resource's path; None for every other path."""
    return _parse(path) if len(path) <= MAX_CACHED_PATH_BYTES else _parse.__wrapped__(path)


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """A resource's path whose resource exists: `verbs` are those its form (collection, item, subresource) allows."""

    path: ResourcePath
    resource: Resource
    verbs: Mapping[str, str]
    """Method → verb."""


Find = Callable[[str, str, str], Resource | None]
"""(group, version, plural) → the resource."""


def route(path: ResourcePath, find: Find) -> Route | None:
    """The route of a path, or None when its resource, scope or subresource does not exist (404)."""
    resource = find(path.group, path.version, path.plural)
    if resource is None or (path.namespace and not resource.namespaced):
        return None
    everywhere = resource.namespaced and not path.namespace
    if path.subresource:
        found = next((s for s in resource.subresources if s.name == path.subresource), None)
        if found is None or everywhere or (path.rest and found.name != "proxy"):
            return None
        return Route(path=path, resource=resource, verbs=_subresource_methods(path.subresource, found.verbs))
    if path.name:
        if everywhere:
            return None
        allowed = {method: verb for method, verb in ITEM_VERBS.items() if verb in resource.verbs}
    else:
        allowed = {method: verb for method, verb in COLLECTION_VERBS.items() if verb in resource.verbs}
        if everywhere:
            allowed = {method: verb for method, verb in allowed.items() if verb == "list"}
    if not allowed and not resource.verbs:
        return None
    return Route(path=path, resource=resource, verbs=allowed)


_STREAMS: Final = frozenset({"exec", "attach", "portforward", "proxy"})


def _subresource_methods(name: str, verbs: tuple[str, ...]) -> Mapping[str, str]:
    if name == "proxy":
        return dict(AUTHORIZED_VERBS)
    methods = {method: verb for method, verb in ITEM_VERBS.items() if verb in verbs}
    if "create" in verbs:
        methods["POST"] = "create"
    if name in _STREAMS:  # a WebSocket opens with GET
        methods["GET"] = "get"
    return methods
