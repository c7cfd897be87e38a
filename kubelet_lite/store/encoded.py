"""Encodings of objects, made at most once while they are in use and shared by whoever sends them."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

Encode = Callable[[Any], bytes]

ENTRY_BYTES: Final = 256
"""What an entry costs beside its bytes: tuple, struct, headers and two slots of a dict."""


class _Entry(msgspec.Struct, frozen=True, gc=False, eq=False):
    object: Any
    body: bytes


class EncodedCache:
    """Bounded in bytes; what was not asked for longest goes first, half the bound at a time.

    Found by the identity of the object, which an entry keeps alive: two objects never share bytes, whatever revision they claim
    (the answer to a dry run has the revision of the stored object and other content).
    """

    def __init__(self, limit_bytes: int) -> None:
        self._half = limit_bytes // 2
        self._young: dict[tuple[int, Encode], _Entry] = {}
        """Asked for since the last change of generation; the old ones are those asked for in the generation before only."""
        self._old: dict[tuple[int, Encode], _Entry] = {}
        self._young_bytes = 0
        self._old_bytes = 0
        self.encoded = 0
        """How often something had to be encoded."""

    @property
    def size_bytes(self) -> int:
        return self._young_bytes + self._old_bytes

    def get(self, obj: Any, encode: Encode) -> bytes:
        entry = self._young.get((id(obj), encode))
        return self._get_old(obj, encode) if entry is None else entry.body

    def _get_old(self, obj: Any, encode: Encode) -> bytes:
        key = (id(obj), encode)
        entry = self._old.pop(key, None)
        if entry is not None:
            self._old_bytes -= len(entry.body) + ENTRY_BYTES
        else:
            self.encoded += 1
            entry = _Entry(obj, encode(obj))
        size = len(entry.body) + ENTRY_BYTES
        if size > self._half:
            return entry.body
        if self._young_bytes + size > self._half:
            self._old, self._old_bytes = self._young, self._young_bytes
            self._young, self._young_bytes = {}, 0
        self._young[key] = entry
        self._young_bytes += size
        return entry.body
