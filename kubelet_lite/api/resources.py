"""The one table of resources: names, scope, verbs, short names, subresources, and the type of each.

Facts as the server's discovery document states them (scripts/facts/discovery.json).
https://kubernetes.io/docs/reference/using-api/api-concepts/#standard-api-terminology
"""
from __future__ import annotations

import importlib
from functools import cache, lru_cache
from typing import Any, Final

import msgspec

from kubelet_lite.api._generated.resource_rows import COLUMNS, ROWS


class Subresource(msgspec.Struct, frozen=True):
    """`group` and `version` are those of its kind where they differ from the resource's, else empty."""

    name: str
    kind: str
    group: str
    version: str
    verbs: tuple[str, ...]


class Column(msgspec.Struct, frozen=True):
    """One column of a resource's Table; those of priority above 0 show with `-o wide` alone."""

    name: str
    type: str
    format: str
    priority: int


class Resource(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One resource of one group and version. Compared by identity: there is one object for each."""

    group: str
    version: str
    plural: str
    singular: str
    kind: str
    namespaced: bool
    verbs: tuple[str, ...] = ()
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[Subresource, ...] = ()
    module: str = ""
    """Where in kubelet_lite.api the type of its objects is; "" for custom resources."""
    qualified: str = ""
    """`pods`, `deployments.apps`: the name in messages, rules and store keys."""
    api_version: str = ""
    """`v1`, `apps/v1`."""
    columns: tuple[Column, ...] = ()

    @property
    def type(self) -> Any:
        """The Struct class of its objects, loaded when it is asked for: Unstructured for custom resources."""
        return _type(self.module, self.kind) if self.module else _type("unstructured", "Unstructured")

    def subresource(self, name: str) -> Subresource | None:
        return next((s for s in self.subresources if s.name == name), None)


def define(
    *, group: str, version: str, plural: str, singular: str, kind: str, namespaced: bool, verbs: tuple[str, ...],
    short_names: tuple[str, ...] = (), categories: tuple[str, ...] = (), subresources: tuple[Subresource, ...] = (),
    module: str = "", columns: tuple[Column, ...] = (),
) -> Resource:
    """A Resource with its derived names filled in."""
    return Resource(
        group=group, version=version, plural=plural, singular=singular, kind=kind, namespaced=namespaced, verbs=verbs,
        short_names=short_names, categories=categories, subresources=subresources, module=module, columns=columns,
        qualified=f"{plural}.{group}" if group else plural, api_version=f"{group}/{version}" if group else version,
    )


def _built_in(row: tuple[Any, ...]) -> Resource:
    group, version, plural, singular, kind, namespaced, verbs, short_names, categories, subresources, module = row
    key = f"{group}/{version}/{plural}" if group else f"{version}/{plural}"
    return define(
        group=group, version=version, plural=plural, singular=singular, kind=kind, namespaced=namespaced, verbs=verbs,
        short_names=short_names, categories=categories, subresources=tuple(Subresource(*s) for s in subresources),
        module=module, columns=tuple(Column(*c) for c in COLUMNS.get(key, ())),
    )


RESOURCES: Final[tuple[Resource, ...]] = tuple(_built_in(row) for row in ROWS)
"""Every built-in resource, in the order of discovery."""
_USAGE_COLUMNS: Final = (
    Column("Name", "string", "name", 0), Column("cpu", "string", "quantity", 0), Column("memory", "string", "quantity", 0),
    Column("Window", "string", "duration", 0),
)
METRICS: Final = tuple(
    define(
        group="metrics.k8s.io", version="v1beta1", plural=plural, singular="", kind=kind, namespaced=plural == "pods", verbs=("get", "list"),
        module="metrics_v1beta1", columns=_USAGE_COLUMNS,
    )
    for plural, kind in (("nodes", "NodeMetrics"), ("pods", "PodMetrics"))
)
"""Not built in: served by a cluster with metrics alone."""
_BY_PATH: Final = {(r.group, r.version, r.plural): r for r in RESOURCES}
_BY_MODULE: Final = {(r.module, r.kind): r for r in (*RESOURCES, *METRICS)}


def find(group: str, version: str, plural: str) -> Resource | None:
    """The built-in resource of a path."""
    return _BY_PATH.get((group, version, plural))


def resource_of(kind: type[Any] | Resource) -> Resource:
    """The resource whose objects have this type. Raises KeyError for a type that is no resource (PodSpec)."""
    if isinstance(kind, Resource):
        return kind
    key: Any = kind
    return _resource_of(key)


@cache
def _resource_of(kind: Any) -> Resource:
    found = _BY_MODULE[kind.__module__.rpartition(".")[2], kind.__name__]
    if found.type is not kind:
        raise KeyError(kind)
    return found


@cache
def _type(module: str, kind: str) -> Any:
    return getattr(importlib.import_module(f"kubelet_lite.api.{module}"), kind)


@lru_cache(maxsize=1024)
def find_kind(api_version: str, kind: str) -> Resource | None:
    """The built-in resource of an object's apiVersion and kind."""
    return next((r for r in RESOURCES if r.api_version == api_version and r.kind == kind), None)
