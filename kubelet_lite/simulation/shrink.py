"""Makes a failing case smaller: fewer steps, simpler values in them, faults that strike less, fewer unusual decisions, plain streams.

Pure and deterministic.

Steps and decisions are taken away by delta debugging (Zeller and Hildebrandt, https://doi.org/10.1109/32.988498); all in turn, until
nothing more can be taken away or the budget is spent. How many plays it takes, not how long, ends it: the same case, the same answer.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final, TypeVar

import msgspec
from msgspec.structs import fields, replace

from kubelet_lite.simulation.checked import Count, checked
from kubelet_lite.simulation.errors import FaultNotFired
from kubelet_lite.simulation.failure import Failure, lone
from kubelet_lite.simulation.simulation import Met, Run, play
from kubelet_lite.simulation.step import Fault, Step
from kubelet_lite.simulation.virtual.tape import Decisions

T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)

BUDGET: Final = 400
"""Plays: at the ten a second of a small cluster less than a minute."""
ROUNDS: Final = 20
"""Each takes something away; a limit all the same."""
SCOPES: Final = ("part", "verbs", "resources")
"""Of a fault: what they name becomes less, never more."""
COUNTED_DOWN: Final = 10
"""Whole numbers up to here are tried one by one: they are counts of something."""
_Decision = tuple[str, int, int]


class Case(msgspec.Struct, frozen=True):
    """What shrinks."""

    steps: tuple[Step, ...] = ()
    decisions: Decisions = {}
    plain: frozenset[str] = frozenset()
    """Streams whose every fraction is 0."""


class Shrunk(msgspec.Struct, frozen=True):
    case: Case
    plays: int
    """How often it was tried."""
    finished: bool
    """Whether nothing more can be taken away; else the budget ended it."""


def shrink(
    case: Case, fails: Callable[[Case], bool], *, streams: Sequence[str] = (), met: Met = Met(), budget: int = BUDGET,
) -> Shrunk:
    """The smallest case found for which `fails` still says yes, as it must for the one given. `streams`: what may be made plain; `met`: what
    faults may be narrowed to."""
    trial = _Trial(case, fails, budget)
    trial.take(replace(case, decisions={}))
    finished = False
    for _ in range(ROUNDS):
        before = trial.best
        _fewer_steps(trial)
        _simpler_steps(trial)
        _narrower_faults(trial, met)
        _fewer_decisions(trial)
        _plainer_streams(trial, streams)
        finished = trial.best is before and trial.left > 0
        if trial.best is before or trial.left <= 0:
            break
    return Shrunk(trial.best, budget - trial.left, finished)


@checked
def shrink_run(run: Run, *, budget: Count = BUDGET) -> tuple[Run, Shrunk]:
    """A failed run made smaller, played once more; it fails in the same way. One whose scenario is not known comes back as it is,
    and so does one that failed since a fault struck nothing."""
    if run.error is None:
        raise ValueError("shrink_run: run has not failed: there is nothing to make smaller")
    case = Case(run.steps, run.decisions, run.plain)
    scenario, failure = run.scenario, Failure.of(run.error)
    if scenario is None or isinstance(lone(run.error), FaultNotFired):  # with less in it, a run shows even less
        return run, Shrunk(case, 0, False)

    def played(case: Case) -> Run:
        return play(
            scenario, seed=run.seed, setting=run.setting, steps=case.steps, decisions=case.decisions, plain=case.plain,
            invariants=run.invariants, behaviour=run.behaviour,
        )

    def fails(case: Case) -> bool:
        error = played(case).error
        return error is not None and failure.is_same(Failure.of(error))

    shrunk = shrink(case, fails, streams=run.streams, met=run.met, budget=budget)
    return (played(shrunk.case) if shrunk.case != case else run), shrunk


class _Trial:
    """Tries cases, none twice, within a budget."""

    def __init__(self, case: Case, fails: Callable[[Case], bool], budget: int) -> None:
        self.best = case
        self.left = budget
        self._fails = fails
        self._known = {_identity(case)}

    def take(self, case: Case) -> bool:
        """Whether it fails; then it is the best so far."""
        identity = _identity(case)
        if self.left <= 0 or identity in self._known:
            return False
        self._known.add(identity)
        self.left -= 1
        if not self._fails(case):
            return False
        self.best = case
        return True


def _identity(case: Case) -> str:
    return repr((case.steps, sorted(_items(case.decisions)), sorted(case.plain)))


def _minimised(items: Sequence[T], holds: Callable[[list[T]], bool]) -> None:
    """Takes away as many items as it can, large parts first, later ones first; `holds` says whether what is left will do."""
    kept = list(items)
    if not kept or holds([]):
        return
    size = max(1, len(kept) // 2)
    while True:
        taken = False
        end = len(kept)
        while end > 0:
            rest = kept[:max(0, end - size)] + kept[end:]
            if rest and holds(rest):
                kept, taken = rest, True
            end -= size
        if size == 1 and not taken:
            return
        size = max(1, size // 2)


# ---- steps


def _fewer_steps(trial: _Trial) -> None:
    _minimised(trial.best.steps, lambda steps: trial.take(replace(trial.best, steps=tuple(steps))))


def _simpler_steps(trial: _Trial) -> None:
    steps = trial.best.steps
    trial.take(replace(trial.best, steps=tuple(replace(step, at=min(step.at, float(i))) for i, step in enumerate(steps))))
    for position in range(len(steps)):
        for name in [field.name for field in fields(type(steps[position])) if not (field.name in SCOPES and isinstance(steps[position], Fault))]:
            _simpler_value(trial, position, name)


def _simpler_value(trial: _Trial, position: int, name: str) -> None:
    """The simplest value of one member of one step that still fails."""
    step = trial.best.steps[position]
    default = next((f.default for f in fields(type(step)) if f.name == name), msgspec.NODEFAULT)
    while True:
        steps = trial.best.steps
        value = getattr(steps[position], name)
        for candidate in _simpler(value, default):
            changed = _replaced(steps[position], name, candidate)
            if changed is not None and trial.take(replace(trial.best, steps=(*steps[:position], changed, *steps[position + 1:]))):
                break
        else:
            return


def _narrower_faults(trial: _Trial, met: Met) -> None:
    """One part that a fault strikes in place of many, one verb, one resource: the first that is enough."""
    for position, fault in enumerate(trial.best.steps):
        if not isinstance(fault, Fault):
            continue
        names = {field.name for field in fields(type(fault))}
        askers = met.askers if "verbs" in names else met.parts
        _narrower(trial, position, "part", [part for part in askers if part != fault.part and fnmatchcase(part, fault.part)])
        for name, seen in (("resources", met.resources), ("verbs", met.verbs)):
            if name in names and len(getattr(fault, name)) != 1:
                _narrower(trial, position, name, [(one,) for one in getattr(fault, name) or seen])


def _narrower(trial: _Trial, position: int, name: str, candidates: Sequence[Any]) -> None:
    steps = trial.best.steps
    for candidate in candidates:
        changed = _replaced(steps[position], name, candidate)
        if changed is not None and trial.take(replace(trial.best, steps=(*steps[:position], changed, *steps[position + 1:]))):
            return


def _simpler(value: Any, default: Any) -> Iterator[Any]:
    """Values of the same type that are simpler, the simplest first."""
    if default is not msgspec.NODEFAULT and type(default) is type(value) and value != default and not (isinstance(default, str) and default):
        yield default  # but "*" for a part that is named would say less
    if isinstance(value, msgspec.Struct):
        for field in fields(type(value)):
            for simpler in _simpler(getattr(value, field.name), field.default):
                replaced = _replaced(value, field.name, simpler)
                if replaced is not None:
                    yield replaced
    if isinstance(value, Mapping):  # a manifest
        for key, member in value.items():
            yield from ({**value, key: simpler} for simpler in _simpler(member, msgspec.NODEFAULT))
    if isinstance(value, bool | str) or not isinstance(value, int | float):
        return
    kind = type(value)
    wanted = [kind(0), kind(1), kind(int(value) // 10 * 10), kind(int(value)), kind(int(value) // 2)]
    if isinstance(value, float):
        wanted += [round(value, 1)]
    elif abs(value) <= COUNTED_DOWN:
        wanted += [value - 1 if value > 0 else value + 1]
    seen = {default} if default is not msgspec.NODEFAULT else set()
    for candidate in wanted:
        if candidate not in seen and _cost(candidate) < _cost(value):
            seen.add(candidate)
            yield candidate


def _replaced(value: S, name: str, member: Any) -> S | None:
    """With another value for one member; None where it may not have that."""
    try:
        return replace(value, **{name: member})
    except ValueError:
        return None


def _cost(number: float) -> tuple[int, float]:
    """Falls with every step of making a number simpler: first its digits, then its size. (No number has more digits than a float can.)"""
    return len(f"{abs(number):.15g}".rstrip("0").rstrip(".")), abs(number)


# ---- decisions and streams


def _fewer_decisions(trial: _Trial) -> None:
    def holds(items: list[_Decision]) -> bool:
        return trial.take(replace(trial.best, decisions=_decisions(items)))

    _minimised(list(_items(trial.best.decisions)), holds)
    for name, count, decided in list(_items(trial.best.decisions)):
        if decided > 1:
            holds([(n, c, 1 if (n, c) == (name, count) else d) for n, c, d in _items(trial.best.decisions)])


def _items(decisions: Decisions) -> Iterator[_Decision]:
    for name, decided in decisions.items():
        for count, choice in decided.items():
            yield name, count, choice


def _decisions(items: Sequence[_Decision]) -> Decisions:
    made: dict[str, dict[int, int]] = {}
    for name, count, choice in items:
        made.setdefault(name, {})[count] = choice
    return made


def _plainer_streams(trial: _Trial, streams: Sequence[str]) -> None:
    """All of them at once, else one after the other."""
    if not trial.take(replace(trial.best, plain=trial.best.plain | frozenset(streams))):
        for name in streams:
            trial.take(replace(trial.best, plain=trial.best.plain | {name}))
