"""A store that notices who changes an object that is shared (for tests and simulation: every read encodes again).

Frozen is shallow: the dicts inside an object can still be written to, and whoever does so changes what everybody else sees.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import msgspec

from kubelet_lite.actors.actor import current_actor
from kubelet_lite.store.event import Event
from kubelet_lite.store.keys import Key
from kubelet_lite.store.limits import Limits
from kubelet_lite.store.log import Selector
from kubelet_lite.store.store import Store
from kubelet_lite.store.table import Page, Table
from kubelet_lite.store.watch import BATCH, Accepts, WatchChannel

SHOWN: Final = 80
"""Characters of an encoding that a message shows around the first difference."""


class SharedObjectChanged(AssertionError):
    """An object was changed after it was stored."""


class _Lent(msgspec.Struct):
    object: Any
    key: Key
    revision: int
    encoded: bytes
    writer: str
    holders: dict[str, None]
    """Who has been handed it, in order."""


class CheckedStore(Store):
    """Promises, beside what a store promises: an object that was changed raises SharedObjectChanged when it is next handed out, and when
    the limits are looked at; the error names everybody who has had it."""

    def __init__(self, limits: Limits = Limits(), *, now: Callable[[], float], encode: Callable[[Any], bytes] = msgspec.json.encode) -> None:
        super().__init__(limits, now=now)
        self._encode = encode
        self._lent: dict[int, _Lent] = {}
        """By identity: every object that is live or in history."""

    def put(self, key: Key, obj: Any, *, expected: int) -> int:
        return self._keep(key, obj, super().put(key, obj, expected=expected))

    def delete(self, key: Key, *, expected: int, final: Any) -> int:
        return self._keep(key, final, super().delete(key, expected=expected, final=final))

    def get(self, key: Key, revision: int | None = None) -> Any | None:
        obj = super().get(key, revision)
        self.hand_out((obj,))
        return obj

    def list(
        self, resource: str, namespace: str = "", *, revision: int | None = None, after: tuple[str, str] | None = None, limit: int = 0,
        field: tuple[str, str] | None = None,
    ) -> Page:
        page = super().list(resource, namespace, revision=revision, after=after, limit=limit, field=field)
        self.hand_out(page.items)
        return page

    def enforce_limits(self) -> bool:
        self.check_all()
        more = super().enforce_limits()
        self._lent = {identity: lent for identity, lent in self._lent.items() if self._is_kept(lent)}
        return more

    def hand_out(self, objects: Iterable[Any | None]) -> None:
        """Checks objects and notes who gets them."""
        who = _who()
        for obj in objects:
            lent = self._lent.get(id(obj))
            if lent is not None:
                self._check(lent)
                lent.holders[who] = None

    def check_all(self) -> None:
        """Checks everything that is live or in history."""
        for lent in self._lent.values():
            self._check(lent)

    def _channel(self, table: Table, selector: Selector, accepts: Accepts | None, after: int) -> WatchChannel:
        channel = _CheckedChannel(table.log, selector, accepts, after, self._head, self._bell)
        channel.hand_out = self.hand_out
        return channel

    def _keep(self, key: Key, obj: Any, revision: int) -> int:
        self._lent[id(obj)] = _Lent(obj, key, revision, self._encode(obj), _who(), {})
        return revision

    def _check(self, lent: _Lent) -> None:
        encoded = self._encode(lent.object)
        if encoded != lent.encoded:
            holders = ", ".join(lent.holders) or "nobody"
            raise SharedObjectChanged(
                f"{lent.key} at revision {lent.revision} was changed by one who shares it: written by {lent.writer}, "
                f"handed to {holders}. {_difference(lent.encoded, encoded)}"
            )

    def _is_kept(self, lent: _Lent) -> bool:
        table = self._tables[lent.key.resource]
        return lent.revision > table.log.compacted or table.get(lent.key) is lent.object


class _CheckedChannel(WatchChannel):
    hand_out: Callable[[Iterable[Any | None]], None]

    def poll(self, limit: int = BATCH) -> Sequence[Event]:
        batch = super().poll(limit)
        self.hand_out(obj for event in batch for obj in (event.object, event.previous, event.final))
        return batch


def _who() -> str:
    return current_actor() or "somebody outside of every actor"


def _difference(before: bytes, after: bytes) -> str:
    """Where two encodings part."""
    same = next((i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), min(len(before), len(after)))
    start = max(0, same - SHOWN // 2)
    shown = [encoded[start:start + SHOWN].decode(errors="replace") for encoded in (before, after)]
    return f"It was …{shown[0]}… and is …{shown[1]}…"
