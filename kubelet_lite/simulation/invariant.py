"""What must hold in every run, watched at every revision: the form of all invariants, and how a user states one as a plain function.

`invariants/` has those that Kubernetes promises by name.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from kubelet_lite.simulation.archive import Revision
from kubelet_lite.simulation.errors import SimulationFailed
from kubelet_lite.simulation.snapshot import Snapshot

if TYPE_CHECKING:
    from kubelet_lite.simulation.simulation import Simulation

Holds = Callable[[Snapshot], bool | str | None]
"""True or None or "": it holds; False or a text: it does not, and why."""


class InvariantViolated(SimulationFailed):
    """`invariant`: its name; `revision`: the one at which it was seen (0: at an instant or the end); `time`: virtual Unix seconds."""

    def __init__(self, invariant: str, why: str, *, revision: int = 0, time: float = 0.0) -> None:
        super().__init__(f"{invariant}: {why}")
        self.invariant = invariant
        self.why = why
        self.revision = revision
        self.time = time


class Breach(str):
    """What is wrong, by the name of the rule that it breaks: of an Invariant that watches over several which share what they know."""

    rule: str

    def __new__(cls, rule: str, why: str) -> Breach:
        made = super().__new__(cls, why)
        made.rule = rule
        return made


class Invariant:
    """One run's watch over one rule; made anew for each run. Each method yields what is wrong, in words that name the object."""

    name = ""
    resources: tuple[str, ...] = ()
    """Qualified names (`pods`, `deployments.apps`) of the kinds whose changes it is told of; none: of all."""

    def on_revision(self, revision: Revision, before: Snapshot) -> Iterable[str]:
        """One change. `before`: what was there; it does not hold the change yet."""
        return ()

    def on_instant(self, snapshot: Snapshot, now: float) -> Iterable[str]:
        """Nothing more happens at this virtual moment, and something of its resources was written."""
        return ()

    def on_answer(self, answer: Any, snapshot: Snapshot) -> Iterable[str]:
        """What the API answered (an `answers.Answer`), of whatever kind. `snapshot`: what was there then."""
        return ()

    def at_rest(self, simulation: Simulation) -> Iterable[str]:
        """No fault is at work, and nothing has been written for long: what is true of a cluster that was left alone."""
        return ()

    def at_end(self, snapshot: Snapshot, now: float) -> Iterable[str]:
        """The run is over."""
        return ()


InvariantMaker = Callable[[], Invariant]
"""A subclass of Invariant, or what `always`, `never` and `eventually` make of a function: a partial, so that a replay file can name it."""


class Always(Invariant):
    """What `always` and `never` make."""

    def __init__(self, name: str, holds: Holds, wanted: bool) -> None:
        self.name = name
        self._holds = holds
        self._wanted = wanted

    def on_instant(self, snapshot: Snapshot, now: float) -> Iterable[str]:
        why = _why_not(self._holds(snapshot)) if self._wanted else _why_not(not self._holds(snapshot))
        if why:
            yield why


class Eventually(Invariant):
    """What `eventually` makes."""

    def __init__(self, name: str, holds: Holds, within: float, given: Callable[[Snapshot], bool] | None) -> None:
        self.name = name
        self._holds = holds
        self._within = within
        self._given = given
        self._since: float | None = None
        """When what is given began and what must follow did not hold."""

    def on_instant(self, snapshot: Snapshot, now: float) -> Iterable[str]:
        return self._look(snapshot, now)

    def at_end(self, snapshot: Snapshot, now: float) -> Iterable[str]:
        yield from self._look(snapshot, now)

    def _look(self, snapshot: Snapshot, now: float) -> Iterable[str]:
        why = _why_not(self._holds(snapshot)) if self._given is None or self._given(snapshot) else ""
        if not why:
            self._since = None
            return
        if self._since is None:
            self._since = now
        if now - self._since > self._within:
            yield f"not within {self._within:g} s: {why}"


def always(holds: Holds, *, name: str = "") -> InvariantMaker:
    """Holds at the end of every instant at which something was written."""
    return partial(Always, name=name or f"always {_named(holds)}", holds=holds, wanted=True)


def never(happens: Callable[[Snapshot], bool], *, name: str = "") -> InvariantMaker:
    """Holds at no such instant."""
    return partial(Always, name=name or f"never {_named(happens)}", holds=happens, wanted=False)


def eventually(holds: Holds, *, within: float, given: Callable[[Snapshot], bool] | None = None, name: str = "") -> InvariantMaker:
    """Whenever `given` holds (None: at all times), `holds` does within so many virtual seconds, or `given` ends."""
    return partial(Eventually, name=name or f"eventually {_named(holds)}", holds=holds, within=within, given=given)


def _named(function: Callable[..., object]) -> str:
    return getattr(function, "__name__", repr(function))


def _why_not(answer: bool | str | None) -> str:
    if isinstance(answer, str):
        return answer
    return "" if answer is None or answer else "it does not hold"
