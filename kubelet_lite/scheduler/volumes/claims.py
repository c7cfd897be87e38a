"""The volumes that a pod's claims stand for: which are bound, which wait for the pod's node, and what could be bound to them.

https://kubernetes.io/docs/concepts/storage/persistent-volumes/
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from kubelet_lite.api import quantities, selectors
from kubelet_lite.api.core_v1 import PersistentVolume, PersistentVolumeClaim, Pod, Volume
from kubelet_lite.api.storage_v1 import StorageClass
from kubelet_lite.scheduler.surroundings import Surroundings

BIND_COMPLETED: Final = "pv.kubernetes.io/bind-completed"
BOUND_BY_CONTROLLER: Final = "pv.kubernetes.io/bound-by-controller"
SELECTED_NODE: Final = "volume.kubernetes.io/selected-node"
STORAGE_CLASS: Final = "volume.beta.kubernetes.io/storage-class"
NO_PROVISIONER: Final = "kubernetes.io/no-provisioner"
WAIT: Final = "WaitForFirstConsumer"


class PodClaims(msgspec.Struct, frozen=True):
    """The claims of one pod."""

    bound: tuple[PersistentVolumeClaim, ...]
    waiting: tuple[PersistentVolumeClaim, ...]
    """Not bound, and to be bound once the pod has a node."""
    overdue: bool
    """Whether there is one that should be bound by now."""


def matter(volumes: Iterable[Volume]) -> tuple[Volume, ...]:
    """Those that say something about where a pod may run."""
    return tuple(
        v for v in volumes
        if v.persistentVolumeClaim is not None or v.ephemeral is not None or v.gcePersistentDisk is not None
        or v.awsElasticBlockStore is not None or v.iscsi is not None or v.rbd is not None
    )


def claim_name(pod: Pod, volume: Volume) -> str:
    """The claim that a volume uses; "": none."""
    if volume.persistentVolumeClaim is not None:
        return volume.persistentVolumeClaim.claimName
    return f"{pod.metadata.name}-{volume.name}" if volume.ephemeral is not None else ""


def sorted_out(surroundings: Surroundings, pod: Pod, volumes: Iterable[Volume]) -> PodClaims:
    """The claims that there are."""
    bound, waiting, overdue = [], [], False
    for volume in volumes:
        name = claim_name(pod, volume)
        claim = surroundings.get(PersistentVolumeClaim, name, pod.metadata.namespace) if name else None
        if claim is None:
            continue
        if is_bound(claim):
            bound.append(claim)
        elif not claim.spec.volumeName and _waits(surroundings, claim):
            waiting.append(claim)
        else:
            overdue = True
    return PodClaims(tuple(bound), tuple(waiting), overdue)


def is_bound(claim: PersistentVolumeClaim) -> bool:
    return bool(claim.spec.volumeName) and BIND_COMPLETED in claim.metadata.annotations


def class_of(obj: PersistentVolume | PersistentVolumeClaim) -> str:
    """The name of the storage class."""
    return obj.metadata.annotations.get(STORAGE_CLASS) or obj.spec.storageClassName or ""


def _waits(surroundings: Surroundings, claim: PersistentVolumeClaim) -> bool:
    name = class_of(claim)
    found = surroundings.get(StorageClass, name) if name else None
    return found is not None and found.volumeBindingMode == WAIT


def size(claim: PersistentVolumeClaim) -> int:
    return quantities.to_int(claim.spec.resources.requests.get("storage", "0"))


def capacity(volume: PersistentVolume) -> int:
    return quantities.to_int(volume.spec.capacity.get("storage", "0"))


def is_for(volume: PersistentVolume, claim: PersistentVolumeClaim) -> bool:
    """Whether the volume is reserved for the claim."""
    reference, meta = volume.spec.claimRef, claim.metadata
    if reference is None or (reference.namespace, reference.name) != (meta.namespace, meta.name):
        return False
    return not reference.uid or reference.uid == meta.uid


def candidates(claim: PersistentVolumeClaim, volumes: Iterable[PersistentVolume]) -> Sequence[PersistentVolume]:
    """The volumes that could be bound to the claim, nodes apart: only the one that is reserved for it, or the smallest first."""
    wanted = size(claim)
    reserved, free = [], []
    for volume in volumes:
        spec = volume.spec
        if spec.claimRef is not None and not is_for(volume, claim):
            continue
        if capacity(volume) < wanted or volume.metadata.deletionTimestamp is not None:
            continue
        if (spec.volumeMode or "Filesystem") != (claim.spec.volumeMode or "Filesystem"):
            continue
        if (spec.volumeAttributesClassName or "") != (claim.spec.volumeAttributesClassName or ""):
            continue
        if is_for(volume, claim):
            reserved.append(volume)
        elif volume.status.phase == "Available" and _selected(claim, volume) and set(claim.spec.accessModes) <= set(spec.accessModes):
            free.append(volume)
    return reserved[:1] or sorted(free, key=capacity)


def _selected(claim: PersistentVolumeClaim, volume: PersistentVolume) -> bool:
    if class_of(volume) != class_of(claim):
        return False
    return claim.spec.selector is None or selectors.from_label_selector(claim.spec.selector).matches(volume.metadata.labels)
