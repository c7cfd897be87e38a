"""A node of a simulated cluster: what its kubelet makes of what others do, and how it ends."""
from __future__ import annotations

from typing import Final

import anyio

from kubelet_lite.api.core_v1 import Container, ExecAction, Pod, PodReadinessGate, PodSpec, Probe
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.requests import STRATEGIC_MERGE_PATCH
from kubelet_lite.cluster import Cluster
from kubelet_lite.runtimes.fake import Behaviour
from kubelet_lite.simulation.trace import Trace
from kubelet_lite.simulation.virtual.environment import SimulatedEnvironment
from kubelet_lite.simulation.virtual.run import simulate

PROBE: Final = Probe(exec=ExecAction(command=("true",)), periodSeconds=1)


def pod(name: str, gates: tuple[PodReadinessGate, ...] = ()) -> Pod:
    return Pod(metadata=ObjectMeta(name=name, namespace="default"), spec=PodSpec(containers=(Container(name="c", image="x", readinessProbe=PROBE),), readinessGates=gates))


def test_a_status_that_somebody_else_changes_is_looked_at_at_once() -> None:
    async def main(environment: SimulatedEnvironment) -> None:
        async with Cluster(nodes=1, environment=environment) as cluster:
            gated = pod("gated", (PodReadinessGate(conditionType="example.com/open"),))
            await cluster.client.create(gated)
            await cluster.wait("pod/gated", "condition=ContainersReady")
            await environment.sleep(1)
            opened = {"status": {"conditions": [{"type": "example.com/open", "status": "True"}]}}
            await cluster.client.patch(Pod, "gated", opened, namespace="default", content_type=STRATEGIC_MERGE_PATCH, subresource="status")
            await cluster.wait("pod/gated", "condition=Ready")
            spoiled = {"status": {"phase": "Pending"}}
            await cluster.client.patch(Pod, "gated", spoiled, namespace="default", content_type=STRATEGIC_MERGE_PATCH, subresource="status")
            with anyio.fail_after(1):
                while (await cluster.client.get(Pod, "gated", namespace="default")).status.phase != "Running":
                    await environment.sleep(0.01)
            assert environment.monotonic() < 2

    simulate(1, main)


def test_pods_that_run_when_the_cluster_ends_are_left_as_they_are() -> None:
    async def main(environment: SimulatedEnvironment) -> None:
        trace = Trace(environment)
        with trace.logs():
            unready = Behaviour(ready_after_seconds=100)
            async with Cluster(nodes=2, environment=environment, behaviour=lambda pod, container, attempt: unready) as cluster:
                for number in range(4):
                    await cluster.client.create(pod(f"p{number}"))
                await environment.sleep(5)  # a probe of each is due at this very moment
                before = cluster.store.revision
        assert trace.text() == ""
        assert [event.key for event in cluster.store.events(after=before) if event.key.resource == "pods"] == []

    simulate(1, main)
