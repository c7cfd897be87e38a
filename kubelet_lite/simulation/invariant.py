"""What must hold in every run, watched at every revision: the form of all invariants, and how a user states one as a plain function.

`invariants/` has those that Kubernetes promises by name.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable

from kubelet_lite.simulation.archive import Revision
from kubelet_lite.simulation.errors import SimulationFailed
from kubelet_lite.simulation.snapshot import Snapshot

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

    def at_end(self, snapshot: Snapshot, now: float) -> Iterable[str]:
        """The run is over."""
        return ()


InvariantMaker = Callable[[], Invariant]
"""A subclass of Invariant, or what `always`, `never` and `eventually` make of a function."""


class _Always(Invariant):
    def __init__(self, name: str, holds: Holds, wanted: bool) -> None:
        self.name = name
        self._holds = holds
        self._wanted = wanted

    def on_instant(self, snapshot: Snapshot, now: float) -> Iterable[str]:
        why = _why_not(self._holds(snapshot)) if self._wanted else _why_not(not self._holds(snapshot))
        if why:
            yield why


class _Eventually(Invariant):
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
    return lambda: _Always(name or f"always {_named(holds)}", holds, True)


def never(happens: Callable[[Snapshot], bool], *, name: str = "") -> InvariantMaker:
    """Holds at no such instant."""
    return lambda: _Always(name or f"never {_named(happens)}", happens, False)


def eventually(holds: Holds, *, within: float, given: Callable[[Snapshot], bool] | None = None, name: str = "") -> InvariantMaker:
    """Whenever `given` holds (None: at all times), `holds` does within so many virtual seconds, or `given` ends."""
    return lambda: _Eventually(name or f"eventually {_named(holds)}", holds, within, given)


def _named(function: Callable[..., object]) -> str:
    return getattr(function, "__name__", repr(function))


def _why_not(answer: bool | str | None) -> str:
    if isinstance(answer, str):
        return answer
    return "" if answer is None or answer else "it does not hold"
