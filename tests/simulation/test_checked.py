"""Values of steps and settings are checked when they are made: the error names the class and the field."""
from __future__ import annotations

import importlib
import inspect
import itertools
import math
import pkgutil
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec
import pytest

from kubelet_lite import simulation, testing
from kubelet_lite.simulation.calls import Apply, Corrupt, Create, Delete, Edit, Scale
from kubelet_lite.simulation.checked import Count, WrongValue, check, checked
from kubelet_lite.simulation.faults import (
    ApiErrors,
    ClockJump,
    CrashActor,
    CrashAfterWrite,
    CrashContainer,
    EndedWatches,
    FlappingReadiness,
    Hang,
    Latency,
    Partition,
)
from kubelet_lite.simulation.invariant import always
from kubelet_lite.simulation.records.replay import ReplayError, steps_of
from kubelet_lite.simulation.simulation import Setting, play
from kubelet_lite.simulation.step import Call, Step
from kubelet_lite.simulation.which import Which

WEB = Which(kind="deployments.apps", name="web")


@pytest.mark.parametrize(("make", "words"), [
    (lambda: CrashActor(at=-1), r"CrashActor\.at=-1: a number from 0 to 1e\+09 is wanted"),
    (lambda: CrashActor(at="1"), r"CrashActor\.at='1': a number from 0"),
    (lambda: CrashActor(at=math.inf), r"CrashActor\.at=inf: "),
    (lambda: CrashActor(at=math.nan), r"CrashActor\.at=nan: "),
    (lambda: CrashActor(at=True), r"CrashActor\.at=True: "),
    (lambda: CrashActor(part=3), r"CrashActor\.part=3: a text that is not empty is wanted"),
    (lambda: CrashActor(part=""), r"CrashActor\.part='': "),
    (lambda: CrashActor(at_step=-1), r"CrashActor\.at_step=-1: "),
    (lambda: CrashAfterWrite(at_write=0), r"CrashAfterWrite\.at_write=0: "),
    (lambda: Latency(chance=5), r"Latency\.chance=5: a number from 0 to 1 is wanted"),
    (lambda: ApiErrors(code=418), r"ApiErrors\.code=418: "),
    (lambda: Partition(verbs="get"), r"Partition\.verbs='get': a list is wanted"),
    (lambda: Partition(verbs=("get", "wach")), r"Partition\.verbs\[1\]='wach': one of .* is wanted \(did you mean 'watch'\?\)"),
    (lambda: Partition(resources=("podz",)), r"Partition\.resources: there is no kind 'podz' \(did you mean pods\?\)"),
    (lambda: EndedWatches(resources=("deployment.apps",)), r"EndedWatches\.resources: there is no kind .*mean deployments\.apps"),
    (lambda: CrashActor(at=10**400), r"CrashActor\.at=10{119}…: "),
    (lambda: Partition(how="bogus"), r"Partition\.how='bogus': "),
    (lambda: Hang(seconds=-3), r"Hang\.seconds=-3: "),
    (lambda: CrashContainer(exit_code=256), r"CrashContainer\.exit_code=256: "),
    (lambda: FlappingReadiness(every_seconds=0), r"FlappingReadiness\.every_seconds=0: "),
    (lambda: ClockJump(jump_seconds="far"), r"ClockJump\.jump_seconds='far': "),
    (lambda: Scale(which="web", replicas=1), r"Scale\.which='web': a Which is wanted"),
    (lambda: Scale(which=WEB, replicas=1.5), r"Scale\.replicas=1\.5: "),
    (lambda: Delete(which=WEB, propagation="Sideways"), r"Delete\.propagation='Sideways': "),
    (lambda: Edit(which=WEB, change=["spec"]), r"Edit\.change=\['spec'\]: "),
    (lambda: Corrupt(which=WEB, nth=-1), r"Corrupt\.nth=-1: "),
    (lambda: Which(kind="pods", nth=-1), r"Which\.nth=-1: "),
    (lambda: Setting(nodes=-1), r"Setting\.nodes=-1: "),
    (lambda: Setting(nodes=10**9), r"Setting\.nodes=1000000000: a whole number from 0 to 10000"),
    (lambda: Setting(components=("apiserver", "schedular")), r"components\[1\]='schedular': one of .* \(did you mean 'scheduler'\?\)"),
    (lambda: Setting(components=["kubelet"]), r"Setting\.components=\('kubelet',\): without 'apiserver'"),
    (lambda: Setting(limit_seconds=0), r"Setting\.limit_seconds=0: a number above 0"),
    (lambda: Apply(manifest={}), r"Apply\.manifest\['apiVersion'\]=None: a text"),
    (lambda: Create(manifest={"apiVersion": "v1", "kind": "Pod", "metadata": 5}), r"Create\.manifest\['metadata'\]=5: a mapping or None"),
    (lambda: Edit(which=WEB, change={"a": object()}), r"Edit\.change=.*: plain JSON values are wanted"),
    (lambda: Setting(order_chance=2), r"Setting\.order_chance=2: "),
    (lambda: Setting(components="apiserver"), r"Setting\.components='apiserver': "),
    (lambda: Setting(objects=[1]), r"Setting\.objects\[0\]=1: a mapping is wanted"),
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
    assert Apply(manifest=MappingProxyType({"apiVersion": "v1", "kind": "Pod"})).manifest == {"apiVersion": "v1", "kind": "Pod"}


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
    ({"seed": "x"}, "play: seed='x': a whole number is wanted"), ({"seed": True}, "seed=True"), ({"seed": 1.5}, r"seed=1\.5"),
    ({"steps": ["x"]}, r"steps\[0\]='x': a Fault or a Call is wanted"), ({"steps": [CrashActor]}, r"steps\[0\]=<class .*CrashActor'>: a Fault"),
    ({"steps": CrashActor(part="store")}, r"steps=CrashActor\(.*\): a list of faults and calls is wanted"), ({"steps": None}, "steps=None: a list"),
    ({"steps": (step for step in ())}, "steps=<generator .*: a list"), ({"steps": {}}, "steps={}: a list"),
    ({"setting": {}}, "setting={}: a Setting is wanted"), ({"invariants": always(bool)}, "invariants=.*: a list of invariants is wanted"),
    ({"invariants": ["MaxSurge"]}, r"invariants\[0\]='MaxSurge': an Invariant, or always\(f\)"), ({"behaviour": 5}, "behaviour=5: a function of 3 arguments"),
    ({"decisions": {"order": {0: "x"}}}, r"decisions\['order'\]\[0\]='x': a whole number"),
    ({"steps": [CrashActor(at=1), CrashActor(at=90_000)]}, r"steps\[1\]\.at=90000: .*, and a run ends after Setting\.limit_seconds=86400"),
    ({"steps": [Partition(at=5, seconds=20)], "setting": Setting(limit_seconds=20)}, r"steps\[0\]\.seconds=20: it would go on until 25 s, .*=20"),
])
def test_arguments_of_another_kind_are_refused_at_once(arguments, words):
    with pytest.raises(WrongValue, match=words):
        play(nothing, **arguments)


async def two(one, another):
    """What takes two."""


@pytest.mark.parametrize(("scenario", "shown"), [(5, "5"), (two, "two"), (Which, "<class .*Which'>"), (lambda: None, ".*<lambda>")])
def test_a_scenario_takes_a_simulation(scenario, shown):
    with pytest.raises(WrongValue, match=f"play: scenario={shown}: an async function of a Simulation is wanted"):
        play(scenario)


def test_what_a_simulation_is_asked_is_checked_too():
    async def scenario(simulation):
        for ask, words in (
            (lambda: simulation.start("crash"), "Simulation.start: step='crash': a Fault or a Call is wanted"),
            (lambda: simulation.start(CrashActor(at=90_000)), r"Simulation.start: step.at=90000: it would go on until 90000 s, .*=86400"),
            (lambda: simulation.sleep(-1), "Simulation.sleep: seconds=-1: a number from 0"),
            (lambda: simulation.until(5), "Simulation.until: holds=5: a function over a snapshot, not async, is wanted"),
            (lambda: simulation.until(bool, within=math.nan), "Simulation.until: within=nan: "),
            (lambda: simulation.until(bool, every=0), "Simulation.until: every=0: a number above 0"),
            (lambda: simulation.settle(within="long"), "Simulation.settle: within='long': "),
        ):
            with pytest.raises(WrongValue, match=words):
                ask()

    play(scenario, setting=Setting(nodes=0)).raise_error()


@pytest.mark.parametrize(("value", "wanted", "words"), [
    ({"a": 1}, Mapping[str, str], r"x\['a'\]=1: a text is wanted"), ({1: "a"}, Mapping[str, str], "x: key=1: a text is wanted"),
    ("ab", Iterable[str], "x='ab': a list is wanted"), (b"ab", Sequence[int], "x=b'ab': a list"), (int, type[Call], "x=<class 'int'>: a class of Call"),
    (two, Callable[[int, int], bool], "x=two: a function of 2 arguments, not async, is wanted"), (two, Callable[[int], Awaitable[None]], "x=two: .* of 1 argument is"),
    ([1, "b"], Sequence[int] | None, r"x\[1\]='b': a whole number"), (1.5, int | str | None, r"x=1\.5: a whole number or a text or None is wanted"),
])
def test_an_annotation_says_what_is_wanted(value, wanted, words):
    with pytest.raises(WrongValue, match=words):
        check("x", value, wanted)


@pytest.mark.parametrize(("value", "wanted"), [
    (range(10**12), Iterable[int]), (itertools.count(), Iterable[int]), (two, Callable[[int, int], Awaitable[None]]), (two, Callable[..., Any]),
    (max, Callable[[int], int]), (1, float), (MappingProxyType({"a": 1}), Mapping[str, int]), (CrashActor(), Step), (CrashActor, type[Step]), (None, int | None),
])
def test_what_fits_is_taken_as_it_is(value, wanted):
    check("x", value, wanted)


@checked
def several(first: int, *others: type[Step], last: str = "", **more: Count) -> None:
    """Takes what a function may take."""


@pytest.mark.parametrize(("call", "words"), [
    (lambda: several("a"), "several: first='a'"), (lambda: several(1, Hang, str), "several: others=<class 'str'>: a class of Step is wanted"),
    (lambda: several(1, last=2), "several: last=2: a text"), (lambda: several(1, there=-1), "several: there=-1: a whole number from 0 on"),
])
def test_every_argument_is_checked_however_it_is_given(call, words):
    with pytest.raises(WrongValue, match=words):
        call()


def test_the_annotations_of_all_that_is_checked_can_be_told():
    found = set()
    for package in (simulation, testing):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            members = vars(importlib.import_module(module.name)).values()
            for function in (*members, *(part for kind in members if isinstance(kind, type) for part in vars(kind).values())):
                if getattr(function, "__code__", None) is several.__code__:
                    inspect.get_annotations(function, eval_str=True)
                    found.add(function.__qualname__)
    assert {"play", "run_simulation", "LiveSimulation.start", "Simulation.until", "deployment", "replay", "KubeServer.wait"} <= found


def test_a_value_is_shown_at_no_great_length():
    with pytest.raises(WrongValue) as raised:
        Setting(objects="x" * 10_000)
    assert len(str(raised.value)) < 200
