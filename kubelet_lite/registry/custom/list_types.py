"""Lists whose items are known by value (set) or by keys (map): no item twice, and which item of another list is the same one.

https://kubernetes.io/docs/reference/using-api/server-side-apply/#merge-strategy
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from kubelet_lite.api.apiextensions_v1 import JSONSchemaProps
from kubelet_lite.api.errors import FieldError, duplicate

_code = msgspec.json.Encoder(order="sorted").encode


def duplicates(schema: JSONSchemaProps, value: Any, path: str = "") -> Iterator[FieldError]:
    """Every item that stands twice in a list that is a set or a map, anywhere in a value."""
    if isinstance(value, dict):
        for name, item in value.items():
            inner = schema.properties.get(name, schema.additionalProperties)
            if isinstance(inner, JSONSchemaProps):
                yield from duplicates(inner, item, _below(schema, path, name))
    elif isinstance(value, list):
        kind = schema.x_kubernetes_list_type
        if kind in ("set", "map"):
            yield from _repeated(schema, value, path)
        if isinstance(schema.items, JSONSchemaProps):
            for i, item in enumerate(value):
                yield from duplicates(schema.items, item, f"{path}[{i}]")


def _below(schema: JSONSchemaProps, path: str, name: str) -> str:
    if name in schema.properties:
        return f"{path}.{name}" if path else name
    return f"{path}[{name}]"


def _repeated(schema: JSONSchemaProps, items: Sequence[Any], path: str) -> Iterator[FieldError]:
    seen: set[bytes] = set()
    for i, item in enumerate(items):
        shown = _identity(schema, item)
        code = _code(shown)
        if code in seen:
            yield duplicate(f"{path}[{i}]", shown)
        seen.add(code)


def _identity(schema: JSONSchemaProps, item: Any) -> Any:
    """What an item is known by."""
    if schema.x_kubernetes_list_type == "set" or not isinstance(item, dict):
        return item
    return {key: item[key] for key in schema.x_kubernetes_list_map_keys if key in item}


def counterparts(schema: JSONSchemaProps, new: Sequence[Any], old: Sequence[Any]) -> Mapping[int, Any]:
    """For each item of `new` that has one, the item of `old` with the same keys, by position. Items of other lists have none."""
    if schema.x_kubernetes_list_type != "map":
        return {}
    known = {_code(_identity(schema, item)): item for item in old}
    found = {}
    for i, item in enumerate(new):
        code = _code(_identity(schema, item))
        if code in known:
            found[i] = known[code]
    return found
