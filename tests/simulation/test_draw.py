"""Schedules drawn from the tape, and steps as JSON."""
from __future__ import annotations

import collections
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelet_lite.simulation.calls import CALLS, Apply, Cordon, Corrupt, Create, Drain, Edit
from kubelet_lite.simulation.checked import Chance, Count, Name, Period, Positive, Seconds, Shift, WrongValue
from kubelet_lite.simulation.draw import (
    AFTERMATH,
    STANDARD_CALLS,
    STANDARD_FAULTS,
    STANDARD_MIX,
    Drawn,
    Mix,
    draw_steps,
)
from kubelet_lite.simulation.faults import FAULTS, CrashActor
from kubelet_lite.simulation.records.replay import steps_of
from kubelet_lite.simulation.step import Fault
from kubelet_lite.simulation.virtual.tape import Tape
from kubelet_lite.simulation.which import Which

PLAIN = {float: st.floats(allow_nan=False, allow_infinity=False), int: st.integers(-2**63, 2**63 - 1), str: st.text(), bool: st.booleans()}
PLAIN |= {Seconds: st.floats(0, 1e9), Period: st.floats(0.01, 1e9), Shift: st.floats(-1e9, 1e9), Chance: st.floats(0, 1)}
PLAIN |= {Count: st.integers(0, 2**63 - 1), Positive: st.integers(1, 2**63 - 1), Name: st.text(min_size=1)}
PLAIN[Which] = st.builds(Which, kind=st.text().map("{}.example.com".format), name=PLAIN[Name], namespace=st.text(), nth=st.integers(0, 100))
PLAIN[Mapping[str, Any]] = st.dictionaries(st.text(), st.recursive(st.none() | st.booleans() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))


MANIFESTS = st.builds(lambda value, **named: {**value, **named}, PLAIN[Mapping[str, Any]], apiVersion=PLAIN[Name], kind=PLAIN[Name], metadata=st.none())


def schedules(count, **more):
    return [draw_steps(Tape(seed), **more) for seed in range(count)]


def test_a_seed_gives_one_schedule_and_another_seed_another():
    assert schedules(50) == schedules(50)
    assert len({msgspec.json.encode(steps) for steps in schedules(50)}) > 40


def test_every_fault_is_over_before_the_horizon_and_may_miss():
    for steps in schedules(500, seconds=100, nodes=2):
        assert list(steps) == sorted(steps, key=lambda step: step.at)
        for step in steps:
            assert 0 <= step.at <= 100
            if isinstance(step, Fault):
                assert step.may_miss
                assert step.at + step.seconds + sum(getattr(step, name, 0) for name in AFTERMATH) <= 100


def test_a_node_that_is_drawn_to_be_set_aside_takes_pods_again_before_the_horizon():
    aside = [step for steps in schedules(500, seconds=100) for step in steps if isinstance(step, Cordon | Drain)]
    assert {type(step) for step in aside} == {Cordon, Drain}
    assert all(step.at + step.seconds <= 100 and not getattr(step, "undo", False) for step in aside)


def test_every_kind_of_the_mix_is_drawn_about_as_often_as_its_weight_says():
    seen = collections.Counter(type(step) for steps in schedules(3000) for step in steps)
    for kinds in (STANDARD_FAULTS, STANDARD_CALLS):
        weights = collections.Counter()
        for drawn in kinds:
            weights[drawn.kind] += drawn.weight
        drawn_of_all = sum(seen[kind] for kind in weights)
        for kind, weight in weights.items():
            expected = drawn_of_all * weight / weights.total()
            assert 0.6 * expected < seen[kind] < 1.5 * expected, kind
    assert {drawn.kind for drawn in STANDARD_FAULTS} == set(FAULTS)
    assert {drawn.kind for drawn in STANDARD_CALLS} == set(CALLS) - {Apply, Create, Edit, Corrupt}


def test_a_kubelet_is_one_of_the_nodes_there_are():
    mix = Mix(faults=(Drawn(CrashActor, 1, {"part": ("a kubelet",)}),))
    assert {step.part for steps in schedules(100, mix=mix, nodes=2) for step in steps} == {"kubelet-node-1", "kubelet-node-2"}


def test_a_tape_of_nothing_unusual_has_no_steps_and_each_step_less_is_a_decision_less():
    assert draw_steps(Tape(0, {})) == ()
    assert all(len(steps) <= STANDARD_MIX.most_faults + STANDARD_MIX.most_calls for steps in schedules(100))


@given(seed=st.integers(0), nodes=st.integers(1, 9), seconds=st.floats(10, 10_000))
def test_drawn_steps_are_the_same_as_json(seed, nodes, seconds):
    steps = draw_steps(Tape(seed), nodes=nodes, seconds=seconds)
    assert steps_of(msgspec.json.decode(msgspec.json.encode(steps))) == steps


@given(data=st.data(), kind=st.sampled_from([*FAULTS, *CALLS]))
def test_any_step_is_the_same_as_json(data, kind):
    fields = {field.name: MANIFESTS if field.name == "manifest" else PLAIN[field.type] for field in msgspec.structs.fields(kind) if field.type in PLAIN}
    step = data.draw(st.builds(kind, **fields))
    assert steps_of(msgspec.json.decode(msgspec.json.encode([step]))) == (step,)


@pytest.mark.parametrize(("make", "words"), [
    (lambda: Drawn(CrashActor, 0), r"Drawn\.weight=0: a whole number from 1 on"), (lambda: Drawn(CrashActor(), 1), r"Drawn\.kind=CrashActor\(.*: a class of Step"),
    (lambda: Drawn(CrashActor, 1, {"prt": ("x",)}), r"Drawn\.values: CrashActor\.prt: there is no such field: at, part"),
    (lambda: Drawn(CrashActor, 1, {"part": ()}), r"CrashActor\.part: there is nothing to choose from"),
    (lambda: Drawn(CrashActor, 1, {"part": "store"}), r"Drawn\.values\['part'\]='store': a list"),
    (lambda: Drawn(CrashActor, 1, {"seconds": (5, -1)}), r"CrashActor\.seconds=-1: a number from 0"),
    (lambda: Mix(faults=(CrashActor,)), r"Mix\.faults\[0\]=.*: a Drawn is wanted"), (lambda: Mix(most_calls=-1), r"Mix\.most_calls=-1: "),
    (lambda: draw_steps(7), "draw_steps: tape=7: a Tape is wanted"), (lambda: draw_steps(Tape(1), {}), "mix={}: a Mix or None"),
    (lambda: draw_steps(Tape(1), seconds=-5), "seconds=-5: a number from 0"), (lambda: draw_steps(Tape(1), nodes=-1), "nodes=-1: "),
    (lambda: draw_steps(Tape(1), parts="operator"), "parts='operator': a list"), (lambda: draw_steps(Tape(1), parts=[""]), r"parts\[0\]='': "),
    (lambda: schedules(50, nodes=0), r"draw_steps: \w+\.part: with nodes=0, parts=\(\) there is none of 'a kubelet'"),
    (lambda: Tape("x"), "Tape: seed='x': a whole number"),
])
def test_what_nothing_can_be_drawn_from_is_refused(make, words):
    with pytest.raises(WrongValue, match=words):
        make()
