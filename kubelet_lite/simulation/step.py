"""What happens to a run from outside: data, in the order of time, drawn or written down, to be shrunk and replayed.

A `Call` is what a user does (calls.py), a `Fault` what goes wrong (faults/).
"""
from __future__ import annotations

from abc import abstractmethod
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, ClassVar

from kubelet_lite.simulation.checked import Checked, Name, Seconds

if TYPE_CHECKING:
    from kubelet_lite.simulation.simulation import Simulation
    from kubelet_lite.simulation.snapshot import Snapshot


class Step(Checked, frozen=True, kw_only=True, omit_defaults=True, tag_field="step"):
    """`at`: virtual seconds after the cluster became ready. Two at one moment happen in the order in which they are listed."""

    at: Seconds = 0.0

    def may_begin(self, simulation: Simulation) -> bool:
        """Whether whom it is about is there. Steps come before the scenario, which may start programs: it begins late, then, or with its end."""
        return True

    @abstractmethod
    async def play(self, simulation: Simulation) -> None:
        """Makes it happen; returns when it is over. What a call raises (an ApiError) is an answer, told in the story, and no failure."""

    def __str__(self) -> str:
        """In a story: a short sentence without its time."""
        return repr(self)


class Call(Step, frozen=True, kw_only=True):
    """What a user does through the API."""


class Fault(Step, frozen=True, kw_only=True):
    """`part`: whom it strikes, the name of an actor or a pattern of names as in a shell (`kubelet-*`). `seconds`: how long it lasts.

    A run fails in which it strikes nothing, unless it `may_miss`, as one that was drawn may.
    """

    victims: ClassVar[str] = "*"
    """A pattern of the parts that such a fault can strike."""
    part: Name = "*"
    seconds: Seconds = 0.0
    may_miss: bool = False

    def check_names(self, snapshot: Snapshot) -> None:
        """Raises ValueError where it names what this cluster never had; asked when the run is over, of whatever may come late."""

    def may_strike(self, part: str) -> bool:
        return fnmatchcase(part, self.part) and fnmatchcase(part, self.victims)
