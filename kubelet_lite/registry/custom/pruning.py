"""Fields that a schema does not specify go, unless it says that unknown ones are kept.

https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#field-pruning
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from kubelet_lite.api.apiextensions_v1 import JSONSchemaProps

OF_RESOURCES: Final = frozenset({"apiVersion", "kind", "metadata"})
"""What every object has, also one that is embedded in another."""


def prune(schema: JSONSchemaProps, fields: Mapping[str, Any]) -> tuple[Mapping[str, Any], list[str]]:
    """The fields of a whole object (without those that every object has) that its schema knows, the same ones where all are known; and
    the paths of what went, sorted."""
    gone: list[str] = []
    kept = _object(schema, fields, "", gone, keeps=bool(schema.x_kubernetes_preserve_unknown_fields), is_root=True)
    return kept, sorted(gone)


def _value(schema: JSONSchemaProps | None, value: Any, path: str, gone: list[str], keeps: bool) -> Any:
    """`keeps`: whether a schema on the way to here, in lists only, keeps what is unknown."""
    if isinstance(value, dict):
        keeps = keeps or (schema is not None and bool(schema.x_kubernetes_preserve_unknown_fields))
        return _object(schema, value, path, gone, keeps)
    if isinstance(value, list):
        items = schema.items if schema is not None and isinstance(schema.items, JSONSchemaProps) else None
        keeps = keeps or (schema is not None and bool(schema.x_kubernetes_preserve_unknown_fields))
        if items is None and keeps:
            return value
        pruned = [_value(items, item, f"{path}[{i}]", gone, keeps) for i, item in enumerate(value)]
        return value if all(a is b for a, b in zip(pruned, value, strict=True)) else pruned
    return value


def _object(
    schema: JSONSchemaProps | None, value: Mapping[str, Any], path: str, gone: list[str], keeps: bool, *, is_root: bool = False,
) -> Mapping[str, Any]:
    kept: dict[str, Any] = {}
    changed = False
    is_resource = schema is not None and (is_root or schema.x_kubernetes_embedded_resource)
    for name, item in value.items():
        if is_resource and name in OF_RESOURCES:
            kept[name] = item
            continue
        below = f"{path}.{name}" if path else name
        inner = schema.properties.get(name, schema.additionalProperties) if schema is not None else None
        if isinstance(inner, JSONSchemaProps):
            new = _value(inner, item, below, gone, False)
            changed = changed or new is not item
            kept[name] = new
        elif inner or keeps:
            kept[name] = item
        else:
            gone.append(below)
            changed = True
    return kept if changed else value
