"""Default values of a schema, filled into what is not there; and nulls that a schema does not allow, taken out.

https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#defaulting
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubelet_lite.api.apiextensions_v1 import JSONSchemaProps


def default(schema: JSONSchemaProps, value: Any) -> Any:
    """The value with its defaults; the same one when it lacks none. Defaults are shared with the schema: nobody changes values."""
    if isinstance(value, dict):
        return _object(schema, value)
    if isinstance(value, list) and isinstance(schema.items, JSONSchemaProps):
        items = schema.items
        filled = [default(items, items.default if _is_refused_null(items, item) else item) for item in value]
        return value if all(a is b for a, b in zip(filled, value, strict=True)) else filled
    return value


def _object(schema: JSONSchemaProps, value: Mapping[str, Any]) -> Mapping[str, Any]:
    filled: dict[str, Any] = {}
    changed = False
    for name, item in value.items():
        inner = schema.properties.get(name, schema.additionalProperties)
        if not isinstance(inner, JSONSchemaProps):
            filled[name] = item
            continue
        if _is_refused_null(inner, item):
            changed = True
            if inner.default is None:
                continue
            item = inner.default
        new = default(inner, item)
        changed = changed or new is not item
        filled[name] = new
    for name, inner in schema.properties.items():
        if inner.default is not None and name not in filled:
            filled[name] = default(inner, inner.default)
            changed = True
    return filled if changed else value


def _is_refused_null(schema: JSONSchemaProps, value: Any) -> bool:
    return value is None and not schema.nullable
