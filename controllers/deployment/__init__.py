"""Deployments: a ReplicaSet for each revision of the template, the newest at full size, the others at none, and the way there.

https://kubernetes.io/docs/concepts/workloads/controllers/deployment/
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from kubelet_lite.api import selectors
from kubelet_lite.api.apps_v1 import Deployment, ReplicaSet
from kubelet_lite.api.core_v1 import Pod
from kubelet_lite.api.errors import AlreadyExists
from kubelet_lite.client.cache import Change, Informer, Informers
from kubelet_lite.controllers.adoption import OWNERS, candidates_for, index_candidates
from kubelet_lite.controllers.base import (
    Controller,
    Create,
    Enqueue,
    Failure,
    Key,
    Plan,
    controller_of,
    itself,
    on_change,
    owner_key,
)
from kubelet_lite.controllers.deployment.draft import DeploymentView
from kubelet_lite.controllers.deployment.plan import plan


class DeploymentController(Controller[DeploymentView]):
    """Keeps ReplicaSets for Deployments."""

    name = "deployment-controller"

    def __init__(self, informers: Informers) -> None:
        self.primary: Informer[Deployment] = informers.of(Deployment)
        self._sets = informers.of(ReplicaSet)
        self._pods = informers.of(Pod)
        index_candidates(self._sets)
        index_candidates(self._pods)

    def informers(self) -> Sequence[Informer[Any]]:
        return self.primary, self._sets, self._pods

    def connect(self, enqueue: Enqueue) -> None:
        on_change(self.primary, itself, enqueue)
        on_change(self._sets, self._concerned, enqueue)
        on_change(self._pods, self._waiting_for, enqueue)

    def _concerned(self, change: Change[ReplicaSet]) -> Iterator[Key]:
        """The Deployment that manages a ReplicaSet, or did; of an orphan, all that may want it."""
        old, new = change.old, change.new
        for rs in (old, new):
            if rs is not None and (key := owner_key(rs, self.primary.resource)) is not None:
                yield key
        if new is None or controller_of(new) is not None:
            return
        if old is None or old.metadata.labels != new.metadata.labels or controller_of(old) is not None:
            for deployment in self.primary.list(new.metadata.namespace):
                if selectors.from_label_selector(deployment.spec.selector).matches(new.metadata.labels):
                    yield Key(deployment.metadata.namespace, deployment.metadata.name)

    def _waiting_for(self, change: Change[Pod]) -> Iterator[Key]:
        """The Deployment that waits for its old pods to end before it makes new ones."""
        pod = change.old
        if pod is None or change.new is not None:
            return
        key = owner_key(pod, self._sets.resource)
        rs = self._sets.get(key.name, key.namespace) if key is not None else None
        owner = owner_key(rs, self.primary.resource) if rs is not None else None
        deployment = self.primary.get(owner.name, owner.namespace) if owner is not None else None
        if owner is not None and deployment is not None and deployment.spec.strategy.type == "Recreate":
            yield owner

    def view(self, key: Key, failures: Sequence[Failure]) -> DeploymentView | None:
        deployment = self.primary.get(key.name, key.namespace)
        if deployment is None:
            return None
        sets = candidates_for(self._sets, deployment)
        pods: list[Pod] = []
        if deployment.spec.strategy.type == "Recreate":
            for rs in self._sets.by_index(OWNERS, deployment.metadata.uid):
                pods += self._pods.by_index(OWNERS, rs.metadata.uid)
        return DeploymentView(deployment=deployment, replica_sets=sets, pods=pods, rival=self._rival(failures), failures=failures)

    def _rival(self, failures: Sequence[Failure]) -> ReplicaSet | None:
        for failure in failures:
            if isinstance(failure.action, Create) and isinstance(failure.error, AlreadyExists):
                metadata = failure.action.object.metadata
                return self._sets.get(metadata.name, metadata.namespace)
        return None

    def plan(self, view: DeploymentView, now: float) -> Plan:
        return plan(view, now)
