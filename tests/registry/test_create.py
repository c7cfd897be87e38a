"""What a create makes of an object, and what it refuses."""
from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelet_lite.api.core_v1 import ConfigMap, Pod
from kubelet_lite.api.errors import AlreadyExists, BadRequest, Invalid
from kubelet_lite.api.meta_v1 import OwnerReference
from kubelet_lite.api.names import dns1123_label
from kubelet_lite.registry.metadata import generated_name
from tests.registry.world import World, config_map, in_world, pod, refused


@in_world
async def test_the_server_sets_uid_revision_and_time(world: World) -> None:
    made = await world.client.create(config_map(uid="mine", creationTimestamp="2020-01-01T00:00:00Z", deletionTimestamp="2020-01-01T00:00:00Z"))
    assert len(made.metadata.uid) == 36
    assert made.metadata.creationTimestamp == "2026-01-01T00:00:00Z"
    assert made.metadata.deletionTimestamp is None
    assert made.metadata.resourceVersion == str(world.store.revision)
    assert (await world.client.get(ConfigMap, "a", namespace="default")) is made


@in_world
async def test_the_creator_is_a_manager(world: World) -> None:
    made = await world.client.acting_as(world.client.identity, field_manager="me").create(config_map(data={"a": "1"}))
    (entry,) = made.metadata.managedFields
    assert (entry.manager, entry.operation, bytes(entry.fieldsV1)) == ("me", "Update", b'{"f:data":{".":{},"f:a":{}}}')


@in_world
async def test_a_name_is_generated(world: World) -> None:
    first, second = [await world.client.create(config_map("", generateName="gen-")) for _ in range(2)]
    assert first.metadata.name.startswith("gen-")
    assert len(first.metadata.name) == 9
    assert first.metadata.name != second.metadata.name


@given(st.text("abcdefghijklmnopqrstuvwxyz-0123456789", min_size=1, max_size=200), st.integers())
def test_a_generated_name_is_a_label_where_its_base_is_the_start_of_one(base: str, seed: int) -> None:
    if not base.startswith("-"):
        assert not dns1123_label(generated_name(base, Random(seed)))


@in_world
async def test_the_same_name_again_is_refused(world: World) -> None:
    await world.client.create(config_map())
    error = await refused(world.client.create(config_map()))
    assert isinstance(error, AlreadyExists)
    assert error.message == 'configmaps "a" already exists'


@in_world
async def test_a_name_that_is_being_deleted_is_refused_with_that_reason(world: World) -> None:
    await world.client.create(config_map(finalizers=("example.com/f",)))
    await world.client.delete(ConfigMap, "a", namespace="default")
    error = await refused(world.client.create(config_map()))
    assert error.message == 'object is being deleted: configmaps "a" already exists'


@in_world
async def test_every_offending_path_is_named_at_once(world: World) -> None:
    error = await refused(world.client.create(config_map("Bad!", labels={"-": "x"}, data={"%": "1"})))
    assert isinstance(error, Invalid)
    assert [cause.field for cause in error.causes] == ["metadata.name", "metadata.labels", "data[%]"]


@pytest.mark.parametrize(("metadata", "message"), [
    ({"annotations": {"-": "x"}}, "metadata.annotations"),
    ({"annotations": {"a": "x" * 300_000}}, "metadata.annotations: Too long: may not be more than 262144 bytes"),
    ({"finalizers": ("nope",)}, "metadata.finalizers[0]: Invalid value: \"nope\": name is neither a standard finalizer name"),
    ({"finalizers": ("orphan", "foregroundDeletion")}, "cannot be both set"),
    ({"ownerReferences": (OwnerReference(apiVersion="v1", kind="Pod", name="p"),)}, "metadata.ownerReferences.uid: Invalid value: \"\": must not be empty"),
    ({"name": "", "generateName": ""}, "metadata.name: Required value: name or generateName is required"),
])
def test_metadata_is_checked(metadata: dict[str, object], message: str) -> None:
    @in_world
    async def check(world: World) -> None:
        error = await refused(world.client.create(config_map(**metadata)))  # type: ignore[arg-type]
        assert message in error.message

    check()


@in_world
async def test_the_namespace_must_be_the_request_s(world: World) -> None:
    error = await refused(world.client.create(config_map(namespace="other"), namespace="default"))
    assert isinstance(error, BadRequest)
    assert error.message == "the namespace of the provided object does not match the namespace sent on the request"


@in_world
async def test_a_dry_run_stores_nothing(world: World) -> None:
    before = world.store.revision
    made = await world.client.create(config_map(), dry_run=True)
    assert made.metadata.uid
    assert not made.metadata.resourceVersion
    assert world.store.revision == before


@in_world
async def test_duplicate_owner_references_are_dropped_with_a_warning(world: World) -> None:
    owner = OwnerReference(apiVersion="v1", kind="Pod", name="p", uid="u")
    made = await world.client.create(config_map(ownerReferences=(owner, owner)))
    assert made.metadata.ownerReferences == (owner,)


@in_world
async def test_pods_of_one_shape_share_what_is_equal(world: World) -> None:
    first, second = [await world.client.create(pod(name, labels={"app": "web"})) for name in ("a", "b")]
    assert first.spec is second.spec
    assert first.metadata.labels is second.metadata.labels
    assert first.metadata.managedFields is second.metadata.managedFields


@in_world
async def test_status_is_not_the_creator_s(world: World) -> None:
    sent = pod()
    made = await world.client.create(Pod(metadata=sent.metadata, spec=sent.spec, status=type(sent.status)(phase="Running")))
    assert made.status.phase == "Pending"
    assert made.metadata.generation == 1
