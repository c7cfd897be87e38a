"""ClusterMachine: what it watches, what a failure says, and how short it gets."""
import re
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

from kubelet_lite.api.core_v1 import ConfigMap
from kubelet_lite.api.errors import ApiError
from kubelet_lite.api.identity import Identity
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.requests import ListOptions
from kubelet_lite.simulation.faults import ApiErrors, LostAnswers, LostRequests
from kubelet_lite.simulation.invariant import InvariantViolated, never
from kubelet_lite.simulation.records import recording
from kubelet_lite.simulation.records.story import tell
from kubelet_lite.simulation.simulation import Setting
from kubelet_lite.testing import ClusterMachine, Faults, UserActions, Workloads, builders, strategies

FEW = settings(
    max_examples=5, stateful_step_count=20, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck),
    phases=(Phase.generate, Phase.shrink),  # explaining traces every line
)


class Everything(Faults, UserActions, Workloads):
    pass


class Rollouts(Workloads):
    kinds = ("deployment",)


TestRollouts = Rollouts.TestCase
TestRollouts.settings = FEW


def steps_of(error):
    """What Hypothesis says to do, by rule."""
    found = re.findall(r"state\.(\w+)\(", "\n".join(error.__notes__))
    return [step for step in found if step not in ("begins", "teardown")]


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


def test_a_failure_has_the_shortest_example_its_story_and_a_recording(tmp_path, monkeypatch):
    monkeypatch.setattr(Notes, "folder", tmp_path)
    with pytest.raises(InvariantViolated, match="never full") as raised:
        run_state_machine_as_test(Notes, settings=settings(FEW, max_examples=100, stateful_step_count=8))
    steps = steps_of(raised.value)
    assert set(steps) <= {"notes", "time_passes"}
    assert len(steps) <= 6
    story = "\n".join(raised.value.__notes__)
    assert story.count("creates configmap default/") + story.count(" and ") >= 1
    kept = recording.read(tmp_path / "Notes.jsonl")
    assert tell(kept).title in story


def test_a_machine_whose_cluster_does_not_come_to_rest_fails_at_its_end(monkeypatch, tmp_path):
    class Stuck(Workloads):
        setting = Setting(nodes=1, components=("apiserver", "controllers", "kubelet"), settle=True)
        watched = ()
        folder = tmp_path

        @rule()
        def makes_a_pod_that_nobody_places(self):
            self.ask(lambda client: client.create(builders.pod("lonely")))

    with pytest.raises(InvariantViolated, match="EventuallyStable"):
        run_state_machine_as_test(Stuck, settings=settings(FEW, max_examples=10, stateful_step_count=3))


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
        run_state_machine_as_test(Sites, settings=settings(FEW, max_examples=200, stateful_step_count=10))
    steps = steps_of(raised.value)
    assert 1 <= steps.count("goes_wrong") <= 5
    assert len(steps) - steps.count("goes_wrong") <= 10


@pytest.mark.slow
def test_our_own_controllers_survive_everything():
    run_state_machine_as_test(Everything, settings=settings(FEW, max_examples=20))
