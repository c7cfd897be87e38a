"""LoadAware: what it says of nodes, by columns and plainly; what it goes by; and that it moves pods away from a node with much to do."""
from __future__ import annotations

import random
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from kubelet_lite import Cluster
from kubelet_lite.api import scheduling_rules
from kubelet_lite.api.core_v1 import Container, Pod, PodSpec, ResourceRequirements
from kubelet_lite.api.errors import NotFound
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.metrics_v1beta1 import NodeMetrics
from kubelet_lite.api.requests import ListOptions, ListResult
from kubelet_lite.api.resources import METRICS
from kubelet_lite.api.timestamps import format_time
from kubelet_lite.client.base import Client
from kubelet_lite.registry.stored import Stored
from kubelet_lite.runtimes.fake import FakeRuntime
from kubelet_lite.scheduler import profiles
from kubelet_lite.scheduler.configuration import ConfigurationError, load, without_effect
from kubelet_lite.scheduler.decision import Decisions, Placement
from kubelet_lite.scheduler.framework import Handle
from kubelet_lite.scheduler.node_table import NodeTable
from kubelet_lite.scheduler.plugins import OFF_BY_DEFAULT
from kubelet_lite.scheduler.plugins.load_aware import LoadAware, LoadAwareArgs
from kubelet_lite.scheduler.pod_info import pod_info
from kubelet_lite.scheduler.polled import PATIENCE_SECONDS
from kubelet_lite.scheduler.scheduler import Scheduler
from kubelet_lite.scheduler.scoring_resources import ResourceSpec
from kubelet_lite.scheduler.surroundings import Given
from kubelet_lite.simulation.virtual.environment import SimulatedEnvironment
from kubelet_lite.simulation.virtual.run import simulate
from tests.scheduler.objects import a_node, a_pod, info, table
from tests.scheduler.world import World, played

GIBIBYTE = 1 << 30
NODES = METRICS[0]


def configuration(args: Mapping[str, Any] | None = None, weight: int = 10) -> Any:
    return load({
        "apiVersion": "kubescheduler.config.k8s.io/v1", "kind": "KubeSchedulerConfiguration",
        "profiles": [{
            "plugins": {"multiPoint": {"enabled": [{"name": "LoadAware", "weight": weight}]}},
            "pluginConfig": [{"name": "LoadAware", "args": {
                "apiVersion": "kubescheduler.config.k8s.io/v1", "kind": "LoadAwareArgs", **(args or {}),
            }}],
        }],
    })


def measured(name: str, cpu: str, memory: str = "0", at: float = 0.0) -> NodeMetrics:
    return NodeMetrics(metadata=ObjectMeta(name=name), timestamp=format_time(at), window="15s", usage={"cpu": cpu, "memory": memory})


def a_plugin(nodes: NodeTable, *metrics: NodeMetrics, args: LoadAwareArgs | None = None) -> LoadAware:
    return LoadAware(Handle.alone(Given(metrics), nodes), args)


def scores(plugin: LoadAware, nodes: NodeTable, pod: Any) -> dict[str, int] | None:
    rows = np.array(sorted(nodes.row_of.values()), np.intp)
    column = plugin.column(pod, nodes, rows)
    if column is None:
        assert not plugin.ranks(pod, nodes)
        return None
    assert column.tolist() == [plugin.points(pod, nodes, int(row)) for row in rows]
    return {nodes.name(int(row)): int(points) for row, points in zip(rows, column, strict=True)}


# ---- what it says


def test_the_share_that_would_be_left_counts() -> None:
    nodes = table(a_node("busy", "4", "8Gi"), a_node("idle", "4", "8Gi"))
    plugin = a_plugin(nodes, measured("busy", "3", "4Gi"), measured("idle", "0", "0"))
    assert scores(plugin, nodes, info("p", "1", "2Gi")) == {"busy": (0 + 25) // 2, "idle": (75 + 75) // 2}
    assert scores(plugin, nodes, info("p", "2", "2Gi")) == {"busy": (0 + 25) // 2, "idle": (50 + 75) // 2}


def test_only_the_resources_of_the_arguments_count_by_their_weights() -> None:
    nodes = table(a_node("n", "4", "8Gi"))
    args = LoadAwareArgs(resources=(ResourceSpec("cpu", 3), ResourceSpec("memory", 1)))
    assert scores(a_plugin(nodes, measured("n", "1", "6Gi"), args=args), nodes, info("p", "1", "2Gi")) == {"n": (3 * 50 + 0) // 4}
    args = LoadAwareArgs(resources=(ResourceSpec("memory"),))
    assert scores(a_plugin(nodes, measured("n", "4", "4Gi"), args=args), nodes, info("p", "1", "2Gi")) == {"n": 25}


def test_a_node_that_is_not_measured_counts_as_loaded_as_the_others_are() -> None:
    nodes = table(a_node("a", "4"), a_node("b", "4"), a_node("new", "8"))
    plugin = a_plugin(nodes, measured("a", "1"), measured("b", "3"), args=LoadAwareArgs(resources=(ResourceSpec("cpu"),)))
    assert scores(plugin, nodes, info("p")) == {"a": 72, "b": 22, "new": 48}  # a pod that asks for nothing counts for 100m
    with capture_logs() as logs:
        nodes.set_node(a_node("newer", "8"))
        scores(plugin, nodes, info("p"))
    (said,) = [entry for entry in logs if entry["event"] == "node_load_unknown"]
    assert (said["unmeasured"], said["nodes"], said["first"]) == (2, 4, "new, newer")


def test_without_any_measurement_it_has_no_say_and_says_so() -> None:
    nodes = table(a_node("a"), a_node("b"))
    with capture_logs() as logs:
        assert scores(a_plugin(nodes), nodes, info("p", "1")) is None
    assert [(entry["event"], entry["then"]) for entry in logs] == [("node_load_unknown", "LoadAware has no say")]


def test_pods_that_came_since_the_last_measurement_but_one_count_on_top() -> None:
    nodes, given_metrics = table(a_node("n", "10")), Given([measured("n", "2")])
    plugin = LoadAware(Handle.alone(given_metrics, nodes), LoadAwareArgs(resources=(ResourceSpec("cpu"),)))
    pod = info("p", "1")
    nodes.place(info("old", "3"), "n")
    assert scores(plugin, nodes, pod) == {"n": 70}
    nodes.place(info("fresh", "4"), "n")
    assert scores(plugin, nodes, pod) == {"n": 30}
    given_metrics.add(measured("n", "2"))
    assert scores(plugin, nodes, pod) == {"n": 30}
    given_metrics.add(measured("n", "5"))
    assert scores(plugin, nodes, pod) == {"n": 40}
    nodes.remove(("default", "fresh"))
    assert scores(plugin, nodes, pod) == {"n": 40}


amounts = st.integers(0, 5000)
nodes_of = st.lists(st.tuples(st.sampled_from([0, 1000, 4000]), st.sampled_from([0, 1, 8]), st.none() | st.tuples(amounts, st.integers(0, 9 * GIBIBYTE))), max_size=6)
requests = st.tuples(st.sampled_from(["", "0", "100m", "1", "3"]), st.sampled_from(["", "64Mi", "2Gi"]))
pods_of = st.lists(st.tuples(requests, st.integers(0, 5)), max_size=8)
weights = st.lists(st.tuples(st.sampled_from(["cpu", "memory"]), st.integers(0, 5)), max_size=2, unique_by=lambda spec: spec[0])


def plain(node: Any, usage: tuple[int, int], came: list[Pod], pod: Pod, resources: list[tuple[str, int]]) -> int:
    """One node, looked at without columns."""
    total = whole_weight = 0
    for name, weight in resources or [("cpu", 1), ("memory", 1)]:
        index = name == "memory"
        there_is = (node[0], node[1] * GIBIBYTE)[index]
        if there_is:
            missing = {"cpu": 100, "memory": 200 << 20}
            asked = sum(scheduling_rules.pod_requests(p, missing=missing)[name] for p in (*came, pod))
            total += (weight or 1) * (max(there_is - usage[index] - asked, 0) * 100 // there_is)
            whole_weight += weight or 1
    return total // max(whole_weight, 1)


@example([(0, 0, (0, GIBIBYTE)), (0, 8, None)], [], [], ("", ""), [])
@settings(max_examples=400)
@given(nodes_of, pods_of, pods_of, requests, weights)
def test_columns_equal_a_plain_look(
    nodes: list[tuple[int, int, tuple[int, int] | None]], before: list[Any], after: list[Any], wanted: tuple[str, str], resources: list[tuple[str, int]],
) -> None:
    found = table(*(a_node(f"n{i}", f"{cpu}m", f"{memory}Gi") for i, (cpu, memory, _) in enumerate(nodes)))
    metrics = [measured(f"n{i}", f"{usage[0]}m", str(usage[1])) for i, (_, _, usage) in enumerate(nodes) if usage is not None]
    plugin = a_plugin(found, *metrics, args=LoadAwareArgs(resources=tuple(ResourceSpec(name, weight) for name, weight in resources)))
    for i, (request, where) in enumerate(before):
        found.place(info(f"b{i}", *request), f"n{where}")
    pod = a_pod("p", *wanted)
    scores(plugin, found, pod_info(pod))
    for i, (request, where) in enumerate(after):
        found.place(info(f"a{i}", *request), f"n{where}")
    known = [(node, node[2]) for node in nodes if node[2] is not None]
    if not known:
        assert scores(plugin, found, pod_info(pod)) is None
        return
    shares = []
    for index in (0, 1):
        there_is = sum((node[0], node[1] * GIBIBYTE)[index] for node, _ in known)
        shares.append(Fraction(sum(usage[index] for _, usage in known), there_is) if there_is else Fraction(0))
    expected = {}
    for i, node in enumerate(nodes):
        usage = node[2] if node[2] is not None else (int(node[0] * shares[0]), int(node[1] * GIBIBYTE * shares[1]))
        came = [a_pod(f"a{j}", *request) for j, (request, where) in enumerate(after) if where == i]
        expected[f"n{i}"] = plain(node, usage, came, pod, resources)
    assert scores(plugin, found, pod_info(pod)) == expected


steps = st.lists(st.tuples(st.sampled_from(["decide", "decide", "remove", "node", "measure"]), st.integers(0, 4), requests), min_size=1, max_size=20)


@settings(max_examples=100)
@given(steps)
def test_what_is_kept_between_decisions_never_changes_one(found: list[tuple[str, int, tuple[str, str]]]) -> None:
    nodes, metrics = table(*(a_node(f"n{i}", "8", "16Gi") for i in range(4))), Given([measured("n1", "4", "8Gi")])
    kept_handle = Handle.alone(metrics, nodes)
    (profile,) = profiles.build(configuration(), kept_handle)
    kept = Decisions(nodes, profile, kept_handle.nominations)
    for i, (action, number, request) in enumerate(found):
        if action == "decide":
            pod = info(f"p{i}", *request)
            outcome = kept.decide(pod, random.Random(i))
            fresh = Decisions(nodes, profile, kept_handle.nominations)
            assert outcome == fresh.decide(pod, random.Random(i))
            if isinstance(outcome, Placement):
                nodes.place(pod, outcome.node_name)
        elif action == "remove":
            nodes.remove(("default", f"p{number}"))
        elif action == "node":
            nodes.set_node(a_node(f"n{number}", "4", "8Gi"))
        else:
            metrics.add(measured(f"n{number}", f"{number + i}", "1Gi"))


# ---- as a plug-in


def test_it_is_off_by_default_and_a_profile_that_names_it_has_it() -> None:
    assert LoadAware in OFF_BY_DEFAULT
    handle = Handle.alone()
    (default,) = profiles.build(load({"apiVersion": "kubescheduler.config.k8s.io/v1", "kind": "KubeSchedulerConfiguration"}), handle)
    assert "LoadAware" not in default.plugins
    (profile,) = profiles.build(configuration({"expirationSeconds": 30}), handle)
    assert [(scoring.name, scoring.weight) for scoring in profile.scores][-1] == ("LoadAware", 10)
    assert profile.plugins["LoadAware"].args == LoadAwareArgs(expirationSeconds=30)
    assert list(without_effect(configuration(), metrics=False)) == ["LoadAware: nobody serves metrics: say --metrics"]
    assert not list(without_effect(configuration(), metrics=True))


@pytest.mark.parametrize(("args", "words"), [
    ({"expirationSeconds": 0}, "expirationSeconds: Invalid value: 0: must be greater than 0"),
    ({"resources": [{"name": "example.com/gpu", "weight": 1}]}, 'resources[0].name: Unsupported value: "example.com/gpu": supported values: "cpu", "memory"'),
    ({"resources": [{"name": "cpu", "weight": 101}]}, "resources[0].weight: Invalid value: 101"),
    ({"resources": [{"name": "cpu"}, {"name": "cpu"}]}, "resources[1].name: Duplicate value"),
    ({"interval": 3}, 'unknown field "interval"'),
])
def test_wrong_arguments_are_named(args: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        profiles.check(configuration(args))
    assert "profiles[0].pluginConfig[0].args" in str(caught.value)
    assert words in str(caught.value)


def test_a_snapshot_with_metrics_is_planned_by_them() -> None:
    nodes = [a_node("busy", "4"), a_node("idle", "4")]
    pods = [a_pod(f"p{i}", "100m") for i in range(4)]
    plan = Scheduler.simulate([*nodes, measured("busy", "3"), measured("idle", "100m")], pods, configuration=configuration())
    assert set(plan.placements.values()) == {"idle"}


# ---- in a cluster


class Metrics:
    """nodes.metrics.k8s.io, as a test says."""

    def __init__(self, world: World) -> None:
        self.shown = Stored(NODES, {})
        self.items: list[NodeMetrics] = []
        self.asked = 0
        self.seconds = 0.0
        """How long an answer takes."""
        self.environment = world.environment
        world.registry.unstored.offer(self)

    async def get(self, namespace: str, name: str) -> NodeMetrics:
        raise NotFound.of(NODES.group, "nodemetrics", name)

    async def list(self, namespace: str, options: ListOptions) -> ListResult:
        self.asked += 1
        await self.environment.sleep(self.seconds)
        return ListResult(items=tuple(self.items), resource_version="")


async def placed(world: World, name: str) -> str:
    """Where a new pod goes."""
    await world.client.create(a_pod(name, "100m"))
    await world.settle(3)
    return (await world.nodes_of())[name]


def test_metrics_are_learned_when_the_first_pod_comes_and_renewed_from_then_on() -> None:
    async def play(world: World) -> None:
        metrics = Metrics(world)
        await world.settle(600)
        assert metrics.asked == 0
        now = world.environment.now
        metrics.items = [measured("a", "3", at=now()), measured("b", "100m", at=now())]
        assert await placed(world, "first") == "b"
        metrics.items = [measured("a", "100m", at=now()), measured("b", "3500m", at=now())]
        await world.settle(15)
        assert await placed(world, "second") == "a"
        assert metrics.asked == 2

    played(play, a_node("a"), a_node("b"), configuration=configuration())


def test_stale_metrics_count_as_none() -> None:
    async def play(world: World) -> None:
        metrics = Metrics(world)
        metrics.items = [measured("a", "3", at=world.environment.now()), measured("b", "0", at=world.environment.now())]
        with capture_logs() as logs:
            assert await placed(world, "p0") == "b"
            await world.settle(90)
            where = [await placed(world, f"p{i}") for i in range(1, 4)]
        assert (where[0], sorted(where[1:])) == ("a", ["a", "b"])  # as without the plug-in: by what is requested
        assert [entry["then"] for entry in logs if entry["event"] == "node_load_unknown"] == ["LoadAware has no say"]

    played(play, a_node("a"), a_node("b"), configuration=configuration())


def test_where_nobody_serves_metrics_pods_are_scheduled_all_the_same() -> None:
    async def play(world: World) -> None:
        with capture_logs() as logs:
            assert {await placed(world, f"p{i}") for i in range(2)} == {"a", "b"}
            await world.settle(120)
        said = [(entry["event"], entry.get("resource"), entry.get("error")) for entry in logs if entry["log_level"] == "warning"]
        assert said == [
            ("not_listed", "nodes.metrics.k8s.io", "the server could not find the requested resource"), ("node_load_unknown", None, None),
        ]

    played(play, a_node("a"), a_node("b"), configuration=configuration())


def test_whoever_serves_metrics_and_never_answers_holds_no_pod_up_for_long() -> None:
    async def play(world: World) -> None:
        metrics = Metrics(world)
        metrics.seconds = 600.0
        await world.client.create(a_pod("p", "100m"))
        await world.settle(PATIENCE_SECONDS - 1)
        assert await world.nodes_of() == {"p": ""}
        await world.settle(2)
        assert await world.nodes_of() == {"p": "a"}

    played(play, a_node("a"), configuration=configuration())


def test_a_loaded_node_gets_no_pods_until_it_is_idle_again() -> None:
    """The whole way: fake kubelets use what the test says, metrics.k8s.io measures it, the plug-in goes by it."""

    async def main(environment: SimulatedEnvironment) -> list[tuple[str, int]]:
        async with Cluster(nodes=3, environment=environment, metrics=True, scheduler_config=configuration()) as cluster:
            runtime = cluster.kubelets["node-2"].runtime
            assert isinstance(runtime, FakeRuntime)
            runtime.set_own_usage(cpu_millicores=30_000)
            found = [("node-2", await count(cluster.client, environment, "loaded", "node-2"))]
            runtime.set_own_usage(cpu_millicores=100)
            await environment.sleep(60)
            return [*found, ("node-2", await count(cluster.client, environment, "idle", "node-2"))]

    async def count(client: Client, environment: SimulatedEnvironment, prefix: str, node: str) -> int:
        """How many of twelve new pods go to the node."""
        for number in range(12):
            requests = {"cpu": "500m", "memory": "512Mi"}
            container = Container(name="c", image="x", resources=ResourceRequirements(requests=requests))
            metadata = ObjectMeta(name=f"{prefix}-{number}", namespace="default")
            await client.create(Pod(metadata=metadata, spec=PodSpec(containers=(container,))))
            await environment.sleep(1)
        await environment.sleep(5)
        pods = [pod for pod in (await client.list(Pod)).items if pod.metadata.name.startswith(prefix)]
        assert all(pod.status.phase == "Running" for pod in pods)
        return sum(pod.spec.nodeName == node for pod in pods)

    (_, while_loaded), (_, while_idle) = simulate(1, main)
    assert while_loaded == 0
    assert while_idle >= 4
    assert simulate(1, main) == [("node-2", while_loaded), ("node-2", while_idle)]
