"""Custom resources through the registry: written, read, watched, converted, scaled, applied, as any other kind."""
from __future__ import annotations

import msgspec
from msgspec.structs import replace

from kubelet_lite.api.apiextensions_v1 import CustomResourceDefinition
from kubelet_lite.api.autoscaling_v1 import Scale, ScaleSpec
from kubelet_lite.api.errors import BadRequest, Conflict, InternalError, Invalid, NotFound, UnsupportedMediaType
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.requests import (
    APPLY_PATCH,
    JSON_PATCH,
    MERGE_PATCH,
    STRATEGIC_MERGE_PATCH,
    Body,
    ListOptions,
    RequestContext,
)
from kubelet_lite.api.resources import Resource
from tests.registry.custom.things import GROUP, SPEC, thing, version, with_things
from tests.registry.world import World, refused

PARTS = {"status": {}, "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas", "labelSelectorPath": ".status.selector"}}


async def served_as(world: World, name: str, kind: str = "Thing") -> Resource:
    found = await world.client.find_kind(f"{GROUP}/{name}", kind)
    assert found is not None
    return found


@with_things()
async def test_an_object_gets_its_defaults_and_loses_what_is_unknown(world: World, things: Resource) -> None:
    made = await world.client.create(thing(spec={"size": 3.0, "more": 1, "free": {"any": [1]}}))
    assert made.fields == {"spec": {"size": 3, "free": {"any": [1]}, "color": "red"}}
    assert made.metadata.generation == 1
    assert (await world.client.get(things, "t", namespace="default")) == made


@with_things()
async def test_what_is_handed_over_in_process_is_copied(world: World, things: Resource) -> None:
    mine = {"size": 1, "free": {"a": 1}}
    made = await world.client.create(thing(spec=mine))
    mine["free"]["a"] = 2  # type: ignore[index]
    assert (await world.client.get(things, "t", namespace="default")).fields["spec"]["free"] == {"a": 1}
    assert isinstance(await refused(world.client.create(thing("u", spec={"size": 1, "free": {"a": object()}}))), BadRequest)
    assert made.metadata.name == "t"


@with_things()
async def test_all_that_is_wrong_is_said_at_once(world: World, things: Resource) -> None:
    error = await refused(world.client.create(thing(spec={"size": 0, "color": "green", "ports": [{"port": 1}, {"port": 1}], "tags": "x"})))
    assert isinstance(error, Invalid)
    assert [cause.field for cause in error.causes] == ["spec.color", "spec.size", "spec.tags", "spec.ports[1]"]
    assert 'Thing.stable.example.com "t" is invalid: [spec.color: Unsupported value: "green": ' in error.message


@with_things()
async def test_field_validation(world: World, things: Resource) -> None:
    body = Body(msgspec.json.encode({"apiVersion": f"{GROUP}/v1", "kind": "Thing", "metadata": {"name": "t"}, "spec": {"size": 1, "more": 1}}), "application/json")
    strict = RequestContext(identity=world.client.identity, field_validation="Strict")
    error = await refused(world.registry.create(strict, things, "default", body))
    assert error.message == 'Thing in version "v1" cannot be handled as a Thing: strict decoding error: unknown field "spec.more"'
    warned = RequestContext(identity=world.client.identity, field_validation="Warn")
    await world.registry.create(warned, things, "default", body)
    assert warned.warnings == ['unknown field "spec.more"']
    patched = RequestContext(identity=world.client.identity, field_validation="Strict")
    error = await refused(world.registry.patch(patched, things, "default", "t", Body(b'{"spec":{"less":1}}'), MERGE_PATCH))
    assert isinstance(error, Invalid)
    assert 'strict decoding error: unknown field "spec.less"' in error.message


@with_things(version(subresources=PARTS))
async def test_status_is_written_through_its_own_way_alone(world: World, things: Resource) -> None:
    made = await world.client.create(thing(spec={"size": 1}, status={"replicas": 9}))
    assert "status" not in made.fields
    shown = await world.client.update(replace(made, fields={"spec": {"size": 9}, "status": {"replicas": 3}}), subresource="status")
    assert shown.fields == {"spec": {"size": 1, "color": "red"}, "status": {"replicas": 3}}
    assert shown.metadata.generation == 1
    after = await world.client.update(replace(shown, fields={"spec": {"size": 2}}))
    assert after.fields["status"] == {"replicas": 3}
    assert after.metadata.generation == 2
    error = await refused(world.client.patch(things, "t", {"status": {"replicas": "x"}}, content_type=MERGE_PATCH, namespace="default", subresource="status"))
    assert 'status.replicas: Invalid value: "string": replicas in body must be of type integer: "string"' in error.message


@with_things()
async def test_without_the_subresource_a_status_is_a_field_like_any_other(world: World, things: Resource) -> None:
    made = await world.client.create(thing(spec={"size": 1}, status={"replicas": 9}))
    assert made.fields["status"] == {"replicas": 9}
    after = await world.client.patch(things, "t", {"status": {"replicas": 1}}, content_type=MERGE_PATCH, namespace="default")
    assert after.metadata.generation == 2


@with_things(version(subresources=PARTS))
async def test_scale(world: World, things: Resource) -> None:
    await world.client.create(thing(spec={"size": 1, "replicas": 2}))
    await world.client.patch(things, "t", {"status": {"replicas": 1, "selector": "a=b"}}, content_type=MERGE_PATCH, namespace="default", subresource="status")
    scale = await world.client.get(things, "t", namespace="default", subresource="scale")
    assert (scale.spec.replicas, scale.status.replicas, scale.status.selector) == (2, 1, "a=b")
    await world.client.patch(things, "t", {"spec": {"replicas": 5}}, content_type=MERGE_PATCH, namespace="default", subresource="scale")
    after = await world.client.get(things, "t", namespace="default")
    assert after.fields["spec"]["replicas"] == 5
    assert after.metadata.generation == 2
    wanted = Scale(metadata=ObjectMeta(name="t", namespace="default"), spec=ScaleSpec(replicas=-1))
    context = RequestContext(identity=world.client.identity)
    assert isinstance(await refused(world.registry.update(context, things, "default", "t", wanted, subresource="scale")), Invalid)
    await world.client.create(thing("u", spec={"size": 1}))
    assert 'the spec replicas field ".spec.replicas" does not exist' in (await refused(world.client.get(things, "u", namespace="default", subresource="scale"))).message


@with_things(version(), version("v1beta1", storage=False, deprecated=True))
async def test_versions_differ_in_their_name_alone(world: World, things: Resource) -> None:
    old = await served_as(world, "v1beta1")
    made = await world.client.create(thing(api_version="v1beta1"))
    assert made.apiVersion == f"{GROUP}/v1beta1"
    assert (await world.client.get(things, "t", namespace="default")).apiVersion == f"{GROUP}/v1"
    (listed,) = (await world.client.list(old, namespace="default")).items
    assert listed == made
    context = RequestContext(identity=world.client.identity)
    await world.registry.get(context, old, "default", "t")
    assert context.warnings == [f"{GROUP}/v1beta1 Thing is deprecated; use {GROUP}/v1 Thing"]
    before = made.metadata.resourceVersion
    assert (await world.client.update(made)).metadata.resourceVersion == before  # nothing changed, whatever the version
    error = await refused(world.client.patch(things, "t", {"kind": "Other"}, content_type=MERGE_PATCH, namespace="default"))
    assert 'kind: Invalid value: "Other": must be Thing' in error.message


@with_things(
    version(), version("v2", storage=False), conversion={"strategy": "Webhook", "webhook": {"clientConfig": {"url": "https://x"}, "conversionReviewVersions": ["v1"]}},
)
async def test_what_needs_a_conversion_webhook_says_that_nobody_calls_it(world: World, things: Resource) -> None:
    await world.client.create(thing())
    assert (await world.client.get(things, "t", namespace="default")).fields["spec"]["size"] == 1
    error = await refused(world.client.get(await served_as(world, "v2"), "t", namespace="default"))
    assert isinstance(error, InternalError)
    assert "kubelet-lite does not call conversion webhooks yet" in error.message


@with_things(version(selectableFields=[{"jsonPath": ".spec.color"}]))
async def test_selectable_fields(world: World, things: Resource) -> None:
    await world.client.create(thing("a"))
    await world.client.create(thing("b", spec={"size": 1, "color": "blue"}))
    found = await world.client.list(things, options=ListOptions(field_selector="spec.color=blue"))
    assert [obj.metadata.name for obj in found.items] == ["b"]
    error = await refused(world.client.list(things, options=ListOptions(field_selector="spec.size=1")))
    assert error.message == "field label not supported: spec.size"


@with_things()
async def test_server_side_apply_follows_the_schema(world: World, things: Resource) -> None:
    def config(**spec: object) -> dict[str, object]:
        return {"apiVersion": f"{GROUP}/v1", "kind": "Thing", "metadata": {"name": "t"}, "spec": {"size": 1, **spec}}

    async def apply(manager: str, **spec: object) -> dict[str, object]:
        client = world.client.acting_as(world.client.identity, field_manager=manager)
        done = await client.patch(things, "t", config(**spec), content_type=APPLY_PATCH, namespace="default")
        return done.fields["spec"]

    await apply("one", ports=[{"port": 80, "name": "web"}], tags=["a"])
    await apply("two", ports=[{"port": 443}], tags=["b"])
    assert (await apply("two", ports=[{"port": 443, "name": "tls"}], tags=["b"]))["ports"] == [{"port": 80, "name": "web"}, {"port": 443, "name": "tls"}]
    left = await apply("one")
    assert left["ports"] == [{"port": 443, "name": "tls"}]
    assert left["tags"] == ["b"]
    assert isinstance(await refused(apply("one", ports=[{"port": 443, "name": "mine"}])), Conflict)
    assert ".spec.unknown: field not declared in schema" in (await refused(apply("one", unknown=1))).message


@with_things()
async def test_patches(world: World, things: Resource) -> None:
    await world.client.create(thing())
    after = await world.client.patch(things, "t", [{"op": "add", "path": "/spec/tags", "value": ["x"]}], content_type=JSON_PATCH, namespace="default")
    assert after.fields["spec"]["tags"] == ["x"]
    error = await refused(world.client.patch(things, "t", {"spec": {"size": 2}}, content_type=STRATEGIC_MERGE_PATCH, namespace="default"))
    assert isinstance(error, UnsupportedMediaType)
    assert error.message.endswith("application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml")


@with_things()
async def test_a_stricter_schema_leaves_alone_what_does_not_change(world: World, things: Resource) -> None:
    await world.client.create(thing())
    await change_spec(world, {**SPEC, "properties": {**SPEC["properties"], "size": {"type": "integer", "minimum": 5}, "new": {"type": "string", "default": "n"}}})
    shown = await world.client.get(things, "t", namespace="default")
    assert shown.fields["spec"] == {"size": 1, "color": "red", "new": "n"}  # defaults hold for what is stored, too
    after = await world.client.patch(things, "t", {"spec": {"color": "blue"}}, content_type=MERGE_PATCH, namespace="default")
    assert after.fields["spec"]["color"] == "blue"
    error = await refused(world.client.patch(things, "t", {"spec": {"size": 2}}, content_type=MERGE_PATCH, namespace="default"))
    assert "spec.size in body should be greater than or equal to 5" in error.message


async def change_spec(world: World, spec: dict[str, object]) -> None:
    versions = [{"op": "replace", "path": "/spec/versions/0/schema/openAPIV3Schema/properties/spec", "value": spec}]
    await world.client.patch(CustomResourceDefinition, f"things.{GROUP}", versions, content_type=JSON_PATCH)


@with_things()
async def test_a_watch_ends_when_its_definition_changes(world: World, things: Resource) -> None:
    async with world.client.watch(things) as events:
        await world.client.create(thing())
        assert [event.type for event in await anext(events)] == ["ADDED"]
        await change_spec(world, {**SPEC, "required": []})
        assert [batch async for batch in events] == []


@with_things()
async def test_nothing_is_served_beside(world: World, things: Resource) -> None:
    assert world.registry.find(GROUP, "v2", "things") is None
    assert world.registry.find(GROUP, "v1", "others") is None
    unserved = msgspec.structs.replace(things, version="v9", api_version=f"{GROUP}/v9")
    assert isinstance(await refused(world.client.list(unserved)), NotFound)
