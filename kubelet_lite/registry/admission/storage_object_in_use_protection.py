"""StorageObjectInUseProtection: volumes and claims get a finalizer, so that none goes while it is used.

https://kubernetes.io/docs/concepts/storage/persistent-volumes/#storage-object-in-use-protection
"""
from __future__ import annotations

from typing import Any, Final

from msgspec.structs import replace

from kubelet_lite.registry.admission.plugin import Plugin, Review, World, on

FINALIZERS: Final = {
    "persistentvolumeclaims": "kubernetes.io/pvc-protection",
    "persistentvolumes": "kubernetes.io/pv-protection",
    "volumeattributesclasses.storage.k8s.io": "kubernetes.io/vac-protection",
}


def _mutate(new: Any, review: Review, world: World) -> Any:
    finalizer = FINALIZERS[review.resource.qualified]
    present = new.metadata.finalizers
    if finalizer in present:
        return new
    return replace(new, metadata=replace(new.metadata, finalizers=(*present, finalizer)))


PLUGIN: Final = Plugin(name="StorageObjectInUseProtection", handles=on(tuple(FINALIZERS), "CREATE"), mutate=_mutate)
