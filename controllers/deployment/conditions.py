"""Conditions of a Deployment: a list in which each type stands once, the one that changed last at the end."""
from __future__ import annotations

from kubelet_lite.api import timestamps
from kubelet_lite.api.apps_v1 import DeploymentCondition, ReplicaSetCondition

Conditions = tuple[DeploymentCondition, ...]


def condition(type: str, status: str, reason: str, message: str, now: float) -> DeploymentCondition:
    time = timestamps.format_time(now)
    return DeploymentCondition(type=type, status=status, reason=reason, message=message, lastUpdateTime=time, lastTransitionTime=time)


def of_replica_set(failure: ReplicaSetCondition) -> DeploymentCondition:
    return DeploymentCondition(
        type=failure.type, status=failure.status, reason=failure.reason, message=failure.message,
        lastUpdateTime=failure.lastTransitionTime, lastTransitionTime=failure.lastTransitionTime,
    )


def find(conditions: Conditions, type: str) -> DeploymentCondition | None:
    return next((c for c in conditions if c.type == type), None)


def without(conditions: Conditions, type: str) -> Conditions:
    return tuple(c for c in conditions if c.type != type) if find(conditions, type) is not None else conditions


def with_condition(conditions: Conditions, new: DeploymentCondition) -> Conditions:
    """One with the same status and reason stays as it is; one with the same status keeps its time of transition."""
    old = find(conditions, new.type)
    if old is not None and old.status == new.status:
        if old.reason == new.reason:
            return conditions
        new = DeploymentCondition(
            type=new.type, status=new.status, reason=new.reason, message=new.message,
            lastUpdateTime=new.lastUpdateTime, lastTransitionTime=old.lastTransitionTime,
        )
    return (*without(conditions, new.type), new)
