"""The scheduler's actor where pods concern each other: who makes room, who spreads, whose volumes are bound first."""
from __future__ import annotations

from typing import Any

import msgspec

from kubelet_lite.api.core_v1 import (
    Affinity,
    Event,
    Namespace,
    Node,
    ObjectReference,
    PersistentVolume,
    PersistentVolumeClaim,
    PersistentVolumeClaimVolumeSource,
    Pod,
    PodAffinity,
    PodAffinityTerm,
    PodAntiAffinity,
    Service,
    ServiceSpec,
    Volume,
)
from kubelet_lite.api.encoding import from_json
from kubelet_lite.api.meta_v1 import LabelSelector, ObjectMeta
from kubelet_lite.api.networking_v1 import ServiceCIDR, ServiceCIDRSpec
from kubelet_lite.api.requests import MERGE_PATCH
from kubelet_lite.api.storage_v1 import StorageClass
from kubelet_lite.simulation.crash import crash_at_every_step
from kubelet_lite.simulation.virtual.environment import SimulatedEnvironment
from tests.scheduler.objects import a_node, a_pod
from tests.scheduler.world import World, played, register, world

HOSTNAME = "kubernetes.io/hostname"


def labelled(name: str, labels: dict[str, str], cpu: str = "", *, namespace: str = "default", **spec: Any) -> Pod:
    return msgspec.structs.replace(a_pod(name, cpu, **spec), metadata=ObjectMeta(name=name, namespace=namespace, labels=labels))


def hosts(*names: str, cpu: str = "4") -> list[Node]:
    return [a_node(name, cpu=cpu, labels={HOSTNAME: name}) for name in names]


def apart(**term: Any) -> Affinity:
    wanted = PodAffinityTerm(topologyKey=HOSTNAME, labelSelector=LabelSelector(matchLabels={"app": "x"}), **term)
    return Affinity(podAntiAffinity=PodAntiAffinity(requiredDuringSchedulingIgnoredDuringExecution=(wanted,)))


def test_a_more_important_pod_displaces_others() -> None:
    async def play(world: World) -> None:
        await world.client.create(a_pod("small", "1"))
        await world.client.create(a_pod("large", "3"))
        await world.settle()
        victims = {pod.metadata.name: pod for pod in (await world.client.list(Pod)).items}
        await world.client.create(a_pod("urgent", "2", priority=100))
        await world.settle(1)
        urgent = await world.client.get(Pod, "urgent", namespace="default")
        assert urgent.status.nominatedNodeName == "n1"
        large = await world.client.get(Pod, "large", namespace="default")
        assert large.metadata.deletionTimestamp is not None
        condition = next(c for c in large.status.conditions if c.type == "DisruptionTarget")
        assert (condition.status, condition.reason, condition.message) == (
            "True", "PreemptionByScheduler", "default-scheduler: preempting to accommodate a higher priority pod",
        )
        events = [e for e in (await world.client.list(Event)).items if e.reason == "Preempted"]
        assert [(e.involvedObject.name, e.message, e.type, e.action) for e in events] == [
            ("large", f"Preempted by pod {urgent.metadata.uid} on node n1", "Normal", "Preempting"),
        ]
        assert events[0].related is not None
        assert events[0].related.name == "urgent"
        assert ("FailedScheduling", "0/1 nodes are available: 1 Insufficient cpu.") in await world.events()
        await world.client.create(a_pod("thief", "3"))
        await world.client.delete(Pod, "large", namespace="default", grace_period_seconds=0)
        await world.settle()
        assert await world.nodes_of() == {"small": "n1", "urgent": "n1", "thief": ""}
        assert victims["small"].metadata.uid == (await world.client.get(Pod, "small", namespace="default")).metadata.uid

    played(play, a_node("n1", cpu="4"))


def test_a_scheduler_that_crashes_anywhere_still_makes_room() -> None:
    async def main(environment: SimulatedEnvironment) -> None:
        async with world(environment, a_node("n1", cpu="4")) as found:
            await found.client.create(a_pod("large", "3"))
            await found.settle()
            await found.client.create(a_pod("urgent", "2", priority=100))
            await found.settle(5)
            await found.client.delete(Pod, "large", namespace="default", grace_period_seconds=0)
            await found.settle(400)
            assert await found.nodes_of() == {"urgent": "n1"}

    assert crash_at_every_step(3, "default-scheduler", main) > 10


def test_pods_of_a_service_spread_over_nodes() -> None:
    async def play(world: World) -> None:
        await world.client.create(ServiceCIDR(metadata=ObjectMeta(name="kubernetes"), spec=ServiceCIDRSpec(cidrs=("10.96.0.0/16",))))
        spec = ServiceSpec(clusterIP="None", selector={"app": "x"})
        await world.client.create(Service(metadata=ObjectMeta(name="s", namespace="default"), spec=spec))
        await world.client.create(labelled("heavy", {}, "2", nodeName="a"))
        for i in range(3):
            await world.client.create(labelled(f"p{i}", {"app": "x"}))
        await world.settle()
        placed = await world.nodes_of()
        assert sorted(placed[f"p{i}"] for i in range(3)) == ["a", "b", "c"]

    played(play, *hosts("a", "b", "c"))


def test_labels_of_namespaces_are_known_to_anti_affinity() -> None:
    async def play(world: World) -> None:
        for name, team in (("one", "red"), ("two", "blue")):
            await world.client.create(Namespace(metadata=ObjectMeta(name=name, labels={"team": team})))
            await world.client.create(labelled(f"in-{name}", {"app": "x"}, namespace=name, nodeName="a" if name == "one" else "b"))
        selector = LabelSelector(matchLabels={"team": "red"})
        await world.client.create(labelled("new", {"app": "y"}, affinity=apart(namespaceSelector=selector)))
        await world.settle()
        assert (await world.nodes_of())["new"] == "b"
        await world.client.create(labelled("late", {"app": "y"}, affinity=apart(namespaceSelector=LabelSelector())))
        await world.settle()
        assert (await world.nodes_of())["late"] == ""
        await world.client.delete(Pod, "in-two", namespace="two", grace_period_seconds=0)
        await world.settle()
        assert (await world.nodes_of())["late"] == "b"

    played(play, *hosts("a", "b"))


def test_a_pod_that_wants_company_is_woken_by_it() -> None:
    async def play(world: World) -> None:
        term = PodAffinityTerm(topologyKey=HOSTNAME, labelSelector=LabelSelector(matchLabels={"app": "x"}))
        near = Affinity(podAffinity=PodAffinity(requiredDuringSchedulingIgnoredDuringExecution=(term,)))
        await world.client.create(labelled("shy", {"app": "y"}, affinity=near))
        await world.settle()
        await world.client.create(labelled("stranger", {"app": "z"}))
        await world.settle()
        tried = world.scheduler.statistics()["attempts"]
        assert (await world.nodes_of())["shy"] == ""
        assert tried == 2
        await world.client.create(labelled("friend", {"app": "x"}))
        await world.settle()
        placed = await world.nodes_of()
        assert placed["shy"] == placed["friend"] != ""

    played(play, *hosts("a", "b"))


def a_claim(name: str) -> PersistentVolumeClaim:
    return from_json(PersistentVolumeClaim, {
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"storageClassName": "local", "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    })


def a_volume(name: str, node: str) -> PersistentVolume:
    expression = {"key": HOSTNAME, "operator": "In", "values": [node]}
    return from_json(PersistentVolume, {
        "metadata": {"name": name}, "status": {"phase": "Available"}, "spec": {
            "storageClassName": "local", "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/x"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}},
        },
    })


def with_claim(name: str, claim: str) -> Pod:
    source = PersistentVolumeClaimVolumeSource(claimName=claim)
    return a_pod(name, volumes=(Volume(name="data", persistentVolumeClaim=source),))


async def storage(world: World, *volumes: PersistentVolume, provisioner: str = "kubernetes.io/no-provisioner") -> None:
    await world.client.create(StorageClass(
        metadata=ObjectMeta(name="local"), provisioner=provisioner, reclaimPolicy="Delete", volumeBindingMode="WaitForFirstConsumer",
    ))
    for volume in volumes:
        created = await world.client.create(volume)
        await world.client.update(msgspec.structs.replace(created, status=volume.status), subresource="status")


async def bind_claim(world: World, name: str, volume: str) -> None:
    """As the controller of volumes does."""
    change = {"metadata": {"annotations": {"pv.kubernetes.io/bind-completed": "yes"}}, "spec": {"volumeName": volume}}
    await world.client.patch(PersistentVolumeClaim, name, change, namespace="default", content_type=MERGE_PATCH)


def test_volumes_that_wait_for_a_node_are_reserved_before_the_pod_is_bound() -> None:
    async def play(world: World) -> None:
        await storage(world, a_volume("v", "b"))
        for name in ("one", "two"):
            await world.client.create(a_claim(name))
            await world.client.create(with_claim(f"uses-{name}", name))
        await world.settle()
        assert await world.nodes_of() == {"uses-one": "", "uses-two": ""}
        reserved = (await world.client.get(PersistentVolume, "v")).spec.claimRef
        assert isinstance(reserved, ObjectReference)
        assert (reserved.namespace, reserved.name) == ("default", "one")
        assert [reason for reason, _ in await world.events()] == ["FailedScheduling"]
        await bind_claim(world, "one", "v")
        await world.settle()
        assert await world.nodes_of() == {"uses-one": "b", "uses-two": ""}
        await storage_more(world)
        await world.settle()
        await bind_claim(world, "two", "w")
        await world.settle()
        assert await world.nodes_of() == {"uses-one": "b", "uses-two": "a"}

    async def storage_more(world: World) -> None:
        created = await world.client.create(a_volume("w", "a"))
        await world.client.update(msgspec.structs.replace(created, status=a_volume("w", "a").status), subresource="status")

    played(play, *hosts("a", "b"))


def test_a_claim_to_be_provisioned_is_told_its_node() -> None:
    async def play(world: World) -> None:
        await storage(world, provisioner="e.com/disk")
        await world.client.create(a_claim("c"))
        await world.client.create(with_claim("p", "c"))
        await world.settle()
        claim = await world.client.get(PersistentVolumeClaim, "c", namespace="default")
        assert claim.metadata.annotations["volume.kubernetes.io/selected-node"] == "a"
        await world.client.create(a_volume("made", "a"))
        await bind_claim(world, "c", "made")
        await world.settle()
        assert await world.nodes_of() == {"p": "a"}

    played(play, *hosts("a"))


def test_volumes_that_nobody_binds_are_given_up_in_the_end() -> None:
    async def play(world: World) -> None:
        await storage(world, a_volume("v", "a"))
        await world.client.create(a_claim("c"))
        await world.client.create(with_claim("p", "c"))
        await world.settle(620)
        pod = await world.client.get(Pod, "p", namespace="default")
        condition = next(c for c in pod.status.conditions if c.type == "PodScheduled")
        assert condition.reason == "SchedulerError"
        assert condition.message == 'running PreBind plugin "VolumeBinding": binding volumes: context deadline exceeded'
        assert world.scheduler.statistics()["attempts"] == 2

    played(play, *hosts("a"))


def test_a_missing_claim_is_waited_for() -> None:
    async def play(world: World) -> None:
        await world.client.create(with_claim("p", "c"))
        await world.settle()
        assert await world.events() == [("FailedScheduling", '0/1 nodes are available: persistentvolumeclaim "c" not found. not found')]
        await storage(world, a_volume("v", "a"))
        await world.client.create(a_claim("c"))
        await world.settle()
        assert (await world.client.get(PersistentVolume, "v")).spec.claimRef is not None
        await register(world.client, a_node("late"))

    played(play, *hosts("a"))
