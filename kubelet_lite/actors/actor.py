"""What an actor is: a name, one `run` in the supervisor's task group, and statistics.

Its state is rebuilt at every start (from list and watch): crash-only. https://www.usenix.org/conference/hotos-ix/crash-only-software
"""
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Final

current_actor: Final[ContextVar[str]] = ContextVar("current_actor", default="")
"""The name of the actor that runs here, in its child tasks too; "" outside of every actor. For messages, not for decisions."""


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
