"""What nodes use, in a cluster to which things happen."""
from __future__ import annotations

from kubelet_lite.api.metrics_v1beta1 import NodeMetrics, PodMetrics
from kubelet_lite.simulation.faults import NodeDeath, StopActor
from kubelet_lite.testing import Setting, builders, run_simulation

SETTING = Setting(nodes=3, metrics=True)


async def measured(simulation) -> list[str]:
    return [metrics.metadata.name for metrics in (await simulation.client.list(NodeMetrics)).items]


def test_a_node_whose_kubelet_is_not_there_is_not_measured_until_it_is_back():
    async def scenario(simulation):
        seen = [await measured(simulation)]
        for moment in (15, 40, 65):
            await simulation.sleep(simulation.began + moment - simulation.environment.monotonic())
            seen.append(await measured(simulation))
        assert seen == [["node-1", "node-2", "node-3"], ["node-1", "node-3"], ["node-1", "node-2"], ["node-1", "node-2", "node-3"]]

    steps = [StopActor(at=10, part="kubelet-node-2", seconds=20), NodeDeath(at=35, part="kubelet-node-3", seconds=20)]
    run_simulation(scenario, seeds=range(2), setting=SETTING, steps=steps)


def test_pods_of_a_rollout_use_half_of_what_they_request():
    template = builders.pod("web", containers=[builders.container(requests={"cpu": "200m", "memory": "64Mi"})])

    async def scenario(simulation):
        await simulation.client.create(builders.deployment("web", 4, template=template))
        await simulation.sleep(10)
        pods = (await simulation.client.list(PodMetrics)).items
        assert [container.usage for pod in pods for container in pod.containers] == [{"cpu": "100m", "memory": "32Mi"}] * 4

    run_simulation(scenario, seeds=range(2), setting=SETTING)
