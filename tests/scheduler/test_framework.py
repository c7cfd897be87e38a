"""A user's plug-ins: every point is called, in order, and what each may say has its effect."""
from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelet_lite.api.core_v1 import Binding, Event, Node, ObjectReference, Pod
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.requests import MERGE_PATCH
from kubelet_lite.scheduler.configuration import API_VERSION, load
from kubelet_lite.scheduler.decision import Decisions, Placement, Unschedulable
from kubelet_lite.scheduler.framework import (
    Attempt,
    Change,
    Column,
    Handle,
    Lasting,
    Mask,
    NodeInfo,
    NodeTable,
    Plugin,
    PodInfo,
    Rows,
    Unplaced,
    Unresolvable,
    Wait,
)
from kubelet_lite.scheduler.plugins.node_resources_fit import NodeResourcesFit
from kubelet_lite.scheduler.pod_info import pod_info
from kubelet_lite.scheduler.profile import Profile, everywhere
from kubelet_lite.scheduler.profiles import guarded
from kubelet_lite.simulation.crash import crash_at_every_step
from kubelet_lite.simulation.virtual.environment import SimulatedEnvironment
from tests.scheduler.objects import a_node, a_pod, info, table
from tests.scheduler.world import World, played, register, world


def a_profile(*plugins: type[Plugin], nodes: NodeTable | None = None) -> Decisions:
    """Nothing but these."""
    handle = Handle.alone(nodes=nodes)
    return Decisions(handle.nodes, Profile("p", everywhere(*((plugin(handle), 1) for plugin in plugins))), handle.nominations)


def decided(nodes: NodeTable, *plugins: type[Plugin]) -> Placement | Unschedulable:
    return a_profile(*plugins, nodes=nodes).decide(info("new"), random.Random(1))


def test_every_point_is_called_in_order() -> None:
    called: list[str] = []

    class Watching(Plugin):
        def pre_enqueue(self, pod: PodInfo) -> None:
            called.append("pre_enqueue")

        def pre_filter(self, pod: PodInfo, nodes: NodeTable) -> None:
            called.append("pre_filter")

        def filter(self, pod: PodInfo, node: NodeInfo) -> None:
            called.append("filter")

        def pre_score(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> None:
            called.append(f"pre_score {rows.size}")

        def score(self, pod: PodInfo, node: NodeInfo) -> int:
            called.append("score")
            return len(node.name)

        def normalize(self, pod: PodInfo, scores: Column) -> Column:
            called.append("normalize")
            return scores

        def reserve(self, pod: PodInfo, node_name: str) -> None:
            called.append("reserve")

        def permit(self, pod: PodInfo, node_name: str) -> None:
            called.append("permit")

        async def pre_bind(self, pod: PodInfo, node_name: str) -> None:
            called.append("pre_bind")

        def bind(self, pod: PodInfo, node_name: str) -> None:
            called.append("bind")

        def post_bind(self, pod: PodInfo, node_name: str) -> None:
            called.append("post_bind")

    async def play(world: World) -> None:
        await world.client.create(a_pod("a"))
        await world.settle()
        assert set(await world.nodes_of()) == {"a"}

    played(play, a_node("n1"), a_node("n2"), plugins=[Watching])
    assert called == [
        "pre_enqueue", "pre_filter", "filter", "filter", "pre_score 2", "score", "score", "normalize", "reserve", "permit", "pre_bind", "post_bind",
    ]  # DefaultBinder comes before a user's own Bind unless the configuration says otherwise


def test_a_filter_of_single_nodes_says_why_and_whether_preemption_could_help() -> None:
    class NoB(Plugin):
        def filter(self, pod: PodInfo, node: NodeInfo) -> str | None:
            return {"b": "too b", "c": Unresolvable("too c")}.get(node.name)

    assert decided(table(a_node("a"), a_node("b"), a_node("c")), NoB) == Placement("a", 1)
    outcome = decided(table(a_node("b"), a_node("c")), NoB)
    assert isinstance(outcome, Unschedulable)
    assert [(r.reasons, r.resolvable, count) for r, count in outcome.refusals] == [(("too b",), True, 1), (("too c",), False, 1)]
    assert outcome.message == "0/2 nodes are available: 1 too b, 1 too c."


def test_what_a_single_node_shows() -> None:
    nodes = table(a_node("a", cpu="4", pods="9"))
    nodes.place(info("old", "1"), "a")
    node = NodeInfo(nodes, 0)
    assert (node.name, [p.key[1] for p in node.pods]) == ("a", ["old"])
    assert (node.allocatable("cpu"), node.requested("cpu"), node.free("cpu"), node.free("pods"), node.free("e.com/gpu")) == (4000, 1000, 3000, 8, 0)


def test_a_column_filter_needs_no_words() -> None:
    class Nowhere(Plugin):
        def mask(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Mask:
            return np.zeros(rows.size, np.bool_)

    outcome = decided(table(a_node("a")), Nowhere)
    assert isinstance(outcome, Unschedulable)
    assert outcome.message == "0/1 nodes are available: 1 node(s) didn't satisfy plugin Nowhere."


def test_pre_filters_name_the_only_nodes() -> None:
    class AorB(Plugin):
        def pre_filter(self, pod: PodInfo, nodes: NodeTable) -> frozenset[str]:
            return frozenset("ab")

    class BorC(Plugin):
        def pre_filter(self, pod: PodInfo, nodes: NodeTable) -> frozenset[str]:
            return frozenset("bc")

    class C(Plugin):
        def pre_filter(self, pod: PodInfo, nodes: NodeTable) -> frozenset[str]:
            return frozenset("c")

    class No(Plugin):
        def pre_filter(self, pod: PodInfo, nodes: NodeTable) -> str:
            return "not today"

    nodes = table(*(a_node(name) for name in "abcd"))
    assert decided(nodes, AorB, BorC) == Placement("b", 1)
    outcome = decided(nodes, AorB, C)
    assert isinstance(outcome, Unschedulable)
    assert "node(s) didn't satisfy plugin(s) [AorB C] simultaneously" in outcome.message
    outcome = decided(nodes, No)
    assert isinstance(outcome, Unschedulable)
    assert "not today" in outcome.message
    assert outcome.plugins == {"No"}


class EvenByNode(Lasting):
    """Looks at one node after the other."""

    def filter(self, pod: PodInfo, node: NodeInfo) -> str | None:
        return "too full" if node.free("cpu") < 1000 else None

    def score(self, pod: PodInfo, node: NodeInfo) -> int:
        return min(node.requested("cpu") // 100, 100)


class EvenByColumn(Lasting):
    """The same, all at once."""

    relative = False

    def mask(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Mask:
        mask: Mask = nodes.allocatable("cpu")[rows] - nodes.requested("cpu")[rows] >= 1000
        return mask

    def column(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Column:
        return np.minimum(nodes.requested("cpu")[rows] // 100, 100)


@given(st.lists(st.tuples(st.sampled_from(["100m", "1", "2"]), st.sampled_from(["place", "place", "remove"])), max_size=20), st.integers(0, 3))
def test_both_kinds_of_plugin_decide_alike_however_much_is_remembered(steps: list[tuple[str, str]], seed: int) -> None:
    nodes = table(*(a_node(f"n{i}", cpu=str(i + 1)) for i in range(4)))
    by_node, by_column = a_profile(EvenByNode, nodes=nodes), a_profile(EvenByColumn, nodes=nodes)
    for number, (cpu, action) in enumerate(steps):
        pod = pod_info(a_pod(f"p{number}", cpu))
        outcome = by_node.decide(pod, random.Random(seed))
        other = by_column.decide(pod, random.Random(seed))
        fresh = a_profile(EvenByNode, nodes=nodes).decide(pod, random.Random(seed))
        assert outcome == fresh
        assert isinstance(outcome, Placement) == isinstance(other, Placement)
        if isinstance(outcome, Placement):
            assert outcome == other
            nodes.place(pod, outcome.node_name)
        if action == "remove":
            nodes.remove(("default", f"p{number // 2}"))


def test_a_users_plugin_is_not_asked_about_nodes_that_do_not_fit() -> None:
    asked: list[str] = []

    class Smallest(Lasting):
        def score(self, pod: PodInfo, node: NodeInfo) -> int:
            asked.append(node.name)
            return 1

        def filter(self, pod: PodInfo, node: NodeInfo) -> str | None:
            return "b" if node.name == "b" else None

    nodes = table(a_node("a"), a_node("b"), a_node("c"), a_node("d", cpu="0"))
    handle = Handle.alone(nodes=nodes)
    plugins = everywhere((NodeResourcesFit(handle), 1), (guarded(Smallest(handle)), 1))
    outcome = Decisions(nodes, Profile("p", plugins), handle.nominations).decide(info("new", "1"), random.Random(1))
    assert isinstance(outcome, Placement)
    assert outcome.feasible == 2
    assert asked == ["a", "c"]


def test_likeness_of_its_own_tells_pods_apart() -> None:
    class ByName(Plugin):
        def likeness(self, pod: PodInfo) -> str:
            return pod.key[1]

        def filter(self, pod: PodInfo, node: NodeInfo) -> str | None:
            return None if node.name == pod.key[1] else "another's"

    nodes = table(a_node("a"), a_node("b"))
    decisions = a_profile(NodeResourcesFit, ByName, nodes=nodes)
    for name in "abab":
        assert decisions.decide(info(name), random.Random(1)) == Placement(name, 1)


def test_reserving_may_fail_and_is_taken_back() -> None:
    happened: list[str] = []

    class Greedy(Plugin):
        def reserve(self, pod: PodInfo, node_name: str) -> str | None:
            happened.append("reserve")
            return "nothing left" if len(happened) == 1 else None

        def unreserve(self, pod: PodInfo, node_name: str) -> None:
            happened.append("unreserve")

        def hint(self, change: Change) -> bool:
            return change.kind is Node

    async def play(world: World) -> None:
        await world.client.create(a_pod("a", "4"))
        await world.settle()
        assert await world.condition("a") == ("Unschedulable", "0/1 nodes are available: 1 nothing left.")
        await register(world.client, a_node("n2", cpu="1"))
        await world.settle()
        assert await world.nodes_of() == {"a": "n1"}

    played(play, a_node("n1"), plugins=[Greedy])
    assert happened == ["reserve", "unreserve", "reserve"]


class Gang(Plugin):
    """Pods with the label `gang` wait until so many of them have a node, this one and those that are bound included."""

    def permit(self, pod: PodInfo, node_name: str) -> Wait | str | None:
        size = int(pod.pod.metadata.labels.get("gang", "0"))
        if not size:
            return None
        if size > 9:
            return "gangs have at most nine"
        nodes = self.handle.nodes
        there = sum("gang" in other.pod.metadata.labels for row in nodes.row_of.values() for other in nodes.placed_on(row))
        if there < size:
            return Wait(60.0)
        for waiting in self.handle.waiting:
            waiting.allow(self.name)
        return None

    def hint(self, change: Change) -> bool:
        return False


def of_gang(name: str, size: int, cpu: str = "1") -> Pod:
    pod = a_pod(name, cpu)
    return Pod(metadata=ObjectMeta(name=name, namespace="default", labels={"gang": str(size)}), spec=pod.spec)


def test_permit_makes_pods_wait_for_each_other() -> None:
    async def play(world: World) -> None:
        for i in range(2):
            await world.client.create(of_gang(f"p{i}", 3))
        await world.client.create(a_pod("free"))
        await world.settle(30)
        assert await world.nodes_of() == {"p0": "", "p1": "", "free": "n1"}
        await world.client.create(of_gang("p2", 3))
        await world.settle(1)
        assert set((await world.nodes_of()).values()) == {"n1"}

    played(play, a_node("n1"), plugins=[Gang])


def test_a_pod_that_waits_too_long_or_is_denied_frees_its_node() -> None:
    async def play(world: World) -> None:
        await world.client.create(of_gang("p", 3, cpu="4"))
        await world.client.create(a_pod("other", "1"))
        await world.settle(59)
        assert await world.nodes_of() == {"p": "", "other": ""}
        await world.settle(2)
        assert await world.condition("p") == ("Unschedulable", "0/1 nodes are available: 1 rejected due to timeout after waiting at plugin Gang.")
        assert (await world.nodes_of())["other"] == "n1"
        await world.client.create(of_gang("huge", 10, cpu="1m"))
        await world.settle(2)
        assert await world.condition("huge") == ("Unschedulable", "0/1 nodes are available: 1 gangs have at most nine.")

    played(play, a_node("n1"), plugins=[Gang])


def test_a_waiting_pod_that_is_on_its_way_out_frees_its_node_at_once() -> None:
    async def play(world: World) -> None:
        pod = of_gang("p", 3, cpu="4")
        await world.client.create(msgspec.structs.replace(pod, metadata=msgspec.structs.replace(pod.metadata, finalizers=("e.com/slow",))))
        await world.client.create(a_pod("other", "1"))
        await world.settle(5)
        await world.client.delete(Pod, "p", namespace="default", grace_period_seconds=0)
        await world.settle(5)
        assert await world.nodes_of() == {"other": "n1", "p": ""}
        numbers = world.scheduler.statistics()
        assert [numbers[part] for part in ("placed", "assumed", "active", "backing_off", "unschedulable")] == [1, 0, 0, 0, 0]

    played(play, a_node("n1"), plugins=[Gang])


def test_a_waiting_pod_that_is_displaced_goes_back_to_the_queue() -> None:
    async def play(world: World) -> None:
        await world.client.create(of_gang("p", 3, cpu="4"))
        await world.settle(5)
        await world.client.create(a_pod("urgent", "4", priority=10))
        await world.settle(5)
        assert await world.nodes_of() == {"p": "", "urgent": "n1"}
        waiting = await world.client.get(Pod, "p", namespace="default")
        assert waiting.metadata.deletionTimestamp is None
        assert world.scheduler.statistics()["placed"] == 1

    played(play, a_node("n1"), plugins=[Gang])


def test_a_waiting_pod_that_is_deleted_frees_its_node_at_once() -> None:
    async def play(world: World) -> None:
        await world.client.create(of_gang("p", 3, cpu="4"))
        await world.client.create(a_pod("other", "1"))
        await world.settle(5)
        await world.client.delete(Pod, "p", namespace="default", grace_period_seconds=0)
        await world.settle(5)
        assert await world.nodes_of() == {"other": "n1"}
        await world.client.create(of_gang("p", 1))
        await world.settle(1)
        assert await world.nodes_of() == {"other": "n1", "p": "n1"}
        assert world.scheduler.statistics()["assumed"] == 0

    played(play, a_node("n1"), plugins=[Gang])


def test_a_scheduler_that_crashes_anywhere_loses_no_waiting_pod() -> None:
    async def main(environment: SimulatedEnvironment) -> None:
        async with world(environment, a_node("n1"), plugins=[Gang]) as found:
            for i in range(2):
                await found.client.create(of_gang(f"p{i}", 2))
                await found.settle(5)
            await found.settle(400)
            assert set((await found.nodes_of()).values()) == {"n1"}

    assert crash_at_every_step(3, "default-scheduler", main) > 10


def test_what_fails_before_binding_is_tried_again() -> None:
    class Flaky(Plugin):
        tries: ClassVar[int] = 0

        async def pre_bind(self, pod: PodInfo, node_name: str) -> str | None:
            Flaky.tries += 1
            await self.handle.environment.sleep(1.0)  # type: ignore[union-attr]
            return "no network" if Flaky.tries < 3 else None

    async def play(world: World) -> None:
        await world.client.create(a_pod("a"))
        await world.settle(2)
        assert await world.condition("a") == ("SchedulerError", 'running PreBind plugin "Flaky": no network')
        await world.settle()
        assert await world.nodes_of() == {"a": "n1"}
        assert Flaky.tries == 3

    played(play, a_node("n1"), plugins=[Flaky])


def configured(*profiles: dict[str, Any], **more: Any) -> Any:
    return load({"apiVersion": API_VERSION, "kind": "KubeSchedulerConfiguration", "profiles": list(profiles), **more})


def test_a_plugin_binds_by_itself_or_leaves_it_to_the_next() -> None:
    class ByHand(Plugin):
        def bind(self, pod: PodInfo, node_name: str) -> Awaitable[str | None] | None:
            return self._bind(pod, node_name) if pod.key[1] == "mine" else None

        async def _bind(self, pod: PodInfo, node_name: str) -> None:
            binding = Binding(metadata=ObjectMeta(name="mine", namespace="default"), target=ObjectReference(kind="Node", name=node_name))
            client = self.handle.client
            assert client is not None
            await client.create(binding, namespace="default", name="mine", subresource="binding")
            bound.append(node_name)

    bound: list[str] = []

    async def play(world: World) -> None:
        for name in ("mine", "other"):
            await world.client.create(a_pod(name))
        await world.settle()
        assert await world.nodes_of() == {"mine": "n1", "other": "n1"}
        assert bound == ["n1"]

    first = {"bind": {"enabled": [{"name": "ByHand"}, {"name": "DefaultBinder"}], "disabled": [{"name": "DefaultBinder"}]}}
    played(play, a_node("n1"), plugins=[ByHand], configuration=configured({"plugins": first}))


def test_a_hint_that_raises_wakes_the_pod() -> None:
    class Broken(Plugin):
        def filter(self, pod: PodInfo, node: NodeInfo) -> str | None:
            return "no"

        def hint(self, change: Change) -> bool:
            raise RuntimeError("oh no")

    async def play(world: World) -> None:
        await world.client.create(a_pod("a"))
        await world.settle()
        await register(world.client, a_node("n2"))
        await world.settle()
        assert world.scheduler.statistics()["attempts"] > 1

    played(play, a_node("n1"), plugins=[Broken])


@pytest.mark.parametrize("method", ["filter", "score", "reserve", "permit", "pre_bind"])
def test_a_plugin_that_raises_spoils_an_attempt_and_not_the_scheduler(method: str) -> None:
    def broken(self: Plugin, pod: Any, *more: Any) -> Any:
        if pod.key[1] == "unlucky":
            raise RuntimeError("oh no")
        return 0 if method == "score" else None

    plugin = type("Broken", (Plugin,), {method: broken})

    async def play(world: World) -> None:
        for name in ("unlucky", "other"):
            await world.client.create(a_pod(name))
        await world.settle()
        placed = await world.nodes_of()
        assert placed["other"]
        assert await world.condition("unlucky") == ("SchedulerError", f'running plugin "Broken": {method}: RuntimeError: oh no')
        assert world.scheduler.statistics()["attempts"] > 2

    played(play, a_node("n1"), a_node("n2"), plugins=[plugin])


def test_scores_beyond_their_range_are_refused() -> None:
    class Boasting(Plugin):
        def column(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Column:
            return np.full(rows.size, 101)

    async def play(world: World) -> None:
        await world.client.create(a_pod("a"))
        await world.settle()
        assert await world.condition("a") == ("SchedulerError", 'running plugin "Boasting": score: ValueError: 101 is not between 0 and 100')

    played(play, a_node("n1"), a_node("n2"), plugins=[Boasting])


def test_pre_enqueue_keeps_a_pod_out_until_its_plugin_is_content() -> None:
    class Quota(Plugin):
        def pre_enqueue(self, pod: PodInfo) -> str | None:
            return None if "paid" in pod.pod.metadata.annotations else "not paid"

        def hint(self, change: Change) -> bool:
            return False

    async def play(world: World) -> None:
        await world.client.create(a_pod("a"))
        await world.settle()
        assert await world.nodes_of() == {"a": ""}
        assert (world.scheduler.statistics()["gated"], world.scheduler.statistics()["attempts"]) == (1, 0)
        await world.client.patch(Pod, "a", {"metadata": {"annotations": {"paid": "yes"}}}, namespace="default", content_type=MERGE_PATCH)
        await world.settle()
        assert await world.nodes_of() == {"a": "n1"}

    played(play, a_node("n1"), plugins=[Quota])


def test_queue_sort_decides_who_goes_first() -> None:
    class ByName(Plugin):
        def queue_key(self, pod: PodInfo, arrived: float) -> tuple[float, ...]:
            return tuple(map(ord, pod.key[1]))

    async def play(world: World) -> None:
        for name in "cab":
            await world.client.create(a_pod(name, "4"))
        await world.settle()
        assert await world.nodes_of() == {"a": "n1", "b": "", "c": ""}

    said = {"queueSort": {"enabled": [{"name": "ByName"}], "disabled": [{"name": "*"}]}}
    played(play, a_node("n1"), plugins=[ByName], configuration=configured({"plugins": said}))


def test_post_filters_are_asked_in_turn_and_their_words_joined() -> None:
    def saying(name: str, words: str) -> type[Plugin]:
        def post_filter(self: Plugin, nodes: NodeTable, unplaced: Unplaced) -> Attempt:
            return Attempt(words)

        return type(name, (Plugin,), {"post_filter": post_filter})

    outcome = decided(table(a_node("a", pods="0")), NodeResourcesFit, saying("One", "one word"), saying("Two", "another"))
    assert isinstance(outcome, Unschedulable)
    assert outcome.message == "0/1 nodes are available: 1 Too many pods. one word, another"


def test_a_hint_wakes_the_pods_that_it_means() -> None:
    class Painted(Plugin):
        """Pods want a node of their colour."""

        def filter(self, pod: PodInfo, node: NodeInfo) -> str | None:
            return None if node.node.metadata.labels.get("colour") == pod.key[1] else "wrong colour"

        def hint(self, change: Change) -> bool | Callable[[PodInfo], bool]:
            if change.kind is not Node or change.new is None:
                return False
            return lambda pod: bool(pod.key[1] == change.new.metadata.labels.get("colour"))

    async def play(world: World) -> None:
        for colour in ("red", "blue", "green"):
            await world.client.create(a_pod(colour))
        await world.settle()
        assert world.scheduler.statistics()["attempts"] == 3
        await world.client.patch(Node, "n1", {"metadata": {"labels": {"colour": "blue"}}}, content_type=MERGE_PATCH)
        await world.settle()
        assert await world.nodes_of() == {"red": "", "blue": "n1", "green": ""}
        assert world.scheduler.statistics()["attempts"] == 4

    played(play, a_node("n1"), plugins=[Painted])


def test_profiles_are_schedulers_by_name() -> None:
    async def play(world: World) -> None:
        await world.client.create(a_pod("old", "1", nodeName="n1"))
        for name in ("default-scheduler", "packing", "nobody"):
            await world.client.create(a_pod(name, "100m", schedulerName=name))
        await world.settle()
        assert await world.nodes_of() == {"old": "n1", "default-scheduler": "n2", "packing": "n1", "nobody": ""}
        events = {e.involvedObject.name: e.reportingComponent for e in (await world.client.list(Event)).items}
        assert events == {"default-scheduler": "default-scheduler", "packing": "packing"}

    packing = {"name": "NodeResourcesFit", "args": {"scoringStrategy": {"type": "MostAllocated"}}}
    only_fit = {"score": {"disabled": [{"name": "*"}], "enabled": [{"name": "NodeResourcesFit"}]}}
    profiles = {"schedulerName": "default-scheduler"}, {"schedulerName": "packing", "pluginConfig": [packing], "plugins": only_fit}
    played(play, a_node("n1"), a_node("n2"), configuration=configured(*profiles))


def test_back_off_is_configured() -> None:
    async def play(world: World) -> None:
        await world.client.create(a_pod("a"))
        await world.settle(100)
        assert world.scheduler.statistics()["attempts"] == 4  # after 0, 20, 50 and 80 seconds

    class Never(Plugin):
        def reserve(self, pod: PodInfo, node_name: str) -> str | None:
            raise RuntimeError("never")

    played(play, a_node("n1"), plugins=[Never], configuration=configured(podInitialBackoffSeconds=20, podMaxBackoffSeconds=30))
