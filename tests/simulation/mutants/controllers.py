"""Bugs of controllers: ReplicaSets, Deployments, endpoints, the garbage collector, namespaces."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from kubelet_lite.api.errors import ApiError
from kubelet_lite.client.base import Preconditions
from kubelet_lite.controllers import carry_out, garbage_collector, pod_gc, replicaset
from kubelet_lite.controllers.base import NOTHING, Delete, Plan, controller_of
from kubelet_lite.controllers.deployment import amounts, draft, rolling
from kubelet_lite.controllers.endpoints import backends, slices
from kubelet_lite.controllers.garbage_collector import GarbageCollector
from kubelet_lite.controllers.namespace import NamespaceController
from kubelet_lite.controllers.own_writes import OwnWrites
from kubelet_lite.controllers.work_queue import WorkQueue
from kubelet_lite.simulation.faults.actors import CrashAfterWrite
from kubelet_lite.simulation.faults.api import ApiErrors
from kubelet_lite.simulation.faults.nodes import StopActor
from kubelet_lite.simulation.faults.watches import DelayedWatches, StaleCache
from kubelet_lite.simulation.step import Step
from tests.simulation.mix import standard_mix
from tests.simulation.mutants import scenarios
from tests.simulation.mutants.faults import drawn
from tests.simulation.mutants.mutant import MIXED, mutant

INFORMERS = "controllers' informers"
STABLE = ("EventuallyStable",)


@drawn
def slow_informers(random: Random) -> Sequence[Step]:
    return [
        DelayedWatches(at=random.uniform(0, 50), seconds=random.uniform(5, 20), part=INFORMERS, delay_seconds=random.uniform(0.5, 3), may_miss=True)
        for _ in range(3)
    ]


@mutant("2", scenarios.grows, "NoSurplusPods", faults=slow_informers)
def a_key_is_planned_again_before_its_own_writes_are_seen(patch: pytest.MonkeyPatch) -> None:  # k#129795
    patch.setattr(OwnWrites, "when_seen", lambda self, outcome, then: then())


@mutant("4", scenarios.theft, "OrphanNeverDeleted")
def a_pod_that_was_given_up_is_deleted(patch: pytest.MonkeyPatch) -> None:  # k#138818
    def plan(view: Any, now: float) -> Plan:
        made = real_plan(view, now)
        prefix = f"{view.owner.metadata.name}-"
        lost = [p for p in view.pods if controller_of(p) is None and p.metadata.name.startswith(prefix) and p.metadata.deletionTimestamp is None]
        return replace(made, actions=(*made.actions, *(Delete(object=pod) for pod in lost)))

    patch.setattr(replicaset, "plan", plan)


real_plan = replicaset.plan


@drawn
def stale_pods_at_the_theft(random: Random) -> Sequence[Step]:
    return [StaleCache(at=random.uniform(10, 20), seconds=random.uniform(5, 20), part=INFORMERS, resources=("pods",), may_miss=True)]


@mutant("4", scenarios.stolen_and_shrunk, "OrphanNeverDeleted", faults=stale_pods_at_the_theft)
def a_pod_is_deleted_on_hearsay(patch: pytest.MonkeyPatch) -> None:  # k#138818: nobody asks whose it is now
    patch.setattr(carry_out, "Preconditions", lambda uid=None, resource_version=None: Preconditions(uid=uid))


@mutant("15", scenarios.theft, "EventuallyStable")
def a_counter_of_the_status_becomes_negative(patch: pytest.MonkeyPatch) -> None:  # k#58347
    def status(view: Any, active: Any, leaving: int, now: float) -> Any:
        made = real_status(view, active, leaving, now)
        return replace(made, readyReplicas=made.readyReplicas - made.replicas, availableReplicas=made.availableReplicas - made.replicas)

    patch.setattr(replicaset, "_status", status)


real_status = replicaset._status


@mutant("16", scenarios.two_images, "EventuallyStable", "NoHotLoop")
def templates_collide_and_nobody_counts_it(patch: pytest.MonkeyPatch) -> None:  # k#29735
    patch.setattr(draft, "template_hash", lambda template, collision_count=None: "5d4f8c7b9")


@mutant("17", scenarios.two_images, "MaxSurge")
def the_surge_forgets_older_revisions(patch: pytest.MonkeyPatch) -> None:  # k#22719
    patch.setattr(amounts, "new_size", lambda deployment, sets, new: amounts.replicas_of(deployment))


@mutant("17", scenarios.two_images, "MaxUnavailable")
def old_revisions_shrink_before_the_new_one_is_available(patch: pytest.MonkeyPatch) -> None:  # k#22719
    patch.setattr(rolling, "_available", lambda rs: amounts.replicas_of(rs))


@mutant("17", scenarios.sick_rollout, "EventuallyStable")
def a_rollout_waits_for_old_pods_that_never_get_ready(patch: pytest.MonkeyPatch) -> None:  # k#136774
    patch.setattr(rolling, "_not_available", lambda rs: 0)


@mutant("19", scenarios.slices, "EventuallyStable")
def nobody_looks_at_slices_that_others_change(patch: pytest.MonkeyPatch) -> None:  # k#85353
    patch.setattr(slices, "services_of_slice", lambda change, manager: iter(()))


@mutant("20", scenarios.slices, "EventuallyStable", "QueueDrains", "EndpointsSubsetOfReadyPods")
def a_deletion_of_its_own_is_never_seen(patch: pytest.MonkeyPatch) -> None:  # k#141593
    def when_seen(self: OwnWrites, outcome: Any, then: Any) -> None:
        if not any(type(obj).__name__ == "EndpointSlice" and obj.metadata.generation > 1 for obj in outcome.written):
            real_when_seen(self, outcome, then)

    patch.setattr(OwnWrites, "when_seen", when_seen)


real_when_seen = OwnWrites.when_seen


@mutant("21", scenarios.shrinks_behind_a_service, "EventuallyStable", "EndpointsSubsetOfReadyPods")
def an_endpoint_outlives_its_pod(patch: pytest.MonkeyPatch) -> None:  # k#47597
    def services_of(services: Any, change: Any) -> Iterator[Any]:
        return iter(()) if change.new is None or change.new.metadata.deletionTimestamp is not None else real_services_of(services, change)

    patch.setattr(backends, "services_of", services_of)


real_services_of = backends.services_of


@mutant("20", scenarios.rollout, "EndpointsSubsetOfReadyPods", faults=standard_mix, setting=MIXED)
def a_terminating_pod_stays_ready_in_its_slices(patch: pytest.MonkeyPatch) -> None:  # k#108779
    def endpoint(view: Any, pod: Any, addresses: Any) -> Any:
        made = real_endpoint(view, pod, addresses)
        conditions = made.conditions
        return replace(made, conditions=replace(conditions, ready=bool(conditions.ready or conditions.serving)))

    patch.setattr(slices, "_endpoint", endpoint)


real_endpoint = slices._endpoint


@drawn
def slow_set_controller(random: Random) -> Sequence[Step]:
    return [StopActor(at=random.uniform(29, 30), seconds=random.uniform(2, 6), part="replicaset-controller")]


@mutant("17", scenarios.shrinks_in_a_rollout, "MaxUnavailable", faults=slow_set_controller)
def what_a_set_said_before_it_shrank_is_believed(patch: pytest.MonkeyPatch) -> None:  # k#22719: observedGeneration is not looked at
    patch.setattr(rolling, "_available", lambda rs: rs.status.availableReplicas)


@drawn
def set_controller_errors(random: Random) -> Sequence[Step]:
    return [ApiErrors(at=random.uniform(40, 44.9), seconds=random.uniform(5, 20), part="replicaset-controller")]


@mutant("client-go's contract", scenarios.grows, *STABLE, faults=set_controller_errors)
def a_key_that_failed_three_times_is_given_up(patch: pytest.MonkeyPatch) -> None:
    def retry(self: WorkQueue[Any], key: Any) -> float:
        failures, _ = self._back_offs.get(key, (0, 0.0))
        if failures < 3:
            return real_retry(self, key)
        self.forget(key)
        return 0.0

    patch.setattr(WorkQueue, "retry", retry)


real_retry = WorkQueue.retry


@mutant("4", scenarios.gives_its_pods_up, "AssertionError")
def an_owner_that_is_being_deleted_adopts(patch: pytest.MonkeyPatch) -> None:  # neither what is cached nor what there is now is looked at
    def claim(owner: Any, *more: Any) -> Any:
        made = real_claim(replace(owner, metadata=replace(owner.metadata, deletionTimestamp=None)), *more)
        return replace(made, actions=tuple(replace(action, if_alive=None) for action in made.actions))

    patch.setattr(replicaset, "claim", claim)


real_claim = replicaset.claim


@mutant("9", scenarios.owners, "LiveOwnerNeverCollected")
def an_owner_that_is_absent_under_one_name_is_absent_under_all(patch: pytest.MonkeyPatch) -> None:  # k#65200
    async def owner_states(self: GarbageCollector, obj: Any) -> Any:
        absent = self.__dict__.setdefault("absent", set())
        states = await real_owner_states(self, obj)
        absent.update(uid for uid, state in states.items() if state == "absent")
        return {uid: "absent" if uid in absent else state for uid, state in states.items()}

    def look_at(self: GarbageCollector, resource: Any, obj: Any) -> None:
        if obj.metadata.ownerReferences:
            self._queue.add(garbage_collector.Item(resource.qualified, obj.metadata.namespace, obj.metadata.name))
        real_look_at(self, resource, obj)

    def changed(self: GarbageCollector, resource: Any, changes: Any) -> None:
        real_changed(self, resource, changes)
        for change in changes:
            if change.new is not None:
                look_at(self, resource, change.new)

    patch.setattr(GarbageCollector, "_owner_states", owner_states)
    patch.setattr(GarbageCollector, "_look_at", look_at)
    patch.setattr(GarbageCollector, "_changed", changed)


real_owner_states = GarbageCollector._owner_states
real_look_at = GarbageCollector._look_at
real_changed = GarbageCollector._changed


@drawn
def collector_away(random: Random) -> Sequence[Step]:
    return [StopActor(at=random.uniform(0, 70), seconds=random.uniform(10, 40), part="garbage-collector-controller")]


@mutant("10", scenarios.owners, "OwnerDeletedImpliesCollected", faults=collector_away)
def what_was_orphaned_while_the_collector_was_away_stays(patch: pytest.MonkeyPatch) -> None:  # k#109748
    async def run(self: GarbageCollector) -> None:
        self._queue = WorkQueue(self._environment)
        for informer in self._informers.values():
            await informer.wait_synced()
        self.ready.set()
        await self._queue.serve(self._work, garbage_collector.WORKERS)

    patch.setattr(GarbageCollector, "run", run)


@drawn
def namespace_errors(random: Random) -> Sequence[Step]:
    return [
        ApiErrors(at=random.uniform(0, 50), seconds=random.uniform(5, 15), part="namespace-controller", chance=0.3, may_miss=True)
        for _ in range(2)
    ]


@mutant("38", scenarios.namespaces, "EventuallyStable", "NoStuckFinalizer", faults=namespace_errors)
def a_namespace_that_could_not_be_emptied_is_forgotten(patch: pytest.MonkeyPatch) -> None:  # k#60807
    async def work(self: NamespaceController, name: str) -> None:
        try:
            if not await self._empty(name):
                self._queue.add(name, 5.0)
        except ApiError:
            pass
        finally:
            self._queue.done(name)

    patch.setattr(NamespaceController, "_work", work)


@drawn
def crash_between(random: Random) -> Sequence[Step]:
    return [CrashAfterWrite(at=random.uniform(0, 40), seconds=60, part="pod-garbage-collector", at_write=random.randint(1, 6), may_miss=True)]


@mutant("39", scenarios.ghosts, "NoPodOnDeletedNode", "EventuallyStable", faults=crash_between)
def the_first_of_two_writes_counts_as_both(patch: pytest.MonkeyPatch) -> None:  # nifikop#49
    def plan(view: Any, now: float) -> Plan:
        return NOTHING if view.pod.status.phase == "Failed" else real_pod_gc(view, now)

    patch.setattr(pod_gc, "plan", plan)


real_pod_gc = pod_gc.plan


@drawn
def stale_pods(random: Random) -> Sequence[Step]:
    return [StaleCache(at=random.uniform(15, 20), seconds=random.uniform(2, 20), part=INFORMERS, resources=("pods",), may_miss=True)]


@mutant("41", scenarios.same_name, "OrphanNeverDeleted", faults=stale_pods)
def a_pod_is_deleted_by_its_name(patch: pytest.MonkeyPatch) -> None:  # cassandra-operator#402
    patch.setattr(carry_out, "Preconditions", lambda uid=None, resource_version=None: Preconditions())
