"""What must hold in every run, watched at every revision: the form of all invariants, and how a user states one as a plain function.

`invariants/` has those that Kubernetes promises by name.
"""
from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from kubelet_lite.simulation.archive import Revision
from kubelet_lite.simulation.errors import SimulationFailed
from kubelet_lite.simulation.snapshot import Snapshot

if TYPE_CHECKING:
    from kubelet_lite.simulation.simulation import Simulation

T = TypeVar("T")
Holds = Callable[[Snapshot], bool | str | None]
"""True or None or "": it holds; False or a text: it does not, and why."""
Happens = Callable[[Snapshot], bool | str | None]
"""True or a text: it happens, and what; False or None or "": it does not."""

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


REMEMBERED: Final = 1024
"""Makers of which it is known whether they can be called without arguments: finding out takes longer than many a run."""
InvariantMaker = Callable[[], Invariant]
"""A subclass of Invariant, or what `always`, `never` and `eventually` make of a function: a partial, so that a replay file can name it."""


class Always(Invariant):
    """What `always` makes."""

    def __init__(self, name: str, holds: Holds) -> None:
        self.name = name
        self._holds = holds

    def on_instant(self, snapshot: Snapshot, now: float) -> Iterable[str]:
        why = _why_not(self._holds(snapshot))
        if why:
            yield why


class Never(Invariant):
    """What `never` makes."""

    def __init__(self, name: str, happens: Happens) -> None:
        self.name = name
        self._happens = happens

    def on_instant(self, snapshot: Snapshot, now: float) -> Iterable[str]:
        what = judged(self._happens(snapshot))
        if what:
            yield what if isinstance(what, str) else "it happens"


class Eventually(Invariant):
    """What `eventually` makes."""

    def __init__(self, name: str, holds: Holds, within: float, given: Callable[[Snapshot], bool] | None) -> None:
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
        why = _why_not(self._holds(snapshot)) if self._given is None or judged(self._given(snapshot)) else ""
        if self._since is None:
            self._since = now
        if now - self._since > self._within + CLOCK_STEP:
            yield f"not within {self._within:g} s: {self._why}"
        self._why = why
        if not why:
            self._since = None


def always(holds: Holds, *, name: str = "") -> InvariantMaker:
    """Holds at the end of every instant at which something was written."""
    _check_function("always", holds)
    return partial(Always, name=name or f"always {_named(holds)}", holds=holds)


def never(happens: Happens, *, name: str = "") -> InvariantMaker:
    """Happens at no such instant."""
    _check_function("never", happens)
    return partial(Never, name=name or f"never {_named(happens)}", happens=happens)


def eventually(holds: Holds, *, within: float, given: Callable[[Snapshot], bool] | None = None, name: str = "") -> InvariantMaker:
    """Whenever `given` holds (None: at all times), `holds` does within so many virtual seconds, or `given` ends."""
    _check_function("eventually", holds)
    if given is not None:
        _check_function("eventually: given", given)
    if isinstance(within, bool) or not isinstance(within, int | float):
        raise TypeError(f"eventually: within takes seconds, not {within!r}")
    if not 0 <= within < float("inf"):
        raise ValueError(f"eventually: within={within!r}: a number of seconds from 0 on is wanted")
    return partial(Eventually, name=name or f"eventually {_named(holds)}", holds=holds, within=within, given=given)


def made(makers: Sequence[InvariantMaker]) -> list[Invariant]:
    """Of each maker the invariant for one run. Raises TypeError for what makes none."""
    found = []
    for position, maker in enumerate(makers):
        if not callable(maker):
            raise TypeError(f"invariants[{position}]: {maker!r} makes no invariant")
        if not _takes_nothing(maker):
            raise TypeError(
                f"invariants[{position}]: {_named(maker)} takes arguments: say always(f), never(f) or eventually(f, within=…) for a function over a snapshot"
            )
        invariant = maker()
        if not isinstance(invariant, Invariant):
            raise TypeError(f"invariants[{position}]: {_named(maker)} made {invariant!r}, which is no Invariant")
        found.append(invariant)
    return found


def judged(answer: T) -> T:
    """What a function over a snapshot answered. Raises TypeError for an awaitable, which is true whatever comes of it."""
    if inspect.isawaitable(answer):
        if inspect.iscoroutine(answer):
            answer.close()
        raise TypeError(f"a function over a snapshot answered with {answer!r}: it must not be async")
    return answer


def _check_function(where: str, function: object) -> None:
    if not callable(function):
        raise TypeError(f"{where}: {function!r} is no function over a snapshot")
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__):
        raise TypeError(f"{where}: {_named(function)} is async: what is judged at an instant cannot wait")


@lru_cache(maxsize=REMEMBERED)
def _takes_nothing(function: Callable[..., object]) -> bool:
    """Whether it can be called without arguments, as far as it says."""
    try:
        inspect.signature(function).bind()
    except TypeError:
        return False
    except ValueError:  # many a built-in one does not say
        return True
    return True


def _named(function: Callable[..., object]) -> str:
    return getattr(function, "__name__", repr(function))


def _why_not(answer: bool | str | None) -> str:
    if isinstance(judged(answer), str):
        return str(answer)
    return "" if answer is None or answer else "it does not hold"
