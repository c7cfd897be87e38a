"""DeviceClasses. https://kubernetes.io/docs/concepts/scheduling-eviction/dynamic-resource-allocation/#deviceclass"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from kubelet_lite.api import names
from kubelet_lite.api.errors import FieldError, too_many
from kubelet_lite.api.resource_v1 import DeviceClass
from kubelet_lite.registry.kinds.ages import name_and_age
from kubelet_lite.registry.rules import KindRules
from kubelet_lite.registry.validation import devices
from kubelet_lite.registry.validation.collected import collected


@collected
def _validate(found: DeviceClass) -> Iterator[FieldError]:
    yield from devices.selectors("spec.selectors", found.spec.selectors)
    if len(found.spec.config) > devices.MAX_CONFIGS:
        yield too_many("spec.config", len(found.spec.config), devices.MAX_CONFIGS)
    for i, config in enumerate(found.spec.config):
        yield from devices.opaque(f"spec.config[{i}]", config.opaque)


def _name(value: str) -> Sequence[str]:
    return names.dns1123_subdomain(value, unit="bytes")


RULES: Final = KindRules(
    resource="deviceclasses.resource.k8s.io", validate=_validate, name_errors=names.masked_prefix(_name), generation=True, returns_deleted=True,
    row=name_and_age,
)
