"""The scheduler's actor against a registry in the same simulated loop."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from kubelet_lite.api.core_v1 import Node, Pod, PodSchedulingGate, Taint
from kubelet_lite.api.errors import InternalError
from kubelet_lite.api.requests import STRATEGIC_MERGE_PATCH
from kubelet_lite.simulation.crash import crash_at_every_step
from kubelet_lite.simulation.virtual.environment import SimulatedEnvironment
from tests.scheduler.objects import a_node, a_pod
from tests.scheduler.world import World, played, register, world


def test_a_pod_is_bound_and_an_event_says_so() -> None:
    async def play(world: World) -> None:
        await world.client.create(a_pod("a", "1"))
        await world.settle()
        assert await world.nodes_of() == {"a": "n1"}
        assert await world.events() == [("Scheduled", "Successfully assigned default/a to n1")]
        assert world.scheduler.statistics()["bound"] == 1

    played(play, a_node("n1"))


def test_a_pod_that_fits_nowhere_says_why_and_is_bound_when_a_node_comes() -> None:
    async def play(world: World) -> None:
        await world.client.create(a_pod("a", "8"))
        await world.settle()
        message = (
            "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: 0/1 nodes are available: "
            "1 Preemption is not helpful for scheduling."
        )
        assert await world.events() == [("FailedScheduling", message)]
        pod = await world.client.get(Pod, "a", namespace="default")
        condition = next(c for c in pod.status.conditions if c.type == "PodScheduled")
        assert (condition.status, condition.reason, condition.message) == ("False", "Unschedulable", message)
        await register(world.client, a_node("n2", cpu="16"))
        await world.settle()
        assert await world.nodes_of() == {"a": "n2"}

    played(play, a_node("n1"))


def test_pods_never_exceed_what_a_node_has() -> None:
    async def play(world: World) -> None:
        for i in range(10):
            await world.client.create(a_pod(f"p{i}", "1500m"))
        await world.settle()
        placed = await world.nodes_of()
        assert sorted(node for node in placed.values() if node) == ["n1", "n1", "n2", "n2"]
        assert list(placed.values()).count("") == 6

    played(play, a_node("n1"), a_node("n2"))


def test_a_deleted_pod_makes_room() -> None:
    async def play(world: World) -> None:
        await world.client.create(a_pod("a", "4"))
        await world.settle()
        await world.client.create(a_pod("b", "4"))
        await world.settle()
        assert (await world.nodes_of())["b"] == ""
        await world.client.delete(Pod, "a", namespace="default", grace_period_seconds=0)
        await world.settle()
        assert await world.nodes_of() == {"b": "n1"}

    played(play, a_node("n1"))


def test_a_pod_that_finished_makes_room() -> None:
    async def play(world: World) -> None:
        await world.client.create(a_pod("a", "4"))
        await world.client.create(a_pod("b", "4"))
        await world.settle()
        first = next(name for name, node in (await world.nodes_of()).items() if node)
        await world.client.patch(
            Pod, first, {"status": {"phase": "Succeeded"}}, namespace="default", subresource="status", content_type=STRATEGIC_MERGE_PATCH,
        )
        await world.settle()
        assert set((await world.nodes_of()).values()) == {"n1"}

    played(play, a_node("n1"))


def test_a_taint_that_goes_lets_pods_in() -> None:
    async def play(world: World) -> None:
        await world.client.create(a_pod("a"))
        await world.settle()
        assert await world.nodes_of() == {"a": ""}
        await world.client.patch(Node, "n1", {"spec": {"taints": None}}, content_type=STRATEGIC_MERGE_PATCH)
        await world.settle()
        assert await world.nodes_of() == {"a": "n1"}

    played(play, a_node("n1", taints=(Taint(key="k", effect="NoSchedule"),)))


def test_other_schedulers_pods_and_gated_ones_are_left_alone() -> None:
    async def play(world: World) -> None:
        await world.client.create(a_pod("other", schedulerName="mine"))
        await world.client.create(a_pod("gated", schedulingGates=(PodSchedulingGate(name="e.com/wait"),)))
        await world.settle()
        assert await world.nodes_of() == {"other": "", "gated": ""}
        await world.client.patch(
            Pod, "gated", {"spec": {"schedulingGates": None}}, namespace="default", content_type=STRATEGIC_MERGE_PATCH,
        )
        await world.settle()
        assert await world.nodes_of() == {"other": "", "gated": "n1"}

    played(play, a_node("n1"))


def test_a_binding_that_fails_is_undone_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(world: World) -> None:
        bind, refused = world.client.bind, list[int]()

        async def refusing(bindings: Sequence[Any]) -> Sequence[Exception | None]:
            if len(refused) < 2:
                refused.append(len(bindings))
                return [InternalError("not now")] * len(bindings)
            return await bind(bindings)

        monkeypatch.setattr(world.client, "bind", refusing)
        await world.client.create(a_pod("a", "4"))
        await world.settle()
        assert refused == [1, 1]
        assert await world.nodes_of() == {"a": "n1"}

    played(play, a_node("n1"))


def test_a_scheduler_that_crashes_anywhere_binds_every_pod_once() -> None:
    async def main(environment: SimulatedEnvironment) -> None:
        async with world(environment, a_node("n1"), a_node("n2")) as found:
            for i in range(3):
                await found.client.create(a_pod(f"p{i}", "2"))
            await found.settle()
            await found.client.create(a_pod("late", "2"))
            await found.settle()
            placed = await found.nodes_of()
            assert sorted(placed.values()) == ["n1", "n1", "n2", "n2"], placed

    assert crash_at_every_step(3, "default-scheduler", main) > 10


def test_the_same_seed_gives_the_same_placements() -> None:
    def placements(seed: int) -> dict[str, str]:
        found: dict[str, str] = {}

        async def play(world: World) -> None:
            for i in range(12):
                await world.client.create(a_pod(f"p{i}"))
            await world.settle()
            found.update(await world.nodes_of())

        played(play, *(a_node(f"n{i}") for i in range(6)), seed=seed)
        return found

    assert placements(5) == placements(5)
    assert "" not in placements(5).values()


def test_others_run_while_many_pods_are_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kubelet_lite.scheduler.scheduler.NODES_BETWEEN_AWAITS", 4)
    turns = 0

    async def play(world: World) -> None:
        nonlocal turns
        async with anyio.create_task_group() as tasks:
            async def count() -> None:
                nonlocal turns
                while True:
                    turns += 1
                    await anyio.lowlevel.checkpoint()

            for i in range(40):
                await world.client.create(a_pod(f"p{i}"))
            tasks.start_soon(count)
            while "" in (await world.nodes_of()).values():
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()

    played(play, a_node("n1"), a_node("n2"))
    assert turns > 20
