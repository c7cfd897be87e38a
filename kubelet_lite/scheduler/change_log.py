"""What changed, in order, as far as it is remembered: who has looked before asks for what is new since then."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class ChangeLog(Generic[T]):
    """`limit`: of changes that are remembered; beyond it the older half of them is forgotten."""

    __slots__ = ("_forgotten", "_kept", "_limit")

    def __init__(self, limit: int) -> None:
        self._kept: list[T] = []
        self._limit, self._forgotten = limit, 0

    def add(self, what: T) -> None:
        self._kept.append(what)
        if len(self._kept) > self._limit:
            half = self._limit // 2
            del self._kept[:half]
            self._forgotten += half

    @property
    def count(self) -> int:
        """How many there ever were."""
        return self._forgotten + len(self._kept)

    def since(self, count: int) -> Sequence[T] | None:
        """Those after the first `count`; None: some of them are forgotten."""
        return self._kept[count - self._forgotten:] if count >= self._forgotten else None
