"""Empty lists that storing loses: in fields that are always written, Kubernetes answers [] to a dry run and null ever after.

Its storage (protobuf) does not tell an empty list from none. Pure; gives back the same object when nothing changes.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from types import NoneType
from typing import Any, Final, get_args, get_type_hints

import msgspec
from msgspec.structs import replace

from kubelet_lite.api._generated.base import NIL
from kubelet_lite.registry.sharing import by_identity

MAX_SPECS: Final = 4096
Step = Callable[[Any], Any]


def as_stored(obj: Any) -> Any:
    """The object with null for every such list."""
    return _step(type(obj))(obj)


@cache
def _step(kind: Any) -> Step:
    """The function for a type that has such lists, directly or below; for any other, what gives back its argument."""
    lists, parts = _fields(kind)
    if not lists and not parts:
        return _unchanged
    steps = {name: _of_spec(inner) if name == "spec" else _lazily(inner) for name, inner in parts.items()}

    def step(obj: Any) -> Any:
        changed: dict[str, Any] = {}
        for name in lists:
            value = getattr(obj, name)
            if not value and value is not NIL:
                changed[name] = NIL
        for name, inner in steps.items():
            value = getattr(obj, name)
            if value:
                new = inner(value)
                if new is not value:
                    changed[name] = new
        return replace(obj, **changed) if changed else obj

    return step


def _unchanged(obj: Any) -> Any:
    return obj


def _lazily(kind: Any) -> Step:
    """Types refer to themselves."""
    return lambda value: _each(value, _step(kind))


def _of_spec(kind: Any) -> Step:
    """Specs are shared by many objects, so their result is remembered."""
    return by_identity(MAX_SPECS)(lambda value: _each(value, _step(kind)))


def _each(value: Any, step: Step) -> Any:
    """A struct, or each of a list or map of structs."""
    if isinstance(value, tuple):
        new = tuple(map(step, value))
        return value if all(a is b for a, b in zip(value, new, strict=True)) else new
    if isinstance(value, Mapping):
        items = {key: step(item) for key, item in value.items()}
        return value if all(items[key] is item for key, item in value.items()) else items
    return step(value)


@cache
def _fields(kind: Any) -> tuple[tuple[str, ...], Mapping[str, Any]]:
    """(the names of such lists, the fields that may have some below)."""
    lists = tuple(
        field.name for field in msgspec.structs.fields(kind)
        if field.default_factory is not msgspec.NODEFAULT and field.default_factory() is NIL
    )
    parts = {}
    for name, hint in get_type_hints(kind).items():
        inner = _struct_in(hint)
        if inner is not None and name != "metadata" and _has_any(inner):
            parts[name] = inner
    return lists, parts


@cache
def _reached(kind: Any) -> frozenset[Any]:
    """The types that objects of this type consist of."""
    found: dict[Any, None] = {kind: None}
    queue = [kind]
    while queue:
        for hint in get_type_hints(queue.pop()).values():
            inner = _struct_in(hint)
            if inner is not None and inner not in found:
                found[inner] = None
                queue.append(inner)
    return frozenset(found)


@cache
def _has_any(kind: Any) -> bool:
    return any(
        field.default_factory is not msgspec.NODEFAULT and field.default_factory() is NIL
        for reached in _reached(kind) for field in msgspec.structs.fields(reached)
    )


def _struct_in(hint: Any) -> Any:
    """The Struct class in a field's type, or None."""
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return hint
    for argument in get_args(hint):
        if argument is not NoneType and (found := _struct_in(argument)) is not None:
            return found
    return None
