"""The shape of an object, and of a change from one to another: which fields, map keys and list items, without their values.

Objects of one shape are owned alike and changes of one shape move ownership alike. Shapes are hashable and found much faster than
sets of fields, so that what was once worked out for a shape is looked up by it.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import compress, repeat
from operator import attrgetter, is_not, truth
from typing import Any, Final

import msgspec

from kubelet_lite.api._generated.base import NIL
from kubelet_lite.registry.patch.comparison import element_of
from kubelet_lite.registry.patch.schema import Node, node_of
from kubelet_lite.registry.sharing import by_identity

MAX_SPECS: Final = 1024
"""Specs whose shapes are remembered by identity: the pods of one template share theirs."""


def shape_of(obj: Any, without: frozenset[str] = frozenset(), metadata_without: frozenset[str] = frozenset()) -> Any:
    """Of a whole object of a known type, but for these fields. Raises MergeError where an item of a list has no key."""
    kind: Any = type(obj)
    return _root(kind, without, metadata_without).shape(obj)


def change_of(old: Any, new: Any, without: frozenset[str] = frozenset(), metadata_without: frozenset[str] = frozenset()) -> Any:
    """What differs between two objects of one type; empty: nothing."""
    kind: Any = type(new)
    return _root(kind, without, metadata_without).change(old, new)


def fields_of(change: Any, kind: Any, without: frozenset[str] = frozenset(), metadata_without: frozenset[str] = frozenset()) -> Sequence[str]:
    """The fields of the whole object in which a change found by `change_of` with the same arguments is."""
    names = _root(kind, without, metadata_without).names
    return [names[position] for position, _ in change]


class Remembered:
    """A shape that knows its hash."""

    __slots__ = ("hash", "shape")

    def __init__(self, shape: Any) -> None:
        self.shape, self.hash = shape, hash(shape)

    def __hash__(self) -> int:
        return self.hash

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Remembered) and self.hash == other.hash and self.shape == other.shape)


class Shaper:
    """How the shape of one place is found. A leaf has none of its own: it is there, or not."""

    def shape(self, value: Any) -> Any:
        raise NotImplementedError

    def change(self, old: Any, new: Any) -> Any:
        """`old` and `new` differ; what is empty is not there."""
        if not old:
            return ("+", self.shape(new) if new else None)
        return self.inner_change(old, new) if new else ("-", self.shape(old))

    def inner_change(self, old: Any, new: Any) -> Any:
        """Both are there."""
        raise NotImplementedError


class _Struct(Shaper):
    def __init__(self, kind: Any, without: frozenset[str], shapers: Mapping[str, Shaper]) -> None:
        fields = [f for f in msgspec.structs.fields(kind) if f.encode_name not in without]
        self.names = tuple(f.encode_name for f in fields)
        node, zero = node_of(kind), kind()
        found = {f.name: shapers.get(f.encode_name) or _shaper(node.fields[f.encode_name]) for f in fields}
        self.flat = tuple(part for name, shaper in found.items() for part in _flat(name, getattr(zero, name), shaper))
        """Path, zero value and shaper of all there is, structs that are always there taken apart: one look finds all of it."""
        leaves = [(path, zero) for path, zero, shaper in self.flat if shaper is None]
        self._truths = _getter([path for path, zero in leaves if zero is not None and zero is not NIL])
        self._lists = _getter([path for path, zero, _ in self.flat if zero is NIL])
        self._pointers = _getter([path for path, zero in leaves if zero is None])
        deep = [(path, shaper) for path, _, shaper in self.flat if shaper is not None]
        self._deep = _getter([path for path, _ in deep])
        self._deep_shapes = tuple(shaper.shape for _, shaper in deep)
        self._all_truths = self._pointers is _no_fields and self._lists is _no_fields
        self._all = _getter([f.name for f in fields])
        self._positions = tuple(range(len(fields)))
        self._shapers = tuple(found[f.name] for f in fields)
        self._is_pointer = tuple(getattr(zero, f.name) is None for f in fields)

    def shape(self, value: Any) -> Any:
        values = self._deep(value)
        found = tuple([shape(deep) if deep else None for shape, deep in zip(self._deep_shapes, values, strict=True)]) if any(values) else ()
        there = bytes(map(truth, self._truths(value)))
        if self._all_truths:
            return there, found
        pointers, lists = self._pointers(value), self._lists(value)
        return there, bytes(map(is_not, pointers, repeat(None))), bytes(map(is_not, lists, repeat(NIL))), found

    def inner_change(self, old: Any, new: Any) -> Any:
        before, after = self._all(old), self._all(new)
        found = []
        for i in compress(self._positions, map(is_not, before, after)):
            a, b = before[i], after[i]
            if a == b and (a is NIL) == (b is NIL):
                continue
            shaper = self._shapers[i]
            if shaper is not None:
                found.append((i, shaper.change(a, b)))
            elif self._is_pointer[i]:
                found.append((i, (a is not None, b is not None)))
            else:
                found.append((i, (not a, a is NIL, not b, b is NIL)))
        return tuple(found)


Part = tuple[str, Any, "Shaper | None"]


def _flat(name: str, zero: Any, shaper: Shaper | None) -> Iterator[Part]:
    if zero is None or not isinstance(shaper, (_Struct, _Later)) or isinstance(shaper, _Spec):
        yield name, zero, shaper
        return
    for path, inner_zero, inner in shaper.flat:
        yield f"{name}.{path}", inner_zero, inner


class _Spec(_Struct):
    """Remembers the shapes of specs, which objects share."""

    def __init__(self, kind: Any) -> None:
        super().__init__(kind, frozenset(), {})
        self._remembered = by_identity(MAX_SPECS)(lambda value: Remembered(super(_Spec, self).shape(value)))

    def shape(self, value: Any) -> Any:
        return self._remembered(value)


class _Map(Shaper):
    def __init__(self, element: Shaper | None) -> None:
        self._element = element

    def shape(self, value: Mapping[str, Any]) -> Any:
        element = self._element
        return tuple(value) if element is None else tuple((name, element.shape(v)) for name, v in value.items())

    def inner_change(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> Any:
        element = self._element
        found: list[Any] = [(name, "-", element.shape(v) if element else None) for name, v in old.items() if name not in new]
        for name, v in new.items():
            if name not in old:
                found.append((name, "+", element.shape(v) if element else None))
            elif old[name] != v:
                found.append((name, "", element.change(old[name], v) if element else None))
        return tuple(found)


class _List(Shaper):
    def __init__(self, node: Node, element: Shaper | None) -> None:
        self._node, self._element = node, element

    def shape(self, value: Any) -> Any:
        node, element = self._node, self._element
        return tuple((element_of(v, node, i), element.shape(v) if element else None) for i, v in enumerate(value))

    def inner_change(self, old: Any, new: Any) -> Any:
        node, element = self._node, self._element
        before = [element_of(v, node, i) for i, v in enumerate(old)]
        after = [element_of(v, node, i) for i, v in enumerate(new)]
        if before == after and len(set(before)) == len(before):
            return tuple((name, element.change(a, b) if element else None) for name, a, b in zip(before, old, new, strict=True) if a != b)
        return tuple(self._item_changes(_by_element(before, old), _by_element(after, new)))

    def _item_changes(self, before: Mapping[str, list[Any]], after: Mapping[str, list[Any]]) -> Iterator[Any]:
        element = self._element
        for name in [*before, *(n for n in after if n not in before)]:
            a, b = before.get(name, []), after.get(name, [])
            if a == b:
                continue
            if element is not None and len(a) == 1 and len(b) == 1:
                yield name, element.change(a[0], b[0])
            else:
                yield name, *((min(len(items), 2), element.shape(items[0]) if element and items else None) for items in (a, b))


def _by_element(elements: Iterable[str], items: Iterable[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for element, item in zip(elements, items, strict=True):
        found.setdefault(element, []).append(item)
    return found


def _no_fields(value: Any) -> tuple[Any, ...]:
    return ()


def _getter(names: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    if not names:
        return _no_fields
    first = attrgetter(*names)
    return first if len(names) > 1 else lambda value: (first(value),)


@cache
def _root(kind: Any, without: frozenset[str], metadata_without: frozenset[str]) -> _Struct:
    types = {f.encode_name: node_of(kind).fields[f.encode_name] for f in msgspec.structs.fields(kind)}
    special: dict[str, Shaper] = {"metadata": _Struct(types["metadata"].type, metadata_without, {})}
    if "spec" in types and types["spec"].shape == "struct" and types["spec"].type is not None:
        special["spec"] = _Spec(types["spec"].type)
    return _Struct(kind, without | {"kind", "apiVersion"}, special)


@cache
def _of_type(kind: Any) -> _Struct:
    return _Struct(kind, frozenset(), {})


class _Later(Shaper):
    """A struct's, made when it is first needed: types refer to themselves."""

    def __init__(self, kind: Any) -> None:
        self._kind = kind

    @property
    def flat(self) -> tuple[Part, ...]:
        return _of_type(self._kind).flat

    def shape(self, value: Any) -> Any:
        return _of_type(self._kind).shape(value)

    def inner_change(self, old: Any, new: Any) -> Any:
        return _of_type(self._kind).inner_change(old, new)


@cache
def _shaper(node: Node) -> Shaper | None:
    """None for a leaf."""
    if node.shape == "struct":
        return _Later(node.type)
    if node.shape == "map":
        assert node.element is not None
        return _Map(_shaper(node.element))
    if node.shape in ("list", "set"):
        assert node.element is not None
        return _List(node, _shaper(node.element))
    return None
