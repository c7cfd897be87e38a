"""Whether a JSON value is what a schema describes, in the words of Kubernetes' validator of custom resources.

https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation
"""
from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from kubelet_lite.api.apiextensions_v1 import JSONSchemaProps
from kubelet_lite.api.errors import FieldError, invalid, not_supported, required, too_long, too_many, type_invalid
from kubelet_lite.registry.custom import formats, patterns
from kubelet_lite.registry.custom.list_types import counterparts

_INT32: Final = 1 << 31
_INT64: Final = 1 << 63
NOTHING: Final = object()
"""No value, where None is a null."""


def wrong(root: str, schema: JSONSchemaProps, value: Any, at: str = "", old: Any = NOTHING) -> Iterator[FieldError]:
    """`root`: the path of the whole; `at`: where the value is in it, as messages say it ("" or `spec.size`).

    `old`: what stood in this place before an update. What has not changed is let be, however wrong (ratcheting).
    """
    if old is not NOTHING and value == old:
        return
    path = f"{root}.{at}" if root and at and not at.startswith("[") else root + at
    if value is None and schema.nullable:
        return
    yield from _type(path, at, schema, value)
    yield from _combined(root, at, schema, value, old)
    if isinstance(value, str):
        yield from _text(path, at, schema, value)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield from _number(path, at, schema, value)
    elif isinstance(value, list):
        yield from _list(path, at, schema, value, root, old)
    if schema.enum and not _is_among(value, schema.enum):
        yield not_supported(path, value, [allowed if isinstance(allowed, str) else json.dumps(allowed) for allowed in schema.enum])
    if isinstance(value, dict):
        yield from _object(path, at, schema, value, root, old)


def _is_among(value: Any, allowed: Sequence[Any]) -> bool:
    """In JSON, true is not 1."""
    return any(value == one and isinstance(value, bool) is isinstance(one, bool) for one in allowed)


def _type(path: str, at: str, schema: JSONSchemaProps, value: Any) -> Iterator[FieldError]:
    name = _name(value)
    if schema.x_kubernetes_int_or_string:
        if name not in ("integer", "string"):
            yield type_invalid(path, name, f'{at} in body must be of type integer,string: "{name}"')
        return
    fits = name == schema.type or (name == "integer" and schema.type == "number") or (schema.type == "integer" and _is_whole(value))
    if schema.type and not fits:
        yield type_invalid(path, name, f'{at} in body must be of type {schema.type}: "{name}"')


def _name(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case Mapping():
            return "object"
    return "array"


def _is_whole(value: Any) -> bool:
    return isinstance(value, float) and value.is_integer()


def _text(path: str, at: str, schema: JSONSchemaProps, value: str) -> Iterator[FieldError]:
    if schema.maxLength is not None and len(value) > schema.maxLength:
        yield too_long(path, schema.maxLength)
    if schema.minLength is not None and len(value) < schema.minLength:
        yield invalid(path, value, f"{at} in body should be at least {schema.minLength} chars long")
    if schema.pattern and not patterns.matches(schema.pattern, value):
        yield invalid(path, value, f"{at} in body should match '{schema.pattern}'")
    if schema.format and not formats.fits(schema.format, value):
        yield type_invalid(path, value, f"{at} in body must be of type {schema.format}: {json.dumps(value, ensure_ascii=False)}")


def _number(path: str, at: str, schema: JSONSchemaProps, value: float) -> Iterator[FieldError]:
    yield from _range(path, at, schema, value, "Checked")
    if schema.multipleOf is not None:
        yield from _range(path, at, schema, schema.multipleOf, "MultipleOf")
        if Decimal(str(value)) % Decimal(str(schema.multipleOf)):
            yield invalid(path, value, f"{at} in body should be a multiple of {_shown(schema.multipleOf)}")
    if schema.maximum is not None:
        yield from _range(path, at, schema, schema.maximum, "Maximum boundary")
        if value > schema.maximum or (schema.exclusiveMaximum and value == schema.maximum):
            how = "less than" if schema.exclusiveMaximum else "less than or equal to"
            yield invalid(path, value, f"{at} in body should be {how} {_shown(schema.maximum)}")
    if schema.minimum is not None:
        yield from _range(path, at, schema, schema.minimum, "Minimum boundary")
        if value < schema.minimum or (schema.exclusiveMinimum and value == schema.minimum):
            how = "greater than" if schema.exclusiveMinimum else "greater than or equal to"
            yield invalid(path, value, f"{at} in body should be {how} {_shown(schema.minimum)}")


def _range(path: str, at: str, schema: JSONSchemaProps, value: float, what: str) -> Iterator[FieldError]:
    if schema.type != "integer":
        return
    limit = _INT32 if schema.format == "int32" else _INT64
    if value != int(value) or not -limit <= value < limit:
        form = f"with format {schema.format}" if schema.format else "(default format)"
        yield invalid(path, "", f"{what} value must be of type integer {form} in {at}")


def _shown(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def _list(path: str, at: str, schema: JSONSchemaProps, value: Sequence[Any], root: str, old: Any) -> Iterator[FieldError]:
    if isinstance(schema.items, JSONSchemaProps):
        before = counterparts(schema, value, old) if isinstance(old, list) else {}
        for i, item in enumerate(value):
            yield from wrong(root, schema.items, item, f"{at}[{i}]", before.get(i, NOTHING))
    if schema.minItems is not None and len(value) < schema.minItems:
        yield invalid(path, len(value), f"{at} in body should have at least {schema.minItems} items")
    if schema.maxItems is not None and len(value) > schema.maxItems:
        yield too_many(path, len(value), schema.maxItems)


def _object(path: str, at: str, schema: JSONSchemaProps, value: Mapping[str, Any], root: str, old: Any) -> Iterator[FieldError]:
    if schema.minProperties is not None and len(value) < schema.minProperties:
        yield invalid(path, len(value), f"{at} in body should have at least {schema.minProperties} properties")
    if schema.maxProperties is not None and len(value) > schema.maxProperties:
        yield too_many(path, len(value), schema.maxProperties)
    for name in schema.required:
        if name not in value:
            yield required(f"{path}.{name}" if path else name)
    before = old if isinstance(old, dict) and schema.x_kubernetes_map_type != "atomic" else {}
    for name, item in value.items():
        inner = schema.properties.get(name, schema.additionalProperties)
        if isinstance(inner, JSONSchemaProps):
            yield from wrong(root, inner, item, f"{at}.{name}" if at else name, before.get(name, NOTHING))


def _combined(root: str, at: str, schema: JSONSchemaProps, value: Any, old: Any) -> Iterator[FieldError]:
    """Errors about alternatives are about the whole, as Kubernetes says them; what is wrong with the first alternative follows."""
    where = root or "<nil>"

    def errors(inner: JSONSchemaProps) -> list[FieldError]:
        return list(wrong(root, inner, value, at, old))

    if schema.anyOf:
        found = [errors(inner) for inner in schema.anyOf]
        if all(found):
            yield invalid(where, "", f'"{at}" must validate at least one schema (anyOf)')
            yield from found[0]
    if schema.oneOf:
        found = [errors(inner) for inner in schema.oneOf]
        fitting = found.count([])
        if fitting != 1:
            how = f"Found {fitting} valid alternatives" if fitting else "Found none valid"
            yield invalid(where, "", f'"{at}" must validate one and only one schema (oneOf). {how}')
            yield from () if fitting else found[0]
    if schema.allOf:
        found = [errors(inner) for inner in schema.allOf]
        for one in found:
            yield from one
        if any(found):
            none = ". None validated" if all(found) else ""
            yield invalid(where, "", f'"{at}" must validate all the schemas (allOf){none}')
    if schema.not_ is not None and not errors(schema.not_):
        yield invalid(where, "", f'"{at}" must not validate the schema (not)')
