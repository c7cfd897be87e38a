"""What Kubernetes' store makes of an empty list in a field that is always written: null. Its wire format cannot tell `[]` from nothing.

Only types with such fields are looked into, along paths that are worked out once for each type.
"""
from __future__ import annotations

import typing
from collections.abc import Callable, Mapping
from functools import cache
from operator import attrgetter
from types import UnionType
from typing import Any, Final, TypeVar

import msgspec

from kubelet_lite.api._generated.base import NIL

T = TypeVar("T")
Change = Callable[[Any], Any]


def without_empty_lists(obj: T) -> T:
    """The object with NIL for each empty list in such a field; the same object when there is none."""
    change = _change(type(obj))
    return obj if change is None else change(obj)


def _change_of(kind: Any) -> Change | None:
    """The function for one type; None when nothing below it can be such a list."""
    hints = typing.get_type_hints(kind)
    parts: list[tuple[str, Callable[[Any], Any], Change]] = []
    for field in msgspec.structs.fields(kind):
        if callable(field.default_factory) and field.default_factory() is NIL:
            inner = _inner(hints[field.name], kind)
            parts.append((field.name, attrgetter(field.name), _emptied if inner is None else _both(inner)))
        elif (inner := _inner(hints[field.name], kind)) is not None:
            parts.append((field.name, attrgetter(field.name), inner))
    if not parts:
        return None

    def struct(obj: Any) -> Any:
        changed: dict[str, Any] | None = None
        for name, get, change in parts:
            value = get(obj)
            if value is None or value is NIL:
                continue
            new = change(value)
            if new is not value:
                changed = changed or {}
                changed[name] = new
        return obj if changed is None else msgspec.structs.replace(obj, **changed)

    return struct


_change: Final[Callable[[Any], Change | None]] = cache(_change_of)


def _inner(hint: Any, owner: type[Any]) -> Change | None:
    """For what a field holds: a struct, or a tuple or mapping of structs. Types that contain themselves (schemas) have no such lists."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, UnionType):
        found = [inner for argument in arguments if argument is not type(None) and (inner := _inner(argument, owner)) is not None]
        return found[0] if found else None
    if origin is tuple:
        inner = _inner(arguments[0], owner)
        return None if inner is None else _in_tuple(inner)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        inner = _inner(arguments[1], owner)
        return None if inner is None else _in_mapping(inner)
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct) and hint is not owner and not hint.__name__.startswith("JSONSchema"):
        return _change(hint)
    return None


def _emptied(value: Any) -> Any:
    return value or NIL


def _both(inner: Change) -> Change:
    return lambda value: inner(value) if value else NIL


def _in_tuple(one: Change) -> Change:
    def change(values: Any) -> Any:
        for value in values:
            if one(value) is not value:
                return tuple([one(value) for value in values])
        return values

    return change


def _in_mapping(one: Change) -> Change:
    def change(values: Any) -> Any:
        for value in values.values():
            if one(value) is not value:
                return {key: one(value) for key, value in values.items()}
        return values

    return change
