"""run_simulation: what it raises, and how that is repeated."""
import itertools

import pytest

from kubelet_lite.api.apps_v1 import Deployment
from kubelet_lite.simulation.checked import WrongValue
from kubelet_lite.simulation.dump import DumpError
from kubelet_lite.simulation.faults import CrashActor, Latency
from kubelet_lite.simulation.invariant import InvariantViolated, never
from kubelet_lite.simulation.records import replay
from kubelet_lite.simulation.simulation import Setting
from kubelet_lite.testing.builders import deployment
from kubelet_lite.testing.running import SimulationRunner, run_simulation


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


def without_a_tape():
    return []


@pytest.mark.parametrize(("arguments", "words"), [
    ({"seeds": 5}, "seeds=5: a list of whole numbers, or a range"), ({"seeds": "12"}, "seeds='12': "), ({"seeds": ["x"]}, r"seeds\[0\]='x': a whole number"),
    ({"seed": 1.5}, "seed=1.5: "), ({"setting": {}}, "setting={}: a Setting"), ({"steps": None}, "steps=None: a list of faults and calls, or a function of a Tape"),
    ({"steps": CrashActor()}, r"steps=CrashActor\(.*: a list"), ({"steps": without_a_tape}, "steps=without_a_tape: .*function of a Tape"),
    ({"steps": lambda tape: None}, r"<lambda>\(tape\)=None: a list of faults and calls"), ({"steps": lambda tape: ["x"]}, r"<lambda>\(tape\)\[0\]='x': a Fault"),
    ({"invariants": never(two_available)}, "invariants=.*: a list of invariants"), ({"shrink_budget": -1}, "shrink_budget=-1: a whole number from 0"),
    ({"folder": 5}, "folder=5: a Path or a text"), ({"behaviour": "x"}, "behaviour='x': a function of 3 arguments"),
])
def test_arguments_are_checked_before_anything_runs(arguments, words):
    for run in (run_simulation, SimulationRunner(0, (), None)):
        if not {"seed", "seeds"} & set(arguments) or run is run_simulation:
            with pytest.raises(WrongValue, match=words):
                run(a_deployment, **arguments)


def test_seeds_need_not_end(tmp_path):
    with pytest.raises(TimeoutError):
        run_simulation(slow, seeds=itertools.count(), setting=Setting(nodes=2), steps=crashes, shrink_budget=0, folder=str(tmp_path))


def test_a_setting_with_which_no_cluster_starts_is_no_failure_to_be_told(tmp_path):
    with pytest.raises(DumpError) as raised:
        run_simulation(a_deployment, setting=Setting(objects=({"kind": "Pod"},)), folder=tmp_path)
    assert not [note for note in raised.value.__notes__ if "replay" in note]
    assert not list(tmp_path.iterdir())
