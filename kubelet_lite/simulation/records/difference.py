"""What changed between two states of an object, field by field, and how a value is shown in a line of text.

Items of a list are told apart by their name, type or the like, as in Kubernetes' own patches, else by their place.
"""
from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from kubelet_lite.api.encoding import to_json

ITEM_KEYS: Final = ("name", "type", "uid", "containerPort", "port", "ip", "key", "topologyKey")
"""What may tell the items of a list apart, tried in this order."""
SHOWN_CHARACTERS: Final = 48
BOOKKEEPING: Final = re.compile(r"metadata\.(resourceVersion|managedFields|generation)\b|.*\b(observedGeneration|kubernetes\.io/revision)$")
"""Fields that move with every other change."""
_TIMESTAMP: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")


class Absent:
    """Stands for what is not there."""

    def __repr__(self) -> str:
        return "–"


ABSENT: Final = Absent()


class Change(msgspec.Struct, frozen=True):
    """`old` and `new` are plain JSON values, or ABSENT."""

    path: str
    old: Any
    new: Any

    def __str__(self) -> str:
        return f"{self.path}: {shown(self.old)} → {shown(self.new)}"


def differences(old: Any, new: Any) -> list[Change]:
    """Between two objects or plain JSON values; None stands for an object that is not there."""
    return list(_differences("", {} if old is None else plain(old), {} if new is None else plain(new)))


def significant(changes: Sequence[Change]) -> list[Change]:
    """Without bookkeeping, and without timestamps."""
    return [change for change in changes if not BOOKKEEPING.match(change.path) and not _is_time(change.old) and not _is_time(change.new)]


def shown(value: Any, characters: int = SHOWN_CHARACTERS) -> str:
    """In one short line."""
    if isinstance(value, str):
        text = value if value and value == value.strip() and "\n" not in value else json.dumps(value, ensure_ascii=False)
    else:
        text = repr(value) if value is ABSENT else json.dumps(value, ensure_ascii=False, separators=(", ", ": "))
    return text if len(text) <= characters else f"{text[:characters - 1]}…"


def plain(value: Any) -> Any:
    """As plain JSON values."""
    return to_json(value) if isinstance(value, msgspec.Struct) else value


def _is_time(value: Any) -> bool:
    return isinstance(value, str) and _TIMESTAMP.fullmatch(value) is not None


def _differences(path: str, old: Any, new: Any) -> Iterator[Change]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in (*old, *(key for key in new if key not in old)):
            yield from _differences(_joined(path, key), old.get(key, ABSENT), new.get(key, ABSENT))
    elif isinstance(old, list) and isinstance(new, list):
        before, after = _by_key(old, new)
        for key in (*before, *(key for key in after if key not in before)):
            yield from _differences(f"{path}[{key}]", before.get(key, ABSENT), after.get(key, ABSENT))
    elif old != new:
        yield Change(path, old, new)


def _joined(path: str, key: str) -> str:
    if not _PLAIN_NAME.fullmatch(key):
        return f"{path}[{key}]"
    return f"{path}.{key}" if path else key


def _by_key(old: Sequence[Any], new: Sequence[Any]) -> tuple[Mapping[Any, Any], Mapping[Any, Any]]:
    for name in ITEM_KEYS:
        keyed = [_keyed(items, name) for items in (old, new)]
        if keyed[0] is not None and keyed[1] is not None:
            return keyed[0], keyed[1]
    return dict(enumerate(old)), dict(enumerate(new))


def _keyed(items: Sequence[Any], name: str) -> Mapping[Any, Any] | None:
    """The items by a member that all of them have, each with another value."""
    keyed = {item[name]: item for item in items if isinstance(item, Mapping) and isinstance(item.get(name), str | int)}
    return keyed if len(keyed) == len(items) else None
