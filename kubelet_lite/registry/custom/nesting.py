"""How deep schemas and objects may nest: what walks them calls itself once a level, and Python ends that at about a thousand calls.

Kubernetes has no such limit but that of its JSON decoder; the deepest definitions in use have some thirty levels.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from kubelet_lite.api.apiextensions_v1 import JSONSchemaProps

MAX_LEVELS: Final = 150
"""Of a schema, and of a custom resource."""
TOO_DEEP: Final = f"must not be nested deeper than {MAX_LEVELS} levels: a limit of kubelet-lite"


def is_too_deep(value: Any) -> bool:
    """Of plain JSON values."""
    return _is_too_deep(value, _values)


def is_schema_too_deep(schema: JSONSchemaProps) -> bool:
    return _is_too_deep(schema, _schemas)


def _is_too_deep(root: Any, inside: Callable[[Any], Iterable[Any]]) -> bool:
    level = [root]
    for _ in range(MAX_LEVELS + 1):
        level = [inner for one in level for inner in inside(one)]
        if not level:
            return False
    return True


def _values(value: Any) -> Iterable[Any]:
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, (list, tuple)) else ()
    return [one for one in inner if isinstance(one, (Mapping, list, tuple))]


def _schemas(schema: JSONSchemaProps) -> Iterable[JSONSchemaProps]:
    found: list[Any] = [*schema.properties.values(), *schema.patternProperties.values(), *schema.definitions.values()]
    found += [*schema.allOf, *schema.anyOf, *schema.oneOf, schema.not_, schema.additionalProperties, schema.additionalItems]
    found += schema.items if isinstance(schema.items, tuple) else [schema.items]
    found += [inner for inner in (schema.dependencies or {}).values() if isinstance(inner, JSONSchemaProps)]
    return [inner for inner in found if isinstance(inner, JSONSchemaProps)]
