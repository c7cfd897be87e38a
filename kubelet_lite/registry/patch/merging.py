"""What server-side apply does to plain JSON values under a schema: check, find the fields, merge, remove.

The rules are those of Kubernetes' structured merge (https://github.com/kubernetes-sigs/structured-merge-diff).
"""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kubelet_lite.registry.patch import field_set
from kubelet_lite.registry.patch.comparison import ABSENT, MergeError, element_of
from kubelet_lite.registry.patch.field_set import EMPTY, FieldSet
from kubelet_lite.registry.patch.go_text import go_shown, go_syntax, go_type
from kubelet_lite.registry.patch.schema import ANY, Node


def problems(value: Any, node: Node, path: str = "") -> Iterator[str]:
    """All that is wrong with an applied value: unknown fields, wrong types, missing and duplicate keys."""
    if value is None:
        return
    if node.shape == "any":
        return
    if node.shape in ("struct", "map") or (node.shape == "leaf" and node.scalar == "map"):
        if not isinstance(value, dict):
            yield _at(path, f"expected map, got &{{{go_shown(value)}}}")
            return
        for name, item in value.items():
            below = path + field_set.shown(field_set.field(name))
            child = node.child(name)
            if child is None:
                yield _at(below, "field not declared in schema")
                return
            yield from problems(item, child, below)
    elif node.shape in ("list", "set") or (node.shape == "leaf" and node.scalar == "list"):
        if not isinstance(value, list):
            yield _at(path, f"expected list, got &{{{go_shown(value)}}}")
            return
        yield from _item_problems(value, node, path)
    elif found := _scalar_problem(value, node.scalar):
        yield _at(path, found)


def _at(path: str, message: str) -> str:
    return f"{path}: {message}" if path else message


def _item_problems(items: list[Any], node: Node, path: str) -> Iterator[str]:
    assert node.element is not None
    seen = set()
    for position, item in enumerate(items):
        element = f"i:{position}"
        if node.shape != "leaf":
            try:
                element = element_of(item, node, position)
            except MergeError as error:
                yield _at(path, str(error))
                return
            if element in seen:
                yield _at(path, f"duplicate entries for key {field_set.shown(element)}")
            seen.add(element)
        yield from problems(item, node.element, path + field_set.shown(element))


def _scalar_problem(value: Any, scalar: str) -> str:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    match scalar:
        case "string" if not isinstance(value, str):
            return f"expected string, got &value.valueUnstructured{{Value:{go_syntax(value)}}}"
        case "number" if not number:
            return f"expected numeric (int or float), got {go_type(value)}"
        case "boolean" if not isinstance(value, bool):
            return f"expected boolean, got &{{{go_shown(value)}}}"
        case "any" if isinstance(value, (dict, list)):
            return f"expected any scalar, got &{{{go_shown(value)}}}"
    return ""


def fields_of(value: Any, node: Node) -> FieldSet:
    """The fields that a value sets."""
    return _fields_of(value, node)[1]


def _fields_of(value: Any, node: Node) -> tuple[bool, FieldSet]:
    """Whether the place itself is set as one, and what is set below it."""
    shape = _shape(value, node)
    if shape == "leaf":
        return True, EMPTY
    members, children = [], {}
    if shape in ("struct", "map", "any"):
        for name, item in (value or {}).items():
            child = node.child(name) or ANY
            itself, below = _fields_of(item, child)
            element = field_set.field(name)
            if itself or item is None or item == {} or name not in node.fields:
                members.append(element)
            if below:
                children[element] = below
    else:
        assert node.element is not None
        found: dict[str, list[Any]] = {}
        for position, item in enumerate(value or ()):
            found.setdefault(element_of(item, node, position), []).append(item)
        for element, items in found.items():
            members.append(element)
            below = _fields_of(items[0], node.element)[1] if len(items) == 1 else EMPTY
            if below:
                children[element] = below
    return False, FieldSet(frozenset(members), children) if members or children else EMPTY


def _shape(value: Any, node: Node) -> str:
    """Without a schema, maps are merged and everything else is a leaf."""
    return "leaf" if node.shape == "any" and not isinstance(value, dict) else node.shape


def merge(live: Any, applied: Any, node: Node) -> Any:
    """`live` with what `applied` sets; ABSENT is no value. Shares parts with both."""
    if applied is ABSENT:
        return live
    shape = _shape(applied, node)
    if shape == "leaf" or not live:
        return applied
    if not applied:
        return live
    if shape in ("struct", "map", "any"):
        if not isinstance(live, dict):
            return applied
        result = dict(live)
        for name, item in applied.items():
            result[name] = merge(live.get(name, ABSENT), item, node.child(name) or ANY)
        return result
    return _merge_items(live, applied, node)


def _merge_items(live: list[Any], applied: list[Any], node: Node) -> list[Any]:
    """Items of both in the applied order, the live list's others where they stood between them."""
    assert node.element is not None
    left = [(element_of(item, node, i), item) for i, item in enumerate(live)]
    right = [(element_of(item, node, i), item) for i, item in enumerate(applied)]
    mine, theirs = dict(right), _unique(left)
    shared = [element for element, _ in right if element in theirs]
    result, taken = [], set()
    at_left = at_right = at_shared = 0

    def take_right() -> None:
        nonlocal at_right, at_shared
        element, item = right[at_right]
        result.append(merge(theirs.get(element, ABSENT), item, node.element))  # type: ignore[arg-type]
        taken.add(element)
        at_right += 1
        if at_shared < len(shared) and shared[at_shared] == element:
            at_shared += 1

    while at_left < len(left) or at_right < len(right):
        if at_left < len(left) and at_right < len(right):
            element = left[at_left][0]
            if element == right[at_right][0]:
                take_right()
                at_left += 1
                continue
            if element in mine and at_shared < len(shared) and shared[at_shared] != element:
                at_left += 1
                continue
        if at_left < len(left):
            element, item = left[at_left]
            if element not in mine:
                result.append(item)
                at_left += 1
                continue
            if element in taken:
                at_left += 1
        if at_right < len(right):
            take_right()
    return result


def _unique(items: list[tuple[str, Any]]) -> dict[str, Any]:
    """What stands more than once is not merged with anything."""
    found: dict[str, Any] = {}
    for element, item in items:
        found[element] = ABSENT if element in found else item
    return found


def remove(value: Any, gone: FieldSet, node: Node) -> Any:
    """`value` without these fields; null where nothing is left of a map or list."""
    shape = _shape(value, node)
    if not value or (shape == "leaf" and node.scalar not in ("map", "list")):
        return value
    if shape == "leaf":
        return None
    if shape in ("struct", "map", "any"):
        if not isinstance(value, dict):
            return None
        result = {}
        for name, item in value.items():
            element = field_set.field(name)
            if element in gone.members:
                continue
            below = gone.child(element)
            result[name] = remove(item, below, node.child(name) or ANY) if below else item
        return result or None
    assert node.element is not None
    kept = []
    for position, item in enumerate(value):
        element = element_of(item, node, position)
        if element not in gone.members:
            below = gone.child(element)
            kept.append(remove(item, below, node.element) if below else item)
    return kept or None


def with_named_fields(owned: FieldSet, node: Node) -> FieldSet:
    """The set with every struct's field that has members below it as a member itself."""
    members, children = set(owned.members), {}
    for element, below in owned.children.items():
        child = node.element
        if element.startswith("f:"):
            child = node.child(element[2:])
            if element[2:] in node.fields and node.shape == "struct":
                members.add(element)
        children[element] = with_named_fields(below, child or ANY)
    return FieldSet(frozenset(members), children)
