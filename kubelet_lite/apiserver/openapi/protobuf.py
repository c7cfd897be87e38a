"""OpenAPI v2 as Protobuf, in the messages of gnostic's openapi.v2: the only form in which kubectl reads version 2.

Definitions with all that a schema says; of the paths only which there are, with their operations' kinds and parameters.
https://github.com/google/gnostic/blob/main/openapiv2/OpenAPIv2.proto
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

_BYTES: Final = 2
_METHODS: Final = {"get": 2, "put": 3, "post": 4, "delete": 5, "options": 6, "head": 7, "patch": 8}


def encode(document: Mapping[str, Any]) -> bytes:
    """A document as it stands in JSON."""
    info = _text(1, document["info"]["title"]) + _text(2, document["info"]["version"])
    return _text(1, document["swagger"]) + _field(2, info) + encode_parts(document)


def encode_parts(document: Mapping[str, Any]) -> bytes:
    """Paths and definitions alone. Behind a whole document they add to its own: so Protobuf reads a message that stands twice."""
    paths = b"".join(_field(2, _text(1, path) + _field(2, _path_item(item))) for path, item in document["paths"].items())
    definitions = b"".join(_field(1, _named(name, _schema(schema))) for name, schema in document["definitions"].items())
    return _field(8, paths) + _field(9, definitions)


def _path_item(item: Mapping[str, Any]) -> bytes:
    return b"".join(_field(number, _operation(item[method])) for method, number in _METHODS.items() if method in item)


def _operation(operation: Mapping[str, Any]) -> bytes:
    parameters = (parameter for parameter in operation["parameters"] if parameter["in"] == "query")
    return (
        b"".join(_text(1, tag) for tag in operation["tags"]) + _text(5, operation["operationId"])
        + b"".join(_field(8, _parameter(parameter)) for parameter in parameters) + _extensions(13, operation)
    )


def _parameter(parameter: Mapping[str, Any]) -> bytes:
    """ParametersItem › Parameter › NonBodyParameter › QueryParameterSubSchema."""
    query = _text(2, parameter["in"]) + _text(4, parameter["name"]) + _text(6, parameter["type"])
    return _field(1, _field(2, _field(3, query)))


def _schema(schema: Mapping[str, Any]) -> bytes:
    parts = [_text(1, schema.get("$ref", "")), _text(2, schema.get("format", "")), _text(4, schema.get("description", ""))]
    if "default" in schema:
        parts.append(_field(5, _any(schema["default"])))
    parts += [_text(19, name) for name in schema.get("required", ())]
    parts += [_field(20, _any(value)) for value in schema.get("enum", ())]
    if "additionalProperties" in schema:
        parts.append(_field(21, _field(1, _schema(schema["additionalProperties"]))))
    if "type" in schema:
        parts.append(_field(22, _text(1, schema["type"])))
    if "items" in schema:
        parts.append(_field(23, _field(1, _schema(schema["items"]))))
    if "properties" in schema:
        named = b"".join(_field(1, _named(name, _schema(part))) for name, part in schema["properties"].items())
        parts.append(_field(25, named))
    return b"".join(parts) + _extensions(31, schema)


def _extensions(number: int, value: Mapping[str, Any]) -> bytes:
    extensions = ((name, part) for name, part in value.items() if name.startswith("x-"))
    return b"".join(_field(number, _text(1, name) + _field(2, _any(part))) for name, part in extensions)


def _any(value: Any) -> bytes:
    """Any as YAML, of which JSON is a part."""
    return _text(2, msgspec.json.encode(value).decode() + "\n")


def _named(name: str, value: bytes) -> bytes:
    return _text(1, name) + _field(2, value)


def _text(number: int, text: str) -> bytes:
    return _field(number, text.encode()) if text else b""


def _field(number: int, data: bytes) -> bytes:
    return b"".join((_varint(number << 3 | _BYTES), _varint(len(data)), data))


def _varint(value: int) -> bytes:
    out = bytearray()
    for low in _sevens(value):
        out.append(low)
    return bytes(out)


def _sevens(value: int) -> Iterable[int]:
    while value > 0x7F:
        yield value & 0x7F | 0x80
        value >>= 7
    yield value
