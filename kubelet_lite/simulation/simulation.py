"""One simulated cluster from beginning to end: a scenario runs on it, steps disturb it, invariants watch it, an archive keeps it all.

    run = play(scenario, seed=7, steps=[CrashActor(at=3, part="scheduler")])
    run.raise_error()
"""
from __future__ import annotations

import copy
import inspect
import linecache
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import anyio
import msgspec
from anyio.abc import TaskGroup
from msgspec import Meta

from kubelet_lite.actors.actor import Actor
from kubelet_lite.client.base import Client
from kubelet_lite.cluster import COMPONENTS, Cluster, Component
from kubelet_lite.registry.registry import Registry
from kubelet_lite.runtimes.fake import BehaviourOf
from kubelet_lite.simulation import settling
from kubelet_lite.simulation.answers import NotingRegistry, NotingStore, Unheard
from kubelet_lite.simulation.archive import Archive
from kubelet_lite.simulation.checked import Chance, Checked, Name, Nodes, Period, Seconds, WrongValue, checked
from kubelet_lite.simulation.dump import Dump
from kubelet_lite.simulation.errors import FaultNotFired
from kubelet_lite.simulation.failure import lone
from kubelet_lite.simulation.gate import Gate, GatedRegistry, Request
from kubelet_lite.simulation.invariant import Condition, Invariant, InvariantList, InvariantMaker, judged, made
from kubelet_lite.simulation.parts import forget_asker, note_asker
from kubelet_lite.simulation.running import NotingRuntime
from kubelet_lite.simulation.snapshot import Snapshot
from kubelet_lite.simulation.step import Fault, Step
from kubelet_lite.simulation.trace import log_records_to
from kubelet_lite.simulation.virtual.environment import SimulatedEnvironment
from kubelet_lite.simulation.virtual.run import LIMIT_SECONDS, check_no_loop_runs, simulate
from kubelet_lite.simulation.virtual.tape import Decisions, Tape
from kubelet_lite.simulation.watcher import Watcher

if TYPE_CHECKING:
    from kubelet_lite.actors.environment import Environment
    from kubelet_lite.api.requests import RequestContext
    from kubelet_lite.api.resources import Resource
    from kubelet_lite.kubelet.node_status import Machine
    from kubelet_lite.runtimes.base import Runtime
    from kubelet_lite.runtimes.network.base import Network
    from kubelet_lite.store import Store

STEP_BEGAN: Final = "step_began"
STEP_ENDED: Final = "step_ended"
"""Log records of every step: `step` numbers them, `kind` is call or fault, `what` a sentence."""
SETTLE_SECONDS: Final = 1_200.0
"""How long a cluster that is left alone may take: back-offs of five minutes, twice, and a silent node's pods moved."""
QUIET_SECONDS: Final = 600.0
"""How long nothing may be written then: twice as long as anybody's longest period but for what is routine."""
LATE_SECONDS: Final = 0.5
"""How often a step whose time has come looks for whom it is about."""
LAST_INSTANT_SECONDS: Final = 0.001
"""So that the instant of a run's end ends as every other does."""
ORDER_CHANCE: Final = 0.05
"""Of each turn of the loop, that a task goes before its turn."""


class Setting(Checked, frozen=True, kw_only=True, omit_defaults=True):
    """The cluster of a run."""

    nodes: Nodes = 3
    components: tuple[Component, ...] = COMPONENTS
    serve: bool = False
    """Whether the API is offered over HTTP on the simulated network."""
    metrics: bool = False
    """Whether metrics.k8s.io is served."""
    order_chance: Chance = ORDER_CHANCE
    limit_seconds: Period = LIMIT_SECONDS
    """Of virtual time: a run that takes longer fails."""
    settle: bool = False
    """Whether a run ends only when its cluster, left alone after the scenario and all steps, has settled."""
    quiet_seconds: Seconds = QUIET_SECONDS
    """For how long nothing but routine may be written then."""
    objects: tuple[Mapping[str, Any], ...] = ()
    """What the cluster begins with (dump.py): plain JSON values, with UIDs and statuses. With nodes among them `nodes` does not count."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if "apiserver" not in self.components:
            raise WrongValue(f"Setting.components={self.components!r}: without 'apiserver' there is no cluster")


class SimulatedRegistry(GatedRegistry, NotingRegistry):
    """Notes who asks and what it answers, behind the gate at which that may get lost: and that it did."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.gate.unheard = self._note_unheard

    def _begin(
        self, ctx: RequestContext, verb: str, resource: Resource, namespace: str, name: str = "", subresource: str = "", field_selector: str = "",
    ) -> None:
        note_asker(ctx.identity)
        super()._begin(ctx, verb, resource, namespace, name, subresource, field_selector)

    def _note_unheard(self, request: Request) -> None:
        noted = self.store.archive.answers
        if noted is not None and request.writes:
            noted.append(Unheard(self.store.revision, request.parts[0]))


class SimulatedCluster(Cluster):
    """A cluster whose every revision goes into an archive."""

    def __init__(self, setting: Setting, environment: SimulatedEnvironment, archive: Archive, behaviour: BehaviourOf | None) -> None:
        self._dump = dump = Dump(setting.objects)
        environment.begin_at(max(environment.epoch, math.ceil(dump.begins)))
        super().__init__(
            nodes=setting.nodes, components=setting.components, serve=setting.serve, environment=environment, behaviour=behaviour,
            service_cidr=dump.service_cidr, metrics=setting.metrics,
        )
        self.setting = setting
        self._archive = archive

    def new_store(self) -> Store:
        return NotingStore(self._archive, now=self.environment.now)

    def new_registry(self, kind: type[Registry]) -> Registry:
        registry = super().new_registry(SimulatedRegistry)
        self._dump.store_in(registry)
        return registry

    def root_certificate(self) -> str:
        return super().root_certificate() or self._dump.certificate

    def node_names(self) -> Sequence[str]:
        return list(self._dump.nodes) or super().node_names()

    def node_address(self, name: str, network: Network) -> str:
        return (self._dump.address(name) if name in self._dump.nodes else "") or super().node_address(name, network)

    def machine(self, name: str) -> Machine:
        return self._dump.machine(name) if name in self._dump.nodes else super().machine(name)

    def _open_network(self) -> Network:
        from kubelet_lite.runtimes.network.loopback import PretendNetwork

        network = super()._open_network()
        assert isinstance(network, PretendNetwork)
        for address in self._dump.pod_addresses:
            network.reserve(address)
        return network

    def _new_runtime(self, environment: Environment, folder: Path, network: Network) -> Runtime:
        assert isinstance(self.store, NotingStore)
        runtime = NotingRuntime(environment, network, self._behaviour, self.store)
        runtime.take_over(self._dump, folder.name)
        return runtime


class Simulation:
    """What a scenario is given."""

    def __init__(
        self, environment: SimulatedEnvironment, cluster: SimulatedCluster, archive: Archive, watcher: Watcher, tasks: TaskGroup,
    ) -> None:
        self.environment = environment
        self.tape = environment.tape
        self.cluster = cluster
        self.archive = archive
        self._watcher = watcher
        self._tasks = tasks
        self._steps: list[Step] = []
        """Those that have begun."""
        self._fired: dict[int, int] = {}
        """By the id of a step that `start` returned: equal ones are told apart."""
        self._unmade: set[int] = set()
        """Calls that found nothing to ask for, likewise."""
        self._askers: dict[str, None] = {}
        """The parts whose requests came by a fault."""
        self._struck: dict[tuple[str, str, str], None] = {}
        """Part, verb and resource of those that the fault was about."""
        self._actors: dict[str, None] = {}
        """Names of those that were there when steps began."""
        self.began = environment.monotonic()
        """When the cluster became ready: the moment from which steps count."""
        self.scenario_over = False

    @property
    def client(self) -> Client:
        """The admin's."""
        return self.cluster.client

    @property
    def snapshot(self) -> Snapshot:
        """What is there now. It grows: copy out what you compare later."""
        self._watcher.catch_up()
        return self._watcher.snapshot

    @checked
    def actors(self, pattern: Name) -> list[Actor]:
        """Those that are there now."""
        return [actor for actor in self.cluster.supervisor.running() if fnmatchcase(actor.name, pattern)]

    @checked
    def start(self, step: AStep) -> Step:
        """Lets a step happen at its time, or now when that is past. The run does not end before it is over. The answer is for `fired`."""
        check_in_time("Simulation.start: step", step, self.cluster.setting)
        step = copy.copy(step)
        self._tasks.start_soon(self._play, step, name=f"step {step}")
        return step

    async def do(self, step: Step) -> None:
        """As `start`, and waits until it is over."""
        await self._play(copy.copy(step))

    async def _play(self, step: Step) -> None:
        forget_asker()
        await self.sleep(max(0.0, self.began + step.at - self.environment.monotonic()))
        while not (step.may_begin(self) or self.scenario_over):
            await self.sleep(LATE_SECONDS)
        self._steps.append(step)
        self._actors.update((actor.name, None) for actor in self.actors("*"))
        number, kind = len(self._steps), "fault" if isinstance(step, Fault) else "call"
        self.archive.log(self.environment.now(), "info", {"event": STEP_BEGAN, "step": number, "kind": kind, "what": str(step)})
        if isinstance(step, Fault):
            self._watcher.snapshot.disturb(step)
        await step.play(self)
        if isinstance(step, Fault):
            self._watcher.snapshot.calm(step, self.environment.now())
        self.archive.log(self.environment.now(), "info", {"event": STEP_ENDED, "step": number})

    @property
    def gate(self) -> Gate:
        """Where every request passes."""
        registry = self.cluster.registry
        assert isinstance(registry, GatedRegistry)
        return registry.gate

    def struck(self, fault: Fault) -> None:
        """Called by a fault each time it strikes."""
        self._fired[id(fault)] = self._fired.get(id(fault), 0) + 1

    def unmade(self, call: Step) -> None:
        """Called by a call that finds nothing to ask for."""
        self._unmade.add(id(call))

    def asked(self, request: Request, concerned: bool) -> None:
        """Called by a fault that a request comes by."""
        self._askers.update(dict.fromkeys(request.parts))
        if concerned:
            self._struck[request.parts[0], request.verb, request.resource] = None

    @property
    def met(self) -> Met:
        """Whom faults could have struck, and whose requests they could."""
        askers, verbs, resources = (tuple(dict.fromkeys(names)) for names in zip(*self._struck, strict=True)) if self._struck else ((), (), ())
        return Met(askers=askers, verbs=verbs, resources=resources, parts=(*dict.fromkeys((*self._actors, *self.environment.parts)),))

    def fired(self, step: Step) -> int:
        """How often a fault that `start` returned has struck; of a call whether it was made."""
        if isinstance(step, Fault):
            return self._fired.get(id(step), 0)
        return int(id(step) not in self._unmade and any(step is begun for begun in self._steps))

    def check_fired(self) -> None:
        """Raises FaultNotFired for faults that are over and have struck nothing, or were to strike what there never was."""
        for fault in (step for step in self._steps if isinstance(step, Fault)):
            try:
                fault.check_names(self._watcher.snapshot)
            except ValueError as error:
                raise FaultNotFired(f"at {fault.at:g} s: {fault}: {error}") from error
        missed = [step for step in self._steps if isinstance(step, Fault) and not step.may_miss and not self.fired(step)]
        if missed:
            parts = self._parts()
            told = "; ".join(f"at {step.at:g} s: {step}{_nobody(step.part, parts)}" for step in missed)
            raise FaultNotFired(f"faults that struck nothing: {told}\nparts there were: {', '.join(parts)}")

    def _parts(self) -> Sequence[str]:
        """The names of all that a fault could strike, as far as they have been seen."""
        return sorted({*(actor.name for actor in self.actors("*")), *self.environment.parts, *self._askers})

    @checked
    async def sleep(self, seconds: Seconds) -> None:
        await self.environment.sleep(seconds)

    @checked
    async def until(self, holds: Condition, *, within: Seconds = 600.0, every: Period = 1.0) -> None:
        """Waits until it holds of the snapshot. Raises TimeoutError, which says what was waited for."""
        with anyio.move_on_after(within):
            while not judged(holds(self.snapshot), holds):
                await self.sleep(every)
            return
        raise TimeoutError(f"until: {_sentence(holds)} did not hold within {within:g} s")

    @checked
    async def settle(self, *, within: Seconds = SETTLE_SECONDS, quiet: Seconds = QUIET_SECONDS) -> None:
        """Waits until all that is desired is so, and nothing but routine has been written for `quiet` seconds: then judges what holds at rest.

        For a cluster that is left alone, its faults over. Raises InvariantViolated: EventuallyStable or Quiescence after `within` seconds.
        """
        await settling.settle(self, within, quiet)
        self._watcher.at_rest(self)


def check_in_time(where: str, step: Step, setting: Setting) -> None:
    """Raises WrongValue for a step in whose time no run goes on any more."""
    for name, ends in (("at", step.at), ("seconds", step.at + step.seconds if isinstance(step, Fault) else 0.0)):
        if ends > setting.limit_seconds:
            raise WrongValue(
                f"{where}.{name}={getattr(step, name):g}: it would go on until {ends:g} s, and a run ends after Setting.limit_seconds={setting.limit_seconds:g}"
            )


def _nobody(part: str, parts: Sequence[str]) -> str:
    """What is wrong with the name of a part that nobody has."""
    if any(fnmatchcase(name, part) for name in parts):
        return ""
    close = get_close_matches(part, parts, n=1)
    return f" (no part has the name {part!r}" + (f": did you mean {close[0]!r}?)" if close else ")")


def _sentence(function: Callable[..., object]) -> str:
    """A function by its name, or a lambda by its line, and where it is."""
    code = getattr(function, "__code__", None)
    if code is None:
        return repr(function)
    place = f"{code.co_filename}:{code.co_firstlineno}"
    line = linecache.getline(code.co_filename, code.co_firstlineno).strip()
    return f"`{line}` ({place})" if line and code.co_name == "<lambda>" else f"{code.co_qualname} ({place})"


Scenario = Annotated[Callable[[Simulation], Awaitable[None]], Meta(description="an async function of a Simulation")]
AStep = Annotated[Step, Meta(description="a Fault or a Call")]
StepList = Annotated[Sequence[AStep], Meta(description="a list of faults and calls")]


class NotAScenario(TypeError):
    """What was to be a scenario cannot be awaited."""


class Met(msgspec.Struct, frozen=True, kw_only=True):
    """What there was to be struck by faults, in the order in which it was seen: for shrinking to narrow them to. Of requests: `askers`, `verbs`
    and `resources`."""

    parts: tuple[str, ...] = ()
    askers: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()


class Run(msgspec.Struct, kw_only=True):
    """What came of it, and what it takes to repeat it."""

    setting: Setting
    seed: int
    steps: tuple[Step, ...]
    decisions: Decisions
    archive: Archive
    seconds: float
    """Of virtual time."""
    error: BaseException | None
    fired: tuple[int, ...] = ()
    """Of each step: how often the fault struck; of a call whether it was made."""
    scenario: Scenario | None = None
    """None: the run was driven from outside."""
    invariants: tuple[InvariantMaker, ...] = ()
    behaviour: BehaviourOf | None = None
    plain: frozenset[str] = frozenset()
    streams: tuple[str, ...] = ()
    """Names of those that the run drew from, for shrinking to make plain."""
    met: Met = Met()

    def raise_error(self) -> None:
        if self.error is not None:
            raise self.error


@checked
def play(
    scenario: Scenario, *, seed: int = 0, setting: Setting = Setting(), steps: StepList = (), decisions: Decisions | None = None,
    plain: frozenset[str] = frozenset(), invariants: InvariantList = (), behaviour: BehaviourOf | None = None,
) -> Run:
    """Runs a scenario once. Whatever it raises, an InvariantViolated and a SimulationFailed among it, is in the answer.

    `decisions` and `plain`: those of an earlier run, to be repeated. Raises WrongValue for arguments that are not as they are wanted.
    """
    check_no_loop_runs("a simulation")
    for number, step in enumerate(steps):
        check_in_time(f"steps[{number}]", step, setting)
    watching = made(invariants)
    tape = Tape(seed, decisions, plain=plain)
    archive = Archive()
    last: list[SimulatedEnvironment] = []
    ready: list[Simulation] = []
    own: list[Exception] = []
    """What the scenario raised."""
    started: dict[int, Step] = {}

    async def main(environment: SimulatedEnvironment) -> None:
        last.append(environment)
        async with opened(environment, archive, setting=setting, invariants=watching, behaviour=behaviour) as simulation:
            ready.append(simulation)
            for position, step in sorted(enumerate(steps), key=lambda numbered: numbered[1].at):
                started[position] = simulation.start(step)
            waited_for = scenario(simulation)
            if not inspect.isawaitable(waited_for):
                raise NotAScenario(f"scenario={_sentence(scenario)}: an async function is wanted, and this answered with {waited_for!r}")
            try:
                await waited_for
            except Exception as raised:
                own.append(raised)
                raise

    def log(level: str, fields: Mapping[str, Any]) -> None:
        archive.log(last[0].now() if last else 0.0, level, fields)

    error: BaseException | None = None
    try:
        with log_records_to(log):
            simulate(tape, main, limit_seconds=setting.limit_seconds, order_chance=setting.order_chance)
    except Exception as raised:
        error = lone(raised, own)
        if isinstance(error, NotAScenario):
            raise error from None
    return Run(
        setting=setting, seed=seed, steps=tuple(steps), decisions=tape.decisions, archive=archive, seconds=last[0].monotonic() if last else 0.0,
        error=error, fired=tuple(ready[0].fired(started[position]) if position in started else 0 for position in range(len(steps))),
        scenario=scenario, invariants=tuple(invariants),
        behaviour=behaviour, plain=plain, streams=tape.streams, met=ready[0].met if ready else Met(),
    )


@asynccontextmanager
async def opened(
    environment: SimulatedEnvironment, archive: Archive, *, setting: Setting, invariants: Sequence[Invariant] = (),
    behaviour: BehaviourOf | None = None,
) -> AsyncIterator[Simulation]:
    """A watched cluster for the block. Its end waits for the steps that were started."""
    watcher = Watcher(archive, invariants, environment.now)
    environment.loop.before_time_passes.append(watcher.end_instant)
    async with SimulatedCluster(setting, environment, archive, behaviour) as cluster:
        async with anyio.create_task_group() as tasks:
            archive.begin(environment.now())
            simulation = Simulation(environment, cluster, archive, watcher, tasks)
            yield simulation
            simulation.scenario_over = True
        if setting.settle:
            await simulation.settle(quiet=setting.quiet_seconds)
        await simulation.sleep(LAST_INSTANT_SECONDS)
        watcher.end()
        archive.close()
        simulation.check_fired()


