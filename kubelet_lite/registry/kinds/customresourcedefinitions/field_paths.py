"""Paths to fields of custom resources, as selectable fields and rules name them: `.spec.color`, `.spec['a.b']`."""
from __future__ import annotations

import re
from typing import Final

import msgspec

from kubelet_lite.api.apiextensions_v1 import JSONSchemaProps

_TOKENS: Final = re.compile(r"'(?:[^'\\]|\\.)*'|[.\[\]]|[^.\[\]]+")
_NOWHERE: Final = "does not refer to a valid field"
_ENDS: Final = "unexpected end of JSON path"


class FieldPath(msgspec.Struct, frozen=True):
    names: tuple[str, ...]
    schema: JSONSchemaProps
    """Of the field."""


def follow(path: str, schema: JSONSchemaProps, *, brackets: bool = True) -> FieldPath | str:
    """Where the path leads from the root that `schema` describes, or what is wrong with it."""
    names: list[str] = []
    tokens = iter(_TOKENS.findall(path))
    for token in tokens:
        if token not in ".[":
            return f"expected [ or . but got: {token}"
        if token == "[" and not brackets:
            return "array notation is not allowed"
        name = next(tokens, None)
        if name is None:
            return _ENDS
        if token == "[":
            if len(name) < 2 or not (name.startswith("'") and name.endswith("'")):
                return f"expected single quoted string but got {name}"
            name = re.sub(r"\\(.)", r"\1", name[1:-1])
        inner = _field(schema, name)
        if inner is None:
            return _NOWHERE
        names.append(name)
        schema = inner
        if token == "[":
            closing = next(tokens, None)
            if closing is None:
                return _ENDS
            if closing != "]":
                return f"expected ] but got {closing}"
    return FieldPath(tuple(names), schema)


def _field(schema: JSONSchemaProps, name: str) -> JSONSchemaProps | None:
    if schema.properties:
        return schema.properties.get(name)
    return schema.additionalProperties if isinstance(schema.additionalProperties, JSONSchemaProps) else None
