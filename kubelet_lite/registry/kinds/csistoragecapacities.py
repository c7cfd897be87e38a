"""CSIStorageCapacities. https://kubernetes.io/docs/concepts/storage/storage-capacity/"""
from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kubelet_lite.api.errors import FieldError, invalid
from kubelet_lite.api.storage_v1 import CSIStorageCapacity
from kubelet_lite.registry.kinds.ages import name_and_creation
from kubelet_lite.registry.rules import KindRules
from kubelet_lite.registry.validation.collected import collected
from kubelet_lite.registry.validation.go_values import wire_value
from kubelet_lite.registry.validation.labels import label_selector
from kubelet_lite.registry.validation.named import dns_subdomain
from kubelet_lite.registry.validation.numbers import IMMUTABLE
from kubelet_lite.registry.validation.resource_lists import nonnegative_quantity


@collected
def _validate(found: CSIStorageCapacity) -> Iterator[FieldError]:
    yield from label_selector("nodeTopology", found.nodeTopology)
    yield from dns_subdomain("storageClassName", found.storageClassName)
    if found.capacity is not None:
        yield from nonnegative_quantity("capacity", found.capacity)
        if found.maximumVolumeSize is not None:  # Kubernetes looks at the capacity again, not at the size
            yield from nonnegative_quantity("maximumVolumeSize", found.capacity)


@collected
def _validate_update(new: CSIStorageCapacity, old: CSIStorageCapacity) -> Iterator[FieldError]:
    if new.nodeTopology != old.nodeTopology:
        yield invalid("nodeTopology", wire_value(new.nodeTopology), IMMUTABLE)
    if new.storageClassName != old.storageClassName:
        yield invalid("storageClassName", new.storageClassName, IMMUTABLE)


RULES: Final = KindRules(
    resource="csistoragecapacities.storage.k8s.io", validate=_validate, validate_update=_validate_update, row=name_and_creation,
)
