"""Sets in the order of insertion, for this package's loop and for the libraries whose sets' order reaches what they do.

A set of objects without a hash of their own is ordered by their addresses, which differ in every process. Anyio cancels its scopes and
aiohttp closes its connections in such an order.
"""
from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Final

import aiohttp.connector
from anyio._backends import _asyncio as anyio_asyncio

MODULES: Final[tuple[ModuleType, ...]] = (anyio_asyncio, aiohttp.connector)


class OrderedSet(dict[Any, None]):
    """What those modules use of a set."""

    def add(self, item: Any) -> None:
        self[item] = None

    def remove(self, item: Any) -> None:
        del self[item]

    def discard(self, item: Any) -> None:
        self.pop(item, None)


class OrderedWeakSet:
    """What asyncio uses of a weakref.WeakSet for its asynchronous generators."""

    def __init__(self) -> None:
        self._items: weakref.WeakKeyDictionary[Any, None] = weakref.WeakKeyDictionary()

    def add(self, item: Any) -> None:
        self._items[item] = None

    def discard(self, item: Any) -> None:
        self._items.pop(item, None)

    def clear(self) -> None:
        self._items.clear()

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._items)


@contextmanager
def ordered_sets() -> Iterator[None]:
    """Within the block the sets that those modules make are ordered: the name `set` means another class to them."""
    for module in MODULES:
        module.__dict__["set"] = OrderedSet
    try:
        yield
    finally:
        for module in MODULES:
            del module.__dict__["set"]
