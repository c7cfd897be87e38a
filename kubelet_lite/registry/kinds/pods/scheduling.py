"""Validation of what decides where a pod may run: affinity, tolerations, spread constraints, gates.

https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from kubelet_lite.api import names
from kubelet_lite.api.core_v1 import (
    Affinity,
    NodeSelector,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    PodAffinity,
    PodAffinityTerm,
    PodAntiAffinity,
    PodSchedulingGate,
    Toleration,
    TopologySpreadConstraint,
)
from kubelet_lite.api.errors import FieldError, duplicate, forbidden, invalid, not_supported, required
from kubelet_lite.api.meta_v1 import LabelSelector
from kubelet_lite.registry.validation.labels import label_name, label_selector
from kubelet_lite.registry.validation.named import dns_label, dns_subdomain, qualified_name
from kubelet_lite.registry.validation.numbers import NOT_POSITIVE

TAINT_EFFECTS: Final = ("NoSchedule", "PreferNoSchedule", "NoExecute")
TOLERATION_OPERATORS: Final = ("Equal", "Exists")
UNSATISFIABLE_ACTIONS: Final = ("DoNotSchedule", "ScheduleAnyway")
NODE_POLICIES: Final = ("Honor", "Ignore")
REQUIRED_RULES: Final = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED_RULES: Final = "preferredDuringSchedulingIgnoredDuringExecution"


def validate_affinity(path: str, affinity: Affinity | None) -> Iterator[FieldError]:
    if affinity is None:
        return
    nodes = affinity.nodeAffinity
    if nodes is not None:
        if nodes.requiredDuringSchedulingIgnoredDuringExecution is not None:
            yield from validate_node_selector(f"{path}.nodeAffinity.{REQUIRED_RULES}", nodes.requiredDuringSchedulingIgnoredDuringExecution)
        for i, preferred in enumerate(nodes.preferredDuringSchedulingIgnoredDuringExecution):
            at = f"{path}.nodeAffinity.{PREFERRED_RULES}[{i}]"
            yield from _weight(at, preferred.weight)
            yield from _node_term(f"{at}.preference", preferred.preference, check_values=False)
    if affinity.podAffinity is not None:
        yield from _pod_affinity(f"{path}.podAffinity", affinity.podAffinity)
    if affinity.podAntiAffinity is not None:
        yield from _pod_affinity(f"{path}.podAntiAffinity", affinity.podAntiAffinity)


def _weight(path: str, weight: int) -> Iterator[FieldError]:
    if not 1 <= weight <= 100:
        yield invalid(f"{path}.weight", weight, "must be in the range 1-100")


def validate_node_selector(path: str, selector: NodeSelector) -> Iterator[FieldError]:
    if not selector.nodeSelectorTerms:
        yield required(f"{path}.nodeSelectorTerms", "must have at least one node selector term")
    for i, term in enumerate(selector.nodeSelectorTerms):
        yield from _node_term(f"{path}.nodeSelectorTerms[{i}]", term, check_values=True)


def _node_term(path: str, term: NodeSelectorTerm, *, check_values: bool) -> Iterator[FieldError]:
    for i, requirement in enumerate(term.matchExpressions):
        yield from _node_requirement(f"{path}.matchExpressions[{i}]", requirement, check_values=check_values)
    for i, requirement in enumerate(term.matchFields):
        yield from _node_field(f"{path}.matchFields[{i}]", requirement)


def _node_requirement(path: str, requirement: NodeSelectorRequirement, *, check_values: bool) -> Iterator[FieldError]:
    match requirement.operator:
        case "In" | "NotIn":
            if not requirement.values:
                yield required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'")
        case "Exists" | "DoesNotExist":
            if requirement.values:
                yield forbidden(f"{path}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
        case "Gt" | "Lt":
            if len(requirement.values) != 1:
                yield required(f"{path}.values", "must be specified single value when `operator` is 'Lt' or 'Gt'")
        case _:
            yield invalid(f"{path}.operator", requirement.operator, "not a valid selector operator")
    yield from label_name(f"{path}.key", requirement.key)
    if check_values:
        for i, value in enumerate(requirement.values):
            for message in names.label_value(value):
                yield invalid(f"{path}.values[{i}]", value, message)


def _node_field(path: str, requirement: NodeSelectorRequirement) -> Iterator[FieldError]:
    if requirement.operator not in ("In", "NotIn"):
        yield invalid(f"{path}.operator", requirement.operator, "not a valid selector operator")
    elif len(requirement.values) != 1:
        yield required(f"{path}.values", "must be only one value when `operator` is 'In' or 'NotIn' for node field selector")
    if requirement.key != "metadata.name":
        yield invalid(f"{path}.key", requirement.key, "not a valid field selector key")
        return
    for i, value in enumerate(requirement.values):
        yield from dns_subdomain(f"{path}.values[{i}]", value)


def _pod_affinity(path: str, affinity: PodAffinity | PodAntiAffinity) -> Iterator[FieldError]:
    for i, term in enumerate(affinity.requiredDuringSchedulingIgnoredDuringExecution):
        yield from _pod_term(f"{path}.{REQUIRED_RULES}[{i}]", term)
    for i, weighted in enumerate(affinity.preferredDuringSchedulingIgnoredDuringExecution):
        at = f"{path}.{PREFERRED_RULES}[{i}]"
        yield from _weight(at, weighted.weight)
        yield from _pod_term(f"{at}.podAffinityTerm", weighted.podAffinityTerm)


def _pod_term(path: str, term: PodAffinityTerm) -> Iterator[FieldError]:
    yield from label_selector(f"{path}.labelSelector", term.labelSelector)
    yield from label_selector(f"{path}.namespaceSelector", term.namespaceSelector)
    for namespace in term.namespaces:
        yield from dns_label(f"{path}.namespace", namespace)
    yield from _label_keys(f"{path}.matchLabelKeys", term.matchLabelKeys, term.labelSelector)
    yield from _label_keys(f"{path}.mismatchLabelKeys", term.mismatchLabelKeys, term.labelSelector)
    yield from _keys_not_selected(path, term)
    for i, key in enumerate(term.matchLabelKeys):
        if key in term.mismatchLabelKeys:
            yield invalid(f"{path}.matchLabelKeys[{i}]", key, "exists in both matchLabelKeys and mismatchLabelKeys")
    if not term.topologyKey:
        yield required(f"{path}.topologyKey", "can not be empty")
    yield from label_name(f"{path}.topologyKey", term.topologyKey)


def _label_keys(path: str, keys: tuple[str, ...], selector: LabelSelector | None) -> Iterator[FieldError]:
    if keys and selector is None:
        yield forbidden(path, "must not be specified when labelSelector is not set")
        return
    for i, key in enumerate(keys):
        yield from label_name(f"{path}[{i}]", key)


def _keys_not_selected(path: str, term: PodAffinityTerm) -> Iterator[FieldError]:
    """A key that creation has turned into a requirement is in the selector once; twice means that the user named it too."""
    if term.labelSelector is None:
        return
    positions = {key: i for i, key in enumerate(term.matchLabelKeys)}
    selected = set(term.labelSelector.matchLabels)
    for expression in term.labelSelector.matchExpressions:
        if expression.key in positions and expression.key in selected:
            yield invalid(f"{path}[{positions[expression.key]}]", expression.key, "exists in both matchLabelKeys and labelSelector")
        selected.add(expression.key)


def validate_tolerations(path: str, tolerations: tuple[Toleration, ...]) -> Iterator[FieldError]:
    for i, toleration in enumerate(tolerations):
        at = f"{path}[{i}]"
        if toleration.key:
            yield from label_name(f"{at}.key", toleration.key)
        elif toleration.operator != "Exists":
            yield invalid(f"{at}.operator", toleration.operator,
                          'operator must be Exists when `key` is empty, which means "match all values and all keys"')
        if toleration.tolerationSeconds is not None and toleration.effect != "NoExecute":
            yield invalid(f"{at}.effect", toleration.effect, "effect must be 'NoExecute' when `tolerationSeconds` is set")
        match toleration.operator:
            case "Equal" | "":
                if messages := names.label_value(toleration.value):
                    yield invalid(f"{at}.operator", toleration.value, ";".join(messages))
            case "Exists":
                if toleration.value:
                    yield invalid(f"{at}.operator", toleration.value, "value must be empty when `operator` is 'Exists'")
            case unknown:
                yield not_supported(f"{at}.operator", unknown, TOLERATION_OPERATORS)
        if toleration.effect and toleration.effect not in TAINT_EFFECTS:
            yield not_supported(f"{at}.effect", toleration.effect, TAINT_EFFECTS)


def validate_scheduling_gates(path: str, gates: tuple[PodSchedulingGate, ...]) -> Iterator[FieldError]:
    seen: set[str] = set()
    for i, gate in enumerate(gates):
        yield from qualified_name(f"{path}[{i}]", gate.name)
        if gate.name in seen:
            yield duplicate(f"{path}[{i}]", gate.name)
        seen.add(gate.name)


def validate_spread_constraints(path: str, constraints: tuple[TopologySpreadConstraint, ...]) -> Iterator[FieldError]:
    for i, constraint in enumerate(constraints):
        at, action = f"{path}[{i}]", constraint.whenUnsatisfiable
        if constraint.maxSkew <= 0:
            yield invalid(f"{at}.maxSkew", constraint.maxSkew, NOT_POSITIVE)
        if not constraint.topologyKey:
            yield required(f"{at}.topologyKey", "can not be empty")
        if action not in UNSATISFIABLE_ACTIONS:
            yield not_supported(f"{at}.whenUnsatisfiable", action, UNSATISFIABLE_ACTIONS)
        if any((other.topologyKey, other.whenUnsatisfiable) == (constraint.topologyKey, action) for other in constraints[i + 1:]):
            yield duplicate(f"{at}.{{topologyKey, whenUnsatisfiable}}", f"{{{constraint.topologyKey}, {action}}}")
        if constraint.minDomains is not None:
            if constraint.minDomains <= 0:
                yield invalid(f"{at}.minDomains", constraint.minDomains, NOT_POSITIVE)
            if action != "DoNotSchedule":
                yield invalid(f"{at}.minDomains", constraint.minDomains, f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}")
        for field in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
            policy = getattr(constraint, field)
            if policy is not None and policy not in NODE_POLICIES:
                yield not_supported(f"{at}.{field}", policy, NODE_POLICIES)
        yield from _spread_keys(f"{at}.matchLabelKeys", constraint)
        yield from label_selector(f"{at}.labelSelector", constraint.labelSelector)


def _spread_keys(path: str, constraint: TopologySpreadConstraint) -> Iterator[FieldError]:
    if not constraint.matchLabelKeys:
        return
    selected: Mapping[str, str] = {}
    if constraint.labelSelector is None:
        yield forbidden(path, "must not be specified when labelSelector is not set")
    else:
        selected = constraint.labelSelector.matchLabels
    for i, key in enumerate(constraint.matchLabelKeys):
        yield from label_name(f"{path}[{i}]", key)
        if key in selected:
            yield invalid(f"{path}[{i}]", key, "exists in both matchLabelKeys and labelSelector")
