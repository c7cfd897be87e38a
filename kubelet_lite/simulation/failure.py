"""How a run failed, as data: what a replay file and a recording keep of an exception, and when two failures count as the same one."""
from __future__ import annotations

from collections.abc import Sequence

import msgspec

from kubelet_lite.simulation.invariant import InvariantViolated


class Failure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    kind: str
    """The exception's type: `InvariantViolated`, `builtins.TimeoutError`, `tests.test_x.Lost`."""
    text: str
    invariant: str = ""
    """The name of the one that was violated."""
    revision: int = 0
    """At which it was seen; 0: at an instant, or at the end."""
    time: float = 0.0
    """In virtual Unix seconds; 0: not known."""

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """A group with a single exception, as task groups raise, stands for that one."""
        error = lone(error)
        if isinstance(error, InvariantViolated):
            return cls(kind="InvariantViolated", text=error.why, invariant=error.invariant, revision=error.revision, time=error.time)
        return cls(kind=f"{type(error).__module__}.{type(error).__qualname__}", text=str(error))

    def is_same(self, other: Failure | None) -> bool:
        """Whether the same invariant was violated, or the same type of exception raised."""
        return other is not None and (self.kind, self.invariant) == (other.kind, other.invariant)

    def __str__(self) -> str:
        name = self.invariant or self.kind.removeprefix("builtins.")
        return f"{name}: {self.text}" if self.text else name


def lone(error: BaseException, whole: Sequence[BaseException] = ()) -> BaseException:
    """The one exception of a group, or the group of several. `whole`: groups that are what they are."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1 and error not in whole:
        error = error.exceptions[0]
    return error
