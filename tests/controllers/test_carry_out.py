"""How actions are carried out: in which order, until which failure, under which conditions."""
from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from kubelet_lite.api.core_v1 import ConfigMap, Namespace
from kubelet_lite.api.errors import Cause, Conflict, Forbidden
from kubelet_lite.api.meta_v1 import ObjectMeta, OwnerReference
from kubelet_lite.api.requests import JSON_PATCH
from kubelet_lite.client.events import EventRecorder
from kubelet_lite.controllers.base import Action, Create, Delete, Patch, Record, Update
from kubelet_lite.controllers.carry_out import DELETE_ATTEMPTS, Executor, Outcome
from tests.registry.world import World, config_map, in_world, names


def executor(world: World) -> Executor:
    return Executor(world.client, EventRecorder(world.client, world.environment, "tester"))


async def carried_out(world: World, *actions: Action) -> Outcome:
    return await executor(world).carry_out(actions)


def refuse(world: World, verb: str, error: Exception, *, after: int = 0) -> list[Any]:
    """Has the registry refuse a verb, after so many calls; the list of calls."""
    real, calls = getattr(world.registry, verb), []

    async def refusing(*args: Any, **more: Any) -> Any:
        calls.append(args)
        if len(calls) > after:
            raise error
        return await real(*args, **more)

    setattr(world.registry, verb, refusing)
    return calls


async def maps(world: World) -> list[str]:
    return names((await world.client.list(ConfigMap)).items)


@in_world
async def test_creates_go_in_batches_that_double_and_stop_at_a_failure(world: World) -> None:
    calls = refuse(world, "create", Forbidden("enough"), after=3)
    outcome = await carried_out(world, *(Create(object=config_map(f"m{i}")) for i in range(100)))
    assert len(calls) == 1 + 2 + 4
    assert len(outcome.written) == 3
    assert [failure.error.message for failure in outcome.failures] == ["enough"] * 4


@in_world
async def test_nothing_is_done_after_a_failure(world: World) -> None:
    here = await world.client.create(config_map("here"))
    stale = replace(here, metadata=replace(here.metadata, resourceVersion="1"))
    outcome = await carried_out(world, Update(object=stale), Create(object=config_map("never")))
    assert [type(failure.error) for failure in outcome.failures] == [Conflict]
    assert await maps(world) == ["here"]


@in_world
async def test_what_is_gone_needs_no_change_and_no_deletion(world: World) -> None:
    gone = await world.client.create(config_map("gone"))
    await world.client.delete(ConfigMap, "gone", namespace="default")
    outcome = await carried_out(
        world, Patch(object=gone, change={"data": {"a": "b"}}), Delete(object=gone), Create(object=config_map("next")),
    )
    assert outcome.failures == []
    assert outcome.deleted == [gone, gone]
    assert await maps(world) == ["next"]


@in_world
async def test_an_object_of_the_same_name_is_not_taken_for_the_one_meant(world: World) -> None:
    first = await world.client.create(config_map("a"))
    await world.client.delete(ConfigMap, "a", namespace="default")
    await world.client.create(config_map("a", data={"new": "yes"}))
    patch = {"data": {"new": "no"}}
    operations = [{"op": "replace", "path": "/data/new", "value": "no"}]
    await carried_out(world, Delete(object=first))
    await carried_out(world, Patch(object=first, change=patch))
    await carried_out(world, Patch(object=first, change=operations, content_type=JSON_PATCH))
    assert (await world.client.get(ConfigMap, "a", namespace="default")).data == {"new": "yes"}


@in_world
async def test_a_patch_may_ask_that_nothing_has_changed(world: World) -> None:
    first = await world.client.create(config_map("a"))
    await world.client.update(config_map("a", data={"by": "other"}))
    outcome = await carried_out(world, Patch(object=first, change={"data": {"by": "me"}}, if_unchanged=True))
    assert [type(failure.error) for failure in outcome.failures] == [Conflict]
    outcome = await carried_out(world, Patch(object=first, change={"data": {"by": "me"}}))
    assert outcome.written[0].data == {"by": "me"}


@in_world
async def test_what_others_write_again_and_again_is_not_deleted_now(world: World) -> None:
    """Instead of trying without an end; it is a failure, so that the key is planned again."""
    owner = await world.client.create(config_map("owner"))
    reference = OwnerReference(apiVersion="v1", kind="ConfigMap", name="owner", uid=owner.metadata.uid, controller=True)
    owned = await world.client.create(ConfigMap(metadata=ObjectMeta(name="a", namespace="default", ownerReferences=(reference,))))
    calls = refuse(world, "delete", Conflict("written meanwhile"))
    outcome = await carried_out(world, Delete(object=owned, if_managed=True))
    assert ([failure.error.message for failure in outcome.failures], outcome.deleted) == (["written meanwhile"], [])
    assert len(calls) == DELETE_ATTEMPTS


@in_world
async def test_an_owner_that_is_about_to_go_adopts_nothing(world: World) -> None:
    owner = await world.client.create(config_map("owner", finalizers=("example.com/hold",)))
    orphan = await world.client.create(config_map("orphan"))
    adopt = Patch(object=orphan, change={"metadata": {"labels": {"adopted": "yes"}}}, if_alive=owner)
    assert (await carried_out(world, adopt)).failures == []
    await world.client.delete(ConfigMap, "owner", namespace="default")
    outcome = await carried_out(world, adopt)
    assert outcome.failures[0].error.message.startswith("ConfigMap default/owner has just been deleted at ")


@in_world
async def test_a_namespace_that_is_going_refuses_without_failure(world: World) -> None:
    refuse(world, "create", Forbidden("going", causes=(Cause(reason="NamespaceTerminating", message="", field="metadata.namespace"),)))
    outcome = await carried_out(world, Create(object=config_map("a"), failure=Record(config_map(), "Warning", "Failed", "{error}")))
    assert (outcome.failures, outcome.written) == ([], [])


@in_world
async def test_cluster_wide_objects_are_acted_on_too(world: World) -> None:
    outcome = await carried_out(world, Create(object=Namespace(metadata=ObjectMeta(name="n"))))
    outcome = await carried_out(world, Patch(object=outcome.written[0], change={"metadata": {"labels": {"a": "b"}}}))
    assert outcome.written[0].metadata.labels["a"] == "b"
