"""run_simulation: what it raises, and how that is repeated."""
import pytest

from kubelet_lite.api.apps_v1 import Deployment
from kubelet_lite.simulation.faults import CrashActor, Latency
from kubelet_lite.simulation.invariant import InvariantViolated, never
from kubelet_lite.simulation.records import replay
from kubelet_lite.simulation.simulation import Setting
from kubelet_lite.testing.builders import deployment
from kubelet_lite.testing.running import run_simulation


async def a_deployment(simulation):
    await simulation.client.create(deployment("web", 2))
    await simulation.until(lambda snapshot: available(snapshot) == 2)


def available(snapshot):
    web = snapshot.get(Deployment, "web", "default")
    return web.status.availableReplicas if web is not None else 0


def two_available(snapshot):
    return available(snapshot) == 2


def crashes(tape):
    """Some crashes that change nothing; of the one in three seeds that has it, a long latency too."""
    random = tape.random("steps")
    steps = [CrashActor(at=random.random() * 5, part="scheduler", may_miss=True) for _ in range(5)]
    return [*steps, Latency(at=0, part="*", seconds=60, most_seconds=30)] if random.random() > 0.7 else steps


async def slow(simulation):
    await simulation.client.create(deployment("web", 2))
    await simulation.until(two_available, within=20)


def test_a_scenario_that_holds_returns_its_last_run():
    run = run_simulation(a_deployment, seeds=range(2), setting=Setting(nodes=2))
    assert (run.seed, run.error) == (1, None)


def test_a_failure_is_shrunk_told_and_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvariantViolated, match="two_available") as raised:
        run_simulation(a_deployment, seed=3, setting=Setting(nodes=2), steps=crashes, invariants=[never(two_available)])
    story, how = raised.value.__notes__[-2:]
    assert "deployment default/web" in story
    assert "crashes" not in story, "the steps had nothing to do with it"
    assert "replay: kubelet-lite replay .simulations/a_deployment-3.json" in how
    again = replay.replay(tmp_path / ".simulations/a_deployment-3.json")
    assert again.repeated
    assert not again.run.steps


def test_the_seed_alone_repeats_the_run(tmp_path):
    def fails(seeds):
        with pytest.raises(TimeoutError) as raised:
            run_simulation(slow, seeds=seeds, setting=Setting(nodes=2), steps=crashes, shrink_budget=0, folder=tmp_path)
        return raised.value.__notes__

    run_simulation(slow, setting=Setting(nodes=2))
    notes = fails(range(20))
    seed = int(notes[-1].split("seed ")[1].split()[0])
    assert seed > 0
    assert fails([seed]) == notes


def test_a_scenario_within_a_function_is_kept_for_pytest_and_to_be_looked_at(tmp_path):
    async def local(simulation):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine") as raised:
        run_simulation(local, setting=Setting(nodes=1), folder=tmp_path)
    how = raised.value.__notes__[-1]
    assert "--simulation-replay" in how
    assert len(list(tmp_path.iterdir())) == 2


def test_files_have_names_that_a_shell_takes(tmp_path):
    async def local(simulation):
        raise KeyError("mine")

    class Scenario:
        def __call__(self, simulation):
            return local(simulation)

    for scenario in (lambda simulation: local(simulation), Scenario()):
        with pytest.raises(KeyError):
            run_simulation(scenario, setting=Setting(nodes=1), shrink_budget=0, folder=tmp_path)
    assert {path.name.partition("0")[0] for path in tmp_path.iterdir()} == {
        "test_files_have_names_that_a_shell_takes-lambda-", "test_files_have_names_that_a_shell_takes-Scenario-",
    }


def test_seeds_are_one_or_some():
    with pytest.raises(ValueError, match="not both"):
        run_simulation(a_deployment, seed=1, seeds=[1])
    with pytest.raises(ValueError, match="empty"):
        run_simulation(a_deployment, seeds=[])
