"""Hypothesis strategies for what happens to a cluster: faults, calls of users, schedules of both, and the clusters themselves.

One for each class of steps, made from its fields: a value comes from the field's name, or from its type. They shrink to early, short,
and of the first part.
"""
from __future__ import annotations

import typing
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final, Literal, TypeVar

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from msgspec.structs import fields

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
from kubelet_lite.simulation.checked import Count, Positive, WrongValue, checked
from kubelet_lite.simulation.faults import FAULTS
from kubelet_lite.simulation.faults.actors import ClockJump
from kubelet_lite.simulation.faults.containers import ContainerFault, SlowStart
from kubelet_lite.simulation.faults.nodes import NodeDeath
from kubelet_lite.simulation.simulation import Setting
from kubelet_lite.simulation.step import Call, Fault, Step
from kubelet_lite.simulation.which import Which
from kubelet_lite.testing.strategies.objects import images, replicas

S = TypeVar("S", bound=Step)

LONGEST_SECONDS: Final = 60
"""Of a drawn fault; and the last moment at which one of a schedule begins."""
MOST_STEPS: Final = 8
"""Of a schedule."""
KUBELETS: Final = ("kubelet-node-1", "kubelet-node-2", "kubelet-*")
ACTORS: Final = (
    "default-scheduler", "deployment-controller", "replicaset-controller", "endpointslice-controller", "node-controller", "controllers' informers",
    *KUBELETS,
)
"""Names of some. The controllers share their informers, which watch for them."""
WORKLOADS: Final = ("deployments.apps", "replicasets.apps")
CALLS: Final[tuple[type[Call], ...]] = (Scale, SetImage, Restart, Delete, ForceDelete, Evict, LabelTheft, Cordon, Drain)
"""What users do to what is there. Those that bring something (Create, Apply, Edit) have a strategy where their values are given."""
CLOCKS: Final = ("controllers", "scheduler", *KUBELETS)
"""The parts that have a clock of their own."""


@cache
def spans() -> SearchStrategy[float]:
    """Of virtual seconds."""
    return st.integers(1, LONGEST_SECONDS).map(float)


@cache
def instants() -> SearchStrategy[float]:
    """Of virtual time, after the cluster became ready: half seconds."""
    return st.integers(0, 2 * LONGEST_SECONDS).map(lambda halves: halves / 2)


@checked
def faults(*kinds: type[Fault], **values: SearchStrategy[Any]) -> SearchStrategy[Fault]:
    """One of some kinds, or of all. `values`: strategies for fields that all of them have: `at`, `part`, `seconds`.

    They may miss: who is told to crash may not be there.
    """
    return st.one_of([steps_of(kind, **{"may_miss": st.just(True), **values}) for kind in kinds or FAULTS])


@checked
def calls(*kinds: type[Call], **values: SearchStrategy[Any]) -> SearchStrategy[Call]:
    """One of some kinds, or of all that do something to what is there. `values`: strategies for fields that all of them have."""
    return st.one_of([steps_of(kind, **values) for kind in kinds or CALLS])


@checked
def schedules(*steps: SearchStrategy[Step], max_size: Count = MOST_STEPS) -> SearchStrategy[tuple[Step, ...]]:
    """Some faults and calls, or others, in the order of their times."""
    return st.lists(st.one_of(steps or [faults(), calls()]), max_size=max_size).map(lambda drawn: tuple(sorted(drawn, key=lambda step: step.at)))


@checked
def settings(max_nodes: Positive = 5) -> SearchStrategy[Setting]:
    """Clusters that settle at the end of a run."""
    return st.builds(Setting, nodes=st.integers(1, max_nodes), order_chance=st.sampled_from((0.0, 0.05, 0.5)), settle=st.just(True))


@checked
def steps_of(kind: type[S], **values: SearchStrategy[Any]) -> SearchStrategy[S]:
    """Any step of one class. `values`: strategies for some of its fields."""
    unknown = [name for name in values if name not in kind.__struct_fields__]
    if unknown:
        raise WrongValue(f"{kind.__name__} has no field {', '.join(unknown)}: {', '.join(kind.__struct_fields__)} are there")
    hints = typing.get_type_hints(kind)
    chosen = {field.name: values[field.name] if field.name in values else _values(kind, field.name, hints[field.name]) for field in fields(kind)}
    return st.builds(kind, **chosen)


def _values(kind: type[Step], name: str, hint: Any) -> SearchStrategy[Any]:
    if name == "part":
        return st.sampled_from(_parts(kind))
    if name == "which":
        return _objects(kind)
    if (kind, name) == (ForceDelete, "grace_period_seconds"):
        return st.just(0)
    if name == "undo":  # a node is set aside for a while: else pods would wait for it, by the user's own will
        return st.just(False)
    if name in _BY_NAME:
        return _BY_NAME[name]()
    if typing.get_origin(hint) is Literal:
        return st.sampled_from(typing.get_args(hint))
    if hint in _BY_TYPE:
        return _BY_TYPE[hint]()
    raise TypeError(f"{kind.__name__}.{name}: there is no strategy for values of {hint}: give one by name")


def _parts(kind: type[Step]) -> tuple[str, ...]:
    if issubclass(kind, NodeDeath | ContainerFault | SlowStart):
        return KUBELETS
    return CLOCKS if issubclass(kind, ClockJump) else (*ACTORS, "*")


def _objects(kind: type[Step]) -> SearchStrategy[Which]:
    """Of what the calls of a class are about: that of its default, or workloads."""
    default = next(field.default for field in fields(kind) if field.name == "which")
    nth = st.integers(0, 5)
    if isinstance(default, Which):
        return nth.map(lambda n: Which(kind=default.kind, namespace=default.namespace, nth=n))
    return st.builds(Which, kind=st.sampled_from(WORKLOADS), nth=nth)


_BY_NAME: Final[Mapping[str, Callable[[], SearchStrategy[Any]]]] = {
    "at": instants,
    "seconds": spans,
    "at_step": lambda: st.integers(0, 200),
    "at_write": lambda: st.integers(1, 3),
    "jump_seconds": lambda: st.sampled_from((60.0, -60.0, 3600.0)),
    "delay_seconds": spans,
    "every_seconds": lambda: st.integers(1, 10).map(float),
    "most_seconds": lambda: st.integers(1, 10).map(float),
    "after_seconds": lambda: st.sampled_from((0.0, 30.0)),
    "chance": lambda: st.sampled_from((1.0, 0.5, 0.1)),
    "verbs": lambda: st.sampled_from(((), ("create",), ("update", "patch"), ("delete",), ("watch",))),
    "resources": lambda: st.sampled_from(((), ("pods",), ("deployments.apps", "replicasets.apps"))),
    "nth": lambda: st.integers(0, 5),
    "pod": lambda: st.just("*"),
    "container": lambda: st.just("*"),
    "replicas": replicas,
    "image": images,
    "propagation": lambda: st.sampled_from((None, "Background", "Foreground", "Orphan")),
    "grace_period_seconds": lambda: st.none() | st.integers(0, 30),
    "like": lambda: st.none() | st.sampled_from(WORKLOADS).map(lambda kind: Which(kind=kind)),
    "exit_code": lambda: st.sampled_from((1, 0, 137)),
}
_BY_TYPE: Final[Mapping[Any, Callable[[], SearchStrategy[Any]]]] = {
    bool: st.booleans,
    int: lambda: st.integers(0, 5),
    float: spans,
}
