"""RollingUpdate: the new revision grows as the surge allows, the old ones shrink as availability allows.

https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#rolling-update-deployment
"""
from __future__ import annotations

from kubelet_lite.api.apps_v1 import ReplicaSet
from kubelet_lite.controllers.deployment import amounts
from kubelet_lite.controllers.deployment.amounts import replicas_of
from kubelet_lite.controllers.deployment.draft import Draft


def roll(draft: Draft) -> bool:
    """One step, if there is one to be made; the next follows when the ReplicaSets have answered it."""
    if draft.new is None:
        draft.create_new()
    return _grow(draft) or _shrink(draft)


def _grow(draft: Draft) -> bool:
    new, deployment = draft.new, draft.deployment
    if new is None:
        return False
    wanted = replicas_of(deployment)
    if replicas_of(new) > wanted:
        return draft.scale(new, wanted)
    return draft.scale(new, amounts.new_size(deployment, draft.all, replicas_of(new)))


def _shrink(draft: Draft) -> bool:
    """Takes from old revisions what is not available first, then what is more than enough."""
    new, deployment = draft.new, draft.deployment
    before = len(draft.actions)
    if new is None or not any(map(replicas_of, draft.old)):
        return False
    coming = replicas_of(new) - _available(new)
    spare = sum(map(replicas_of, draft.all)) - amounts.fewest_available(deployment) - coming
    if spare <= 0:
        return False
    for rs in draft.old:
        sick = min(spare, _not_available(rs))
        if sick > 0:
            draft.scale(rs, replicas_of(rs) - sick)
            spare -= sick
    spare = sum(map(_available, draft.all)) - amounts.fewest_available(deployment)
    for rs in draft.old:
        size = replicas_of(rs)
        fewer = min(spare, size)
        if fewer > 0:
            draft.scale(rs, size - fewer)
            spare -= fewer
    return len(draft.actions) > before


def _available(rs: ReplicaSet) -> int:
    """Its pods that are available for certain: of one that has not reported since it was changed, none; and of one that has just become
    smaller, whose status still counts those that go, no more than its size."""
    return min(rs.status.availableReplicas, replicas_of(rs)) if _has_reported(rs) else 0


def _not_available(rs: ReplicaSet) -> int:
    """Its pods that are not available, for certain."""
    return replicas_of(rs) - rs.status.availableReplicas if _has_reported(rs) else 0


def _has_reported(rs: ReplicaSet) -> bool:
    return rs.status.observedGeneration >= rs.metadata.generation
