"""Clients over a client: dry runs, and one at home in a namespace."""
from __future__ import annotations

from msgspec.structs import replace

from kubelet_lite.api.core_v1 import ConfigMap, Namespace
from kubelet_lite.api.identity import Identity
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.requests import MERGE_PATCH
from kubelet_lite.client.dry_run import DryRunClient
from kubelet_lite.client.namespaced import NamespacedClient
from tests.registry.world import World, config_map, in_world, names


@in_world
async def test_a_dry_run_client_stores_nothing(world: World) -> None:
    made = await world.client.create(config_map(data={"a": "1"}))
    before = world.store.revision
    client = DryRunClient(world.client)
    assert (await client.create(config_map("b"))).metadata.uid
    assert (await client.update(replace(made, data={"a": "2"}))).data == {"a": "2"}
    patched: ConfigMap = await client.patch(ConfigMap, "a", {"data": {"b": "2"}}, namespace="default", content_type=MERGE_PATCH)
    assert patched.data == {"a": "1", "b": "2"}
    await client.delete(ConfigMap, "a", namespace="default")
    await client.delete_collection(ConfigMap, namespace="default")
    assert world.store.revision == before
    assert isinstance(client.acting_as(Identity(name="jane")), DryRunClient)


@in_world
async def test_a_namespaced_client_is_at_home_in_its_namespace(world: World) -> None:
    client = NamespacedClient(world.client, "mine")
    await client.create(config_map("a", namespace=""))
    await client.create(config_map("b", namespace="other"))
    assert names((await client.list(ConfigMap)).items) == ["a"]
    assert (await client.get(ConfigMap, "a")).metadata.namespace == "mine"
    assert (await client.get(ConfigMap, "b", namespace="other")).metadata.name == "b"
    assert (await client.create(Namespace(metadata=ObjectMeta(name="n")))).metadata.namespace == ""
    await client.delete_collection(ConfigMap)
    assert names((await world.client.list(ConfigMap)).items) == ["b"]
    assert client.acting_as(Identity(name="jane")).namespace == "mine"
