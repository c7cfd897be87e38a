"""Each invariant fails for a sequence of revisions made by hand that breaks it, and for none that Kubernetes allows."""
from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast

import pytest
from msgspec.structs import replace

from kubelet_lite.api.coordination_v1 import Lease, LeaseSpec
from kubelet_lite.api.core_v1 import (
    Namespace,
    NamespaceSpec,
    Node,
    NodeCondition,
    Pod,
    PodCondition,
    ResourceQuota,
    ResourceQuotaStatus,
    Service,
    ServicePort,
    ServiceSpec,
    Taint,
)
from kubelet_lite.api.meta_v1 import LabelSelector, ObjectMeta
from kubelet_lite.api.policy_v1 import PodDisruptionBudget, PodDisruptionBudgetSpec, PodDisruptionBudgetStatus
from kubelet_lite.api.resources import resource_of
from kubelet_lite.controllers.loop import InformersActor
from kubelet_lite.simulation.answers import Compaction, Ended, Got, Listed, Unheard, Wrote
from kubelet_lite.simulation.faults import Hang, Latency, NodeDeath, StopActor
from kubelet_lite.simulation.invariant import InvariantViolated
from kubelet_lite.simulation.invariants import BY_NAME
from kubelet_lite.simulation.running import ContainerBegan, ContainerMade, SandboxBegan, SandboxEnded
from kubelet_lite.simulation.step import Fault
from kubelet_lite.store.event import Event
from kubelet_lite.store.keys import Key
from tests.simulation.handmade import (
    NAMESPACE,
    Told,
    contained,
    deployment,
    endpoint_slice,
    meta,
    node,
    owned_by,
    pod,
    replica_set,
    time_text,
    with_meta,
    with_spec,
    with_status,
)

Story = Callable[[Told], None]
LEGAL: Final[list[tuple[str, Story]]] = []
BROKEN: Final[list[tuple[str, Story]]] = []
CONTROLLER = "deployment-controller"
SET_CONTROLLER = "replicaset-controller"
COLLECTOR = "garbage-collector-controller"


def legal(name: str) -> Callable[[Story], Story]:
    return lambda story: LEGAL.append((name, story)) or story  # type: ignore[func-returns-value]


def broken(name: str) -> Callable[[Story], Story]:
    return lambda story: BROKEN.append((name, story)) or story  # type: ignore[func-returns-value]


def sentence(case: Any) -> str:
    return re.sub("_", " ", case.__name__) if callable(case) else str(case)


# Watches


def selects(obj: Any) -> bool:
    return bool(obj.metadata.labels.get("app") == "web")


WEB: Final = {"app": "web"}
KEY: Final = Key("pods", NAMESPACE, "a")


@legal("Ordered")
@legal("Unique")
@legal("Reliable")
@legal("IsCreate")
@legal("Filter")
@legal("Atomic")
@legal("Resumable")
@legal("PrevKV")
@legal("NoPermanentLoss")
@legal("NoEventBelowRequestedRevision")
@legal("DeleteCarriesDeleteRevision")
def a_watch_is_handed_what_was_written(told: Told) -> None:
    watch = told.watch(Pod)
    watch.waits = True
    one = told.create(pod())
    two = told.update(with_status(one, phase="Running"))
    told.hand(watch, ("ADDED", one), ("MODIFIED", two))
    told.sleep()
    told.hand(watch, ("DELETED", told.delete(two)))
    told.sleep()


@legal("SelectorTransition")
@legal("Filter")
def what_begins_and_ends_to_be_selected_comes_and_goes(told: Told) -> None:
    one = told.create(pod())
    watch = told.watch(Pod, selects=selects)
    two = told.update(with_meta(one, labels=WEB))
    three = told.update(with_meta(two, labels={}))
    told.hand(watch, ("ADDED", two), ("DELETED", with_meta(two, resourceVersion=three.metadata.resourceVersion)))


@legal("ListWatchContinuity")
@legal("NoReplayAfterInit")
@legal("Bookmarkable")
@legal("BookmarkMonotone")
@legal("NoFutureRevision")
def initial_events_then_a_bookmark_then_changes(told: Told) -> None:
    one, two = told.create(pod("a")), told.create(pod("b"))
    watch = told.watch(Pod, initial=True, asked=False)
    told.hand(watch, ("ADDED", two), ("ADDED", one), ("BOOKMARK", bookmark(told.revision, initial_end=True)))
    told.hand(watch, ("DELETED", told.delete(one)), ("BOOKMARK", bookmark(told.revision)), ("BOOKMARK", bookmark(told.revision)))


@legal("GoneOnCompaction")
@legal("NoPermanentLoss")
def a_watch_that_compaction_overtook_ends(told: Told) -> None:
    watch = told.watch(Pod)
    one = told.create(pod())
    told.answer(Compaction(told.revision, "pods", told.revision, {(NAMESPACE, "a"): one}))
    told.answer(Ended(told.revision, watch))
    told.sleep()


@legal("NoPermanentLoss")
def a_reader_that_is_busy_may_be_behind(told: Told) -> None:
    told.watch(Pod)
    told.create(pod())
    told.sleep()


def bookmark(revision: int, *, initial_end: bool = False) -> Pod:
    annotations = {"k8s.io/initial-events-end": "true"} if initial_end else {}
    return Pod(metadata=ObjectMeta(resourceVersion=str(revision), annotations=annotations))


@broken("Filter")
def an_event_of_an_object_that_is_not_selected(told: Told) -> None:
    watch = told.watch(Pod, selects=selects)
    told.hand(watch, ("ADDED", told.create(pod())))


@broken("Ordered")
def an_older_event_after_a_newer_one(told: Told) -> None:
    watch = told.watch(Pod)
    one, two, three = told.create(pod("a")), told.create(pod("b")), told.create(pod("c"))
    told.hand(watch, ("ADDED", one), ("ADDED", two), ("ADDED", one), ("ADDED", three))


@broken("Unique")
def the_same_event_again(told: Told) -> None:
    watch = told.watch(Pod)
    one = told.create(pod())
    told.hand(watch, ("ADDED", one), ("ADDED", one))


@broken("Atomic")
def an_event_of_a_transaction_that_is_open(told: Told) -> None:
    watch = told.watch(Pod)
    told.hand(watch, ("ADDED", told.create(pod())), committed=False)


@broken("Atomic")
def an_event_of_a_transaction_that_was_taken_back(told: Told) -> None:
    watch = told.watch(Pod)
    lost = told.create(pod())
    told.archive.take_back(told.revision - 1)
    told.hand(watch, ("ADDED", lost))


@broken("Bookmarkable")
def a_bookmark_before_an_event_that_it_covers(told: Told) -> None:
    watch = told.watch(Pod)
    told.create(pod())
    told.hand(watch, ("BOOKMARK", bookmark(told.revision)))


@broken("Resumable")
def a_watch_that_misses_its_first_event(told: Told) -> None:
    watch = told.watch(Pod)
    told.create(pod("a"))
    told.hand(watch, ("ADDED", told.create(pod("b"))))


@broken("IsCreate")
def a_new_object_as_modified(told: Told) -> None:
    watch = told.watch(Pod)
    told.hand(watch, ("MODIFIED", told.create(pod())))


@broken("IsCreate")
def a_change_that_claims_to_make_what_was_there(told: Told) -> None:
    one = told.create(pod())
    told.tell(Event(told.revision + 1, KEY, with_meta(one, resourceVersion=str(told.revision + 1)), None))
    told.sleep()


@broken("Reliable")
def an_event_in_the_middle_is_missing(told: Told) -> None:
    watch = told.watch(Pod)
    one, _, three = told.create(pod("a")), told.create(pod("b")), told.create(pod("c"))
    told.hand(watch, ("ADDED", one), ("ADDED", three))


@broken("Reliable")
def another_object_at_the_right_revision(told: Told) -> None:
    watch = told.watch(Pod)
    told.hand(watch, ("ADDED", with_meta(told.create(pod()), uid="another")))


@broken("PrevKV")
def a_change_with_the_wrong_object_before_it(told: Told) -> None:
    one = told.create(pod())
    two = with_meta(one, resourceVersion=str(told.revision + 1))
    told.tell(Event(told.revision + 1, KEY, two, two))
    told.sleep()


@broken("ListWatchContinuity")
def a_watch_from_a_list_that_misses_an_event(told: Told) -> None:
    told.answer(Listed(told.revision, "pods", None, str(told.revision), (), True))
    watch = told.watch(Pod)
    told.create(pod("a"))
    told.hand(watch, ("ADDED", told.create(pod("b"))))


@broken("ListWatchContinuity")
def initial_events_without_one_of_the_objects(told: Told) -> None:
    one, _ = told.create(pod("a")), told.create(pod("b"))
    watch = told.watch(Pod, initial=True, asked=False)
    told.hand(watch, ("ADDED", one), ("BOOKMARK", bookmark(told.revision, initial_end=True)))


@broken("DeleteCarriesDeleteRevision")
def a_deletion_with_the_revision_of_the_change_before(told: Told) -> None:
    one = told.create(pod())
    watch = told.watch(Pod)
    told.delete(one)
    told.hand(watch, ("DELETED", one))


@broken("NoReplayAfterInit")
def an_object_again_that_was_among_the_initial_events(told: Told) -> None:
    one = told.create(pod())
    watch = told.watch(Pod, initial=True, asked=False)
    told.hand(watch, ("ADDED", one), ("BOOKMARK", bookmark(told.revision, initial_end=True)))
    told.hand(watch, ("ADDED", one))


@broken("NoEventBelowRequestedRevision")
def an_event_that_the_watcher_knows_already(told: Told) -> None:
    one = told.create(pod())
    told.hand(told.watch(Pod), ("ADDED", one))


@broken("NoPermanentLoss")
def a_reader_that_waits_is_not_told_of_a_deletion(told: Told) -> None:
    one = told.create(pod())
    watch = told.watch(Pod)
    watch.waits = True
    told.delete(one)
    told.sleep()


@broken("GoneOnCompaction")
def a_watch_goes_on_behind_what_compaction_took(told: Told) -> None:
    watch = told.watch(Pod)
    one = told.create(pod("a"))
    told.answer(Compaction(told.revision, "pods", told.revision, {(NAMESPACE, "a"): one}))
    told.hand(watch, ("ADDED", told.create(pod("b"))))


@broken("SelectorTransition")
def what_begins_to_be_selected_comes_as_modified(told: Told) -> None:
    one = told.create(pod())
    watch = told.watch(Pod, selects=selects)
    told.hand(watch, ("MODIFIED", told.update(with_meta(one, labels=WEB))))


@broken("BookmarkMonotone")
def a_bookmark_that_goes_back(told: Told) -> None:
    watch = told.watch(Pod)
    told.hand(watch, ("ADDED", told.create(pod())), ("BOOKMARK", bookmark(told.revision - 1)))


@broken("NoFutureRevision")
def an_object_that_bears_a_revision_to_come(told: Told) -> None:
    told.tell(Event(2, KEY, with_meta(pod(), resourceVersion="3"), None))
    told.sleep()


# The store


@legal("Linearizable")
@legal("NoFutureRevision")
@legal("RevisionMonotone")
@legal("CompareAndSwapExclusive")
@legal("UidNeverReused")
@legal("CompactionKeepsLive")
def reads_and_writes_of_one_object(told: Told) -> None:
    one = told.create(pod())
    told.answer(Wrote(told.revision, "pods", (NAMESPACE, "a"), one))
    two = with_meta(one, resourceVersion="3")
    told.tell(Event(3, KEY, two, one), expected=2)
    told.answer(Got(3, "pods", (NAMESPACE, "a"), two))
    told.answer(Listed(3, "pods", None, "3", (two,), True))
    told.answer(Listed(3, "pods", None, "2", (one,), True))
    told.answer(Listed(3, "pods", selects, "3", (), True))
    told.answer(Compaction(3, "pods", 3, {(NAMESPACE, "a"): two}))
    gone = with_meta(two, resourceVersion="4")
    told.tell(Event(4, KEY, None, two, gone), expected=3)
    told.answer(Wrote(4, "pods", (NAMESPACE, "a"), gone))
    told.answer(Got(4, "pods", (NAMESPACE, "a"), None))
    told.tell(Event(5, KEY, with_meta(pod(), uid="another", resourceVersion="5"), None), expected=0)
    told.sleep()


@broken("Linearizable")
def a_read_of_what_was(told: Told) -> None:
    one = told.create(pod())
    told.update(one)
    told.answer(Got(told.revision, "pods", (NAMESPACE, "a"), one))


@broken("Linearizable")
def a_list_that_lacks_an_object(told: Told) -> None:
    one, _ = told.create(pod("a")), told.create(pod("b"))
    told.answer(Listed(told.revision, "pods", None, str(told.revision), (one,), True))


@broken("Linearizable")
def a_list_of_an_earlier_revision_that_shows_the_present(told: Told) -> None:
    one = told.create(pod())
    two = told.update(one)
    told.answer(Listed(told.revision, "pods", None, one.metadata.resourceVersion, (two,), True))


@broken("Linearizable")
def a_write_that_was_acknowledged_and_is_not_there(told: Told) -> None:
    one = told.create(pod())
    told.answer(Wrote(told.revision, "pods", (NAMESPACE, "a"), with_meta(one, resourceVersion="1")))


@broken("NoFutureRevision")
def a_list_of_a_revision_to_come(told: Told) -> None:
    told.answer(Listed(1, "pods", None, "9", (), True))


@broken("RevisionMonotone")
def two_changes_at_one_revision(told: Told) -> None:
    for name in ("a", "b"):
        told.tell(Event(2, Key("pods", NAMESPACE, name), with_meta(pod(name), resourceVersion="2", uid=name), None))
    told.sleep()


@broken("CompactionKeepsLive")
def compaction_takes_what_is_there(told: Told) -> None:
    told.create(pod())
    told.answer(Compaction(told.revision, "pods", told.revision, {}))


@broken("CompareAndSwapExclusive")
def a_write_by_one_who_knew_an_older_revision(told: Told) -> None:
    one = told.create(pod())
    two = told.update(one)
    told.tell(Event(4, KEY, with_meta(two, resourceVersion="4"), two), expected=2)
    told.sleep()


@broken("UidNeverReused")
def a_second_object_with_a_known_uid(told: Told) -> None:
    told.create(pod("a"), uid="same")
    told.create(pod("b"), uid="same")
    told.sleep()


@broken("UidNeverReused")
def an_object_that_changes_its_uid(told: Told) -> None:
    told.update(with_meta(told.create(pod()), uid="another"))
    told.sleep()


@legal("NoWriteToCachedObject")
def objects_are_replaced_by_others(told: Told) -> None:
    one = told.create(pod(labels={"app": "web"}))
    told.delete(told.update(with_meta(one, labels={"app": "db"})))
    told.end()


@broken("NoWriteToCachedObject")
def a_label_is_written_into_a_stored_object(told: Told) -> None:
    labels = {"app": "web"}
    told.create(pod(labels=labels))
    told.sleep()
    labels["app"] = "db"
    told.end()


@broken("NoWriteToCachedObject")
def a_stored_object_was_changed_before_it_was_replaced(told: Told) -> None:
    labels = {"app": "web"}
    one = told.create(pod(labels=labels))
    told.sleep()
    labels["new"] = "1"
    told.update(with_meta(one, labels={}))
    told.sleep()


# Scheduling


@legal("BindOnce")
def a_pod_gets_a_node_and_another_one_of_its_name_another(told: Told) -> None:
    one = told.update(with_spec(told.create(pod()), nodeName="node-1"))
    told.delete(with_status(one, phase="Failed"))
    told.update(with_spec(told.create(pod()), nodeName="node-2"))
    told.sleep()


@broken("BindOnce")
def a_pod_moves(told: Told) -> None:
    told.update(with_spec(told.create(pod(node="node-1")), nodeName="node-2"))
    told.sleep()


@legal("NoOvercommit")
def a_node_is_filled_emptied_shrunk_and_filled_again(told: Told) -> None:
    machine = told.create(node(cpu="2"))
    one = bind(told, pod("a", cpu="1500m"))
    told.create(pod("static", cpu="2", node="node-1"))
    told.update(with_status(one, phase="Succeeded"))
    told.update(with_status(machine, allocatable={"cpu": "1", "pods": "110"}))
    bind(told, pod("b", cpu="2"))
    told.sleep()


def bind(told: Told, obj: Pod, actor: str = "default-scheduler") -> Pod:
    return cast(Pod, told.update(with_spec(told.create(obj), nodeName="node-1"), actor))


@broken("NoOvercommit")
def more_cpu_is_bound_than_there_is(told: Told) -> None:
    told.create(node(cpu="2"))
    bind(told, pod("a", cpu="1500m"))
    bind(told, pod("b", cpu="600m"))
    told.sleep()


@broken("NoOvercommit")
def more_pods_are_bound_than_a_node_takes(told: Told) -> None:
    told.create(node(pods="1"))
    bind(told, pod("a"))
    bind(told, pod("b"))
    told.sleep()


# Rollouts


def rollout(told: Told, **what: Any) -> tuple[Any, Any, Any]:
    """Four pods of an old revision are available; the new revision begins."""
    owner = told.create(deployment(**what))
    old = told.create(replica_set("old", owner.spec.replicas, owner, available=owner.spec.replicas), CONTROLLER)
    told.sleep(1_000)
    return owner, old, told.create(replica_set("new", 0, owner), CONTROLLER)


def resize(told: Told, rs: Any, replicas: int, actor: str = CONTROLLER) -> Any:
    return told.update(with_spec(rs, replicas=replicas), actor)


@legal("MaxSurge")
@legal("MaxUnavailable")
def a_rollout_by_the_rules(told: Told) -> None:
    _, old, new = rollout(told)
    new, old = resize(told, new, 1), resize(told, old, 3)
    new = resize(told, new, 2)
    told.sleep()
    new = told.update(with_status(new, availableReplicas=2))
    old = resize(told, old, 1)
    told.sleep()
    resize(told, new, 4)
    told.sleep()


@legal("MaxUnavailable")
def a_node_dies_in_a_rollout_and_what_was_sick_is_cleaned_up(told: Told) -> None:
    _, old, _ = rollout(told)
    old = told.update(with_status(old, availableReplicas=1), "replicaset-controller")
    told.sleep()
    resize(told, old, 1)
    told.sleep()


@legal("MaxUnavailable")
def the_controller_does_not_know_yet_that_a_node_died(told: Told) -> None:
    _, old, _ = rollout(told)
    old = told.update(with_status(old, availableReplicas=3), "replicaset-controller")
    told.sleep()
    resize(told, old, 3)
    told.sleep()


@legal("MaxSurge")
@legal("MaxUnavailable")
def a_deployment_is_made_smaller(told: Told) -> None:
    owner, old, _ = rollout(told)
    told.update(with_spec(owner, replicas=1))
    desired = "deployment.kubernetes.io/desired-replicas"
    told.update(with_meta(with_spec(old, replicas=1), annotations={desired: "1"}), CONTROLLER)
    told.sleep()


@legal("MaxSurge")
def a_user_makes_a_replica_set_larger(told: Told) -> None:
    _, old, new = rollout(told)
    resize(told, old, 9, actor="")
    told.sleep()
    resize(told, new, 1)
    told.sleep()


@legal("MaxUnavailable")
def recreate_promises_nothing(told: Told) -> None:
    _, old, _ = rollout(told, kind="Recreate")
    resize(told, old, 0)
    told.sleep()


@broken("MaxSurge")
def one_pod_too_many(told: Told) -> None:
    _, _, new = rollout(told)
    resize(told, new, 2)
    told.sleep()


@broken("MaxSurge")
def a_percentage_is_rounded_up_twice(told: Told) -> None:
    _, _, new = rollout(told, replicas=10, surge="25%")
    resize(told, new, 4)
    told.sleep()


@broken("MaxUnavailable")
def one_pod_too_few(told: Told) -> None:
    _, old, _ = rollout(told)
    resize(told, old, 2)
    told.sleep()


@broken("MaxUnavailable")
def step_by_step_before_the_new_ones_are_there(told: Told) -> None:
    _, old, new = rollout(told)
    resize(told, new, 1)
    old = resize(told, old, 3)
    told.sleep(60)
    resize(told, old, 2)
    told.sleep()


@legal("NoSurplusPods")
def a_set_has_its_pods_loses_one_and_shrinks(told: Told) -> None:
    one = told.create(replica_set("one", 2, told.create(deployment())))
    told.create(pod("a", owner=one), SET_CONTROLLER)
    gone = told.create(pod("b", owner=one), SET_CONTROLLER)
    told.create(pod("c", owner=one))
    told.update(with_status(gone, phase="Failed"))
    told.update(with_spec(one, replicas=1))
    told.create(pod("d", owner=one), SET_CONTROLLER)
    told.sleep()


@legal("NoSurplusPods")
def the_controller_never_heard_that_it_made_a_pod(told: Told) -> None:
    one = told.create(replica_set("one", 1, told.create(deployment())))
    told.create(pod("a", owner=one), SET_CONTROLLER)
    told.answer(Unheard(told.revision, SET_CONTROLLER))
    told.create(pod("b", owner=one), SET_CONTROLLER)
    told.sleep()


@broken("NoSurplusPods")
def a_pod_is_made_twice(told: Told) -> None:
    one = told.create(replica_set("one", 1, told.create(deployment())))
    for name in ("a", "b"):
        told.create(pod(name, owner=one), SET_CONTROLLER)
    told.sleep()


# Identity


def began(told: Told, one: Pod, kubelet: str = "kubelet-node-1", id: str = "1") -> None:
    told.answer(SandboxBegan(told.revision, kubelet, NAMESPACE, one.metadata.name, one.metadata.uid, id))


@legal("AtMostOnePodPerIdentity")
def a_pod_ends_and_another_one_takes_its_name(told: Told) -> None:
    one = told.create(pod(node="node-1"))
    began(told, one)
    told.answer(SandboxEnded(told.revision, "1"))
    began(told, one, id="2")
    told.answer(SandboxEnded(told.revision, "2"))
    told.delete(one, "kubelet-node-1")
    began(told, told.create(pod(node="node-2")), "kubelet-node-2", "3")


@legal("AtMostOnePodPerIdentity")
def a_pod_that_was_deleted_by_force_still_runs(told: Told) -> None:
    one = told.create(pod(node="node-1"))
    began(told, one)
    told.delete(one)
    began(told, told.create(pod(node="node-2")), "kubelet-node-2", "2")


@broken("AtMostOnePodPerIdentity")
def a_pod_runs_again_after_its_end(told: Told) -> None:
    one = told.create(pod(node="node-1"))
    began(told, one)
    told.answer(SandboxEnded(told.revision, "1"))
    told.delete(one, "kubelet-node-1")
    began(told, one, id="2")


@broken("AtMostOnePodPerIdentity")
def a_kubelet_reports_the_end_of_what_runs(told: Told) -> None:
    one = told.create(pod(node="node-1"))
    began(told, one)
    told.delete(one, "kubelet-node-1")
    began(told, told.create(pod(node="node-2")), "kubelet-node-2", "2")


@broken("AtMostOnePodPerIdentity")
def a_pod_runs_on_two_nodes(told: Told) -> None:
    one = told.create(pod(node="node-1"))
    began(told, one)
    began(told, one, "kubelet-node-2", "2")


# What users limit


def budget(allowed: int, **disrupted: str) -> PodDisruptionBudget:
    return PodDisruptionBudget(
        metadata=meta("web"), spec=PodDisruptionBudgetSpec(selector=LabelSelector(matchLabels=WEB)),
        status=PodDisruptionBudgetStatus(disruptionsAllowed=allowed, disruptedPods=disrupted, currentHealthy=2, desiredHealthy=1),
    )


def evict(told: Told, victim: Pod) -> None:

    condition = PodCondition(type="DisruptionTarget", status="True", reason="EvictionByEvictionAPI")
    told.update(with_status(victim, conditions=(*victim.status.conditions, condition)))


@legal("PDBNeverExceeded")
def an_eviction_that_is_counted_and_others_that_need_not_be(told: Told) -> None:
    told.create(budget(1))
    one, two, three = told.create(pod("a", ready=True, labels=WEB)), told.create(pod("b", labels=WEB)), told.create(pod("c", ready=True))
    told.update(budget(0, a=time_text(told)))
    evict(told, one)
    evict(told, two)
    evict(told, three)
    told.update(replace(budget(1), metadata=meta("web")))
    told.sleep()


@broken("PDBNeverExceeded")
def an_eviction_that_the_budget_does_not_know_of(told: Told) -> None:
    told.create(budget(1))
    evict(told, told.create(pod("a", ready=True, labels=WEB)))
    told.sleep()


@broken("PDBNeverExceeded")
def an_eviction_that_a_budget_counts_and_does_not_subtract(told: Told) -> None:
    told.create(budget(1))
    told.update(budget(1, a=time_text(told)))
    told.sleep()


@broken("PDBNeverExceeded")
def an_eviction_that_was_not_allowed(told: Told) -> None:
    told.create(budget(0))
    told.update(budget(-1, a=time_text(told)))
    told.sleep()


def quota(used: str, hard: str = "2") -> ResourceQuota:
    return ResourceQuota(metadata=meta("q"), status=ResourceQuotaStatus(hard={"pods": hard}, used={"pods": used}))


@legal("QuotaNeverExceeded")
def what_is_created_is_counted_and_a_limit_may_be_lowered(told: Told) -> None:
    told.create(quota("0"))
    for number, name in enumerate(("a", "b"), 1):
        told.update(quota(str(number)))
        told.create(pod(name))
    told.update(quota("2", hard="1"))
    told.create(node())
    told.sleep()


@broken("QuotaNeverExceeded")
def a_pod_that_is_not_counted(told: Told) -> None:
    told.create(quota("0"))
    told.create(node())
    told.create(pod())
    told.sleep()


@broken("QuotaNeverExceeded")
def a_count_above_the_limit(told: Told) -> None:
    told.create(quota("2"))
    told.update(quota("3"))
    told.sleep()


# Services


def service(name: str, ip: str = "10.96.0.1", *ports: ServicePort, **spec: Any) -> Service:
    return Service(metadata=meta(name), spec=ServiceSpec(clusterIP=ip, clusterIPs=(ip,), ports=ports, selector=WEB, **spec))


@legal("UniqueClusterIP")
@legal("UniqueNodePort")
def an_address_and_a_port_change_hands(told: Told) -> None:
    tcp, udp = ServicePort(port=1, nodePort=30000, protocol="TCP"), ServicePort(port=1, nodePort=30000, protocol="UDP")
    told.delete(told.create(service("a", "10.96.0.1", tcp, udp)))
    told.create(service("b", "10.96.0.1", tcp))
    told.create(service("c", "None"))
    told.create(service("d", "None"))
    told.sleep()


@broken("UniqueClusterIP")
def two_services_with_one_address(told: Told) -> None:
    told.create(service("a"))
    told.create(service("b"))
    told.sleep()


@broken("UniqueNodePort")
def two_services_with_one_node_port(told: Told) -> None:
    for name in ("a", "b"):
        told.create(service(name, "None", ServicePort(port=1, nodePort=30000)))
    told.sleep()


@legal("UniquePodIP")
def an_address_is_used_again_and_a_status_is_a_little_late(told: Told) -> None:
    one = told.create(pod("a", ip="10.0.0.1", phase="Running"))
    told.create(pod("b", ip="10.0.0.1", phase="Running"))
    told.sleep(100)
    told.update(with_status(one, phase="Failed"))
    told.sleep(1_000)
    told.create(pod("c"))
    told.rest()


@broken("UniquePodIP")
def two_pods_with_one_address_for_long(told: Told) -> None:
    for name in ("a", "b"):
        told.create(pod(name, ip="10.0.0.1", phase="Running"))
    told.sleep(301)
    told.create(pod("c"))
    told.sleep()


@broken("UniquePodIP")
def two_pods_with_one_address_at_rest(told: Told) -> None:
    for name in ("a", "b"):
        told.create(pod(name, ip="10.0.0.1", phase="Running"))
    told.rest()


@legal("EndpointsSubsetOfReadyPods")
@legal("EndpointConditionsAgree")
def a_slice_follows_its_pod_a_little_late(told: Told) -> None:
    told.create(service("web"))
    one = told.create(pod(ready=True))
    slice_ = told.create(endpoint_slice("web", one))
    told.update(with_status(one, conditions=()))
    told.sleep(4)
    told.update(replace(endpoint_slice("web", one, ready=False), metadata=slice_.metadata))
    told.sleep(1_000)
    told.rest()


@legal("EndpointsSubsetOfReadyPods")
@legal("EndpointConditionsAgree")
def a_slice_may_be_late_for_as_long_as_a_fault_strikes_its_controller(told: Told) -> None:
    a_pod_begins_to_go(told, Latency(part="*-controller", seconds=1_000))


@broken("EndpointsSubsetOfReadyPods")
@broken("EndpointConditionsAgree")
def a_fault_that_strikes_somebody_else_is_no_excuse(told: Told) -> None:
    a_pod_begins_to_go(told, Latency(part="default-scheduler", seconds=1_000))


@broken("EndpointsSubsetOfReadyPods")
@broken("EndpointConditionsAgree")
def nor_is_what_befalls_containers(told: Told) -> None:
    a_pod_begins_to_go(told, Hang(seconds=1_000))


def a_pod_begins_to_go(told: Told, fault: Fault) -> None:
    """It takes its time, and its slice does not follow."""
    told.disturb(fault)
    told.create(service("web"))
    one = told.create(pod(ready=True))
    told.create(endpoint_slice("web", one))
    told.update(with_meta(one, deletionTimestamp=time_text(told)))
    told.sleep(20)
    told.create(pod("b"))
    told.sleep()


@broken("EndpointConditionsAgree")
def an_endpoint_that_is_not_said_to_terminate(told: Told) -> None:
    told.create(service("web"))
    told.create(endpoint_slice("web", told.create(pod(ready=True, deletionTimestamp=time_text(told))), ready=False, serving=True))
    told.rest()


@legal("EndpointConditionsAgree")
def an_endpoint_that_terminates_serves_and_is_not_ready(told: Told) -> None:
    told.create(service("web"))
    one = told.create(pod(ready=True, deletionTimestamp=time_text(told)))
    told.create(endpoint_slice("web", one, ready=False, serving=True, terminating=True))
    told.rest()


@legal("EndpointsSubsetOfReadyPods")
def a_service_that_publishes_what_is_not_ready(told: Told) -> None:
    told.create(service("web", publishNotReadyAddresses=True))
    told.create(endpoint_slice("web", told.create(pod())))
    told.rest()


@broken("EndpointsSubsetOfReadyPods")
def an_endpoint_of_a_pod_that_is_gone(told: Told) -> None:
    told.create(service("web"))
    one = told.create(pod(ready=True))
    told.create(endpoint_slice("web", one))
    told.delete(one)
    told.sleep(20)
    told.create(pod("b"))
    told.sleep()


@broken("EndpointsSubsetOfReadyPods")
def an_endpoint_of_a_pod_that_is_not_ready_at_rest(told: Told) -> None:
    told.create(service("web"))
    told.create(endpoint_slice("web", told.create(pod())))
    told.rest()


# Owners


@legal("LiveOwnerNeverCollected")
@legal("OrphanNeverDeleted")
@legal("OwnerDeletedImpliesCollected")
def what_belongs_to_nobody_is_collected(told: Told) -> None:
    owner = told.create(deployment())
    one = told.create(replica_set("one", 1, owner))
    child = told.create(pod(owner=one))
    told.delete(owner)
    told.delete(one, COLLECTOR)
    told.delete(child, COLLECTOR)
    told.rest()


@legal("LiveOwnerNeverCollected")
def an_owner_in_foreground_deletion_waits(told: Told) -> None:
    owner = told.create(deployment())
    one = told.create(replica_set("one", 1, owner))
    told.update(with_meta(owner, deletionTimestamp=time_text(told), finalizers=("foregroundDeletion",)))
    told.delete(one, COLLECTOR)
    told.sleep()


@broken("LiveOwnerNeverCollected")
def an_object_with_an_owner_is_collected(told: Told) -> None:
    owner = told.create(deployment())
    told.delete(told.create(replica_set("one", 1, owner)), COLLECTOR)
    told.sleep()


@broken("LiveOwnerNeverCollected")
def an_object_with_one_owner_of_two_is_collected(told: Told) -> None:
    owner = told.create(deployment())
    other = with_meta(deployment(), uid="gone")
    references = (owned_by(other, controller=False), owned_by(owner))
    told.delete(told.create(with_meta(replica_set("one", 1, owner), ownerReferences=references)), COLLECTOR)
    told.sleep()


@legal("OrphanNeverDeleted")
def a_controller_deletes_what_it_manages_and_others_what_they_like(told: Told) -> None:
    one = told.create(replica_set("one", 1, told.create(deployment())))
    told.delete(told.create(pod("a", owner=one)), "replicaset-controller")
    told.delete(told.create(pod("b")), "taint-eviction-controller")
    told.sleep()


@broken("OrphanNeverDeleted")
def a_controller_deletes_a_pod_that_was_taken_from_it(told: Told) -> None:
    one = told.create(replica_set("one", 1, told.create(deployment())))
    child = told.create(pod(owner=one))
    told.delete(told.update(with_meta(child, ownerReferences=())), "replicaset-controller")
    told.sleep()


@broken("OwnerDeletedImpliesCollected")
def an_object_outlives_its_owner(told: Told) -> None:
    owner = told.create(deployment())
    told.create(replica_set("one", 1, owner))
    told.delete(owner)
    told.rest()


@legal("FinalizersRespected")
def a_finalizer_goes_before_its_object(told: Told) -> None:
    one = told.create(pod(finalizers=("example.com/f",)))
    marked = told.update(with_meta(one, deletionTimestamp=time_text(told)))
    told.delete(with_meta(marked, finalizers=()))
    told.sleep()


@broken("FinalizersRespected")
def an_object_goes_with_its_finalizer(told: Told) -> None:
    told.delete(told.create(pod(finalizers=("example.com/f",), deletionTimestamp=time_text(told))))
    told.sleep()


@broken("FinalizersRespected")
def an_object_goes_at_once_with_a_finalizer_that_is_dropped(told: Told) -> None:
    told.delete(with_meta(told.create(pod(finalizers=("example.com/f",))), finalizers=()))
    told.sleep()


@legal("NoStuckFinalizer")
def a_users_finalizer_keeps_an_object(told: Told) -> None:
    told.create(pod(finalizers=("example.com/f",), deletionTimestamp=time_text(told)))
    told.rest()


@broken("NoStuckFinalizer")
def foreground_deletion_without_an_end(told: Told) -> None:
    told.create(with_meta(deployment(), finalizers=("foregroundDeletion",), deletionTimestamp=time_text(told)))
    told.rest()


@broken("NoStuckFinalizer")
def a_namespace_without_an_end(told: Told) -> None:
    told.create(Namespace(metadata=ObjectMeta(name="n", deletionTimestamp=time_text(told)), spec=NamespaceSpec(finalizers=("kubernetes",))))
    told.rest()


@legal("NamespaceEmptyWhenGone")
def a_namespace_goes_last(told: Told) -> None:
    namespace = told.create(Namespace(metadata=ObjectMeta(name=NAMESPACE)))
    told.delete(told.create(pod()))
    told.delete(namespace)
    told.rest()


@broken("NamespaceEmptyWhenGone")
def a_namespace_goes_with_a_pod_in_it(told: Told) -> None:
    namespace = told.create(Namespace(metadata=ObjectMeta(name=NAMESPACE)))
    told.create(pod())
    told.delete(namespace)
    told.sleep()


@broken("NamespaceEmptyWhenGone")
def a_pod_comes_when_its_namespace_is_gone(told: Told) -> None:
    told.create(pod())
    told.rest()


@legal("GenerationMovesWithSpecOnly")
def a_generation_counts_what_is_wanted(told: Told) -> None:
    one = told.create(deployment())
    two = told.update(with_status(one, replicas=3))
    three = told.update(with_meta(with_spec(two, replicas=9), generation=2))
    told.update(with_meta(three, generation=3, deletionTimestamp=time_text(told)))
    told.update(with_spec(told.create(pod(generation=1)), nodeName="node-1"))
    told.update(with_spec(told.create(node()), unschedulable=True))
    told.sleep()


@broken("GenerationMovesWithSpecOnly")
def a_status_moves_the_generation(told: Told) -> None:
    told.update(with_meta(with_status(told.create(deployment()), replicas=3), generation=2))
    told.sleep()


@broken("GenerationMovesWithSpecOnly")
def a_spec_does_not_move_the_generation(told: Told) -> None:
    told.update(with_spec(told.create(deployment()), replicas=9))
    told.sleep()


@broken("GenerationMovesWithSpecOnly")
def a_generation_goes_back(told: Told) -> None:
    told.update(with_meta(with_spec(told.create(deployment()), replicas=9), generation=0))
    told.sleep()


@legal("NoPodOnDeletedNode")
def a_pod_outlives_its_node_for_a_while(told: Told) -> None:
    machine = told.create(node())
    one = told.create(pod(node="node-1"))
    told.delete(machine)
    told.sleep(100)
    told.delete(one)
    told.rest()


@broken("NoPodOnDeletedNode")
def a_pod_outlives_its_node(told: Told) -> None:
    machine = told.create(node())
    told.create(pod(node="node-1"))
    told.delete(machine)
    told.rest()


def taint(machine: Node) -> Node:
    return cast(Node, with_spec(machine, taints=(Taint(key="t", effect="NoExecute"),)))


@legal("EvictionNeedsTaint")
def pods_are_evicted_from_a_tainted_node_and_a_moment_later(told: Told) -> None:
    machine = told.create(taint(node()))
    one, two, three = (told.create(pod(name, node="node-1")) for name in "abc")
    told.delete(one, "taint-eviction-controller")
    told.update(with_spec(machine, taints=()))
    told.delete(two, "taint-eviction-controller")
    told.sleep(60)
    told.delete(three)
    told.sleep()


@broken("EvictionNeedsTaint")
def a_pod_is_evicted_though_the_taint_is_gone(told: Told) -> None:
    told.update(with_spec(told.create(taint(node())), taints=()))
    one = told.create(pod(node="node-1"))
    told.sleep(60)
    told.delete(one, "taint-eviction-controller")
    told.sleep()


# Liveness


@legal("NoHotLoop")
def a_part_writes_every_second_and_a_controller_makes_many_pods_at_once(told: Told) -> None:
    one = told.create(replica_set("one", 300, told.create(deployment(300))))
    for number in range(300):
        told.create(pod(f"pod-{number}", owner=one), "replicaset-controller")
    status = told.create(pod("b"))
    for number in range(200):
        status = told.update(with_status(status, message=str(number)), "kubelet-node-1")
        told.sleep(1)


@broken("NoHotLoop")
def a_part_writes_without_a_pause(told: Told) -> None:
    status = told.create(pod())
    for number in range(200):
        status = told.update(with_status(status, message=str(number)), "kubelet-node-1")
        told.sleep(0.1)


@broken("NoHotLoop")
def pods_that_are_rejected_are_made_again_without_a_pause(told: Told) -> None:
    one = told.create(replica_set("one", 1, told.create(deployment(1))))
    for number in range(200):
        told.create(pod(f"pod-{number}", owner=one, phase="Failed"), "replicaset-controller")
        told.sleep(0.1)


@legal("QueueDrains")
def parts_that_wait_for_a_time(told: Told) -> None:
    told.rest({"deployment-controller": {"ready": 0, "busy": 0, "later": 3}, "kubelet-node-1": {"pods": 3, "marked": 0}})


@broken("QueueDrains")
def a_key_that_is_busy_for_ever(told: Told) -> None:
    told.rest({"deployment-controller": {"ready": 0, "busy": 1}})


def informers(*objects: Any) -> InformersActor:
    informer = SimpleNamespace(resource=resource_of(Pod), is_whole=True, name="informer pods", list=lambda: list(objects))
    return InformersActor(cast(Any, SimpleNamespace(all=lambda: [informer])))


@legal("CacheConverges")
def a_cache_that_has_what_there_is(told: Told) -> None:
    told.create(node())
    one = told.create(pod(node="node-1"))
    told.rest({"kubelet-node-1": {"pods": 1}, "default-scheduler": {"nodes": 1, "assumed": 0, "placed": 1}}, [informers(one)])


@broken("CacheConverges")
def a_cache_that_keeps_what_was_deleted(told: Told) -> None:
    one = told.create(pod())
    told.delete(one)
    told.rest(running=[informers(one)])


@broken("CacheConverges")
def a_cache_that_missed_a_change(told: Told) -> None:
    one = told.create(pod())
    told.update(one)
    told.rest(running=[informers(one)])


@broken("CacheConverges")
def a_kubelet_that_keeps_a_pod(told: Told) -> None:
    told.rest({"kubelet-node-1": {"pods": 1}})


@broken("CacheConverges")
def a_scheduler_that_assumes_for_ever(told: Told) -> None:
    told.rest({"default-scheduler": {"nodes": 0, "assumed": 1, "placed": 0}})


# Silent nodes


@legal("NoReadyPodOnSilentNode")
def a_node_that_falls_silent_becomes_unknown_and_its_pods_unready(told: Told) -> None:
    one, there = a_silent_node(told, 52)
    told.update(with_status(there, conditions=(NodeCondition(type="Ready", status="Unknown"),)), "node-controller")
    told.sleep(2)
    told.update(with_status(one, conditions=()), "node-controller")
    told.sleep(100)
    told.create(pod("b"))
    told.end()


@legal("NoReadyPodOnSilentNode")
def a_node_whose_lease_is_renewed(told: Told) -> None:
    a_silent_node(told, 40)
    told.create(lease(told))
    told.sleep(40)
    told.create(pod("b"))


@legal("NoReadyPodOnSilentNode")
def a_silent_node_whose_controller_is_away(told: Told) -> None:
    told.disturb(StopActor(part="node-controller", seconds=1_000))
    a_silent_node(told, 200)
    told.create(pod("b"))


@broken("NoReadyPodOnSilentNode")
def a_silent_node_that_stays_ready(told: Told) -> None:
    told.disturb(NodeDeath(part="kubelet-node-1", seconds=1_000))
    a_silent_node(told, 60)
    told.create(pod("b"))
    told.sleep()


@broken("NoReadyPodOnSilentNode")
def a_pod_that_stays_ready_on_a_silent_node(told: Told) -> None:
    _, there = a_silent_node(told, 50)
    told.update(with_status(there, conditions=(NodeCondition(type="Ready", status="Unknown"),)), "node-controller")
    told.sleep(10)
    told.create(pod("b"))
    told.sleep()


def a_silent_node(told: Told, seconds: float) -> tuple[Pod, Node]:
    """With a pod that is ready; nothing is heard of it for so long."""
    there = told.create(node())
    one = told.create(pod(node="node-1", ready=True))
    told.sleep(seconds)
    return one, there


def lease(told: Told) -> Lease:
    return Lease(metadata=ObjectMeta(name="node-1", namespace="kube-node-lease"), spec=LeaseSpec(renewTime=time_text(told)))


# Statuses


KUBELET: Final = "kubelet-node-1"


@legal("RestartsCounted")
def a_container_that_exits_and_is_made_anew(told: Told) -> None:
    one = told.create(pod(node="node-1"), uid="uid-a")
    for number, id in enumerate(("one", "two")):
        told.answer(ContainerMade(told.revision, "uid-a", "c"))
        told.answer(ContainerBegan(told.revision, "uid-a", "c"))
        one = told.update(contained(one, restarts=number, id=id), KUBELET)
        one = told.update(contained(one, restarts=number, id=id, ready=False), KUBELET)
    told.rest()


@legal("ReadyMeansContainersReady")
def a_pod_that_is_ready_with_its_containers(told: Told) -> None:
    one = told.update(contained(told.create(pod(ready=True))), KUBELET)
    told.update(contained(with_status(one, conditions=()), ready=False), KUBELET)
    told.sleep()


@legal("ReadyMeansContainersReady")
def what_others_say_of_a_pod_is_not_its_kubelets(told: Told) -> None:
    told.create(pod(ready=True), "somebody")


@broken("ReadyMeansContainersReady")
def a_pod_that_is_ready_without_its_containers(told: Told) -> None:
    told.update(contained(told.create(pod(ready=True)), ready=False), KUBELET)
    told.sleep()


@broken("ReadyMeansContainersReady")
def containers_that_are_ready_without_being_so(told: Told) -> None:
    told.update(contained(told.create(pod()), ready=False, containers_ready=True), KUBELET)
    told.sleep()


@legal("RestartsCounted")
def a_pod_that_was_there_before_and_a_container_that_could_not_be_started(told: Told) -> None:
    one = told.create(contained(pod(), restarts=3), uid="uid-a")
    told.update(one, KUBELET)
    told.answer(ContainerMade(told.revision, "uid-a", "c"))
    told.update(contained(one, restarts=4, id="two"), KUBELET)
    told.rest()


@broken("RestartsCounted")
def a_count_of_restarts_that_falls(told: Told) -> None:
    one = told.update(contained(told.create(pod()), restarts=3), KUBELET)
    told.update(contained(one, restarts=2, id="two"), KUBELET)
    told.sleep()


@broken("RestartsCounted")
def a_restart_that_is_not_counted(told: Told) -> None:
    one = told.update(contained(told.create(pod()), restarts=1), KUBELET)
    told.update(contained(one, restarts=1, id="two"), KUBELET)
    told.sleep()


@broken("RestartsCounted")
def a_count_that_rises_by_itself(told: Told) -> None:
    one = told.update(contained(told.create(pod()), restarts=1), KUBELET)
    told.update(contained(one, restarts=2), KUBELET)
    told.sleep()


@broken("RestartsCounted")
def restarts_that_nobody_saw_and_nobody_counted(told: Told) -> None:
    one = told.create(pod(), uid="uid-a")
    for _ in range(3):
        told.answer(ContainerMade(told.revision, "uid-a", "c"))
        told.answer(ContainerBegan(told.revision, "uid-a", "c"))
    told.update(contained(one, restarts=1), KUBELET)
    told.rest()


@broken("RestartsCounted")
def restarts_that_were_none(told: Told) -> None:
    one = told.create(pod(), uid="uid-a")
    told.answer(ContainerMade(told.revision, "uid-a", "c"))
    told.update(contained(one, restarts=1), KUBELET)
    told.rest()


@legal("ObservedGenerationIsTrue")
def a_deployment_that_is_rolled_out(told: Told) -> None:
    owner = told.create(deployment(2))
    told.create(replica_set("one", 2, owner, available=2))
    told.update(with_status(owner, replicas=2, updatedReplicas=2, availableReplicas=2, observedGeneration=1), CONTROLLER)


@broken("ObservedGenerationIsTrue")
def a_status_of_a_generation_to_come(told: Told) -> None:
    told.update(with_status(told.create(deployment(2)), observedGeneration=2), CONTROLLER)
    told.sleep()


@broken("ObservedGenerationIsTrue")
def a_status_that_goes_back(told: Told) -> None:
    one = told.update(with_meta(with_status(told.create(deployment(2)), observedGeneration=2), generation=2), CONTROLLER)
    told.update(with_status(one, observedGeneration=1), CONTROLLER)
    told.sleep()


@broken("ObservedGenerationIsTrue")
def a_deployment_that_is_rolled_out_in_its_status_alone(told: Told) -> None:
    owner = told.create(deployment(2))
    told.create(replica_set("one", 2, owner, available=2, image="old"))
    told.create(replica_set("two", 1, owner, available=1))
    told.update(with_status(owner, replicas=2, updatedReplicas=2, availableReplicas=2, observedGeneration=1), CONTROLLER)
    told.sleep()


# The tests


@pytest.mark.parametrize(("name", "story"), LEGAL, ids=sentence)
def test_what_kubernetes_allows_is_no_violation(name: str, story: Story) -> None:
    story(Told(name))


@pytest.mark.parametrize(("name", "story"), BROKEN, ids=sentence)
def test_what_breaks_a_rule_is_found_under_its_name(name: str, story: Story) -> None:
    with pytest.raises(InvariantViolated) as found:
        story(Told(name))
    assert found.value.invariant == name
    assert found.value.why


def test_every_invariant_is_shown_to_hold_and_to_fail() -> None:
    assert {name for name, _ in LEGAL} == set(BY_NAME)
    assert {name for name, _ in BROKEN} == set(BY_NAME)


def test_the_docs_have_a_row_for_every_invariant() -> None:
    docs = (Path(__file__).parents[2] / "docs" / "simulation.md").read_text()
    assert {name for name in BY_NAME if f"| `{name}` |" not in docs} == set()
