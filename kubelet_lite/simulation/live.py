"""A simulation that synchronous code holds open between its calls: virtual time passes only within them.

    with LiveSimulation(Setting(nodes=3), seed=7) as live:
        live.call(lambda simulation: simulation.client.create(pod))
        live.sleep(60)

What it was told to do is kept with its times, so that a failure can be played again without the code that drove it, and made smaller.
"""
from __future__ import annotations

import asyncio
import inspect
import warnings
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from functools import partial
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import msgspec

from kubelet_lite.runtimes.fake import BehaviourOf
from kubelet_lite.simulation.archive import Archive
from kubelet_lite.simulation.checked import Seconds, WrongValue, checked, shown
from kubelet_lite.simulation.failure import Failure, lone
from kubelet_lite.simulation.invariant import InvariantList, made
from kubelet_lite.simulation.simulation import AStep, Run, Setting, Simulation, check_in_time, opened, play
from kubelet_lite.simulation.step import Call, Step
from kubelet_lite.simulation.trace import log_records_to
from kubelet_lite.simulation.virtual.environment import SimulatedEnvironment
from kubelet_lite.simulation.virtual.run import check_nothing_is_left, simulated_environment
from kubelet_lite.simulation.virtual.tape import Tape

T = TypeVar("T")
APART_SECONDS: Final = 0.001
"""What a program does at one instant one thing after the other is played all together, or so far apart that each has its effect before."""
OTHER_ORDERS: Final = 10
"""Seeds under which a failure is looked for that does not come again under its own: it hangs on the order of tasks, which is another where steps
are played."""


class Code(Call, frozen=True, kw_only=True):
    """What a program had done by a function, to be done again. Such a step is no data: no file can hold it."""

    what: str
    function: Any
    """Of the Simulation, async."""
    answers: tuple[Any, ...] = ()
    """Types of exceptions: what it may raise, as whoever called it knew how to deal with it."""

    async def play(self, simulation: Simulation) -> None:
        with suppress(*self.answers):
            await self.function(simulation)

    def __str__(self) -> str:
        return self.what


async def lasts(simulation: Simulation, seconds: float = 0.0) -> None:
    """The scenario of a run that its steps alone make: it lasts as long as they do, and so long at least."""
    await simulation.sleep(seconds)


class LiveSimulation:
    """Entering makes the cluster ready. Leaving waits for the steps that were started, and raises what a run raises at its end."""

    @checked
    def __init__(
        self, setting: Setting = Setting(), *, seed: int = 0, invariants: InvariantList = (), behaviour: BehaviourOf | None = None,
    ) -> None:
        self._setting = setting
        self._invariants = tuple(invariants)
        self._watching = made(invariants)
        self._behaviour = behaviour
        self._tape = Tape(seed)
        self._archive = Archive()
        self._stack = ExitStack()
        self._done: list[tuple[Step, Exception | None]] = []
        """In their order; of code what it raised."""
        self._main: asyncio.Task[None]
        self._leave: asyncio.Event
        self._environment: SimulatedEnvironment
        self.simulation: Simulation

    def __enter__(self) -> Self:
        self._environment = self._stack.enter_context(
            simulated_environment(self._tape, limit_seconds=self._setting.limit_seconds, order_chance=self._setting.order_chance)
        )
        self._leave = asyncio.Event()
        ready = asyncio.Event()
        try:
            self._main = self._environment.loop.create_task(self._hold(ready), name="main")
            self._drive(ready.wait())
        except BaseException as error:
            self._give_up(error)
            raise
        return self

    def __getattr__(self, name: str) -> Any:
        if name in ("_environment", "_leave", "_main", "simulation"):
            raise RuntimeError("LiveSimulation: its cluster is there within `with LiveSimulation(…) as live:`")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if error is not None:
            self._give_up(error)
            return
        try:
            self._leave.set()
            self._drive(asyncio.wait([self._main]))
            self._main.result()
            check_nothing_is_left(self._environment.loop)
        except BaseException as failure:
            self._give_up(failure)
            raise
        self._stack.close()

    def _give_up(self, error: BaseException) -> None:
        self._archive.close()
        with log_records_to(self._log), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of coroutines whose tasks are cancelled before their first step
            self._stack.__exit__(type(error), error, error.__traceback__)

    @checked
    def call(self, function: Callable[[Simulation], Awaitable[T]], *, answers: tuple[type[Exception], ...] = ()) -> T:
        """What it returns or raises. Raises also how the run fails meanwhile: an InvariantViolated, an error that ended the cluster.

        `answers`: errors that are none to the caller, whenever they come.
        """
        at = self.seconds
        error: Exception | None = None
        try:
            waited_for = function(self.simulation)
            if not inspect.isawaitable(waited_for):
                raise WrongValue(f"LiveSimulation.call: function={shown(function)} answered with {shown(waited_for)}: an async function is wanted")
            return self._drive(waited_for)
        except Exception as raised:
            error = raised
            raise
        finally:
            self._done.append((Code(at=at, what=_name(function), function=function, answers=answers), error))

    @checked
    def sleep(self, seconds: Seconds) -> None:
        """Lets time pass. Raises what `call` does."""
        self._drive(self.simulation.sleep(seconds))

    @checked
    def start(self, step: AStep) -> Step:
        """Lets a step begin, `at` seconds from now; the step as a run has it, whose times count from its beginning."""
        step = self._noted(step)
        self._drive(_now(self.simulation.start, step))
        return step

    @checked
    def do(self, step: AStep) -> Step:
        """As `start`, and waits until it is over. Raises what `call` does."""
        step = self._noted(step)
        self._drive(self.simulation.do(step))
        return step

    def _noted(self, step: Step) -> Step:
        step = msgspec.structs.replace(step, at=self.seconds + step.at)
        check_in_time("LiveSimulation: step", step, self._setting)
        self._done.append((step, None))
        return step

    @property
    def seconds(self) -> float:
        """Virtual time since the cluster became ready."""
        return self._environment.monotonic() - self.simulation.began

    def run(self, error: BaseException | None = None) -> Run:
        """What happened so far, for a story or a replay file."""
        return Run(
            setting=self._setting, seed=self._tape.seed, steps=tuple(step for step, _ in self._done if not isinstance(step, Code)),
            decisions=self._tape.decisions, archive=self._archive,
            seconds=self._environment.monotonic(), error=None if error is None else lone(error), invariants=self._invariants, behaviour=self._behaviour,
        )

    def again(self, error: BaseException) -> Run | None:
        """The failed run, played from all that was done, each at its time: one that has a scenario. None where it does not fail in the same
        way, as what fails is in the code that drove it, or in what that made of answers."""
        failure, together, seed = Failure.of(error), tuple(self._again(error)), self._tape.seed
        apart = tuple(msgspec.structs.replace(step, at=step.at + number * APART_SECONDS) for number, step in enumerate(together))
        same = [(steps, seconds, seed, self._tape.decisions) for seconds in (0.0, self.seconds) for steps in (together, apart)]
        other = [(steps, self.seconds, seed + number, None) for number in range(OTHER_ORDERS) for steps in (together, apart)]
        for steps, seconds, number, decisions in (*same, *other):
            run = play(
                partial(lasts, seconds=seconds), seed=number, setting=self._setting, steps=steps, decisions=decisions,
                invariants=self._invariants, behaviour=self._behaviour,
            )
            if run.error is not None and failure.is_same(Failure.of(run.error)):
                return run
        return None

    def _again(self, error: BaseException) -> Iterator[Step]:
        """What was raised and is not how it failed was an answer."""
        for step, raised in self._done:
            if isinstance(step, Code) and raised is not None and lone(raised) is not lone(error):
                step = msgspec.structs.replace(step, answers=(*step.answers, type(raised)))
            yield step

    async def _hold(self, ready: asyncio.Event) -> None:
        async with opened(
            self._environment, self._archive, setting=self._setting, invariants=self._watching, behaviour=self._behaviour,
        ) as self.simulation:
            ready.set()
            await self._leave.wait()

    def _drive(self, awaitable: Awaitable[T]) -> T:
        loop = self._environment.loop
        task = loop.create_task(_result(awaitable), name="scenario")
        with log_records_to(self._log):
            loop.run_until_complete(loop.create_task(_first_of(task, self._main), name="scenario waits"))
        if not task.done():
            self._main.result()
        return task.result()

    def _log(self, level: str, fields: Mapping[str, Any]) -> None:
        self._archive.log(self._environment.now(), level, fields)


async def _result(awaitable: Awaitable[T]) -> T:
    return await awaitable


def _name(function: Callable[..., Any]) -> str:
    """`Rollouts.scales` of what is defined in there."""
    return str(getattr(function, "__qualname__", type(function).__qualname__)).replace(".<locals>", "").removesuffix(".<lambda>")


async def _now(function: Callable[[Step], object], step: Step) -> None:
    function(step)


async def _first_of(*tasks: asyncio.Task[Any]) -> None:
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
