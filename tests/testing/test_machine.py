"""ClusterMachine: what it watches, what a failure says, and how short it gets."""
import re
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, Phase, core, seed, settings
from hypothesis import strategies as st
from hypothesis.database import InMemoryExampleDatabase
from hypothesis.stateful import rule, run_state_machine_as_test

from kubelet_lite.api.core_v1 import ConfigMap, Pod
from kubelet_lite.api.errors import ApiError
from kubelet_lite.api.identity import Identity
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.requests import ListOptions
from kubelet_lite.simulation.checked import WrongValue
from kubelet_lite.simulation.faults import ApiErrors, LostAnswers, LostRequests
from kubelet_lite.simulation.invariant import InvariantViolated, never
from kubelet_lite.simulation.records import recording, replay
from kubelet_lite.simulation.records.story import tell
from kubelet_lite.simulation.simulation import Setting
from kubelet_lite.simulation.step import Fault
from kubelet_lite.testing import ClusterMachine, Faults, UserActions, Workloads, builders, strategies

FEW = settings(
    max_examples=5, stateful_step_count=20, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck),
)


class Everything(Faults, UserActions, Workloads):
    pass


class Rollouts(Workloads):
    kinds = ("deployment",)


TestRollouts = Rollouts.TestCase
TestRollouts.settings = FEW


def run(machine, **changes):
    """As pytest and unittest do."""
    test = machine.TestCase()
    test.settings = settings(FEW, **changes)
    test.runTest()


def told_by(error):
    return "\n".join(error.__notes__)


def full(snapshot):
    return len(snapshot.list(ConfigMap, "default")) >= 3


class Notes(ClusterMachine):
    setting = Setting(nodes=0, components=("apiserver",))
    watched = (never(full),)

    @rule(name=strategies.names())
    def notes(self, name):
        self.ask(lambda client: client.create(builders.configmap(name)))

    @rule(name=strategies.names())
    def forgets(self, name):
        self.ask(lambda client: client.delete(ConfigMap, name, namespace="default"))


def test_a_failure_of_rules_that_call_code_is_shrunk_told_and_recorded(tmp_path, monkeypatch):
    monkeypatch.setattr(Notes, "folder", tmp_path)
    with pytest.raises(InvariantViolated, match="never full") as raised:
        run(Notes, max_examples=100, stateful_step_count=8)
    story = told_by(raised.value)
    assert story.count("Notes.notes") == 3
    assert "Notes.forgets" not in story
    assert "state." not in story, "what Hypothesis did at first is longer, and beside the point"
    assert f"look at it: kubelet-lite replay {tmp_path / 'Notes.jsonl'}" in story
    assert tell(recording.read(tmp_path / "Notes.jsonl")).title in story


def three_pods(snapshot):
    pods = snapshot.list(Pod, "default")
    return f"pod default/{pods[-1].metadata.name} is one of {len(pods)}" if len(pods) >= 3 else ""


class ThreePods(Everything):
    setting = Setting(nodes=2)
    watched = (never(three_pods),)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_no_superfluous_step_is_left_and_the_file_replays_it(number, tmp_path, monkeypatch):
    monkeypatch.setattr(ThreePods, "folder", tmp_path)
    with pytest.raises(InvariantViolated, match="never three_pods") as raised:
        run(seed(number)(ThreePods), max_examples=30, derandomize=False, database=None)
    assert f"replay: kubelet-lite replay {tmp_path / 'ThreePods.json'}" in told_by(raised.value)
    again = replay.replay(tmp_path / "ThreePods.json")
    assert again.repeated
    assert len(again.run.steps) <= 3
    assert not [step for step in again.run.steps if isinstance(step, Fault)]
    assert len([obj for obj in again.run.archive.revisions if obj.verb == "create" and obj.event.key.resource == "pods"]) == 3


class Counts(Faults, Workloads):
    """Fails in a rule of its own: only Hypothesis can make that smaller."""

    setting = Setting(nodes=0, components=("apiserver",))
    watched = ()

    def __init__(self):
        super().__init__()
        self.count = 0

    @rule()
    def counts(self):
        self.count += self.call(counted)
        assert self.count < 3


async def counted(simulation):
    return 1


@pytest.mark.parametrize("forced", [None, 3], ids=["any", "--hypothesis-seed=3"])
@pytest.mark.parametrize("database", [None, InMemoryExampleDatabase()], ids=["alone", "database"])
@pytest.mark.parametrize("derandomize", [True, False])
def test_what_fails_outside_the_cluster_is_left_to_hypothesis(derandomize, database, forced, tmp_path, monkeypatch):
    monkeypatch.setattr(Counts, "folder", tmp_path)
    monkeypatch.setattr(core, "global_force_seed", forced)
    with pytest.raises(AssertionError) as raised:
        run(Counts, max_examples=50, derandomize=derandomize, database=None if derandomize else database)
    steps = re.findall(r"state\.(\w+)\(", told_by(raised.value))
    assert steps == ["begins", "counts", "counts", "counts", "teardown"]
    assert (tmp_path / "Counts.jsonl").exists()


def test_hypothesis_own_way_of_running_it_works_too(tmp_path, monkeypatch):
    monkeypatch.setattr(Notes, "folder", tmp_path)
    with pytest.raises(InvariantViolated, match="never full") as raised:
        run_state_machine_as_test(Notes, settings=settings(FEW, max_examples=100, stateful_step_count=8, phases=(Phase.generate,)))
    assert told_by(raised.value).count("Notes.notes") == 3


def test_a_machine_whose_cluster_does_not_come_to_rest_fails_at_its_end(monkeypatch, tmp_path):
    class Stuck(Workloads):
        setting = Setting(nodes=1, components=("apiserver", "controllers", "kubelet"), settle=True)
        watched = ()
        folder = tmp_path

        @rule()
        def makes_a_pod_that_nobody_places(self):
            self.ask(lambda client: client.create(builders.pod("lonely")))

    with pytest.raises(InvariantViolated, match="EventuallyStable"):
        run(Stuck, max_examples=10, stateful_step_count=3)


OPERATOR = Identity(name="operator", groups=("system:masters",))


def two_of_one(snapshot):
    owners = [found.metadata.labels["site"] for found in snapshot.list(ConfigMap, "default") if "site" in found.metadata.labels]
    return len(owners) != len(set(owners))


class Sites(Faults):
    """An operator makes one page for each site, and takes the next name when it is told that the first could not be written."""

    setting = Setting(nodes=0, components=("apiserver",))
    watched = (never(two_of_one),)
    faults = strategies.faults(
        LostAnswers, ApiErrors, LostRequests, at=st.just(0.0), part=st.just("operator"), verbs=st.just(()), resources=st.just(()),
    )

    @rule(site=strategies.names())
    def wanted(self, site):
        self.ask(lambda client: client.create(builders.configmap(site)))

    @rule(site=strategies.names())
    def operator_acts(self, site):
        async def act(client):
            await client.get(ConfigMap, site, namespace="default")
            pages = await client.list(ConfigMap, namespace="default", options=ListOptions(label_selector=f"site={site}"))
            for attempt in range(0 if pages.items else 3):
                page = ConfigMap(metadata=ObjectMeta(name=f"{site}-{attempt}", namespace="default", labels={"site": site}))
                with suppress(ApiError):
                    await client.create(page)
                    return

        self.ask(lambda client: act(client.acting_as(OPERATOR)))


def test_a_planted_bug_is_found_in_few_steps(monkeypatch, tmp_path):
    monkeypatch.setattr(Sites, "folder", tmp_path)
    with pytest.raises(InvariantViolated, match="two_of_one") as raised:
        run(Sites, max_examples=200, stateful_step_count=10)
    story = told_by(raised.value)
    assert story.count("answers to writes of operator (create configmaps) get lost") == 1
    assert "answered with" not in story
    assert "requests of" not in story
    assert story.count("Sites.wanted") + story.count("Sites.operator_acts") <= 3


@pytest.mark.slow
def test_our_own_controllers_survive_everything():
    run(Everything, max_examples=20)


@pytest.mark.parametrize(("attributes", "words"), [
    ({"setting": {}}, r"M\.setting={}: a Setting is wanted"), ({"watched": never(full)}, r"M\.watched=.*: a list of invariants"),
    ({"kinds": ("deploymnt",)}, r"M\.kinds\[0\]='deploymnt': one of .* \(did you mean 'deployment'\?\)"), ({"kinds": "deployment"}, r"M\.kinds='deployment': a list"),
    ({"faults": ApiErrors()}, r"M\.faults=ApiErrors\(.*: a strategy, as"), ({"calls": [1]}, r"M\.calls=\[1\]: a strategy"),
    ({"shrink_budget": -1}, r"M\.shrink_budget=-1: "), ({"folder": 5}, r"M\.folder=5: a Path"), ({"behaviour": 5}, r"M\.behaviour=5: a function of 3 arguments"),
])
def test_what_a_subclass_says_is_checked_when_it_is_made(attributes, words):
    with pytest.raises(WrongValue, match=words):
        type("M", (Everything,), attributes)
