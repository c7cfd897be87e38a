"""What `play` answers: a scenario's own exception as it is, and clear words for what cannot be played."""
from __future__ import annotations

import asyncio
import functools
import warnings

import pytest

from kubelet_lite.simulation.calls import Delete
from kubelet_lite.simulation.checked import WrongValue
from kubelet_lite.simulation.errors import FaultNotFired, TimeLimitExceeded
from kubelet_lite.simulation.faults import ApiErrors, CrashActor, Latency
from kubelet_lite.simulation.live import LiveSimulation
from kubelet_lite.simulation.records.story import tell
from kubelet_lite.simulation.simulation import Setting, play
from kubelet_lite.simulation.virtual.run import simulate
from kubelet_lite.simulation.which import Which
from kubelet_lite.testing.running import run_simulation

SMALL = Setting(nodes=1)


class Lost(Exception):
    """A scenario's own."""


async def nothing(simulation):
    """A scenario."""


@pytest.mark.parametrize("own", [Lost("what"), ExceptionGroup("mine", [Lost("what")]), AssertionError("no")])
def test_a_scenarios_exception_comes_out_as_itself(own, tmp_path):
    async def scenario(simulation):
        raise own

    assert play(scenario, setting=SMALL).error is own
    with pytest.raises(type(own)) as raised:
        play(scenario, setting=SMALL).raise_error()
    assert raised.value is own
    with pytest.raises(type(own)) as told:
        run_simulation(scenario, setting=SMALL, shrink_budget=0, folder=tmp_path)
    assert told.value is own


def test_what_a_step_raises_comes_out_as_itself():
    class Breaks(CrashActor, frozen=True, kw_only=True):
        async def play(self, simulation):
            raise Lost(self.part)

    assert isinstance(play(nothing, setting=SMALL, steps=[Breaks()]).error, Lost)


def test_a_scenario_is_async():
    def scenario(simulation):
        return None

    for play_it in (play, functools.partial(run_simulation, seed=1)):
        with pytest.raises(TypeError, match=r"scenario=.*scenario \(.*test_play.py:\d+\): an async function is wanted"):
            play_it(scenario)
    with pytest.raises(TypeError, match="scenario=5"):
        play(5)
    assert play(lambda simulation: nothing(simulation), setting=SMALL).error is None


async def in_a_loop(call):
    call()


@pytest.mark.parametrize("call", [
    lambda: play(nothing), lambda: run_simulation(nothing), lambda: simulate(0, nothing), lambda: LiveSimulation().__enter__(),
])
def test_within_a_loop_a_simulation_says_that_it_runs_one_of_its_own(call):
    with warnings.catch_warnings(action="error"), pytest.raises(RuntimeError, match=r"runs an event loop of its own.*from a synchronous test"):
        asyncio.run(in_a_loop(call))


def fifty_pods(snapshot):
    return len(snapshot.list("pods")) == 50


async def waits_for_pods(simulation):
    await simulation.until(fifty_pods, within=20)


async def waits_for_more(simulation):
    await simulation.until(lambda snapshot: len(snapshot.list("pods")) == 51, within=1.5)


async def waits_wrongly(simulation):
    await simulation.until(nothing)


@pytest.mark.parametrize(("scenario", "kind", "words"), [
    (waits_for_pods, TimeoutError, ("fifty_pods", "test_play.py:", "did not hold within 20 s")),
    (waits_for_more, TimeoutError, ('len(snapshot.list("pods")) == 51', "test_play.py:", "did not hold within 1.5 s")),
    (waits_wrongly, WrongValue, ("until: holds=nothing: ", "not async, is wanted")),
])
def test_until_says_what_was_waited_for_and_for_how_long(scenario, kind, words):
    error = play(scenario, setting=SMALL).error
    assert type(error) is kind
    assert all(word in str(error) for word in words), str(error)


def test_a_call_that_finds_nothing_was_not_made_and_is_told():
    absent = Delete(which=Which(kind="walls.example.com"))
    run = play(nothing, setting=SMALL, steps=[absent, Delete(which=Which(kind="pods")), Delete(which=Which(kind="nodes", namespace=""))])
    assert (run.error, run.fired) == (None, (0, 0, 1))
    assert "there is no kind 'walls.example.com'" in tell(run).text(10_000)
    assert "there is none of pods *" in tell(run).text(10_000)


def test_a_fault_that_struck_nothing_says_who_was_there_and_is_not_shrunk(tmp_path):
    steps = [CrashActor(at=3, part="deploymnt-controller"), ApiErrors(at=1, seconds=7, chance=0, code=503), Latency(seconds=5)]

    async def scenario(simulation):
        await simulation.sleep(20)

    with pytest.raises(FaultNotFired) as raised:
        run_simulation(scenario, setting=SMALL, steps=steps, folder=tmp_path)
    message = str(raised.value)
    assert "at 3 s: deploymnt-controller crashes (no part has the name 'deploymnt-controller': did you mean 'deployment-controller'?)" in message
    assert "at 1 s: 0% of the requests of * answered with 503 for 7 s" in message
    assert "parts there were: " in message
    assert {"kubelet-node-1", "default-scheduler", "scheduler"} <= set(message.rpartition("parts there were: ")[2].split(", "))


def test_the_tasks_of_a_run_that_takes_too_long_keep_their_lines_in_the_story():
    async def scenario(simulation):
        await simulation.sleep(1000)

    run = play(scenario, setting=Setting(nodes=1, limit_seconds=30))
    assert isinstance(run.error, TimeLimitExceeded)
    first, *others = str(run.error).splitlines()
    lines = tell(run).text(10_000).splitlines()
    assert first in lines[0]
    assert len(others) > 3
    assert [line.strip() for line in lines[1:len(others) + 1]] == [line.strip() for line in others]
