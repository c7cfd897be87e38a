"""What an actor is: a name, one `run` in the supervisor's task group, and statistics.

Its state is rebuilt at every start (from list and watch): crash-only. https://www.usenix.org/conference/hotos-ix/crash-only-software
"""
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Final

import anyio


class Incarnation:
    """One run of an actor, from a start to a crash or the end."""

    def __init__(self, actor: str) -> None:
        self.actor = actor
        self.scope = anyio.CancelScope()
        self.on_kill: Callable[[], None] | None = None
        """Called when it is killed, before its tasks hear of it."""

    def kill(self) -> None:
        """Ends this run at its tasks' next awaits; to the supervisor that is a crash like any other."""
        if self.on_kill is not None:
            self.on_kill()
        self.scope.cancel()


current_incarnation: Final[ContextVar[Incarnation | None]] = ContextVar("current_incarnation", default=None)
"""The run of an actor in which this code is, in its child tasks too; None outside of every actor. Nothing is decided by it."""


def current_actor() -> str:
    """The name of the actor in which this code runs, for messages; "" outside of every actor."""
    incarnation = current_incarnation.get()
    return "" if incarnation is None else incarnation.actor


class Actor(ABC):
    """Subclasses receive a batch, call a pure core and carry out the result."""

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    async def run(self) -> None:
        """Runs until cancelled, or until its work is done (then it is not started again).

        An exception is a crash: the supervisor calls `run` again on the same object, which must start as if new.
        """

    def statistics(self) -> Mapping[str, float]:
        """Numbers for people and metrics; each name ends in its unit where it has one."""
        return {}
