"""What to do for a Deployment: whose ReplicaSets are its own, then one step of a scaling or of a rollout, and the status."""
from __future__ import annotations

from msgspec.structs import replace

from kubelet_lite.api import selectors
from kubelet_lite.api.apps_v1 import Deployment, DeploymentStatus, ReplicaSet
from kubelet_lite.api.errors import AlreadyExists, ApiError
from kubelet_lite.api.resources import resource_of
from kubelet_lite.controllers.adoption import claim
from kubelet_lite.controllers.base import Create, Plan, Update
from kubelet_lite.controllers.deployment import history, status
from kubelet_lite.controllers.deployment.amounts import is_rolling, replicas_of
from kubelet_lite.controllers.deployment.draft import DeploymentView, Draft
from kubelet_lite.controllers.deployment.recreate import recreate
from kubelet_lite.controllers.deployment.rolling import roll


def plan(view: DeploymentView, now: float) -> Plan:
    deployment = view.deployment
    selector = selectors.from_label_selector(deployment.spec.selector)
    claims = claim(deployment, resource_of(Deployment), selector, view.replica_sets)
    if claims.actions:
        return Plan(claims.actions)
    draft = Draft(view, claims.owned, now)
    if deployment.metadata.deletionTimestamp is not None:
        draft.sync_new()
        return _finished(draft, status.counted(draft))
    status.note_pause(draft)
    draft.sync_new()
    if deployment.spec.paused or _was_rescaled(draft):
        _rescale(draft)
        if deployment.spec.paused:
            draft.clean_up()
        return _finished(draft, status.counted(draft))
    return _roll_out(draft)


def _roll_out(draft: Draft) -> Plan:
    """One step of the strategy."""
    moved = roll(draft) if is_rolling(draft.deployment) else recreate(draft)
    if not moved and status.is_complete(draft, draft.deployment.status):
        draft.clean_up()
    failed = _failed_creation(draft)
    if failed is not None:
        return _say_what_failed(draft, failed)
    new = status.rolled_out(draft)
    return _finished(draft, new, status.overdue_at(draft, new))


def _finished(draft: Draft, new: DeploymentStatus, wake_at: float | None = None) -> Plan:
    """With the status, if it changes: written last, it goes with the Deployment's revision."""
    metadata = draft.deployment.metadata
    if draft.revision is not None and metadata.annotations.get(history.REVISION) != draft.revision:
        metadata = replace(metadata, annotations={**metadata.annotations, history.REVISION: draft.revision})
    elif new == draft.deployment.status:
        return Plan(tuple(draft.actions), wake_at)
    update = Update(object=replace(draft.deployment, metadata=metadata, status=new), subresource="status")
    return Plan((*draft.actions, update), wake_at)


def _failed_creation(draft: Draft) -> ApiError | None:
    """Why the ReplicaSet that this plan is about to make could not be made by the last one."""
    if any(isinstance(action, Create) for action in draft.actions):
        for failure in draft.view.failures:
            if isinstance(failure.action, Create) and not isinstance(failure.error, AlreadyExists):
                return failure.error
    return None


def _say_what_failed(draft: Draft, error: ApiError) -> Plan:
    """Before the next try, since nothing is done after one that fails."""
    old = draft.deployment.status
    new = replace(old, conditions=status.with_failed_creation(draft, old.conditions, error.message))
    update = (Update(object=replace(draft.deployment, status=new), subresource="status"),) if new != old else ()
    return Plan((*update, *draft.actions))


# Scaling outside of a rollout's own steps


def _was_rescaled(draft: Draft) -> bool:
    """Whether the Deployment has another size than when its ReplicaSets were scaled last. (To recreate ends all but one of them anyhow.)"""
    wanted = replicas_of(draft.deployment)
    active = [rs for rs in draft.all if replicas_of(rs)]
    if len(active) > 1 and not is_rolling(draft.deployment):
        return False
    return any(_noted_size(rs) not in (None, wanted) for rs in active)


def _rescale(draft: Draft) -> None:
    """The one ReplicaSet that has pods gets the new size; several of them, in the middle of a rollout, share it."""
    wanted = replicas_of(draft.deployment)
    active = [rs for rs in draft.all if replicas_of(rs)]
    if len(active) <= 1:
        only = active[0] if active else draft.new or (draft.old[-1] if draft.old else None)
        if only is not None and (replicas_of(only) != wanted or _noted_size(only) not in (None, wanted)):
            draft.resize(only, wanted)  # also one that keeps its size: until it notes the Deployment's, that is a new one
    elif _is_saturated(draft):
        for rs in draft.old:
            draft.scale(rs, 0)
    elif is_rolling(draft.deployment):
        draft.share_out(active)  # one that is paused, and is to recreate its pods, keeps them as they are


def _is_saturated(draft: Draft) -> bool:
    """Whether the new ReplicaSet alone is all that is wanted."""
    new, wanted = draft.new, replicas_of(draft.deployment)
    return (
        new is not None and replicas_of(new) == wanted == new.status.availableReplicas
        and _noted_size(new) == wanted
    )


def _noted_size(rs: ReplicaSet) -> int | None:
    """The Deployment's, when it scaled this ReplicaSet last."""
    return history.integer_annotation(rs, history.DESIRED_REPLICAS)
