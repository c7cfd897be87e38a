"""The client in process: authorized like any other, and fair to others."""
from __future__ import annotations

import anyio

from kubelet_lite.api.coordination_v1 import Lease, LeaseSpec
from kubelet_lite.api.core_v1 import ConfigMap
from kubelet_lite.api.errors import Forbidden, NotFound
from kubelet_lite.api.identity import Identity, component
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.requests import APPLY_PATCH
from kubelet_lite.registry.authorization.attributes import Attributes, forbidden
from kubelet_lite.registry.authorization.authorizer import ClusterAuthorizer
from tests.registry.world import World, config_map, in_world, refused

JANE = Identity(name="jane", groups=("system:authenticated",))


@in_world
async def test_every_call_is_authorized(world: World) -> None:
    world.registry.authorizer = ClusterAuthorizer(world.registry.view)
    await world.client.create(config_map())
    jane = world.client.acting_as(JANE)
    for call, verb in (
        (jane.get(ConfigMap, "a", namespace="default"), 'cannot get resource "configmaps"'),
        (jane.list(ConfigMap), 'cannot list resource "configmaps" in API group "" at the cluster scope'),
        (jane.create(config_map("b")), "cannot create"),
        (jane.update(config_map()), "cannot update"),
        (jane.delete(ConfigMap, "a", namespace="default"), "cannot delete"),
        (jane.delete_collection(ConfigMap, namespace="default"), "cannot deletecollection"),
    ):
        error = await refused(call)
        assert isinstance(error, Forbidden)
        assert verb in error.message


@in_world
async def test_the_user_agent_is_the_manager_unless_one_is_named(world: World) -> None:
    scheduler = world.client.acting_as(component("kube-scheduler"))
    assert (await scheduler.create(config_map("a", data={"a": "1"}))).metadata.managedFields[0].manager == "kube-scheduler"
    named = world.client.acting_as(component("kube-scheduler"), field_manager="me")
    assert (await named.create(config_map("b", data={"a": "1"}))).metadata.managedFields[0].manager == "me"


@in_world
async def test_a_busy_caller_lets_others_run(world: World) -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await world.environment.sleep(0)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(count)
        for number in range(1000):
            await world.client.create(config_map(f"m{number}"))
        tasks.cancel_scope.cancel()
    assert turns >= 10


@in_world
async def test_what_is_not_there_is_not_found(world: World) -> None:
    error = await refused(world.client.get(ConfigMap, "a", namespace="default"))
    assert isinstance(error, NotFound)
    assert error.to_status()["details"] == {"name": "a", "kind": "configmaps"}


@in_world
async def test_who_creates_by_an_update_must_be_allowed_to_create(world: World) -> None:
    class Updater:
        """Allows updates and patches alone."""

        def check(self, identity: Identity, attributes: Attributes) -> None:
            if attributes.verb not in ("update", "patch"):
                raise forbidden(identity, attributes)

    world.registry.authorizer = Updater()
    lease = Lease(metadata=ObjectMeta(name="n", namespace="default"), spec=LeaseSpec(holderIdentity="a"))
    applied = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"a": "1"}}
    for call in (world.client.update(lease), world.client.patch(ConfigMap, "a", applied, namespace="default", content_type=APPLY_PATCH)):
        error = await refused(call)
        assert isinstance(error, Forbidden)
        assert "cannot create resource" in error.message
