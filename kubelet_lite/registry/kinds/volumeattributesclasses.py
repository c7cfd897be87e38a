"""VolumeAttributesClasses. https://kubernetes.io/docs/concepts/storage/volume-attributes-classes/"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from kubelet_lite.api.errors import FieldError, invalid, required
from kubelet_lite.api.storage_v1 import VolumeAttributesClass
from kubelet_lite.registry.kinds.ages import age
from kubelet_lite.registry.kinds.storageclasses import parameters, provisioner
from kubelet_lite.registry.rules import KindRules
from kubelet_lite.registry.validation.collected import collected
from kubelet_lite.registry.validation.numbers import IMMUTABLE


@collected
def _validate(found: VolumeAttributesClass) -> Iterator[FieldError]:
    yield from provisioner("driverName", found.driverName)
    if not found.parameters:
        yield required("parameters", "must contain at least one key/value pair")
    yield from parameters("parameters", found.parameters)


@collected
def _validate_update(new: VolumeAttributesClass, old: VolumeAttributesClass) -> Iterator[FieldError]:
    if new.driverName != old.driverName:
        yield invalid("driverName", new.driverName, IMMUTABLE)
    if new.parameters != old.parameters:
        yield invalid("parameters", new.parameters, IMMUTABLE)


def _row(found: VolumeAttributesClass, now: float) -> Sequence[Any]:
    return found.metadata.name, found.driverName, age(found, now)


RULES: Final = KindRules(
    resource="volumeattributesclasses.storage.k8s.io", validate=_validate, validate_update=_validate_update, returns_deleted=True, row=_row,
)
