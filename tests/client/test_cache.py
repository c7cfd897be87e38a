"""Informers: what they hold, what they tell, and that they come back."""
from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
from msgspec.structs import replace

from kubelet_lite.actors.supervisor import Supervisor
from kubelet_lite.api.core_v1 import ConfigMap, Pod
from kubelet_lite.api.errors import ServiceUnavailable
from kubelet_lite.api.meta_v1 import OwnerReference
from kubelet_lite.client.cache import Change, Informer, Informers, by_controller, by_label, by_node
from tests.registry.world import World, config_map, in_world, names, pod

Told = tuple[str | None, str | None]


def noting(told: list[Told]) -> Any:
    """A handler that writes down the data of old and new."""

    def handler(changes: Sequence[Change[ConfigMap]]) -> None:
        told.extend((None if c.old is None else c.old.data.get("v"), None if c.new is None else c.new.data.get("v")) for c in changes)

    return handler


@asynccontextmanager
async def started(world: World, informer: Informer[Any]) -> AsyncIterator[Supervisor]:
    async with Supervisor(world.environment) as supervisor:
        supervisor.start(informer)
        await informer.wait_synced()
        await world.environment.sleep(0)
        yield supervisor


async def settled(world: World) -> None:
    await world.environment.sleep(0.1)


@in_world
async def test_an_informer_holds_what_there_is_and_what_comes(world: World) -> None:
    await world.client.create(config_map("a"))
    informer = Informer(world.client, world.environment, ConfigMap)
    async with started(world, informer):
        assert names(informer.list()) == ["a"]
        made = await world.client.create(config_map("b"))
        await settled(world)
        assert informer.get("b", "default") is made
        assert informer.has_seen(made.metadata.resourceVersion)
        await world.client.delete(ConfigMap, "a", namespace="default")
        await settled(world)
        assert names(informer.list("default")) == ["b"]
        assert names(informer.list("other")) == []


@in_world
async def test_it_does_not_claim_to_have_seen_what_it_has_not(world: World) -> None:
    informer = Informer(world.client, world.environment, ConfigMap)
    async with started(world, informer):
        made = await world.client.create(config_map())
        assert not informer.has_seen(made.metadata.resourceVersion)
        await settled(world)
        assert informer.has_seen(made.metadata.resourceVersion)


@in_world
async def test_changes_of_one_object_in_one_batch_are_one(world: World) -> None:
    told: list[Told] = []
    await world.client.create(config_map("a", data={"v": "0"}))
    informer = Informer(world.client, world.environment, ConfigMap)
    informer.add_handler(noting(told))
    async with started(world, informer):
        for value in ("1", "2"):
            await world.client.update(config_map("a", data={"v": value}))
        await world.client.create(config_map("short", data={"v": "x"}))
        await world.client.delete(ConfigMap, "short", namespace="default")
        await settled(world)
        assert told == [(None, "0"), ("0", "2")]
        await world.client.delete(ConfigMap, "a", namespace="default")
        await settled(world)
        assert told[2:] == [("2", None)]


@in_world
async def test_a_late_handler_is_told_what_is_there(world: World) -> None:
    await world.client.create(config_map("a", data={"v": "0"}))
    informer = Informer(world.client, world.environment, ConfigMap)
    async with started(world, informer):
        told: list[Told] = []
        informer.add_handler(noting(told))
        assert told == [(None, "0")]


@in_world
async def test_indexes_follow_their_objects(world: World) -> None:
    owner = OwnerReference(apiVersion="apps/v1", kind="ReplicaSet", name="r", uid="owner", controller=True)
    informers = Informers(world.client, world.environment)
    informer = informers.of(Pod, indexes={"owner": by_controller, "node": by_node, "app": by_label("app")})
    assert informers.of(Pod) is informer
    async with started(world, informer):
        made = await world.client.create(pod("a", ownerReferences=(owner,), labels={"app": "web"}))
        await settled(world)
        assert informer.by_index("owner", "owner") == [made]
        assert informer.by_index("app", "default/web") == [made]
        assert informer.by_index("node", "n") == []
        released = await world.client.update(replace(made, metadata=replace(made.metadata, ownerReferences=())))
        await settled(world)
        assert informer.by_index("owner", "owner") == []
        assert informer.list() == [released]


@in_world
async def test_a_selection_loses_what_no_longer_belongs(world: World) -> None:
    informer = Informer(world.client, world.environment, ConfigMap, label_selector="l=x")
    async with started(world, informer):
        made = await world.client.create(config_map("a", labels={"l": "x"}))
        await settled(world)
        assert names(informer.list()) == ["a"]
        await world.client.update(replace(made, metadata=replace(made.metadata, labels={})))
        await settled(world)
        assert informer.list() == []


@in_world
async def test_it_lists_again_after_its_revision_was_compacted(world: World) -> None:
    told: list[Told] = []
    await world.client.create(config_map("a", data={"v": "0"}))
    await world.client.create(config_map("b", data={"v": "b"}))
    informer = Informer(world.client, world.environment, ConfigMap)
    async with started(world, informer):
        informer.add_handler(noting(told))
        await world.client.update(config_map("a", data={"v": "1"}))
        await world.client.delete(ConfigMap, "b", namespace="default")
        world.store.compact(world.store.revision)
        await settled(world)
        assert told == [(None, "0"), (None, "b"), ("b", None), ("0", "1")]
        assert informer.statistics()["lists"] == 2


class Flaky:
    """A client whose lists fail at first."""

    def __init__(self, world: World, failures: int) -> None:
        self._client = world.client
        self.failures = failures

    async def list(self, *args: Any, **more: Any) -> Any:
        if self.failures:
            self.failures -= 1
            raise ServiceUnavailable("not yet")
        return await self._client.list(*args, **more)

    def watch(self, *args: Any, **more: Any) -> Any:
        return self._client.watch(*args, **more)


@in_world
async def test_it_waits_for_a_server_that_does_not_answer(world: World) -> None:
    informer: Informer[ConfigMap] = Informer(Flaky(world, 3), world.environment, ConfigMap)  # type: ignore[arg-type]
    before = world.environment.monotonic()
    async with started(world, informer):
        assert 0.8 + 1.6 + 3.2 <= world.environment.monotonic() - before <= 2 * (0.8 + 1.6 + 3.2)


@in_world
async def test_a_restarted_informer_tells_the_difference(world: World) -> None:
    told: list[Told] = []
    informer = Informer(world.client, world.environment, ConfigMap)
    informer.add_handler(noting(told))
    await world.client.create(config_map("a", data={"v": "0"}))
    for value in ("1", "2"):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(informer.run)
            await settled(world)
            tasks.cancel_scope.cancel()
        await world.client.update(config_map("a", data={"v": value}))
    assert told == [(None, "0"), ("0", "1")]


@in_world
async def test_whoever_waits_for_a_revision_is_called_once_it_is_seen_after_the_handlers(world: World) -> None:
    calls: list[str] = []
    informer = Informer(world.client, world.environment, ConfigMap)
    async with started(world, informer):
        informer.add_handler(lambda changes: calls.append("handler"))
        first = await world.client.create(config_map("a"))
        second = await world.client.create(config_map("b"))
        informer.when_seen(second.metadata.resourceVersion, lambda: calls.append("second"))
        informer.when_seen(first.metadata.resourceVersion, lambda: calls.append("first"))
        assert calls == []
        await settled(world)
        assert calls == ["handler", "first", "second"]
        informer.when_seen(first.metadata.resourceVersion, lambda: calls.append("at once"))
        assert calls[-1] == "at once"


@in_world
async def test_a_refresh_returns_after_a_list_that_began_later(world: World) -> None:
    informer = Informer(world.client, world.environment, ConfigMap)
    async with started(world, informer):
        made = await world.client.create(config_map("a"))
        await informer.refresh()
        assert informer.get("a", "default") is made
        assert informer.statistics()["lists"] == 2
        await world.client.delete(ConfigMap, "a", namespace="default")
        await settled(world)
        assert informer.list() == []
