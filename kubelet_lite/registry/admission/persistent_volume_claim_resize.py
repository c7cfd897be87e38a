"""PersistentVolumeClaimResize: a claim grows only where its class allows it.

https://kubernetes.io/docs/concepts/storage/persistent-volumes/#expanding-persistent-volumes-claims
"""
from __future__ import annotations

from typing import Final

from kubelet_lite.api import quantities
from kubelet_lite.api.core_v1 import PersistentVolumeClaim
from kubelet_lite.registry.admission.default_classes import CLAIM_ANNOTATION, STORAGE_CLASSES
from kubelet_lite.registry.admission.plugin import Plugin, Review, World, on


def _validate(new: PersistentVolumeClaim, review: Review, world: World) -> None:
    old: PersistentVolumeClaim = review.old
    before, after = (claim.spec.resources.requests.get("storage", "0") for claim in (old, new))
    if quantities.parse(after) <= quantities.parse(before):
        return
    if old.status.phase != "Bound":
        raise review.forbidden("Only bound persistent volume claims can be expanded", new)
    name = new.metadata.annotations.get(CLAIM_ANNOTATION) or new.spec.storageClassName
    storage_class = world.view.get(STORAGE_CLASSES, "", name) if name else None
    if storage_class is None or not storage_class.allowVolumeExpansion:
        raise review.forbidden(
            "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize", new,
        )


PLUGIN: Final = Plugin(name="PersistentVolumeClaimResize", handles=on("persistentvolumeclaims", "UPDATE"), validate=_validate)
