"""ClusterMachine: a Hypothesis state machine around one simulated cluster, to subclass. Hypothesis finds the shortest way to a failure.

    class Rollouts(Faults, Workloads, ClusterMachine):
        @rule(replicas=integers(0, 5))
        def scales_by_my_operator(self, replicas): ...

    TestRollouts = Rollouts.TestCase

Rules come in parts to choose from: Workloads, UserActions, Faults; letting time pass is always among them. Between rules no time passes.
https://hypothesis.readthedocs.io/en/latest/stateful.html
"""
from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    initialize,
    multiple,
    rule,
)

from kubelet_lite.api.apps_v1 import Deployment, ReplicaSet, StatefulSet
from kubelet_lite.api.core_v1 import ReplicationController
from kubelet_lite.api.errors import ApiError
from kubelet_lite.api.requests import MERGE_PATCH
from kubelet_lite.client.base import Client
from kubelet_lite.runtimes.fake import BehaviourOf
from kubelet_lite.simulation.invariant import InvariantMaker
from kubelet_lite.simulation.invariants import STANDARD
from kubelet_lite.simulation.live import LiveSimulation
from kubelet_lite.simulation.records import recording
from kubelet_lite.simulation.records.recording import Recording
from kubelet_lite.simulation.simulation import Setting, Simulation
from kubelet_lite.simulation.snapshot import Snapshot
from kubelet_lite.simulation.step import Call, Fault, Step
from kubelet_lite.testing import builders, strategies
from kubelet_lite.testing.running import FOLDER, told

T = TypeVar("T")

Workload = tuple[str, str]
"""Kind and name: `("deployment", "a")`."""
_KINDS: dict[str, Any] = {
    "deployment": Deployment, "replicaset": ReplicaSet, "replicationcontroller": ReplicationController, "statefulset": StatefulSet,
}


class ClusterMachine(RuleBasedStateMachine):
    """`snapshot` is what there is; `call` does something in the cluster; `start` lets a step begin. At the end all faults are over, and the
    cluster has to settle. A failure carries the story of its run, and keeps its recording."""

    setting: ClassVar[Setting] = Setting(settle=True, quiet_seconds=60)
    watched: ClassVar[Sequence[InvariantMaker]] = STANDARD
    """Invariants that hold all the time."""
    behaviour: ClassVar[BehaviourOf | None] = None
    folder: ClassVar[Path] = FOLDER

    @initialize(seed=st.integers(0, 2**16))
    def begins(self, seed: int) -> None:
        self._live = LiveSimulation(self.setting, seed=seed, invariants=self.watched, behaviour=type(self).behaviour)
        self._live.__enter__()

    @rule(seconds=st.integers(1, 60))
    def time_passes(self, seconds: int) -> None:
        self.call(lambda simulation: simulation.sleep(seconds))

    # ---- for rules

    @property
    def snapshot(self) -> Snapshot:
        """What there is now."""
        return self._live.simulation.snapshot

    def call(self, function: Callable[[Simulation], Awaitable[T]]) -> T:
        """What it returns or raises, an InvariantViolated if something is wrong by then. Time may pass in it."""
        try:
            return self._live.call(function)
        finally:
            self._live.simulation.snapshot  # noqa: B018  looking at it raises what is wrong

    def ask(self, function: Callable[[Client], Awaitable[T]]) -> T | None:
        """What the admin's client returns, or None where the API refuses: an answer, no failure."""
        with suppress(ApiError):
            return self.call(lambda simulation: function(simulation.client))
        return None

    def start(self, step: Step) -> None:
        """Lets a fault or call begin, `at` seconds from now."""
        self._live.start(step)

    # ---- the end

    def teardown(self) -> None:
        error = sys.exception()
        live: LiveSimulation | None = getattr(self, "_live", None)
        if live is None:
            return
        if error is not None:
            live.__exit__(type(error), error, error.__traceback__)
            if isinstance(error, Exception):
                self._told(error)
            return
        try:
            live.__exit__(None, None, None)
        except Exception as failure:
            raise self._told(failure) from None

    def _told(self, error: Exception) -> BaseException:
        run = self._live.run(error)
        path = recording.write(Recording.of(run), self.folder / f"{type(self).__name__}.jsonl")
        return told(run, f"look at it: kubelet-lite replay {path}")


class Workloads(ClusterMachine):
    """Creates, scales, rolls and deletes workloads."""

    kinds: ClassVar[Sequence[str]] = ("deployment", "replicaset")
    """Of deployment, replicaset, replicationcontroller, statefulset."""
    workloads: Bundle[Workload] = Bundle("workloads")

    @rule(
        target=workloads, kind=st.runner().flatmap(lambda machine: st.sampled_from(machine.kinds)), name=strategies.names(),
        replicas=strategies.replicas(), image=strategies.images(),
    )
    def creates(self, kind: str, name: str, replicas: int, image: str) -> Workload | MultipleResults[Workload]:
        build = getattr(builders, kind)
        made = self.ask(lambda client: client.create(build(name, replicas, template=builders.pod(image=image))))
        return (kind, name) if made is not None else multiple()

    @rule(workload=workloads, replicas=strategies.replicas())
    def scales(self, workload: Workload, replicas: int) -> None:
        self._patch(workload, {"spec": {"replicas": replicas}})

    @rule(workload=workloads, image=strategies.images())
    def rolls(self, workload: Workload, image: str) -> None:
        self._patch(workload, {"spec": {"template": {"spec": {"containers": [{"name": "app", "image": image}]}}}})

    @rule(workload=consumes(workloads), propagation=st.sampled_from(("Background", "Foreground", "Orphan")))
    def deletes(self, workload: Workload, propagation: Any) -> None:
        kind, name = workload
        self.ask(lambda client: client.delete(_KINDS[kind], name, namespace="default", propagation=propagation))

    def _patch(self, workload: Workload, patch: Any) -> None:
        kind, name = workload
        self.ask(lambda client: client.patch(_KINDS[kind], name, patch, content_type=MERGE_PATCH, namespace="default"))


class UserActions(ClusterMachine):
    """Users scale, roll, restart, delete, evict, relabel and cordon what is there. `calls` is a strategy, which a subclass may narrow."""

    calls: ClassVar[Any] = strategies.calls(at=st.just(0.0))

    @rule(call=st.runner().flatmap(lambda machine: machine.calls))
    def somebody(self, call: Call) -> None:
        self.start(call)


class Faults(ClusterMachine):
    """Lets things go wrong, several at a time. `faults` is a strategy, which a subclass may narrow: `faults(CrashActor, Partition)`."""

    faults: ClassVar[Any] = strategies.faults(at=st.just(0.0))

    @rule(fault=st.runner().flatmap(lambda machine: machine.faults))
    def goes_wrong(self, fault: Fault) -> None:
        self.start(fault)
