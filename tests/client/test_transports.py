"""One behaviour over both transports: only the fixture knows whether the registry is called or a server asked over HTTPS."""
import asyncio
from contextlib import asynccontextmanager

import anyio
import pytest
import pytest_asyncio

from kubelet_lite.api.apps_v1 import Deployment
from kubelet_lite.api.autoscaling_v1 import Scale
from kubelet_lite.api.core_v1 import (
    Binding,
    ConfigMap,
    Container,
    Namespace,
    Node,
    ObjectReference,
    Pod,
    PodSpec,
    ServiceAccount,
)
from kubelet_lite.api.errors import AlreadyExists, Conflict, Forbidden, Invalid, NotFound
from kubelet_lite.api.identity import ADMIN, node
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.requests import APPLY_PATCH, JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH, ListOptions
from kubelet_lite.client.base import Preconditions
from kubelet_lite.client.http import HttpClient
from kubelet_lite.client.kubeconfig import Server
from kubelet_lite.client.local import LocalClient
from tests.apiserver.serve import serving

NS = "default"


@asynccontextmanager
async def connected(transport):
    async with serving() as served:
        local = LocalClient(served.registry, field_manager="tests")
        await local.create(ServiceAccount(metadata=ObjectMeta(name="default", namespace=NS)))
        if transport == "local":
            yield local
        else:
            server = Server(url=served.url, token=served.token, authority=served.authority.certificate)
            async with HttpClient(server, identity=ADMIN, field_manager="tests") as remote:
                yield remote


@pytest_asyncio.fixture(params=["local", "https"])
async def client(request):
    ready, done = asyncio.get_running_loop().create_future(), asyncio.Event()

    async def connect():  # in a task of its own: a fixture's two halves run in different ones
        async with connected(request.param) as client:
            ready.set_result(client)
            await done.wait()

    task = asyncio.create_task(connect())
    await asyncio.wait([ready, task], return_when=asyncio.FIRST_COMPLETED)
    yield ready.result() if ready.done() else await task
    done.set()
    await task


def config_map(name="c", **data):
    return ConfigMap(metadata=ObjectMeta(name=name, namespace=NS, labels={"app": name}), data=data)


def pod(name="p"):
    return Pod(metadata=ObjectMeta(name=name, namespace=NS), spec=PodSpec(containers=(Container(name="c", image="i"),)))


def deployment(replicas):
    return {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"a": "b"}},
            "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}},
        },
    }


async def test_an_object_is_made_read_changed_and_deleted(client):
    made = await client.create(config_map(a="1"))
    assert (made.data, bool(made.metadata.uid)) == ({"a": "1"}, True)
    assert await client.get(ConfigMap, "c", namespace=NS) == made
    changed = await client.patch(ConfigMap, "c", {"data": {"a": None, "b": "2"}}, content_type=MERGE_PATCH, namespace=NS)
    assert changed.data == {"b": "2"}
    replaced = await client.update(config_map(z="3"))
    assert replaced.data == {"z": "3"}
    assert (await client.delete(ConfigMap, "c", namespace=NS)).kind in ("Status", "ConfigMap")
    with pytest.raises(NotFound, match='configmaps "c" not found'):
        await client.get(ConfigMap, "c", namespace=NS)


async def test_errors_are_the_same(client):
    made = await client.create(config_map())
    with pytest.raises(AlreadyExists, match='configmaps "c" already exists'):
        await client.create(config_map())
    with pytest.raises(Invalid) as caught:
        await client.create(config_map("Bad_Name"))
    assert caught.value.causes[0].field == "metadata.name"
    await client.patch(ConfigMap, "c", {"data": {"x": "1"}}, content_type=MERGE_PATCH, namespace=NS)
    with pytest.raises(Conflict, match="the object has been modified"):
        await client.update(made)
    with pytest.raises(Conflict, match=r"[Pp]recondition"):
        await client.delete(ConfigMap, "c", namespace=NS, preconditions=Preconditions(uid="other"))


async def test_a_dry_run_leaves_nothing(client):
    assert (await client.create(config_map(a="1"), dry_run=True)).data == {"a": "1"}
    with pytest.raises(NotFound):
        await client.get(ConfigMap, "c", namespace=NS)


async def test_lists_are_paged_and_selected(client):
    for name in ("a", "b", "c"):
        await client.create(config_map(name))
    first = await client.list(ConfigMap, namespace=NS, options=ListOptions(limit=2, label_selector="app"))
    assert [c.metadata.name for c in first.items] == ["a", "b"]
    rest = await client.list(ConfigMap, namespace=NS, options=ListOptions(limit=2, label_selector="app", continue_=first.continue_))
    assert ([c.metadata.name for c in rest.items], rest.continue_) == (["c"], "")
    named = await client.list(ConfigMap, options=ListOptions(field_selector="metadata.name=b"))
    assert [c.metadata.name for c in named.items] == ["b"]


async def test_a_watch_goes_on_where_a_list_ended(client):
    await client.create(config_map("before"))
    listed = await client.list(ConfigMap, namespace=NS)
    seen = []
    with anyio.fail_after(10):
        async with client.watch(ConfigMap, namespace=NS, options=ListOptions(resource_version=listed.resource_version)) as events:
            made = await client.create(config_map("after"))
            await client.patch(ConfigMap, "after", {"data": {"x": "1"}}, content_type=MERGE_PATCH, namespace=NS)
            await client.delete(ConfigMap, "after", namespace=NS)
            async for batch in events:
                seen += batch
                if len(seen) == 3:
                    break
    assert [(e.type, e.object.metadata.name) for e in seen] == [("ADDED", "after"), ("MODIFIED", "after"), ("DELETED", "after")]
    assert seen[0].object == made
    assert int(seen[2].object.metadata.resourceVersion) > int(seen[1].object.metadata.resourceVersion)


async def test_every_kind_of_patch_applies(client):
    await client.create(config_map(a="1"))
    patched = await client.patch(ConfigMap, "c", [{"op": "add", "path": "/data/b", "value": "2"}], content_type=JSON_PATCH, namespace=NS)
    assert patched.data == {"a": "1", "b": "2"}
    patched = await client.patch(ConfigMap, "c", {"metadata": {"finalizers": ["example.com/f"]}}, content_type=STRATEGIC_MERGE_PATCH, namespace=NS)
    assert patched.metadata.finalizers == ("example.com/f",)


async def test_apply_makes_owns_conflicts_and_is_forced(client):
    made = await client.patch(Deployment, "d", deployment(1), content_type=APPLY_PATCH, namespace=NS)
    assert [(e.manager, e.operation) for e in made.metadata.managedFields] == [("tests", "Apply")]
    again = await client.patch(Deployment, "d", deployment(1), content_type=APPLY_PATCH, namespace=NS)
    assert again == made
    other = client.acting_as(ADMIN, field_manager="other")
    with pytest.raises(Conflict, match=r'Apply failed with 1 conflict: conflict with "tests": \.spec\.replicas'):
        await other.patch(Deployment, "d", deployment(2), content_type=APPLY_PATCH, namespace=NS)
    forced = await other.patch(Deployment, "d", deployment(2), content_type=APPLY_PATCH, namespace=NS, force=True)
    assert forced.spec.replicas == 2


async def test_a_scale_is_read_and_patched_through_its_subresource(client):
    await client.patch(Deployment, "d", deployment(1), content_type=APPLY_PATCH, namespace=NS)
    scaled = await client.patch(Deployment, "d", {"spec": {"replicas": 4}}, content_type=MERGE_PATCH, namespace=NS, subresource="scale")
    assert (type(scaled), scaled.spec.replicas) == (Scale, 4)
    assert (await client.get(Deployment, "d", namespace=NS, subresource="scale")).status.selector == "a=b"
    assert (await client.get(Deployment, "d", namespace=NS)).spec.replicas == 4


async def test_pods_are_bound_each_with_its_own_answer(client):
    await client.create(Node(metadata=ObjectMeta(name="n1")))
    await client.create(pod())
    bindings = [Binding(metadata=ObjectMeta(name=name, namespace=NS), target=ObjectReference(kind="Node", name="n1")) for name in ("p", "absent")]
    answers = await client.bind(bindings)
    assert [type(a) for a in answers] == [type(None), NotFound]
    assert (await client.get(Pod, "p", namespace=NS)).spec.nodeName == "n1"


async def test_a_collection_is_deleted_by_selector(client):
    for name in ("a", "b"):
        await client.create(config_map(name))
    await client.delete_collection(ConfigMap, namespace=NS, options=ListOptions(label_selector="app=a"))
    assert [c.metadata.name for c in (await client.list(ConfigMap, namespace=NS)).items] == ["b"]


async def test_another_identity_may_what_its_roles_allow(client):
    await client.create(Namespace(metadata=ObjectMeta(name="other")))
    kubelet = client.acting_as(node("n1"))
    registered = await kubelet.create(Node(metadata=ObjectMeta(name="n1")))
    assert registered.metadata.managedFields == () or registered.metadata.managedFields[0].manager == "kubelet"
    with pytest.raises(Forbidden, match="system:node:n1"):
        await kubelet.create(config_map())
    with pytest.raises(Forbidden):
        await kubelet.create(Node(metadata=ObjectMeta(name="n2")))


async def test_logs_of_no_pod_are_not_found(client):
    with pytest.raises(NotFound):
        [chunk async for chunk in client.logs("absent", namespace=NS)]
