"""What a new pod is given: its first status, its class of service, and the selectors that its own labels complete.

https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeVar

from msgspec.structs import replace

from kubelet_lite.api.core_v1 import (
    Affinity,
    Pod,
    PodAffinity,
    PodAffinityTerm,
    PodAntiAffinity,
    PodCondition,
    PodSpec,
    PodStatus,
    ResourceRequirements,
    TopologySpreadConstraint,
)
from kubelet_lite.api.meta_v1 import LabelSelector, LabelSelectorRequirement
from kubelet_lite.api.quantities import read
from kubelet_lite.registry.kinds.pods.annotations import app_armor_fields
from kubelet_lite.registry.kinds.pods.memo import SpecMemo

AnyPodAffinity = TypeVar("AnyPodAffinity", PodAffinity, PodAntiAffinity)
_first_statuses: Final[SpecMemo[PodStatus]] = SpecMemo()


def prepare_pod_create(pod: Pod) -> Pod:
    pod = app_armor_fields(pod)
    spec = with_selected_labels(pod.spec, pod.metadata.labels)
    status = _first_statuses.get(spec, _first_status)
    if spec.schedulingGates:
        status = replace(status, conditions=(PodCondition(
            type="PodScheduled", status="False", lastTransitionTime=pod.metadata.creationTimestamp, reason="SchedulingGated",
            message="Scheduling is blocked due to non-empty scheduling gates",
        ),))
    return replace(pod, spec=spec, status=status)


def _first_status(spec: PodSpec) -> PodStatus:
    return PodStatus(phase="Pending", qosClass=qos_class(spec))


# ---- class of service


def qos_class(spec: PodSpec) -> str:
    """Guaranteed, Burstable or BestEffort: by the CPU and memory that its containers request and are limited to."""
    of_pod = spec.resources is not None and (spec.resources.requests or spec.resources.limits)
    if of_pod and spec.resources is not None:
        all_resources: list[ResourceRequirements] = [spec.resources]
    else:
        all_resources = [container.resources for container in (*spec.containers, *spec.initContainers)]
    requests: dict[str, int] = {}
    limits: dict[str, int] = {}
    guaranteed = True
    for resources in all_resources:
        _add(requests, resources.requests)
        guaranteed = _add(limits, resources.limits) == 2 and guaranteed
    if not requests and not limits:
        return "BestEffort"
    return "Guaranteed" if guaranteed and requests == limits else "Burstable"


def _add(sums: dict[str, int], quantities: Mapping[str, str]) -> int:
    """How many of CPU and memory are given."""
    given = 0
    for name in ("cpu", "memory"):
        nanos = read(quantities.get(name, "0")).nanos
        if nanos > 0:
            sums[name] = sums.get(name, 0) + nanos
            given += 1
    return given


# ---- matchLabelKeys


def with_selected_labels(spec: PodSpec, labels: Mapping[str, str]) -> PodSpec:
    """`matchLabelKeys` becomes requirements on the values that the pod itself has."""
    if spec.affinity is None and not spec.topologySpreadConstraints:
        return spec
    affinity = _affinity(spec.affinity, labels)
    constraints = tuple(_constraint(constraint, labels) for constraint in spec.topologySpreadConstraints)
    if affinity is spec.affinity and constraints == spec.topologySpreadConstraints:
        return spec
    return replace(spec, affinity=affinity, topologySpreadConstraints=constraints)


def _affinity(affinity: Affinity | None, labels: Mapping[str, str]) -> Affinity | None:
    if affinity is None:
        return None
    pods, anti = affinity.podAffinity, affinity.podAntiAffinity
    new_pods = pods if pods is None else _terms(pods, labels)
    new_anti = anti if anti is None else _terms(anti, labels)
    return affinity if new_pods is pods and new_anti is anti else replace(affinity, podAffinity=new_pods, podAntiAffinity=new_anti)


def _terms(affinity: AnyPodAffinity, labels: Mapping[str, str]) -> AnyPodAffinity:
    required = tuple(_term(term, labels) for term in affinity.requiredDuringSchedulingIgnoredDuringExecution)
    preferred = tuple(replace(weighted, podAffinityTerm=_term(weighted.podAffinityTerm, labels))
                      for weighted in affinity.preferredDuringSchedulingIgnoredDuringExecution)
    new = replace(affinity, requiredDuringSchedulingIgnoredDuringExecution=required, preferredDuringSchedulingIgnoredDuringExecution=preferred)
    return affinity if new == affinity else new


def _term(term: PodAffinityTerm, labels: Mapping[str, str]) -> PodAffinityTerm:
    if term.labelSelector is None or (not term.matchLabelKeys and not term.mismatchLabelKeys):
        return term
    selector = _with_requirements(term.labelSelector, term.matchLabelKeys, labels, "In")
    return replace(term, labelSelector=_with_requirements(selector, term.mismatchLabelKeys, labels, "NotIn"))


def _constraint(constraint: TopologySpreadConstraint, labels: Mapping[str, str]) -> TopologySpreadConstraint:
    if constraint.labelSelector is None or not constraint.matchLabelKeys:
        return constraint
    return replace(constraint, labelSelector=_with_requirements(constraint.labelSelector, constraint.matchLabelKeys, labels, "In"))


def _with_requirements(selector: LabelSelector, keys: tuple[str, ...], labels: Mapping[str, str], operator: str) -> LabelSelector:
    added = tuple(LabelSelectorRequirement(key=key, operator=operator, values=(labels[key],)) for key in keys if key in labels)
    return replace(selector, matchExpressions=(*selector.matchExpressions, *added)) if added else selector
