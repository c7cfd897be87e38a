"""The status of a Deployment: counts, and the conditions Available, Progressing and ReplicaFailure.

https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#deployment-status
"""
from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from kubelet_lite.api import timestamps
from kubelet_lite.api.apps_v1 import DeploymentCondition, DeploymentStatus
from kubelet_lite.controllers.deployment import amounts, conditions
from kubelet_lite.controllers.deployment.amounts import replicas_of
from kubelet_lite.controllers.deployment.draft import Draft

PROGRESSING: Final = "Progressing"
REPLICA_FAILURE: Final = "ReplicaFailure"
COMPLETE: Final = "NewReplicaSetAvailable"
TIMED_OUT: Final = "ProgressDeadlineExceeded"
PAUSED: Final = "DeploymentPaused"
MARGIN_SECONDS: Final = 1.0
"""After a deadline, so that the times of conditions, which are whole seconds, say that it has passed."""


def note_pause(draft: Draft) -> None:
    """Whether it is paused stands in the condition, so that the time spent paused does not count as lack of progress."""
    known = conditions.find(draft.conditions, PROGRESSING)
    if not draft.has_deadline or (known is not None and known.reason == TIMED_OUT):
        return
    was_paused = known is not None and known.reason == PAUSED
    if draft.deployment.spec.paused and not was_paused:
        draft.set_condition(PROGRESSING, "Unknown", PAUSED, "Deployment is paused")
    elif not draft.deployment.spec.paused and was_paused:
        draft.set_condition(PROGRESSING, "Unknown", "DeploymentResumed", "Deployment is resumed")


def with_failed_creation(draft: Draft, known: conditions.Conditions, error: str) -> conditions.Conditions:
    """Says that the new ReplicaSet could not be made."""
    if not draft.has_deadline or draft.new is None:
        return known
    message = f'Failed to create new replica set "{draft.new.metadata.name}": {error}'
    return conditions.with_condition(known, conditions.condition(PROGRESSING, "False", "ReplicaSetCreateError", message, draft.now))


def counted(draft: Draft) -> DeploymentStatus:
    """What the ReplicaSets report, and whether it is enough."""
    deployment, sets, new = draft.deployment, draft.all, draft.new
    total = sum(rs.status.replicas for rs in sets)
    available = sum(rs.status.availableReplicas for rs in sets)
    leaving = [rs.status.terminatingReplicas for rs in sets]
    if available >= amounts.fewest_available(deployment):
        draft.set_condition("Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    else:
        draft.set_condition("Available", "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    return DeploymentStatus(
        observedGeneration=deployment.metadata.generation,
        replicas=total,
        updatedReplicas=new.status.replicas if new is not None else 0,
        readyReplicas=sum(rs.status.readyReplicas for rs in sets),
        availableReplicas=available,
        unavailableReplicas=max(total - available, 0),
        terminatingReplicas=sum(count for count in leaving if count is not None) if None not in leaving else None,
        collisionCount=draft.collision_count,
        conditions=draft.conditions,
    )


def rolled_out(draft: Draft) -> DeploymentStatus:
    """The same for a Deployment that may be in the middle of a rollout: how that goes on, and what keeps it."""
    known = conditions.find(draft.conditions, PROGRESSING)
    status = counted(draft)
    if not draft.has_deadline:
        draft.conditions = conditions.without(draft.conditions, PROGRESSING)
    elif not (status.replicas == status.updatedReplicas and known is not None and known.reason == COMPLETE):
        _note_progress(draft, known, status)
    failure = _replica_failure(draft)
    if failure is not None:
        draft.conditions = conditions.with_condition(draft.conditions, failure)
    else:
        draft.conditions = conditions.without(draft.conditions, REPLICA_FAILURE)
    return replace(status, conditions=draft.conditions)


def _note_progress(draft: Draft, known: DeploymentCondition | None, status: DeploymentStatus) -> None:
    name = draft.deployment.metadata.name
    subject = f'ReplicaSet "{draft.new.metadata.name}"' if draft.new is not None else f'Deployment "{name}"'
    if is_complete(draft, status):
        draft.set_condition(PROGRESSING, "True", COMPLETE, f"{subject} has successfully progressed.")
    elif _has_progressed(draft.deployment.status, status):
        new = conditions.condition(PROGRESSING, "True", "ReplicaSetUpdated", f"{subject} is progressing.", draft.now)
        if known is not None and known.status == "True":
            new = replace(new, lastTransitionTime=known.lastTransitionTime)
        draft.conditions = (*conditions.without(draft.conditions, PROGRESSING), new)
    elif _is_overdue(draft):
        draft.set_condition(PROGRESSING, "False", TIMED_OUT, f"{subject} has timed out progressing.")


def is_complete(draft: Draft, status: DeploymentStatus) -> bool:
    """Whether a status reports all pods of the present template available, and no others."""
    deployment = draft.deployment
    return (
        status.updatedReplicas == status.replicas == status.availableReplicas == replicas_of(deployment)
        and status.observedGeneration >= deployment.metadata.generation
    )


def _has_progressed(old: DeploymentStatus, new: DeploymentStatus) -> bool:
    return (
        new.updatedReplicas > old.updatedReplicas or new.replicas - new.updatedReplicas < old.replicas - old.updatedReplicas
        or new.readyReplicas > old.readyReplicas or new.availableReplicas > old.availableReplicas
    )


def _is_overdue(draft: Draft) -> bool:
    known = conditions.find(draft.conditions, PROGRESSING)
    if known is None or known.reason == COMPLETE:
        return False
    deadline = _deadline(draft, known)
    return known.reason == TIMED_OUT or (deadline is not None and deadline < draft.now)


def overdue_at(draft: Draft, status: DeploymentStatus) -> float | None:
    """When to look whether a rollout that makes no progress from now on is overdue."""
    known = conditions.find(status.conditions, PROGRESSING)
    if not draft.has_deadline or known is None or known.reason == TIMED_OUT or is_complete(draft, status):
        return None
    deadline = _deadline(draft, known)
    return None if deadline is None else max(deadline, draft.now) + MARGIN_SECONDS


def _deadline(draft: Draft, known: DeploymentCondition) -> float | None:
    if known.lastUpdateTime is None:
        return None
    return timestamps.parse_time(known.lastUpdateTime) + (draft.deployment.spec.progressDeadlineSeconds or 0)


def _replica_failure(draft: Draft) -> DeploymentCondition | None:
    """Of the newest ReplicaSet before others."""
    newest = [draft.new] if draft.new is not None else []
    for rs in [*newest, *draft.all]:
        for failure in rs.status.conditions:
            if failure.type == REPLICA_FAILURE:
                return conditions.of_replica_set(failure)
    return None
