"""ClusterMachine: what it watches, what a failure says, and how short it gets."""
import re

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

from kubelet_lite.api.core_v1 import ConfigMap, Pod
from kubelet_lite.controllers.own_writes import OwnWrites
from kubelet_lite.simulation import recording
from kubelet_lite.simulation.faults import CrashActor, DelayedWatches, StaleCache
from kubelet_lite.simulation.invariant import InvariantViolated, never
from kubelet_lite.simulation.simulation import Setting
from kubelet_lite.simulation.story import tell
from kubelet_lite.testing import ClusterMachine, Faults, Workloads, builders, strategies

FEW = settings(max_examples=5, stateful_step_count=20, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))


class Everything(Faults, Workloads):
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
    assert steps_of(raised.value) in (["notes"] * 3, ["notes"] * 3 + ["time_passes"])
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


def surplus(snapshot):
    """A ReplicaSet has more pods than any rule ever asks for."""
    owners = [owner.uid for pod in snapshot.list(Pod) for owner in pod.metadata.ownerReferences]
    return any(owners.count(rs.metadata.uid) > 5 for rs in snapshot.list("replicasets.apps"))


class Stale(Faults, Workloads):
    """The controllers do not wait until they see what they wrote."""

    kinds = ("replicaset",)
    setting = Setting(nodes=0, components=("apiserver", "controllers"))
    watched = (never(surplus),)
    faults = strategies.faults(StaleCache, DelayedWatches, CrashActor, at=st.just(0.0), part=st.just("controllers' informers"))


@pytest.mark.slow
def test_a_planted_stale_read_is_found_in_few_steps(monkeypatch, tmp_path):
    monkeypatch.setattr(OwnWrites, "when_seen", lambda self, outcome, then: then())
    monkeypatch.setattr(Stale, "folder", tmp_path)
    with pytest.raises(InvariantViolated, match="surplus") as raised:
        run_state_machine_as_test(Stale, settings=settings(FEW, max_examples=200, stateful_step_count=8))
    steps = steps_of(raised.value)
    assert steps.count("goes_wrong") <= 5
    assert 1 <= len(steps) - steps.count("goes_wrong") <= 10


@pytest.mark.slow
def test_our_own_controllers_survive_everything():
    run_state_machine_as_test(Everything, settings=settings(FEW, max_examples=20))
