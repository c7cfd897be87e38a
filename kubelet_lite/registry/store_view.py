"""The store as admission, authorization and allocators read it."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from kubelet_lite.store import Key, Store

SHORT: Final = 16
MAX_SHORT: Final = 1024


class StoreView:
    """A View of one store at the present revision."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._short: dict[tuple[str, str], tuple[int, Sequence[Any]]] = {}
        """Short lists that were asked for, as of the newest change of the resource: each create asks for priority classes."""

    def get(self, resource: str, namespace: str, name: str) -> Any | None:
        return self._store.get(Key(resource, namespace, name))

    def list(self, resource: str, namespace: str = "") -> Sequence[Any]:
        changed = self._store.changed(resource)
        if not changed:  # most clusters have no quota and no limit range, and every create asks for them
            return ()
        known = self._short.get((resource, namespace))
        if known is not None and known[0] == changed:
            return known[1]
        items = self._store.list(resource, namespace).items
        if len(items) <= SHORT:
            if len(self._short) >= MAX_SHORT:
                self._short.clear()
            self._short[resource, namespace] = changed, items
        return items

    def changed(self, resource: str) -> int:
        return self._store.changed(resource)
