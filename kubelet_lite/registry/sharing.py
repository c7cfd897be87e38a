"""Equal parts of many objects are stored once: the spec of 1,000 pods of one Deployment, their labels, their managedFields.

What is shared is found again by identity, so what was computed of it (checks, defaults) is remembered by identity too.
"""
from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import wraps
from typing import Any, Final, Generic, TypeVar

import msgspec

from kubelet_lite.api._generated.base import encode_nil

MAX_SHARED_VALUES: Final = 8192
"""Distinct values known at a time in each of two generations; a value not asked for during a whole generation is forgotten (not dropped:
who holds it keeps it)."""
MAX_SHARED_BYTES: Final = 16 * 1024
"""Larger values are rarely equal, and their encoding costs more than it can save."""

T = TypeVar("T")
_ENCODE: Final = msgspec.msgpack.Encoder(enc_hook=encode_nil).encode


class Shares:
    """One registry's shared values."""

    def __init__(self) -> None:
        self._young: dict[tuple[type, bytes], Any] = {}
        self._old: dict[tuple[type, bytes], Any] = {}

    def share(self, value: T) -> T:
        """The first value equal to this one that was seen, or this one. Dicts with another order of keys are other values."""
        code = _ENCODE(value)
        if len(code) > MAX_SHARED_BYTES:
            return value
        key = (type(value), code)
        found: T | None = self._young.get(key)
        if found is not None:
            return found
        found = self._old.get(key)
        if found is None:
            found = value
        if len(self._young) >= MAX_SHARED_VALUES:
            self._old, self._young = self._young, {}
        self._young[key] = found
        return found


class Recurring(Generic[T]):
    """What was worked out for keys that come again, `size` at most. A key that came once is known by its hash alone: most never return."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._values: dict[Hashable, T] = {}
        self._seen: dict[int, None] = {}

    def get(self, key: Hashable) -> T | None:
        return self._values.get(key)

    def add(self, key: Hashable, value: T) -> None:
        code = hash(key)
        if code in self._seen:
            if len(self._values) >= self._size:
                self._values.clear()
            self._values[key] = value
        else:
            if len(self._seen) >= 4 * self._size:
                self._seen.clear()
            self._seen[code] = None

    def clear(self) -> None:
        self._values.clear()
        self._seen.clear()


def by_identity(size: int) -> Callable[[Callable[[Any], T]], Callable[[Any], T]]:
    """Remembers the results of a pure function of one immutable value, by the value's identity; `size` at most."""

    def decorate(function: Callable[[Any], T]) -> Callable[[Any], T]:
        known: dict[int, tuple[Any, T]] = {}

        @wraps(function)
        def remembered(value: Any) -> T:
            found = known.get(id(value))
            if found is not None:  # the entry keeps its value alive, so its id is still its own
                return found[1]
            result = function(value)
            if len(known) >= size:
                known.clear()
            known[id(value)] = (value, result)
            return result

        return remembered

    return decorate
