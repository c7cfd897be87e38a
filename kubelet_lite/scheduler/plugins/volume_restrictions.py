"""VolumeRestrictions: some disks may be mounted once a node, a claim of mode ReadWriteOncePod by one pod in all."""
from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kubelet_lite.api.core_v1 import Node, PersistentVolumeClaim, Pod, Volume
from kubelet_lite.scheduler.framework import Change, Plugin, Refusals, Rejection
from kubelet_lite.scheduler.node_table import Mask, NodeTable, Rows
from kubelet_lite.scheduler.pod_info import PodInfo
from kubelet_lite.scheduler.volumes import claims

IN_USE = "node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use by another pod"


class VolumeRestrictions(Plugin):
    def hint(self, change: Change) -> bool | Callable[[PodInfo], bool]:
        if change.kind in (PersistentVolumeClaim, Node):
            return change.old is None
        if change.kind is not Pod or change.new is not None:
            return False
        freed = claims.matter(change.old.spec.volumes)
        return lambda pod: any(_same_claim(ours, theirs) or _clash(ours, theirs) for theirs in freed for ours in pod.volumes)

    def pre_filter(self, pod: PodInfo, nodes: NodeTable) -> str | None:
        for volume in pod.volumes:
            if volume.persistentVolumeClaim is not None and self._claim(pod, volume) is None:
                return f'persistentvolumeclaim "{volume.persistentVolumeClaim.claimName}" not found'
        return None

    def applies(self, pod: PodInfo, nodes: NodeTable) -> bool:
        return bool(pod.volumes)

    def mask(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Mask:
        if self._in_use(pod, nodes):
            return np.zeros(rows.size, np.bool_)
        return self._disks_free(pod, nodes, rows)

    def reject(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Refusals:
        free = self._disks_free(pod, nodes, rows)
        groups = ((Rejection(self.name, ("node(s) had no available disk",), resolvable=True), rows[~free]), (Rejection(self.name, (IN_USE,), resolvable=True), rows[free]))
        return [(rejection, refused) for rejection, refused in groups if refused.size]

    def _claim(self, pod: PodInfo, volume: Volume) -> PersistentVolumeClaim | None:
        assert volume.persistentVolumeClaim is not None
        return self.handle.surroundings.get(PersistentVolumeClaim, volume.persistentVolumeClaim.claimName, pod.pod.metadata.namespace)

    def _in_use(self, pod: PodInfo, nodes: NodeTable) -> bool:
        """Whether a placed pod uses a claim that this one needs for itself."""
        for volume in pod.volumes:
            if volume.persistentVolumeClaim is not None and nodes.volumes.users_of_claim(pod.pod.metadata.namespace, volume.persistentVolumeClaim.claimName):
                claim = self._claim(pod, volume)
                if claim is not None and "ReadWriteOncePod" in claim.spec.accessModes:
                    return True
        return False

    @staticmethod
    def _disks_free(pod: PodInfo, nodes: NodeTable, rows: Rows) -> Mask:
        mask = np.ones(rows.size, np.bool_)
        disks = [v for v in pod.volumes if v.persistentVolumeClaim is None and v.ephemeral is None]
        if disks:
            taken = [
                row for row, others in nodes.volumes.pods.items()
                if any(_clash(ours, theirs) for other in others.values() for theirs in other.volumes for ours in disks)
            ]
            mask = ~np.isin(rows, taken)
        return mask


def _same_claim(a: Volume, b: Volume) -> bool:
    return a.persistentVolumeClaim is not None and b.persistentVolumeClaim is not None and a.persistentVolumeClaim.claimName == b.persistentVolumeClaim.claimName


def _clash(a: Volume, b: Volume) -> bool:
    """Whether both are the same disk, and not both only read it."""
    if a.gcePersistentDisk is not None and b.gcePersistentDisk is not None:
        gce, other_gce = a.gcePersistentDisk, b.gcePersistentDisk
        if gce.pdName == other_gce.pdName and not (gce.readOnly and other_gce.readOnly):
            return True
    if a.awsElasticBlockStore is not None and b.awsElasticBlockStore is not None and a.awsElasticBlockStore.volumeID == b.awsElasticBlockStore.volumeID:
        return True
    if a.iscsi is not None and b.iscsi is not None and a.iscsi.iqn == b.iscsi.iqn and not (a.iscsi.readOnly and b.iscsi.readOnly):
        return True
    if a.rbd is not None and b.rbd is not None:
        same = a.rbd.pool == b.rbd.pool and a.rbd.image == b.rbd.image and any(m in b.rbd.monitors for m in a.rbd.monitors)
        return same and not (a.rbd.readOnly and b.rbd.readOnly)
    return False
