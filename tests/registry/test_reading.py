"""Get, list and watch at the revisions that were asked for."""
from __future__ import annotations

import pytest

from kubelet_lite.api.core_v1 import ConfigMap, Pod
from kubelet_lite.api.errors import ApiError, BadRequest, Expired, Invalid, Timeout
from kubelet_lite.api.requests import MERGE_PATCH, ListOptions, WatchEvent
from tests.registry.world import World, config_map, in_world, names, pod, refused


async def watched(world: World, **options: object) -> list[tuple[str, str]]:
    """The events of a watch that ends after a second: (type, name)."""
    found: list[WatchEvent] = []
    wanted = ListOptions(timeout_seconds=1, **options)  # type: ignore[arg-type]
    async with world.client.watch(ConfigMap, namespace="default", options=wanted) as batches:
        async for batch in batches:
            found += batch
    return [(event.type, event.object.metadata.name) for event in found]


async def scene(world: World) -> str:
    """a is made, changed and relabelled, b too, a is deleted and made again; returns the first revision."""
    first = await world.client.create(config_map("a", labels={"l": "x"}))
    await world.client.create(config_map("b", labels={"l": "y"}))
    for name, patch in (
        ("a", {"data": {"n": "1"}}), ("a", {"metadata": {"labels": {"l": "y"}}}), ("b", {"metadata": {"labels": {"l": "x"}}}),
    ):
        await world.client.patch(ConfigMap, name, patch, namespace="default", content_type=MERGE_PATCH)
    await world.client.delete(ConfigMap, "a", namespace="default")
    await world.client.create(config_map("a"))
    return first.metadata.resourceVersion


@in_world
async def test_a_watch_continues_where_a_list_ended(world: World) -> None:
    revision = await scene(world)
    assert await watched(world, resource_version=revision) == [
        ("ADDED", "b"), ("MODIFIED", "a"), ("MODIFIED", "a"), ("MODIFIED", "b"), ("DELETED", "a"), ("ADDED", "a"),
    ]


@in_world
async def test_what_enters_and_leaves_a_selection_is_added_and_deleted(world: World) -> None:
    revision = await scene(world)
    assert await watched(world, resource_version=revision, label_selector="l=x") == [("MODIFIED", "a"), ("DELETED", "a"), ("ADDED", "b")]
    assert await watched(world, resource_version=revision, label_selector="l=y") == [
        ("ADDED", "b"), ("ADDED", "a"), ("DELETED", "b"), ("DELETED", "a"),
    ]


@in_world
async def test_a_deleted_event_carries_the_revision_of_the_deletion(world: World) -> None:
    made = await world.client.create(config_map())
    await world.client.delete(ConfigMap, "a", namespace="default")
    options = ListOptions(resource_version=made.metadata.resourceVersion)
    async with world.client.watch(ConfigMap, options=options) as batches:
        (event,) = await anext(batches)
    assert event.type == "DELETED"
    assert event.object.metadata.resourceVersion == str(world.store.revision)


@in_world
async def test_a_watch_without_a_revision_begins_with_all_there_is(world: World) -> None:
    for name in ("b", "a"):
        await world.client.create(config_map(name))
    assert await watched(world) == [("ADDED", "a"), ("ADDED", "b")]
    assert await watched(world, resource_version="0") == [("ADDED", "a"), ("ADDED", "b")]


@in_world
async def test_initial_events_end_with_a_bookmark(world: World) -> None:
    await world.client.create(config_map())
    options = ListOptions(send_initial_events=True, resource_version_match="NotOlderThan", allow_watch_bookmarks=True)
    async with world.client.watch(ConfigMap, options=options) as batches:
        added, mark = await anext(batches)
        assert (added.type, mark.type) == ("ADDED", "BOOKMARK")
        assert mark.object.metadata.annotations == {"k8s.io/initial-events-end": "true"}
        (later,) = await anext(batches)
    assert later.type == "BOOKMARK"
    assert world.environment.monotonic() >= 60


@in_world
async def test_no_initial_events_when_they_are_not_wanted(world: World) -> None:
    await world.client.create(config_map())
    assert await watched(world, send_initial_events=False, resource_version_match="NotOlderThan") == []


@pytest.mark.parametrize(("options", "message"), [
    (ListOptions(send_initial_events=True), "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"),
    (ListOptions(resource_version="1", resource_version_match="Exact"), "resourceVersionMatch is forbidden for watch unless"),
])
def test_options_of_a_watch_are_checked(options: ListOptions, message: str) -> None:
    @in_world
    async def check(world: World) -> None:
        with pytest.raises(Invalid, match=message):
            async with world.client.watch(ConfigMap, options=options):
                pass

    check()


@in_world
async def test_a_revision_that_was_compacted_is_gone(world: World) -> None:
    revision = await scene(world)
    world.store.compact(world.store.revision)
    with pytest.raises(Expired, match="too old resource version"):
        async with world.client.watch(ConfigMap, options=ListOptions(resource_version=revision)):
            pass
    error = await refused(world.client.list(ConfigMap, options=ListOptions(resource_version=revision, resource_version_match="Exact")))
    assert isinstance(error, Expired)


@in_world
async def test_pages_continue_at_the_revision_of_the_first(world: World) -> None:
    for name in ("a", "b", "c"):
        await world.client.create(config_map(name))
    first = await world.client.list(ConfigMap, namespace="default", options=ListOptions(limit=2))
    assert (names(first.items), first.remaining) == (["a", "b"], 1)
    await world.client.delete(ConfigMap, "c", namespace="default")
    second = await world.client.list(ConfigMap, namespace="default", options=ListOptions(limit=2, continue_=first.continue_))
    assert (names(second.items), second.continue_, second.resource_version) == (["c"], "", first.resource_version)


@in_world
async def test_a_token_that_is_too_old_comes_with_one_that_goes_on_from_now(world: World) -> None:
    for name in ("a", "b", "c"):
        await world.client.create(config_map(name))
    first = await world.client.list(ConfigMap, options=ListOptions(limit=1))
    await world.client.delete(ConfigMap, "b", namespace="default")
    world.store.compact(world.store.revision)
    error = await refused(world.client.list(ConfigMap, options=ListOptions(limit=1, continue_=first.continue_)))
    assert isinstance(error, Expired)
    assert error.to_status()["metadata"] == {"continue": error.continue_}
    rest = await world.client.list(ConfigMap, options=ListOptions(continue_=error.continue_))
    assert names(rest.items) == ["c"]


@in_world
async def test_pages_of_a_selection(world: World) -> None:
    for number in range(10):
        await world.client.create(config_map(f"m{number}", labels={"even": str(number % 2 == 0)}))
    found, token = [], ""
    while True:
        page = await world.client.list(ConfigMap, options=ListOptions(limit=2, label_selector="even=True", continue_=token))
        found += names(page.items)
        token = page.continue_
        if not token:
            break
    assert found == ["m0", "m2", "m4", "m6", "m8"]


@in_world
async def test_a_full_page_goes_on_whether_or_not_more_are_selected(world: World) -> None:
    for name, label in (("a", "x"), ("b", "y")):
        await world.client.create(config_map(name, labels={"l": label}))
    page = await world.client.list(ConfigMap, options=ListOptions(limit=1, label_selector="l=x"))
    rest = await world.client.list(ConfigMap, options=ListOptions(limit=1, label_selector="l=x", continue_=page.continue_))
    assert (names(page.items), bool(page.continue_), rest.items, rest.continue_) == (["a"], True, (), "")


@in_world
async def test_any_revision_means_all_objects_whatever_the_limit(world: World) -> None:
    for name in ("a", "b"):
        await world.client.create(config_map(name))
    assert names((await world.client.list(ConfigMap, options=ListOptions(limit=1, resource_version="0"))).items) == ["a", "b"]


@in_world
async def test_fields_select(world: World) -> None:
    await world.client.create(pod("a", node="n1"))
    await world.client.create(pod("b"))
    for selector, wanted in (
        ("spec.nodeName=n1", ["a"]), ("spec.nodeName=", ["b"]), ("spec.nodeName!=n1", ["b"]), ("metadata.name=b", ["b"]),
        ("metadata.name=a,metadata.name=b", []), ("metadata.namespace=other", []), ("metadata.namespace=default", ["a", "b"]),
    ):
        assert names((await world.client.list(Pod, options=ListOptions(field_selector=selector))).items) == wanted, selector


@pytest.mark.parametrize(("options", "kind", "message"), [
    ({"field_selector": "spec.bogus=1"}, BadRequest, '"spec.bogus" is not a known field selector: only "metadata.name", "metadata.namespace"'),
    ({"field_selector": "bad"}, BadRequest, "invalid selector: 'bad'; can't understand 'bad'"),
    ({"label_selector": "=x"}, BadRequest, "found '=', expected: !, identifier, or 'end of string'"),
    ({"continue_": "nope"}, BadRequest, "continue key is not valid"),
    ({"resource_version": "abc"}, ApiError, 'resourceVersion: Invalid value: "abc"'),
    ({"resource_version": "99"}, Timeout, "Too large resource version: 99, current: 1"),
    ({"resource_version_match": "Exact"}, Invalid, "resourceVersionMatch is forbidden unless resourceVersion is provided"),
    ({"resource_version_match": "Exact", "resource_version": "0"}, Invalid, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'),
    ({"resource_version_match": "x", "resource_version": "1"}, Invalid, 'Unsupported value: "x"'),
    ({"send_initial_events": True}, Invalid, "sendInitialEvents is forbidden for list"),
])
def test_options_of_a_list_are_checked(options: dict[str, object], kind: type[ApiError], message: str) -> None:
    @in_world
    async def check(world: World) -> None:
        error = await refused(world.client.list(ConfigMap, options=ListOptions(**options)))  # type: ignore[arg-type]
        assert isinstance(error, kind)
        assert message in error.message

    check()


@in_world
async def test_a_watch_of_one_node_hears_nothing_of_others(world: World) -> None:
    revision = str(world.store.revision)
    await world.client.create(pod("a", node="n1"))
    await world.client.create(pod("b", node="n2"))
    options = ListOptions(resource_version=revision, field_selector="spec.nodeName=n2", timeout_seconds=1)
    async with world.client.watch(Pod, options=options) as batches:
        events = [event async for batch in batches for event in batch]
    assert names([event.object for event in events]) == ["b"]
