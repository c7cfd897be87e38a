"""Types as OpenAPI v3 schemas: structure from the types, facts of lists and patches from the tables, descriptions where there are any.

https://kubernetes.io/docs/concepts/overview/kubernetes-api/#openapi-v3
"""
from __future__ import annotations

import importlib
import sys
import types
import typing
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, Union

import msgspec

from kubelet_lite.api import meta_v1
from kubelet_lite.api._generated.base import Int32, Int64, IntOrString, MicroTime, Quantity, Time
from kubelet_lite.api._generated.defaults import DEFAULTS
from kubelet_lite.api._generated.enums import ENUMS
from kubelet_lite.api._generated.lists import LISTS
from kubelet_lite.api._generated.required import REQUIRED
from kubelet_lite.api.resources import METRICS, RESOURCES, Resource
from kubelet_lite.apiserver.openapi import custom
from kubelet_lite.apiserver.openapi.descriptions import described
from kubelet_lite.registry.patch.schema import SchemaResource

Schema = dict[str, Any]
META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1"
_PACKAGES: Final = {
    "meta_v1": META,
    "apiextensions_v1": "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1",
    "apiregistration_v1": "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1",
    "metrics_v1beta1": "io.k8s.metrics.pkg.apis.metrics.v1beta1",
}
"""Where a module's types are not in io.k8s.api."""
_INT_OR_STRING: Final = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
_QUANTITY: Final = "io.k8s.apimachinery.pkg.api.resource.Quantity"
_RAW_EXTENSION: Final = "io.k8s.apimachinery.pkg.runtime.RawExtension"
_JSON: Final = f"{_PACKAGES['apiextensions_v1']}.JSON"
_NAMED: Final[Mapping[str, Schema]] = {
    _INT_OR_STRING: {"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]},
    _QUANTITY: {"oneOf": [{"type": "string"}, {"type": "number"}]},
    f"{META}.Time": {"type": "string", "format": "date-time"},
    f"{META}.MicroTime": {"type": "string", "format": "date-time"},
    f"{META}.FieldsV1": {"type": "object"},
    _RAW_EXTENSION: {"type": "object"},
    _JSON: {},
}
"""Types that are no struct here."""
_FORMATS: Final = {"quantity": _QUANTITY, "time": f"{META}.Time", "microtime": f"{META}.MicroTime"}


def name_of(kind: Any) -> str:
    """The definition's name: `io.k8s.api.core.v1.Pod`."""
    module = kind.__module__.rpartition(".")[2]
    if module not in _PACKAGES:
        group, _, version = module.rpartition("_")
        return f"io.k8s.api.{group}.{version}.{kind.__name__}"
    return f"{_PACKAGES[module]}.{kind.__name__}"


def collect(kinds: list[Any]) -> dict[str, Schema]:
    """The schemas of these types and of all that they refer to, by name, sorted."""
    found: dict[str, Schema] = {}
    waiting: list[Any] = list(kinds)
    while waiting:
        kind = waiting.pop()
        if isinstance(kind, str):
            found.setdefault(kind, _named(kind))
        elif (name := name_of(kind)) not in found:
            found[name] = schema(kind)
            waiting += references(kind)
    return dict(sorted(found.items()))


def _named(name: str) -> Schema:
    text = described().get(name, {}).get("description")
    return {"description": text, **_NAMED[name]} if text else dict(_NAMED[name])


@lru_cache(maxsize=2048)
def references(kind: Any) -> tuple[Any, ...]:
    """The types (or names of types that are no struct) of the fields of a type."""
    found: list[Any] = []
    for field, hint in _hints(kind).items():
        found += _referred(hint, field, kind)
    return tuple(dict.fromkeys(found))


def _referred(hint: Any, field: str, kind: Any) -> Iterator[Any]:
    name = _name_of_hint(hint, field, kind)
    if name:
        yield name
    elif isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        yield hint
    else:
        for part in typing.get_args(hint):
            yield from _referred(part, field, kind)


def schema(kind: Any) -> Schema:
    """One type's schema."""
    module_and_name = f"{kind.__module__.rpartition('.')[2]}.{kind.__name__}"
    texts = described().get(name_of(kind), {})
    lists, defaults, enums = (table.get(module_and_name, {}) for table in (LISTS, DEFAULTS, ENUMS))
    properties: dict[str, Schema] = {}
    for field in msgspec.structs.fields(kind):
        wire = field.encode_name
        hint = _hints(kind)[field.name]
        text = texts.get("properties", {}).get(wire, {}).get("description", "")
        properties[wire] = _property(_schema_of(hint, wire, kind), text, lists.get(wire), defaults.get(wire), enums.get(wire))
    found: Schema = {}
    if texts.get("description"):
        found["description"] = texts["description"]
    found["type"] = "object"
    if properties:
        found["properties"] = dict(sorted(properties.items()))
    if module_and_name in REQUIRED:
        found["required"] = list(REQUIRED[module_and_name])
    own = lists.get("")
    if own is not None and own[4]:
        found["x-kubernetes-map-type"] = own[4]
    kinds = kinds_of(kind)
    if kinds:
        found["x-kubernetes-group-version-kind"] = [{"group": group, "kind": name, "version": version} for group, version, name in kinds]
    return found


def _property(found: Schema, text: str, facts: Any, default: Any, enum: Any) -> Schema:
    if "$ref" in found and (text or default is not None):
        found = {"allOf": [found]}
    if enum is not None:
        target = found["items"] if found.get("type") == "array" else found
        target["enum"] = list(enum)
    if default is not None:
        found["default"] = default
    if text:
        found = {"description": text, **found}
    if facts is not None:
        list_type, keys, strategy, merge_key, map_type = facts
        if list_type:
            found["x-kubernetes-list-type"] = list_type
        if keys:
            found["x-kubernetes-list-map-keys"] = list(keys)
        if strategy:
            found["x-kubernetes-patch-strategy"] = strategy
        if merge_key:
            found["x-kubernetes-patch-merge-key"] = merge_key
        if map_type:
            found["x-kubernetes-map-type"] = map_type
    return found


def _schema_of(hint: Any, field: str, kind: Any) -> Schema:
    name = _name_of_hint(hint, field, kind)
    if name:
        return {"$ref": f"#/components/schemas/{name}"}
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return {"$ref": f"#/components/schemas/{name_of(hint)}"}
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        return {"type": "array", "items": _schema_of(arguments[0], field, kind)}
    if origin in (Union, types.UnionType):
        if float in arguments:
            return {"type": "number", "format": "double"}
        return _schema_of(next(a for a in arguments if a is not type(None)), field, kind)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": _schema_of(arguments[1], field, kind)}
    if hint == Int32:
        return {"type": "integer", "format": "int32"}
    if hint in (Int64, int):
        return {"type": "integer", "format": "int64"}
    if hint is bool:
        return {"type": "boolean"}
    if hint is bytes:
        return {"type": "string", "format": "byte"}
    if hint is float:
        return {"type": "number", "format": "double"}
    if hint is str:
        return {"type": "string"}
    return {"type": "object"}


def _name_of_hint(hint: Any, field: str, kind: Any) -> str:
    """The name of a type that is no struct here, or ""."""
    if hint in (Quantity, Time, MicroTime):
        for meta in typing.get_args(hint)[1:]:
            return _FORMATS[meta.extra["format"]]
    if typing.get_origin(hint) in (Union, types.UnionType):
        parts = [part for part in typing.get_args(hint) if part is not type(None)]
        if set(parts) == set(typing.get_args(IntOrString)):
            return _INT_OR_STRING
    if hint is msgspec.Raw:
        return f"{META}.FieldsV1"
    if hint is Any:
        return _JSON if kind.__module__.endswith("apiextensions_v1") and field in ("default", "enum", "example") else _RAW_EXTENSION
    return ""


@lru_cache(maxsize=2048)
def _hints(kind: Any) -> Mapping[str, Any]:
    return typing.get_type_hints(kind, include_extras=True)


# ---- which kinds a type stands for


@lru_cache(maxsize=1)
def _kinds() -> Mapping[Any, tuple[tuple[str, str, str], ...]]:
    """(group, version, kind) by type: those of a type are several only for what is shared by all groups (DeleteOptions)."""
    groups = list(dict.fromkeys((resource.group, resource.version) for resource in RESOURCES))
    found: dict[Any, tuple[tuple[str, str, str], ...]] = {
        meta_v1.DeleteOptions: tuple(sorted((group, version, "DeleteOptions") for group, version in groups)),
        meta_v1.Status: (("", "v1", "Status"),),
        meta_v1.APIGroup: (("", "v1", "APIGroup"),),
        meta_v1.APIResourceList: (("", "v1", "APIResourceList"),),
    }
    for resource in (*RESOURCES, *METRICS):
        found[resource.type] = ((resource.group, resource.version, resource.kind),)
        listed = list_type(resource)
        if listed is not None:
            found[listed] = ((resource.group, resource.version, f"{resource.kind}List"),)
        for sub in resource.subresources:
            kind = subresource_type(resource, sub.name)
            if kind is not None:
                found.setdefault(kind, ((sub.group if sub.version else resource.group, sub.version or resource.version, sub.kind),))
    return found


def kinds_of(kind: Any) -> tuple[tuple[str, str, str], ...]:
    """The (group, version, kind) that objects of a type have."""
    return _kinds().get(kind, ())


def names_of(resource: Resource) -> tuple[str, str | None]:
    """The definitions of a resource's objects and of its lists."""
    if isinstance(resource, SchemaResource):
        return custom.definition_name(resource), custom.list_definition_name(resource) if "list" in resource.verbs else None
    listed = list_type(resource)
    return name_of(resource.type), name_of(listed) if listed is not None else None


def subresource_name(resource: Resource, name: str) -> str | None:
    """The definition of what a subresource reads or writes."""
    sub = resource.subresource(name)
    if isinstance(resource, SchemaResource) and sub is not None and sub.kind == resource.kind:
        return custom.definition_name(resource)
    kind = subresource_type(resource, name)
    return name_of(kind) if kind is not None else None


def list_type(resource: Resource) -> Any:
    """The type of a resource's lists, where it can be listed."""
    return _sibling(resource.type, f"{resource.kind}List") if "list" in resource.verbs else None


def subresource_type(resource: Resource, name: str) -> Any:
    """The type of what a subresource reads or writes, or None."""
    sub = resource.subresource(name)
    if sub is None:
        return None
    if sub.version and (sub.group, sub.version) != (resource.group, resource.version):
        module = f"{sub.group.partition('.')[0] or 'core'}_{sub.version}"
        return getattr(importlib.import_module(f"kubelet_lite.api.{module}"), sub.kind, None)
    return _sibling(resource.type, sub.kind)


def _sibling(kind: Any, name: str) -> Any:
    return getattr(sys.modules[kind.__module__], name, None)

