"""Bugs of kubelets, and of the controllers that look after nodes."""
from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from kubelet_lite.api.core_v1 import Pod
from kubelet_lite.api.requests import ListOptions
from kubelet_lite.controllers import node_lifecycle, taint_eviction
from kubelet_lite.controllers.base import NOTHING, Plan
from kubelet_lite.kubelet import restart, status
from kubelet_lite.kubelet.kubelet import Kubelet
from kubelet_lite.simulation.faults.actors import CrashActor
from kubelet_lite.simulation.faults.nodes import NodeDeath
from kubelet_lite.simulation.faults.watches import StaleCache
from kubelet_lite.simulation.simulation import Setting
from kubelet_lite.simulation.step import Step
from tests.simulation.mix import standard_mix
from tests.simulation.mutants import scenarios
from tests.simulation.mutants.faults import drawn
from tests.simulation.mutants.mutant import MIXED, mutant


@drawn
def restart_on_a_stale_cache(random: Random) -> Sequence[Step]:
    at = random.uniform(5, 70)
    return [
        StaleCache(at=at, seconds=random.uniform(15, 40), part="kubelet-*", verbs=("list",), may_miss=True),
        CrashActor(at=at + random.uniform(5, 15), part="kubelet-*", may_miss=True),
    ]


@mutant("1", scenarios.pods_go, "AtMostOnePodPerIdentity", faults=restart_on_a_stale_cache)
def a_kubelet_begins_with_whatever_a_cache_has(patch: pytest.MonkeyPatch) -> None:  # k#59848
    async def listed(self: Kubelet) -> Any:
        return await self.client.list(Pod, options=ListOptions(field_selector=f"spec.nodeName={self.node_name}", resource_version="0"))

    patch.setattr(Kubelet, "_list", listed)


@mutant("3", scenarios.crashes, "NoHotLoop", setting=Setting(nodes=1, settle=True))
def a_container_that_crashes_starts_again_at_once(patch: pytest.MonkeyPatch) -> None:  # k#88851: no back-off
    patch.setattr(restart.BackOff, "holds", lambda self, since, now: False)


@mutant("35", scenarios.again, "EventuallyStable", "CacheConverges", "AtMostOnePodPerIdentity")
def a_pod_that_has_the_name_of_another_never_starts(patch: pytest.MonkeyPatch) -> None:  # k#104648
    def pod_changed(self: Kubelet, pod: Pod) -> None:
        names = self.__dict__.setdefault("names", {})
        if names.setdefault((pod.metadata.namespace, pod.metadata.name), pod.metadata.uid) == pod.metadata.uid:
            real_pod_changed(self, pod)

    patch.setattr(Kubelet, "_pod_changed", pod_changed)


real_pod_changed = Kubelet._pod_changed


@mutant("34", scenarios.tainted, "EvictionNeedsTaint")
def an_eviction_is_not_cancelled(patch: pytest.MonkeyPatch) -> None:  # k#90794
    due: dict[str, float] = {}

    def plan(view: Any, now: float) -> Plan:
        uid = view.pod.metadata.uid
        at = taint_eviction.evicted_at(view.pod, view.taints, now) if view.taints else None
        if at is not None:
            due.setdefault(uid, at)
        if uid not in due or view.pod.metadata.deletionTimestamp is not None:
            return NOTHING
        return Plan(taint_eviction._evict(view.pod, now)) if due[uid] <= now else Plan(wake_at=due[uid])

    patch.setattr(taint_eviction, "plan", plan)


@drawn
def dead_node(random: Random) -> Sequence[Step]:
    return [NodeDeath(at=random.uniform(5, 20), seconds=random.uniform(100, 200), part="kubelet-node-1")]


@mutant("18", scenarios.pods_go, "EventuallyStable", faults=dead_node)
def a_taint_stays_when_its_reason_is_gone(patch: pytest.MonkeyPatch) -> None:  # k#42398: a taint's removal is missed
    def taints(node: Any, now: float) -> Any:
        made = real_taints(node, now)
        return (*made, *(taint for taint in node.spec.taints if taint not in made))

    patch.setattr(node_lifecycle, "_taints", taints)


@mutant("Kubernetes' contract", scenarios.rollout, "NoReadyPodOnSilentNode", faults=standard_mix, setting=MIXED)
def the_pods_of_a_silent_node_stay_ready(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(node_lifecycle, "_pod_not_ready", lambda pod, now: None)


@mutant("Kubernetes' contract", scenarios.rollout, "RestartsCounted", faults=standard_mix, setting=MIXED)
def restarts_are_as_many_as_containers_are_kept(patch: pytest.MonkeyPatch) -> None:
    def container_status(container: Any, pod: Any, state: Any, *more: Any) -> Any:
        kept = sum(instance.name == container.name for instance in state.containers)
        return replace(real_container_status(container, pod, state, *more), restartCount=max(kept - 1, 0))

    patch.setattr(status, "_container_status", container_status)


real_container_status = status._container_status


@mutant("Kubernetes' contract", scenarios.rollout, "ReadyMeansContainersReady", faults=standard_mix, setting=MIXED)
def a_pod_stays_ready_whatever_becomes_of_its_containers(patch: pytest.MonkeyPatch) -> None:
    def ready(pod: Pod, known: Any, containers_ready: Any) -> Any:
        was = "Ready" in known and known["Ready"].status == "True"
        return ("True", "", "") if was and pod.metadata.deletionTimestamp is None else real_ready(pod, known, containers_ready)

    patch.setattr(status, "_ready", ready)


real_ready = status._ready
real_taints = node_lifecycle._taints
