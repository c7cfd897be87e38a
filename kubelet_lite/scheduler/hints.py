"""Which plug-ins might decide otherwise after a change: a pod that others refused need not be tried again.

https://kubernetes.io/docs/concepts/scheduling-eviction/scheduling-framework/#queuehint
"""
from __future__ import annotations

from typing import Any, Final

from kubelet_lite.api.core_v1 import Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod
from kubelet_lite.api.storage_v1 import CSIDriver, CSINode, CSIStorageCapacity, StorageClass, VolumeAttachment
from kubelet_lite.scheduler.pod_info import PodInfo

Plugins = frozenset[str]

NODE_CAME: Final[Plugins] = frozenset((
    "NodeUnschedulable", "NodeName", "TaintToleration", "NodeAffinity", "NodePorts", "NodeResourcesFit", "PodTopologySpread",
    "InterPodAffinity", "VolumeBinding", "VolumeZone", "NodeVolumeLimits",
))
LABELS_CHANGED: Final[Plugins] = frozenset(("NodeAffinity", "PodTopologySpread", "InterPodAffinity", "VolumeBinding", "VolumeZone"))
TAINTS_CHANGED: Final[Plugins] = frozenset(("NodeUnschedulable", "TaintToleration", "PodTopologySpread"))
ALLOCATABLE_CHANGED: Final[Plugins] = frozenset(("NodeResourcesFit",))
NOTHING: Final[Plugins] = frozenset()
NODE_GONE: Final[Plugins] = frozenset(("PodTopologySpread",))
POD_GONE: Final[Plugins] = frozenset((
    "NodePorts", "NodeResourcesFit", "PodTopologySpread", "InterPodAffinity", "VolumeRestrictions", "NodeVolumeLimits",
))
POD_PLACED: Final[Plugins] = frozenset(("PodTopologySpread", "InterPodAffinity"))
OBJECT_CHANGED: Final[dict[type[Any], Plugins]] = {
    Namespace: frozenset(("InterPodAffinity",)),
    PersistentVolumeClaim: frozenset(("VolumeRestrictions", "NodeVolumeLimits", "VolumeBinding", "VolumeZone")),
    PersistentVolume: frozenset(("NodeVolumeLimits", "VolumeBinding", "VolumeZone")),
    StorageClass: frozenset(("VolumeBinding", "VolumeZone")),
    CSINode: frozenset(("NodeVolumeLimits", "VolumeBinding")),
    CSIDriver: frozenset(("VolumeBinding",)),
    CSIStorageCapacity: frozenset(("VolumeBinding",)),
    VolumeAttachment: frozenset(("NodeVolumeLimits",)),
}


def node_changed(before: Node | None, now: Node) -> Plugins:
    """A node that came or came back to mind: any; else by what changed of it (its images, heartbeats and conditions refuse nobody)."""
    if before is None:
        return NODE_CAME
    helps = LABELS_CHANGED if before.metadata.labels != now.metadata.labels else NOTHING
    if before.spec.taints != now.spec.taints or bool(before.spec.unschedulable) != bool(now.spec.unschedulable):
        helps |= TAINTS_CHANGED
    if before.status.allocatable != now.status.allocatable:
        helps |= ALLOCATABLE_CHANGED
    return helps


def means(waiting: PodInfo, placed: Pod) -> bool:
    """Whether a waiting pod says anything of a pod that came to a node, or whose labels changed."""
    meta = placed.metadata
    if any(spread.required and spread.selector.matches(meta.labels) for spread in waiting.spreads) and meta.namespace == waiting.key[0]:
        return True
    terms = waiting.affinity
    return terms is not None and any(term.selector.matches(meta.labels) for term in (*terms.required, *terms.forbidden))
