"""The plug-ins of volumes: the columns say what plain code says of each node; and what is reserved is what was promised."""
from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kubelet_lite.api.core_v1 import Node, PersistentVolume, PersistentVolumeClaim, Pod
from kubelet_lite.api.encoding import from_json
from kubelet_lite.api.storage_v1 import CSINode, StorageClass, VolumeAttachment
from kubelet_lite.scheduler.filtering import candidates, feasible_rows, rejected
from kubelet_lite.scheduler.framework import Handle
from kubelet_lite.scheduler.plugins import default_profile
from kubelet_lite.scheduler.plugins.volume_binding import VolumeBinding
from kubelet_lite.scheduler.pod_info import pod_info
from kubelet_lite.scheduler.surroundings import Given
from tests.scheduler.objects import a_node
from tests.scheduler.plain_volumes import ZONE, Storage, reachable

CLASSES = (
    from_json(StorageClass, {"metadata": {"name": "local"}, "provisioner": "kubernetes.io/no-provisioner", "volumeBindingMode": "WaitForFirstConsumer"}),
    from_json(StorageClass, {"metadata": {"name": "made"}, "provisioner": "e.com/disk", "volumeBindingMode": "WaitForFirstConsumer"}),
    from_json(StorageClass, {
        "metadata": {"name": "zoned"}, "provisioner": "e.com/disk", "volumeBindingMode": "WaitForFirstConsumer",
        "allowedTopologies": [{"matchLabelExpressions": [{"key": ZONE, "values": ["a"]}]}],
    }),
)
storage_classes, zones = st.sampled_from(["local", "local", "made", "zoned"]), st.sampled_from(["", "a", "a", "b"])
nodes_of = st.lists(st.tuples(zones, st.sampled_from([None, 0, 1, 2])), min_size=1, max_size=4)
volumes_of = st.lists(st.tuples(st.sampled_from([1, 2, 3]), storage_classes, st.sampled_from(["", "n0", "n1"]), st.sampled_from(["", "a", "a__b"]), st.booleans()), max_size=5)
claims_of = st.lists(st.tuples(st.sampled_from([1, 2, 3]), storage_classes, st.integers(-6, 4), st.booleans()), min_size=1, max_size=4)
uses = st.lists(st.integers(0, 3), max_size=3, unique=True)
disks = st.sampled_from([None, None, ("d", False), ("d", True)])
pods_of = st.lists(st.tuples(uses, disks, st.integers(0, 3)), max_size=5)


def a_node_of(number: int, zone: str) -> Node:
    return a_node(f"n{number}", labels={"host": f"n{number}", **({ZONE: zone} if zone else {})})


def a_volume(number: int, size: int, storage_class: str, where: str, zone: str, csi: bool, used: bool) -> PersistentVolume:
    spec: dict[str, Any] = {"storageClassName": storage_class, "accessModes": ["ReadWriteOnce"], "capacity": {"storage": f"{size}Gi"}}
    if where:
        spec["nodeAffinity"] = {"required": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "host", "operator": "In", "values": [where]}]}]}}
    if csi:
        spec["csi"] = {"driver": "e.com/disk", "volumeHandle": f"h{number}"}
    labels = {ZONE: zone} if zone else {}
    return from_json(PersistentVolume, {"metadata": {"name": f"v{number}", "labels": labels}, "spec": spec, "status": {"phase": "Bound" if used else "Available"}})


def a_claim(number: int, size: int, storage_class: str, bound_to: str, alone: bool) -> PersistentVolumeClaim:
    annotations = {"pv.kubernetes.io/bind-completed": "yes"} if bound_to else {}
    return from_json(PersistentVolumeClaim, {"metadata": {"name": f"c{number}", "namespace": "default", "annotations": annotations}, "spec": {
        "storageClassName": storage_class, "volumeName": bound_to, "accessModes": ["ReadWriteOncePod" if alone and bound_to else "ReadWriteOnce"],
        "resources": {"requests": {"storage": f"{size}Gi"}},
    }})


def a_pod_of(name: str, claims: list[int], disk: tuple[str, bool] | None) -> Pod:
    volumes = [{"name": f"v{n}", "persistentVolumeClaim": {"claimName": f"c{n}"}} for n in claims]
    volumes += [{"name": "disk", "gcePersistentDisk": {"pdName": disk[0], "readOnly": disk[1]}}] if disk is not None else []
    return from_json(Pod, {"metadata": {"name": name, "namespace": "default", "uid": name}, "spec": {"containers": [], "volumes": volumes}})


def a_csi_node(number: int, limit: int) -> CSINode:
    return from_json(CSINode, {"metadata": {"name": f"n{number}"}, "spec": {"drivers": [{"name": "e.com/disk", "nodeID": "x", "allocatable": {"count": limit}}]}})


@settings(max_examples=400)
@given(nodes_of, volumes_of, claims_of, pods_of, uses, disks, st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), max_size=2))
def test_volumes_equal_plain_code(
    nodes: list[tuple[str, int | None]], volumes: list[Any], claims: list[Any], others: list[Any], wanted: list[int], disk: tuple[str, bool] | None,
    attached: list[tuple[int, int]],
) -> None:
    used = {n for _, _, n, _ in claims if 0 <= n < len(volumes)}
    objects: list[Any] = [*CLASSES, *(a_volume(i, *v[:4], v[4], i in used) for i, v in enumerate(volumes))]
    objects += [a_claim(i, size, kind, f"v{n}" if 0 <= n < len(volumes) else "", alone) for i, (size, kind, n, alone) in enumerate(claims)]
    objects += [a_csi_node(i, limit) for i, (_, limit) in enumerate(nodes) if limit is not None]
    objects += [
        from_json(VolumeAttachment, {"metadata": {"name": f"a{i}"}, "spec": {"attacher": "e.com/disk", "nodeName": f"n{n}", "source": {"persistentVolumeName": f"v{v}"}}})
        for i, (n, v) in enumerate(attached)
    ]
    storage, handle = Storage(objects), Handle.alone(Given(objects))
    table, profile = handle.nodes, default_profile(handle)
    at: dict[str, tuple[Node, list[Pod]]] = {}
    for i, (zone, _) in enumerate(nodes):
        node = a_node_of(i, zone)
        table.set_node(node)
        at[f"n{i}"] = node, []
    for i, (using, its_disk, where) in enumerate(others):
        if where < len(nodes):
            other = a_pod_of(f"old{i}", [n for n in using if n < len(claims)], its_disk)
            table.place(pod_info(other), f"n{where}")
            at[f"n{where}"][1].append(other)
    pod = a_pod_of("new", [n for n in wanted if n < len(claims)], disk)
    info = pod_info(pod)
    assert candidates(table, info, profile).refusal is None
    rows = feasible_rows(table, info, profile, np.flatnonzero(table.alive))
    everywhere = [p for _, pods in at.values() for p in pods]
    plainly = {name: storage.refusal(node, pods, everywhere, pod) for name, (node, pods) in at.items()}
    refused = {table.name(int(row)): set(r.reasons) for r, group in rejected(table, info, profile) for row in group}
    assert refused == {name: reasons for name, reasons in plainly.items() if reasons is not None}
    assert {table.name(int(row)) for row in rows} == {name for name, reasons in plainly.items() if reasons is None}
    binding = profile.plugins["VolumeBinding"]
    assert isinstance(binding, VolumeBinding)
    for row in rows.tolist():
        choice = binding.choose(info, table, table.name(row)) if info.volumes else None
        if choice is not None:
            chosen = [v.metadata.name for _, v in choice.bind]
            assert len(set(chosen)) == len(chosen)
            assert all(reachable(v, at[table.name(row)][0]) and v.status.phase == "Available" for _, v in choice.bind)
            assert {c.metadata.name for c, _ in choice.bind} | {c.metadata.name for c in choice.provision} == {c.metadata.name for c in storage.of(pod) if not c.spec.volumeName}
