"""Sets of fields of an object, as managedFields keeps them (FieldsV1): immutable tries of path elements.

An element is kept as it is written: `f:NAME` a field or map key, `k:{…}` an item of a list by its keys, `v:…` an item of a set,
`i:N` an item by position. A member owns the field itself; children say nothing of their parent.
https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
"""
from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgspec

Path = tuple[str, ...]
_ESCAPES: Final = ((b"<", rb"\u003c"), (b">", rb"\u003e"), (b"&", rb"\u0026"))


@lru_cache(maxsize=16384)
def field(name: str) -> str:
    """The element of a struct's field or a map's key."""
    return f"f:{name}"


@lru_cache(maxsize=16384)
def key(names: tuple[str, ...], values: tuple[Any, ...]) -> str:
    """The element of a list's item that is known by the values of its keys; `names` are sorted."""
    return "k:" + msgspec.json.encode(dict(zip(names, values, strict=True))).decode()


def value(item: Any) -> str:
    """The element of a set's item."""
    return "v:" + msgspec.json.encode(item).decode()


@lru_cache(maxsize=16384)
def _canonical(element: str) -> str:
    """The element as we write it. Raises ValueError for what is none."""
    kind = element[:2]
    if kind == "f:":
        return element
    parsed = json.loads(element[2:])
    if kind == "k:" and isinstance(parsed, dict) and parsed:
        names = tuple(sorted(parsed))
        return key(names, tuple(parsed[name] for name in names))
    if kind == "v:" and not isinstance(parsed, (dict, list)):
        return value(parsed)
    if kind == "i:" and isinstance(parsed, int):
        return element
    raise ValueError(f"not a path element: {element!r}")


@lru_cache(maxsize=16384)
def _parsed(element: str) -> Any:
    return json.loads(element[2:])


def shown(element: str) -> str:
    """One element as messages show it: `.name`, `[name="a",port=80]`, `[="x"]`, `[0]`."""
    kind, rest = element[:2], element[2:]
    if kind == "f:":
        return "." + rest
    if kind == "k:":
        return "[" + ",".join(f"{name}={json.dumps(v, ensure_ascii=False)}" for name, v in _parsed(element).items()) + "]"
    return f"[={json.dumps(_parsed(element), ensure_ascii=False)}]" if kind == "v:" else f"[{rest}]"


def shown_path(path: Path) -> str:
    return "".join(map(shown, path))


def _value_order(item: Any) -> tuple[int, Any]:
    """Kubernetes' order of scalars: numbers, strings, booleans, null."""
    match item:
        case bool():
            return (2, item)
        case int() | float():
            return (0, item)
        case str():
            return (1, item)
    return (3, 0)


@lru_cache(maxsize=16384)
def _order(element: str) -> tuple[Any, ...]:
    """Kubernetes' order of elements: fields by name, then keys, then values, then positions."""
    kind = element[:2]
    if kind == "f:":
        return (0, element[2:])
    if kind == "k:":
        return (1, *((name, *_value_order(v)) for name, v in _parsed(element).items()))
    return (2, *_value_order(_parsed(element))) if kind == "v:" else (3, int(element[2:]))


class FieldSet(NamedTuple):
    """Operations return an operand itself where nothing changes, so that `is` tells whether anything did."""

    members: frozenset[str]
    children: dict[str, FieldSet]
    """Never changed, and no empty set among them."""

    def __bool__(self) -> bool:
        return bool(self.members or self.children)

    def child(self, element: str) -> FieldSet:
        return self.children.get(element, EMPTY)

    def has(self, path: Path) -> bool:
        node = self
        for element in path[:-1]:
            node = node.child(element)
        return bool(path) and path[-1] in node.members

    def paths(self, prefix: Path = ()) -> Iterator[Path]:
        """Every member, in Kubernetes' order: those of a level before what lies below."""
        for element in sorted(self.members, key=_order):
            yield (*prefix, element)
        for element in sorted(self.children, key=_order):
            yield from self.children[element].paths((*prefix, element))

    def __or__(self, other: FieldSet) -> FieldSet:
        if not other or self is other:
            return self
        if not self:
            return other
        members = self.members if other.members <= self.members else self.members | other.members
        children = self.children
        for element, node in other.children.items():
            mine = self.children.get(element)
            merged = node if mine is None else mine | node
            if merged is not mine:
                if children is self.children:
                    children = dict(children)
                children[element] = merged
        return self if members is self.members and children is self.children else FieldSet(members, children)

    def _without(self, other: FieldSet, below: Callable[[FieldSet, str, FieldSet], FieldSet]) -> FieldSet:
        members = self.members if self.members.isdisjoint(other.members) else self.members - other.members
        children = self.children
        for element in [*other.children, *(m for m in other.members if m not in other.children)]:
            mine = self.children.get(element)
            if mine is None:
                continue
            left = below(mine, element, other)
            if left is not mine:
                if children is self.children:
                    children = dict(children)
                if left:
                    children[element] = left
                else:
                    del children[element]
        return self if members is self.members and children is self.children else FieldSet(members, children)

    def __sub__(self, other: FieldSet) -> FieldSet:
        """A parent's leaving does not take its children along."""
        return self._without(other, lambda mine, element, those: mine - those.child(element)) if other and self else self

    def without_trees(self, other: FieldSet) -> FieldSet:
        """What stands in `other` leaves with all that lies below it."""
        return self._without(other, _tree_left) if other and self else self

    def __and__(self, other: FieldSet) -> FieldSet:
        members = self.members & other.members
        children = {}
        small, large = (self, other) if len(self.children) <= len(other.children) else (other, self)
        for element, node in small.children.items():
            there = large.children.get(element)
            if there is not None and (both := node & there):
                children[element] = both
        return FieldSet(members, children) if members or children else EMPTY

    def within(self, pattern: Pattern | None) -> FieldSet:
        """Only what the pattern covers (None: everything below)."""
        if pattern is None:
            return self
        wanted = pattern.get("*")
        members = self.members if "*" in pattern else frozenset(m for m in self.members if m in pattern)
        children = {}
        for element, node in self.children.items():
            if element in pattern or "*" in pattern:
                inner = node.within(pattern.get(element, wanted))
                if inner:
                    children[element] = inner
        return FieldSet(members, children) if members or children else EMPTY

    def to_fields_v1(self) -> bytes:
        """The bytes that Kubernetes writes."""
        data = msgspec.json.encode(self._plain())
        for raw, escaped in _ESCAPES:
            if raw in data:
                data = data.replace(raw, escaped)
        return data

    def _plain(self) -> dict[str, Any]:
        plain: dict[str, Any] = {}
        for element in sorted(self.members | self.children.keys(), key=_order):
            node = self.children.get(element)
            if node is None:
                plain[element] = {}
            else:
                plain[element] = {".": {}, **node._plain()} if element in self.members else node._plain()
        return plain


Pattern = Mapping[str, "Pattern | None"]
"""element or `*` → what to keep below it; None: all."""
EMPTY: Final = FieldSet(frozenset(), {})


def _tree_left(mine: FieldSet, element: str, those: FieldSet) -> FieldSet:
    return EMPTY if element in those.members else mine.without_trees(those.child(element))


def of(paths: Iterable[Path]) -> FieldSet:
    """The set of these members."""
    result = EMPTY
    for path in paths:
        result |= at(path)
    return result


def at(path: Path) -> FieldSet:
    """The set of this one member."""
    node = FieldSet(frozenset(path[-1:]), {})
    for element in reversed(path[:-1]):
        node = FieldSet(frozenset(), {element: node})
    return node


def fields(*names: str) -> Path:
    """The path of nested fields."""
    return tuple(map(field, names))


@lru_cache(maxsize=4096)
def parse(data: bytes) -> FieldSet:
    """FieldsV1 as a set. Raises ValueError for what is none."""
    try:
        plain = msgspec.json.decode(data)
    except msgspec.DecodeError as error:
        raise ValueError("fieldsV1 is no JSON") from error
    if not isinstance(plain, dict):
        raise ValueError("fieldsV1 is no object")
    return _from_plain(plain)


def _from_plain(plain: Mapping[str, Any]) -> FieldSet:
    members, children = [], {}
    for element, node in plain.items():
        if element == ".":
            continue
        if not isinstance(node, dict):
            raise ValueError(f"not a set of fields: {node!r}")
        element = _canonical(element)
        if "." in node or not node:
            members.append(element)
        inner = _from_plain(node)
        if inner:
            children[element] = inner
    return FieldSet(frozenset(members), children) if members or children else EMPTY
