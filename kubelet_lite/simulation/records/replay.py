"""Replay files: all that it takes to play a run again, as JSON that holds across versions.

Members that this version does not know are ignored, those that are missing have their defaults, and decisions are found by name.
"""
from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from kubelet_lite.runtimes.fake import BehaviourOf
from kubelet_lite.simulation.checked import checked
from kubelet_lite.simulation.failure import Failure
from kubelet_lite.simulation.invariant import InvariantList, InvariantMaker
from kubelet_lite.simulation.live import Code
from kubelet_lite.simulation.records.reference import NotFoundAgain, Reference, refer, resolve, rooted
from kubelet_lite.simulation.simulation import Run, Scenario, Setting, play
from kubelet_lite.simulation.step import Step

FORMAT: Final = "kubelet-lite replay"
VERSION: Final = 1
"""Rises when a reader that knows the one before would play something else."""
_AT: Final = re.compile(r"(?P<wrong>.*) - at `(?:key` in `)?\$(?P<member>.*)`", re.DOTALL)
"""As msgspec says where."""
STEP_MODULES: Final = ("kubelet_lite.simulation.calls", "kubelet_lite.simulation.faults")
"""Where the steps are that everybody has."""


class ReplayError(ValueError):
    """The file cannot be read or played; the message names the member."""


class ReplayFile(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Steps stay plain values until it is played: their types may be the scenario's own."""

    format: str
    version: int
    scenario: Reference
    seed: int
    setting: Setting = Setting()
    steps: tuple[Mapping[str, Any], ...] = ()
    decisions: Mapping[str, Mapping[int, int]] = {}
    plain: tuple[str, ...] = ()
    invariants: tuple[Reference, ...] = ()
    behaviour: Reference | None = None
    failure: Failure | None = None
    """What came of it."""


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    run: Run
    failure: Failure | None
    """How it failed when it was saved."""
    unwatched: tuple[Reference, ...] = ()
    """Invariants that cannot be found again: if one of them was violated, the run was played beyond that moment."""

    @property
    def repeated(self) -> bool:
        """Whether it failed as before. What nobody watched for cannot be said to have failed."""
        own = Failure.of(self.run.error) if self.run.error is not None else None
        return self.failure is None if own is None else own.is_same(self.failure)


@checked
def save(run: Run, path: str | Path) -> Path:
    """Writes a run down. Raises ReplayError for one that was driven from outside, or has code among its steps, OSError."""
    if run.scenario is None:
        raise ReplayError("a run without a scenario cannot be played again: record it (simulation/records/recording.py)")
    if any(isinstance(step, Code) for step in run.steps):
        raise ReplayError("a run with code among its steps cannot be written down: record it (simulation/records/recording.py)")
    file = ReplayFile(
        format=FORMAT, version=VERSION, scenario=refer(run.scenario), seed=run.seed, setting=run.setting,
        steps=tuple(msgspec.to_builtins(step) for step in run.steps), decisions=run.decisions, plain=tuple(sorted(run.plain)),
        invariants=tuple(refer(maker, name_of(maker)) for maker in run.invariants),
        behaviour=refer(run.behaviour) if run.behaviour is not None else None,
        failure=Failure.of(run.error) if run.error is not None else None,
    )
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(file), indent=1) + b"\n")
    return path


@checked
def load(path: str | Path) -> ReplayFile:
    """Raises ReplayError, OSError."""
    try:
        head = msgspec.json.decode(Path(path).read_bytes())
        if not isinstance(head, dict) or head.get("format") != FORMAT:
            raise ReplayError(f"{path} is no replay file")
        if not isinstance(head.get("version"), int) or head["version"] > VERSION:
            raise ReplayError(f"{path}: version {head.get('version')!r} of the format is newer than this program, which knows up to {VERSION}")
        return msgspec.convert(head, ReplayFile, strict=False)
    except msgspec.MsgspecError as error:
        raise ReplayError(f"{path}: {_damage(error)}") from error


@checked
def replay(
    file: ReplayFile | str | Path, *, scenario: Scenario | None = None, invariants: InvariantList | None = None,
    behaviour: BehaviourOf | None = None,
) -> Replayed:
    """Plays it again. What is given stands in place of what the file names. Raises ReplayError where something is not to be found."""
    if not isinstance(file, ReplayFile):
        path = Path(file)
        file = _rooted(load(path), path)
    try:
        scenario = scenario if scenario is not None else resolve(file.scenario)
        if behaviour is None and file.behaviour is not None:
            behaviour = resolve(file.behaviour)
    except NotFoundAgain as error:
        raise ReplayError(str(error)) from error
    watched, unwatched = list(invariants or ()), list[Reference]()
    for reference in file.invariants if invariants is None else ():
        try:
            watched.append(resolve(reference))
        except NotFoundAgain:
            unwatched.append(reference)
    steps = steps_of(file.steps)
    try:
        run = play(
            scenario, seed=file.seed, setting=file.setting, steps=steps, decisions=file.decisions, plain=frozenset(file.plain),
            invariants=watched, behaviour=behaviour,
        )
    except (TypeError, ValueError) as error:  # what it names is not what it must be; what a run raises is in its answer
        raise ReplayError(str(error)) from error
    replayed = Replayed(run=run, failure=file.failure, unwatched=tuple(unwatched))
    if run.error is not None and not run.archive.began and not replayed.repeated:
        raise ReplayError(f"setting: no cluster starts with it: {Failure.of(run.error)}") from run.error
    return replayed


def _rooted(file: ReplayFile, path: Path) -> ReplayFile:
    """With its references relative to the directory in which the run was made: this one, or else the nearest above the file that has what they
    name."""
    names = [reference.file for reference in (file.scenario, *file.invariants, file.behaviour) if reference is not None and reference.file]
    for folder in (Path.cwd(), *path.resolve().parents):
        if all((folder / name).exists() for name in names):
            return replace(
                file, scenario=rooted(file.scenario, folder), invariants=tuple(rooted(reference, folder) for reference in file.invariants),
                behaviour=None if file.behaviour is None else rooted(file.behaviour, folder),
            )
    return file


def steps_of(values: Sequence[Mapping[str, Any]]) -> tuple[Step, ...]:
    """Steps from plain values, each by the name of its class. Raises ReplayError."""
    types = step_types()
    made = []
    for number, value in enumerate(values):
        name = str(value.get("step"))
        if name not in types:
            raise ReplayError(f"steps[{number}].step: there is no step {name!r} (there are {', '.join(sorted(types)) or 'none'})")
        try:
            made.append(msgspec.convert(value, types[name], strict=False))
        except msgspec.MsgspecError as error:
            raise ReplayError(_damage(error, f"steps[{number}]")) from error
    return tuple(made)


def _damage(error: msgspec.MsgspecError, within: str = "") -> str:
    """The member first, then what is wrong with it."""
    found = _AT.fullmatch(str(error))
    if found is None:
        return f"{within}: {error}" if within else str(error)
    return f"{within}{found['member'] if within else found['member'].lstrip('.')}: {found['wrong']}"


def step_types() -> Mapping[str, type[Step]]:
    """Every step class that has been defined, by its name in files."""
    for module in STEP_MODULES:
        importlib.import_module(module)
    abstract: Any = Step
    return {str(kind.__struct_config__.tag): kind for kind in _below(abstract) if kind.play is not abstract.play and kind is not Code}


def name_of(maker: InvariantMaker) -> str:
    """What an invariant calls itself."""
    return str(getattr(maker, "keywords", {}).get("name", "") or getattr(maker, "name", "") or getattr(maker, "__name__", ""))


def _below(kind: type[Step]) -> Iterator[type[Step]]:
    for sub in kind.__subclasses__():
        yield sub
        yield from _below(sub)
