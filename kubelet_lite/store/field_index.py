"""Which objects have which value of a field, kept up to date by every write: the pods of a node without looking at all pods."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

Place = tuple[str, str]
"""Namespace and name: as a tuple, sorted as lists are."""


class FieldIndex:
    """All and only the live objects of a resource, by the value that `getter` finds in them."""

    __slots__ = ("_names", "getter")

    def __init__(self, getter: Callable[[Any], str]) -> None:
        self.getter = getter
        self._names: dict[str, dict[str, dict[str, None]]] = {}
        """By value and namespace; none is empty. Dicts of text alone are nothing to the collector: of places it would visit each."""

    def changed(self, namespace: str, name: str, old: Any | None, new: Any | None) -> None:
        was = self.getter(old) if old is not None else None
        now = self.getter(new) if new is not None else None
        if was == now:
            return
        if was is not None:
            self._remove(was, namespace, name)
        if now is not None:
            namespaces = self._names.get(now)
            if namespaces is None:
                namespaces = self._names[now] = {}
            names = namespaces.get(namespace)
            if names is None:
                names = namespaces[namespace] = {}
            names[name] = None

    def count(self, value: str) -> int:
        return sum(map(len, self._names.get(value, {}).values()))

    def places(self, value: str) -> list[Place]:
        return sorted((namespace, name) for namespace, names in self._names.get(value, {}).items() for name in names)

    def _remove(self, value: str, namespace: str, name: str) -> None:
        namespaces = self._names[value]
        names = namespaces[namespace]
        del names[name]
        if not names:
            del namespaces[namespace]
            if not namespaces:
                del self._names[value]
