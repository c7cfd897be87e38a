"""DefaultStorageClass and DefaultIngressClass: a claim or ingress that names no class gets the one marked as default.

https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#defaultstorageclass
"""
from __future__ import annotations

from typing import Any, Final

from msgspec.structs import replace

from kubelet_lite.api.core_v1 import PersistentVolumeClaim
from kubelet_lite.api.networking_v1 import Ingress
from kubelet_lite.registry.admission.plugin import Plugin, Review, World, on

STORAGE_CLASSES: Final = "storageclasses.storage.k8s.io"
INGRESS_CLASSES: Final = "ingressclasses.networking.k8s.io"
_STORAGE_DEFAULT: Final = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")
_INGRESS_DEFAULT: Final = ("ingressclass.kubernetes.io/is-default-class",)
CLAIM_ANNOTATION: Final = "volume.beta.kubernetes.io/storage-class"
INGRESS_ANNOTATION: Final = "kubernetes.io/ingress.class"


def _default(resource: str, annotations: tuple[str, ...], world: World) -> str:
    """The newest of those marked; of equally old ones the first by name."""
    marked = [c for c in world.view.list(resource) if any(c.metadata.annotations.get(name) == "true" for name in annotations)]
    newest: Any = None
    for one in marked:
        if newest is None or (one.metadata.creationTimestamp or "") > (newest.metadata.creationTimestamp or ""):
            newest = one
    return newest.metadata.name if newest is not None else ""


def _claim(new: PersistentVolumeClaim, review: Review, world: World) -> PersistentVolumeClaim:
    if new.spec.storageClassName is not None or CLAIM_ANNOTATION in new.metadata.annotations:
        return new
    name = _default(STORAGE_CLASSES, _STORAGE_DEFAULT, world)
    return replace(new, spec=replace(new.spec, storageClassName=name)) if name else new


def _ingress(new: Ingress, review: Review, world: World) -> Ingress:
    if new.spec.ingressClassName is not None or INGRESS_ANNOTATION in new.metadata.annotations:
        return new
    name = _default(INGRESS_CLASSES, _INGRESS_DEFAULT, world)
    return replace(new, spec=replace(new.spec, ingressClassName=name)) if name else new


STORAGE: Final = Plugin(name="DefaultStorageClass", handles=on("persistentvolumeclaims", "CREATE"), mutate=_claim)
INGRESS: Final = Plugin(name="DefaultIngressClass", handles=on("ingresses.networking.k8s.io", "CREATE"), mutate=_ingress)
