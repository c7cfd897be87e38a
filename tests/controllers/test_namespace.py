"""Tables of namespaces that are deleted, and of what every other one has; scenarios in virtual time."""
from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import msgspec
import pytest

from kubelet_lite.api.core_v1 import ConfigMap, Namespace, Pod, PodSpec, PodStatus, ServiceAccount
from kubelet_lite.api.encoding import from_json
from kubelet_lite.api.errors import ApiError, Forbidden, NotFound
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.requests import MERGE_PATCH
from kubelet_lite.api.resources import RESOURCES, resource_of
from kubelet_lite.client.base import Client
from kubelet_lite.cluster import Cluster
from kubelet_lite.controllers import root_ca, serviceaccount
from kubelet_lite.controllers.namespace import Remaining, conditions, contents, unexpected
from kubelet_lite.simulation.crash import crash_at_every_step
from kubelet_lite.simulation.virtual.environment import SimulatedEnvironment
from kubelet_lite.simulation.virtual.run import simulate

NOW = 1_800_000_000.0


def test_conditions_say_what_is_left():
    found = {c.type: c for c in conditions((), Remaining({"pods.": 2}, {"example.com/f": 1}), (), NOW)}
    assert found["NamespaceContentRemaining"].message == "Some resources are remaining: pods. has 2 resource instances"
    assert found["NamespaceFinalizersRemaining"].message == "Some content in the namespace has finalizers remaining: example.com/f in 1 resource instances"
    assert found["NamespaceDeletionContentFailure"].status == "False"


def test_transition_times_move_with_the_status_alone():
    first = conditions((), Remaining({"pods.": 2}, {}), (), NOW)
    second = conditions(first, Remaining({"pods.": 1}, {}), (), NOW + 60)
    assert [c.lastTransitionTime for c in first] == [c.lastTransitionTime for c in second]
    third = conditions(second, Remaining({}, {}), (), NOW + 120)
    assert [c.type for old, c in zip(second, third, strict=True) if old.lastTransitionTime != c.lastTransitionTime] == ["NamespaceContentRemaining"]


def test_pods_go_first_and_each_stored_kind_once():
    names = [resource.qualified for resource in contents()]
    assert names[0] == "pods"
    assert len(names) == len(set(names))
    assert "events.events.k8s.io" not in names


def namespace(**meta):
    return Namespace(metadata=ObjectMeta(name="ns", **meta))


def test_every_living_namespace_has_its_account_and_certificate():
    assert serviceaccount.plan(serviceaccount.View(namespace(), False)).actions[0].object.metadata.name == "default"
    assert serviceaccount.plan(serviceaccount.View(namespace(), True)).actions == ()
    ending = namespace(deletionTimestamp="2026-01-01T00:00:00Z")
    assert serviceaccount.plan(serviceaccount.View(ending, False)).actions == ()
    made = root_ca.plan(root_ca.View(namespace(), None, "PEM")).actions[0].object
    assert made.data == {"ca.crt": "PEM"}
    assert root_ca.plan(root_ca.View(namespace(), made, "PEM")).actions == ()
    assert root_ca.plan(root_ca.View(namespace(), made, "NEW")).actions[0].object.data == {"ca.crt": "NEW"}
    assert root_ca.plan(root_ca.View(ending, None, "PEM")).actions == ()
    bare = msgspec.structs.replace(made, metadata=msgspec.structs.replace(made.metadata, annotations={}))
    assert root_ca.plan(root_ca.View(namespace(), bare, "PEM")).actions[0].object.metadata.annotations == made.metadata.annotations


def test_failures_are_told_in_a_fixed_order():
    found = {c.type: c for c in conditions((), Remaining({}, {}), ("b", "a"), NOW)}["NamespaceDeletionContentFailure"]
    assert (found.status, found.reason, found.message) == ("True", "ContentDeletionFailed", "Failed to delete all resource types, 2 remaining: a, b")


def test_pods_may_take_their_grace_and_finalizers_their_time_but_nothing_else_may_stay():
    ending = namespace(deletionTimestamp="2027-01-15T08:00:00Z")

    def pod(grace=30, phase="Running", **meta):
        return Pod(metadata=ObjectMeta(name="p", **meta), spec=PodSpec(terminationGracePeriodSeconds=grace), status=PodStatus(phase=phase))

    def wrong(*left, resource=Pod, after=10.0):
        return unexpected(ending, resource_of(resource), left, left, NOW + after)

    assert wrong(pod()) == ""
    assert wrong(pod(), after=31) == "unexpected items still remain in namespace: ns for gvr: /v1, Resource=pods"
    assert wrong(pod(phase="Failed")) != ""
    assert wrong(pod(phase="Failed", finalizers=("a/b",))) == ""
    assert wrong(ConfigMap(metadata=ObjectMeta(name="c")), resource=ConfigMap) != ""
    assert wrong() == ""


# ---- scenarios


async def _played(environment: SimulatedEnvironment, scenario: Callable[[Client, SimulatedEnvironment], Awaitable[None]]) -> None:
    async with Cluster(nodes=0, environment=environment, components=("apiserver", "controllers"), service_cidr="10.96.0.0/16") as cluster:
        with anyio.fail_after(600):
            await scenario(cluster.client, environment)


async def made(client: Client, environment: SimulatedEnvironment) -> None:
    """A namespace with something of many kinds."""
    await client.create(namespace())
    await environment.sleep(1)
    container = {"name": "c", "image": "x"}
    objects: list[tuple[type[Any], dict[str, Any]]] = [
        (Pod, {"metadata": {"name": "p"}, "spec": {"nodeName": "n", "containers": [container]}}),
        (ConfigMap, {"metadata": {"name": "held", "finalizers": ["example.com/f"]}}), (ConfigMap, {"metadata": {"name": "free"}}),
    ]
    for kind, body in objects:
        await client.create(from_json(kind, {**body, "metadata": {**body["metadata"], "namespace": "ns"}}))


async def said(client: Client) -> dict[str, tuple[str, str]]:
    return {c.type: (c.status, c.message) for c in (await client.get(Namespace, "ns")).status.conditions}


async def gone(client: Client) -> bool:
    try:
        await client.get(Namespace, "ns")
    except NotFound:
        return True
    return False


async def emptied(client: Client, environment: SimulatedEnvironment) -> None:
    await made(client, environment)
    await client.delete(Namespace, "ns")
    await environment.sleep(3)
    assert (await client.get(ConfigMap, "free", namespace="ns")).metadata.deletionTimestamp is None
    assert (await said(client))["NamespaceContentRemaining"] == ("True", "Some resources are remaining: pods. has 1 resource instances")
    with pytest.raises(Forbidden):
        await client.create(ConfigMap(metadata=ObjectMeta(name="late", namespace="ns")))
    await client.delete(Pod, "p", namespace="ns", grace_period_seconds=0)
    await environment.sleep(10)
    with pytest.raises(NotFound):
        await client.get(ConfigMap, "free", namespace="ns")
    assert (await said(client))["NamespaceContentRemaining"] == ("True", "Some resources are remaining: configmaps. has 1 resource instances")
    assert (await said(client))["NamespaceFinalizersRemaining"] == (
        "True", "Some content in the namespace has finalizers remaining: example.com/f in 1 resource instances",
    )
    await client.patch(ConfigMap, "held", {"metadata": {"finalizers": None}}, namespace="ns", content_type=MERGE_PATCH)
    await environment.sleep(10)
    assert await gone(client)
    for resource in RESOURCES:
        if resource.namespaced and "list" in resource.verbs:
            assert (await client.list(resource, namespace="ns")).items == ()


def test_a_namespace_is_emptied_pods_first_and_waits_for_finalizers():
    simulate(3, lambda environment: _played(environment, emptied))


def test_a_namespace_is_emptied_wherever_its_controller_crashes():
    assert crash_at_every_step(3, "namespace-controller", lambda environment: _played(environment, emptied), stride=5) > 3


def test_a_namespace_that_somebody_else_holds_is_finalized_by_them():
    async def scenario(client: Client, environment: SimulatedEnvironment) -> None:
        await client.create(namespace())
        held = await client.get(Namespace, "ns")
        spec = msgspec.structs.replace(held.spec, finalizers=("kubernetes", "example.com/x"))
        await client.update(msgspec.structs.replace(held, spec=spec), subresource="finalize")
        await client.delete(Namespace, "ns")
        await environment.sleep(10)
        held = await client.get(Namespace, "ns")
        assert held.spec.finalizers == ("example.com/x",)
        await client.update(msgspec.structs.replace(held, spec=msgspec.structs.replace(held.spec, finalizers=())), subresource="finalize")
        await environment.sleep(1)
        assert await gone(client)

    simulate(4, lambda environment: _played(environment, scenario))


def test_what_cannot_be_deleted_is_said_and_tried_again():
    async def main(environment: SimulatedEnvironment) -> None:
        async with Cluster(nodes=0, environment=environment, components=("apiserver", "controllers")) as cluster:
            client, allowed = cluster.client, False
            delete_collection = cluster.registry.delete_collection

            async def guarded(ctx: Any, resource: Any, *arguments: Any, **more: Any) -> Any:
                if resource.qualified == "configmaps" and not allowed:
                    raise ApiError("not now")
                return await delete_collection(ctx, resource, *arguments, **more)

            cluster.registry.delete_collection = guarded  # type: ignore[method-assign]
            await client.create(namespace())
            await environment.sleep(1)
            await client.delete(Namespace, "ns")
            await environment.sleep(5)
            assert (await said(client))["NamespaceDeletionContentFailure"] == ("True", "Failed to delete all resource types, 1 remaining: not now")
            allowed = True
            await environment.sleep(10)
            assert await gone(client)

    simulate(5, main)


def test_accounts_and_certificates_are_made_again_but_not_while_the_namespace_ends():
    async def scenario(client: Client, environment: SimulatedEnvironment) -> None:
        await client.create(namespace())
        await environment.sleep(1)
        before = [await client.get(ServiceAccount, "default", namespace="ns"), await client.get(ConfigMap, "kube-root-ca.crt", namespace="ns")]
        for obj in before:
            await client.delete(type(obj), obj.metadata.name, namespace="ns")
        await environment.sleep(1)
        for obj in before:
            assert (await client.get(type(obj), obj.metadata.name, namespace="ns")).metadata.uid != obj.metadata.uid
        await client.patch(ConfigMap, "kube-root-ca.crt", {"data": {"ca.crt": "false", "x": "y"}}, namespace="ns", content_type=MERGE_PATCH)
        await environment.sleep(1)
        assert (await client.get(ConfigMap, "kube-root-ca.crt", namespace="ns")).data == {"ca.crt": ""}

    simulate(6, lambda environment: _played(environment, scenario))
