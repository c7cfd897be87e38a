"""Conditions that users state: when they are judged, what is said of them, and what is refused as one."""
from __future__ import annotations

from contextlib import suppress

import pytest
from msgspec.structs import replace

from kubelet_lite.api.core_v1 import ConfigMap, Event, Pod
from kubelet_lite.api.errors import ApiError
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.simulation.calls import Create
from kubelet_lite.simulation.errors import FaultNotFired
from kubelet_lite.simulation.faults import EndedWatches, Partition
from kubelet_lite.simulation.invariant import InvariantViolated, always, eventually, never
from kubelet_lite.simulation.simulation import Setting, play
from kubelet_lite.simulation.snapshot import Snapshot, UnknownKind
from kubelet_lite.simulation.which import Which

QUIET = Setting(nodes=0, components=("apiserver",))
"""Nobody writes but the scenario."""
ASKED = ConfigMap(metadata=ObjectMeta(name="asked", namespace="default"))
DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "walls.example.com"},
    "spec": {
        "group": "example.com", "scope": "Namespaced", "names": {"plural": "walls", "singular": "wall", "kind": "Wall", "listKind": "WallList"},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}],
    },
}


def asked(snapshot):
    return snapshot.get(ConfigMap, "asked", "default") is not None


def answered(snapshot):
    return snapshot.get(ConfigMap, "answered", "default") is not None


def answering_after(seconds):
    """Asked at 1 s, answered so much later; nothing is written between."""
    async def scenario(simulation):
        await simulation.sleep(1)
        await simulation.client.create(ASKED)
        await simulation.sleep(seconds)
        await simulation.client.create(replace(ASKED, metadata=replace(ASKED.metadata, name="answered")))
        await simulation.sleep(10)
    return scenario


@pytest.mark.parametrize(("seconds", "violated"), [(4.5, False), (5, False), (5.001, True), (8.5, True)])
def test_eventually_is_violated_by_what_comes_late_in_silence(seconds, violated):
    error = play(answering_after(seconds), setting=QUIET, invariants=[eventually(answered, within=5, given=asked)]).error
    assert isinstance(error, InvariantViolated) is violated
    if violated:
        assert str(error) == "eventually answered: not within 5 s: it does not hold"


def test_eventually_is_violated_where_what_was_given_ends_too_late():
    async def scenario(simulation):
        await simulation.client.create(ASKED)
        await simulation.sleep(8)
        await simulation.client.delete(ConfigMap, "asked", namespace="default")

    assert isinstance(play(scenario, setting=QUIET, invariants=[eventually(answered, within=5, given=asked)]).error, InvariantViolated)
    assert play(scenario, setting=QUIET, invariants=[eventually(answered, within=9, given=asked)]).error is None


@pytest.mark.parametrize(("happens", "words"), [
    (asked, "never asked: it happens"), (lambda snapshot: "two leaders" if asked(snapshot) else "", "never <lambda>: two leaders"),
])
def test_never_says_what_happened(happens, words):
    assert str(play(answering_after(1), setting=QUIET, invariants=[never(happens)]).error) == words


def problems(snapshot):
    return ["too many"]


async def no_condition(snapshot):
    return True


class NoCondition:
    async def __call__(self, snapshot):
        return True


@pytest.mark.parametrize(("make", "error", "words"), [
    (lambda: always(5), TypeError, "always: holds=5: a function over a snapshot, not async, is wanted"),
    (lambda: always(no_condition), TypeError, "always: holds=no_condition: .*not async"),
    (lambda: never(NoCondition()), TypeError, "never: happens=.*NoCondition.*not async"),
    (lambda: eventually(asked, within=5, given=no_condition), TypeError, "eventually: given=no_condition: .*not async"),
    (lambda: eventually(asked, within=-1), ValueError, "within=-1"),
    (lambda: eventually(asked, within=float("nan")), ValueError, "within=nan"),
    (lambda: eventually(asked, within="5"), TypeError, "within='5': a number from 0"),
    (lambda: play(answering_after(1), invariants=[asked]), TypeError, r"invariants\[0\]=asked: an Invariant, or always\(f\)"),
    (lambda: play(answering_after(1), invariants=[5]), TypeError, r"invariants\[0\]=5: an Invariant, or"),
    (lambda: always(lambda: True), TypeError, "always: holds=.*<lambda>: a function over a snapshot"),
    (lambda: eventually(asked, within=1e12), ValueError, r"within=1000000000000.0: a number from 0 to 1e\+09"),
    (lambda: play(answering_after(1), invariants=[dict]), TypeError, r"invariants\[0\]: dict made {}"),
])
def test_what_is_no_condition_is_refused_at_once(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_an_answer_that_has_to_be_awaited_is_no_answer():
    error = play(answering_after(1), setting=QUIET, invariants=[always(lambda snapshot: no_condition(snapshot))]).error
    assert isinstance(error, TypeError)
    assert "must not be async" in str(error)


@pytest.mark.parametrize("state", [always, never, lambda function: eventually(function, within=1)])
def test_an_answer_is_a_truth_or_a_text(state):
    error = play(answering_after(1), setting=QUIET, invariants=[state(problems)]).error
    assert isinstance(error, TypeError)
    assert str(error) == "problems answered with ['too many']: a truth, a text or None is wanted"


@pytest.mark.parametrize(("kind", "hint"), [
    ("podz", "did you mean pods"), ("Pod", "did you mean pods"), ("deployments", "did you mean deployments.apps"), ("nothing", "one of .*namespaces, "),
    ("events.events.k8s.io", "did you mean events"),
])
def test_a_snapshot_has_nothing_of_kinds_that_nobody_knows(kind, hint):
    for look in (lambda: Snapshot().list(kind), lambda: Snapshot().get(kind, "a"), lambda: Snapshot().all(kind)):
        with pytest.raises(UnknownKind, match=f"there is no kind '{kind}'.*{hint}"):
            look()


def test_a_snapshot_knows_kinds_without_objects_and_custom_resources():
    async def scenario(simulation):
        with pytest.raises(UnknownKind, match="walls"):
            simulation.snapshot.list("walls.example.com")
        await Create(manifest=DEFINITION).play(simulation)
        assert simulation.snapshot.list("walls.example.com") == []
        with pytest.raises(UnknownKind, match=r"did you mean walls\.example\.com"):
            simulation.snapshot.list("wall.example.com")
        assert simulation.snapshot.list(Pod) == simulation.snapshot.list("horizontalpodautoscalers.autoscaling") == simulation.snapshot.list(Event) == []

    play(scenario, setting=QUIET).raise_error()


async def walls(simulation):
    """Defined late, and then asked for."""
    await simulation.sleep(5)
    await Create(manifest=DEFINITION).play(simulation)
    await simulation.sleep(2)
    with suppress(ApiError):
        await simulation.client.list(simulation.cluster.registry.find_kind("example.com/v1", "Wall"))


def test_a_fault_may_name_a_custom_resource_that_comes_later():
    run = play(walls, setting=QUIET, steps=[Partition(at=1, seconds=20, part="user", resources=("walls.example.com",))])
    assert (run.error, run.fired) == (None, (1,))


@pytest.mark.parametrize("kind", [Partition, EndedWatches])
def test_a_fault_may_not_name_a_resource_that_there_never_is(kind):
    error = play(walls, setting=QUIET, steps=[kind(at=1, part="user", resources=("wals.example.com",), may_miss=True)]).error
    assert isinstance(error, FaultNotFired)
    assert str(error).startswith("at 1 s: ")
    assert "there is no kind 'wals.example.com' (did you mean walls.example.com?)" in str(error)


def test_which_knows_built_in_kinds_at_once():
    with pytest.raises(UnknownKind, match=r"Which\.kind: there is no kind .*did you mean pods"):
        Which(kind="podz")
    Which(kind="walls.example.com")


