"""Draws schedules of faults and calls from the tape: which kinds and how often is data (a Mix), and a seed gives one schedule.

    run_simulation(scenario, seeds=range(1000), steps=lambda tape: draw_steps(tape, STANDARD_MIX, seconds=300, nodes=3, parts=("operator",)))
"""
from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Final

from kubelet_lite.simulation.calls import (
    Cordon,
    Delete,
    Drain,
    Evict,
    ForceDelete,
    LabelTheft,
    Restart,
    Scale,
    SetImage,
)
from kubelet_lite.simulation.checked import Checked, Count, Name, Nodes, Positive, Seconds, WrongValue, checked
from kubelet_lite.simulation.faults import (
    ApiErrors,
    ClockJump,
    Compaction,
    CrashActor,
    CrashAfterWrite,
    CrashContainer,
    DelayedWatches,
    EndedWatches,
    FlappingReadiness,
    Hang,
    Latency,
    LostAnswers,
    LostRequests,
    NodeDeath,
    OutOfMemory,
    Partition,
    Reboot,
    SlowStart,
    StaleCache,
    StopActor,
    UnobservedStates,
)
from kubelet_lite.simulation.step import Fault, Step
from kubelet_lite.simulation.virtual.tape import Tape
from kubelet_lite.simulation.which import Which

TICKS_PER_SECOND: Final = 2
"""Steps begin at half seconds: at moments at which much else happens, too."""
A_KUBELET: Final = "a kubelet"
"""Among the values of `part`: stands for the kubelet of each node."""
YOURS: Final = "a part of yours"
"""Among the values of `part`: stands for each of the `parts` that draw_steps is told, which are drawn as often as all other values together."""
AFTERMATH: Final = ("after_seconds", "delay_seconds")
"""Fields by whose time a fault may outlast its `seconds`."""


class Drawn(Checked, frozen=True, kw_only=False):
    """One kind of steps: its weight among all, and the values that are drawn for fields of it, the plainest first."""

    kind: type[Step]
    weight: Positive
    values: Mapping[str, tuple[Any, ...]] = {}

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, values in self.values.items():
            where = f"Drawn.values: {self.kind.__name__}.{name}"
            if name not in self.kind.__struct_fields__:
                raise WrongValue(f"{where}: there is no such field: {', '.join(self.kind.__struct_fields__)} are there")
            if not values:
                raise WrongValue(f"{where}: there is nothing to choose from")
            for value in values:
                self.kind.check_field(name, value)


class Mix(Checked, frozen=True, kw_only=True):
    """What a schedule is drawn from."""

    faults: tuple[Drawn, ...] = ()
    most_faults: Count = 5
    calls: tuple[Drawn, ...] = ()
    most_calls: Count = 5


@checked
def draw_steps(
    tape: Tape, mix: Mix | None = None, *, seconds: Seconds = 300.0, nodes: Nodes = 3, parts: Sequence[Name] = (),
) -> tuple[Step, ...]:
    """A schedule whose steps begin, and whose faults are over, within so many seconds; nodes that were cordoned take pods again. None: the
    standard mix.

    `parts`: those of the user's own code, by name (`Program("operator", …)`, a user agent, a user), which faults are to strike as well.
    """
    mix = STANDARD_MIX if mix is None else mix
    steps: list[Step] = []
    for what, kinds, most in (("fault", mix.faults, mix.most_faults), ("call", mix.calls, mix.most_calls)):
        for _ in range(tape.decide(f"draw {what}s", most + 1) if kinds else 0):
            steps.append(_draw(tape, _chosen(tape, what, kinds), seconds, nodes, parts))
    return tuple(sorted(steps, key=lambda step: step.at))


def _chosen(tape: Tape, what: str, kinds: Sequence[Drawn]) -> Drawn:
    number = tape.decide(f"draw {what}", sum(drawn.weight for drawn in kinds))
    for drawn in kinds:
        if number < drawn.weight:
            return drawn
        number -= drawn.weight
    raise AssertionError("a number is below the sum of the weights")


def _draw(tape: Tape, drawn: Drawn, seconds: float, nodes: int, parts: Sequence[str]) -> Step:
    fields: dict[str, Any] = {}
    for name, values in drawn.values.items():
        offered = _offered(values, nodes, parts)
        if not offered:
            raise WrongValue(f"draw_steps: {drawn.kind.__name__}.{name}: with nodes={nodes}, parts={parts!r} there is none of {', '.join(map(repr, values))}")
        fields[name] = offered[tape.decide(f"draw {drawn.kind.__name__}.{name}", len(offered))]
    lasts = sum(fields.get(name, 0.0) for name in AFTERMATH)
    if issubclass(drawn.kind, Fault):
        fields["may_miss"] = True
    if "seconds" in drawn.values or issubclass(drawn.kind, Fault):
        fields["seconds"] = min(fields.get("seconds", 0.0), max(seconds - lasts, 0.0))
        lasts += fields["seconds"]
    ticks = int(max(seconds - lasts, 0.0) * TICKS_PER_SECOND)
    return drawn.kind(at=tape.decide("draw at", ticks + 1) / TICKS_PER_SECOND, **fields)


def _offered(values: Sequence[Any], nodes: int, parts: Sequence[str]) -> list[Any]:
    """The values with what those that stand for others stand for."""
    kubelets = [f"kubelet-node-{number}" for number in range(1, nodes + 1)]
    offered = [each for value in values if value != YOURS for each in (kubelets if value == A_KUBELET else (value,))]
    if YOURS in values and parts:
        offered += itertools.islice(itertools.cycle(parts), max(len(offered), len(parts)))
    return offered


CONTROL_PLANE: Final = (
    "default-scheduler", "deployment-controller", "replicaset-controller", "controllers' informers", "node-controller", "endpointslice-controller",
    "taint-eviction-controller", "pod-garbage-collector", "garbage-collector-controller", "namespace-controller",
)
ASKERS: Final = ("*", "*-controller", "kubelet-*", A_KUBELET, *CONTROL_PLANE, YOURS)
"""Who asks the API. Much of it asks seldom: patterns that find many are struck more often."""
WATCHERS: Final = ("controllers' informers", "default-scheduler", A_KUBELET, "*", YOURS)
ACTORS: Final = (*CONTROL_PLANE, A_KUBELET, "store", YOURS)
SPANS: Final = (5.0, 30.0, 70.0, 150.0)
"""Up to more than it takes for a silent node to count as dead."""
CHANCES: Final = (0.1, 0.5, 1.0)
DEPLOYMENTS: Final = tuple(Which(kind="deployments.apps", nth=nth) for nth in range(3))
PODS: Final = tuple(Which(kind="pods", nth=nth) for nth in range(8))
NODES: Final = tuple(Which(kind="nodes", namespace="", nth=nth) for nth in range(3))
NTH: Final = tuple(range(8))

STANDARD_FAULTS: Final = (
    Drawn(CrashActor, 6, {"part": ACTORS}),
    Drawn(CrashActor, 4, {"part": ACTORS, "at_step": tuple(range(1, 40)), "seconds": SPANS}),
    Drawn(CrashAfterWrite, 6, {"part": ASKERS, "at_write": (1, 2, 3), "seconds": SPANS}),
    Drawn(ClockJump, 2, {"part": ("scheduler", "controllers", A_KUBELET, YOURS), "jump_seconds": (10.0, -10.0, 120.0, -120.0), "seconds": SPANS}),
    Drawn(StopActor, 3, {"part": ACTORS, "seconds": SPANS}),
    Drawn(NodeDeath, 3, {"part": (A_KUBELET,), "seconds": SPANS}),
    Drawn(Reboot, 2, {"part": (A_KUBELET,), "seconds": (15.0, 5.0)}),
    Drawn(CrashContainer, 4, {"nth": NTH, "exit_code": (1, 0)}),
    Drawn(OutOfMemory, 2, {"nth": NTH}),
    Drawn(Hang, 2, {"nth": NTH, "seconds": SPANS}),
    Drawn(SlowStart, 2, {"part": ("kubelet-*",), "delay_seconds": (10.0, 60.0), "seconds": SPANS}),
    Drawn(FlappingReadiness, 2, {"nth": NTH, "every_seconds": (5.0, 1.0), "seconds": SPANS}),
    Drawn(ApiErrors, 8, {"part": ASKERS, "code": (500, 409, 429, 503, 504), "chance": CHANCES, "seconds": SPANS}),
    Drawn(Partition, 6, {"part": ASKERS, "how": ("refused", "silent"), "verbs": ((), ("watch",)), "seconds": SPANS}),
    Drawn(Latency, 4, {"part": ASKERS, "most_seconds": (0.1, 1.0, 5.0), "seconds": SPANS}),
    Drawn(LostRequests, 3, {"part": ASKERS, "chance": CHANCES, "after_seconds": (0.0, 60.0), "seconds": SPANS}),
    Drawn(LostAnswers, 6, {"part": ASKERS, "chance": CHANCES, "after_seconds": (0.0, 60.0), "seconds": SPANS}),
    Drawn(EndedWatches, 4, {"part": WATCHERS, "how": ("closed", "reset", "expired")}),
    Drawn(DelayedWatches, 4, {"part": WATCHERS, "delay_seconds": (1.0, 10.0), "seconds": SPANS}),
    Drawn(Compaction, 2),
    Drawn(StaleCache, 4, {"part": WATCHERS, "seconds": SPANS}),
    Drawn(UnobservedStates, 4, {"part": WATCHERS, "seconds": SPANS}),
)
STANDARD_CALLS: Final = (
    Drawn(Scale, 4, {"which": DEPLOYMENTS, "replicas": (3, 1, 5, 0)}),
    Drawn(SetImage, 4, {"which": DEPLOYMENTS, "image": ("one", "two", "three")}),
    Drawn(Restart, 2, {"which": DEPLOYMENTS}),
    Drawn(Delete, 4, {"which": PODS, "grace_period_seconds": (None, 1, 60)}),
    Drawn(ForceDelete, 2, {"which": PODS}),
    Drawn(Evict, 2, {"which": PODS}),
    Drawn(LabelTheft, 2, {"which": PODS, "like": (None, *DEPLOYMENTS[:2])}),
    Drawn(Cordon, 2, {"which": NODES, "seconds": SPANS}),
    Drawn(Drain, 1, {"which": NODES, "seconds": SPANS}),
)
STANDARD_MIX: Final = Mix(faults=STANDARD_FAULTS, calls=STANDARD_CALLS)
"""Every kind of fault, and what users do to Deployments, pods and nodes."""
