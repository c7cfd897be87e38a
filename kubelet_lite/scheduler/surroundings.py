"""What plug-ins know of the cluster beside nodes and pods: namespaces, services, volumes, budgets, …"""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol, TypeVar, cast

T = TypeVar("T")


class Surroundings(Protocol):
    """Read-only; what is read in one decision belongs to one moment."""

    def get(self, kind: type[T], name: str, namespace: str = "") -> T | None: ...

    def list(self, kind: type[T], namespace: str = "") -> Sequence[T]:
        """All (of a namespace), in a steady order."""
        ...

    def changed(self, kind: type[Any]) -> int:
        """Moves whenever an object of the kind comes, changes or goes: what was computed from them stands until then."""
        ...


class Given:
    """A fixed set of objects: for tests, and for decisions without a cluster."""

    def __init__(self, objects: Iterable[Any] = ()) -> None:
        self._objects: dict[type[Any], dict[tuple[str, str], Any]] = {}
        for obj in objects:
            self._objects.setdefault(type(obj), {})[obj.metadata.namespace, obj.metadata.name] = obj

    def get(self, kind: type[T], name: str, namespace: str = "") -> T | None:
        return self._objects.get(kind, {}).get((namespace, name))

    def list(self, kind: type[T], namespace: str = "") -> Sequence[T]:
        found = self._objects.get(kind, {})
        return cast(Sequence[T], [obj for (where, _), obj in found.items() if not namespace or where == namespace])

    def changed(self, kind: type[Any]) -> int:
        return 0
