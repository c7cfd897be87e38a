"""Remembers what was computed of a pod's spec. Pods of one template share their spec, and what comes over the wire is equal to what came before.

A spec is looked up by identity first, then by its encoding; both are exact. What is computed must depend on the spec alone.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, TypeVar

import msgspec

from kubelet_lite.api._generated.base import encode_nil
from kubelet_lite.api.core_v1 import PodSpec

MOST_SPECS: Final = 2048
"""How many distinct specs one memo keeps; the oldest goes first. A cluster has about one for each workload."""
T = TypeVar("T")
_encode: Final = msgspec.json.Encoder(enc_hook=encode_nil).encode


class SpecMemo(Generic[T]):
    def __init__(self) -> None:
        self._by_identity: dict[int, tuple[PodSpec, T]] = {}  # the spec is kept with it, so that its id stays its own
        self._by_encoding: dict[bytes, T] = {}

    def get(self, spec: PodSpec, compute: Callable[[PodSpec], T]) -> T:
        known = self._by_identity.get(id(spec))
        if known is not None:
            return known[1]
        key = _encode(spec)
        try:
            result = self._by_encoding[key]
        except KeyError:
            result = compute(spec)
            _make_room(self._by_encoding)
            self._by_encoding[key] = result
        _make_room(self._by_identity)
        self._by_identity[id(spec)] = (spec, result)
        return result


def _make_room(entries: dict[T, object] | dict[bytes, T] | dict[int, tuple[PodSpec, T]]) -> None:
    if len(entries) >= MOST_SPECS:
        del entries[next(iter(entries))]  # type: ignore[arg-type]
