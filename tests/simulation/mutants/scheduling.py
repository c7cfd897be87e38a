"""Bugs of the scheduler."""
from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from kubelet_lite.registry.registry import Registry
from kubelet_lite.scheduler.binding import Bindings
from kubelet_lite.scheduler.nominations import Nominations
from kubelet_lite.simulation.faults.api import ApiErrors
from kubelet_lite.simulation.faults.network import Latency
from kubelet_lite.simulation.faults.watches import DelayedWatches
from kubelet_lite.simulation.step import Step
from tests.simulation.mutants import scenarios
from tests.simulation.mutants.faults import drawn
from tests.simulation.mutants.mutant import mutant

SCHEDULER = "default-scheduler"


@drawn
def failing_binds(random: Random) -> Sequence[Step]:
    return [ApiErrors(at=random.uniform(0, 30), seconds=random.uniform(5, 15), part=SCHEDULER, verbs=("bind",), chance=0.7, may_miss=True)]


@mutant("22", scenarios.full_nodes, "EventuallyStable", "CacheConverges", faults=failing_binds)
def a_binding_that_failed_leaves_the_pod_assumed(patch: pytest.MonkeyPatch) -> None:  # k#28883
    patch.setattr(Bindings, "_undo", lambda self, waiting, node_name: False)


@drawn
def slow_binds(random: Random) -> Sequence[Step]:
    return [
        Latency(at=random.uniform(0, 10), seconds=30, part=SCHEDULER, verbs=("bind",), most_seconds=4.0, may_miss=True),
        DelayedWatches(at=random.uniform(0, 10), seconds=30, part=SCHEDULER, resources=("pods",), delay_seconds=4.0, may_miss=True),
    ]


@mutant("23", scenarios.full_nodes, "NoOvercommit", faults=slow_binds)
def an_assumption_is_over_before_its_binding(patch: pytest.MonkeyPatch) -> None:  # k#106361
    def begin(self: Bindings, waiting: Any, node_name: str) -> None:
        real_begin(self, waiting, node_name)
        self._nodes.remove(waiting.info.key)

    patch.setattr(Bindings, "_begin", begin)


real_begin = Bindings._begin


@mutant("24", scenarios.preemption, "EventuallyStable")
def a_promise_outlives_the_pod_that_it_was_made_to(patch: pytest.MonkeyPatch) -> None:  # k#85447
    patch.setattr(Nominations, "remove", lambda self, key: None)


@mutant("Kubernetes' contract", scenarios.full_nodes, "BindOnce", "AtMostOnePodPerIdentity")
def a_bound_pod_is_bound_again(patch: pytest.MonkeyPatch) -> None:
    def bind(self: Registry, ctx: Any, namespace: str, name: str, wanted: Any) -> Any:
        answer = real_bind(self, ctx, namespace, name, wanted)
        pod: Any = self.view.get("pods", namespace, name)
        if name == "q-0":
            other = {"node-1": "node-2", "node-2": "node-1"}[pod.spec.nodeName]
            self.write("pods", replace(pod, spec=replace(pod.spec, nodeName=other)))
        return answer

    patch.setattr(Registry, "_bind", bind)


real_bind = Registry._bind
