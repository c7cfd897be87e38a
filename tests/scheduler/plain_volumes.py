"""What the plug-ins of volumes say of one node, as plain code."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubelet_lite.api import quantities, scheduling_rules
from kubelet_lite.api.core_v1 import Node, PersistentVolume, PersistentVolumeClaim, Pod, Volume
from kubelet_lite.api.storage_v1 import CSINode, StorageClass, VolumeAttachment

ZONE = "topology.kubernetes.io/zone"


class Storage:
    """Everything about volumes."""

    def __init__(self, objects: Sequence[Any]) -> None:
        self.claims = {o.metadata.name: o for o in objects if isinstance(o, PersistentVolumeClaim)}
        self.volumes = {o.metadata.name: o for o in objects if isinstance(o, PersistentVolume)}
        self.classes = {o.metadata.name: o for o in objects if isinstance(o, StorageClass)}
        self.limits = {o.metadata.name: o.spec.drivers[0].allocatable.count for o in objects if isinstance(o, CSINode) and o.spec.drivers[0].allocatable is not None}
        self.attached = [(o.spec.nodeName, o.spec.source.persistentVolumeName) for o in objects if isinstance(o, VolumeAttachment)]

    def of(self, pod: Pod) -> list[PersistentVolumeClaim]:
        return [self.claims[v.persistentVolumeClaim.claimName] for v in pod.spec.volumes if v.persistentVolumeClaim is not None]

    def refusal(self, node: Node, pods: Sequence[Pod], everywhere: Sequence[Pod], pod: Pod) -> set[str] | None:
        """The first plug-in's reasons."""
        for reasons in (self.restrictions(pods, everywhere, pod), self.too_many(node, pods, pod), self.binding(node, pod), self.zone(node, pod)):
            if reasons:
                return reasons
        return None

    # VolumeRestrictions

    def restrictions(self, pods: Sequence[Pod], everywhere: Sequence[Pod], pod: Pod) -> set[str]:
        alone = {c.metadata.name for c in self.of(pod) if "ReadWriteOncePod" in c.spec.accessModes}
        disk = any(same_disk(ours, theirs) for ours in pod.spec.volumes for other in pods for theirs in other.spec.volumes)
        if disk:
            return {"node(s) had no available disk"}
        if any(c.metadata.name in alone for other in everywhere for c in self.of(other)):
            return {"node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use by another pod"}
        return set()

    # NodeVolumeLimits

    def too_many(self, node: Node, pods: Sequence[Pod], pod: Pod) -> set[str]:
        limit = self.limits.get(node.metadata.name)
        if limit is None:
            return set()
        there = {h for other in pods for h in self.handles(other)} | {self.handle(name) for where, name in self.attached if where == node.metadata.name}
        there.discard("")
        new = self.handles(pod) - there
        return {"node(s) exceed max volume count"} if new and len(new) + len(there) > limit else set()

    def handles(self, pod: Pod) -> set[str]:
        """What its claims attach: the volume, or the claim itself where one of the driver is to be made."""
        found = set()
        for claim in self.of(pod):
            if claim.spec.volumeName:
                found.add(self.handle(claim.spec.volumeName))
            elif self.classes[claim.spec.storageClassName or ""].provisioner == "e.com/disk":
                found.add(f"default/{claim.metadata.name}")
        return found - {""}

    def handle(self, name: str) -> str:
        volume = self.volumes.get(name)
        return volume.spec.csi.volumeHandle if volume is not None and volume.spec.csi is not None else ""

    # VolumeBinding

    def binding(self, node: Node, pod: Pod) -> set[str]:
        bound = [c for c in self.of(pod) if c.spec.volumeName]
        if any(not reachable(self.volumes[c.spec.volumeName], node) for c in bound):
            unreachable = {"node(s) didn't match PersistentVolume's node affinity"}
        else:
            unreachable = set()
        taken: set[str] = set()
        bindable = True
        for claim in sorted((c for c in self.of(pod) if not c.spec.volumeName), key=lambda c: quantities.to_int(c.spec.resources.requests["storage"])):
            wanted = quantities.to_int(claim.spec.resources.requests["storage"])
            fitting = [
                (quantities.to_int(v.spec.capacity["storage"]), i, v.metadata.name) for i, v in enumerate(self.volumes.values())
                if v.spec.claimRef is None and v.metadata.name not in taken and v.spec.storageClassName == claim.spec.storageClassName
                and quantities.to_int(v.spec.capacity["storage"]) >= wanted and reachable(v, node) and not self.is_used(v)
            ]
            if fitting:
                taken.add(min(fitting)[2])
            elif not self.can_make(claim, node):
                bindable = False
        return unreachable | (set() if bindable else {"node(s) didn't find available persistent volumes to bind"})

    def is_used(self, volume: PersistentVolume) -> bool:
        return volume.status.phase != "Available"

    def can_make(self, claim: PersistentVolumeClaim, node: Node) -> bool:
        storage_class = self.classes[claim.spec.storageClassName or ""]
        if storage_class.provisioner == "kubernetes.io/no-provisioner":
            return False
        allowed = storage_class.allowedTopologies
        return not allowed or any(all(node.metadata.labels.get(e.key) in e.values for e in term.matchLabelExpressions) for term in allowed)

    # VolumeZone

    def zone(self, node: Node, pod: Pod) -> set[str]:
        if ZONE not in node.metadata.labels:
            return set()
        for claim in self.of(pod):
            wanted = self.volumes[claim.spec.volumeName].metadata.labels.get(ZONE) if claim.spec.volumeName else None
            if wanted is not None and node.metadata.labels[ZONE] not in wanted.split("__"):
                return {"node(s) had no available volume zone"}
        return set()


def reachable(volume: PersistentVolume, node: Node) -> bool:
    affinity = volume.spec.nodeAffinity
    return affinity is None or affinity.required is None or scheduling_rules.selects(affinity.required, node)


def same_disk(a: Volume, b: Volume) -> bool:
    if a.gcePersistentDisk is None or b.gcePersistentDisk is None:
        return False
    both_read = bool(a.gcePersistentDisk.readOnly and b.gcePersistentDisk.readOnly)
    return a.gcePersistentDisk.pdName == b.gcePersistentDisk.pdName and not both_read
