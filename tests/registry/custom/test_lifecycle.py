"""The life of a definition: names, conditions, deletion of its instances; what it asks for that nobody does."""
from __future__ import annotations

from typing import Any

import anyio
import pytest
from msgspec.structs import replace

from kubelet_lite.api.apiextensions_v1 import CustomResourceDefinition
from kubelet_lite.api.core_v1 import Event
from kubelet_lite.api.errors import MethodNotAllowed, NotFound
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.requests import MERGE_PATCH
from kubelet_lite.api.resources import Resource
from kubelet_lite.registry.custom.actor import Definitions
from kubelet_lite.registry.custom.conditions import next_status, not_enforced
from tests.registry.custom.things import GROUP, definition, established, thing, version, with_things
from tests.registry.world import World, in_world, refused

NAME = f"things.{GROUP}"


def settled(one: CustomResourceDefinition, *others: CustomResourceDefinition) -> CustomResourceDefinition:
    """As it is when there is no step left."""
    while (status := next_status(one, others)) != one.status:
        one = replace(one, status=status)
    return one


def shown(one: CustomResourceDefinition) -> list[tuple[str, str, str, str]]:
    return [(c.type, c.status, c.reason, c.message) for c in one.status.conditions]


def test_free_names_are_accepted_and_then_it_is_established() -> None:
    one = definition()
    first = next_status(one, ())
    assert [(c.type, c.status, c.reason) for c in first.conditions] == [("NamesAccepted", "True", "NoConflicts"), ("Established", "False", "Installing")]
    assert shown(settled(one)) == [
        ("NamesAccepted", "True", "NoConflicts", "no conflicts found"),
        ("Established", "True", "InitialNamesAccepted", "the initial names have been accepted"),
    ]
    assert settled(one).status.acceptedNames.plural == "things"


@pytest.mark.parametrize(("names", "reason", "message"), [
    ({"shortNames": ["th", "tg", "ok"]}, "ShortNamesConflict", '["th" is already in use, "tg" is already in use]'),
    ({"singular": "thing"}, "SingularConflict", '"thing" is already in use'),
    ({"listKind": "ThingList"}, "ListKindConflict", '"ThingList" is already in use'),
])
def test_names_that_another_has_are_not_accepted(names: dict[str, Any], reason: str, message: str) -> None:
    first = settled(definition(names={"singular": "thing", "listKind": "ThingList", "shortNames": ["th", "tg"]}))
    second = settled(definition(plural="others", kind="Other", names=names), first)
    assert shown(second) == [("NamesAccepted", "False", reason, message), ("Established", "False", "NotAccepted", "not all names are accepted")]
    assert settled(second).status.conditions[1].status == "True"  # once the other is gone


def test_what_is_established_stays_so_when_new_names_are_taken() -> None:
    first = settled(definition(names={"shortNames": ["th"]}))
    second = settled(definition(plural="others", kind="Other", names={"shortNames": ["ot"]}), first)
    changed = replace(second, spec=replace(second.spec, names=replace(second.spec.names, shortNames=("th",))))
    after = settled(changed, first)
    assert [(c.type, c.status) for c in after.status.conditions] == [("NamesAccepted", "False"), ("Established", "True")]
    assert after.status.acceptedNames.shortNames == ("ot",)


def test_groups_of_kubernetes_need_an_approval() -> None:
    one = definition(group="x.k8s.io")
    approved = replace(one, metadata=ObjectMeta(name=one.metadata.name, annotations={"api-approved.kubernetes.io": "https://github.com/x/1"}))
    assert shown(settled(approved))[-1] == ("KubernetesAPIApprovalPolicyConformant", "True", "ApprovedAnnotation", "approved in https://github.com/x/1")
    bypassed = replace(one, metadata=ObjectMeta(annotations={"api-approved.kubernetes.io": "unapproved, a test"}))
    assert shown(settled(bypassed))[-1][1:3] == ("False", "UnapprovedAnnotation")


def test_what_is_not_enforced_is_said() -> None:
    rules = version(spec={"type": "object", "x-kubernetes-validations": [{"rule": "self == oldSelf"}]})
    assert [text.split(" ")[0] for text in not_enforced(definition(rules).spec)] == ["x-kubernetes-validations"]
    assert not not_enforced(definition().spec)


@in_world
async def test_rules_that_nobody_evaluates_are_an_event_about_the_definition(world: World) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(Definitions(world.registry).run)
        await established(world, definition(version(spec={"type": "object", "x-kubernetes-validations": [{"rule": "self == oldSelf"}]})))
        await world.environment.sleep(1)
        (event,) = (await world.client.list(Event, namespace="default")).items
        assert (event.reason, event.involvedObject.name, event.type) == ("NotEnforced", NAME, "Warning")
        group.cancel_scope.cancel()


@with_things()
async def test_instances_go_before_their_definition(world: World, things: Resource) -> None:
    await world.client.create(thing("a"))
    await world.client.create(thing("b", finalizers=("example.com/hold",)))
    marked = await world.client.delete(CustomResourceDefinition, NAME)
    assert marked.metadata.finalizers == ("customresourcecleanup.apiextensions.k8s.io",)
    assert shown(marked)[-1][:3] == ("Terminating", "True", "InstanceDeletionPending")
    await world.environment.sleep(5)
    waiting = await world.client.get(CustomResourceDefinition, NAME)
    assert shown(waiting)[-1][:3] == ("Terminating", "True", "InstanceDeletionInProgress")
    assert [obj.metadata.name for obj in (await world.client.list(things)).items] == ["b"]
    error = await refused(world.client.create(thing("c")))
    assert isinstance(error, MethodNotAllowed)
    assert error.message == "create not allowed while custom resource definition is terminating"
    (listed,) = [resource for resource in await world.client.resources() if resource.group == GROUP]
    assert "create" not in listed.verbs
    await world.client.patch(things, "b", {"metadata": {"finalizers": None}}, content_type=MERGE_PATCH, namespace="default")
    await world.environment.sleep(1)
    assert isinstance(await refused(world.client.get(CustomResourceDefinition, NAME)), NotFound)
    assert isinstance(await refused(world.client.list(things)), NotFound)


@with_things()
async def test_a_definition_made_again_has_none_of_the_old_objects(world: World, things: Resource) -> None:
    await world.client.create(thing())
    await world.client.delete(CustomResourceDefinition, NAME)
    await world.environment.sleep(1)
    again = await established(world, definition())
    assert not (await world.client.list(again)).items


@with_things()
async def test_instances_of_a_definition_that_serves_nothing_go_too(world: World, things: Resource) -> None:
    await world.client.create(thing())
    found = await world.client.get(CustomResourceDefinition, NAME)
    await world.client.update(replace(found, spec=replace(found.spec, versions=(replace(found.spec.versions[0], served=False),))))
    assert isinstance(await refused(world.client.list(things)), NotFound)
    await world.client.delete(CustomResourceDefinition, NAME)
    await world.environment.sleep(1)
    assert isinstance(await refused(world.client.get(CustomResourceDefinition, NAME)), NotFound)
    assert not world.registry.view.list(NAME)


@with_things(version(), version("v2", storage=False))
async def test_every_version_that_ever_was_the_storage_version_is_kept_in_mind(world: World, things: Resource) -> None:
    await world.client.create(thing())
    found = await world.client.get(CustomResourceDefinition, NAME)
    first, second = found.spec.versions
    turned = replace(found.spec, versions=(replace(first, storage=False), replace(second, storage=True)))
    after = await world.client.update(replace(found, spec=turned))
    assert after.status.storedVersions == ("v1", "v2")
    assert (await world.client.get(things, "t", namespace="default")).apiVersion == f"{GROUP}/v1"
    changed = await world.client.patch(things, "t", {"spec": {"size": 2}}, content_type=MERGE_PATCH, namespace="default")
    assert changed.apiVersion == f"{GROUP}/v1"
