"""The gate before the API: who asks, what is hindered and what is not, in process and over HTTP."""
from __future__ import annotations

import anyio
import pytest

from kubelet_lite.api.core_v1 import Binding, ConfigMap, Container, ObjectReference, Pod, PodSpec, ServiceAccount
from kubelet_lite.api.errors import Expired, NotFound, ServiceUnavailable
from kubelet_lite.api.identity import Identity
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.requests import MERGE_PATCH, ListOptions
from kubelet_lite.client.http import HttpClient
from kubelet_lite.client.kubeconfig import Server
from kubelet_lite.simulation.gate import STRAIGHT, GatedRegistry, Obstacle
from kubelet_lite.simulation.simulation import Setting, play

API_ONLY = Setting(nodes=0, components=("apiserver",))
SERVED = Setting(nodes=0, components=("apiserver",), serve=True)


class Wall(Obstacle):
    """Nobody passes whom it concerns; it notes who tried."""

    def __init__(self, pattern="*"):
        super().__init__()
        self.pattern = pattern
        self.met = []

    def concerns(self, request):
        return request.is_of(self.pattern)

    async def before(self, request):
        self.met.append(request)
        raise request.lost("a wall")


class Hole(Wall):
    """What passes comes to nothing on its way back."""

    async def before(self, request):
        self.met.append(request)

    async def after(self, request):
        raise request.lost("a hole")


class Dam(Wall):
    """Batches wait until it is over."""

    async def before(self, request):
        pass

    async def on_batch(self, request):
        self.met.append(request)
        await self.over.wait()


def config(name, **data):
    return ConfigMap(metadata=ObjectMeta(name=name, namespace="default"), data=data)


def played(scenario, setting=API_ONLY):
    play(scenario, setting=setting).raise_error()


def as_admin_named(simulation, name):
    return simulation.client.acting_as(Identity(name=name, groups=simulation.client.identity.groups))


@pytest.mark.parametrize("verb", ["get", "list", "create", "update", "patch", "delete", "deletecollection", "watch"])
def test_every_verb_passes_the_gate_and_nothing_happens_behind_a_wall(verb):
    async def scenario(simulation):
        client = as_admin_named(simulation, "operator")
        there = await client.create(config("there"))
        before = simulation.cluster.store.revision
        calls = {
            "get": lambda: client.get(ConfigMap, "there", namespace="default"),
            "list": lambda: client.list(ConfigMap),
            "create": lambda: client.create(config("new")),
            "update": lambda: client.update(there),
            "patch": lambda: client.patch(ConfigMap, "there", {"data": {"a": "b"}}, content_type=MERGE_PATCH, namespace="default"),
            "delete": lambda: client.delete(ConfigMap, "there", namespace="default"),
            "deletecollection": lambda: client.delete_collection(ConfigMap, namespace="default"),
            "watch": lambda: watched(client),
        }
        with simulation.gate.hindered(Wall("operator")), pytest.raises(ServiceUnavailable, match="the API server cannot be reached: a wall"):
            await calls[verb]()
        assert simulation.cluster.store.revision == before
        await simulation.client.get(ConfigMap, "there", namespace="default")

    played(scenario)


async def watched(client, **options):
    async with client.watch(ConfigMap, options=ListOptions(**options)) as batches:
        return await anext(batches)


def test_the_scenario_is_the_part_user_and_no_other_pattern_finds_it():
    async def scenario(simulation):
        with simulation.gate.hindered(Wall("*")) as wall:
            await simulation.client.list(Pod)
        assert not wall.met
        with simulation.gate.hindered(Wall("user")) as wall, pytest.raises(ServiceUnavailable):
            await simulation.client.list(Pod)
        assert [(request.verb, request.resource, request.parts) for request in wall.met] == [("list", "pods", ("user", "admin"))]

    played(scenario)


def test_parts_are_known_by_the_names_of_their_actors_and_others_are_unaffected():
    async def scenario(simulation):
        with simulation.gate.hindered(Wall("kubelet-node-1")) as wall:
            await simulation.sleep(60)
        assert {part for request in wall.met for part in request.parts} == {"kubelet-node-1", "system:node:node-1"}
        leases = {lease.metadata.name: lease.spec.renewTime for lease in simulation.snapshot.list("leases.coordination.k8s.io")}
        assert leases["node-1"] < leases["node-2"]

    played(scenario, Setting(nodes=2))


def test_an_answer_that_gets_lost_was_a_write_that_took_effect():
    async def scenario(simulation):
        with simulation.gate.hindered(Hole("user")), pytest.raises(ServiceUnavailable, match="a hole"):
            await simulation.client.create(config("made"))
        await simulation.client.get(ConfigMap, "made", namespace="default")

    played(scenario)


def test_a_watch_that_is_cut_while_it_waits_ends_at_once_with_what_it_is_to_end_with():
    async def scenario(simulation):
        ends = []

        async def follow(end):
            revision = str(simulation.cluster.store.revision)
            try:
                await watched(simulation.client, resource_version=revision)
            except (Expired, ServiceUnavailable, StopAsyncIteration) as error:
                ends.append((simulation.environment.monotonic(), error))

        for end in (StopAsyncIteration(), Expired("old"), ServiceUnavailable("broken")):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(follow, end)
                await simulation.sleep(5)
                assert simulation.gate.cut(lambda request: request.resource == "configmaps", lambda request, end=end: end) == 1
            assert ends.pop() == (simulation.environment.monotonic(), end)

    played(scenario)


def test_a_reader_that_is_cancelled_is_cancelled_and_loses_nothing():
    async def scenario(simulation):
        options = ListOptions(resource_version=str(simulation.cluster.store.revision))
        async with simulation.client.watch(ConfigMap, options=options) as batches:
            with anyio.move_on_after(5) as scope:
                await anext(batches)
            assert scope.cancelled_caught
            with simulation.gate.hindered(Dam("user")) as dam:
                await simulation.client.create(config("one"))
                with anyio.move_on_after(5) as scope:
                    await anext(batches)
                assert scope.cancelled_caught
                assert len(dam.met) == 1
            assert [event.object.metadata.name for event in await anext(batches)] == ["one"]

    played(scenario)


def test_a_batch_that_is_held_back_comes_when_nothing_holds_it_any_more():
    async def scenario(simulation):
        began = simulation.environment.monotonic()
        options = ListOptions(resource_version=str(simulation.cluster.store.revision))
        async with simulation.client.watch(ConfigMap, options=options) as batches, anyio.create_task_group() as tasks:
            async def hinder():
                with simulation.gate.hindered(Dam("user")):
                    await simulation.sleep(30)

            tasks.start_soon(hinder)
            await simulation.sleep(1)
            await simulation.client.create(config("one"))
            await simulation.client.create(config("two"))
            seen = [event.object.metadata.name for event in await anext(batches)]
            assert simulation.environment.monotonic() == began + 30
            while len(seen) < 2:
                seen += [event.object.metadata.name for event in await anext(batches)]
            assert seen == ["one", "two"]

    played(scenario)


def test_each_binding_of_many_has_an_answer_of_its_own():
    async def scenario(simulation):
        await simulation.client.create(ServiceAccount(metadata=ObjectMeta(name="default", namespace="default")))
        for name in ("one", "two"):
            spec = PodSpec(containers=(Container(name="c", image="i"),))
            await simulation.client.create(Pod(metadata=ObjectMeta(name=name, namespace="default"), spec=spec))
        bindings = [
            Binding(metadata=ObjectMeta(name=name, namespace="default"), target=ObjectReference(kind="Node", name="node-1")) for name in ("one", "absent", "two")
        ]

        class SecondLost(Hole):
            async def after(self, request):
                if request.name == "two":
                    raise request.lost("a hole")

        with simulation.gate.hindered(SecondLost("user")):
            answers = await simulation.client.bind(bindings)
        assert [type(answer) for answer in answers] == [type(None), NotFound, ServiceUnavailable]
        assert {pod.metadata.name for pod in simulation.snapshot.list(Pod) if pod.spec.nodeName} == {"one", "two"}

    played(scenario)


def test_over_http_a_part_is_known_by_its_user_agent_and_a_lost_connection_is_lost():
    async def scenario(simulation):
        server = Server(url=simulation.cluster.url, token=simulation.cluster.token)
        async with HttpClient(server, identity=Identity(name="", user_agent="kopf/1.2"), environment=simulation.environment) as client:
            await client.create(config("there"))
            with simulation.gate.hindered(Wall("kopf")) as wall, pytest.raises(ServiceUnavailable, match="cannot be reached"):
                await client.get(ConfigMap, "there", namespace="default")
            assert wall.met[0].parts == ("kopf", "admin")
            assert wall.met[0].over_http
            with simulation.gate.hindered(Hole("kopf")), pytest.raises(ServiceUnavailable, match="cannot be reached"):
                await client.create(config("made"))
            await client.get(ConfigMap, "made", namespace="default")
            for end, expected in ((Expired("old"), Expired), (StopAsyncIteration(), StopAsyncIteration), (ConnectionAbortedError("x"), ServiceUnavailable)):
                async with client.watch(ConfigMap, options=ListOptions(resource_version=str(simulation.cluster.store.revision))) as batches:
                    await simulation.sleep(1)
                    assert simulation.gate.cut(lambda request: request.is_of("kopf"), lambda request, end=end: end) == 1
                    with pytest.raises(expected):
                        await anext(batches)

    played(scenario, SERVED)


def test_a_gate_without_obstacles_is_the_registry_beneath():
    async def scenario(simulation):
        registry = simulation.cluster.registry
        beneath = super(GatedRegistry, registry)
        assert [getattr(registry, verb) == getattr(beneath, verb) for verb in STRAIGHT] == [True] * len(STRAIGHT)
        with simulation.gate.hindered(Wall("nobody")), simulation.gate.hindered(Wall("nobody")):
            assert [getattr(registry, verb) == getattr(beneath, verb) for verb in STRAIGHT] == [False] * len(STRAIGHT)
        assert registry.get == beneath.get

    played(scenario)
