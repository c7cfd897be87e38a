"""Strategies of faults and settings: every fault, in every field, plays; schedules are in order."""
import msgspec
import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

from kubelet_lite.simulation.checked import WrongValue
from kubelet_lite.simulation.faults import FAULTS, CrashActor
from kubelet_lite.simulation.records.replay import steps_of as read_again
from kubelet_lite.simulation.simulation import play
from kubelet_lite.simulation.step import Fault
from kubelet_lite.testing import strategies
from kubelet_lite.testing.strategies.steps import CALLS

FEW = settings(max_examples=20, database=None)


@pytest.mark.parametrize("kind", [*FAULTS, *CALLS])
def test_a_step_of_every_kind_can_be_drawn_and_written_down(kind):
    @FEW
    @given(strategies.steps_of(kind))
    def drawn(fault):
        assert type(fault) is kind
        assert read_again([msgspec.to_builtins(fault)]) == (fault,)

    drawn()


@settings(max_examples=5, database=None)
@given(strategies.schedules(), strategies.settings(max_nodes=2))
def test_what_is_drawn_can_be_played(steps, setting):
    async def scenario(simulation):
        await simulation.sleep(1)

    assert [step.at for step in steps] == sorted(step.at for step in steps)
    play(scenario, setting=msgspec.structs.replace(setting, settle=False), steps=steps).raise_error()


def test_schedules_shrink_to_one_plain_fault():
    (fault,) = find(strategies.schedules(strategies.faults(CrashActor)), bool, settings=settings(database=None))
    assert fault == CrashActor(part="default-scheduler", seconds=1.0, may_miss=True)


def test_a_field_of_an_unknown_kind_asks_for_a_strategy():
    class Odd(Fault, frozen=True, kw_only=True):
        shape: complex = 0j

        async def play(self, simulation): ...

    with pytest.raises(TypeError, match=r"Odd\.shape"):
        strategies.steps_of(Odd)
    assert find(strategies.steps_of(Odd, shape=st.just(1j)), bool).shape == 1j


@pytest.mark.parametrize(("make", "words"), [
    (lambda: strategies.faults(CrashActor()), r"faults: kinds=CrashActor\(.*: a class of Fault"), (lambda: strategies.faults(CALLS[0]), "faults: kinds=.*: a class of Fault"),
    (lambda: strategies.faults(prt=st.just("store")), "CrashActor has no field prt: at, part"), (lambda: strategies.faults(at=1), "faults: at=1: a SearchStrategy"),
    (lambda: strategies.calls(CrashActor), "calls: kinds=.*: a class of Call"), (lambda: strategies.steps_of(5), "steps_of: kind=5: a class of Step"),
    (lambda: strategies.schedules(CrashActor), "schedules: steps=.*: a SearchStrategy"), (lambda: strategies.settings(0), "settings: max_nodes=0: a whole number from 1"),
    (lambda: find(strategies.deployments(replicas=3), bool), "deployments: replicas=3: a SearchStrategy"),
])
def test_arguments_of_strategies_are_checked(make, words):
    with pytest.raises(WrongValue, match=words):
        make()
