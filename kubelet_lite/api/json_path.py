"""JSONPath as kubectl and printer columns write it: `.spec.size`, `.status.conditions[?(@.type=="Ready")].status`, `.items[*]['a.b']`.

https://kubernetes.io/docs/reference/kubectl/jsonpath/ (one expression, without text around it)
"""
from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

Step = Callable[[Any], Iterable[Any]]
"""From one value to those that it leads to."""
_NAME: Final = re.compile(r"(?:[^\\.\[\]\s]|\\.)+")
_SLICE: Final = re.compile(r"(-?\d+)?(:)?(-?\d+)?(?::(-?\d+)?)?")
_FILTER: Final = re.compile(r"""\?\(\s*@(?P<path>(?:[^=!<>~\s"')]|\\.|\['[^']*'\])*)\s*(?:(?P<operator>==|!=|<=|>=|<|>)\s*(?P<value>"[^"]*"|'[^']*'|[^\s)]+)\s*)?\)""")
_COMPARED: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "==": lambda a, b: bool(a == b), "!=": lambda a, b: bool(a != b), "<": lambda a, b: bool(a < b), "<=": lambda a, b: bool(a <= b),
    ">": lambda a, b: bool(a > b), ">=": lambda a, b: bool(a >= b),
}


class PathError(ValueError):
    """No path."""


def compile_path(text: str) -> Callable[[Any], Sequence[Any]]:
    """The function that finds all values a path leads to, in order; what is missing on the way is no error. Raises PathError."""
    steps = list(_steps(text))

    def find(value: Any) -> Sequence[Any]:
        found: list[Any] = [value]
        for step in steps:
            found = [inner for one in found for inner in step(one)]
        return found

    return find


def _steps(text: str) -> Iterable[Step]:
    position = 0
    while position < len(text):
        if text.startswith("..", position):
            yield _descend
            position += 1 if text.startswith("..[", position) else 2
            if text.startswith("[", position + 1):
                position += 1
            elif (found := _NAME.match(text, position)) is not None:
                yield _field(found[0])
                position = found.end()
        elif text[position] == ".":
            position += 1
            found = _NAME.match(text, position)
            if found is not None:
                yield _field(found[0])
                position = found.end()
        elif text[position] == "[":
            end = _closing(text, position)
            yield _bracket(text[position + 1:end])
            position = end + 1
        else:
            found = _NAME.match(text, position)
            if found is None or position:
                raise PathError(f"unrecognized character in path {text!r} at {position}")
            yield _field(found[0])
            position = found.end()


def _closing(text: str, opening: int) -> int:
    quote, depth = "", 0
    for i in range(opening, len(text)):
        letter = text[i]
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter == "[":
            depth += 1
        elif letter == "]":
            depth -= 1
            if not depth:
                return i
    raise PathError(f"unterminated array in path {text!r}")


def _field(name: str) -> Step:
    if name == "*":
        return _all
    plain = re.sub(r"\\(.)", r"\1", name)
    return lambda value: (value[plain],) if isinstance(value, Mapping) and plain in value else ()


def _bracket(inside: str) -> Step:
    inside = inside.strip()
    if inside == "*":
        return _all
    if inside[:1] in ("'", '"') and inside[-1:] == inside[:1] and len(inside) > 1:
        return _field(re.sub(r"([\\*])", r"\\\1", inside[1:-1]))
    if inside.startswith("?"):
        return _filter(inside)
    found = _SLICE.fullmatch(inside)
    if not inside or found is None:
        raise PathError(f"invalid array index {inside}")
    first, colon, last, step = found.groups()
    if not colon:
        return lambda value: _sliced(value, slice(int(first), int(first) + 1 or None))
    chosen = slice(*(int(part) if part else None for part in (first, last, step)))
    return lambda value: _sliced(value, chosen)


def _sliced(value: Any, chosen: slice) -> Iterable[Any]:
    return value[chosen] if isinstance(value, (list, tuple)) else ()


def _filter(text: str) -> Step:
    found = _FILTER.fullmatch(text)
    if found is None:
        raise PathError(f"unrecognized filter {text}")
    left = compile_path(found["path"])
    if found["operator"] is None:
        return lambda value: [item for item in _all(value) if left(item)]
    compare, wanted = _COMPARED[found["operator"]], _literal(found["value"])

    def holds(item: Any) -> bool:
        try:
            return any(compare(one, wanted) for one in left(item))
        except TypeError:
            return False

    return lambda value: [item for item in _all(value) if holds(item)]


def _literal(text: str) -> Any:
    if text[:1] in ("'", '"'):
        return text[1:-1]
    try:
        return json.loads(text)
    except ValueError as error:
        raise PathError(f"unrecognized value {text} in a filter") from error


def _all(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, Mapping) else value if isinstance(value, (list, tuple)) else ()


def _descend(value: Any) -> Iterable[Any]:
    yield value
    for inner in _all(value):
        yield from _descend(inner)
