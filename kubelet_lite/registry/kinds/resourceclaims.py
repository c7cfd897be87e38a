"""ResourceClaims. https://kubernetes.io/docs/concepts/scheduling-eviction/dynamic-resource-allocation/#resourceclaims-templates"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from msgspec.structs import replace

from kubelet_lite.api.errors import FieldError, invalid
from kubelet_lite.api.resource_v1 import ResourceClaim
from kubelet_lite.registry.kinds.ages import age
from kubelet_lite.registry.rules import ALL_OF_METADATA, KindRules
from kubelet_lite.registry.validation import devices
from kubelet_lite.registry.validation.collected import collected
from kubelet_lite.registry.validation.go_values import go_value
from kubelet_lite.registry.validation.numbers import IMMUTABLE


def _default(claim: ResourceClaim) -> ResourceClaim:
    return replace(claim, spec=replace(claim.spec, devices=devices.default_claim(claim.spec.devices)))


@collected
def _validate(claim: ResourceClaim) -> Iterator[FieldError]:
    yield from devices.device_claim("spec.devices", claim.spec.devices)


@collected
def _validate_update(new: ResourceClaim, old: ResourceClaim) -> Iterator[FieldError]:
    if new.spec != old.spec:
        yield invalid("spec", go_value(new.spec), IMMUTABLE)


def _row(claim: ResourceClaim, now: float) -> Sequence[Any]:
    states = []
    if claim.metadata.deletionTimestamp is not None:
        states.append("deleted")
    if claim.status.allocation is None:
        states.append("pending" if not states else "")
    else:
        states.append("allocated")
        if claim.status.reservedFor:
            states.append("reserved")
    return claim.metadata.name, ",".join(state for state in states if state), age(claim, now)


RULES: Final = KindRules(
    resource="resourceclaims.resource.k8s.io", default=_default, status_update_keeps=ALL_OF_METADATA, validate=_validate, validate_update=_validate_update,
    validate_on_update="never", row=_row,
)
