"""The shape of an object: which fields, map keys and list items it has, without their values. Equal shapes are owned alike.

Hashable, and much cheaper to find than the set of fields itself.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import msgspec

from kubelet_lite.registry.patch.comparison import element_of
from kubelet_lite.registry.patch.schema import Node, node_of

Shaper = Callable[[Any], Any]


def shape_of(obj: Any) -> Any:
    """Of a whole object of a known type. Raises MergeError where an item of a list has no key."""
    kind: Any = type(obj)
    return _struct(kind)(obj)


@cache
def _struct(kind: Any) -> Shaper:
    node = node_of(kind)
    zero = msgspec.structs.astuple(kind())
    shapers: tuple[Shaper | None, ...] = tuple(_shaper(node.fields[f.encode_name]) for f in msgspec.structs.fields(kind))
    positions = range(len(zero))
    astuple = msgspec.structs.astuple

    def shape(value: Any) -> Any:
        found = []
        for i, v, z in zip(positions, astuple(value), zero, strict=True):
            if v is z or v == z:
                continue
            shaper = shapers[i]
            found.append(i if shaper is None else (i, shaper(v)))
        return tuple(found)

    return shape


@cache
def _shaper(node: Node) -> Shaper | None:
    """None for a leaf."""
    if node.shape == "struct":
        return lambda value: _struct(node.type)(value)
    if node.shape == "map":
        return _map(node)
    if node.shape in ("list", "set"):
        return _list(node)
    return None


def _map(node: Node) -> Shaper:
    assert node.element is not None
    element = _shaper(node.element)
    if element is None:
        return tuple

    def shape(value: Mapping[str, Any]) -> Any:
        return tuple((name, element(v)) for name, v in value.items())

    return shape


def _list(node: Node) -> Shaper:
    assert node.element is not None
    element = _shaper(node.element)

    def shape(items: Any) -> Any:
        return tuple((element_of(v, node, i), element(v) if element else None) for i, v in enumerate(items))

    return shape
