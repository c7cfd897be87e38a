"""Recreate: first all old pods go, then the new ones come.

https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#recreate-deployment
"""
from __future__ import annotations

from kubelet_lite.api.scheduling_rules import FINISHED
from kubelet_lite.controllers.base import controller_of
from kubelet_lite.controllers.deployment.amounts import replicas_of
from kubelet_lite.controllers.deployment.draft import Draft


def recreate(draft: Draft) -> bool:
    """One step, if there is one to be made; while old pods run there is none."""
    active = [rs for rs in draft.old if replicas_of(rs)]
    for rs in active:
        draft.scale(rs, 0)
    if active or _old_pods_run(draft):
        return True
    if draft.new is None:
        draft.create_new()
    return draft.new is not None and draft.scale(draft.new, replicas_of(draft.deployment))


def _old_pods_run(draft: Draft) -> bool:
    """Pods that are being deleted run, too."""
    if any(rs.status.replicas for rs in draft.old):
        return True
    new = draft.new.metadata.uid if draft.new is not None else None
    for pod in draft.view.pods:
        owner = controller_of(pod)
        if owner is not None and owner.uid != new and pod.status.phase not in FINISHED:
            return True
    return False
