"""Strategic merge patch: a merge patch whose lists are merged by key where the type says so, steered by directives.

Directives: `$patch: replace|delete`, `$retainKeys`, `$deleteFromPrimitiveList/FIELD`, `$setElementOrder/FIELD`.
https://github.com/kubernetes/community/blob/main/contributors/devel/sig-api-machinery/strategic-merge-patch.md
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cmp_to_key
from typing import Any, Final

from kubelet_lite.api.errors import ApiError, BadRequest
from kubelet_lite.registry.patch.go_text import go_quoted, go_shown, go_type
from kubelet_lite.registry.patch.json_patch import kind_of, rejected
from kubelet_lite.registry.patch.schema import ANY, Node, node_of

_DIRECTIVE: Final = "$patch"
_RETAIN: Final = "$retainKeys"
_DELETE_FROM: Final = "$deleteFromPrimitiveList"
_SET_ORDER: Final = "$setElementOrder"
_BAD_RETAIN_KEYS: Final = "invalid patch format of retainKeys"


def apply_strategic(current: Any, patch: Any, kind: type) -> Any:
    """`current` with `patch` merged in; neither is changed. `kind`: the Struct class that both are written for. Raises ApiError."""
    if not isinstance(patch, dict):
        raise BadRequest(f"json: cannot unmarshal {kind_of(patch)} into Go value of type map[string]interface {{}}")
    return _merge_map(current, patch, node_of(kind))


def unusable(message: str) -> ApiError:
    """Kubernetes answers 500, without a reason, to what it did not expect in a patch."""
    return ApiError(message, code=500, reason="")


def _merge_map(original: Any, patch: dict[str, Any], node: Node | None) -> dict[str, Any]:
    if _DIRECTIVE in patch:
        return _directed(patch)
    result = dict(original or {})
    patch = _retain_keys(result, patch)
    patch = _merge_ordered(result, patch, node)
    for name, new in patch.items():
        deleting = name.startswith(_DELETE_FROM)
        if deleting:
            name = _field_of(name, _DELETE_FROM)
        if new is None:
            result.pop(name, None)
        elif name not in result or type(result[name]) is not type(new):
            result[name] = new
        elif isinstance(new, dict):
            child = _child(node, name)
            result[name] = new if "replace" in child.strategies else _merge_map(result[name], new, child)
        elif isinstance(new, list):
            child = _child(node, name)
            result[name] = _merge_list(result[name], new, child, deleting) if "merge" in child.strategies else new
        else:
            result[name] = new
    return result


def _child(node: Node | None, name: str) -> Node:
    child = node.child(name) if node is not None else ANY
    if child is None:
        raise unusable(f"unable to find api field in struct {_type_name(node)} for the json field {go_quoted(name)}")
    return child


def _type_name(node: Node | None) -> str:
    return node.type.__name__ if node is not None and node.type is not None else "interface {}"


def _directed(patch: dict[str, Any]) -> dict[str, Any]:
    directive = patch[_DIRECTIVE]
    if directive == "replace":
        return {name: v for name, v in patch.items() if name != _DIRECTIVE}
    if directive == "delete":
        return {}
    raise unusable(f"unknown patch type: {go_shown(directive)} in map: {go_shown(patch)}")


def _field_of(name: str, prefix: str) -> str:
    """The field that a parallel list is about."""
    _, slash, field = name.partition("/")
    if not slash:
        raise BadRequest(
            "invalid patch format of primitive list" if prefix == _DELETE_FROM else "invalid patch format of setElementOrder list"
        )
    return field


def _retain_keys(result: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """Drops from `result` what the patch does not retain; the patch without its directive."""
    if _RETAIN not in patch:
        return patch
    retained = patch[_RETAIN]
    if not isinstance(retained, list):
        raise BadRequest(_BAD_RETAIN_KEYS)
    rest = {name: v for name, v in patch.items() if name != _RETAIN}
    for name, new in rest.items():
        if new is not None and not name.startswith((_DELETE_FROM, _SET_ORDER)) and name not in retained:
            raise BadRequest(_BAD_RETAIN_KEYS)
    for name in list(result):
        if name not in retained:
            del result[name]
    return rest


def _merge_ordered(result: dict[str, Any], patch: dict[str, Any], node: Node | None) -> dict[str, Any]:
    """Carries out every `$setElementOrder/FIELD` with the list it orders; the patch without them."""
    rest = dict(patch)
    for name, order in patch.items():
        if not name.startswith(_SET_ORDER):
            continue
        del rest[name]
        field = _field_of(name, _SET_ORDER)
        here: Any = result.get(field)
        there: Any = rest.get(field)
        for value in (order, *([here] if field in result else []), *([there] if field in rest else [])):
            _expect(value, list)
        child = _child(node, field)
        _check_order(there or [], order, child.merge_key)
        if field not in result and field not in rest:
            continue
        if field not in result:
            merged = there
        elif field not in rest:
            merged = here
        else:
            merged = _merge_list(here, there, child, False) if "merge" in child.strategies else there
        _element_type(here or [], there or [])
        result[field] = _ordered(merged, order, here or [], child.merge_key)
        rest.pop(field, None)
    return rest


def _expect(value: Any, kind: type) -> None:
    if not isinstance(value, kind):
        raise unusable(f"expected a {go_type(kind())}, but received a {go_type(value) if value is not None else '%!s(<nil>)'}")


def _check_order(patch: Sequence[Any], order: Sequence[Any], merge_key: str) -> None:
    """The patch's items come in the order that the patch itself demands."""
    kept = [item for item in patch if not (isinstance(item, dict) and _DIRECTIVE in item)]
    at = 0
    for wanted in order:
        if at < len(kept) and _same_item(kept[at], wanted, merge_key):
            at += 1
    if at < len(kept):
        raise unusable(f"The order in patch list:\n{go_shown(patch)}\n doesn't match {_SET_ORDER} list:\n{go_shown(order)}\n")


def _same_item(a: Any, b: Any, merge_key: str) -> bool:
    return bool(_identity(a, merge_key) == _identity(b, merge_key)) if merge_key else bool(a == b)


def _identity(item: Any, merge_key: str) -> Any:
    """The value of an item's merge key; of a scalar, itself."""
    if not merge_key:
        return item
    _expect(item, dict)
    if merge_key not in item:
        raise unusable(f"map: {go_shown(item)} does not contain declared merge key: {merge_key}")
    return item[merge_key]


def _element_type(*lists: Iterable[Any]) -> type:
    kinds = [type(item) for items in lists for item in items]
    if not kinds:
        raise unusable("no elements in any of the given slices")
    if kinds[0] is list:
        raise rejected()
    if any(kind is not kinds[0] for kind in kinds):
        raise unusable(f"list element types are not identical: {go_shown([list(items) for items in lists])}")
    return kinds[0]


def _merge_list(original: list[Any], patch: list[Any], node: Node, deleting: bool) -> list[Any]:
    if not original and not patch:
        return original
    if _element_type(original, patch) is not dict:
        if deleting:
            return [item for item in original if item not in patch]
        return _ordered(list(dict.fromkeys([*original, *patch])), patch, original, "")
    merge_key = node.merge_key
    if not merge_key:
        raise unusable("cannot merge lists without merge key for type struct")
    original, patch = _special_items(original, patch, merge_key)
    merged = list(original)
    for item in patch:
        identity = _identity(item, merge_key)
        at = next((i for i, there in enumerate(merged) if _find(i, there, merge_key, identity)), None)
        if at is None:
            merged.append(item)
        else:
            merged[at] = _merge_map(merged[at], item, node.element)
    return _ordered(merged, patch, original, merge_key)


def _find(position: int, item: Any, merge_key: str, identity: Any) -> bool:
    if not isinstance(item, dict):
        raise unusable(f"value for key {position} is not a map.")
    return merge_key in item and bool(item[merge_key] == identity)


def _special_items(original: list[Any], patch: list[Any], merge_key: str) -> tuple[list[Any], list[Any]]:
    """What directives in the list's items leave of the original, and the patch without those items."""
    rest, replace = [], False
    for item in patch:
        match item.get(_DIRECTIVE) if _DIRECTIVE in item else _DIRECTIVE:
            case "$patch":
                rest.append(item)
            case "delete":
                identity = _identity(item, merge_key)
                original = [there for i, there in enumerate(original) if not _find(i, there, merge_key, identity)]
            case "replace":
                replace = True
            case "merge":
                raise unusable("merging lists cannot yet be specified in the patch")
            case directive:
                raise unusable(f"unknown patch type: {go_shown(directive)} in map: {go_shown(item)}")
    return (rest, []) if replace else (original, rest)


def _ordered(merged: Sequence[Any], wanted: Sequence[Any], live: Sequence[Any], merge_key: str) -> list[Any]:
    """What the patch names in the patch's order, between the rest in the live list's order, as far as that can be had."""
    order = [_identity(item, merge_key) for item in wanted]
    live_order = [_identity(item, merge_key) for item in live]
    named = [item for item in merged if _identity(item, merge_key) in order]
    others = [item for item in merged if _identity(item, merge_key) not in order]
    named.sort(key=cmp_to_key(lambda a, b: order.index(_identity(a, merge_key)) - order.index(_identity(b, merge_key))))
    result: list[Any] = []
    left, right = iter(others), iter(named)
    other, name = next(left, None), next(right, None)
    while other is not None and name is not None:
        a, b = _identity(other, merge_key), _identity(name, merge_key)
        if a in live_order and b in live_order and live_order.index(a) < live_order.index(b):
            result.append(other)
            other = next(left, None)
        else:
            result.append(name)
            name = next(right, None)
    result += [item for item in (other, name) if item is not None]
    return [*result, *left, *right]
