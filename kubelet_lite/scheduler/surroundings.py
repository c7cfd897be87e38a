"""What plug-ins know of the cluster beside nodes and pods: namespaces, services, volumes, budgets, …"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, TypeVar, cast

import anyio

T = TypeVar("T")
Told = Callable[[tuple[str, str], Any], None]
"""Namespace and name of an object, and the object; None: it is gone."""


class Surroundings(Protocol):
    """Read-only; what is read in one decision belongs to one moment."""

    @property
    def moves(self) -> int:
        """Moves whenever anything comes, changes or goes, of any kind, or becomes known."""
        ...

    def get(self, kind: type[T], name: str, namespace: str = "") -> T | None: ...

    def list(self, kind: type[T], namespace: str = "") -> Sequence[T]:
        """All (of a namespace), in a steady order."""
        ...

    def knows(self, kind: type[Any]) -> bool:
        """Whether all objects of the kind are known: else there may be some."""
        ...

    def follow(self, kind: type[Any], told: Told) -> None:
        """Has somebody told of all objects of the kind, and of what becomes of each; the assumed do not count."""
        ...

    def changed(self, kind: type[Any]) -> int:
        """Moves whenever an object of the kind comes, changes or goes: what was computed from them stands until then."""
        ...

    def assume(self, obj: Any) -> None:
        """Lets the object stand for the one that is known, until a newer one is."""
        ...

    def forget(self, obj: Any) -> None:
        """Lets what is known count again."""
        ...

    async def next_change(self, kind: type[Any]) -> None:
        """Waits for an object of the kind to come, change or go."""
        ...


class Given:
    """A set of objects: for tests, and for decisions without a cluster."""

    def __init__(self, objects: Iterable[Any] = ()) -> None:
        self._objects: dict[type[Any], dict[tuple[str, str], Any]] = {}
        self._hidden: dict[tuple[type[Any], str, str], Any] = {}
        self._followers: dict[type[Any], list[Told]] = {}
        self._changes = 0
        self._changed: dict[type[Any], int] = {}
        for obj in objects:
            self.add(obj)

    def add(self, obj: Any) -> None:
        key = obj.metadata.namespace, obj.metadata.name
        self._objects.setdefault(type(obj), {})[key] = obj
        self._moved(type(obj))
        for told in self._followers.get(type(obj), ()):
            told(key, obj)

    def knows(self, kind: type[Any]) -> bool:
        return True

    def follow(self, kind: type[Any], told: Told) -> None:
        self._followers.setdefault(kind, []).append(told)
        for key, obj in self._objects.get(kind, {}).items():
            told(key, obj)

    @property
    def moves(self) -> int:
        return self._changes

    def get(self, kind: type[T], name: str, namespace: str = "") -> T | None:
        return self._objects.get(kind, {}).get((namespace, name))

    def list(self, kind: type[T], namespace: str = "") -> Sequence[T]:
        found = self._objects.get(kind, {})
        return cast(Sequence[T], [obj for (where, _), obj in found.items() if not namespace or where == namespace])

    def changed(self, kind: type[Any]) -> int:
        return self._changed.get(kind, 0)

    def assume(self, obj: Any) -> None:
        key = obj.metadata.namespace, obj.metadata.name
        self._hidden.setdefault((type(obj), *key), self._objects[type(obj)][key])
        self._objects[type(obj)][key] = obj
        self._moved(type(obj))

    def forget(self, obj: Any) -> None:
        key = obj.metadata.namespace, obj.metadata.name
        known = self._hidden.pop((type(obj), *key), None)
        if known is not None:
            self._objects[type(obj)][key] = known
            self._moved(type(obj))

    def _moved(self, kind: type[Any]) -> None:
        self._changes += 1
        self._changed[kind] = self._changes

    async def next_change(self, kind: type[Any]) -> None:
        await anyio.sleep_forever()
