"""Why a strategic merge patch's result is no object of its kind: Kubernetes restores it from plain values, and says so in other words
than its decoder of JSON does. Only asked when decoding has failed.

https://pkg.go.dev/k8s.io/apimachinery/pkg/runtime#UnstructuredConverter
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import inspect

from kubelet_lite.api.reading import go_type, stripped

_GO_KINDS: Final = {str: "string", bool: "bool", int: "int64", float: "float64", list: "slice", dict: "map"}
_CONVERTIBLE: Final = {("int64", "string"), ("float64", "int32"), ("float64", "int64")}
"""What Go could convert, but JSON has as different types."""


def misfit(kind: Any, value: Mapping[str, Any]) -> str:
    """The first value that cannot be restored, by the fields' order; "" when it is not a matter of types."""
    return _object(inspect.type_info(kind), value)


def _object(info: inspect.Type, value: Any) -> str:
    assert isinstance(info, inspect.StructType)
    if not isinstance(value, dict):
        return f"cannot restore struct from: {_kind(value)}"
    for field in info.fields:
        found = value.get(field.encode_name)
        if found is not None and (why := _why(field.type, found)):
            return why
    return ""


def _why(info: inspect.Type, value: Any) -> str:
    info, form = stripped(info)
    match info:
        case inspect.StructType():
            return _object(info, value)
        case inspect.VarTupleType():
            if not isinstance(value, list):
                return f"cannot restore slice from {_kind(value)}"
            return _first(info.item_type, value)
        case inspect.DictType():
            if not isinstance(value, dict):
                return f"cannot restore map from {_kind(value)}"
            return _first(info.value_type, value.values())
        case inspect.IntType() | inspect.BoolType() | inspect.StrType() if not form:
            return _scalar(go_type(info), value)
        case _:  # a type that decodes itself
            return ""


def _first(info: inspect.Type, values: Any) -> str:
    return next((why for value in values if value is not None and (why := _why(info, value))), "")


def _scalar(wanted: str, value: Any) -> str:
    have = _kind(value)
    if have == wanted or (wanted.startswith("int") and (have == "int64" or (have == "float64" and value == int(value)))):
        return ""
    return f"cannot convert {have} to {wanted}" if (have, wanted) in _CONVERTIBLE else f"unrecognized type: {wanted}"


def _kind(value: Any) -> str:
    return _GO_KINDS[type(value)]
