"""What volumes say of nodes, where no recorded decision does."""
from __future__ import annotations

import random
from typing import Any

import pytest

from kubelet_lite.api.core_v1 import Node, PersistentVolume, PersistentVolumeClaim, Pod
from kubelet_lite.api.encoding import from_json
from kubelet_lite.api.storage_v1 import CSIDriver, CSINode, CSIStorageCapacity, StorageClass, VolumeAttachment
from kubelet_lite.scheduler.decision import Placement
from kubelet_lite.scheduler.framework import Handle
from kubelet_lite.scheduler.node_table import NodeTable
from kubelet_lite.scheduler.plugins.volume_binding import VolumeBinding
from kubelet_lite.scheduler.pod_info import PodInfo, pod_info
from kubelet_lite.scheduler.surroundings import Given
from tests.scheduler.objects import a_node, decisions, table

ZONE = "topology.kubernetes.io/zone"
DISKS: list[dict[str, Any]] = [
    {"gcePersistentDisk": {"pdName": "d"}}, {"awsElasticBlockStore": {"volumeID": "d"}},
    {"iscsi": {"iqn": "q", "targetPortal": "p", "lun": 0}}, {"rbd": {"monitors": ["m", "n"], "image": "i", "pool": "rbd"}},
]


def pod(name: str, *volumes: dict[str, Any], uid: str = "") -> PodInfo:
    numbered = [{"name": f"v{i}", **volume} for i, volume in enumerate(volumes)]
    return pod_info(from_json(Pod, {
        "metadata": {"name": name, "namespace": "default", "uid": uid or name},
        "spec": {"containers": [{"name": "c", "image": "x"}], "volumes": numbered},
    }))


def using(name: str, *claims: str) -> PodInfo:
    return pod(name, *({"persistentVolumeClaim": {"claimName": claim}} for claim in claims))


def claim(name: str, *, volume: str = "", size: str = "1Gi", storage_class: str = "wait", **metadata: Any) -> PersistentVolumeClaim:
    if volume:
        metadata["annotations"] = {"pv.kubernetes.io/bind-completed": "yes"}
    return from_json(PersistentVolumeClaim, {
        "metadata": {"name": name, "namespace": "default", **metadata}, "spec": {
            "volumeName": volume, "storageClassName": storage_class, "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}},
        },
    })


def volume(name: str, size: str = "1Gi", *, node: str = "", **spec: Any) -> PersistentVolume:
    if node:
        term = {"matchExpressions": [{"key": "host", "operator": "In", "values": [node]}]}
        spec["nodeAffinity"] = {"required": {"nodeSelectorTerms": [term]}}
    return from_json(PersistentVolume, {
        "metadata": {"name": name}, "status": {"phase": "Available"},
        "spec": {"storageClassName": "wait", "accessModes": ["ReadWriteOnce"], "capacity": {"storage": size}, **spec},
    })


def waiting(provisioner: str = "kubernetes.io/no-provisioner", **more: Any) -> StorageClass:
    return from_json(StorageClass, {"metadata": {"name": "wait"}, "provisioner": provisioner, "volumeBindingMode": "WaitForFirstConsumer", **more})


def csi_node(name: str, count: int, annotations: dict[str, str] | None = None) -> CSINode:
    driver = {"name": "ebs.csi.aws.com", "nodeID": name, "topologyKeys": [], "allocatable": {"count": count}}
    return from_json(CSINode, {"metadata": {"name": name, "annotations": annotations or {}}, "spec": {"drivers": [driver]}})


def hosts(*names: str) -> list[Node]:
    return [a_node(name, labels={"host": name, ZONE: f"zone-{name}"}) for name in names]


def answer(nodes: NodeTable, wanted: PodInfo, *objects: Any) -> str:
    """The only node that takes the pod, or the words before those about preemption."""
    outcome = decisions(nodes, Given(objects)).decide(wanted, random.Random(1))
    if isinstance(outcome, Placement):
        return outcome.node_name if outcome.feasible == 1 else f"any of {outcome.feasible}"
    return outcome.message.removeprefix(f"0/{len(nodes)} nodes are available: ").split(". ")[0]


@pytest.mark.parametrize("disk", DISKS)
def test_a_disk_is_mounted_once_a_node(disk: dict[str, Any]) -> None:
    nodes = table(*hosts("a", "b"))
    nodes.place(pod("old", disk), "a")
    assert answer(nodes, pod("new", disk)) == "b"
    nodes.place(pod("older", disk), "b")
    assert answer(nodes, pod("new", disk)) == "2 node(s) had no available disk"


@pytest.mark.parametrize("disk", [DISKS[0], DISKS[2], DISKS[3]])
def test_a_disk_that_all_only_read_is_shared(disk: dict[str, Any]) -> None:
    reading = {kind: {**source, "readOnly": True} for kind, source in disk.items()}
    nodes = table(*hosts("a"))
    nodes.place(pod("old", reading), "a")
    assert answer(nodes, pod("new", reading)) == "a"
    assert answer(nodes, pod("new", disk)) == "1 node(s) had no available disk"


def test_a_driver_attaches_only_so_many_volumes_to_a_node() -> None:
    volumes = [volume(f"pv{i}", csi={"driver": "ebs.csi.aws.com", "volumeHandle": f"h{i}"}) for i in range(3)]
    objects = [*volumes, *(claim(f"c{i}", volume=f"pv{i}") for i in range(3)), waiting(), csi_node("a", 1), csi_node("b", 2)]
    nodes = table(*hosts("a", "b"))
    nodes.place(using("old", "c0"), "a")
    nodes.place(using("older", "c1"), "b")
    assert answer(nodes, using("new", "c2"), *objects) == "b"
    assert answer(nodes, using("new", "c0"), *objects) == "any of 2"
    assert answer(nodes, using("new", "c0", "c2"), *objects) == "2 node(s) exceed max volume count"
    attached = from_json(VolumeAttachment, {
        "metadata": {"name": "x"}, "spec": {"attacher": "ebs.csi.aws.com", "nodeName": "b", "source": {"persistentVolumeName": "pv0"}},
    })
    assert answer(nodes, using("new", "c2"), *objects, attached) == "2 node(s) exceed max volume count"


def test_older_kinds_of_volumes_count_where_a_driver_serves_them() -> None:
    migrated = {"storage.alpha.kubernetes.io/migrated-plugins": "kubernetes.io/gce-pd,kubernetes.io/aws-ebs"}
    objects = [volume("pv", awsElasticBlockStore={"volumeID": "x"}), claim("c", volume="pv"), waiting(), csi_node("a", 1, migrated), csi_node("b", 1)]
    nodes = table(*hosts("a", "b"))
    for name in ("a", "b"):
        nodes.place(pod(f"on-{name}", {"awsElasticBlockStore": {"volumeID": "y"}}), name)
    assert answer(nodes, using("new", "c"), *objects) == "b"


def test_the_smallest_volume_that_suffices_is_bound_each_once() -> None:
    volumes = [volume("large", "9Gi", node="a"), volume("small", "1Gi", node="a"), volume("middle", "3Gi", node="a"), volume("only", "9Gi", node="b")]
    objects = [*volumes, claim("one", size="1Gi"), claim("two", size="2Gi"), waiting()]
    nodes = table(*hosts("a", "b", "c"))
    assert answer(nodes, using("new", "two", "one"), *objects) == "a"
    chosen = VolumeBinding(Handle.alone(Given(objects))).choose(using("new", "two", "one"), nodes, "a")
    assert [(c.metadata.name, v.metadata.name) for c, v in chosen.bind] == [("two", "middle"), ("one", "small")]
    assert answer(nodes, using("new", "one"), *objects) == "any of 2"


def test_a_volume_that_is_reserved_for_a_claim_decides() -> None:
    reserved = volume("mine", node="b", claimRef={"namespace": "default", "name": "c"})
    theirs = volume("theirs", node="c", claimRef={"namespace": "default", "name": "other"})
    objects = [reserved, theirs, volume("free", node="a"), claim("c"), waiting()]
    assert answer(table(*hosts("a", "b", "c")), using("new", "c"), *objects) == "b"


def test_a_volume_is_made_where_its_class_allows_it_and_there_is_space() -> None:
    allowed = [{"matchLabelExpressions": [{"key": ZONE, "values": ["zone-a", "zone-b"]}]}]
    storage_class = waiting("e.com/disk", allowedTopologies=allowed)
    nodes, wanted = table(*hosts("a", "b", "c")), using("new", "c")
    assert answer(nodes, wanted, claim("c"), storage_class) == "any of 2"
    driver = from_json(CSIDriver, {"metadata": {"name": "e.com/disk"}, "spec": {"storageCapacity": True}})
    space = from_json(CSIStorageCapacity, {
        "metadata": {"name": "s", "namespace": "default"}, "storageClassName": "wait", "capacity": "2Gi", "nodeTopology": {"matchLabels": {ZONE: "zone-b"}},
    })
    assert answer(nodes, wanted, claim("c"), storage_class, driver, space) == "b"
    assert answer(nodes, wanted, claim("c", size="3Gi"), storage_class, driver, space) == (
        "1 node(s) didn't find available persistent volumes to bind, 2 node(s) did not have enough free storage"
    )
    selected = claim("c", annotations={"volume.kubernetes.io/selected-node": "a"})
    assert answer(nodes, wanted, selected, storage_class) == "a"


def test_why_a_claim_cannot_be_used_is_said() -> None:
    nodes = table(*hosts("a"))
    lost = from_json(PersistentVolumeClaim, {"metadata": {"name": "c", "namespace": "default"}, "spec": {"volumeName": "v"}, "status": {"phase": "Lost"}})
    assert answer(nodes, using("new", "c"), lost) == 'persistentvolumeclaim "c" bound to non-existent persistentvolume "v"'
    deleted = claim("c", volume="v", deletionTimestamp="2026-01-01T00:00:00Z")
    assert answer(nodes, using("new", "c"), deleted) == 'persistentvolumeclaim "c" is being deleted'
    assert answer(nodes, using("new", "c"), claim("c", volume="v")) == 'persistentvolume "v" not found'
    ephemeral = pod("new", {"ephemeral": {"volumeClaimTemplate": {"spec": {"accessModes": ["ReadWriteOnce"]}}}})
    assert answer(nodes, ephemeral) == 'waiting for ephemeral volume controller to create the persistentvolumeclaim "new-v0"'
    assert answer(nodes, ephemeral, claim("new-v0"), waiting()) == "PVC default/new-v0 was not created for pod default/new (pod is not owner)"


def test_older_labels_of_zones_count_on_both_sides() -> None:
    old = "failure-domain.beta.kubernetes.io/zone"
    labelled = from_json(PersistentVolume, {"metadata": {"name": "v", "labels": {old: "zone-a__zone-c"}}, "spec": {"capacity": {"storage": "1Gi"}}})
    nodes = table(*hosts("a", "b"), a_node("c", labels={old: "zone-b"}), a_node("nowhere"))
    nodes.place(using("old"), "a")
    assert answer(nodes, using("new", "c"), labelled, claim("c", volume="v")) == "any of 2"
    nodes.remove_node("nowhere")
    assert answer(nodes, using("new", "c"), labelled, claim("c", volume="v")) == "a"
