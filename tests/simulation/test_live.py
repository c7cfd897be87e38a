"""A simulation held open by synchronous code."""
import anyio
import anyio.lowlevel
import pytest

from kubelet_lite.api.core_v1 import ConfigMap, Node, Pod
from kubelet_lite.api.errors import NotFound
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.simulation.checked import WrongValue
from kubelet_lite.simulation.errors import LeftBehind
from kubelet_lite.simulation.invariant import InvariantViolated, never
from kubelet_lite.simulation.live import LiveSimulation
from kubelet_lite.simulation.shrink import shrink_run
from kubelet_lite.simulation.simulation import Setting, play
from kubelet_lite.simulation.step import Call
from kubelet_lite.testing import builders


class Write(Call, frozen=True, kw_only=True):
    """Makes a ConfigMap, after a while."""

    name: str
    after: float = 0.0

    async def play(self, simulation):
        await simulation.sleep(self.after)
        await simulation.client.create(ConfigMap(metadata=ObjectMeta(name=self.name, namespace="default")))


def get(name):
    return lambda simulation: simulation.client.get(ConfigMap, name, namespace="default")


def no_bad_one(snapshot):
    return snapshot.get(ConfigMap, "bad", "default") is not None


def test_time_passes_only_within_calls():
    with LiveSimulation(Setting(nodes=2)) as live:
        assert live.seconds == 0
        live.call(lambda simulation: simulation.sleep(30))
        assert live.seconds == 30
        assert len(live.simulation.snapshot.list(Node)) == 2


def test_what_a_call_raises_is_raised_and_the_simulation_goes_on():
    with LiveSimulation(Setting(nodes=1)) as live:
        with pytest.raises(NotFound):
            live.call(get("absent"))
        live.call(Write(name="there").play)
        assert live.call(get("there")).metadata.name == "there"


def test_a_violated_invariant_is_raised_by_the_call_and_once():
    with pytest.raises(InvariantViolated, match="no_bad_one") as raised, LiveSimulation(Setting(nodes=1), invariants=[never(no_bad_one)]) as live:
        live.start(Write(name="bad"))
    assert "simulation seed 0" in raised.value.__notes__[0]


def test_leaving_waits_for_the_steps_that_were_started_and_the_run_has_them_at_their_times():
    with LiveSimulation(Setting(nodes=1)) as live:
        live.call(lambda simulation: simulation.sleep(10))
        live.start(Write(name="late", after=5, at=2))
    assert live.simulation.snapshot.get(ConfigMap, "late", "default") is not None
    assert live.run().steps == (Write(name="late", after=5, at=12),)


def test_a_run_that_was_driven_is_the_run_that_is_played():
    with LiveSimulation(Setting(nodes=1), seed=3) as live:
        live.call(lambda simulation: simulation.sleep(10))
        live.start(Write(name="one"))
        live.call(lambda simulation: simulation.sleep(50))

    async def scenario(simulation):
        await simulation.sleep(60)

    driven = live.run()
    played = play(scenario, seed=3, setting=Setting(nodes=1), steps=driven.steps, decisions=driven.decisions)
    assert [(r.event.key, r.time, r.actor) for r in played.archive.revisions] == [(r.event.key, r.time, r.actor) for r in driven.archive.revisions]


async def create_bad(simulation):
    await simulation.client.create(ConfigMap(metadata=ObjectMeta(name="bad", namespace="default")))


async def expire(simulation):
    await simulation.sleep(1)
    raise TimeoutError("mine")


def drive(live):
    live.do(Write(name="one"))
    with pytest.raises(NotFound):
        live.call(get("absent"))
    live.sleep(10)
    live.call(create_bad)
    live.call(expire)


@pytest.mark.parametrize(("invariants", "error"), [((never(no_bad_one),), InvariantViolated), ((), TimeoutError)])
def test_a_failure_is_played_again_without_the_code_that_drove_it(invariants, error):
    live = LiveSimulation(Setting(nodes=1), seed=5, invariants=invariants)
    with pytest.raises(error) as raised, live:
        drive(live)
    run = live.again(raised.value)
    assert run is not None
    assert type(run.error) is error
    assert [step.at for step in run.steps] == [0, 0, 10, 10]
    smaller, _ = shrink_run(run)
    assert [str(step) for step in smaller.steps] == ["create_bad" if invariants else "expire"]
    assert smaller.steps[0].at == 0
    assert run.scenario is not None


async def one_pod(simulation):
    """Makes it, and then takes its turns in the loop."""
    if simulation.snapshot.get(Pod, "one", "default") is None:
        await simulation.client.create(builders.pod("one"))
    await anyio.lowlevel.checkpoint()


async def spoil(simulation):
    if simulation.snapshot.get(Pod, "one", "default").spec.nodeName:
        await simulation.client.create(ConfigMap(metadata=ObjectMeta(name="bad", namespace="default")))


def wait_and_spoil(live):
    while not any(pod.spec.nodeName for pod in live.simulation.snapshot.list(Pod)):
        live.call(one_pod)
    assert live.seconds == 0
    live.call(spoil)


def test_what_was_done_at_one_instant_one_thing_after_the_other_has_its_effect_again():
    live = LiveSimulation(Setting(nodes=1), invariants=[never(no_bad_one)])
    with pytest.raises(InvariantViolated) as raised, live:
        wait_and_spoil(live)
    run = live.again(raised.value)
    assert run is not None
    assert 0 < run.steps[-1].at < 1


def test_what_a_program_makes_of_answers_cannot_be_played_again():
    live = LiveSimulation(Setting(nodes=1))
    with pytest.raises(KeyError) as raised, live:
        {}[live.do(Write(name="one")).name]
    assert live.again(raised.value) is None


def test_what_a_call_leaves_behind_fails_the_end():
    async def leave_a_task(simulation):
        simulation.environment.loop.create_task(anyio.sleep_forever(), name="left")

    with pytest.raises(LeftBehind, match="left: waits in"), LiveSimulation(Setting(nodes=1)) as live:
        live.call(leave_a_task)


@pytest.mark.parametrize(("do", "words"), [
    (lambda live: live.start("x"), "LiveSimulation.start: step='x': a Fault or a Call"), (lambda live: live.sleep(-1), "LiveSimulation.sleep: seconds=-1: "),
    (lambda live: live.call(5), "LiveSimulation.call: function=5: a function of 1 argument"),
    (lambda live: live.call(lambda simulation: 5), "LiveSimulation.call: function=.*<lambda> answered with 5: an async function is wanted"),
    (lambda live: live.start(Write(name="late", at=90_000)), r"LiveSimulation: step\.at=90000: .*limit_seconds=86400"),
])
def test_what_it_is_told_is_checked(do, words):
    with LiveSimulation(Setting(nodes=0)) as live, pytest.raises(WrongValue, match=words):
        do(live)


def test_before_it_is_entered_it_says_so():
    for ask in (lambda live: live.seconds, lambda live: live.call(get("a")), lambda live: live.simulation):
        with pytest.raises(RuntimeError, match="its cluster is there within"):
            ask(LiveSimulation())
    assert not hasattr(LiveSimulation(), "nothing")
