"""Bodies in Kubernetes' Protobuf form to JSON values: what typed clients (kubectl create among them) send.

An envelope (`k8s\\0`, then runtime.Unknown) holds apiVersion, kind and the message; messages are read by the numbers of
api/_generated/protobuf.py and the types of the fields. Answers are JSON, which every such client accepts too.
https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding, https://protobuf.dev/programming-guides/encoding/
"""
from __future__ import annotations

import base64
import importlib
import struct
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from typing import Any, Final

import msgspec

from kubelet_lite.api import timestamps
from kubelet_lite.api._generated.protobuf import PROTOBUF
from kubelet_lite.api.errors import BadRequest, UnsupportedMediaType
from kubelet_lite.api.resources import find_kind

MAGIC: Final = b"k8s\0"
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
MAX_DEPTH: Final = 100
"""Of nested messages: JSONSchemaProps alone nests at will."""
Reader = Callable[[Any, int], Any]
"""(value off the wire, depth left) → JSON value."""
_OPTIONS: Final = {"DeleteOptions": "meta_v1", "Scale": "autoscaling_v1", "Eviction": "policy_v1", "TokenRequest": "authentication_v1"}
"""Types that are sent and are no resource."""


def to_json(data: bytes) -> dict[str, Any]:
    """The object of a body. Raises BadRequest for what is no such message, UnsupportedMediaType for a type that is not known."""
    if not data.startswith(MAGIC):
        raise BadRequest("provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]")
    try:
        unknown = dict(fields(data[len(MAGIC):]))
        meta = dict(fields(unknown.get(1, b"")))
        api_version, kind = meta.get(1, b"").decode(), meta.get(2, b"").decode()
        found = _type_of(api_version, kind)
        if found is None:
            raise UnsupportedMediaType(f'no kind "{kind}" is registered for version "{api_version}"')
        return {"apiVersion": api_version, "kind": kind, **_read(found, unknown.get(2, b""), MAX_DEPTH)}
    except (ValueError, IndexError, struct.error, AttributeError, TypeError) as error:
        raise BadRequest(f"the body is no protobuf message of Kubernetes: {error}") from error


def fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """(number, value) of a message: an int for varints, bytes for all else. Raises ValueError or IndexError for what is cut off."""
    position, end = 0, len(data)
    while position < end:
        tag, position = _varint(data, position)
        wire = tag & 7
        value: Any
        if wire == VARINT:
            value, position = _varint(data, position)
        elif wire == BYTES:
            size, position = _varint(data, position)
            value, position = data[position:position + size], position + size
        elif wire in (FIXED64, FIXED32):
            size = 8 if wire == FIXED64 else 4
            value, position = data[position:position + size], position + size
        else:
            raise ValueError(f"wire type {wire}")
        if position > end:
            raise ValueError("it is cut off")
        yield tag >> 3, value


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
        if shift > 63:
            raise ValueError("a varint is too long")


def _type_of(api_version: str, kind: str) -> Any:
    resource = find_kind(api_version, kind)
    if resource is not None:
        return resource.type
    module = _OPTIONS.get(kind)
    return getattr(importlib.import_module(f"kubelet_lite.api.{module}"), kind) if module is not None else None


class _Field(msgspec.Struct, frozen=True):
    name: str
    read: Reader
    form: str
    """one, many, map or inline."""


def _read(kind: Any, data: bytes, depth: int) -> dict[str, Any]:
    if depth == 0:
        raise ValueError("it nests too deep")
    plan = _plan(kind)
    found: dict[str, Any] = {}
    for number, value in fields(data):
        field = plan.get(number)
        if field is None:
            continue
        read = field.read(value, depth - 1)
        if field.form == "one":
            if read is not None:
                found[field.name] = read
        elif field.form == "many":
            found.setdefault(field.name, []).extend(read if isinstance(value, bytes) and isinstance(read, _Packed) else [read])
        elif field.form == "map":
            found.setdefault(field.name, {}).update(read)
        else:
            found.update(read)
    return found


class _Packed(list[Any]):
    """Several numbers in one value."""


@cache
def _plan(kind: Any) -> Mapping[int, _Field]:
    module = kind.__module__.rpartition(".")[2]
    hints = typing.get_type_hints(kind, include_extras=True)
    annotations = {f.encode_name: hints[f.name] for f in msgspec.structs.fields(kind)}
    plan = {}
    for name, (number, _) in PROTOBUF.get(f"{module}.{kind.__name__}", {}).items():
        if name.startswith("+"):
            home, _, short = name[1:].partition(".")
            inner = getattr(importlib.import_module(f"kubelet_lite.api.{home}"), short)
            plan[number] = _Field(name, partial(_read, inner), "inline")
        else:
            plan[number] = _field(name, annotations[name])
    return plan


def _field(name: str, annotation: Any) -> _Field:
    annotation = _required(annotation)
    origin = typing.get_origin(annotation)
    if origin is tuple:
        return _Field(name, _repeated(_reader(typing.get_args(annotation)[0])), "many")
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        return _Field(name, _entry(typing.get_args(annotation)[1]), "map")
    return _Field(name, _reader(annotation), "one")


def _required(annotation: Any) -> Any:
    """X of `X | None`."""
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        parts = [part for part in typing.get_args(annotation) if part is not type(None)]
        if len(parts) == 1:
            return parts[0]
    return annotation


def _repeated(read: Reader) -> Reader:
    def many(value: Any, depth: int) -> Any:
        if read is _integer and isinstance(value, bytes):
            position, found = 0, _Packed()
            while position < len(value):
                number, position = _varint(value, position)
                found.append(_integer(number, depth))
            return found
        return read(value, depth)

    return many


def _entry(annotation: Any) -> Reader:
    annotation = _required(annotation)
    if typing.get_origin(annotation) is tuple:
        read = _list_in_map(_reader(typing.get_args(annotation)[0]))
    else:
        read = _reader(annotation)

    def entry(value: Any, depth: int) -> Any:
        parts = dict(fields(value))
        empty = 0 if read in (_integer, _boolean) else b""
        return {parts.get(1, b"").decode(): read(parts.get(2, empty), depth)}

    return entry


def _list_in_map(inner: Reader) -> Reader:
    """A list in a map is a message of its own: ExtraValue."""
    def read(value: Any, depth: int) -> Any:
        return [inner(item, depth) for _, item in fields(value)]

    return read


def _reader(annotation: Any) -> Reader:
    annotation = _required(annotation)
    if typing.get_origin(annotation) is typing.Annotated:
        base, *notes = typing.get_args(annotation)
        form = next((note.extra["format"] for note in notes if isinstance(note, msgspec.Meta) and note.extra), "")
        return _FORMATS.get(form) or _reader(base)
    if annotation in _SCALARS:
        return _SCALARS[annotation]
    if annotation is Any:
        return _raw
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return partial(_read, annotation)
    parts = typing.get_args(annotation)
    if str in parts and any(part is not str for part in parts) and not any(_is_struct(part) for part in parts):
        return _int_or_string
    if set(parts) == {int, float}:
        return _double
    structs = [part for part in parts if _is_struct(part)]
    return _schema_union(structs[0])


def _is_struct(part: Any) -> bool:
    return isinstance(part, type) and issubclass(part, msgspec.Struct)


def _string(value: Any, depth: int) -> Any:
    return value.decode()


def _integer(value: Any, depth: int) -> Any:
    return value - (1 << 64) if value >> 63 else value


def _boolean(value: Any, depth: int) -> Any:
    return bool(value)


def _double(value: Any, depth: int) -> Any:
    return _integer(value, depth) if isinstance(value, int) else struct.unpack("<d", value)[0]


def _bytes(value: Any, depth: int) -> Any:
    return base64.b64encode(value).decode()


def _quantity(value: Any, depth: int) -> Any:
    return dict(fields(value)).get(1, b"0").decode()


def _time(value: Any, depth: int) -> Any:
    if not value:  # Go's zero time
        return None
    return timestamps.format_time(_integer(dict(fields(value)).get(1, 0), depth))


def _micro_time(value: Any, depth: int) -> Any:
    if not value:
        return None
    parts = dict(fields(value))
    return f"{timestamps.format_time(_integer(parts.get(1, 0), depth))[:-1]}.{parts.get(2, 0) // 1000:06d}Z"


def _int_or_string(value: Any, depth: int) -> Any:
    parts = dict(fields(value))
    return parts.get(3, b"").decode() if parts.get(1) else _integer(parts.get(2, 0), depth)


def _raw(value: Any, depth: int) -> Any:
    text = dict(fields(value)).get(1, b"")
    return msgspec.json.decode(text) if text else None


def _schema_union(schema: Any) -> Reader:
    """JSONSchemaPropsOrBool, …OrArray, …OrStringArray: which one shows by what is there."""
    def union(value: Any, depth: int) -> Any:
        parts: dict[int, list[Any]] = {}
        for number, part in fields(value):
            parts.setdefault(number, []).append(part)
        if isinstance(parts.get(1, [b""])[0], int) or (1 not in parts and 2 in parts and len(parts[2]) == 1):
            return _read(schema, parts[2][0], depth) if 2 in parts else bool(parts[1][0])
        return _read(schema, parts[1][0], depth) if 1 in parts else [_read(schema, part, depth) for part in parts.get(2, ())]

    return union


_FORMATS: Final[Mapping[str, Reader]] = {"quantity": _quantity, "time": _time, "microtime": _micro_time}
_SCALARS: Final[Mapping[Any, Reader]] = {str: _string, int: _integer, bool: _boolean, float: _double, bytes: _bytes, msgspec.Raw: _raw}
