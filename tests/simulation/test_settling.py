"""A cluster that is left alone settles, or the run says what is not so, or who goes on writing."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from kubelet_lite.api.coordination_v1 import Lease, LeaseSpec
from kubelet_lite.api.core_v1 import (
    ConfigMap,
    Container,
    Namespace,
    Pod,
    PodSpec,
    ResourceRequirements,
    Service,
    ServiceAccount,
    ServiceSpec,
)
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.requests import MERGE_PATCH
from kubelet_lite.api.timestamps import format_micro_time
from kubelet_lite.simulation.failure import Failure
from kubelet_lite.simulation.invariant import InvariantViolated
from kubelet_lite.simulation.invariants import STANDARD
from kubelet_lite.simulation.invariants.stability import unmet
from kubelet_lite.simulation.simulation import Setting, Simulation, play
from kubelet_lite.simulation.virtual.environment import EPOCH
from tests.simulation.handmade import (
    NAMESPACE,
    Told,
    deployment,
    endpoint_slice,
    node,
    pod,
    replica_set,
    template,
    time_text,
    with_meta,
    with_spec,
    with_status,
)
from tests.simulation.rollout import rollout

SEEDS = range(20)
WEB = {"app": "web"}


def lease(name: str = "node-1") -> Lease:
    spec = LeaseSpec(holderIdentity=name, renewTime=format_micro_time(EPOCH), leaseDurationSeconds=40)
    return Lease(metadata=ObjectMeta(name=name, namespace="kube-node-lease"), spec=spec)


def alive(told: Told) -> None:
    told.create(node())
    told.create(lease())


def running(told: Told, name: str, **what: Any) -> Pod:
    made: Pod = told.create(pod(name, node="node-1", ready=True, ip="10.0.0.1", **what))
    return made


def a_pod_without_a_node(told: Told) -> None:
    told.create(pod())


def a_pod_whose_only_node_is_cordoned(told: Told) -> None:
    told.create(lease())
    told.create(with_spec(node(), unschedulable=True))
    told.create(pod())


def a_pod_that_is_not_ready(told: Told) -> None:
    alive(told)
    told.create(pod(node="node-1", phase="Running"))


def a_pod_that_does_not_go(told: Told) -> None:
    alive(told)
    running(told, "a", deletionTimestamp=time_text(told))


def a_pod_that_is_ready_on_a_silent_node(told: Told) -> None:
    told.create(node(ready="Unknown"))
    running(told, "a")


def a_node_that_is_alive_and_not_ready(told: Told) -> None:
    told.create(node(ready="False"))
    told.create(lease())


def a_node_that_is_dead_and_ready(told: Told) -> None:
    told.create(node())


def a_replica_set_that_lacks_a_pod(told: Told) -> None:
    alive(told)
    one = told.create(replica_set("one", 2, told.create(deployment(2)), available=1))
    running(told, "a", owner=one)


def a_replica_set_that_counts_wrong(told: Told) -> None:
    alive(told)
    one = told.create(with_status(replica_set("one", 1, told.create(deployment(1)), available=3), readyReplicas=1, observedGeneration=1))
    running(told, "a", owner=one)


def a_deployment_with_pods_of_an_old_template(told: Told) -> None:
    owner = told.create(with_status(deployment(0), observedGeneration=1))
    told.create(with_status(replica_set("one", 0, owner, image="old"), observedGeneration=1))
    told.update(with_status(with_spec(owner, replicas=1), replicas=1, updatedReplicas=1, availableReplicas=1, observedGeneration=1))


def a_service_without_an_endpoint(told: Told) -> None:
    alive(told)
    told.create(Service(metadata=ObjectMeta(name="web", namespace=NAMESPACE), spec=ServiceSpec(selector=WEB)))
    running(told, "a", labels=WEB)


def a_service_with_an_endpoint_of_nobody(told: Told) -> None:
    told.create(Service(metadata=ObjectMeta(name="web", namespace=NAMESPACE), spec=ServiceSpec(selector=WEB)))
    told.create(endpoint_slice("web", with_meta(pod("gone"), uid="gone")))


def a_namespace_that_does_not_go(told: Told) -> None:
    told.create(Namespace(metadata=ObjectMeta(name="n", deletionTimestamp=time_text(told))))


def a_namespace_without_its_account(told: Told) -> None:
    told.create(Namespace(metadata=ObjectMeta(name="n")))
    told.create(ConfigMap(metadata=ObjectMeta(name="kube-root-ca.crt", namespace="n")))


@pytest.mark.parametrize(("story", "said"), [
    (a_pod_without_a_node, "pod default/a has no node"),
    (a_pod_whose_only_node_is_cordoned, "pod default/a has no node (cordoned: node node-1)"),
    (a_pod_that_is_not_ready, "pod default/a on node-1 is Running and not ready"),
    (a_pod_that_does_not_go, "pod default/a is to go and is still there"),
    (a_pod_that_is_ready_on_a_silent_node, "pod default/a is said to be ready on the silent node node-1"),
    (a_node_that_is_alive_and_not_ready, "node node-1 is not ready, though its kubelet renews its lease"),
    (a_node_that_is_dead_and_ready, "node node-1 is said to be ready, though its lease is not renewed"),
    (a_replica_set_that_lacks_a_pod, "ReplicaSet default/one has 1 pods of 2"),
    (a_replica_set_that_counts_wrong, "ReplicaSet default/one counts 3 available pods of 1"),
    (a_deployment_with_pods_of_an_old_template, "Deployment default/web has 0 pods of 1 of its newest template"),
    (a_service_without_an_endpoint, "Service default/web has no endpoint for pod a"),
    (a_service_with_an_endpoint_of_nobody, "Service default/web has an endpoint for a pod that is gone"),
    (a_namespace_that_does_not_go, "namespace n is to go and is still there"),
    (a_namespace_without_its_account, "namespace n has no ServiceAccount default"),
])
def test_what_is_desired_and_not_so_is_said(story: Callable[[Told], None], said: str) -> None:
    told = Told("BindOnce")
    story(told)
    told.sleep()
    assert said in unmet(told.watcher.snapshot, told.now)


def test_it_is_said_in_the_same_order_in_every_process() -> None:
    names = [f"p{number}" for number in range(8)]

    def story(told: Told) -> None:
        alive(told)
        told.create(Service(metadata=ObjectMeta(name="web", namespace=NAMESPACE), spec=ServiceSpec(selector=WEB)))
        told.create(endpoint_slice("web", *(with_meta(pod(f"gone-{name}"), uid=f"gone-{name}") for name in names)))
        for name in names:
            running(told, name, labels=WEB)

    told = Told("BindOnce")
    story(told)
    told.sleep()
    found = [what for what in unmet(told.watcher.snapshot, told.now) if what.startswith("Service")]
    assert found[:8] == [f"Service default/web has no endpoint for pod {name}" for name in names]
    assert len(found) == 16


def test_nothing_is_said_of_a_cluster_in_which_all_is_well() -> None:
    told = Told("BindOnce")
    alive(told)
    owner = told.create(with_status(deployment(1), replicas=1, updatedReplicas=1, availableReplicas=1, observedGeneration=1))
    own = with_spec(replica_set("one", 1, owner, available=1), template=template())
    one = told.create(with_status(own, readyReplicas=1, observedGeneration=1))
    child = running(told, "a", owner=one, labels=WEB)
    told.create(Service(metadata=ObjectMeta(name="web", namespace=NAMESPACE), spec=ServiceSpec(selector=WEB)))
    told.create(endpoint_slice("web", child))
    told.create(Namespace(metadata=ObjectMeta(name="n")))
    told.create(ConfigMap(metadata=ObjectMeta(name="kube-root-ca.crt", namespace="n")))
    told.create(ServiceAccount(metadata=ObjectMeta(name="default", namespace="n")))
    told.create(pod("held", deletionTimestamp=time_text(told), finalizers=("example.com/f",)))
    told.sleep()
    assert unmet(told.watcher.snapshot, told.now) == []


@pytest.mark.parametrize("seed", SEEDS)
def test_no_invariant_is_violated_by_a_rollout(seed: int) -> None:
    play(rollout, seed=seed, setting=Setting(nodes=3, settle=True), invariants=STANDARD).raise_error()


def test_what_is_never_reached_is_named() -> None:
    async def too_large(simulation: Simulation) -> None:
        container = Container(name="c", image="i", resources=ResourceRequirements(requests={"cpu": "1000"}))
        await simulation.client.create(Pod(metadata=ObjectMeta(name="large", namespace=NAMESPACE), spec=PodSpec(containers=(container,))))

    with pytest.raises(InvariantViolated, match="EventuallyStable: not within 1200 s: pod default/large has no node"):
        play(too_large, setting=Setting(nodes=1, settle=True)).raise_error()


def test_who_goes_on_writing_is_named() -> None:
    async def restless(simulation: Simulation) -> None:
        await simulation.client.create(ConfigMap(metadata=ObjectMeta(name="c", namespace=NAMESPACE)))

        async def write() -> None:
            for number in range(1_000):
                await simulation.client.patch(ConfigMap, "c", {"data": {"n": str(number)}}, namespace=NAMESPACE, content_type=MERGE_PATCH)
                await simulation.sleep(60)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(write)
            await simulation.settle(within=600)

    error = play(restless, setting=Setting(nodes=1)).error
    assert error is not None
    failure = Failure.of(error)
    assert failure.invariant == "Quiescence"
    assert failure.text.startswith("after 600 s it is still written: somebody updated configmaps default/c")
