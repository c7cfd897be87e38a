"""What simulations found in this code, each as the shortest run that shows it."""
from __future__ import annotations

from msgspec.structs import replace

from kubelet_lite.api.core_v1 import Pod
from kubelet_lite.simulation.faults.watches import DelayedWatches
from kubelet_lite.simulation.invariants import STANDARD
from kubelet_lite.simulation.simulation import Setting, Simulation, play
from tests.simulation.mutants.scenarios import plain_pod

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
