"""ResourceSlices: which devices there are. https://kubernetes.io/docs/concepts/scheduling-eviction/dynamic-resource-allocation/#resourceslice"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from msgspec.structs import replace

from kubelet_lite.api.errors import FieldError, duplicate, invalid, required, too_long, too_many
from kubelet_lite.api.resource_v1 import Device, DeviceAttribute, ResourcePool, ResourceSlice
from kubelet_lite.registry.kinds.ages import age
from kubelet_lite.registry.kinds.pods.scheduling import validate_node_selector
from kubelet_lite.registry.rules import KindRules, Selectable
from kubelet_lite.registry.validation import devices
from kubelet_lite.registry.validation.collected import collected
from kubelet_lite.registry.validation.named import dns_label, dns_subdomain
from kubelet_lite.registry.validation.numbers import IMMUTABLE, nonnegative

MAX_DEVICES: Final = 128
MAX_PROPERTIES: Final = 32
LONGEST_VALUE: Final = 64
_PLACES: Final = "`nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection`"


def _without_disabled(found: ResourceSlice) -> ResourceSlice:
    """Without what belongs to features that are off by default: attributes that are lists, and mappings to resources of the node."""
    if not any(_disabled(device) for device in found.spec.devices):
        return found
    devices = tuple(
        replace(device, nodeAllocatableResourceMappings={}, attributes={
            name: replace(value, ints=(), bools=(), strings=(), versions=()) for name, value in device.attributes.items()
        })
        for device in found.spec.devices
    )
    return replace(found, spec=replace(found.spec, devices=devices))


def _disabled(device: Device) -> bool:
    return bool(device.nodeAllocatableResourceMappings) or any(a.ints or a.bools or a.strings or a.versions for a in device.attributes.values())


@collected
def _validate(found: ResourceSlice) -> Iterator[FieldError]:
    spec = found.spec
    yield from devices.driver_name("spec.driver", spec.driver)
    yield from _pool("spec.pool", spec.pool)
    yield from _place(found)
    if len(spec.devices) > MAX_DEVICES:
        yield too_many("spec.devices", len(spec.devices), MAX_DEVICES)
    for i, device in enumerate(spec.devices):
        yield from _device(f"spec.devices[{i}]", device)
        if any(other.name == device.name for other in spec.devices[:i]):
            yield duplicate(f"spec.devices[{i}]", device.name)


def _pool(path: str, pool: ResourcePool) -> Iterator[FieldError]:
    yield from devices.pool_name(f"{path}.name", pool.name)
    if pool.resourceSliceCount <= 0:
        yield invalid(f"{path}.resourceSliceCount", pool.resourceSliceCount, "must be greater than zero")
    yield from nonnegative(f"{path}.generation", pool.generation)


def _place(found: ResourceSlice) -> Iterator[FieldError]:
    spec = found.spec
    places = []
    if spec.nodeName is not None:
        if not spec.nodeName:
            yield invalid("spec.nodeName", "", "must be either unset or set to a non-empty string")
        else:
            places.append("`nodeName`")
            yield from dns_subdomain("spec.nodeName", spec.nodeName)
    if spec.nodeSelector is not None:
        places.append("`nodeSelector`")
        yield from validate_node_selector("spec.nodeSelector", spec.nodeSelector)
        if len(spec.nodeSelector.nodeSelectorTerms) != 1:
            yield invalid("spec.nodeSelector.nodeSelectorTerms", len(spec.nodeSelector.nodeSelectorTerms), "must have exactly one node selector term")
    for field in ("allNodes", "perDeviceNodeSelection"):
        value = getattr(spec, field)
        if value:
            places.append(f"`{field}`")
        elif value is False:
            yield invalid(f"spec.{field}", False, "must be either unset or set to true")
    if not places:
        yield required("spec", f"exactly one of {_PLACES} is required")
    elif len(places) > 1:
        yield invalid("spec", f"{{{', '.join(places)}}}", f"exactly one of {_PLACES} is required, but multiple fields are set")


def _device(path: str, device: Device) -> Iterator[FieldError]:
    yield from dns_label(f"{path}.name", device.name)
    if len(device.attributes) + len(device.capacity) > MAX_PROPERTIES:
        yield invalid(path, len(device.attributes) + len(device.capacity), f"the total number of attributes and capacities must not exceed {MAX_PROPERTIES}")
    for name in sorted(device.attributes):
        yield from devices.attribute_name(f"{path}.attributes", name)
        yield from _attribute(f"{path}.attributes[{name}]", device.attributes[name])
    for name in sorted(device.capacity):
        yield from devices.attribute_name(f"{path}.capacity", name)


def _attribute(path: str, attribute: DeviceAttribute) -> Iterator[FieldError]:
    values = attribute.int_, attribute.bool_, attribute.string, attribute.version
    found = sum(value is not None for value in values)
    if attribute.string is not None and len(attribute.string) > LONGEST_VALUE:
        yield too_long(f"{path}.string", LONGEST_VALUE)
    if attribute.version is not None:
        if devices.VERSION.fullmatch(attribute.version) is None:
            yield invalid(f"{path}.version", attribute.version, "must be a string compatible with semver.org spec 2.0.0")
        if len(attribute.version) > LONGEST_VALUE:
            yield too_long(f"{path}.version", LONGEST_VALUE)
    if found != 1:
        yield invalid(path, "", "exactly one value must be specified")


@collected
def _validate_update(new: ResourceSlice, old: ResourceSlice) -> Iterator[FieldError]:
    for path, now, was in (
        ("spec.driver", new.spec.driver, old.spec.driver), ("spec.pool.name", new.spec.pool.name, old.spec.pool.name),
    ):
        if now != was:
            yield invalid(path, now, IMMUTABLE)
    if new.spec.nodeName != old.spec.nodeName:
        yield invalid("spec.nodeName", new.spec.nodeName, IMMUTABLE)


@collected
def _validate_whole_update(new: ResourceSlice, old: ResourceSlice) -> Iterator[FieldError]:
    """Kubernetes names a changed node before it looks at the rest, the other changes after it."""
    changes = list(_validate_update(new, old))
    first = [error for error in changes if error.field == "spec.nodeName"]
    yield from first
    yield from _validate(new)
    yield from [error for error in changes if error not in first]


def _row(found: ResourceSlice, now: float) -> Sequence[Any]:
    return found.metadata.name, found.spec.nodeName or "", found.spec.driver, found.spec.pool.name, age(found, now)


RULES: Final = KindRules(
    resource="resourceslices.resource.k8s.io", prepare_create=_without_disabled, prepare_update=lambda new, old: _without_disabled(new),
    validate=_validate, validate_update=_validate_whole_update, validate_on_update="never", generation=True, returns_deleted=True,
    selectable=(Selectable("spec.nodeName", lambda found: found.spec.nodeName or ""), Selectable("spec.driver", lambda found: found.spec.driver)),
    row=_row,
)
