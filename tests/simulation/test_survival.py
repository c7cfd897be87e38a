"""What the cluster's own parts get over: shortest runs for faults that they once did not."""
from __future__ import annotations

from kubelet_lite.api.core_v1 import Container, Pod, PodSpec
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.simulation.faults import EndedWatches, Partition, Reboot
from kubelet_lite.simulation.simulation import Setting, play
from kubelet_lite.simulation.step import Step


def crashes(*steps: Step, seconds: float = 200, nodes: int = 1) -> list[str]:
    """Who crashes of its own while this happens; a pod that is made at the end must run."""
    async def scenario(simulation):
        await simulation.sleep(seconds)
        spec = PodSpec(containers=(Container(name="c", image="i"),))
        await simulation.client.create(Pod(metadata=ObjectMeta(name="last", namespace="default"), spec=spec))
        await simulation.until(lambda snapshot: snapshot.get(Pod, "last", "default").status.phase == "Running", within=60)

    run = play(scenario, steps=steps, setting=Setting(nodes=nodes))
    run.raise_error()
    return [record.fields["actor"] for record in run.archive.records if record.fields["event"] == "actor_crashed"]


def test_a_scheduler_whose_watches_expire_lists_again():
    assert crashes(*(EndedWatches(at=float(at), part="default-scheduler", how="expired") for at in range(1, 60, 4))) == []


def test_a_scheduler_that_cannot_list_waits_until_it_can():
    steps = EndedWatches(at=1, part="default-scheduler", how="expired"), Partition(at=1, seconds=150, part="default-scheduler")
    assert crashes(*steps) == []


def test_a_kubelet_that_starts_on_a_rebooted_machine_has_where_to_say_so():
    assert crashes(*(Reboot(at=at, part="kubelet-node-1") for at in (10, 40, 70))) == []
