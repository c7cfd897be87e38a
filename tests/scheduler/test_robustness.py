"""What goes wrong between a decision and its binding costs no pod and binds none twice."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from kubelet_lite.actors.supervisor import Supervisor
from kubelet_lite.api.core_v1 import Binding, Node, ObjectReference, PersistentVolumeClaim, Pod
from kubelet_lite.api.errors import Conflict
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.requests import MERGE_PATCH
from kubelet_lite.scheduler.configuration import API_VERSION, load
from kubelet_lite.scheduler.scheduler import Scheduler
from kubelet_lite.simulation.crash import crash_at_every_step
from kubelet_lite.simulation.virtual.environment import SimulatedEnvironment
from kubelet_lite.simulation.virtual.run import simulate
from tests.scheduler.objects import a_node, a_pod
from tests.scheduler.test_scheduler_of_pods import a_claim, a_volume, bind_claim, hosts, storage, with_claim
from tests.scheduler.world import World, played, world


def named(*names: str) -> Any:
    return load({"apiVersion": API_VERSION, "kind": "KubeSchedulerConfiguration", "profiles": [{"schedulerName": name} for name in names]})



@pytest.mark.parametrize("seed", range(5))
def test_two_schedulers_of_one_name_bind_every_pod_once(seed: int) -> None:
    async def main(environment: SimulatedEnvironment) -> None:
        async with world(environment, *(a_node(f"n{i}") for i in range(3))) as found, Supervisor(environment) as supervisor:
            second = Scheduler(found.client, environment.of("second"), name="second")
            supervisor.start(second)
            await second.ready.wait()
            for i in range(20):
                await found.client.create(a_pod(f"p{i}", "10m"))
            await found.settle()
            placed = await found.nodes_of()
            assert len(placed) == 20
            assert "" not in placed.values()
            for scheduler in (found.scheduler, second):
                numbers = scheduler.statistics()
                assert (numbers["assumed"], numbers["active"], numbers["backing_off"], numbers["unschedulable"]) == (0, 0, 0, 0)
                assert numbers["placed"] == 20
            assert found.scheduler.statistics()["bound"] + second.statistics()["bound"] == 20

    simulate(seed, main)


def test_schedulers_of_different_names_leave_each_other_room() -> None:
    async def main(environment: SimulatedEnvironment) -> None:
        async with world(environment, a_node("n1"), a_node("n2"), configuration=named("a")) as found, Supervisor(environment) as supervisor:
            second = Scheduler(found.client, environment.of("second"), named("b"), name="second")
            supervisor.start(second)
            await second.ready.wait()
            for i in range(8):
                await found.client.create(a_pod(f"p{i}", "1", schedulerName="ab"[i % 2]))
                await found.settle(1)
            placed = await found.nodes_of()
            assert sorted(placed.values()) == ["n1"] * 4 + ["n2"] * 4

    simulate(1, main)


def test_a_conflict_over_a_pod_that_is_still_free_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(world: World) -> None:
        bind, refused = world.client.bind, list[int]()

        async def refusing(bindings: Sequence[Any]) -> Sequence[Exception | None]:
            if not refused:
                refused.append(len(bindings))
                return [Conflict("the object has been modified")] * len(bindings)
            return await bind(bindings)

        monkeypatch.setattr(world.client, "bind", refusing)
        await world.client.create(a_pod("a", "4"))
        await world.settle()
        assert refused == [1]
        assert await world.nodes_of() == {"a": "n1"}

    played(play, a_node("n1"))


def test_a_pod_that_somebody_else_bound_first_stays_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(world: World) -> None:
        bind = world.client.bind

        async def late(bindings: Sequence[Any]) -> Sequence[Exception | None]:
            meta = bindings[0].metadata
            other = Binding(metadata=ObjectMeta(name=meta.name, namespace=meta.namespace), target=ObjectReference(kind="Node", name="n2"))
            await world.client.create(other, namespace=meta.namespace, name=meta.name, subresource="binding")
            return await bind(bindings)

        await world.client.patch(Node, "n2", {"spec": {"unschedulable": True}}, content_type=MERGE_PATCH)
        await world.settle(1)
        monkeypatch.setattr(world.client, "bind", late)
        await world.client.create(a_pod("a", "4"))
        await world.settle()
        assert await world.nodes_of() == {"a": "n2"}
        assert world.scheduler.statistics()["assumed"] == 0
        monkeypatch.undo()
        await world.client.create(a_pod("b", "4"))
        await world.settle()
        assert await world.nodes_of() == {"a": "n2", "b": "n1"}

    played(play, a_node("n1"), a_node("n2"))


def test_a_pod_made_again_under_the_same_name_is_another_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(world: World) -> None:
        bind = world.client.bind

        async def too_late(bindings: Sequence[Any]) -> Sequence[Exception | None]:
            monkeypatch.undo()
            await world.client.delete(Pod, "a", namespace="default", grace_period_seconds=0)
            await world.client.create(a_pod("a", "3"))
            return await bind(bindings)

        monkeypatch.setattr(world.client, "bind", too_late)
        await world.client.create(a_pod("a", "4"))
        await world.settle()
        assert await world.nodes_of() == {"a": "n1"}
        assert world.scheduler.statistics()["assumed"] == 0
        await world.client.create(a_pod("b", "1"))
        await world.settle()
        assert (await world.nodes_of())["b"] == "n1"

    played(play, a_node("n1"))


def test_news_of_an_assumed_pod_count_when_it_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(world: World) -> None:
        async def refusing(bindings: Sequence[Any]) -> Sequence[Exception | None]:
            monkeypatch.undo()
            await world.client.patch(Pod, "a", {"metadata": {"labels": {"new": "yes"}}}, namespace="default", content_type=MERGE_PATCH)
            await world.settle(0.1)
            return [Conflict("not now")]

        monkeypatch.setattr(world.client, "bind", refusing)
        await world.client.create(a_pod("a"))
        await world.settle()
        assert await world.nodes_of() == {"a": "n1"}
        placed = world.scheduler._nodes.placed(("default", "a"))
        assert placed is not None
        assert placed.info.pod.metadata.labels == {"new": "yes"}

    played(play, a_node("n1"))


def test_a_scheduler_that_crashes_anywhere_binds_volumes_and_pod_in_the_end() -> None:
    async def main(environment: SimulatedEnvironment) -> None:
        async with world(environment, *hosts("a", "b")) as found:
            await storage(found, a_volume("v", "b"))
            await found.client.create(a_claim("one"))
            await found.client.create(with_claim("p", "one"))
            await found.settle(20)
            claim = await found.client.get(PersistentVolumeClaim, "one", namespace="default")
            if not claim.spec.volumeName:
                await bind_claim(found, "one", "v")
            await found.settle(400)
            assert await found.nodes_of() == {"p": "b"}

    assert crash_at_every_step(3, "default-scheduler", main) > 10


@pytest.mark.parametrize("seed", range(3))
def test_pods_that_come_and_go_while_others_are_bound_are_all_accounted_for(seed: int) -> None:
    async def main(environment: SimulatedEnvironment) -> None:
        async with world(environment, a_node("n1"), a_node("n2")) as found:
            random = environment.random
            alive: set[str] = set()
            for i in range(60):
                if alive and random.random() < 0.4:
                    name = sorted(alive)[random.randrange(len(alive))]
                    await found.client.delete(Pod, name, namespace="default", grace_period_seconds=0)
                    alive.discard(name)
                else:
                    await found.client.create(a_pod(f"p{i}", "500m", priority=random.randrange(2), preemptionPolicy="Never"))
                    alive.add(f"p{i}")
                if random.random() < 0.3:
                    await found.settle(0.01)
            await found.settle(60)
            placed = await found.nodes_of()
            assert set(placed) == alive
            on_nodes = [node for node in placed.values() if node]
            assert len(on_nodes) == min(len(alive), 16)
            assert max(on_nodes.count("n1"), on_nodes.count("n2")) <= 8
            numbers = found.scheduler.statistics()
            assert (numbers["placed"], numbers["assumed"]) == (len(on_nodes), 0)
            assert numbers["unschedulable"] + numbers["backing_off"] == len(alive) - len(on_nodes)

    simulate(seed, main)


def test_a_changed_pod_is_not_lost_while_it_backs_off() -> None:
    async def play(world: World) -> None:
        await world.client.create(a_pod("a", "9"))
        await world.settle(0.5)
        await world.client.patch(Pod, "a", {"spec": {"tolerations": [{"operator": "Exists"}]}}, namespace="default", content_type=MERGE_PATCH)
        await world.settle(5)
        await world.client.patch(Node, "n1", {"status": {"allocatable": {"cpu": "16"}}}, subresource="status", content_type=MERGE_PATCH)
        await world.settle(20)
        assert await world.nodes_of() == {"a": "n1"}

    played(play, msgspec.structs.replace(a_node("n1")))
