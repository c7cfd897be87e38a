"""JSON patch (RFC 6902) as Kubernetes applies it: indices may be negative, and what does not apply is a 422 without further words.

https://datatracker.ietf.org/doc/html/rfc6902
"""
from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from kubelet_lite.api.errors import ApiError, BadRequest, Invalid, RequestEntityTooLarge

MAX_OPERATIONS: Final = 10_000
"""Operations of one patch, as in Kubernetes."""
MAX_COPIED_BYTES: Final = 3 * 1024 * 1024
"""What all `copy` operations of one patch may add, as in Kubernetes: otherwise a short patch could ask for any amount of memory."""
_FIELDS: Final = frozenset(("op", "path", "from", "value"))
_KINDS: Final = {dict: "object", list: "array", str: "string", bool: "bool", int: "number", float: "number"}


def apply_json_patch(current: Any, patch: Any) -> Any:
    """`current` with the operations of `patch` applied; shares parts with both. Raises ApiError."""
    operations = _checked(patch)
    if len(operations) > MAX_OPERATIONS:
        raise RequestEntityTooLarge(f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(operations)}")
    document = copy.deepcopy(current)
    copied = 0
    try:
        for operation in operations:
            document, size = _apply(document, operation)
            copied += size
            if copied > MAX_COPIED_BYTES:
                raise PatchError(f"unable to complete the copy, the accumulated size increase of copy is {copied}, exceeding the limit {MAX_COPIED_BYTES}")
    except PatchError as error:
        raise rejected() from error
    return document


class PatchError(Exception):
    """An operation does not apply."""


def rejected() -> ApiError:
    """What Kubernetes says of a patch that does not apply."""
    return Invalid("the server rejected our request due to an error in our request", details={})


def _checked(patch: Any) -> list[dict[str, Any]]:
    if patch is None:
        return []
    if not isinstance(patch, list):
        raise BadRequest(f"error decoding patch: json: cannot unmarshal {kind_of(patch)} into Go value of type []handlers.jsonPatchOp")
    for operation in patch:
        if not isinstance(operation, dict):
            raise BadRequest(f"error decoding patch: json: cannot unmarshal {kind_of(operation)} into Go value of type handlers.jsonPatchOp")
        for name in ("op", "path", "from"):
            if not isinstance(operation.get(name, ""), str | None):
                raise BadRequest(f"error decoding patch: json: cannot unmarshal {kind_of(operation[name])} into Go struct field jsonPatchOp.{name} of type string")
    return patch


def unknown_fields(patch: Any) -> Iterator[str]:
    """What field validation says of fields that no operation has."""
    for position, operation in enumerate(patch if isinstance(patch, list) else ()):
        if isinstance(operation, dict):
            for name in operation:
                if name not in _FIELDS:
                    yield f'unknown field "[{position}].{name}"'


def kind_of(value: Any) -> str:
    """The kind of a JSON value as Go names it."""
    return _KINDS.get(type(value), "null")


def _apply(document: Any, operation: dict[str, Any]) -> tuple[Any, int]:
    """The changed document, and how many bytes were copied."""
    match operation.get("op"):
        case "add":
            _add(*_container(document, _text(operation, "path")), copy.deepcopy(operation.get("value")))
        case "remove":
            _remove(*_container(document, _text(operation, "path")))
        case "replace":
            return _replace(document, operation), 0
        case "move":
            container, name = _container(document, _text(operation, "from"))
            moved = _get(container, name)
            _remove(container, name)
            _add(*_container(document, _text(operation, "path")), moved)
        case "copy":
            source = _get(*_container(document, _text(operation, "from")))
            _add(*_container(document, _text(operation, "path")), copy.deepcopy(source))
            return document, len(msgspec.json.encode(source))
        case "test":
            _test(document, operation)
        case kind:
            raise PatchError(f"Unexpected kind: {kind or 'unknown'}")
    return document, 0


def _text(operation: dict[str, Any], name: str) -> str:
    found = operation.get(name)
    if found is None:
        raise PatchError(f"operation missing {name} field: missing value")
    return str(found)


def _replace(document: Any, operation: dict[str, Any]) -> Any:
    path, new = _text(operation, "path"), copy.deepcopy(operation.get("value"))
    if path == "":
        if not isinstance(new, (dict, list)):
            raise PatchError("replace operation value must be object or array")
        return new
    container, name = _container(document, path)
    if isinstance(container, list):
        container[_index(container, name, len(container))] = new
    else:
        container[name] = new
    return document


def _test(document: Any, operation: dict[str, Any]) -> None:
    path = _text(operation, "path")
    there = document if path == "" else _get(*_container(document, path))
    if not _same(there, operation.get("value")):
        raise PatchError(f"testing value {path} failed: test failed")


def _same(a: Any, b: Any) -> bool:
    """Equality of JSON values: true is not 1."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(v, b[k]) for k, v in a.items())
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_same, a, b))
    return isinstance(a, bool) == isinstance(b, bool) and bool(a == b)


def _container(document: Any, path: str) -> tuple[Any, str]:
    """Where the last part of a JSON pointer leads from."""
    parts = path.split("/")
    if len(parts) < 2:
        raise PatchError(f'doc is missing path: "{path}"')
    *above, last = (part.replace("~1", "/").replace("~0", "~") for part in parts[1:])
    for part in above:
        document = _get(document, part)
        if not isinstance(document, (dict, list)):
            raise PatchError(f'doc is missing path: "{path}": missing value')
    return document, last


def _get(container: Any, name: str) -> Any:
    if isinstance(container, list):
        return container[_index(container, name, len(container))]
    return container.get(name)


def _index(container: list[Any], name: str, limit: int) -> int:
    """A position below `limit`; negative ones count from there."""
    digits = name.removeprefix("-") if name[:1] == "-" else name.removeprefix("+")
    if not (digits.isascii() and digits.isdecimal()):
        raise PatchError(f"value was not a proper array index: '{name}'")
    position = int(name)
    if not -limit <= position < limit:
        raise PatchError(f"Unable to access invalid index: {position}: invalid index referenced")
    return position % limit


def _add(container: Any, name: str, new: Any) -> None:
    if not isinstance(container, list):
        container[name] = new
    elif name == "-":
        container.append(new)
    else:
        container.insert(_index(container, name, len(container) + 1), new)


def _remove(container: Any, name: str) -> None:
    if isinstance(container, list):
        del container[_index(container, name, len(container))]
    elif name in container:
        del container[name]
    else:
        raise PatchError(f"Unable to remove nonexistent key: {name}: missing value")
