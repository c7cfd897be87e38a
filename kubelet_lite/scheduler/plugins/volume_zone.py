"""VolumeZone: volumes that carry labels of a zone or region bind their pods to it."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from kubelet_lite.api.core_v1 import Node, PersistentVolume, PersistentVolumeClaim
from kubelet_lite.api.storage_v1 import StorageClass
from kubelet_lite.scheduler.framework import Change, Plugin, Refusals, Rejection
from kubelet_lite.scheduler.node_table import Mask, NodeTable, Rows
from kubelet_lite.scheduler.pod_info import PodInfo
from kubelet_lite.scheduler.volumes import claims

PRESENT_NAMES: Final = {
    "failure-domain.beta.kubernetes.io/zone": "topology.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
}
LABELS: Final = (*PRESENT_NAMES, *PRESENT_NAMES.values())


class VolumeZone(Plugin):
    def hint(self, change: Change) -> bool:
        """A node of another zone, or a claim, volume or class that says more."""
        if change.kind is Node:
            return change.new is not None and (change.old is None or _zone_labels(change.old) != _zone_labels(change.new))
        return change.kind in (PersistentVolumeClaim, PersistentVolume, StorageClass) and change.new is not None

    def pre_filter(self, pod: PodInfo, nodes: NodeTable) -> str | None:
        for volume in pod.volumes:
            if volume.persistentVolumeClaim is not None:
                wrong = self._wrong(volume.persistentVolumeClaim.claimName, pod.pod.metadata.namespace)
                if wrong:
                    return wrong
        return None

    def _wrong(self, name: str, namespace: str) -> str:
        """Why the claim's zone cannot be told."""
        claim = self.handle.surroundings.get(PersistentVolumeClaim, name, namespace)
        if claim is None:
            return f'persistentvolumeclaim "{name}" not found'
        if claim.spec.volumeName:
            found = self.handle.surroundings.get(PersistentVolume, claim.spec.volumeName)
            return "" if found is not None else f'persistentvolume "{claim.spec.volumeName}" not found'
        class_name = claims.class_of(claim)
        if not class_name:
            return "PersistentVolumeClaim had no pv name and storageClass name"
        storage_class = self.handle.surroundings.get(StorageClass, class_name)
        if storage_class is None:
            return f'storageclass.storage.k8s.io "{class_name}" not found'
        return "" if storage_class.volumeBindingMode == claims.WAIT else "PersistentVolume had no name"

    def applies(self, pod: PodInfo, nodes: NodeTable) -> bool:
        return bool(pod.volumes) and bool(self._zones(pod))

    def mask(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Mask:
        labelled = np.zeros(rows.size, np.bool_)
        for key in LABELS:
            labelled |= nodes.label(key).codes[rows] >= 0
        mask = np.ones(rows.size, np.bool_)
        for key, values in self._zones(pod):
            within = _within(nodes, key, values, rows)
            present = PRESENT_NAMES.get(key)
            if present is not None:
                within = np.where(nodes.label(key).codes[rows] >= 0, within, _within(nodes, present, values, rows))
            mask &= within
        result: Mask = mask | ~labelled
        return result

    def reject(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Refusals:
        return [(Rejection(self.name, ("node(s) had no available volume zone",), resolvable=False), rows)]

    def _zones(self, pod: PodInfo) -> Sequence[tuple[str, frozenset[str]]]:
        """Label and allowed values, of each labelled volume."""
        found = []
        for volume in pod.volumes:
            if volume.persistentVolumeClaim is None:
                continue
            claim = self.handle.surroundings.get(PersistentVolumeClaim, volume.persistentVolumeClaim.claimName, pod.pod.metadata.namespace)
            bound = self.handle.surroundings.get(PersistentVolume, claim.spec.volumeName) if claim is not None else None
            labels = bound.metadata.labels if bound is not None else {}
            for key in LABELS:
                values = frozenset(labels[key].split("__")) if key in labels else frozenset()
                if values and all(value.strip() for value in values):
                    found.append((key, values))
        return found


def _zone_labels(node: Node) -> Sequence[str | None]:
    return [node.metadata.labels.get(key) for key in LABELS]


def _within(nodes: NodeTable, key: str, values: frozenset[str], rows: Rows) -> Mask:
    label = nodes.label(key)
    allowed = np.array([value in values for value in label.numbers] + [False], np.bool_)
    mask: Mask = allowed[label.codes[rows]]
    return mask
