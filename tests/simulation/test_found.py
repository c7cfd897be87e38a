"""What simulations found in this code, each as the shortest run that shows it."""
from __future__ import annotations

import pytest
from msgspec.structs import replace

from kubelet_lite.api.core_v1 import Pod
from kubelet_lite.api.requests import STRATEGIC_MERGE_PATCH
from kubelet_lite.simulation.faults.api import ApiErrors
from kubelet_lite.simulation.faults.containers import CrashContainer
from kubelet_lite.simulation.faults.watches import DelayedWatches, UnobservedStates
from kubelet_lite.simulation.invariants import STANDARD
from kubelet_lite.simulation.simulation import Setting, Simulation, play
from tests.simulation.mutants.controllers import slow_set_controller, stale_pods_at_the_theft
from tests.simulation.mutants.scenarios import plain_pod, rejected, shrinks_in_a_rollout, stolen_and_shrunk

SETTING = Setting(nodes=1, settle=True)


def test_a_pod_that_is_deleted_before_its_kubelet_knows_it_goes() -> None:
    """The answer to the kubelet's first status brought the deletion, and nobody looked."""
    async def deleted_at_once(simulation: Simulation) -> None:
        await simulation.sleep(1)
        await simulation.client.create(plain_pod("a", node="node-1", grace=30))
        await simulation.client.delete(Pod, "a", namespace="default")
        await simulation.sleep(60)

    late = DelayedWatches(part="kubelet-node-1", seconds=30, delay_seconds=5)
    play(deleted_at_once, setting=SETTING, steps=[late], invariants=STANDARD).raise_error()


def test_a_container_that_takes_its_time_is_asked_to_end_once() -> None:
    """The kubelet of an immediate runtime asked again and again, without time passing."""
    async def slow_end(simulation: Simulation) -> None:
        pod = plain_pod("a", node="node-1", grace=30)
        slow = {"kubelet-lite.dev/behaviour": '{"stop_seconds": 5}'}
        await simulation.client.create(replace(pod, metadata=replace(pod.metadata, annotations=slow)))
        await simulation.sleep(5)
        await simulation.client.delete(Pod, "a", namespace="default")
        await simulation.sleep(4)
        assert simulation.snapshot.get(Pod, "a", "default") is not None
        await simulation.sleep(4)
        assert simulation.snapshot.get(Pod, "a", "default") is None

    play(slow_end, setting=SETTING, invariants=STANDARD).raise_error()


def test_pods_that_are_rejected_at_once_are_not_made_again_and_again() -> None:
    """As fast as the API server answered, and no time passed (kubernetes/kubernetes#88851)."""
    run = play(rejected, setting=SETTING, invariants=STANDARD)
    run.raise_error()
    made = [revision for revision in run.archive.revisions if revision.event.key.resource == "pods" and revision.verb == "create"]
    assert 20 <= len(made) <= 60


def test_a_kubelet_whose_status_meets_a_conflict_keeps_its_pod() -> None:
    """It took any Conflict for another pod of that name, tore the pod down and forgot it."""
    async def one_pod(simulation: Simulation) -> None:
        await simulation.client.create(plain_pod("a", node="node-1"))
        await simulation.sleep(30)

    conflicts = ApiErrors(part="kubelet-node-1", code=409, seconds=10)
    play(one_pod, setting=SETTING, steps=[conflicts], invariants=STANDARD).raise_error()


def test_a_kubelet_puts_right_what_the_answer_of_its_own_write_shows_to_be_wrong() -> None:
    """Somebody else had said that the pod is not ready; the answer showed it, no watch brought it again, and it stayed so."""
    async def called_unready(simulation: Simulation) -> None:
        await simulation.client.create(plain_pod("a", node="node-1"))
        await simulation.sleep(20)
        unready = {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}
        await simulation.client.patch(Pod, "a", unready, namespace="default", content_type=STRATEGIC_MERGE_PATCH, subresource="status")
        await simulation.sleep(40)

    deaf, exits = UnobservedStates(at=10, part="kubelet-node-1", seconds=40), CrashContainer(at=30)
    play(called_unready, setting=SETTING, steps=[deaf, exits], invariants=STANDARD).raise_error()


@pytest.mark.parametrize("seed", range(4))
def test_a_set_that_has_just_shrunk_is_not_believed_to_have_all_that_it_counts(seed: int) -> None:
    """Its status still counted the pods that go, and the Deployment, of which no pod might be missing, took the same number away once more."""
    steps = slow_set_controller(seed)
    play(shrinks_in_a_rollout, seed=seed, setting=Setting(nodes=2, settle=True), steps=steps, invariants=STANDARD).raise_error()


@pytest.mark.parametrize("seed", range(4))
def test_a_pod_that_was_taken_away_is_not_deleted_by_who_does_not_know_it_yet(seed: int) -> None:
    """By its UID alone, though it was no longer this ReplicaSet's (kubernetes/kubernetes#138818)."""
    steps = stale_pods_at_the_theft(seed)
    play(stolen_and_shrunk, seed=seed, setting=Setting(nodes=2, settle=True), steps=steps, invariants=STANDARD).raise_error()
