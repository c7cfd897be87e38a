"""ReplicaSets: as many pods as `spec.replicas` says, adopted, made or deleted; the same for ReplicationControllers.

https://kubernetes.io/docs/concepts/workloads/controllers/replicaset/
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Final

import msgspec
from msgspec.structs import replace

from kubelet_lite.api import selectors, timestamps
from kubelet_lite.api.apps_v1 import ReplicaSet, ReplicaSetCondition
from kubelet_lite.api.core_v1 import Pod, PodTemplateSpec, ReplicationController, ReplicationControllerCondition
from kubelet_lite.api.resources import Resource, resource_of
from kubelet_lite.api.selectors import Selector
from kubelet_lite.client.cache import Change, Informer, Informers
from kubelet_lite.controllers.adoption import OWNERS, candidates_for, claim, index_candidates
from kubelet_lite.controllers.base import (
    Action,
    Controller,
    Create,
    Delete,
    Enqueue,
    Failure,
    Key,
    Plan,
    Record,
    Update,
    controller_of,
    itself,
    on_change,
    owner_key,
)
from kubelet_lite.controllers.deletion_order import pods_to_delete
from kubelet_lite.controllers.pod_facts import available_at, from_template, is_active, is_ready, is_terminating

MOST_AT_ONCE: Final = 500
"""Pods made or deleted in one plan, as kube-controller-manager's burst: then it looks again."""
MOST_FAILED: Final = 10
"""As many pods more than it has may have failed of those that a set made …"""
FAILED_SECONDS: Final = 60.0
"""… within this time; then it waits: a pod that its kubelet rejects is rejected at once, and so are those that follow."""
REPLICA_FAILURE: Final = "ReplicaFailure"
_CONDITIONS: Final[dict[Any, Any]] = {ReplicaSet: ReplicaSetCondition, ReplicationController: ReplicationControllerCondition}


class ReplicaSetView(msgspec.Struct, frozen=True, kw_only=True):
    """A set of replicas, whichever kind it has."""

    owner: Any
    resource: Resource
    selector: Selector
    template: PodTemplateSpec
    pods: Sequence[Pod]
    """Those that it manages, and all orphans of its namespace."""
    related: Sequence[Pod] = ()
    """Pods of the sets that have the same manager, its own too: what a Deployment's other revisions run."""
    failures: Sequence[Failure] = ()


class ReplicaSetController(Controller[ReplicaSetView]):
    """ReplicaSets. What it does of a kind depends on `kind` and `selector` alone."""

    name = "replicaset-controller"
    kind: ClassVar[type[Any]] = ReplicaSet

    def __init__(self, informers: Informers) -> None:
        self._resource = resource_of(self.kind)
        self.primary: Informer[Any] = informers.of(self.kind)
        self._pods = informers.of(Pod)
        index_candidates(self.primary)
        index_candidates(self._pods)

    def informers(self) -> Sequence[Informer[Any]]:
        return self.primary, self._pods

    def connect(self, enqueue: Enqueue) -> None:
        on_change(self.primary, itself, enqueue)
        on_change(self._pods, self._concerned, enqueue)

    def _concerned(self, change: Change[Pod]) -> Iterator[Key]:
        """Whoever manages the pod, or did; of an orphan, all that may want it."""
        old, new = change.old, change.new
        for pod in (old, new):
            if pod is not None and (key := owner_key(pod, self._resource)) is not None:
                yield key
        if new is None or controller_of(new) is not None:
            return
        if old is None or old.metadata.labels != new.metadata.labels or controller_of(old) is not None:
            for owner in self.primary.list(new.metadata.namespace):
                if self.selector(owner).matches(new.metadata.labels):
                    yield Key(owner.metadata.namespace, owner.metadata.name)

    def selector(self, owner: Any) -> Selector:
        """Of the pods that a set wants."""
        return selectors.from_label_selector(owner.spec.selector)

    def view(self, key: Key, failures: Sequence[Failure]) -> ReplicaSetView | None:
        owner = self.primary.get(key.name, key.namespace)
        if owner is None:
            return None
        pods = candidates_for(self._pods, owner)
        return ReplicaSetView(
            owner=owner, resource=self._resource, selector=self.selector(owner), template=owner.spec.template or PodTemplateSpec(), pods=pods,
            related=self._related(owner) if len(pods) > (owner.spec.replicas or 0) else (), failures=failures,
        )

    def _related(self, owner: Any) -> Sequence[Pod]:
        manager = controller_of(owner)
        if manager is None:
            return ()
        found: dict[str, Pod] = {}
        for sibling in self.primary.by_index(OWNERS, manager.uid):
            for pod in self._pods.by_index(OWNERS, sibling.metadata.uid):
                found[pod.metadata.uid] = pod
        return list(found.values())

    def plan(self, view: ReplicaSetView, now: float) -> Plan:
        return plan(view, now)


class ReplicationControllerController(ReplicaSetController):
    """ReplicationControllers: an older form of the same."""

    name = "replication-controller"
    kind = ReplicationController

    def selector(self, owner: ReplicationController) -> Selector:
        return selectors.from_labels(owner.spec.selector)


def plan(view: ReplicaSetView, now: float) -> Plan:
    """First who belongs to the set; then status, and pods made or deleted."""
    owner = view.owner
    claims = claim(owner, view.resource, view.selector, filter(is_active, view.pods))
    if claims.actions:
        return Plan(claims.actions)
    active = claims.owned
    leaving = [pod for pod in view.pods if is_terminating(pod) and _is_owned(pod, owner) and view.selector.matches(pod.metadata.labels)]
    actions: list[Action] = []
    status = _status(view, active, len(leaving), now)
    if status != owner.status:
        actions.append(Update(object=replace(owner, status=status), subresource="status"))
    if owner.metadata.deletionTimestamp is None:
        held_back = _held_back_until(view, now) if len(active) < (owner.spec.replicas or 0) else None
        if held_back is None:
            actions += _missing(view, active) or _surplus(view, active, now)
    else:
        held_back = None
    times = [time for time in (_next_available(active, owner.spec.minReadySeconds, now), held_back) if time is not None]
    return Plan(tuple(actions), min(times, default=None))


def _held_back_until(view: ReplicaSetView, now: float) -> float | None:
    """When the set may make pods again, of which too many failed as soon as they were made; None: now.

    kube-controller-manager has no such bound but its rate of requests: kubernetes/kubernetes#88851.
    """
    failed = sorted(
        made for pod in view.pods if pod.status.phase == "Failed" and _is_owned(pod, view.owner)
        and (made := timestamps.parse_time(pod.metadata.creationTimestamp or "1970-01-01T00:00:00Z")) > now - FAILED_SECONDS
    )
    most = (view.owner.spec.replicas or 0) + MOST_FAILED
    return failed[-most] + FAILED_SECONDS if len(failed) >= most else None


def _is_owned(pod: Pod, owner: Any) -> bool:
    manager = controller_of(pod)
    return manager is not None and manager.uid == owner.metadata.uid


def _missing(view: ReplicaSetView, active: Sequence[Pod]) -> list[Action]:
    owner = view.owner
    count = min((owner.spec.replicas or 0) - len(active), MOST_AT_ONCE)
    if count <= 0:
        return []
    action = Create(
        object=from_template(view.template, owner, view.resource),
        success=Record(owner, "Normal", "SuccessfulCreate", "Created pod: {name}"),
        failure=Record(owner, "Warning", "FailedCreate", "Error creating: {error}"),
    )
    return [action] * count


def _surplus(view: ReplicaSetView, active: Sequence[Pod], now: float) -> list[Action]:
    owner = view.owner
    count = min(len(active) - (owner.spec.replicas or 0), MOST_AT_ONCE)
    if count <= 0:
        return []
    success = Record(owner, "Normal", "SuccessfulDelete", "Deleted pod: {name}")
    failure = Record(owner, "Warning", "FailedDelete", "Error deleting: {error}")
    return [Delete(object=pod, if_managed=True, success=success, failure=failure) for pod in pods_to_delete(active, count, view.related, now)]


def _next_available(active: Sequence[Pod], min_ready_seconds: int, now: float) -> float | None:
    """When the next pod that is ready will be available."""
    if not min_ready_seconds:
        return None
    times = (available_at(pod, min_ready_seconds) for pod in active)
    return min((time for time in times if time is not None and time > now), default=None)


# Status


def _status(view: ReplicaSetView, active: Sequence[Pod], leaving: int, now: float) -> Any:
    owner, template_labels = view.owner, selectors.from_labels(view.template.metadata.labels)
    ready = available = sum(map(is_ready, active))
    if min_ready_seconds := owner.spec.minReadySeconds:
        times = (available_at(pod, min_ready_seconds) for pod in active)
        available = sum(time is not None and time <= now for time in times)
    status = replace(
        owner.status,
        replicas=len(active),
        fullyLabeledReplicas=sum(template_labels.matches(pod.metadata.labels) for pod in active),
        readyReplicas=ready,
        availableReplicas=available,
        observedGeneration=owner.metadata.generation,
        conditions=_conditions(view, len(active), now),
    )
    return replace(status, terminatingReplicas=leaving) if isinstance(owner, ReplicaSet) else status


def _conditions(view: ReplicaSetView, count: int, now: float) -> tuple[Any, ...]:
    """ReplicaFailure stands from the first failure until there is none, and says what failed first."""
    conditions: tuple[Any, ...] = view.owner.status.conditions
    failure = next((f for f in view.failures if isinstance(f.action, (Create, Delete))), None)
    failing = any(condition.type == REPLICA_FAILURE for condition in conditions)
    if failure is None:
        return tuple(condition for condition in conditions if condition.type != REPLICA_FAILURE) if failing else conditions
    if failing:
        return conditions
    wanted = view.owner.spec.replicas or 0
    return (*conditions, _CONDITIONS[type(view.owner)](
        type=REPLICA_FAILURE, status="True", reason="FailedCreate" if count < wanted else "FailedDelete" if count > wanted else "",
        message=failure.error.message, lastTransitionTime=timestamps.format_time(now),
    ))
