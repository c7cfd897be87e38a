"""A cluster in somebody's program: what it starts, what it leaves behind, what it refuses."""
import asyncio
import os
from pathlib import Path

import anyio
import pytest

from kubelet_lite import Behaviour, Cluster, NotFound
from kubelet_lite.api.apps_v1 import Deployment
from kubelet_lite.api.core_v1 import (
    ConfigMap,
    Container,
    Namespace,
    Node,
    Pod,
    PodSpec,
    Service,
    ServicePort,
    ServiceSpec,
)
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.metrics_v1beta1 import NodeMetrics, PodMetrics
from kubelet_lite.client import waiting

MANIFEST = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: c, image: busybox, command: [sleep, "300"]}]
"""


def children():
    """The processes that this one has started and that still run."""
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            try:
                fields = (path / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == os.getpid() and fields[0] != "Z":
                found.append(int(path.name))
    return found


def listening():
    """(address, port) of every TCP socket of this process that listens."""
    mine = set()
    for link in Path("/proc/self/fd").iterdir():
        try:
            mine.add(os.readlink(link))
        except OSError:
            continue
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [row[1] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in mine]


@pytest.mark.parametrize("runtime", ["fake", "subprocess"])
async def test_a_deployment_runs_and_nothing_is_left_of_it(runtime):
    before, tasks = children(), asyncio.all_tasks()
    async with Cluster(nodes=3, runtime=runtime, images={"busybox": ""}) as cluster:
        await cluster.apply(MANIFEST)
        web = await cluster.wait("deployment/web", "condition=Available")
        assert web.status.readyReplicas == 3
        assert len((await cluster.client.list(Node)).items) == 3
        assert (len(children()) > len(before)) is (runtime == "subprocess")
    assert children() == before
    assert asyncio.all_tasks() == tasks


async def test_nothing_listens_unless_asked():
    before = listening()
    async with Cluster(nodes=1, runtime="subprocess"):
        assert listening() == before


async def test_two_clusters_in_one_loop_do_not_meet():
    async with Cluster(nodes=1, runtime="subprocess", images={"busybox": ""}) as one, Cluster(nodes=1, runtime="subprocess", images={"busybox": ""}) as two:
        await one.client.create(ConfigMap(metadata=ObjectMeta(name="x", namespace="default")))
        with pytest.raises(NotFound):
            await two.client.get(ConfigMap, "x", namespace="default")
        addresses = []
        for cluster in (one, two):
            await cluster.apply(MANIFEST)
            await cluster.wait("deployment/web", "condition=Available")
            addresses += [pod.status.podIP for pod in (await cluster.client.list(Pod, namespace="default")).items]
        assert len(set(addresses)) == 6


async def test_a_served_cluster_gives_a_kubeconfig_that_works():
    from kubelet_lite import HttpClient
    from kubelet_lite.client import kubeconfig

    async with Cluster(runtime="fake", serve=True) as cluster:
        path = Path(os.environ.get("TMPDIR", "/tmp")) / f"kubeconfig-{os.getpid()}"
        path.write_text(cluster.kubeconfig)
        try:
            async with HttpClient(kubeconfig.load(path)) as client:
                assert (await client.get(Namespace, "default")).metadata.name == "default"
        finally:
            path.unlink()


async def test_an_error_in_the_block_passes_through_as_it_is():
    with pytest.raises(LookupError, match="mine"):
        async with Cluster(runtime="fake"):
            raise LookupError("mine")


@pytest.mark.parametrize(
    "arguments",
    [{"nodes": -1}, {"runtime": "docker"}, {"network": "bridge"}, {"isolation": "namespaces"}, {"components": ("scheduler",)}, {"components": ("apiserver", "x")},
     {"service_cidr": "10.96.0.0/31"}, {"service_cidr": "10.96.0.0/30"}, {"service_cidr": "10.96.0.1/16"}, {"service_cidr": "all"}],
)
def test_what_is_not_offered_is_refused_at_once(arguments):
    with pytest.raises(ValueError, match=str(next(iter(arguments)))):
        Cluster(**arguments)


async def test_the_smallest_service_range_is_used_up_to_its_end():
    async with Cluster(nodes=0, components=("apiserver",), service_cidr="10.96.0.0/29") as cluster:
        for i in range(5):
            service = Service(metadata=ObjectMeta(name=f"s{i}", namespace="default"), spec=ServiceSpec(ports=(ServicePort(port=80),)))
            await cluster.client.create(service)
        found = await cluster.client.list(Service, namespace="default")
        assert sorted(service.spec.clusterIP for service in found.items) == [f"10.96.0.{i}" for i in range(1, 7)]


async def test_a_kubeconfig_without_a_server_is_refused():
    async with Cluster(runtime="fake") as cluster:
        with pytest.raises(RuntimeError, match="serve=True"):
            _ = cluster.kubeconfig


async def test_pretended_pods_behave_as_they_are_told():
    def behaviour(pod, container, attempt):
        return Behaviour(run_seconds=0.01, exit_code=3) if container.name == "bad" else None

    async with Cluster(runtime="fake", behaviour=behaviour) as cluster:
        spec = PodSpec(restartPolicy="Never", containers=(Container(name="bad", image="x:1"),))
        await cluster.client.create(Pod(metadata=ObjectMeta(name="p", namespace="default"), spec=spec))
        pod = await cluster.wait("pod/p", "jsonpath={.status.phase}=Failed")
        assert pod.status.containerStatuses[0].state.terminated.exitCode == 3


async def test_a_crash_of_any_part_is_mended():
    async with Cluster(nodes=2, runtime="fake") as cluster:
        await cluster.apply(MANIFEST)
        await cluster.wait("deployment/web", "condition=Available")
        for actor in cluster.supervisor.running():
            if actor.name in ("default-scheduler", "deployment-controller", "replicaset-controller", "kubelet-node-1"):
                await cluster.supervisor.stop(actor)
                cluster.supervisor.start(actor)
        web = await cluster.client.patch(Deployment, "web", {"spec": {"replicas": 6}}, content_type="application/merge-patch+json", namespace="default")
        with anyio.fail_after(30):
            while web.status.availableReplicas != 6:
                web = await waiting.wait(cluster.client, "deployment/web", "jsonpath={.status.availableReplicas}=6")


async def test_what_pods_use_is_served_with_metrics_alone():
    usage = {"web": Behaviour(cpu_millicores=250, memory_bytes=64 << 20)}
    async with Cluster(nodes=2, behaviour=lambda pod, container, attempt: usage[container.name], metrics=True) as cluster:
        await cluster.client.create(Pod(
            metadata=ObjectMeta(name="web", namespace="default"), spec=PodSpec(containers=(Container(name="web", image="web:1"),)),
        ))
        await cluster.wait("pod/web", "condition=Ready")
        nodes = (await cluster.client.list(NodeMetrics)).items
        assert sorted(node.usage["cpu"] for node in nodes) == ["100m", "350m"]
        pod = await cluster.client.get(PodMetrics, "web", namespace="default")
        assert pod.containers[0].usage == {"cpu": "250m", "memory": "64Mi"}
    async with Cluster(nodes=0) as cluster:
        with pytest.raises(NotFound):
            await cluster.client.list(NodeMetrics)
