"""The store as admission, authorization and allocators read it."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubelet_lite.store import Key, Store


class StoreView:
    """A View of one store at the present revision."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, resource: str, namespace: str, name: str) -> Any | None:
        return self._store.get(Key(resource, namespace, name))

    def list(self, resource: str, namespace: str = "") -> Sequence[Any]:
        if not self._store.changed(resource):  # most clusters have no quota and no limit range, and every create asks for them
            return ()
        return self._store.list(resource, namespace).items

    def changed(self, resource: str) -> int:
        return self._store.changed(resource)
