"""ResourceClaimTemplates. https://kubernetes.io/docs/concepts/scheduling-eviction/dynamic-resource-allocation/#resourceclaims-templates"""
from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from kubelet_lite.api.errors import FieldError, invalid
from kubelet_lite.api.resource_v1 import ResourceClaimTemplate
from kubelet_lite.registry.kinds.ages import name_and_age
from kubelet_lite.registry.rules import KindRules
from kubelet_lite.registry.validation import devices
from kubelet_lite.registry.validation.annotations import annotation_map
from kubelet_lite.registry.validation.collected import collected
from kubelet_lite.registry.validation.go_values import go_value
from kubelet_lite.registry.validation.labels import label_map
from kubelet_lite.registry.validation.numbers import IMMUTABLE


def _default(template: ResourceClaimTemplate) -> ResourceClaimTemplate:
    spec = template.spec.spec
    return replace(template, spec=replace(template.spec, spec=replace(spec, devices=devices.default_claim(spec.devices))))


@collected
def _validate(template: ResourceClaimTemplate) -> Iterator[FieldError]:
    yield from annotation_map("spec.metadata.annotations", template.spec.metadata.annotations)
    yield from label_map("spec.metadata.labels", template.spec.metadata.labels)
    yield from devices.device_claim("spec.spec.devices", template.spec.spec.devices)


@collected
def _validate_update(new: ResourceClaimTemplate, old: ResourceClaimTemplate) -> Iterator[FieldError]:
    if new.spec != old.spec:
        yield invalid("spec", go_value(new.spec), IMMUTABLE)


RULES: Final = KindRules(
    resource="resourceclaimtemplates.resource.k8s.io", default=_default, validate=_validate, validate_update=_validate_update,
    validate_on_update="never", returns_deleted=True, row=name_and_age,
)
