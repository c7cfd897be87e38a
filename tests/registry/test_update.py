"""Update and patch: whose revision, what may change, and what makes a revision."""
from __future__ import annotations

from msgspec.structs import replace

from kubelet_lite.api.coordination_v1 import Lease, LeaseSpec
from kubelet_lite.api.core_v1 import ConfigMap, Pod, PodStatus
from kubelet_lite.api.errors import BadRequest, Conflict, Invalid, NotFound, UnsupportedMediaType
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.requests import APPLY_PATCH, JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH
from tests.registry.world import World, config_map, in_world, pod, refused


@in_world
async def test_an_update_makes_a_revision(world: World) -> None:
    made = await world.client.create(config_map(data={"a": "1"}))
    changed = await world.client.update(replace(made, data={"a": "2"}))
    assert int(changed.metadata.resourceVersion) == int(made.metadata.resourceVersion) + 1
    assert changed.metadata.uid == made.metadata.uid


@in_world
async def test_a_stale_revision_is_a_conflict(world: World) -> None:
    made = await world.client.create(config_map(data={"a": "1"}))
    await world.client.update(replace(made, data={"a": "2"}))
    error = await refused(world.client.update(replace(made, data={"a": "3"})))
    assert isinstance(error, Conflict)
    assert error.message.endswith("the object has been modified; please apply your changes to the latest version and try again")


@in_world
async def test_an_update_without_a_revision_takes_the_newest(world: World) -> None:
    await world.client.create(config_map(data={"a": "1"}))
    changed = await world.client.update(config_map(data={"b": "2"}))
    assert changed.data == {"b": "2"}


@in_world
async def test_an_update_that_changes_nothing_makes_no_revision(world: World) -> None:
    made = await world.client.create(config_map(data={"a": "1"}))
    before = world.store.revision
    await world.environment.sleep(10)
    assert await world.client.update(made) is made
    assert await world.client.update(config_map(data={"a": "1"})) is made
    assert await world.client.patch(ConfigMap, "a", {"data": {"a": "1"}}, namespace="default", content_type=MERGE_PATCH) is made
    assert world.store.revision == before


@in_world
async def test_another_uid_is_a_conflict_of_preconditions(world: World) -> None:
    made = await world.client.create(config_map())
    error = await refused(world.client.update(config_map(uid="other")))
    assert isinstance(error, Conflict)
    assert f"Precondition failed: UID in precondition: other, UID in object meta: {made.metadata.uid}" in error.message


@in_world
async def test_a_patch_of_what_cannot_change_is_refused(world: World) -> None:
    await world.client.create(config_map())
    error = await refused(world.client.patch(ConfigMap, "a", {"metadata": {"uid": "other"}}, namespace="default", content_type=MERGE_PATCH))
    assert isinstance(error, Invalid)
    assert error.message == 'ConfigMap "a" is invalid: metadata.uid: Invalid value: "other": field is immutable'
    error = await refused(world.client.patch(ConfigMap, "a", {"metadata": {"name": "b"}}, namespace="default", content_type=MERGE_PATCH))
    assert isinstance(error, BadRequest)
    assert error.message == "the name of the object (b) does not match the name on the URL (a)"


@in_world
async def test_each_kind_of_patch_is_applied(world: World) -> None:
    await world.client.create(config_map(data={"a": "1"}))
    for patch, kind, wanted in (
        ({"data": {"b": "2"}}, MERGE_PATCH, {"a": "1", "b": "2"}),
        ([{"op": "remove", "path": "/data/a"}], JSON_PATCH, {"b": "2"}),
        ({"data": {"c": "3"}}, STRATEGIC_MERGE_PATCH, {"b": "2", "c": "3"}),
    ):
        changed: ConfigMap = await world.client.patch(ConfigMap, "a", patch, namespace="default", content_type=kind)
        assert changed.data == wanted
    assert isinstance(await refused(world.client.patch(ConfigMap, "a", {}, namespace="default", content_type="text/plain")), UnsupportedMediaType)


@in_world
async def test_apply_creates_and_changes(world: World) -> None:
    wanted = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "default"}, "data": {"a": "1"}}
    alice = world.client.acting_as(world.client.identity, field_manager="alice")
    bob = world.client.acting_as(world.client.identity, field_manager="bob")
    made: ConfigMap = await alice.patch(ConfigMap, "a", wanted, namespace="default", content_type=APPLY_PATCH)
    again = await alice.patch(ConfigMap, "a", wanted, namespace="default", content_type=APPLY_PATCH)
    assert again is made
    error = await refused(bob.patch(ConfigMap, "a", {**wanted, "data": {"a": "2"}}, namespace="default", content_type=APPLY_PATCH))
    assert isinstance(error, Conflict)
    taken: ConfigMap = await bob.patch(ConfigMap, "a", {**wanted, "data": {"a": "2"}}, namespace="default", content_type=APPLY_PATCH, force=True)
    assert taken.data == {"a": "2"}
    assert {entry.manager for entry in taken.metadata.managedFields} == {"bob"}


@in_world
async def test_a_dry_run_changes_nothing(world: World) -> None:
    made = await world.client.create(config_map(data={"a": "1"}))
    shown = await world.client.update(replace(made, data={"a": "2"}), dry_run=True)
    assert shown.data == {"a": "2"}
    assert shown.metadata.resourceVersion == made.metadata.resourceVersion
    assert await world.client.get(ConfigMap, "a", namespace="default") is made


@in_world
async def test_a_put_creates_where_the_kind_allows_it(world: World) -> None:
    assert isinstance(await refused(world.client.update(pod())), NotFound)


@in_world
async def test_status_and_spec_are_written_apart(world: World) -> None:
    made = await world.client.create(pod())
    running = await world.client.update(replace(made, status=PodStatus(phase="Running")), subresource="status")
    assert running.status.phase == "Running"
    main = await world.client.update(replace(running, status=PodStatus(phase="Failed"), metadata=replace(running.metadata, labels={"a": "b"})))
    assert (main.status.phase, main.metadata.labels) == ("Running", {"a": "b"})
    spec = await world.client.update(replace(main, spec=replace(main.spec, nodeName="n")), subresource="status")
    assert spec is main
    assert [(entry.subresource, entry.operation) for entry in running.metadata.managedFields] == [("", "Update"), ("status", "Update")]


@in_world
async def test_revisions_share_what_did_not_change(world: World) -> None:
    made = await world.client.create(pod())
    changed: Pod = await world.client.patch(Pod, "p", {"metadata": {"labels": {"a": "b"}}}, namespace="default", content_type=MERGE_PATCH)
    assert changed.spec is made.spec
    assert changed.status is made.status


@in_world
async def test_a_lease_is_renewed(world: World) -> None:
    lease = await world.client.create(Lease(metadata=ObjectMeta(name="n", namespace="default"), spec=LeaseSpec(holderIdentity="a")))
    for second in range(3):
        lease = await world.client.update(replace(lease, spec=replace(lease.spec, renewTime=f"2026-01-01T00:00:0{second}.000000Z")))
    assert lease.spec.renewTime == "2026-01-01T00:00:02.000000Z"
    assert len(lease.metadata.managedFields) == 1


@in_world
async def test_a_put_that_means_an_object_of_another_uid_is_a_conflict_even_when_there_is_none(world: World) -> None:
    error = await refused(world.client.update(config_map(uid="gone")))
    assert isinstance(error, Conflict)
    assert error.message.endswith("Precondition failed: UID in precondition: gone, UID in object meta: ")


@in_world
async def test_a_put_that_creates_forgets_the_revision(world: World) -> None:
    lease = Lease(metadata=ObjectMeta(name="n", namespace="default", resourceVersion="7"), spec=LeaseSpec(holderIdentity="a"))
    assert (await world.client.update(lease)).metadata.resourceVersion == str(world.store.revision)
