"""Objects to JSON bytes and back. One encoding of an object serves GET, LIST and watch: a list's items go without kind and apiVersion.

Field order is Go's; map keys are sorted, as Go's encoder does.
"""
from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Final, TypeVar

import msgspec

from kubelet_lite.api import reading
from kubelet_lite.api._generated.base import encode_nil
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.unstructured import Unstructured

T = TypeVar("T")
_ENCODER: Final = msgspec.json.Encoder(order="deterministic", enc_hook=encode_nil)


def encode_item(obj: Any) -> bytes:
    """The object as an item of a list of its own kind: without kind and apiVersion (custom resources keep theirs, as in Kubernetes)."""
    if isinstance(obj, Unstructured):
        return _ENCODER.encode({"apiVersion": obj.apiVersion, "kind": obj.kind, "metadata": obj.metadata, **obj.fields})
    return _ENCODER.encode(named(obj))


def named(obj: T) -> T:
    """The object with its type's own kind and apiVersion, the very strings: encoding leaves them out by identity."""
    if isinstance(obj, Unstructured):
        return obj
    kind, api_version = names_of(type(obj))
    if obj.kind is kind and obj.apiVersion is api_version:  # type: ignore[attr-defined]
        return obj
    return msgspec.structs.replace(obj, kind=kind, apiVersion=api_version)  # type: ignore[type-var]


def with_kind(item: bytes, kind: str, api_version: str) -> bytes:
    """Puts kind and apiVersion in front of an encoded item."""
    comma = b"" if item == b"{}" else b","
    return b'{"kind":"%b","apiVersion":"%b"%b%b' % (kind.encode(), api_version.encode(), comma, item[1:])


def encode(obj: Any) -> bytes:
    """The whole object."""
    return whole(obj, encode_item(obj))


def whole(obj: Any, item: bytes) -> bytes:
    """The whole object, of which `item` is the encoded item."""
    return item if isinstance(obj, Unstructured) else with_kind(item, *names_of(type(obj)))


def encode_value(value: Any) -> bytes:
    """Any part of an object, or plain JSON values."""
    return _ENCODER.encode(value)


def decode(kind: type[T], data: bytes | str) -> T:
    """Strict: raises msgspec.ValidationError for an unknown field, a null or a wrong type, msgspec.DecodeError for no JSON."""
    return _decoder(kind).decode(data)  # type: ignore[no-any-return]


def decode_lenient(kind: type[T], data: bytes) -> T:
    """As a client of a newer server reads: unknown fields are dropped silently. Raises what `decode` does, and DecodingError."""
    if kind is not Unstructured:
        try:
            return decode(kind, data)
        except msgspec.ValidationError:
            pass
    return from_json(kind, reading.parse(data))


def from_json(kind: type[T], value: Any) -> T:
    """Plain JSON values to an object (or a part of one): unknown fields and nulls are dropped. Raises reading.DecodingError."""
    if kind is not Unstructured:
        try:
            return decode(kind, encode_value(value))
        except msgspec.MsgspecError:
            text, _ = reading.read(kind, value)
            return decode(kind, text)
    fields = reading.plain(value)
    metadata = from_json(ObjectMeta, fields.pop("metadata", None) or {})
    return Unstructured(kind=fields.pop("kind", None) or "", apiVersion=fields.pop("apiVersion", None) or "", metadata=metadata, fields=fields)  # type: ignore[return-value]


def to_json(obj: Any) -> Any:
    """An object (or part of one) as new plain JSON values; kind and apiVersion are included where the type has them."""
    if isinstance(obj, Unstructured):
        return {"kind": obj.kind, "apiVersion": obj.apiVersion, "metadata": to_json(obj.metadata), **obj.fields}
    if isinstance(obj, msgspec.Struct) and _is_whole(type(obj)):
        return msgspec.json.decode(encode(obj))
    return msgspec.json.decode(_ENCODER.encode(obj))


def _is_whole_of(kind: Any) -> bool:
    fields = {f.name: f.default for f in msgspec.structs.fields(kind)}
    return bool(fields.get("kind")) and bool(fields.get("apiVersion"))


def _find_names(kind: Any) -> tuple[str, str]:
    """The very strings that stand as defaults in the type: comparing with them by identity is what omits them."""
    fields = {f.name: f.default for f in msgspec.structs.fields(kind)}
    return fields["kind"], fields["apiVersion"]


def _decoder_of(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


_is_whole: Final[Callable[[Any], bool]] = cache(_is_whole_of)
names_of: Final[Callable[[Any], tuple[str, str]]] = cache(_find_names)
"""(kind, apiVersion) of a top-level type."""
_decoder: Final[Callable[[Any], msgspec.json.Decoder[Any]]] = cache(_decoder_of)
