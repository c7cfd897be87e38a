"""`run_simulation`: a scenario under one seed or many; a failure is made smaller, told as a story, and kept in a file that replays it."""
from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated, Final

from msgspec import Meta

from kubelet_lite.runtimes.fake import BehaviourOf
from kubelet_lite.simulation.checked import Count, check, checked, shown
from kubelet_lite.simulation.invariant import InvariantList
from kubelet_lite.simulation.invariants import STANDARD
from kubelet_lite.simulation.live import Code
from kubelet_lite.simulation.records import recording, replay
from kubelet_lite.simulation.records.recording import Recording
from kubelet_lite.simulation.records.reference import refer
from kubelet_lite.simulation.records.story import tell
from kubelet_lite.simulation.shrink import BUDGET, shrink_run
from kubelet_lite.simulation.simulation import Run, Scenario, Setting, StepList, play
from kubelet_lite.simulation.step import Step
from kubelet_lite.simulation.virtual.run import check_no_loop_runs
from kubelet_lite.simulation.virtual.tape import Tape

FOLDER: Final = Path(".simulations")
"""Where failures are kept, in the working directory."""
SETTLING: Final = Setting(settle=True)
_NO_FILE_NAME: Final = re.compile(r"[^\w]+")
"""As in `<lambda>`, which no shell would take either."""
Steps = Annotated[StepList | Callable[[Tape], StepList], Meta(description="a list of faults and calls, or a function of a Tape that draws one,")]
"""Given, or drawn from the tape of the seed."""
Seeds = Annotated[Iterable[int], Meta(description="a list of whole numbers, or a range,")]


@checked
def run_simulation(
    scenario: Scenario, *, seed: int | None = None, seeds: Seeds | None = None, setting: Setting = SETTLING, steps: Steps = (),
    invariants: InvariantList = STANDARD, behaviour: BehaviourOf | None = None, shrink_budget: Count = BUDGET, folder: Path | str = FOLDER,
) -> Run:
    """Runs a scenario under a seed (0 unless told) or each of some, until one fails; returns the last run.

    Raises what the scenario raises, InvariantViolated, SimulationFailed: of the smallest run found that fails in the same way, with its
    story, and how to repeat it, as notes. The same seed and arguments repeat the same run. `shrink_budget`: how often the failure may be
    played again to make it smaller.
    """
    check_no_loop_runs("run_simulation")
    if seed is not None and seeds is not None:
        raise ValueError("run_simulation: say seed or seeds, not both")
    run = None
    for number in seeds if seeds is not None else [seed or 0]:
        run = play(
            scenario, seed=number, setting=setting, steps=_drawn(steps, Tape(number)), invariants=invariants, behaviour=behaviour,
        )
        if run.error is not None and not run.archive.began:  # no cluster starts with that setting
            raise run.error
        if run.error is not None:
            raise failure_of(run, shrink_budget=shrink_budget, folder=Path(folder))
    if run is None:
        raise ValueError("run_simulation: seeds is empty")
    return run


class SimulationRunner:
    """What the fixture `simulation` is: `run_simulation` for a test that has its seed and schedule, or a file to replay, from pytest."""

    def __init__(self, seed: int, schedule: Sequence[Step], replayed: Path | None) -> None:
        self.seed = seed
        self.schedule = tuple(schedule)
        """The steps that the test is marked with."""
        self._replayed = replayed

    @checked
    def __call__(
        self, scenario: Scenario, *, setting: Setting = SETTLING, steps: Steps = (), invariants: InvariantList = STANDARD,
        behaviour: BehaviourOf | None = None, shrink_budget: Count = BUDGET, folder: Path | str = FOLDER,
    ) -> Run:
        """As `run_simulation`; `steps` come beside those of the schedule."""
        if self._replayed is not None:
            run = replay.replay(self._replayed, scenario=scenario, invariants=invariants, behaviour=behaviour).run
            if run.error is not None:
                raise told(run, f"played from {self._replayed}")
            return run
        return run_simulation(
            scenario, seed=self.seed, setting=setting, steps=lambda tape: (*self.schedule, *_drawn(steps, tape)), invariants=invariants,
            behaviour=behaviour, shrink_budget=shrink_budget, folder=folder,
        )


def failure_of(run: Run, *, shrink_budget: int = BUDGET, folder: Path = FOLDER) -> BaseException:
    """The error of a failed run, made smaller, with its story, and kept."""
    smaller, _ = shrink_run(run, budget=shrink_budget)
    return told(smaller, *keep(smaller, folder), f"seed {run.seed} repeats the whole run")


def told(run: Run, *how: str) -> BaseException:
    """The error of a failed run with notes: its story, and how to repeat it."""
    assert run.error is not None
    error = run.error
    error.add_note(f"\n{tell(run)}\n")
    error.add_note("\n".join(how))
    return error


def _drawn(steps: Steps, tape: Tape) -> Sequence[Step]:
    if not callable(steps):
        return steps
    drawn = steps(tape)
    check(f"run_simulation: {shown(steps)}(tape)", drawn, StepList)
    return drawn


def keep(run: Run, folder: Path, name: str = "") -> Iterable[str]:
    """Writes a run down where it can be replayed from; yields how. `name`: of the file, else it has that of the scenario and the seed."""
    if not name and run.scenario is not None:
        name = _NO_FILE_NAME.sub("-", refer(run.scenario).about.replace("<locals>.", "")).strip("-") + f"-{run.seed}"
    path = folder / name
    if run.scenario is not None and not any(isinstance(step, Code) for step in run.steps):
        file = replay.save(run, path.with_suffix(".json"))
        if refer(run.scenario).name:
            yield f"replay: kubelet-lite replay {file}"
            return
        yield f"replay: pytest --simulation-replay {file}, with this test"
    yield f"look at it: kubelet-lite replay {recording.write(Recording.of(run), path.with_suffix('.jsonl'))}"
