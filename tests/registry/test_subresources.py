"""Scale, binding, eviction, logs, and what is asked by creating an object."""
from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec.structs import replace

from kubelet_lite.api.apps_v1 import ReplicaSet, ReplicaSetSpec
from kubelet_lite.api.autoscaling_v1 import Scale, ScaleSpec
from kubelet_lite.api.core_v1 import Binding, Container, ObjectReference, Pod, PodCondition, PodStatus, PodTemplateSpec
from kubelet_lite.api.errors import (
    ApiError,
    BadRequest,
    Conflict,
    InternalError,
    Invalid,
    MethodNotAllowed,
    NotFound,
    TooManyRequests,
)
from kubelet_lite.api.identity import ADMIN
from kubelet_lite.api.meta_v1 import DeleteOptions, LabelSelector, ObjectMeta
from kubelet_lite.api.policy_v1 import Eviction, PodDisruptionBudget, PodDisruptionBudgetSpec, PodDisruptionBudgetStatus
from kubelet_lite.api.requests import MERGE_PATCH, ListOptions, RequestContext
from kubelet_lite.api.resources import resource_of
from kubelet_lite.client.base import LogOptions
from kubelet_lite.wire.node_connection import LogQuery
from tests.registry.world import World, in_world, pod, refused

ADMINISTRATOR = RequestContext(identity=ADMIN)
REPLICA_SETS = resource_of(ReplicaSet)


def replica_set(replicas: int = 1) -> ReplicaSet:
    template = PodTemplateSpec(metadata=ObjectMeta(labels={"app": "d"}), spec=pod().spec)
    return ReplicaSet(
        metadata=ObjectMeta(name="d", namespace="default"),
        spec=ReplicaSetSpec(replicas=replicas, selector=LabelSelector(matchLabels={"app": "d"}), template=template),
    )


def binding(name: str, node: str = "n", **metadata: Any) -> Binding:
    return Binding(metadata=ObjectMeta(name=name, namespace="default", **metadata), target=ObjectReference(kind="Node", name=node))


def eviction(name: str = "p", **options: Any) -> Eviction:
    return Eviction(metadata=ObjectMeta(name=name, namespace="default"), deleteOptions=DeleteOptions(**options))


async def running(world: World, name: str = "p", *, ready: bool = True) -> Pod:
    made = await world.client.create(pod(name, node="n", labels={"app": "p"}))
    conditions = (PodCondition(type="Ready", status=str(ready)),)
    return await world.client.update(replace(made, status=PodStatus(phase="Running", conditions=conditions)), subresource="status")


async def budget(world: World, **status: Any) -> None:
    made = await world.client.create(PodDisruptionBudget(
        metadata=ObjectMeta(name="b", namespace="default"),
        spec=PodDisruptionBudgetSpec(minAvailable=1, selector=LabelSelector(matchLabels={"app": "p"})),
    ))
    new = replace(made, status=PodDisruptionBudgetStatus(observedGeneration=made.metadata.generation, **status))
    await world.client.update(new, subresource="status")


@in_world
async def test_a_scale_is_read_and_written(world: World) -> None:
    await world.client.create(replica_set())
    shown: Scale = await world.registry.get(ADMINISTRATOR, REPLICA_SETS, "default", "d", subresource="scale")
    assert (shown.spec.replicas, shown.status.selector) == (1, "app=d")
    scaled, _ = await world.registry.update(
        ADMINISTRATOR, REPLICA_SETS, "default", "d", replace(shown, spec=ScaleSpec(replicas=3)), subresource="scale",
    )
    assert scaled.spec.replicas == 3
    patched: Any = await world.client.patch(
        ReplicaSet, "d", {"spec": {"replicas": 4}}, namespace="default", content_type=MERGE_PATCH, subresource="scale",
    )
    assert patched.spec.replicas == 4
    whole = await world.client.get(ReplicaSet, "d", namespace="default")
    assert whole.spec.replicas == 4
    assert {entry.subresource for entry in whole.metadata.managedFields} == {"", "scale"}


@in_world
async def test_a_scale_below_zero_is_refused(world: World) -> None:
    await world.client.create(replica_set())
    error = await refused(world.client.patch(
        ReplicaSet, "d", {"spec": {"replicas": -1}}, namespace="default", content_type=MERGE_PATCH, subresource="scale",
    ))
    assert isinstance(error, Invalid)
    assert error.message == 'Scale.autoscaling "d" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0'


@in_world
async def test_what_has_no_scale_has_none(world: World) -> None:
    await world.client.create(pod())
    error = await refused(world.client.patch(Pod, "p", {}, namespace="default", content_type=MERGE_PATCH, subresource="scale"))
    assert isinstance(error, MethodNotAllowed)


@in_world
async def test_a_pod_is_bound_once(world: World) -> None:
    await world.client.create(pod())
    await world.client.create(binding("p"), subresource="binding")
    bound = await world.client.get(Pod, "p", namespace="default")
    assert bound.spec.nodeName == "n"
    assert [(c.type, c.status, c.lastTransitionTime) for c in bound.status.conditions] == [("PodScheduled", "True", "2026-01-01T00:00:00Z")]
    error = await refused(world.client.create(binding("p", "other"), subresource="binding"))
    assert isinstance(error, Conflict)
    assert error.message == 'Operation cannot be fulfilled on pods/binding "p": pod p is already assigned to node "n"'


@in_world
async def test_many_are_bound_together_and_each_answers_for_itself(world: World) -> None:
    for name in ("a", "b"):
        await world.client.create(pod(name))
    answers = await world.client.bind([binding("a"), binding("none"), binding("b", ""), binding("b")])
    assert [type(answer) for answer in answers] == [type(None), NotFound, Invalid, type(None)]
    assert [p.spec.nodeName for p in (await world.client.list(Pod)).items] == ["n", "n"]


@in_world
async def test_a_pending_pod_is_evicted_without_a_budget_s_leave(world: World) -> None:
    await world.client.create(pod(labels={"app": "p"}))
    await budget(world)
    await world.client.create(eviction(), subresource="eviction")
    assert isinstance(await refused(world.client.get(Pod, "p", namespace="default")), NotFound)


@in_world
async def test_an_eviction_is_charged_to_the_budget(world: World) -> None:
    await running(world)
    await budget(world, disruptionsAllowed=1, currentHealthy=2, desiredHealthy=1, expectedPods=2)
    await world.client.create(eviction(gracePeriodSeconds=7), subresource="eviction")
    evicted = await world.client.get(Pod, "p", namespace="default")
    assert evicted.metadata.deletionGracePeriodSeconds == 7
    assert [(c.type, c.reason) for c in evicted.status.conditions] == [("Ready", ""), ("DisruptionTarget", "EvictionByEvictionAPI")]
    charged = (await world.client.get(PodDisruptionBudget, "b", namespace="default")).status
    assert (charged.disruptionsAllowed, dict(charged.disruptedPods)) == (0, {"p": "2026-01-01T00:00:00Z"})
    assert [(c.type, c.status, c.reason) for c in charged.conditions] == [("DisruptionAllowed", "False", "InsufficientPods")]


@in_world
async def test_a_budget_without_disruptions_refuses(world: World) -> None:
    await running(world)
    await budget(world, currentHealthy=1, desiredHealthy=1)
    error = await refused(world.client.create(eviction(), subresource="eviction"))
    assert isinstance(error, TooManyRequests)
    assert error.message == "Cannot evict pod as it would violate the pod's disruption budget."
    assert error.causes[0].message == "The disruption budget b needs 1 healthy pods and has 1 currently"
    assert (await world.client.get(Pod, "p", namespace="default")).metadata.deletionTimestamp is None


@in_world
async def test_an_unhealthy_pod_is_not_guarded_while_enough_are_healthy(world: World) -> None:
    await running(world, ready=False)
    await budget(world, currentHealthy=1, desiredHealthy=1)
    await world.client.create(eviction(), subresource="eviction")
    assert (await world.client.get(Pod, "p", namespace="default")).metadata.deletionTimestamp is not None


@in_world
async def test_two_budgets_are_too_many(world: World) -> None:
    made = await running(world)
    await budget(world)
    await world.client.create(PodDisruptionBudget(
        metadata=ObjectMeta(name="c", namespace="default"), spec=PodDisruptionBudgetSpec(selector=LabelSelector()),
    ))
    error = await refused(world.client.create(eviction(made.metadata.name), subresource="eviction"))
    assert (error.code, error.reason) == (500, "InternalError")


class Node:
    """A node whose containers say which of them was asked."""

    async def logs(self, namespace: str, pod: str, uid: str, query: LogQuery) -> AsyncIterator[bytes]:
        yield f"{namespace}/{pod} {query.container} {query.tail_lines}\n".encode()


async def read(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])


@in_world
async def test_logs_come_from_the_pod_s_node(world: World) -> None:
    world.registry.connections = lambda name: Node() if name == "n" else None
    await world.client.create(pod("here", node="n"))
    await world.client.create(pod("nowhere"))
    await world.client.create(pod("lost", node="gone"))
    assert await read(world.client.logs("here", namespace="default", options=LogOptions(tail_lines=3))) == b"default/here c 3\n"
    assert await read(world.client.logs("nowhere", namespace="default")) == b""
    with pytest.raises(InternalError):
        world.client.logs("lost", namespace="default")


@in_world
async def test_a_log_needs_a_container_that_exists(world: World) -> None:
    one = pod(node="n")
    await world.client.create(replace(one, spec=replace(one.spec, containers=(Container(name="a", image="x"), Container(name="b", image="x")))))
    with pytest.raises(BadRequest, match=r"a container name must be specified for pod p, choose one of: \[a b\]"):
        world.client.logs("p", namespace="default")
    with pytest.raises(BadRequest, match="container z is not valid for pod p"):
        world.client.logs("p", namespace="default", options=LogOptions(container="z"))
    with pytest.raises(Invalid, match="limitBytes"):
        world.client.logs("p", namespace="default", options=LogOptions(container="a", limit_bytes=0))


@in_world
async def test_reviews_are_not_to_be_read(world: World) -> None:
    reviews = world.registry.find("authorization.k8s.io", "v1", "subjectaccessreviews")
    assert reviews is not None
    with pytest.raises(ApiError, match="does not allow this method"):
        await world.registry.list(ADMINISTRATOR, reviews, "", ListOptions())
