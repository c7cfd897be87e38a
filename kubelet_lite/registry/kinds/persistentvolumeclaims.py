"""PersistentVolumeClaims. https://kubernetes.io/docs/concepts/storage/persistent-volumes/#persistentvolumeclaims"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from msgspec.structs import replace

from kubelet_lite.api.core_v1 import (
    PersistentVolumeClaim,
    PersistentVolumeClaimSpec,
    PersistentVolumeClaimStatus,
    TypedLocalObjectReference,
    TypedObjectReference,
)
from kubelet_lite.api.errors import FieldError, forbidden, invalid
from kubelet_lite.api.quantities import read
from kubelet_lite.registry.kinds.ages import age
from kubelet_lite.registry.kinds.persistentvolumes import CLASS_ANNOTATION, UNSET, access_modes_text
from kubelet_lite.registry.rules import KindRules
from kubelet_lite.registry.validation.claim_specs import claim_spec, default_claim_spec
from kubelet_lite.registry.validation.collected import collected
from kubelet_lite.registry.validation.go_diff import with_diff
from kubelet_lite.registry.validation.numbers import IMMUTABLE

_IMMUTABLE_SPEC: Final = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"


def _default(claim: PersistentVolumeClaim) -> PersistentVolumeClaim:
    if not claim.status.phase:
        claim = replace(claim, status=replace(claim.status, phase="Pending"))
    spec = default_claim_spec(claim.spec)
    return claim if spec is claim.spec else replace(claim, spec=spec)


def _prepare_create(claim: PersistentVolumeClaim) -> PersistentVolumeClaim:
    spec = _same_sources(_without_odd_source(_without_namespace(claim.spec)))
    return replace(claim, spec=spec, status=PersistentVolumeClaimStatus(phase="Pending"))


def _prepare_update(new: PersistentVolumeClaim, old: PersistentVolumeClaim) -> PersistentVolumeClaim:
    spec = new.spec
    if old.spec.dataSource is None and old.spec.dataSourceRef is None:
        spec = _without_odd_source(_without_namespace(spec))
    return replace(new, spec=_same_sources(spec))


def _without_namespace(spec: PersistentVolumeClaimSpec) -> PersistentVolumeClaimSpec:
    """Sources in other namespaces are not on by default."""
    if spec.dataSourceRef is None or spec.dataSourceRef.namespace is None:
        return spec
    return replace(spec, dataSourceRef=replace(spec.dataSourceRef, namespace=None))


def _without_odd_source(spec: PersistentVolumeClaimSpec) -> PersistentVolumeClaimSpec:
    """The older field takes claims and snapshots alone: anything else is dropped without a word."""
    source = spec.dataSource
    if source is None or (source.apiGroup or "", source.kind) in (("", "PersistentVolumeClaim"), ("snapshot.storage.k8s.io", "VolumeSnapshot")):
        return spec
    return replace(spec, dataSource=None)


def _same_sources(spec: PersistentVolumeClaimSpec) -> PersistentVolumeClaimSpec:
    """Whichever of the two fields is set sets the other."""
    source, reference = spec.dataSource, spec.dataSourceRef
    if source is not None and reference is None:
        return replace(spec, dataSourceRef=TypedObjectReference(apiGroup=source.apiGroup, kind=source.kind, name=source.name))
    if reference is not None and source is None and not reference.namespace:
        return replace(spec, dataSource=TypedLocalObjectReference(apiGroup=reference.apiGroup, kind=reference.kind, name=reference.name))
    return spec


@collected
def _validate(claim: PersistentVolumeClaim) -> Iterator[FieldError]:
    yield from claim_spec("spec", claim.spec)


@collected
def _validate_update(new: PersistentVolumeClaim, old: PersistentVolumeClaim) -> Iterator[FieldError]:
    wanted_spec, kept = _comparable(new, old), replace(old.spec, volumeName=old.spec.volumeName or new.spec.volumeName)
    if wanted_spec != kept:
        yield forbidden("spec", with_diff(_IMMUTABLE_SPEC, kept, wanted_spec))
    now, was = _size(new.spec.resources.requests.get("storage")), _size(old.spec.resources.requests.get("storage"))
    if now < was and now <= _size(old.status.capacity.get("storage")):
        yield forbidden("spec.resources.requests.storage", "field can not be less than status.capacity")
    if new.spec.volumeMode != old.spec.volumeMode:
        yield invalid("volumeMode", new.spec.volumeMode, IMMUTABLE)
    wanted, present = new.spec.volumeAttributesClassName, old.spec.volumeAttributesClassName
    if present is not None and wanted is None:
        yield forbidden("spec.volumeAttributesClassName", "update from non-nil value to nil is forbidden")
    elif present and wanted == "":
        yield forbidden("spec.volumeAttributesClassName", "update from non-nil value to an empty string is forbidden")


def _comparable(new: PersistentVolumeClaim, old: PersistentVolumeClaim) -> PersistentVolumeClaimSpec:
    """The new spec with the old values of what may change."""
    spec = replace(new.spec, volumeAttributesClassName=old.spec.volumeAttributesClassName)
    if old.spec.storageClassName is None and spec.storageClassName is not None and CLASS_ANNOTATION not in old.metadata.annotations:
        spec = replace(spec, storageClassName=None)
    requests = spec.resources.requests
    if new.status.phase == "Bound" and requests and "storage" in old.spec.resources.requests:
        requests = {**requests, "storage": old.spec.resources.requests["storage"]}
        spec = replace(spec, resources=replace(spec.resources, requests=requests))
    return spec


def _size(quantity: str | None) -> int:
    return 0 if quantity is None else read(quantity).nanos


def _row(claim: PersistentVolumeClaim, now: float) -> Sequence[Any]:
    spec, bound = claim.spec, bool(claim.spec.volumeName)
    return (
        claim.metadata.name, "Terminating" if claim.metadata.deletionTimestamp is not None else claim.status.phase, spec.volumeName,
        claim.status.capacity.get("storage", "0") if bound else "", access_modes_text(claim.status.accessModes) if bound else "",
        claim.metadata.annotations.get(CLASS_ANNOTATION, spec.storageClassName or ""), spec.volumeAttributesClassName or UNSET, age(claim, now),
        spec.volumeMode or UNSET,
    )


RULES: Final = KindRules(
    resource="persistentvolumeclaims", default=_default, prepare_create=_prepare_create, prepare_update=_prepare_update, validate=_validate,
    validate_update=_validate_update, returns_deleted=True, row=_row,
)
