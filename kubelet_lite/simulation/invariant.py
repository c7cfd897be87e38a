"""What must hold in every run, watched at every revision: the form of all invariants, and how a user states one as a plain function.

`invariants/` has those that Kubernetes promises by name.
"""
from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

from msgspec import Meta

from kubelet_lite.simulation.archive import Revision
from kubelet_lite.simulation.checked import Seconds, checked, shown
from kubelet_lite.simulation.errors import SimulationFailed
from kubelet_lite.simulation.snapshot import Snapshot

if TYPE_CHECKING:
    from kubelet_lite.simulation.simulation import Simulation

T = TypeVar("T")
Holds = Annotated[Callable[[Snapshot], bool | str | None], Meta(description="a function over a snapshot, not async,")]
"""True or None or "": it holds; False or a text: it does not, and why."""
Happens = Annotated[Callable[[Snapshot], bool | str | None], Meta(description="a function over a snapshot, not async,")]
"""True or a text: it happens, and what; False or None or "": it does not."""
Condition = Annotated[Callable[[Snapshot], object], Meta(description="a function over a snapshot, not async,")]
"""Whatever counts as true: it holds."""

CLOCK_STEP: Final = 1e-6
"""Two moments in Unix seconds, as floats, are no better told apart."""


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
    answers: tuple[type, ...] = ()
    """Classes of `answers` that it is told of; none: of all."""

    def on_revision(self, revision: Revision, before: Snapshot) -> Iterable[str]:
        """One change. `before`: what was there; it does not hold the change yet."""
        return ()

    def on_instant(self, snapshot: Snapshot, now: float) -> Iterable[str]:
        """Nothing more happens at this virtual moment, and something of its resources was written."""
        return ()

    def on_answer(self, answer: Any, snapshot: Snapshot) -> Iterable[str]:
        """What the API answered (an `answers.Answer`). `snapshot`: what was there then."""
        return ()

    def at_rest(self, simulation: Simulation) -> Iterable[str]:
        """No fault is at work, and nothing has been written for long: what is true of a cluster that was left alone."""
        return ()

    def at_end(self, snapshot: Snapshot, now: float) -> Iterable[str]:
        """The run is over."""
        return ()


InvariantMaker = Annotated[Callable[[], Invariant], Meta(description="an Invariant, or always(f), never(f) or eventually(f, within=…) for a function over a snapshot,")]
"""A subclass of Invariant, or what `always`, `never` and `eventually` make of a function: a partial, so that a replay file can name it."""
InvariantList = Annotated[Sequence[InvariantMaker], Meta(description="a list of invariants")]


class Always(Invariant):
    """What `always` makes."""

    def __init__(self, name: str, holds: Holds) -> None:
        self.name = name
        self._holds = holds

    def on_instant(self, snapshot: Snapshot, now: float) -> Iterable[str]:
        why = _why_not(self._holds, snapshot)
        if why:
            yield why


class Never(Invariant):
    """What `never` makes."""

    def __init__(self, name: str, happens: Happens) -> None:
        self.name = name
        self._happens = happens

    def on_instant(self, snapshot: Snapshot, now: float) -> Iterable[str]:
        what = _said(self._happens, snapshot)
        if what:
            yield what if isinstance(what, str) else "it happens"


class Eventually(Invariant):
    """What `eventually` makes."""

    def __init__(self, name: str, holds: Holds, within: float, given: Condition | None) -> None:
        self.name = name
        self._holds = holds
        self._within = within
        self._given = given
        self._since: float | None = None
        """When what is given began and what must follow did not hold."""
        self._why = ""
        """Why it did not, the last time that anybody looked."""

    def on_instant(self, snapshot: Snapshot, now: float) -> Iterable[str]:
        return self._look(snapshot, now)

    def at_end(self, snapshot: Snapshot, now: float) -> Iterable[str]:
        yield from self._look(snapshot, now)

    def _look(self, snapshot: Snapshot, now: float) -> Iterable[str]:
        """Between two looks nothing is written: until now it was as it was the last time, whatever it is now."""
        why = _why_not(self._holds, snapshot) if self._given is None or judged(self._given(snapshot), self._given) else ""
        if self._since is None:
            self._since = now
        if now - self._since > self._within + CLOCK_STEP:
            yield f"not within {self._within:g} s: {self._why}"
        self._why = why
        if not why:
            self._since = None


@checked
def always(holds: Holds, *, name: str = "") -> InvariantMaker:
    """Holds at the end of every instant at which something was written."""
    return partial(Always, name=name or f"always {_named(holds)}", holds=holds)


@checked
def never(happens: Happens, *, name: str = "") -> InvariantMaker:
    """Happens at no such instant."""
    return partial(Never, name=name or f"never {_named(happens)}", happens=happens)


@checked
def eventually(holds: Holds, *, within: Seconds, given: Condition | None = None, name: str = "") -> InvariantMaker:
    """Whenever `given` holds (None: at all times), `holds` does within so many virtual seconds, or `given` ends."""
    return partial(Eventually, name=name or f"eventually {_named(holds)}", holds=holds, within=within, given=given)


def made(makers: Sequence[InvariantMaker]) -> list[Invariant]:
    """Of each the invariant for one run. Raises TypeError for what makes none."""
    found = []
    for position, maker in enumerate(makers):
        invariant = maker()
        if not isinstance(invariant, Invariant):
            raise TypeError(f"invariants[{position}]: {_named(maker)} made {invariant!r}, which is no Invariant")
        found.append(invariant)
    return found


def judged(answer: T, function: Callable[..., object]) -> T:
    """What a function over a snapshot answered. Raises TypeError for an awaitable, which is true whatever comes of it."""
    if inspect.isawaitable(answer):
        if inspect.iscoroutine(answer):
            answer.close()
        raise TypeError(f"{shown(function)} answered with {answer!r}: a function over a snapshot must not be async")
    return answer


def _said(function: Callable[[Snapshot], bool | str | None], snapshot: Snapshot) -> bool | str | None:
    """A truth, a text or None. Raises TypeError for anything else: a list of what is wrong would be true."""
    answer = judged(function(snapshot), function)
    if answer is not None and not isinstance(answer, bool | str):
        raise TypeError(f"{shown(function)} answered with {shown(answer)}: a truth, a text or None is wanted")
    return answer


def _named(function: Callable[..., object]) -> str:
    return getattr(function, "__name__", repr(function))


def _why_not(function: Callable[[Snapshot], bool | str | None], snapshot: Snapshot) -> str:
    answer = _said(function, snapshot)
    if isinstance(answer, str):
        return answer
    return "" if answer is None or answer else "it does not hold"
