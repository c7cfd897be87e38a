"""The store as admission, authorization and allocators read it."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
        self._noted: dict[str, None] | None = None

    @property
    def revision(self) -> int:
        return self._store.revision

    @contextmanager
    def noting(self) -> Iterator[dict[str, None]]:
        """Gives the resources that are read within."""
        noted = self._noted = {}
        try:
            yield noted
        finally:
            self._noted = None

    def get(self, resource: str, namespace: str, name: str) -> Any | None:
        if self._noted is not None:
            self._noted[resource] = None
        return self._store.get(Key(resource, namespace, name))

    def list(self, resource: str, namespace: str = "") -> Sequence[Any]:
        if self._noted is not None:
            self._noted[resource] = None
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

    def changed(self, *resources: str) -> int:
        if self._noted is not None:
            self._noted.update(dict.fromkeys(resources))
        return self._store.changed(*resources)
