"""ResourceClaims. https://kubernetes.io/docs/concepts/scheduling-eviction/dynamic-resource-allocation/#resourceclaims-templates"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from msgspec.structs import replace

from kubelet_lite.api.claim_rules import MOST_CONSUMERS
from kubelet_lite.api.errors import FieldError, duplicate, forbidden, invalid, required, too_many
from kubelet_lite.api.resource_v1 import AllocatedDeviceStatus, AllocationResult, ResourceClaim
from kubelet_lite.registry.kinds.ages import age
from kubelet_lite.registry.rules import ALL_OF_METADATA, KindRules
from kubelet_lite.registry.validation import devices
from kubelet_lite.registry.validation.collected import collected
from kubelet_lite.registry.validation.go_values import go_value
from kubelet_lite.registry.validation.named import dns_label
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


def _prepare_status_update(new: ResourceClaim, old: ResourceClaim) -> ResourceClaim:
    """What drivers said of devices goes with the devices."""
    allocation = new.status.allocation
    held = {(r.driver, r.pool, r.device, r.shareID) for r in allocation.devices.results} if allocation is not None else set()
    before = {_device(device) for device in old.status.devices}
    devices = tuple(device for device in new.status.devices if _device(device) in held or _device(device) not in before)
    return replace(new, status=replace(new.status, devices=devices)) if devices != new.status.devices else new


def _device(status: AllocatedDeviceStatus) -> tuple[str, str, str, str | None]:
    return status.driver, status.pool, status.device, status.shareID


@collected
def _validate_status_update(new: ResourceClaim, old: ResourceClaim) -> Iterator[FieldError]:
    status, before = new.status, old.status
    if len(status.reservedFor) > MOST_CONSUMERS:
        yield too_many("status.reservedFor", len(status.reservedFor), MOST_CONSUMERS)
    for i, reference in enumerate(status.reservedFor):
        at = f"status.reservedFor[{i}]"
        for field in ("resource", "name", "uid"):
            if not getattr(reference, field):
                yield required(f"{at}.{field}")
        if any(other.uid == reference.uid for other in status.reservedFor[:i]):
            yield duplicate(f"{at}.uid", reference.uid)
    if status.reservedFor and status.allocation is None:
        yield forbidden("status.reservedFor", "may not be specified when `allocated` is not set")
    elif new.metadata.deletionTimestamp is not None and {r.uid for r in status.reservedFor} - {r.uid for r in before.reservedFor}:
        yield forbidden("status.reservedFor", "new entries may not be added while `deletionTimestamp` is set")
    if status.allocation is not None and status.allocation != before.allocation:
        if before.allocation is not None:
            yield invalid("status.allocation", go_value(status.allocation), IMMUTABLE)
        else:
            yield from _allocation("status.allocation", status.allocation, new)
    yield from _devices("status.devices", new)


def _allocation(path: str, allocation: AllocationResult, claim: ResourceClaim) -> Iterator[FieldError]:
    known = devices.request_names(claim.spec.devices)
    results = allocation.devices.results
    if len(results) > devices.MAX_RESULTS:
        yield too_many(f"{path}.devices.results", len(results), devices.MAX_RESULTS)
    for i, result in enumerate(results):
        at = f"{path}.devices.results[{i}]"
        if result.request not in known:
            yield invalid(f"{at}.request", result.request, devices.NO_SUCH_REQUEST)
        yield from devices.driver_name(f"{at}.driver", result.driver)
        yield from devices.pool_name(f"{at}.pool", result.pool)
        yield from dns_label(f"{at}.device", result.device)
    for i, config in enumerate(allocation.devices.config):
        at = f"{path}.devices.config[{i}]"
        if config.source not in devices.SOURCES:
            yield devices.unknown_source(f"{at}.source", config.source)
        yield from devices.opaque(at, config.opaque)


def _devices(path: str, claim: ResourceClaim) -> Iterator[FieldError]:
    allocation = claim.status.allocation
    held = {(r.driver, r.pool, r.device, r.shareID) for r in allocation.devices.results} if allocation is not None else set()
    for i, status in enumerate(claim.status.devices):
        at, device = f"{path}[{i}]", _device(status)
        text = "/".join(part for part in device if part is not None)
        if any(_device(other) == device for other in claim.status.devices[:i]):
            yield duplicate(at, text)
        if device not in held:
            yield invalid(at, text, "must be an allocated device in the claim")


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
    prepare_status_update=_prepare_status_update, validate_status_update=_validate_status_update, validate_on_update="never", returns_deleted=True,
    row=_row,
)
