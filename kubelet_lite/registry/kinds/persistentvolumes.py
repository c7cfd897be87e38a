"""PersistentVolumes. https://kubernetes.io/docs/concepts/storage/persistent-volumes/"""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec.structs import replace

from kubelet_lite.api.core_v1 import PersistentVolume, PersistentVolumeSpec, PersistentVolumeStatus, VolumeNodeAffinity
from kubelet_lite.api.errors import FieldError, forbidden, invalid
from kubelet_lite.registry.kinds.ages import age
from kubelet_lite.registry.rules import KindRules
from kubelet_lite.registry.validation.collected import collected
from kubelet_lite.registry.validation.go_diff import with_diff
from kubelet_lite.registry.validation.go_values import go_value
from kubelet_lite.registry.validation.numbers import IMMUTABLE
from kubelet_lite.registry.validation.volume_specs import SOURCES, volume_spec

CLASS_ANNOTATION: Final = "volume.beta.kubernetes.io/storage-class"
UNSET: Final = "<unset>"
_SUCCESSORS: Final = {
    "failure-domain.beta.kubernetes.io/zone": "topology.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region": "topology.kubernetes.io/region",
    "beta.kubernetes.io/instance-type": "node.kubernetes.io/instance-type",
    "beta.kubernetes.io/os": "kubernetes.io/os", "beta.kubernetes.io/arch": "kubernetes.io/arch",
}
_MODES: Final = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}


def _default(volume: PersistentVolume) -> PersistentVolume:
    spec = volume.spec
    if not volume.status.phase:
        volume = replace(volume, status=replace(volume.status, phase="Pending"))
    if spec.persistentVolumeReclaimPolicy and spec.volumeMode is not None and (spec.hostPath is None or spec.hostPath.type is not None):
        return volume
    host_path = spec.hostPath
    if host_path is not None and host_path.type is None:
        host_path = replace(host_path, type="")
    return replace(volume, spec=replace(
        spec, persistentVolumeReclaimPolicy=spec.persistentVolumeReclaimPolicy or "Retain",
        volumeMode="Filesystem" if spec.volumeMode is None else spec.volumeMode, hostPath=host_path,
    ))


def _prepare_create(volume: PersistentVolume) -> PersistentVolume:
    return replace(volume, status=PersistentVolumeStatus(phase="Pending", lastPhaseTransitionTime=volume.metadata.creationTimestamp))


@collected
def _validate(volume: PersistentVolume) -> Iterator[FieldError]:
    yield from volume_spec("spec", volume.spec)


@collected
def _validate_update(new: PersistentVolume, old: PersistentVolume) -> Iterator[FieldError]:
    yield from volume_spec("spec", new.spec)
    if not _same_source(new.spec, old.spec):
        why = with_diff("spec.persistentvolumesource is immutable after creation", _sources(old.spec), _sources(new.spec))
        yield forbidden("spec.persistentvolumesource", why)
    if new.spec.volumeMode != old.spec.volumeMode:
        yield invalid("volumeMode", new.spec.volumeMode, IMMUTABLE)
    if old.spec.nodeAffinity is not None and not _same_affinity(new.spec.nodeAffinity, old.spec.nodeAffinity):
        yield invalid("nodeAffinity", go_value(new.spec.nodeAffinity), f"{IMMUTABLE}, except for updating from beta label to GA")
    now, was = new.spec.volumeAttributesClassName, old.spec.volumeAttributesClassName
    if was is not None and now is None:
        yield forbidden("spec.volumeAttributesClassName", "update from non-nil value to nil is forbidden")


def _same_source(new: PersistentVolumeSpec, old: PersistentVolumeSpec) -> bool:
    if new.csi is not None and old.csi is not None and old.csi.controllerExpandSecretRef is None:
        new = replace(new, csi=replace(new.csi, controllerExpandSecretRef=None))
    return all(getattr(new, kind) == getattr(old, kind) for kind in SOURCES)


def _same_affinity(new: VolumeNodeAffinity | None, old: VolumeNodeAffinity) -> bool:
    """Keys may change from a beta label to its successor (and, as in Kubernetes, to nothing at all: validation refuses that)."""
    if new is None or new.required is None or old.required is None:
        return new == old
    now, was = new.required.nodeSelectorTerms, old.required.nodeSelectorTerms
    if len(now) != len(was):
        return False
    for term, before in zip(now, was, strict=True):
        if term.matchFields != before.matchFields or len(term.matchExpressions) != len(before.matchExpressions):
            return False
        for one, other in zip(term.matchExpressions, before.matchExpressions, strict=True):
            if one.key not in (other.key, _SUCCESSORS.get(other.key, "")) or replace(one, key="") != replace(other, key=""):
                return False
    return True


def _sources(spec: PersistentVolumeSpec) -> Mapping[str, Any]:
    return {kind[0].upper() + kind[1:]: go_value(getattr(spec, kind)) for kind in SOURCES}


def access_modes_text(modes: Sequence[str]) -> str:
    return ",".join(short for mode, short in _MODES.items() if mode in modes)


def _row(volume: PersistentVolume, now: float) -> Sequence[Any]:
    spec, claim = volume.spec, volume.spec.claimRef
    phase = "Terminating" if volume.metadata.deletionTimestamp is not None else volume.status.phase
    return (
        volume.metadata.name, spec.capacity.get("storage", "0"), access_modes_text(spec.accessModes), spec.persistentVolumeReclaimPolicy, phase,
        f"{claim.namespace}/{claim.name}" if claim is not None else "",
        volume.metadata.annotations.get(CLASS_ANNOTATION, spec.storageClassName), spec.volumeAttributesClassName or UNSET, volume.status.reason,
        age(volume, now), spec.volumeMode or UNSET,
    )


RULES: Final = KindRules(
    resource="persistentvolumes", default=_default, prepare_create=_prepare_create, validate=_validate, validate_update=_validate_update,
    row=_row,
)
