"""Which objects have which value of a field, kept up to date by every write: the pods of a node without looking at all pods."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

Place = tuple[str, str]
"""Namespace and name: as a tuple, sorted as lists are."""


class FieldIndex:
    """All and only the live objects of a resource, by the value that `getter` finds in them."""

    __slots__ = ("_places", "getter")

    def __init__(self, getter: Callable[[Any], str]) -> None:
        self.getter = getter
        self._places: dict[str, dict[Place, None]] = {}

    def changed(self, namespace: str, name: str, old: Any | None, new: Any | None) -> None:
        was = self.getter(old) if old is not None else None
        now = self.getter(new) if new is not None else None
        if was == now:
            return
        place = (namespace, name)
        if was is not None:
            places = self._places[was]
            del places[place]
            if not places:
                del self._places[was]
        if now is not None:
            self._places.setdefault(now, {})[place] = None

    def count(self, value: str) -> int:
        return len(self._places.get(value, ()))

    def places(self, value: str) -> list[Place]:
        return sorted(self._places.get(value, ()))
