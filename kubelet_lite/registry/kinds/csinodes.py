"""CSINodes: which storage drivers a node has. https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/csi-node-v1/"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from msgspec.structs import replace

from kubelet_lite.api import names
from kubelet_lite.api.errors import FieldError, duplicate, invalid, required
from kubelet_lite.api.storage_v1 import CSINode, CSINodeDriver
from kubelet_lite.registry.kinds.ages import age
from kubelet_lite.registry.kinds.pods.volumes import validate_csi_driver_name
from kubelet_lite.registry.rules import KindRules
from kubelet_lite.registry.validation.collected import collected
from kubelet_lite.registry.validation.go_values import go_value
from kubelet_lite.registry.validation.numbers import IMMUTABLE, nonnegative

LONGEST_NODE_ID: Final = 256


@collected
def _validate(node: CSINode) -> Iterator[FieldError]:
    seen: list[str] = []
    for i, driver in enumerate(node.spec.drivers):
        yield from _driver(f"spec.drivers[{i}]", driver, seen)


def _driver(path: str, driver: CSINodeDriver, seen: list[str]) -> Iterator[FieldError]:
    yield from validate_csi_driver_name(f"{path}.name", driver.name)
    if not driver.nodeID:
        yield required(f"{path}.nodeID")
    elif len(driver.nodeID) > LONGEST_NODE_ID:
        yield invalid(f"{path}.nodeID", driver.nodeID, f"must be {LONGEST_NODE_ID} characters or less")
    if driver.allocatable is not None:
        yield from nonnegative(f"{path}.allocatable.count", driver.allocatable.count)
    if driver.name in seen:
        yield duplicate(f"{path}.name", driver.name)
    seen.append(driver.name)
    for i, key in enumerate(driver.topologyKeys):
        if not key:
            yield required(path)
        if key in driver.topologyKeys[:i]:
            yield duplicate(path, key)
        for message in names.qualified_name(key):
            yield invalid(path, key, message)


@collected
def _validate_update(new: CSINode, old: CSINode) -> Iterator[FieldError]:
    """Of a driver that is there, only how many volumes it can take may change."""
    for was in old.spec.drivers:
        for now in new.spec.drivers:
            driver = replace(now, allocatable=None)
            if now.name == was.name and driver != replace(was, allocatable=None):
                yield invalid("spec.drivers", go_value(driver), IMMUTABLE)


def _row(node: CSINode, now: float) -> Sequence[Any]:
    return node.metadata.name, len(node.spec.drivers), age(node, now)


RULES: Final = KindRules(
    resource="csinodes.storage.k8s.io", validate=_validate, validate_update=_validate_update, validate_on_update="instead",
    unconditional_update=False, returns_deleted=True,
    row=_row,
)
