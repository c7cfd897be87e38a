"""The standard mix: some of everything that can go wrong, at any time in the first two minutes, drawn from a seed."""
from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final

from kubelet_lite.simulation.faults.actors import ClockJump, CrashActor, CrashAfterWrite
from kubelet_lite.simulation.faults.api import ApiErrors
from kubelet_lite.simulation.faults.containers import CrashContainer, FlappingReadiness, Hang, OutOfMemory, SlowStart
from kubelet_lite.simulation.faults.network import Latency, LostAnswers, LostRequests, Partition
from kubelet_lite.simulation.faults.nodes import NodeDeath, Reboot, StopActor
from kubelet_lite.simulation.faults.watches import (
    Compaction,
    DelayedWatches,
    EndedWatches,
    StaleCache,
    UnobservedStates,
)
from kubelet_lite.simulation.step import Step
from kubelet_lite.simulation.tape import Tape

SECONDS: Final = 120.0
MOST: Final = 5
CONTROLLERS: Final = (
    "deployment-controller", "replicaset-controller", "endpointslice-controller", "garbage-collector-controller", "namespace-controller",
    "node-controller", "taint-eviction-controller", "pod-garbage-collector", "controllers' informers",
)
PARTS: Final = (*CONTROLLERS, "default-scheduler", "kubelet-node-1", "kubelet-node-2", "kubelet-*", "*-controller", "*")
KUBELETS: Final = ("kubelet-node-1", "kubelet-node-2", "kubelet-*")

Draw = Callable[[Random, float, float], Step]
"""(random, at, seconds) → a fault."""


def part(random: Random) -> str:
    return random.choice(PARTS)


def kubelet(random: Random) -> str:
    return random.choice(KUBELETS)


DRAWS: Final[tuple[Draw, ...]] = (
    lambda r, at, s: CrashActor(at=at, part=part(r), seconds=s, may_miss=True),
    lambda r, at, s: CrashActor(at=at, part=r.choice(PARTS[:-3]), seconds=s, at_step=r.randint(1, 60), may_miss=True),
    lambda r, at, s: CrashAfterWrite(at=at, part=r.choice(PARTS[:-3]), seconds=s, at_write=r.randint(1, 6), may_miss=True),
    lambda r, at, s: ClockJump(at=at, part=r.choice(("controllers", "scheduler", "kubelet-node-1")), seconds=s, jump_seconds=r.choice((-90.0, -5.0, 5.0, 90.0))),
    lambda r, at, s: ApiErrors(at=at, part=part(r), seconds=s, chance=r.choice((0.1, 0.5)), code=r.choice((409, 429, 500, 503, 504)), may_miss=True),
    lambda r, at, s: StopActor(at=at, part=r.choice(PARTS[:-3]), seconds=s, may_miss=True),
    lambda r, at, s: NodeDeath(at=at, part=r.choice(KUBELETS[:2]), seconds=r.choice((s, 400.0)), may_miss=True),
    lambda r, at, s: Reboot(at=at, part=r.choice(KUBELETS[:2]), may_miss=True),
    lambda r, at, s: CrashContainer(at=at, nth=r.randint(0, 9), may_miss=True),
    lambda r, at, s: OutOfMemory(at=at, nth=r.randint(0, 9), may_miss=True),
    lambda r, at, s: Hang(at=at, nth=r.randint(0, 9), seconds=s, may_miss=True),
    lambda r, at, s: FlappingReadiness(at=at, nth=r.randint(0, 9), seconds=s, may_miss=True),
    lambda r, at, s: SlowStart(at=at, part=kubelet(r), seconds=s, delay_seconds=r.choice((5.0, 30.0)), may_miss=True),
    lambda r, at, s: Partition(at=at, part=part(r), seconds=s, how=r.choice(("refused", "silent")), may_miss=True),
    lambda r, at, s: Partition(at=at, part=part(r), seconds=s, verbs=("watch",), how=r.choice(("refused", "silent")), may_miss=True),
    lambda r, at, s: Latency(at=at, part=part(r), seconds=s, most_seconds=r.choice((0.1, 2.0)), may_miss=True),
    lambda r, at, s: LostRequests(at=at, part=part(r), seconds=s, chance=0.3, after_seconds=r.choice((0.0, 5.0)), may_miss=True),
    lambda r, at, s: LostAnswers(at=at, part=part(r), seconds=s, chance=0.3, after_seconds=r.choice((0.0, 5.0)), may_miss=True),
    lambda r, at, s: EndedWatches(at=at, part=part(r), how=r.choice(("closed", "reset", "expired")), may_miss=True),
    lambda r, at, s: DelayedWatches(at=at, part=part(r), seconds=s, delay_seconds=r.choice((0.5, 5.0)), may_miss=True),
    lambda r, at, s: Compaction(at=at),
    lambda r, at, s: StaleCache(at=at, part=part(r), seconds=s, may_miss=True),
    lambda r, at, s: UnobservedStates(at=at, part=part(r), seconds=s, may_miss=True),
)


def standard_mix(seed: int) -> list[Step]:
    """One to MOST faults."""
    random = Tape(seed).random("standard mix")
    steps = []
    for _ in range(random.randint(1, MOST)):
        at, seconds = round(random.uniform(0, SECONDS), 1), round(random.choice((2.0, 10.0, 45.0)) * random.uniform(0.5, 1.5), 1)
        steps.append(random.choice(DRAWS)(random, at, seconds))
    return steps
