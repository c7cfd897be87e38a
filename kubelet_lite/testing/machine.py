"""ClusterMachine: a Hypothesis state machine around one simulated cluster, to subclass. A failure ends in the shortest way to it.

    class Rollouts(Faults, Workloads, ClusterMachine):
        @rule(replicas=integers(0, 5))
        def scales_by_my_operator(self, replicas): ...

    TestRollouts = Rollouts.TestCase

Rules come in parts to choose from: Workloads, UserActions, Faults; letting time pass is always among them. Between rules no time passes.
https://hypothesis.readthedocs.io/en/latest/stateful.html

Hypothesis finds a failure; what its rules did is then played as a schedule, and made smaller as one (simulation/shrink.py): in seconds, and
without what Hypothesis cannot take away. Only a failure that is the rules' own, and not the cluster's, is left to Hypothesis to shrink.
"""
from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import msgspec
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.control import current_build_context
from hypothesis.database import InMemoryExampleDatabase, MultiplexedDatabase
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    initialize,
    multiple,
    rule,
    run_state_machine_as_test,
)
from hypothesis.strategies import SearchStrategy
from msgspec import Meta

from kubelet_lite.api.apps_v1 import Deployment, ReplicaSet, StatefulSet
from kubelet_lite.api.core_v1 import ReplicationController
from kubelet_lite.api.encoding import to_json
from kubelet_lite.api.errors import ApiError
from kubelet_lite.api.resources import resource_of
from kubelet_lite.client.base import Client
from kubelet_lite.runtimes.fake import BehaviourOf
from kubelet_lite.simulation.calls import Create, Delete, Scale, SetImage
from kubelet_lite.simulation.checked import Count, check_class
from kubelet_lite.simulation.invariant import InvariantList
from kubelet_lite.simulation.invariants import STANDARD
from kubelet_lite.simulation.live import LiveSimulation
from kubelet_lite.simulation.shrink import BUDGET, shrink_run
from kubelet_lite.simulation.simulation import Setting, Simulation
from kubelet_lite.simulation.snapshot import Snapshot
from kubelet_lite.simulation.step import Call, Fault, Step
from kubelet_lite.simulation.which import Which
from kubelet_lite.testing import builders, strategies
from kubelet_lite.testing.running import FOLDER, keep, told

T = TypeVar("T")

WorkloadKind = Literal["deployment", "replicaset", "replicationcontroller", "statefulset"]
AStrategy = Annotated[SearchStrategy[Any], Meta(description="a strategy, as strategies.faults(CrashActor) is one,")]
Workload = tuple[str, str]
"""Kind and name: `("deployment", "a")`."""
_KINDS: dict[str, Any] = {
    "deployment": Deployment, "replicaset": ReplicaSet, "replicationcontroller": ReplicationController, "statefulset": StatefulSet,
}


class _Found(msgspec.Struct):
    """What is known of the failure of a machine, while Hypothesis runs it."""

    error: BaseException | None = None
    """As it was raised last of all."""
    notes: tuple[str, ...] = ()
    """Those of the error, without Hypothesis' own: of what it did before it was made smaller."""
    shrunk: bool = False
    """Whether that is of a run that was played again, and made smaller."""


class ClusterMachine(RuleBasedStateMachine):
    """`snapshot` is what there is; `call` does something in the cluster; `start` lets a step begin. At the end all faults are over, and the
    cluster has to settle. A failure is made smaller, carries the story of its run, and is kept to be replayed."""

    setting: ClassVar[Setting] = Setting(settle=True, quiet_seconds=60)
    watched: ClassVar[InvariantList] = STANDARD
    """Invariants that hold all the time."""
    behaviour: ClassVar[BehaviourOf | None] = None
    shrink_budget: ClassVar[Count] = BUDGET
    """How often a failure may be played again to make it smaller."""
    folder: ClassVar[Path] = FOLDER
    _found: ClassVar[_Found | None] = None
    """None where nobody wants to know, as Hypothesis was asked to run it."""

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        check_class(cls)

    @initialize(seed=st.integers(0, 2**16))
    def begins(self, seed: int) -> None:
        self._live = LiveSimulation(self.setting, seed=seed, invariants=self.watched, behaviour=type(self).behaviour)
        self._live.__enter__()

    @rule(seconds=st.integers(1, 60))
    def time_passes(self, seconds: int) -> None:
        self._looked(lambda: self._live.sleep(seconds))

    # ---- for rules

    @property
    def snapshot(self) -> Snapshot:
        """What there is now."""
        return self._live.simulation.snapshot

    def call(self, function: Callable[[Simulation], Awaitable[T]]) -> T:
        """What it returns or raises, an InvariantViolated if something is wrong by then. Time may pass in it."""
        return self._looked(lambda: self._live.call(function))

    def ask(self, function: Callable[[Client], Awaitable[T]]) -> T | None:
        """What the admin's client returns, or None where the API refuses: an answer, no failure."""
        with suppress(ApiError):
            return self._looked(lambda: self._live.call(_asks(function), answers=(ApiError,)))
        return None

    def start(self, step: Step) -> None:
        """Lets a fault or call begin, `at` seconds from now."""
        self._live.start(step)

    def does(self, call: Call) -> None:
        """Does what a user does, and waits until it is done."""
        self._looked(lambda: self._live.do(call))

    def _looked(self, function: Callable[[], T]) -> T:
        try:
            return function()
        finally:
            self._live.simulation.snapshot  # noqa: B018  looking at it raises what is wrong

    # ---- the end

    def teardown(self) -> None:
        error = sys.exception()
        live: LiveSimulation | None = getattr(self, "_live", None)
        if live is None:
            return
        if error is not None:
            live.__exit__(type(error), error, error.__traceback__)
            if isinstance(error, Exception):
                self._failed(error)
            return
        try:
            live.__exit__(None, None, None)
        except Exception as failure:
            self._failed(failure)
            raise

    def _failed(self, error: Exception) -> None:
        """Raises what is to be told of it, once it is the example that Hypothesis tells."""
        found = self._found if self._found is not None else _Found()
        found.error = error
        if not current_build_context().is_final:
            return
        run = self._live.again(error)
        found.shrunk = run is not None
        smaller = shrink_run(run, budget=self.shrink_budget)[0] if run is not None else self._live.run(error)
        found.error = told(smaller, *keep(smaller, self.folder, type(self).__name__))
        found.notes = tuple(found.error.__notes__)
        raise found.error from None

    # ---- as a test

    @classmethod
    def _to_test_case(cls) -> Any:  # type: ignore[override]  # theirs is cached
        """What `ClusterMachine.TestCase` is."""
        case: Any = super()._to_test_case()  # the same each time

        def run(test: Any) -> None:
            _run(cls, test.settings)

        run.is_hypothesis_test = True  # type: ignore[attr-defined]
        run._hypothesis_state_machine_class = cls  # type: ignore[attr-defined]
        case.runTest = run
        return case


def _asks(function: Callable[[Client], Awaitable[T]]) -> Callable[[Simulation], Awaitable[T]]:
    @wraps(function)
    def ask(simulation: Simulation) -> Awaitable[T]:
        return function(simulation.client)

    return ask


def _run(machine: type[ClusterMachine], given: settings) -> None:
    """Has Hypothesis look for a failure, and shrink it only where nobody else can: for a cluster its way is long, and `explain` traces every
    line of it."""
    phases = [phase for phase in given.phases if phase is not Phase.explain]
    examples = InMemoryExampleDatabase()
    if not given.derandomize:
        given = settings(given, database=examples if given.database is None else MultiplexedDatabase(examples, given.database))
    try:
        found = machine._found = _Found()
        try:
            run_state_machine_as_test(machine, settings=settings(given, phases=[phase for phase in phases if phase is not Phase.shrink]))
            return
        except Exception as error:
            if error is found.error and found.shrunk:
                error.__notes__ = [*found.notes]
            if error is not found.error or found.shrunk or Phase.shrink not in phases:
                raise
            first = error
        machine._found = _Found()
        kept = bool(examples.data)  # else the same seed finds the same anew
        run_state_machine_as_test(machine, settings=settings(given, phases=(Phase.reuse, Phase.shrink) if kept else phases))
        raise first
    finally:
        machine._found = None


class Workloads(ClusterMachine):
    """Creates, scales, rolls and deletes workloads."""

    kinds: ClassVar[Sequence[WorkloadKind]] = ("deployment", "replicaset")
    """Of deployment, replicaset, replicationcontroller, statefulset."""
    workloads: Bundle[Workload] = Bundle("workloads")

    @rule(
        target=workloads, kind=st.runner().flatmap(lambda machine: st.sampled_from(machine.kinds)), name=strategies.names(),
        replicas=strategies.replicas(), image=strategies.images(),
    )
    def creates(self, kind: str, name: str, replicas: int, image: str) -> Workload | MultipleResults[Workload]:
        there = self._is_there(kind, name)
        manifest = to_json(getattr(builders, kind)(name, replicas, template=builders.pod(image=image)))
        self.does(Create(manifest=manifest))
        return (kind, name) if self._is_there(kind, name) and not there else multiple()

    @rule(workload=workloads, replicas=strategies.replicas())
    def scales(self, workload: Workload, replicas: int) -> None:
        self.does(Scale(which=_which(workload), replicas=replicas))

    @rule(workload=workloads, image=strategies.images())
    def rolls(self, workload: Workload, image: str) -> None:
        self.does(SetImage(which=_which(workload), image=image))

    @rule(workload=consumes(workloads), propagation=st.sampled_from(("Background", "Foreground", "Orphan")))
    def deletes(self, workload: Workload, propagation: Any) -> None:
        self.does(Delete(which=_which(workload), propagation=propagation))

    def _is_there(self, kind: str, name: str) -> bool:
        return self.snapshot.get(_KINDS[kind], name, "default") is not None


def _which(workload: Workload) -> Which:
    kind, name = workload
    return Which(kind=resource_of(_KINDS[kind]).qualified, name=name)


class UserActions(ClusterMachine):
    """Users scale, roll, restart, delete, evict, relabel and cordon what is there. `calls` is a strategy, which a subclass may narrow."""

    calls: ClassVar[AStrategy] = strategies.calls(at=st.just(0.0))

    @rule(call=st.runner().flatmap(lambda machine: machine.calls))
    def somebody(self, call: Call) -> None:
        self.start(call)


class Faults(ClusterMachine):
    """Lets things go wrong, several at a time. `faults` is a strategy, which a subclass may narrow: `faults(CrashActor, Partition)`."""

    faults: ClassVar[AStrategy] = strategies.faults(at=st.just(0.0))

    @rule(fault=st.runner().flatmap(lambda machine: machine.faults))
    def goes_wrong(self, fault: Fault) -> None:
        self.start(fault)
