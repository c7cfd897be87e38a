"""JSON values to what a type can hold, as Go's decoder reads them: nulls are zero values, unknown and repeated fields are reported
and dropped, numbers stand for quantities. The slow way, for what the strict decoder of `encoding` refuses.

https://kubernetes.io/docs/reference/using-api/api-concepts/#field-validation
"""
from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, Final, NoReturn

import msgspec
from msgspec import inspect

from kubelet_lite.api.quantities import NOT_A_QUANTITY

MOST_PROBLEMS: Final = 100
"""So many unknown and repeated fields are named; more are dropped silently, as in Kubernetes."""
INT64: Final = (-(2 ** 63), 2 ** 63 - 1)


class DecodingError(ValueError):
    """The value does not fit the type, in the form of Go's decoder."""


class Misfit(DecodingError):
    """A value of another type than its field: names the innermost object's type and, of the way to it, the fields alone, as Go does."""

    def __init__(self, have: str, wanted: str) -> None:
        super().__init__(have, wanted)
        self.have, self.wanted = have, wanted
        self.struct = ""
        self.fields: tuple[str, ...] = ()

    def inside(self, struct: str, field: str) -> None:
        """Called by each object on the way out."""
        self.struct = self.struct or struct
        self.fields = (field, *self.fields)

    def __str__(self) -> str:
        where = f"struct field {self.struct}.{'.'.join(self.fields)}" if self.fields else "value"
        return f"json: cannot unmarshal {self.have} into Go {where} of type {self.wanted}"


class Pairs(list[tuple[str, Any]]):
    """A JSON object as it was written, repeated fields included."""


class NumberText(str):
    """A number with a fraction or exponent, as it was written."""

    __slots__ = ()


Problems = dict[str, None]
"""In the order found: `unknown field "spec.foo"`, `duplicate field "spec.foo"`."""
Reader = Callable[[Any, str, Problems | None], Any]


def parse(data: bytes | str) -> Any:
    """JSON text to values that `read` takes. Raises DecodingError."""
    text = data if isinstance(data, str) else data.decode("utf-8", "replace")
    try:
        return json.loads(text, object_pairs_hook=Pairs, parse_float=NumberText, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        raise DecodingError("unexpected end of JSON input" if error.pos >= len(text.rstrip()) else f"{error.msg} at offset {error.pos}") from None
    except RecursionError:
        raise DecodingError("exceeded max depth") from None


def _no_number(text: str) -> NoReturn:
    raise DecodingError(f"invalid character '{text[0]}' looking for beginning of value")


def read(kind: Any, value: Any) -> tuple[bytes, Problems]:
    """The JSON text that the strict decoder of `kind` takes, and what was dropped. Raises DecodingError."""
    problems: Problems = {}
    try:
        return msgspec.json.encode(_struct(kind)(value, "", problems)), problems
    except RecursionError:
        raise DecodingError("exceeded max depth") from None


def plain(value: Any) -> Any:
    """A value of `parse` as ordinary JSON values; of repeated fields the last counts."""
    if isinstance(value, Pairs):
        return {text(key): plain(v) for key, v in value}
    if isinstance(value, Mapping):
        return {key: plain(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, NumberText):
        return float(value)
    if isinstance(value, str):
        return text(value)
    if isinstance(value, int) and not isinstance(value, bool) and not INT64[0] <= value <= INT64[1]:
        return float(value)
    return value


def text(value: str) -> str:
    """The string with lone surrogates replaced, as Go does."""
    if value.isascii():
        return value
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def duplicates(value: Any, path: str = "") -> Iterable[str]:
    """The repeated fields anywhere in a value of `parse`."""
    problems: Problems = {}
    _find_duplicates(value, path, problems)
    return problems


def _find_duplicates(value: Any, path: str, problems: Problems) -> None:
    if isinstance(value, Pairs):
        seen: set[str] = set()
        for key, inner in value:
            below = f"{path}.{key}" if path else key
            if key in seen:
                _report(problems, "duplicate", below)
            seen.add(key)
            _find_duplicates(inner, below, problems)
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            _find_duplicates(inner, f"{path}[{i}]", problems)


def _report(problems: Problems | None, what: str, path: str) -> None:
    if problems is not None and len(problems) < MOST_PROBLEMS:
        problems[f'{what} field "{path}"'] = None


# ---- a reader for each type


def _struct_of(kind: Any) -> Reader:
    return _object(inspect.type_info(kind))


_struct: Final[Callable[[Any], Reader]] = cache(_struct_of)


def _object(info: inspect.Type) -> Reader:
    assert isinstance(info, inspect.StructType)
    readers: dict[str, Reader] = {}
    types = {field.encode_name: field.type for field in info.fields}

    def reader(name: str) -> Reader:
        found = readers.get(name)
        if found is None:
            found = readers[name] = _reader(types[name])
        return found

    def read_object(value: Any, path: str, problems: Problems | None) -> Any:
        if not isinstance(value, (Pairs, Mapping)):
            _mismatch(value, go_type(info))
        found: dict[str, Any] = {}
        seen: set[str] = set()
        for key, inner in _items(value):
            below = f"{path}.{key}" if path else key
            if key in seen:
                _report(problems, "duplicate", below)
            seen.add(key)
            if key not in types:
                _report(problems, "unknown", below)
            elif inner is not None:
                try:
                    found[key] = reader(key)(inner, below, problems)
                except Misfit as error:
                    error.inside(info.cls.__name__, key)
                    raise
        return found

    return read_object


def _items(value: Any) -> Iterable[tuple[str, Any]]:
    return value if isinstance(value, Pairs) else value.items()


def _reader(info: inspect.Type) -> Reader:
    info, form = stripped(info)
    match info:
        case inspect.StructType():
            return _struct(info.cls)
        case inspect.UnionType():
            return _union([part for part in info.types if not isinstance(part, inspect.NoneType)])
        case inspect.VarTupleType():
            return _array(info.item_type)
        case inspect.DictType():
            return _map(info.value_type)
        case inspect.StrType():
            return _quantity if form == "quantity" else _time if form else _string
        case inspect.IntType():
            return _integer(info.ge if info.ge is not None else INT64[0], info.le if info.le is not None else INT64[1])
        case inspect.BoolType():
            return _scalar(bool, "bool")
        case inspect.BytesType():
            return _bytes
        case _:
            return _any


def stripped(info: inspect.Type) -> tuple[inspect.Type, str]:
    """Without its annotation and without None, and the annotation's format."""
    if isinstance(info, inspect.UnionType):
        parts = [part for part in info.types if not isinstance(part, inspect.NoneType)]
        if len(parts) == 1:
            info = parts[0]
    if isinstance(info, inspect.Metadata):
        return info.type, (info.extra or {}).get("format", "")
    return info, ""


def _union(parts: list[inspect.Type]) -> Reader:
    """IntOrString, numbers, and the unions of JSON schemas: whichever part takes the value. Below, nothing is reported, as in Go."""
    readers = [_reader(part) for part in parts]
    if any(isinstance(stripped(part)[0], inspect.FloatType) for part in parts):
        return _number

    def read_union(value: Any, path: str, problems: Problems | None) -> Any:
        for reader in readers[:-1]:
            try:
                return reader(value, path, None)
            except DecodingError:
                continue
        try:
            return readers[-1](value, path, None)
        except Misfit as error:  # Go decodes such a value by itself
            if any(isinstance(stripped(part)[0], inspect.IntType) for part in parts):
                error.wanted = "int32"
            raise DecodingError(str(error)) from None

    return read_union


def _array(item: inspect.Type) -> Reader:
    reader = _reader(item)
    zero = _zero(item)

    def read_array(value: Any, path: str, problems: Problems | None) -> Any:
        if isinstance(value, Pairs) or not isinstance(value, (list, tuple)):
            _mismatch(value, f"[]{go_type(item)}")
        return [zero if inner is None else reader(inner, f"{path}[{i}]", problems) for i, inner in enumerate(value)]

    return read_array


def _map(item: inspect.Type) -> Reader:
    reader = _reader(item)
    zero = _zero(item)

    def read_map(value: Any, path: str, problems: Problems | None) -> Any:
        if not isinstance(value, (Pairs, Mapping)):
            _mismatch(value, f"map[string]{go_type(item)}")
        found: dict[str, Any] = {}
        for key, inner in _items(value):
            below = f"{path}.{key}" if path else key
            if key in found:
                _report(problems, "duplicate", below)
            found[key] = zero if inner is None else reader(inner, below, problems)
        return {text(key): inner for key, inner in found.items()}

    return read_map


def _zero(info: inspect.Type) -> Any:
    """What a null stands for as an element."""
    info, form = stripped(info)
    match info:
        case inspect.StructType() | inspect.DictType():
            return {}
        case inspect.VarTupleType():
            return []
        case inspect.StrType():
            return "0" if form == "quantity" else ""
        case inspect.BytesType():
            return ""
        case inspect.BoolType():
            return False
        case inspect.IntType():
            return 0
        case _:
            return None


def _any(value: Any, path: str, problems: Problems | None) -> Any:
    return plain(value)


def _string(value: Any, path: str, problems: Problems | None) -> Any:
    if not isinstance(value, str) or isinstance(value, NumberText):
        _mismatch(value, "string")
    return text(value)


def _time(value: Any, path: str, problems: Problems | None) -> Any:
    try:
        return _string(value, path, problems)
    except Misfit as error:  # as for a union
        raise DecodingError(str(error)) from None


def _quantity(value: Any, path: str, problems: Problems | None) -> Any:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise DecodingError(NOT_A_QUANTITY)
    return str(value).strip()


def _bytes(value: Any, path: str, problems: Problems | None) -> Any:
    return str(_string(value, path, problems)).replace("\n", "").replace("\r", "")


def _number(value: Any, path: str, problems: Problems | None) -> Any:
    if isinstance(value, NumberText):
        return float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        _mismatch(value, "float64")
    return value


def _scalar(kind: type, name: str) -> Reader:
    def read_scalar(value: Any, path: str, problems: Problems | None) -> Any:
        if not isinstance(value, kind):
            _mismatch(value, name)
        return value

    return read_scalar


def _integer(lowest: int, highest: int) -> Reader:
    name = "int32" if highest < INT64[1] else "int64"

    def read_integer(value: Any, path: str, problems: Problems | None) -> Any:
        if isinstance(value, bool) or not isinstance(value, int):
            _mismatch(value, name)
        if not lowest <= value <= highest:
            raise Misfit(f"number {value}", name)
        return value

    return read_integer


def _mismatch(value: Any, wanted: str) -> NoReturn:
    if isinstance(value, bool):
        have = "bool"
    elif isinstance(value, (int, float, NumberText)):
        have = f"number {value}" if wanted.startswith("int") else "number"
    elif isinstance(value, str):
        have = "string"
    elif isinstance(value, list) and not isinstance(value, Pairs):
        have = "array"
    else:
        have = "object"
    raise Misfit(have, wanted)


def go_type(info: inspect.Type) -> str:
    """What Go calls a type; strings that Go gives a name of their own are strings."""
    info, form = stripped(info)
    match info:
        case inspect.StructType():
            return f"{info.cls.__module__.rpartition('_')[2]}.{info.cls.__name__}"
        case inspect.VarTupleType():
            return f"[]{go_type(info.item_type)}"
        case inspect.DictType():
            return f"map[string]{go_type(info.value_type)}"
        case inspect.StrType():
            return {"quantity": "resource.Quantity", "time": "v1.Time", "microtime": "v1.MicroTime"}.get(form, "string")
        case inspect.IntType():
            return "int32" if info.le is not None and info.le < INT64[1] else "int64"
        case inspect.BoolType():
            return "bool"
        case inspect.BytesType():
            return "[]uint8"
        case inspect.UnionType() if any(isinstance(stripped(part)[0], inspect.FloatType) for part in info.types):
            return "float64"
        case inspect.UnionType():
            return "intstr.IntOrString"
        case _:
            return "interface {}"
