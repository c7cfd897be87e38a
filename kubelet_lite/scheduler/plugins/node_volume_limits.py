"""NodeVolumeLimits: a CSI driver attaches only so many volumes to a node."""
from __future__ import annotations

import collections
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from kubelet_lite.api.core_v1 import PersistentVolume, PersistentVolumeClaim, Pod, Volume
from kubelet_lite.api.storage_v1 import CSINode, StorageClass, VolumeAttachment
from kubelet_lite.scheduler.framework import Change, Handle, Plugin, Refusals, Rejection
from kubelet_lite.scheduler.node_table import Column, Mask, NodeTable, Rows, take
from kubelet_lite.scheduler.pod_info import PodInfo
from kubelet_lite.scheduler.volumes import claims

MIGRATED: Final = (
    ("awsElasticBlockStore", "volumeID", "kubernetes.io/aws-ebs", "ebs.csi.aws.com"),
    ("gcePersistentDisk", "pdName", "kubernetes.io/gce-pd", "pd.csi.storage.gke.io"),
    ("azureDisk", "diskURI", "kubernetes.io/azure-disk", "disk.csi.azure.com"),
    ("cinder", "volumeID", "kubernetes.io/cinder", "cinder.csi.openstack.org"),
)
"""Older kinds of volumes that a CSI driver serves where the node says so: field, identity within it, plug-in, driver."""
MIGRATED_PLUGINS: Final = "storage.alpha.kubernetes.io/migrated-plugins"

NO_LIMIT: Final = 1 << 40
Attachable = tuple[str, str]
"""Driver, and what tells its volumes apart."""


class NodeVolumeLimits(Plugin):
    def __init__(self, handle: Handle, args: Any = None) -> None:
        super().__init__(handle, args)
        self._as_of = (-1, -1, -1)
        self._limits: Column | None = None

    def hint(self, change: Change) -> bool:
        """More room on a node, or a claim or volume that says more of what is to be attached."""
        if change.kind in (Pod, VolumeAttachment):
            return change.new is None
        return change.new is not None

    def needs(self, pod: PodInfo, nodes: NodeTable) -> Sequence[type[Any]]:
        return (PersistentVolumeClaim, PersistentVolume, StorageClass, CSINode, VolumeAttachment) if pod.volumes else ()

    def applies(self, pod: PodInfo, nodes: NodeTable) -> bool:
        return bool(pod.volumes) and self._limits_of(nodes) is not None

    def mask(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Mask:
        """Only where a node's pods have nearly as many volumes as it takes are these looked at."""
        limits = self._limits_of(nodes)
        assert limits is not None
        mask: Mask = take(limits, rows) - nodes.volumes.count.column(nodes.width)[rows] >= len(pod.volumes)
        for i in np.flatnonzero(~mask).tolist():
            row = int(rows[i])
            csi_node = self.handle.surroundings.get(CSINode, nodes.name(row))
            mask[i] = csi_node is None or self._room(pod, nodes, row, csi_node)
        return mask

    def _limits_of(self, nodes: NodeTable) -> Column | None:
        """By row, how many volumes of its pods a node surely takes, whatever their drivers; None: there is no CSINode."""
        around = self.handle.surroundings
        as_of = nodes.generation, around.changed(CSINode), around.changed(VolumeAttachment)
        if as_of != self._as_of:
            self._as_of, self._limits = as_of, None
            csi_nodes = around.list(CSINode)
            if csi_nodes:
                attached = collections.Counter(attachment.spec.nodeName for attachment in around.list(VolumeAttachment))
                self._limits = np.full(nodes.width, NO_LIMIT, np.int64)
                for csi_node in csi_nodes:
                    row = nodes.row_of.get(csi_node.metadata.name)
                    if row is not None:
                        self._limits[row] = min(_limits(csi_node).values(), default=NO_LIMIT) - attached[csi_node.metadata.name]
        return self._limits

    def reject(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Refusals:
        return [(Rejection(self.name, ("node(s) exceed max volume count",), resolvable=True), rows)]

    def _room(self, pod: PodInfo, nodes: NodeTable, row: int, csi_node: CSINode) -> bool:
        limits = _limits(csi_node)
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


def _limits(csi_node: CSINode) -> Mapping[str, int]:
    """By driver, how many volumes it attaches to the node."""
    return {d.name: d.allocatable.count for d in csi_node.spec.drivers if d.allocatable is not None and d.allocatable.count is not None}


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
