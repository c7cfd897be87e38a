"""What differs between two values of one type, as sets of fields. Works on Structs and on plain JSON values alike.

Equal parts are skipped whole, so the cost is that of what differs.
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from operator import attrgetter
from typing import Any, Final, NamedTuple

import msgspec

from kubelet_lite.api._generated.base import NIL
from kubelet_lite.registry.patch import field_set
from kubelet_lite.registry.patch.field_set import EMPTY, FieldSet
from kubelet_lite.registry.patch.schema import Node


class _Absent:
    """No value at all, where None is an explicit null."""

    def __bool__(self) -> bool:
        return False


ABSENT: Final = _Absent()
ADDED, REMOVED, MODIFIED, SAME = range(4)


class MergeError(Exception):
    """A value does not fit its schema; `path` is shown before the message."""

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(f"{path}: {message}" if path else message)


class Comparison(NamedTuple):
    added: FieldSet
    removed: FieldSet
    modified: FieldSet

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.modified)


_NONE: Final = Comparison(EMPTY, EMPTY, EMPTY)


def compare(old: Any, new: Any, node: Node) -> Comparison:
    """What `new` has more, less and otherwise than `old`. Raises MergeError where an item of a list has no key."""
    return _compare(old, new, node)[1]


def _presence(old: Any, new: Any) -> int:
    return ADDED if old is ABSENT else REMOVED if new is ABSENT else SAME


def _compare(old: Any, new: Any, node: Node) -> tuple[int, Comparison]:
    """What became of the place itself, and the sets of what lies below it."""
    shape = node.shape
    if shape == "leaf":
        return _leaf(old, new), _NONE
    if shape == "list" or shape == "set":
        if not old and not new:
            return _leaf(old, new), _NONE
        if not all(isinstance(value, (list, tuple)) for value in (old, new) if value):
            raise MergeError("expected list")
        return _presence(old, new), _collect(_list_items(old or (), new or (), node))
    if shape == "any" and not (isinstance(old or new, Mapping) and isinstance(new or old, Mapping)):
        return _leaf(old, new), _NONE
    items = list(_changed_members(old, new, node))
    if not items and _is_empty(old) and _is_empty(new):
        return _leaf(old, new), _NONE
    return _presence(old, new), _collect(items)


def _leaf(old: Any, new: Any) -> int:
    return ADDED if old is ABSENT else REMOVED if new is ABSENT else SAME if _equal(old, new) else MODIFIED


def _equal(old: Any, new: Any) -> bool:
    """An empty list is not null, though it is stored as that: who sends it, owns it."""
    return bool(old == new) and (old is NIL) == (new is NIL)


def _is_empty(value: Any) -> bool:
    return not members_of(value) if isinstance(value, msgspec.Struct) else not value


_Item = tuple[str, int, Comparison]


def _collect(items: Any) -> Comparison:
    marked: tuple[list[str], list[str], list[str]] = ([], [], [])
    below: tuple[dict[str, FieldSet], dict[str, FieldSet], dict[str, FieldSet]] = ({}, {}, {})
    for element, presence, comparison in items:
        if presence != SAME:
            marked[presence].append(element)
        for kind in (0, 1, 2):
            if comparison[kind]:
                below[kind][element] = comparison[kind]
    sets = [FieldSet(frozenset(m), b) if m or b else EMPTY for m, b in zip(marked, below, strict=True)]
    return Comparison(*sets)


def _changed_members(old: Any, new: Any, node: Node) -> Iterator[_Item]:
    if type(old) is type(new) and isinstance(old, msgspec.Struct):
        layout = layout_of(type(old))
        pairs = enumerate(zip(msgspec.structs.astuple(old), msgspec.structs.astuple(new), strict=True))
        changed = [
            (layout.names[i], layout.present(i, a), layout.present(i, b)) for i, (a, b) in pairs if a is not b and not _equal(a, b)
        ]
    else:
        before, after = members_of(old), members_of(new)
        changed = [(name, a, after.get(name, ABSENT)) for name, a in before.items()]
        changed += [(name, ABSENT, b) for name, b in after.items() if name not in before]
    for name, a, b in changed:
        if a is b or (a is not ABSENT and b is not ABSENT and _equal(a, b)):
            continue
        child = node.child(name)
        if child is None:
            raise MergeError("field not declared in schema", field_set.shown(field_set.field(name)))
        yield field_set.field(name), *_compare(a, b, child)


def _list_items(old: Any, new: Any, node: Node) -> Iterator[_Item]:
    before, after = _indexed(old, node), _indexed(new, node)
    assert node.element is not None
    for element in [*before, *(e for e in after if e not in before)]:
        a, b = before.get(element, ()), after.get(element, ())
        if len(a) <= 1 and len(b) <= 1:
            if a != b:
                yield element, *_compare(a[0] if a else ABSENT, b[0] if b else ABSENT, node.element)
        elif len(a) > 1 and len(b) > 1:
            if a != b:
                yield element, MODIFIED, _NONE
        elif len(a) > 1:
            yield element, REMOVED, _compare(ABSENT, b[0], node.element)[1] if b else _NONE
        else:
            yield element, ADDED, _compare(a[0], ABSENT, node.element)[1] if a else _NONE


def _indexed(items: Any, node: Node) -> dict[str, tuple[Any, ...]]:
    found: dict[str, tuple[Any, ...]] = {}
    for position, item in enumerate(items):
        element = element_of(item, node, position)
        found[element] = (*found.get(element, ()), item)
    return found


def element_of(item: Any, node: Node, position: int) -> str:
    """The path element of a list's item. Raises MergeError when its keys do not tell."""
    if node.shape == "set":
        if item is None or isinstance(item, (Mapping, list, tuple, msgspec.Struct)):
            raise MergeError(f"element {position}: {_NO_VALUES.get(type(item), 'associative list without keys has an element that is a map type')}")
        return _value_element(item)
    if isinstance(item, msgspec.Struct):
        values = _keys_of(type(item), node.keys)(item)
        if not all(values):
            values = tuple(_key_value(members_of(item), name, node, position) for name in node.keys)
        return _struct_element(node.keys, values)
    if not isinstance(item, Mapping):
        raise MergeError(f"element {position}: associative list with keys may not have {'a null element' if item is None else 'non-map elements'}")
    return field_set.key(node.keys, tuple(_key_value(item, name, node, position) for name in node.keys))


_NO_VALUES: Final[Mapping[type, str]] = {
    type(None): "associative list without keys has an element that's an explicit null",
    list: "not supported: associative list with lists as elements",
}


@lru_cache(maxsize=4096, typed=True)
def _value_element(item: Any) -> str:
    return field_set.value(item)


_struct_element: Final = lru_cache(maxsize=4096)(field_set.key)
"""A key of a Struct has one type: no number is mistaken for a truth value that equals it."""


@lru_cache(maxsize=1024)
def _keys_of(kind: Any, names: tuple[str, ...]) -> Any:
    attributes = {f.encode_name: f.name for f in msgspec.structs.fields(kind)}
    first = attrgetter(*(attributes[name] for name in names))
    return first if len(names) > 1 else lambda item: (first(item),)


def _key_value(item: Mapping[str, Any], name: str, node: Node, position: int) -> Any:
    found = item.get(name, node.key_defaults.get(name, ABSENT))
    if found is ABSENT:
        raise MergeError(
            f'element {position}: associative list with keys has an element that omits key field "{name}" (and doesn\'t have default value)'
        )
    return found


class Layout:
    """How a Struct's values stand on the wire: which of them are omitted."""

    __slots__ = ("always", "collections", "defaults", "names")

    def __init__(self, kind: Any) -> None:
        fields = msgspec.structs.fields(kind)
        self.names = tuple(f.encode_name for f in fields)
        self.defaults = tuple(f.default for f in fields)
        """NODEFAULT where the field is always written, or is an omitted collection (`collections`)."""
        self.collections = tuple(f.default_factory in (dict, list, set) for f in fields)

    def present(self, index: int, value: Any) -> Any:
        """The value, or ABSENT where it is omitted."""
        default = self.defaults[index]
        if value is default or (value == default and value is not None and default is not None and type(value) is type(default)):
            return ABSENT
        return ABSENT if self.collections[index] and not value else value


@cache
def layout_of(kind: Any) -> Layout:
    return Layout(kind)


def members_of(value: Any) -> Mapping[str, Any]:
    """What a map or Struct holds on the wire, one level deep; nothing for null and ABSENT."""
    if isinstance(value, msgspec.Struct):
        layout = layout_of(type(value))
        present = layout.present
        found = {}
        for i, v in enumerate(msgspec.structs.astuple(value)):
            if v is not layout.defaults[i] and (v := present(i, v)) is not ABSENT:
                found[layout.names[i]] = v
        return found
    if not value:
        return {}
    if not isinstance(value, Mapping):  # a custom resource that is still to be validated
        raise MergeError("expected map")
    return value
