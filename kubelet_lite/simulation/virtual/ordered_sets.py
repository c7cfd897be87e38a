"""Sets in the order of insertion, for this package's loop and for the libraries whose sets' order reaches what they do.

A set of objects without a hash of their own is ordered by their addresses, which differ in every process. Anyio cancels its scopes and
aiohttp closes its connections in such an order; kopf lists what has changed in the order of strings' hashes, which differ as well.
"""
from __future__ import annotations

import sys
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import aiohttp.connector
from anyio._backends import _asyncio as anyio_asyncio

NAMES: Final = ((anyio_asyncio.__name__, "set"), (aiohttp.connector.__name__, "set"), ("kopf._cogs.structs.diffs", "frozenset"))
"""Modules, and what they call the sets that they make."""


class OrderedSet(dict[Any, None]):
    """What those modules use of a set."""

    def __init__(self, items: Iterable[Any] = ()) -> None:
        for item in items:
            self[item] = None

    def __sub__(self, other: Iterable[Any]) -> OrderedSet:
        return OrderedSet(item for item in self if item not in other)

    def __and__(self, other: Iterable[Any]) -> OrderedSet:
        return OrderedSet(item for item in self if item in other)

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
    present = [(sys.modules[module].__dict__, name) for module, name in NAMES if module in sys.modules]
    for namespace, name in present:
        namespace[name] = OrderedSet
    try:
        yield
    finally:
        for namespace, name in present:
            namespace.pop(name, None)
