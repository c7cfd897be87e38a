"""NodeVolumeLimits: a CSI driver attaches only so many volumes to a node."""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import numpy as np

from kubelet_lite.api.core_v1 import PersistentVolume, PersistentVolumeClaim, Pod, Volume
from kubelet_lite.api.storage_v1 import CSINode, StorageClass, VolumeAttachment
from kubelet_lite.scheduler import claims
from kubelet_lite.scheduler.framework import Change, Plugin, Refusals, Rejection
from kubelet_lite.scheduler.node_table import Mask, NodeTable, Rows
from kubelet_lite.scheduler.pod_info import PodInfo

MIGRATED: Final = (
    ("awsElasticBlockStore", "volumeID", "kubernetes.io/aws-ebs", "ebs.csi.aws.com"),
    ("gcePersistentDisk", "pdName", "kubernetes.io/gce-pd", "pd.csi.storage.gke.io"),
    ("azureDisk", "diskURI", "kubernetes.io/azure-disk", "disk.csi.azure.com"),
    ("cinder", "volumeID", "kubernetes.io/cinder", "cinder.csi.openstack.org"),
)
"""Older kinds of volumes that a CSI driver serves where the node says so: field, identity within it, plug-in, driver."""
MIGRATED_PLUGINS: Final = "storage.alpha.kubernetes.io/migrated-plugins"

Attachable = tuple[str, str]
"""Driver, and what tells its volumes apart."""


class NodeVolumeLimits(Plugin):
    def hint(self, change: Change) -> bool:
        """More room on a node, or a claim or volume that says more of what is to be attached."""
        if change.kind in (Pod, VolumeAttachment):
            return change.new is None
        return change.new is not None

    def needs(self, pod: PodInfo, nodes: NodeTable) -> Sequence[type[Any]]:
        return (PersistentVolumeClaim, PersistentVolume, StorageClass, CSINode, VolumeAttachment) if pod.volumes else ()

    def applies(self, pod: PodInfo, nodes: NodeTable) -> bool:
        return bool(pod.volumes) and bool(self.handle.surroundings.list(CSINode))

    def mask(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Mask:
        mask = np.ones(rows.size, np.bool_)
        place = {row: i for i, row in enumerate(rows.tolist())}
        for csi_node in self.handle.surroundings.list(CSINode):
            row = nodes.row_of.get(csi_node.metadata.name, -1)
            if row in place and not self._room(pod, nodes, row, csi_node):
                mask[place[row]] = False
        return mask

    def reject(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Refusals:
        return [(Rejection(self.name, ("node(s) exceed max volume count",), resolvable=True), rows)]

    def _room(self, pod: PodInfo, nodes: NodeTable, row: int, csi_node: CSINode) -> bool:
        limits = {d.name: d.allocatable.count for d in csi_node.spec.drivers if d.allocatable is not None and d.allocatable.count is not None}
        wanted = {a for a in self._attachable(pod, csi_node) if a[0] in limits} if limits else set()
        if not wanted:
            return True
        attached = {a for other in nodes.volumes.pods.get(row, {}).values() for a in self._attachable(other, csi_node)}
        attached.update(self._attached(csi_node.metadata.name))
        wanted -= attached
        return all(
            sum(a[0] == driver for a in attached) + count <= limit
            for driver, limit in limits.items() if (count := sum(a[0] == driver for a in wanted))
        )

    def _attachable(self, pod: PodInfo, csi_node: CSINode) -> Iterator[Attachable]:
        for volume in pod.volumes:
            name = claims.claim_name(pod.pod, volume)
            if not name:
                yield from _migrated(volume, csi_node)
                continue
            claim = self.handle.surroundings.get(PersistentVolumeClaim, name, pod.pod.metadata.namespace)
            if claim is not None:
                yield from self._of_claim(claim, csi_node)

    def _of_claim(self, claim: PersistentVolumeClaim, csi_node: CSINode) -> Iterable[Attachable]:
        volume = self.handle.surroundings.get(PersistentVolume, claim.spec.volumeName) if claim.spec.volumeName else None
        if volume is not None:
            return _of_volume(volume, csi_node)
        storage_class = self.handle.surroundings.get(StorageClass, claims.class_of(claim))
        if storage_class is None:
            return ()
        drivers = {plugin: driver for _, _, plugin, driver in MIGRATED if _is_migrated(plugin, csi_node)}
        made_by = drivers.get(storage_class.provisioner, storage_class.provisioner)
        return ((made_by, f"{claim.metadata.namespace}/{claim.metadata.name}"),)

    def _attached(self, node_name: str) -> Iterator[Attachable]:
        """What is attached, or about to be, whoever uses it."""
        for attachment in self.handle.surroundings.list(VolumeAttachment):
            name = attachment.spec.source.persistentVolumeName
            volume = self.handle.surroundings.get(PersistentVolume, name) if attachment.spec.nodeName == node_name and name else None
            if volume is not None and volume.spec.csi is not None:
                yield volume.spec.csi.driver, volume.spec.csi.volumeHandle


def _of_volume(volume: PersistentVolume, csi_node: CSINode) -> Iterable[Attachable]:
    if volume.spec.csi is not None:
        return ((volume.spec.csi.driver, volume.spec.csi.volumeHandle),)
    return _migrated(volume.spec, csi_node)


def _migrated(source: Volume | Any, csi_node: CSINode) -> Iterator[Attachable]:
    for field, identity, plugin, driver in MIGRATED:
        found = getattr(source, field)
        if found is not None and _is_migrated(plugin, csi_node):
            yield driver, getattr(found, identity)


def _is_migrated(plugin: str, csi_node: CSINode) -> bool:
    return plugin in csi_node.metadata.annotations.get(MIGRATED_PLUGINS, "").split(",")
