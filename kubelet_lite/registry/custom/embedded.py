"""Whole objects inside of a custom resource (x-kubernetes-embedded-resource): their metadata is ObjectMeta like any other.

https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#rawextension
"""
from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from kubelet_lite.api import names, reading
from kubelet_lite.api.apiextensions_v1 import JSONSchemaProps
from kubelet_lite.api.encoding import decode
from kubelet_lite.api.errors import BadRequest, FieldError, invalid, required
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.registry import metadata

_NO_NAME = "fakename"
"""A template has no name of its own: nothing is wrong with that."""


def coerce(schema: JSONSchemaProps, value: Any, path: str = "") -> Any:
    """The value with the metadata of embedded objects as ObjectMeta has it: unknown fields go. Raises BadRequest for what is none."""
    if isinstance(value, dict):
        changed = {name: new for name, item, inner, where in _inner(schema, value, path) if (new := coerce(inner, item, where)) is not item}
        if schema.x_kubernetes_embedded_resource and value.get("metadata") is not None:
            known = _coerced_metadata(value["metadata"], f"{path}.metadata")
            if known != value["metadata"]:
                changed["metadata"] = known
        return {**value, **changed} if changed else value
    if isinstance(value, list) and isinstance(schema.items, JSONSchemaProps):
        items = schema.items
        coerced = [coerce(items, item, f"{path}[{i}]") for i, item in enumerate(value)]
        return value if all(a is b for a, b in zip(coerced, value, strict=True)) else coerced
    return value


def _coerced_metadata(value: Any, path: str) -> Any:
    try:
        data, _ = reading.read(ObjectMeta, value)
        decode(ObjectMeta, data)
    except (reading.DecodingError, msgspec.MsgspecError) as error:
        raise BadRequest(f"{path}: Invalid value: {error}") from error
    return msgspec.json.decode(data)


def errors(schema: JSONSchemaProps, value: Any, path: str = "") -> Iterator[FieldError]:
    """What is wrong with embedded objects as objects."""
    if isinstance(value, dict):
        if schema.x_kubernetes_embedded_resource:
            yield from _resource(value, path)
        for _, item, inner, where in _inner(schema, value, path):
            yield from errors(inner, item, where)
    elif isinstance(value, list) and isinstance(schema.items, JSONSchemaProps):
        for i, item in enumerate(value):
            yield from errors(schema.items, item, f"{path}[{i}]")


def _inner(schema: JSONSchemaProps, value: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any, JSONSchemaProps, str]]:
    for name, item in value.items():
        inner = schema.properties.get(name, schema.additionalProperties)
        if isinstance(inner, JSONSchemaProps):
            yield name, item, inner, f"{path}.{name}" if path else name


def _resource(value: Mapping[str, Any], path: str) -> Iterator[FieldError]:
    for name, check in (("apiVersion", _api_version), ("kind", names.dns1035_label)):
        where = f"{path}.{name}"
        if name not in value:
            yield required(where, "must not be empty")
        elif not isinstance(value[name], str):
            yield invalid(where, value[name], "must be a string")
        else:
            yield from _named(where, value[name], check)
    if value.get("metadata") is not None:
        meta = decode(ObjectMeta, reading.read(ObjectMeta, value["metadata"])[0])
        meta = replace(meta, name=meta.name or _NO_NAME)
        for error in metadata.errors(meta, bool(meta.namespace), metadata.path_segment_errors):
            yield replace(error, field=f"{path}.{error.field}")


def _named(path: str, value: str, check: Callable[[str], Any]) -> Iterator[FieldError]:
    if not value:
        yield invalid(path, value, "must not be empty")
        return
    for message in check(value.lower() if path.endswith(".kind") else value):
        yield invalid(path, value, message)


def _api_version(value: str) -> list[str]:
    return [f"unexpected GroupVersion string: {value}"] if value.count("/") > 1 else []
