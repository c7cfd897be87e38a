"""The form in which Kubernetes answers what it was sent: quantities, times and numbers as Go writes them.

Looks only at fields on the way to such a value (a generated table), and gives back the same object when nothing changes.
Raises QuantityError and TimeError.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from operator import attrgetter
from typing import Any, Final, TypeVar

import msgspec

from kubelet_lite.api import quantities, timestamps
from kubelet_lite.api._generated.canonical_fields import FIELDS
from kubelet_lite.api.unstructured import Unstructured

T = TypeVar("T")
Canon = Callable[[Any], Any]


def canonicalise(obj: T) -> T:
    """The object, or any part of one that is a struct."""
    return _canon(type(obj))(obj)  # type: ignore[no-any-return]


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 1e21 else value


_LEAVES: Final[Mapping[str, Canon]] = {
    "quantity": quantities.canonical, "milli": quantities.canonical_milli, "time": timestamps.canonical_time,
    "micro": timestamps.canonical_micro_time, "number": _number,
}


def _parts_of(kind: Any) -> tuple[str, ...]:
    return tuple(name for name, leaf in _fields(kind).items() if not leaf)


parts: Final[Callable[[Any], tuple[str, ...]]] = cache(_parts_of)
"""The fields of a type that hold structs on the way to such a value."""


def _fields(kind: Any) -> Mapping[str, str]:
    return {"metadata": ""} if kind is Unstructured else FIELDS.get(f"{kind.__module__.rpartition('.')[2]}.{kind.__name__}", {})


def _canon_of(kind: Any) -> Canon:
    """The function for one type."""
    fields = _fields(kind)
    if not fields:
        return _same
    parts = [(name, attrgetter(name), _leaf(_LEAVES[leaf]) if leaf else _nested, bool(leaf)) for name, leaf in fields.items()]

    def struct(obj: Any) -> Any:
        changed: dict[str, Any] | None = None
        for name, get, canon, is_leaf in parts:
            value = get(obj)
            if value or (is_leaf and value == ""):  # an empty text is no quantity and no time
                new = canon(value)
                if new is not value:
                    changed = changed or {}
                    changed[name] = new
        return obj if changed is None else msgspec.structs.replace(obj, **changed)

    return struct


_canon: Final[Callable[[Any], Canon]] = cache(_canon_of)


def _nested(value: Any) -> Any:
    """A struct, or a tuple or mapping of them; what is none of these (one side of a union) stays."""
    kind = type(value)
    if kind is tuple:
        return _tuple(_nested, value)
    if kind is dict:
        return _mapping(_nested, value)
    return _canon(kind)(value)


def _leaf(one: Canon) -> Canon:
    """For a field that holds one value, or a tuple or mapping of them."""

    def field(value: Any) -> Any:
        kind = type(value)
        if kind is tuple:
            return _tuple(field, value)
        if kind is dict:
            return _mapping(field, value)
        new = one(value)
        return value if new == value and type(new) is kind else new

    return field


def _tuple(one: Canon, values: tuple[Any, ...]) -> tuple[Any, ...]:
    for value in values:
        if one(value) is not value:
            return tuple([one(value) for value in values])
    return values


def _mapping(one: Canon, values: dict[str, Any]) -> dict[str, Any]:
    for value in values.values():
        if one(value) is not value:
            return {key: one(value) for key, value in values.items()}
    return values


def _same(obj: Any) -> Any:
    return obj
