"""A pod that is made after the example of the one before it becomes what it would have become alone."""
from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from kubelet_lite.api.core_v1 import (
    LimitRange,
    LimitRangeItem,
    LimitRangeSpec,
    Namespace,
    Pod,
    ResourceQuota,
    ResourceQuotaSpec,
    ServiceAccount,
)
from kubelet_lite.api.errors import AlreadyExists, Forbidden, Invalid
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.scheduling_v1 import PriorityClass
from kubelet_lite.registry.admission.chain import Admission
from kubelet_lite.registry.admission.plugin import World as AdmissionWorld
from kubelet_lite.registry.alike import Examples
from kubelet_lite.registry.authorization.authorizer import ClusterAuthorizer
from kubelet_lite.testing import builders
from tests.registry.world import World, in_world, pod, refused

PODS = (
    builders.pod("a"), builders.pod("b", labels={"app": "web"}), pod("c", annotations={"x": "y"}), pod("d", generateName="d-"),
    pod("e", labels={"pod": "e"}), pod("", generateName="made-"), pod("f.g"), pod("h", node="n"), pod("i", finalizers=("example.com/f",)),
)
CHANGES = (
    PriorityClass(metadata=ObjectMeta(name="high"), value=7, globalDefault=True),
    LimitRange(metadata=ObjectMeta(name="l", namespace="default"), spec=LimitRangeSpec(limits=(
        LimitRangeItem(type="Container", default={"cpu": "1"}, defaultRequest={"cpu": "1"}),
    ))),
    ServiceAccount(metadata=ObjectMeta(name="default", namespace="default"), automountServiceAccountToken=False),
)


async def admitting(world: World) -> None:
    """Lets all of admission look at what is created."""
    view = world.registry.view
    await world.client.create(Namespace(metadata=ObjectMeta(name="default")))
    await world.client.create(ServiceAccount(metadata=ObjectMeta(name="default", namespace="default")))
    world.registry.admission = Admission(AdmissionWorld(
        view=view, environment=world.environment, authorizer=ClusterAuthorizer(view), write=world.registry.write,
    ))


def comparable(made: Pod) -> Pod:
    return replace(made, metadata=replace(made.metadata, name="", uid="", resourceVersion=""))


steps = st.lists(st.one_of(st.sampled_from(PODS), st.sampled_from(CHANGES), st.just(1.0)), min_size=2, max_size=12)


@given(steps)
def test_pods_made_by_example_are_those_that_would_have_been_made_without(steps: list[Any]) -> None:
    """In one world examples are followed, in the other they are forgotten before each create."""
    made: list[list[Pod]] = []
    for remembers in (True, False):
        made.append([])

        @in_world
        async def play(world: World, remembers: bool = remembers) -> None:
            await admitting(world)
            for number, step in enumerate(steps):
                if not remembers:
                    world.registry._pipeline._examples = Examples(world.registry.view)
                if isinstance(step, float):
                    await world.environment.sleep(step)
                elif isinstance(step, Pod):
                    name = f"{step.metadata.name}{number}" if step.metadata.name else ""
                    made[-1].append(comparable(await world.client.create(replace(step, metadata=replace(step.metadata, name=name)))))
                elif isinstance(step, ServiceAccount):
                    await world.client.update(step)
                else:
                    with suppress(AlreadyExists, Forbidden):
                        await world.client.create(step)

        play()
    assert made[0] == made[1]


@in_world
async def test_the_second_is_made_by_example_and_has_its_own_identity(world: World) -> None:
    await admitting(world)
    first = await world.client.create(pod("a"))
    second = await world.client.create(pod("b"))
    assert second.spec is first.spec
    assert second.metadata.managedFields is first.metadata.managedFields
    assert (second.metadata.name, second.metadata.resourceVersion) == ("b", str(world.store.revision))
    assert second.metadata.uid != first.metadata.uid
    assert await world.client.get(Pod, "b", namespace="default") is second


@in_world
async def test_a_name_that_is_taken_or_wrong_is_refused_as_ever(world: World) -> None:
    await admitting(world)
    await world.client.create(pod("a"))
    assert isinstance(await refused(world.client.create(pod("a"))), AlreadyExists)
    assert isinstance(await refused(world.client.create(pod("A"))), Invalid)
    assert isinstance(await refused(world.client.create(pod(""))), Invalid)


@in_world
async def test_every_pod_is_charged_to_the_quota(world: World) -> None:
    await admitting(world)
    quota = await world.client.create(ResourceQuota(metadata=ObjectMeta(name="q", namespace="default"), spec=ResourceQuotaSpec(hard={"pods": "2"})))
    await world.client.update(replace(quota, status=replace(quota.status, hard={"pods": "2"}, used={"pods": "0"})), subresource="status")
    for name in ("a", "b"):
        await world.client.create(pod(name))
    error = await refused(world.client.create(pod("c")))
    assert isinstance(error, Forbidden)
    assert "exceeded quota" in error.message


@pytest.mark.parametrize("name", ["a.b", "c.d"])
def test_a_name_that_is_warned_of_is_warned_of_each_time(name: str) -> None:
    @in_world
    async def play(world: World) -> None:
        for number in range(2):
            ctx = world.client._context()
            await world.registry.create(ctx, world.client._resource(pod(), ""), "default", pod(f"{name}{number}"))
            assert any("DNS label is recommended" in warning for warning in ctx.warnings)

    play()
