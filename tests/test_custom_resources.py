"""Custom resources in a cluster: manifests bring their definitions along, the garbage collector and namespaces reach them, on both transports."""
from __future__ import annotations

from contextlib import asynccontextmanager

import pytest

from kubelet_lite import Cluster, HttpClient, NotFound
from kubelet_lite.api.core_v1 import ConfigMap, Namespace
from kubelet_lite.api.encoding import to_json
from kubelet_lite.api.meta_v1 import ObjectMeta, OwnerReference
from kubelet_lite.client import kubeconfig, waiting
from kubelet_lite.client.cache import Informer
from tests.registry.custom.things import GROUP, definition, thing, version

KIND = (f"{GROUP}/v1", "Thing")


@pytest.fixture(params=["local", "http"])
def connected(request, tmp_path):
    """Runs a cluster with a definition and an object of it, and hands out a client of it."""

    @asynccontextmanager
    async def run():
        async with Cluster(components=("apiserver", "controllers"), serve=request.param == "http") as cluster:
            await cluster.apply([to_json(thing()), to_json(definition(version(subresources={"status": {}})))])
            if request.param == "local":
                yield cluster.client
                return
            path = tmp_path / "kubeconfig"
            path.write_text(cluster.kubeconfig)
            async with HttpClient(kubeconfig.load(path)) as client:
                yield client

    return run


def owned_by(owner, **more):
    reference = OwnerReference(apiVersion=owner.apiVersion, kind=owner.kind, name=owner.metadata.name, uid=owner.metadata.uid, blockOwnerDeletion=True)
    return ObjectMeta(namespace="default", ownerReferences=(reference,), **more)


async def test_ownership_is_followed_to_custom_resources_and_from_them(connected):
    async with connected() as client:
        things = await client.find_kind(*KIND)
        owner = await client.get(things, "t", namespace="default")
        between = await client.create(ConfigMap(metadata=owned_by(owner, name="between")))
        child = thing("child")
        reference = OwnerReference(apiVersion="v1", kind="ConfigMap", name="between", uid=between.metadata.uid)
        await client.create(type(child)(kind=child.kind, apiVersion=child.apiVersion, fields=child.fields, metadata=ObjectMeta(
            name="child", namespace="default", ownerReferences=(reference,),
        )))
        await client.delete(things, "t", namespace="default", propagation="Foreground")
        for what in ("thing/t", "configmap/between", f"things.{GROUP}/child"):
            await waiting.wait(client, what, "delete", timeout_seconds=20)


async def test_an_owner_that_never_was_takes_its_objects_along(connected):
    async with connected() as client:
        ghost = thing("ghost")
        await client.create(ConfigMap(metadata=owned_by(type(ghost)(
            kind=ghost.kind, apiVersion=ghost.apiVersion, metadata=ObjectMeta(name="ghost", uid="00000000-0000-0000-0000-000000000000"), fields={},
        ), name="haunted")))
        await waiting.wait(client, "configmap/haunted", "delete", timeout_seconds=20)


async def test_a_namespace_takes_its_custom_resources_along(connected):
    async with connected() as client:
        things = await client.find_kind(*KIND)
        await client.create(Namespace(metadata=ObjectMeta(name="n")))
        made = thing("x")
        await client.create(type(made)(kind=made.kind, apiVersion=made.apiVersion, fields=made.fields, metadata=ObjectMeta(name="x", namespace="n")))
        await client.delete(Namespace, "n")
        await waiting.wait(client, "namespace/n", "delete", timeout_seconds=20)
        with pytest.raises(NotFound):
            await client.get(things, "x", namespace="n")


async def test_conditions_of_custom_resources_can_be_waited_for(connected):
    async with connected() as client:
        things = await client.find_kind(*KIND)
        patch = {"status": {"replicas": 2}}
        await client.patch(things, "t", patch, content_type="application/merge-patch+json", namespace="default", subresource="status")
        found = await waiting.wait(client, "thing/t", "jsonpath={.status.replicas}=2", timeout_seconds=20)
        assert found.fields["status"] == {"replicas": 2}


async def test_an_informer_of_custom_resources(connected):
    async with connected() as client:
        import anyio

        from kubelet_lite.actors.environment import Environment

        things = await client.find_kind(*KIND)
        informer = Informer(client, Environment.real(), things)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(informer.run)
            await informer.wait_synced()
            assert informer.get("t", "default").fields["spec"]["size"] == 1
            made = await client.create(thing("u"))
            with anyio.fail_after(20):
                seen = anyio.Event()
                informer.when_seen(made.metadata.resourceVersion, seen.set)
                await seen.wait()
            assert informer.get("u", "default") == made
            tasks.cancel_scope.cancel()
