"""metrics.k8s.io: what is measured, when, and what is said of it."""
from __future__ import annotations

import anyio
import pytest
from msgspec.structs import replace

from kubelet_lite.api import encoding
from kubelet_lite.api.core_v1 import Node
from kubelet_lite.api.errors import ServiceUnavailable
from kubelet_lite.api.identity import Identity
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.metrics_v1beta1 import NodeMetrics, PodMetrics
from kubelet_lite.api.rbac_v1 import ClusterRole
from kubelet_lite.api.requests import ListOptions
from kubelet_lite.api.resources import METRICS
from kubelet_lite.registry import metrics
from kubelet_lite.registry.authorization.authorizer import ClusterAuthorizer
from kubelet_lite.wire.usage import ContainerUsage, NodeUsage
from tests.registry.world import World, in_world, pod, refused

MEBIBYTE = 1 << 20


class FakeNode:
    """`containers`: (pod's UID, name, since when) → millicores; the node itself uses 1000 and 1 GiB."""

    def __init__(self, environment):
        self.environment = environment
        self.containers = {}
        self.asked = 0
        self.broken = False
        self.booted_at = 0.0

    async def usage(self):
        self.asked += 1
        if self.broken:
            raise ServiceUnavailable("gone")
        now = self.environment.now()
        return NodeUsage(
            time=now, cpu_nanoseconds=round((now - self.booted_at) * 1e9), memory_bytes=1024 * MEBIBYTE,
            containers=tuple(
                ContainerUsage(
                    pod_uid=uid, name=name, id=f"{uid}/{name}/{since}", started_at=since, cpu_nanoseconds=round((now - since) * millicores * 1e6),
                    memory_bytes=MEBIBYTE,
                )
                for (uid, name, since), millicores in self.containers.items() if since <= now
            ),
        )


async def measured(world: World, *nodes: str) -> dict[str, FakeNode]:
    """A registry that serves metrics of these nodes."""
    found = {name: FakeNode(world.environment) for name in nodes}
    world.registry.connections = found.get
    metrics.serve(world.registry)
    for name in nodes:
        await world.client.create(Node(metadata=ObjectMeta(name=name, labels={"zone": name})))
    return found


async def run_pod(world: World, node: FakeNode, name: str, *, phase: str = "Running", on: str = "a", millicores: int = 100, **metadata):
    made = await world.client.create(pod(name, node=on, **metadata))
    made = await world.client.update(replace(made, status=replace(made.status, phase=phase)), subresource="status")
    node.containers[made.metadata.uid, "c", world.environment.now()] = millicores
    return made


@in_world
async def test_a_node_is_measured_twice_within_a_second_when_nobody_asked_before(world):
    nodes = await measured(world, "a")
    began = world.environment.now()
    found = await world.client.get(NodeMetrics, "a")
    assert world.environment.now() == began + 1
    assert nodes["a"].asked == 2
    assert encoding.to_json(found) == {
        "kind": "NodeMetrics", "apiVersion": "metrics.k8s.io/v1beta1", "timestamp": found.timestamp, "window": "1s",
        "usage": {"cpu": "1", "memory": "1Gi"},
        "metadata": {"name": "a", "labels": {"zone": "a"}, "creationTimestamp": found.timestamp},
    }


@in_world
async def test_the_window_reaches_back_to_who_asked_before_a_minute_at_most(world):
    nodes = await measured(world, "a")
    windows = []
    for wait in (0, 0.5, 15, 60, 61):
        await world.environment.sleep(wait)
        windows.append((await world.client.get(NodeMetrics, "a")).window)
    assert windows == ["1s", "1s", "15.5s", "1m0s", "1s"]
    assert nodes["a"].asked == 2 + 0 + 1 + 1 + 2


@in_world
async def test_nobody_is_measured_while_nobody_asks(world):
    nodes = await measured(world, "a")
    await world.environment.sleep(3600)
    assert nodes["a"].asked == 0


@in_world
async def test_requests_at_the_same_time_share_a_measurement(world):
    nodes = await measured(world, "a", "b")
    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(world.client.list, NodeMetrics)
            group.start_soon(world.client.list, PodMetrics)
    assert [node.asked for node in nodes.values()] == [2, 2]


@in_world
async def test_a_node_that_does_not_answer_is_left_out_and_not_found(world):
    nodes = await measured(world, "a", "b")
    nodes["b"].broken = True
    assert [m.metadata.name for m in (await world.client.list(NodeMetrics)).items] == ["a"]
    error = await refused(world.client.get(NodeMetrics, "b"))
    assert (error.code, error.message) == (404, 'nodemetrics.metrics.k8s.io "b" not found')
    nodes["b"].broken = False
    await world.environment.sleep(2)
    assert [m.metadata.name for m in (await world.client.list(NodeMetrics)).items] == ["a", "b"]
    error = await refused(world.client.get(NodeMetrics, "nosuch"))
    assert (error.code, error.message) == (404, 'node "nosuch" not found')


@in_world
async def test_a_counter_that_began_anew_makes_no_rate(world):
    nodes = await measured(world, "a")
    await world.client.get(NodeMetrics, "a")
    nodes["a"].booted_at = world.environment.now() + 1
    await world.environment.sleep(2)
    assert (await refused(world.client.get(NodeMetrics, "a"))).code == 404
    await world.environment.sleep(2)
    assert (await world.client.get(NodeMetrics, "a")).usage["cpu"] == "1"


@in_world
async def test_pods_have_metrics_a_second_after_their_start(world):
    nodes = await measured(world, "a")
    await world.client.get(NodeMetrics, "a")
    await run_pod(world, nodes["a"], "young", millicores=250, labels={"app": "x"})
    error = await refused(world.client.get(PodMetrics, "young", namespace="default"))
    assert (error.code, error.message) == (404, 'podmetrics.metrics.k8s.io "default/young" not found')
    assert (await refused(world.client.get(PodMetrics, "nosuch", namespace="default"))).message == 'pods "nosuch" not found'
    await world.environment.sleep(1.5)
    found = await world.client.get(PodMetrics, "young", namespace="default")
    assert encoding.to_json(found)["containers"] == [{"name": "c", "usage": {"cpu": "250m", "memory": "1Mi"}}]
    assert (found.window, found.metadata.labels) == ("1.5s", {"app": "x"})


@in_world
async def test_a_pod_has_metrics_only_when_all_its_containers_have(world):
    nodes = await measured(world, "a")
    made = await run_pod(world, nodes["a"], "two")
    await world.environment.sleep(10)
    nodes["a"].containers[made.metadata.uid, "restarted", world.environment.now() + 0.5] = 5
    assert (await world.client.list(PodMetrics)).items == ()
    await world.environment.sleep(10)
    (found,) = (await world.client.list(PodMetrics)).items
    assert [container.name for container in found.containers] == ["c", "restarted"]


@in_world
async def test_lists_are_of_running_pods_by_namespace_labels_and_fields(world):
    nodes = await measured(world, "a", "b")
    await run_pod(world, nodes["a"], "a1", labels={"app": "x"})
    await run_pod(world, nodes["b"], "b1", on="b", labels={"app": "y"})
    await run_pod(world, nodes["a"], "over", phase="Succeeded")
    await run_pod(world, nodes["a"], "elsewhere", namespace="other", labels={"app": "x"})

    async def names(namespace="", **options):
        found = await world.client.list(PodMetrics, namespace=namespace, options=ListOptions(**options))
        return [m.metadata.name for m in found.items]

    assert await names() == ["a1", "b1", "elsewhere"]
    assert await names("default") == ["a1", "b1"]
    assert await names("default", label_selector="app=x") == ["a1"]
    assert await names(field_selector="metadata.name=b1") == ["b1"]
    assert await names(field_selector="metadata.namespace=other") == ["elsewhere"]
    assert await names("default", field_selector="metadata.namespace=other") == []
    assert [m.metadata.name for m in (await world.client.list(NodeMetrics, options=ListOptions(label_selector="zone=b"))).items] == ["b"]
    assert (await refused(world.client.list(PodMetrics, options=ListOptions(field_selector="spec.nodeName=a")))).code == 400


@in_world
async def test_without_metrics_nobody_knows_the_group(world):
    assert (await refused(world.client.list(NodeMetrics))).code == 404
    assert world.registry.find("metrics.k8s.io", "v1beta1", "nodes") is None
    assert not [r for r in world.registry.served() if r.group == "metrics.k8s.io"]
    await measured(world, "a")
    assert world.registry.served()[-2:] == METRICS
    assert world.registry.find_kind("metrics.k8s.io/v1beta1", "PodMetrics") is METRICS[1]


@in_world
async def test_they_cannot_be_written_or_watched(world):
    await measured(world, "a")
    for call in (world.client.create(NodeMetrics(metadata=ObjectMeta(name="a"))), world.client.delete(NodeMetrics, "a")):
        assert (await refused(call)).code == 405
    with pytest.raises(Exception, match="does not allow this method"):
        async with world.client.watch(NodeMetrics):
            pass


@in_world
async def test_the_role_is_aggregated_to_those_who_may_view_and_the_scheduler_may_read(world):
    await measured(world, "a")
    role = await world.client.get(ClusterRole, "system:aggregated-metrics-reader")
    assert role.metadata.labels == {f"rbac.authorization.k8s.io/aggregate-to-{name}": "true" for name in ("admin", "edit", "view")}
    world.registry.authorizer = ClusterAuthorizer(world.registry.view)
    scheduler = world.client.acting_as(Identity(name="system:kube-scheduler"))
    assert len((await scheduler.list(NodeMetrics)).items) == 1
    assert (await refused(world.client.acting_as(Identity(name="jane")).list(NodeMetrics))).message == (
        'nodes.metrics.k8s.io is forbidden: User "jane" cannot list resource "nodes" in API group "metrics.k8s.io" at the cluster scope'
    )
