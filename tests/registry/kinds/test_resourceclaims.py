"""ResourceClaims: what their status may become; selectors are compiled."""
from __future__ import annotations

from typing import Any

import msgspec
import pytest

from kubelet_lite.api.encoding import from_json
from kubelet_lite.api.resource_v1 import DeviceClass, ResourceClaim, ResourceClaimStatus, ResourceSlice
from kubelet_lite.registry.kinds import deviceclasses, resourceclaims, resourceslices

RESULT = {"request": "r", "driver": "gpu.example.com", "pool": "n1", "device": "gpu-0"}
ALLOCATION = {"devices": {"results": [RESULT]}}
POD = {"resource": "pods", "name": "p", "uid": "u"}


def a_claim(deleted: bool = False, **status: Any) -> ResourceClaim:
    meta = {"name": "c", "namespace": "default", **({"deletionTimestamp": "2026-01-01T00:00:00Z"} if deleted else {})}
    spec = {"devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": "gpu", "allocationMode": "ExactCount", "count": 1}}]}}
    return from_json(ResourceClaim, {"metadata": meta, "spec": spec, "status": status})


def errors(old: ResourceClaim, **status: Any) -> list[str]:
    new = msgspec.structs.replace(old, status=from_json(ResourceClaimStatus, status))
    return [str(error) for error in resourceclaims.RULES.validate_status_update(new, old)]


def test_a_claim_is_allocated_reserved_released_and_deallocated() -> None:
    assert errors(a_claim(), allocation=ALLOCATION, reservedFor=[POD]) == []
    assert errors(a_claim(allocation=ALLOCATION, reservedFor=[POD]), allocation=ALLOCATION) == []
    assert errors(a_claim(allocation=ALLOCATION)) == []


@pytest.mark.parametrize(("old", "status", "error"), [
    (a_claim(), {"reservedFor": [POD]}, "status.reservedFor: Forbidden: may not be specified when `allocated` is not set"),
    (a_claim(), {"allocation": ALLOCATION, "reservedFor": [POD, POD]}, 'status.reservedFor[1].uid: Duplicate value: "u"'),
    (a_claim(), {"allocation": ALLOCATION, "reservedFor": [{**POD, "uid": ""}]}, "status.reservedFor[0].uid: Required value"),
    (a_claim(), {"allocation": ALLOCATION, "reservedFor": [{**POD, "uid": str(i)} for i in range(257)]},
     "status.reservedFor: Too many: 257: must have at most 256 items"),
    (a_claim(deleted=True, allocation=ALLOCATION), {"allocation": ALLOCATION, "reservedFor": [POD]},
     "status.reservedFor: Forbidden: new entries may not be added while `deletionTimestamp` is set"),
    (a_claim(), {"allocation": {"devices": {"results": [{**RESULT, "request": "other"}]}}},
     'status.allocation.devices.results[0].request: Invalid value: "other": must be the name of a request in the claim or the name of a request '
     "and a subrequest separated by '/'"),
    (a_claim(), {"allocation": {"devices": {"results": [{**RESULT, "pool": ""}]}}}, "status.allocation.devices.results[0].pool: Required value"),
    (a_claim(), {"devices": [{"driver": "d", "pool": "p", "device": "x"}]},
     'status.devices[0]: Invalid value: "d/p/x": must be an allocated device in the claim'),
])
def test_what_a_status_must_not_say(old: ResourceClaim, status: dict[str, Any], error: str) -> None:
    assert errors(old, **status) == [error]


def test_an_allocation_is_never_another() -> None:
    found, = errors(a_claim(allocation=ALLOCATION), allocation={"devices": {"results": [{**RESULT, "device": "gpu-1"}]}})
    assert found.startswith("status.allocation: Invalid value: ")
    assert found.endswith(": field is immutable")


def test_what_a_driver_said_of_a_device_goes_with_the_device() -> None:
    said = {"driver": "gpu.example.com", "pool": "n1", "device": "gpu-0"}
    old = a_claim(allocation=ALLOCATION, devices=[said])
    kept = resourceclaims.RULES.prepare_status_update(old, old)
    assert len(kept.status.devices) == 1
    freed = resourceclaims.RULES.prepare_status_update(a_claim(devices=[said]), old)
    assert freed.status.devices == ()


def test_a_selector_that_does_not_compile_is_refused_in_the_words_of_cel() -> None:
    wrong = from_json(DeviceClass, {"metadata": {"name": "gpu"}, "spec": {"selectors": [{"cel": {"expression": "device.drivers == 'x'"}}]}})
    error, = deviceclasses.RULES.validate(wrong)
    words = "spec.selectors[0].cel.expression: Invalid value: \"device.drivers == 'x'\": compilation failed: ERROR: <input>:1:7: "
    assert str(error).startswith(words)
    long = from_json(DeviceClass, {"metadata": {"name": "gpu"}, "spec": {"selectors": [{"cel": {"expression": "true ||" * 2000 + "true"}}]}})
    error, = deviceclasses.RULES.validate(long)
    assert "Too long" in str(error)


def test_fields_of_features_that_are_off_by_default_are_dropped() -> None:
    def a_slice(**device: Any) -> ResourceSlice:
        return from_json(ResourceSlice, {"metadata": {"name": "s"}, "spec": {
            "driver": "d.io", "allNodes": True, "pool": {"name": "p", "generation": 1, "resourceSliceCount": 1}, "devices": [{"name": "x", **device}],
        }})

    plain = a_slice(attributes={"a": {"string": "b"}})
    assert resourceslices.RULES.prepare_create(plain) is plain
    several = resourceslices.RULES.prepare_create(a_slice(attributes={"a": {"strings": ["b", "c"]}}, nodeAllocatableResourceMappings={"cpu": {}}))
    assert not several.spec.devices[0].nodeAllocatableResourceMappings
    error, = resourceslices.RULES.validate(several)
    assert str(error) == 'spec.devices[0].attributes[a]: Invalid value: "": exactly one value must be specified'
