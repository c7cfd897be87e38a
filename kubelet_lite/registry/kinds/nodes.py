"""Nodes. https://kubernetes.io/docs/concepts/architecture/nodes/"""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec.structs import replace

from kubelet_lite.api import names
from kubelet_lite.api.core_v1 import Node, Taint
from kubelet_lite.api.errors import FieldError, duplicate, forbidden, invalid, not_supported, required
from kubelet_lite.registry.kinds.ages import NONE, age
from kubelet_lite.registry.rules import KindRules, Selectable
from kubelet_lite.registry.validation.collected import collected
from kubelet_lite.registry.validation.labels import label_name
from kubelet_lite.registry.validation.named import cidr
from kubelet_lite.registry.validation.resource_lists import resource_quantity

TAINT_EFFECTS: Final = ("NoSchedule", "PreferNoSchedule", "NoExecute")
ROLE_PREFIX: Final = "node-role.kubernetes.io/"
ROLE_LABEL: Final = "kubernetes.io/role"
_UNKNOWN: Final = "<unknown>"


def _default(node: Node) -> Node:
    """podCIDR is the first of podCIDRs; where they differ, the older field is what was meant."""
    spec = node.spec
    if spec.podCIDR and spec.podCIDRs[:1] != (spec.podCIDR,):
        node = replace(node, spec=replace(spec, podCIDRs=(spec.podCIDR,)))
    elif spec.podCIDRs and not spec.podCIDR:
        node = replace(node, spec=replace(spec, podCIDR=spec.podCIDRs[0]))
    if not node.status.allocatable and node.status.capacity:
        node = replace(node, status=replace(node.status, allocatable=node.status.capacity))
    return node


def _prepare_create(node: Node) -> Node:
    return node if node.spec.configSource is None else replace(node, spec=replace(node.spec, configSource=None))


def _prepare_update(new: Node, old: Node) -> Node:
    return new if old.spec.configSource is not None else _prepare_create(new)


@collected
def _validate(node: Node) -> Iterator[FieldError]:
    yield from _taints(node.spec.taints)
    yield from _resources(node)
    cidrs = node.spec.podCIDRs
    wrong = False
    for i, value in enumerate(cidrs):
        for error in cidr(f"spec.podCIDRs[{i}]", value):
            wrong = True
            yield error
    if len(cidrs) > 1 and not wrong and (len(cidrs) > 2 or len({_version(value) for value in cidrs}) < 2):
        yield invalid("spec.podCIDRs", cidrs, "may specify no more than one CIDR for each IP family")


def _version(value: str) -> int:
    found = names.network(value)
    return found[0].version if found is not None else 0


def _taints(taints: Sequence[Taint]) -> Iterator[FieldError]:
    seen: list[tuple[str, str]] = []
    for i, taint in enumerate(taints):
        path = f"metadata.taints[{i}]"
        yield from label_name(f"{path}.key", taint.key)
        if messages := names.label_value(taint.value):
            yield invalid(f"{path}.value", taint.value, ";".join(messages))
        if not taint.effect:
            yield required(f"{path}.effect")
        elif taint.effect not in TAINT_EFFECTS:
            yield not_supported(f"{path}.effect", taint.effect, TAINT_EFFECTS)
        if (taint.key, taint.effect) in seen:
            shown = {"Key": taint.key, "Value": taint.value, "Effect": taint.effect, "TimeAdded": taint.timeAdded}
            error = duplicate(path, shown)
            yield FieldError(error.type, error.field, f"{error.body}: taints must be unique by key and effect pair")
        seen.append((taint.key, taint.effect))


def _resources(node: Node) -> Iterator[FieldError]:
    for path, found in (("status.capacity", node.status.capacity), ("status.allocatable", node.status.allocatable)):
        yield from _quantities(path, found)


def _quantities(path: str, found: Mapping[str, str]) -> Iterator[FieldError]:
    for name in sorted(found):
        yield from resource_quantity(f"{path}.{name}", name, found[name])


@collected
def _validate_update(new: Node, old: Node) -> Iterator[FieldError]:
    yield from _resources(new)
    for i, address in enumerate(new.status.addresses):
        if address in new.status.addresses[:i]:
            yield duplicate(f"status.addresses[{i}]", {"Type": address.type, "Address": address.address})
    if old.spec.podCIDRs and new.spec.podCIDRs != old.spec.podCIDRs:
        yield forbidden("spec.podCIDRs", 'node updates may not change podCIDR except from "" to valid')
    if old.spec.providerID and new.spec.providerID != old.spec.providerID:
        yield forbidden("spec.providerID", 'node updates may not change providerID except from "" to valid')
    yield from _taints(new.spec.taints)
    if new.spec.externalID != old.spec.externalID:
        yield forbidden("spec.externalID", "may not be updated")


@collected
def _validate_status_update(new: Node, old: Node) -> Iterator[FieldError]:
    yield from _validate(new)
    yield from _validate_update(new, old)


def _warnings(new: Node, old: Node | None) -> Sequence[str]:
    found = []
    if new.spec.externalID:
        found.append("spec.externalID: this field is deprecated, and is unused by Kubernetes")
    for i, value in enumerate(new.spec.podCIDRs):
        found += names.cidr_warnings(f"spec.podCIDRs[{i}]", value)
    return found


def _row(node: Node, now: float) -> Sequence[Any]:
    ready = next((condition for condition in node.status.conditions if condition.type == "Ready"), None)
    state = "Unknown" if ready is None else "Ready" if ready.status == "True" else "NotReady"
    if node.spec.unschedulable:
        state += ",SchedulingDisabled"
    info = node.status.nodeInfo
    return (
        node.metadata.name, state, ",".join(_roles(node)) or NONE, age(node, now), info.kubeletVersion, _address(node, "InternalIP"),
        _address(node, "ExternalIP"), info.osImage or _UNKNOWN, info.kernelVersion or _UNKNOWN, info.containerRuntimeVersion or _UNKNOWN,
    )


def _roles(node: Node) -> Sequence[str]:
    labels = node.metadata.labels
    found = {key.removeprefix(ROLE_PREFIX) for key in labels if key.startswith(ROLE_PREFIX)} | {labels.get(ROLE_LABEL, "")}
    return sorted(found - {""})


def _address(node: Node, kind: str) -> str:
    return next((address.address for address in node.status.addresses if address.type == kind), NONE)


RULES: Final = KindRules(
    resource="nodes", default=_default, prepare_create=_prepare_create, prepare_update=_prepare_update, validate=_validate,
    validate_update=_validate_update, validate_status_update=_validate_status_update, warnings=_warnings, creates_status=True,
    storage_path="/minions", selectable=(Selectable("spec.unschedulable", lambda node: str(node.spec.unschedulable).lower()),), row=_row,
)
