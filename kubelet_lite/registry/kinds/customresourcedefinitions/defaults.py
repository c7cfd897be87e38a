"""Default values in schemas: each must be what its own schema describes, with no field that would be pruned."""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from kubelet_lite.api.apiextensions_v1 import JSONSchemaProps
from kubelet_lite.api.errors import FieldError, invalid
from kubelet_lite.registry.custom.values import wrong
from kubelet_lite.registry.kinds.customresourcedefinitions.structural import item_schema

_OF_RESOURCES: Final = frozenset({"apiVersion", "kind", "metadata"})


def default_errors(path: str, schema: JSONSchemaProps) -> Iterator[FieldError]:
    """Of a structural schema, at any depth but inside of additionalProperties, where none are applied."""
    if schema.default is not None:
        where = f"{path}.default"
        if _has_unknown_fields(schema, schema.default):
            yield invalid(where, schema.default, "must not have unknown fields")
        yield from wrong(where, schema, schema.default)
    items = item_schema(schema)
    if items is not None:
        yield from default_errors(f"{path}.items", items)
    for name, inner in schema.properties.items():
        yield from default_errors(f"{path}.properties[{name}]", inner)


def _has_unknown_fields(schema: JSONSchemaProps, value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_is_unknown(schema, name, inner) for name, inner in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        items = item_schema(schema)
        return items is not None and any(_has_unknown_fields(items, inner) for inner in value)
    return False


def _is_unknown(schema: JSONSchemaProps, name: str, value: Any) -> bool:
    if schema.x_kubernetes_embedded_resource and name in _OF_RESOURCES:
        return False
    inner = schema.properties.get(name, schema.additionalProperties)
    if isinstance(inner, JSONSchemaProps):
        return _has_unknown_fields(inner, value)
    return not inner and not schema.x_kubernetes_preserve_unknown_fields
