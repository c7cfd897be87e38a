"""Scenarios in which planted bugs show: short, each about one thing; faults come from outside."""
from __future__ import annotations

from contextlib import suppress
from typing import Any

from msgspec.structs import replace

from kubelet_lite.api import core_v1
from kubelet_lite.api.apps_v1 import Deployment, DeploymentStrategy, ReplicaSet, RollingUpdateDeployment
from kubelet_lite.api.core_v1 import ConfigMap, Container, Namespace, Pod, PodSpec, Service, ServicePort, ServiceSpec
from kubelet_lite.api.discovery_v1 import EndpointSlice
from kubelet_lite.api.errors import ApiError, NotFound
from kubelet_lite.api.meta_v1 import LabelSelector, ObjectMeta, OwnerReference
from kubelet_lite.api.policy_v1 import Eviction, PodDisruptionBudget, PodDisruptionBudgetSpec, PodDisruptionBudgetStatus
from kubelet_lite.api.requests import JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH
from kubelet_lite.api.scheduling_v1 import PriorityClass
from kubelet_lite.runtimes.fake import Behaviour
from kubelet_lite.simulation.simulation import Simulation
from tests.simulation.rollout import NAMESPACE, behaving, careful, change, deployment, image, rollout, service

__all__ = ["rollout"]


def plain_pod(name: str, *, node: str = "", cpu: str = "", grace: int = 1, **spec: Any) -> Pod:
    asked = core_v1.ResourceRequirements(requests={"cpu": cpu} if cpu else {})
    container = Container(name="c", image="nginx:1", resources=asked)
    return Pod(
        metadata=ObjectMeta(name=name, namespace=NAMESPACE, labels={"app": name}),
        spec=PodSpec(containers=(container,), nodeName=node, terminationGracePeriodSeconds=grace, **spec),
    )


def of(simulation: Simulation, app: str = "web") -> list[Pod]:
    """The pods of a Deployment that are not on their way out, oldest first."""
    pods = simulation.snapshot.list(Pod, NAMESPACE)
    return [pod for pod in pods if pod.metadata.labels.get("app") == app and pod.metadata.deletionTimestamp is None]


async def delete_pod(simulation: Simulation, name: str, grace: int | None = None) -> None:
    with suppress(NotFound):
        await simulation.client.delete(Pod, name, namespace=NAMESPACE, grace_period_seconds=grace)


async def pods_go(simulation: Simulation) -> None:
    """Pods on both nodes, one deleted every ten seconds."""
    for number in range(8):
        await simulation.client.create(plain_pod(f"p-{number}"))
    for number in range(8):
        await simulation.sleep(10)
        await delete_pod(simulation, f"p-{number}")


async def grows_and_shrinks(simulation: Simulation) -> None:
    """A Deployment that changes its size every ten seconds."""
    await simulation.client.create(deployment(replicas=3))
    for replicas in (6, 2, 5, 1, 4, 3):
        await simulation.sleep(10)
        await change(simulation, {"replicas": replicas})


async def grows(simulation: Simulation) -> None:
    """A Deployment that only ever grows."""
    await simulation.client.create(deployment(replicas=1))
    for replicas in (3, 6, 10, 15):
        await simulation.sleep(15)
        await change(simulation, {"replicas": replicas})


async def crashes(simulation: Simulation) -> None:
    """A pod whose container exits at once, fifty times, and then runs."""
    behaviour = {"kubelet-lite.dev/behaviour": '{"run_seconds": 0.2, "exit_code": 1, "runs": 400}'}
    pod = plain_pod("crashing")
    await simulation.client.create(replace(pod, metadata=replace(pod.metadata, annotations=behaviour)))
    await simulation.sleep(120)
    await delete_pod(simulation, "crashing")


async def theft(simulation: Simulation) -> None:
    """A user takes pods away from their ReplicaSet, by their label, and keeps them."""
    await simulation.client.create(deployment(replicas=3))
    for _ in range(3):
        await simulation.sleep(10)
        name = of(simulation)[0].metadata.name
        stolen = {"metadata": {"labels": {"app": "stolen"}}}
        await simulation.client.patch(Pod, name, stolen, namespace=NAMESPACE, content_type=MERGE_PATCH)


async def stolen_and_shrunk(simulation: Simulation) -> None:
    """A user takes a pod away from its ReplicaSet, and wants none of the others any more."""
    await simulation.client.create(deployment(replicas=4))
    await simulation.sleep(20)
    stolen = {"metadata": {"labels": {"app": "stolen"}, "ownerReferences": None}}
    await simulation.client.patch(Pod, of(simulation)[0].metadata.name, stolen, namespace=NAMESPACE, content_type=MERGE_PATCH)
    await change(simulation, {"replicas": 0})
    await simulation.sleep(30)


async def rejected(simulation: Simulation) -> None:
    """A Deployment whose pods their node rejects, since they ask for more than it has."""
    made = deployment(replicas=2)
    asked = core_v1.ResourceRequirements(requests={"cpu": "100"})
    container = replace(made.spec.template.spec.containers[0], resources=asked)
    template = replace(made.spec.template, spec=replace(made.spec.template.spec, nodeName="node-1", containers=(container,)))
    await simulation.client.create(replace(made, spec=replace(made.spec, template=template)))
    await simulation.sleep(200)
    await simulation.client.delete(Deployment, "web", namespace=NAMESPACE)


async def same_name(simulation: Simulation) -> None:
    """A pod is deleted by force, and a pod of a user's own takes its name; then its ReplicaSet shrinks."""
    await simulation.client.create(deployment(replicas=3))
    await simulation.sleep(20)
    for pod in of(simulation):
        await delete_pod(simulation, pod.metadata.name, 0)
        await simulation.client.create(plain_pod(pod.metadata.name))
    await change(simulation, {"replicas": 0})
    await simulation.sleep(20)


async def again(simulation: Simulation) -> None:
    """A pod is deleted by force and made again under its name, on its node."""
    for _ in range(3):
        await simulation.client.create(plain_pod("again", node="node-1", grace=30))
        await simulation.sleep(10)
        await delete_pod(simulation, "again", 0)
    await simulation.client.create(plain_pod("again", node="node-1"))


async def owners(simulation: Simulation) -> None:
    """What is owned by a ConfigMap: rightly, by a wrong name, by two; then the owner goes, and another comes."""
    client = simulation.client
    for round_ in ("a", "b"):
        made: ConfigMap = await client.create(ConfigMap(metadata=ObjectMeta(name=f"owner-{round_}", namespace=NAMESPACE)))
        for name, owner in (("wrong", "nobody"), ("right", made.metadata.name), ("right-2", made.metadata.name)):
            reference = OwnerReference(apiVersion="v1", kind="ConfigMap", name=owner, uid=made.metadata.uid)
            await client.create(ConfigMap(metadata=ObjectMeta(name=f"{name}-{round_}", namespace=NAMESPACE, ownerReferences=(reference,))))
            await simulation.sleep(5)
        touch = {"metadata": {"labels": {"touched": "yes"}}}
        await client.patch(ConfigMap, f"right-{round_}", touch, namespace=NAMESPACE, content_type=MERGE_PATCH)
        await simulation.sleep(15)
    for round_ in ("a", "b"):
        await client.delete(ConfigMap, f"owner-{round_}", namespace=NAMESPACE, propagation="Background")
        await simulation.sleep(15)


async def evictions(simulation: Simulation) -> None:
    """Evictions under a budget of one."""
    client = simulation.client
    await client.create(deployment(replicas=3))
    made: PodDisruptionBudget = await client.create(PodDisruptionBudget(
        metadata=ObjectMeta(name="web", namespace=NAMESPACE),
        spec=PodDisruptionBudgetSpec(selector=LabelSelector(matchLabels={"app": "web"}), maxUnavailable=1),
    ))
    status = PodDisruptionBudgetStatus(disruptionsAllowed=1, currentHealthy=3, desiredHealthy=2, expectedPods=3, observedGeneration=1)
    await client.update(replace(made, status=status), subresource="status")
    await simulation.sleep(20)
    for pod in of(simulation):
        with suppress(ApiError):
            await client.create(
                Eviction(metadata=ObjectMeta(name=pod.metadata.name, namespace=NAMESPACE)), namespace=NAMESPACE, name=pod.metadata.name,
                subresource="eviction",
            )
        await simulation.sleep(5)


async def slices(simulation: Simulation) -> None:
    """A Service whose pods come and go, and whose slices a user deletes and empties."""
    client = simulation.client
    await client.create(deployment(replicas=3))
    await client.create(service())
    await simulation.sleep(20)
    await delete_pod(simulation, of(simulation)[0].metadata.name)
    await simulation.sleep(10)
    await change(simulation, {"replicas": 2})
    await simulation.sleep(10)
    await client.delete(EndpointSlice, slice_of(simulation).metadata.name, namespace=NAMESPACE)
    await simulation.sleep(10)
    if slice_of(simulation) is not None:
        await client.patch(EndpointSlice, slice_of(simulation).metadata.name, {"endpoints": []}, namespace=NAMESPACE, content_type=MERGE_PATCH)


async def shrinks_behind_a_service(simulation: Simulation) -> None:
    """A Service whose pods go, and nothing else happens."""
    await simulation.client.create(deployment(replicas=4))
    await simulation.client.create(service())
    await simulation.sleep(20)
    await change(simulation, {"replicas": 2})


def slice_of(simulation: Simulation) -> Any:
    found = simulation.snapshot.list(EndpointSlice, NAMESPACE)
    return next((s for s in found if s.metadata.labels.get("kubernetes.io/service-name") == "web"), None)


async def full_nodes(simulation: Simulation) -> None:
    """Pods that fill the nodes; some go, others come."""
    for number in range(6):
        await simulation.client.create(plain_pod(f"p-{number}", cpu="12"))
    for number in range(6):
        await simulation.sleep(3)
        await delete_pod(simulation, f"p-{number}")
        await simulation.client.create(plain_pod(f"q-{number}", cpu="12"))
    await simulation.sleep(10)
    for number in range(2, 6):
        await delete_pod(simulation, f"q-{number}")


async def preemption(simulation: Simulation) -> None:
    """Important pods push others away and go again; what comes then finds room."""
    client = simulation.client
    await client.create(PriorityClass(metadata=ObjectMeta(name="high"), value=1000))
    for number in range(4):
        await client.create(plain_pod(f"low-{number}", cpu="15", grace=30))
    await simulation.sleep(20)
    await client.create(plain_pod("high", cpu="20", priorityClassName="high"))
    await simulation.sleep(3)
    await delete_pod(simulation, "high", 0)
    await simulation.sleep(60)
    for number in range(4):
        await delete_pod(simulation, f"low-{number}", 0)
    await simulation.sleep(5)
    for number in range(4):
        await client.create(plain_pod(f"next-{number}", cpu="15"))


async def tainted(simulation: Simulation) -> None:
    """A node is tainted with NoExecute for a while that its pods tolerate."""
    client = simulation.client
    tolerations = (core_v1.Toleration(key="maintenance", operator="Exists", effect="NoExecute", tolerationSeconds=60),)
    for number in range(3):
        await client.create(plain_pod(f"p-{number}", node="node-1", tolerations=tolerations))
    await simulation.sleep(10)
    taint = [{"key": "maintenance", "effect": "NoExecute"}]
    await client.patch(core_v1.Node, "node-1", {"spec": {"taints": taint}}, content_type=MERGE_PATCH)
    await simulation.sleep(20)
    await client.patch(core_v1.Node, "node-1", {"spec": {"taints": None}}, content_type=MERGE_PATCH)
    await simulation.sleep(100)


async def ghosts(simulation: Simulation) -> None:
    """Pods that a user puts on a node that is not there."""
    for number in range(4):
        await simulation.client.create(plain_pod(f"ghost-{number}", node="ghost"))
    await simulation.sleep(60)


async def addresses(simulation: Simulation) -> None:
    """Services that ask for the same address and port, one after the other; a finalizer holds each for a while."""
    client = simulation.client
    for number in range(3):
        await client.create(Service(
            metadata=ObjectMeta(name=f"s-{number}", namespace=NAMESPACE, finalizers=("example.com/hold",)),
            spec=ServiceSpec(type="NodePort", clusterIP="10.96.0.77", ports=(ServicePort(port=80, nodePort=30777),)),
        ))
        await client.delete(Service, f"s-{number}", namespace=NAMESPACE)
        await simulation.sleep(5)
        drop = [{"op": "remove", "path": "/metadata/finalizers"}]
        await client.patch(Service, f"s-{number}", drop, namespace=NAMESPACE, content_type=JSON_PATCH)
        await simulation.sleep(5)


async def namespaces(simulation: Simulation) -> None:
    """Namespaces come and go with what is in them."""
    client = simulation.client
    for number in range(3):
        name = f"n-{number}"
        await client.create(Namespace(metadata=ObjectMeta(name=name)))
        await client.create(deployment(namespace=name, replicas=2))
        await client.create(ConfigMap(metadata=ObjectMeta(name="c", namespace=name)))
        await simulation.sleep(10)
        await client.delete(Namespace, name)
        await simulation.sleep(10)


async def two_images(simulation: Simulation) -> None:
    """A Deployment is rolled to a new image and back."""
    await simulation.client.create(deployment(replicas=4))
    await simulation.sleep(20)
    await change(simulation, image("nginx:2"))
    await simulation.sleep(2)
    await change(simulation, image("nginx:3"))
    await simulation.sleep(20)
    await change(simulation, image("nginx:1"))
    await simulation.sleep(20)


async def sick_rollout(simulation: Simulation) -> None:
    """A Deployment whose pods never get ready is rolled to an image that works; not one pod may be missing."""
    client = simulation.client
    sick = {"kubelet-lite.dev/behaviour": '{"ready_after_seconds": 1000000}'}
    made = deployment(replicas=3)
    probe = core_v1.Probe(exec=core_v1.ExecAction(command=("true",)), periodSeconds=1)
    container = replace(made.spec.template.spec.containers[0], readinessProbe=probe)
    template = replace(
        made.spec.template, metadata=replace(made.spec.template.metadata, annotations=sick),
        spec=replace(made.spec.template.spec, containers=(container,)),
    )
    await client.create(replace(made, spec=replace(made.spec, template=template)))
    await simulation.sleep(20)
    healthy = {"spec": {"template": {"metadata": {"annotations": None}}, "strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}}}
    await client.patch(Deployment, "web", healthy, namespace=NAMESPACE, content_type=STRATEGIC_MERGE_PATCH)
    await simulation.sleep(20)


async def shrinks_in_a_rollout(simulation: Simulation) -> None:
    """A Deployment of which no pod may be missing is made smaller in the middle of a rollout, whose pods take their time."""
    strategy = DeploymentStrategy(type="RollingUpdate", rollingUpdate=RollingUpdateDeployment(maxSurge=2, maxUnavailable=0))
    await simulation.client.create(careful(behaving(deployment(replicas=8, strategy=strategy), Behaviour(ready_after_seconds=3))))
    await simulation.sleep(20)
    await change(simulation, image("nginx:2"))
    await simulation.sleep(11)
    await change(simulation, {"replicas": 4})
    await simulation.sleep(60)


async def gives_its_pods_up(simulation: Simulation) -> None:
    """A ReplicaSet goes, and its pods are to stay."""
    await simulation.client.create(deployment(replicas=3))
    await simulation.sleep(20)
    owner, pods = simulation.snapshot.list(ReplicaSet, NAMESPACE)[0], of(simulation)
    await simulation.client.delete(Deployment, "web", namespace=NAMESPACE, propagation="Orphan")
    await simulation.sleep(20)
    await simulation.client.delete(ReplicaSet, owner.metadata.name, namespace=NAMESPACE, propagation="Orphan")
    await simulation.sleep(30)
    assert [pod.metadata.uid for pod in of(simulation)] == [pod.metadata.uid for pod in pods]


async def history(simulation: Simulation) -> None:
    """Much is written, so that there is much to forget; a ReplicaSet of its own comes and goes."""
    await simulation.client.create(deployment(replicas=3))
    for number in range(4):
        await simulation.sleep(8)
        await change(simulation, image(f"nginx:{number}"))
    await simulation.sleep(10)
    await simulation.client.delete(ReplicaSet, simulation.snapshot.list(ReplicaSet, NAMESPACE)[-1].metadata.name, namespace=NAMESPACE)


async def contested(simulation: Simulation) -> None:
    """Two Services want the same address and port; the first is changed in between. The second is refused."""
    client = simulation.client
    wanted = ServiceSpec(type="NodePort", clusterIP="10.96.0.77", ports=(ServicePort(port=80, nodePort=30777),))
    for number in range(120):
        await client.create(ConfigMap(metadata=ObjectMeta(name=f"c-{number}", namespace=NAMESPACE)))
    await client.create(Service(metadata=ObjectMeta(name="first", namespace=NAMESPACE), spec=wanted))
    await client.patch(Service, "first", {"metadata": {"labels": {"a": "b"}}}, namespace=NAMESPACE, content_type=MERGE_PATCH)
    with suppress(ApiError):
        await client.create(Service(metadata=ObjectMeta(name="second", namespace=NAMESPACE), spec=wanted))
    await simulation.sleep(10)


async def limited(simulation: Simulation) -> None:
    """A quota of three ConfigMaps, whose usage is known."""
    client = simulation.client
    quota: core_v1.ResourceQuota = await client.create(
        core_v1.ResourceQuota(metadata=ObjectMeta(name="q", namespace=NAMESPACE), spec=core_v1.ResourceQuotaSpec(hard={"configmaps": "3"}))
    )
    status = core_v1.ResourceQuotaStatus(hard={"configmaps": "3"}, used={"configmaps": "1"})
    await client.update(replace(quota, status=status), subresource="status")
    for number in range(4):
        with suppress(ApiError):
            await client.create(ConfigMap(metadata=ObjectMeta(name=f"c-{number}", namespace=NAMESPACE)))
