"""Values of steps and settings are checked when they are made: the error names the class and the field."""
from __future__ import annotations

import math
from types import MappingProxyType

import msgspec
import pytest

from kubelet_lite.simulation.calls import Apply, Corrupt, Delete, Edit, Scale
from kubelet_lite.simulation.faults import (
    ApiErrors,
    ClockJump,
    CrashActor,
    CrashAfterWrite,
    CrashContainer,
    FlappingReadiness,
    Hang,
    Latency,
    Partition,
)
from kubelet_lite.simulation.records.replay import ReplayError, steps_of
from kubelet_lite.simulation.simulation import Setting, play
from kubelet_lite.simulation.step import Call
from kubelet_lite.simulation.which import Which

WEB = Which(kind="deployments.apps", name="web")


@pytest.mark.parametrize(("make", "words"), [
    (lambda: CrashActor(at=-1), r"CrashActor\.at=-1: Expected `float` >= 0"),
    (lambda: CrashActor(at="1"), r"CrashActor\.at='1': Expected `float`, got `str`"),
    (lambda: CrashActor(at=math.inf), r"CrashActor\.at=inf: "),
    (lambda: CrashActor(at=math.nan), r"CrashActor\.at=nan: "),
    (lambda: CrashActor(at=True), r"CrashActor\.at=True: "),
    (lambda: CrashActor(part=3), r"CrashActor\.part=3: Expected `str`, got `int`"),
    (lambda: CrashActor(part=""), r"CrashActor\.part='': "),
    (lambda: CrashActor(at_step=-1), r"CrashActor\.at_step=-1: "),
    (lambda: CrashAfterWrite(at_write=0), r"CrashAfterWrite\.at_write=0: "),
    (lambda: Latency(chance=5), r"Latency\.chance=5: Expected `float` <= 1"),
    (lambda: ApiErrors(code=418), r"ApiErrors\.code=418: "),
    (lambda: Partition(verbs="get"), r"Partition\.verbs='get': Expected `array`, got `str`"),
    (lambda: Partition(how="bogus"), r"Partition\.how='bogus': "),
    (lambda: Hang(seconds=-3), r"Hang\.seconds=-3: "),
    (lambda: CrashContainer(exit_code=256), r"CrashContainer\.exit_code=256: "),
    (lambda: FlappingReadiness(every_seconds=0), r"FlappingReadiness\.every_seconds=0: "),
    (lambda: ClockJump(jump_seconds="far"), r"ClockJump\.jump_seconds='far': "),
    (lambda: Scale(which="web", replicas=1), r"Scale\.which='web': Expected `Which|object`"),
    (lambda: Scale(which=WEB, replicas=1.5), r"Scale\.replicas=1\.5: "),
    (lambda: Delete(which=WEB, propagation="Sideways"), r"Delete\.propagation='Sideways': "),
    (lambda: Edit(which=WEB, change=["spec"]), r"Edit\.change=\['spec'\]: "),
    (lambda: Corrupt(which=WEB, nth=-1), r"Corrupt\.nth=-1: "),
    (lambda: Which(kind="pods", nth=-1), r"Which\.nth=-1: "),
    (lambda: Setting(nodes=-1), r"Setting\.nodes=-1: "),
    (lambda: Setting(order_chance=2), r"Setting\.order_chance=2: "),
    (lambda: Setting(components="apiserver"), r"Setting\.components='apiserver': "),
    (lambda: Setting(objects=[1]), r"Setting\.objects=\[1\]: "),
    (lambda: msgspec.structs.replace(CrashActor(), at=-1), r"CrashActor\.at=-1: "),
])
def test_a_wrong_value_is_an_error_that_names_class_and_field(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_a_field_that_there_is_not_is_an_error():
    with pytest.raises(TypeError, match="sceonds"):
        Hang(sceonds=3)


def test_what_counts_as_the_same_is_taken_for_it():
    assert Partition(at=1, verbs=["watch"]) == Partition(at=1.0, verbs=("watch",))
    assert isinstance(Partition(at=1).at, float)
    assert hash(Partition(verbs=["watch"])) == hash(Partition(verbs=("watch",)))
    assert Apply(manifest=MappingProxyType({"kind": "Pod"})).manifest == {"kind": "Pod"}


class Own(Call, frozen=True, kw_only=True):
    """A user's own step is held to its own annotations."""

    colours: frozenset[str] = frozenset()

    async def play(self, simulation):
        """Nothing."""


def test_own_steps_are_checked_too():
    assert Own(colours={"red"}).colours == frozenset({"red"})
    with pytest.raises(ValueError, match=r"Own\.colours='red': "):
        Own(colours="red")


def test_a_replay_file_is_held_to_the_same():
    with pytest.raises(ReplayError, match=r"steps\[0\]\.at: "):
        steps_of([{"step": "CrashActor", "at": -1}])
    with pytest.raises(ReplayError, match=r"steps\[0\]\.which: .*podz"):
        steps_of([{"step": "Delete", "which": {"kind": "podz"}}])


async def nothing(simulation):
    """A scenario."""


@pytest.mark.parametrize(("arguments", "words"), [
    ({"seed": "x"}, "seed='x': a whole number"), ({"seed": True}, "seed=True"), ({"steps": ["x"]}, r"steps\[0\]='x': a Fault or a Call"),
])
def test_arguments_of_another_kind_are_refused_at_once(arguments, words):
    with pytest.raises(TypeError, match=words):
        play(nothing, **arguments)
