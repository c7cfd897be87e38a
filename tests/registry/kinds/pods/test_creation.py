"""What a new pod is given."""
from __future__ import annotations

from typing import Any

import pytest

from kubelet_lite.api.core_v1 import (
    Container,
    Pod,
    PodSchedulingGate,
    PodSpec,
    PodStatus,
    ResourceRequirements,
    TopologySpreadConstraint,
)
from kubelet_lite.api.meta_v1 import LabelSelector, LabelSelectorRequirement, ObjectMeta
from kubelet_lite.registry.kinds.pods import RULES
from kubelet_lite.registry.kinds.pods.creation import qos_class


def container(requests: dict[str, str], limits: dict[str, str]) -> Container:
    return Container(name="c", image="x", resources=ResourceRequirements(requests=requests, limits=limits))


BOTH = {"cpu": "1", "memory": "1Gi"}


@pytest.mark.parametrize(("expected", "containers"), [
    ("BestEffort", [container({}, {})]),
    ("BestEffort", [container({"example.com/gpu": "1"}, {"example.com/gpu": "1"})]),
    ("Burstable", [container({"cpu": "1"}, {})]),
    ("Burstable", [container(BOTH, {"cpu": "2", "memory": "1Gi"})]),
    ("Guaranteed", [container(BOTH, BOTH)]),
    ("Guaranteed", [container({"cpu": "1000m", "memory": "1Gi"}, BOTH)]),
    ("Burstable", [container(BOTH, BOTH), container({}, {})]),
])
def test_the_class_of_service_follows_from_requests_and_limits(expected: str, containers: list[Any]) -> None:
    assert qos_class(PodSpec(containers=tuple(containers))) == expected


def test_a_gated_pod_says_that_it_waits_since_its_creation() -> None:
    meta = ObjectMeta(name="web", creationTimestamp="2026-01-01T00:00:00Z")
    new = RULES.prepare_create(Pod(metadata=meta, spec=PodSpec(schedulingGates=(PodSchedulingGate(name="a.example/gate"),))))
    (condition,) = new.status.conditions
    assert (condition.type, condition.status, condition.reason) == ("PodScheduled", "False", "SchedulingGated")
    assert condition.lastTransitionTime == meta.creationTimestamp


def test_match_label_keys_become_requirements_on_the_pods_own_labels() -> None:
    constraint = TopologySpreadConstraint(labelSelector=LabelSelector(), matchLabelKeys=("version", "missing"))
    new = RULES.prepare_create(Pod(metadata=ObjectMeta(name="web", labels={"version": "2"}), spec=PodSpec(topologySpreadConstraints=(constraint,))))
    selector = new.spec.topologySpreadConstraints[0].labelSelector
    assert selector is not None
    assert selector.matchExpressions == (LabelSelectorRequirement(key="version", operator="In", values=("2",)),)


@pytest.mark.parametrize(("node", "phase", "grace", "requested", "used"), [
    ("", "Pending", 30, None, 0), ("n", "Running", 30, None, 30), ("n", "Running", 30, 5, 5), ("n", "Succeeded", 30, None, 0), ("n", "Running", -1, None, 1),
])
def test_the_time_a_deleted_pod_is_given(node: str, phase: str, grace: int, requested: int | None, used: int) -> None:
    pod = Pod(spec=PodSpec(nodeName=node, terminationGracePeriodSeconds=grace), status=PodStatus(phase=phase))
    assert RULES.prepare_graceful_delete is not None
    assert RULES.prepare_graceful_delete(pod, requested) == used
