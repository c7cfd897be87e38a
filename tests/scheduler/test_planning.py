"""Placing pods without a cluster, and explaining a decision."""
from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubelet_lite.api import encoding
from kubelet_lite.api.core_v1 import (
    PersistentVolume,
    PersistentVolumeClaim,
    Pod,
    PodSchedulingGate,
    Service,
    ServiceSpec,
    Taint,
)
from kubelet_lite.api.errors import BadRequest
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.scheduling_v1 import PriorityClass
from kubelet_lite.scheduler.configuration import API_VERSION, ConfigurationError
from kubelet_lite.scheduler.decision import Placement
from kubelet_lite.scheduler.explanation import explain
from kubelet_lite.scheduler.framework import NodeInfo, Plugin, PodInfo
from kubelet_lite.scheduler.pod_info import pod_info
from kubelet_lite.scheduler.scheduler import Scheduler
from tests.scheduler.objects import a_node, a_pod, decisions, info, table
from tests.scheduler.test_volumes import claim, hosts, volume, waiting

simulate = Scheduler.simulate


def workload(kind: str = "Deployment", count: int = 3, cpu: str = "1", **template: Any) -> dict[str, Any]:
    container = {"name": "c", "image": "x", "resources": {"limits": {"cpu": cpu}}}
    how_many = {"parallelism": count} if kind == "Job" else {"replicas": count}
    pod = {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [container], **template}}
    version = {"Job": "batch/v1", "ReplicationController": "v1"}.get(kind, "apps/v1")
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "web"}, "spec": {**how_many, "template": pod}}


def test_pods_fill_the_nodes_and_the_rest_is_told_why() -> None:
    plan = simulate([a_node("a", cpu="2"), a_node("b", cpu="1")], workload(count=4))
    assert sorted(plan.placements.values()) == ["a", "a", "b"]
    (message,) = plan.refused.values()
    assert message.startswith("0/2 nodes are available: 2 Insufficient cpu.")


@pytest.mark.parametrize("kind", ["Deployment", "ReplicaSet", "StatefulSet", "ReplicationController", "Job"])
def test_every_workload_has_its_pods(kind: str) -> None:
    assert set(simulate([a_node("a")], workload(kind, 2)).placements) == {"default/web-0", "default/web-1"}


def test_a_dump_of_kubectl_is_a_snapshot(tmp_path: Path) -> None:
    running = a_pod("old", "3", nodeName="a", phase="Running")
    finished = a_pod("done", "3", nodeName="a", phase="Succeeded")
    dump = {"apiVersion": "v1", "kind": "List", "items": [encoding.to_json(obj) for obj in (a_node("a"), running, finished)]}
    text = json.dumps(dump)
    file = tmp_path / "dump.json"
    file.write_text(text)
    for source in (text, file, dump, [a_node("a"), running, finished]):
        assert list(simulate(source, workload(count=2)).placements.values()) == ["a"]


def test_pods_that_wait_in_the_snapshot_are_in_line_too() -> None:
    plan = simulate([a_node("a", cpu="1"), a_pod("first", "1")], a_pod("late", "1"))
    assert plan.placements == {"default/first": "a"}
    assert set(plan.refused) == {"default/late"}


def test_a_more_important_pod_displaces_others_who_stand_in_line_again() -> None:
    nodes = [a_node("a", cpu="2"), a_node("b", cpu="1", taints=(Taint(key="k", effect="NoSchedule"),))]
    plan = simulate([*nodes, a_pod("old", "2", nodeName="a")], a_pod("urgent", "2", priority=10))
    assert plan.placements == {"default/urgent": "a"}
    assert plan.displaced == {"default/old": "default/urgent"}
    assert set(plan.refused) == {"default/old"}
    elsewhere = simulate([a_node("a", cpu="2"), a_node("b", cpu="1"), a_pod("old", "1", nodeName="a")], a_pod("urgent", "2", priority=10))
    assert elsewhere.placements == {"default/urgent": "a", "default/old": "b"}


def test_what_an_api_server_adds_is_added() -> None:
    known = PriorityClass(metadata=ObjectMeta(name="high"), value=10)
    snapshot = [a_node("a", cpu="1"), a_pod("old", "1", nodeName="a"), known]
    assert simulate(snapshot, workload(count=1, priorityClassName="high")).displaced == {"default/old": "default/web-0"}
    assert simulate(snapshot[:2], workload(count=1, priorityClassName="system-node-critical")).displaced
    polite = PriorityClass(metadata=ObjectMeta(name="polite"), value=10, preemptionPolicy="Never")
    assert not simulate([*snapshot, polite], workload(count=1, priorityClassName="polite")).displaced
    defaults = [PriorityClass(metadata=ObjectMeta(name=f"d{value}"), value=value, globalDefault=True) for value in (10, 0)]
    assert simulate([*snapshot, defaults[0]], workload(count=1)).displaced
    assert not simulate([*snapshot, *defaults], workload(count=1)).displaced
    with pytest.raises(BadRequest, match=r'spec\.priorityClassName: no PriorityClass "low" in the snapshot'):
        simulate(snapshot, workload(priorityClassName="low"))


def test_services_spread_and_volumes_are_bound_once() -> None:
    service = Service(metadata=ObjectMeta(name="s", namespace="default"), spec=ServiceSpec(selector={"app": "x"}))
    assert sorted(simulate([*hosts("a", "b", "c"), service], workload(cpu="0")).placements.values()) == ["a", "b", "c"]
    objects: list[PersistentVolume | PersistentVolumeClaim | Any] = [volume("v", node="a"), claim("one"), claim("two"), waiting()]
    pods = [
        encoding.from_json(Pod, {"metadata": {"name": n}, "spec": {"containers": [{"name": "c", "image": "x"}], "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": n}}]}})
        for n in ("one", "two")
    ]
    plan = simulate([*hosts("a", "b"), *objects], pods)
    assert plan.placements == {"default/one": "a"}
    assert "didn't find available persistent volumes to bind" in plan.refused["default/two"]


def test_gates_and_unknown_schedulers_are_told() -> None:
    gated, foreign = a_pod("gated", schedulingGates=(PodSchedulingGate(name="g"),)), a_pod("foreign", schedulerName="x")
    assert simulate([a_node("a")], [gated, foreign]).refused == {
        "default/gated": "waiting for scheduling gates: [g]", "default/foreign": 'no profile for scheduler name "x"',
    }


class OnlyB(Plugin):
    def filter(self, pod: PodInfo, node: NodeInfo) -> str | None:
        return None if node.name == "b" else "not b"


def test_configuration_and_plugins_count() -> None:
    nodes = [a_node("a"), a_node("b"), a_pod("old", "1", nodeName="a")]
    packing = {"pluginConfig": [{"name": "NodeResourcesFit", "args": {"scoringStrategy": {"type": "MostAllocated"}}}], "plugins": {
        "score": {"disabled": [{"name": "*"}], "enabled": [{"name": "NodeResourcesFit"}]},
    }}
    configuration = {"apiVersion": API_VERSION, "kind": "KubeSchedulerConfiguration", "profiles": [packing]}
    assert simulate(nodes, a_pod("new", "1"), configuration=configuration).placements == {"default/new": "a"}
    assert simulate(nodes, a_pod("new", "1")).placements == {"default/new": "b"}
    assert simulate(nodes, workload(cpu="2"), plugins=[OnlyB], configuration=configuration).placements == {"default/web-0": "b", "default/web-1": "b"}
    with pytest.raises(ConfigurationError, match="a simulation asks nobody"):
        simulate(nodes, a_pod("new"), configuration={**configuration, "extenders": [{"urlPrefix": "http://x", "filterVerb": "f"}]})


@pytest.mark.parametrize(("source", "message"), [
    ({"kind": "Node"}, "a manifest needs apiVersion and kind"),
    ({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}, "status": {"allocatable": []}}, 'Node "n": '),
])
def test_what_is_no_snapshot_is_refused(source: Any, message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        simulate(source, a_pod())
    with pytest.raises(BadRequest, match="there are no pods"):
        simulate([a_node("a")], [a_node("b")])


@settings(max_examples=50)
@given(st.lists(st.sampled_from(["1", "2", "4"]), min_size=1, max_size=4), st.lists(st.tuples(st.sampled_from(["500m", "1", "2"]), st.integers(0, 2)), max_size=10), st.integers(0, 3))
def test_nothing_is_placed_beyond_capacity_and_nobody_is_lost(nodes: list[str], pods: list[tuple[str, int]], seed: int) -> None:
    given_pods = [a_pod(f"p{i}", cpu, priority=priority) for i, (cpu, priority) in enumerate(pods)]
    plan = simulate([a_node(f"n{i}", cpu=cpu) for i, cpu in enumerate(nodes)], given_pods, seed=seed) if given_pods else None
    if plan is None:
        return
    milli = {"500m": 500, "1": 1000, "2": 2000, "4": 4000}
    for i, cpu in enumerate(nodes):
        assert sum(milli[pods[int(name.rpartition("p")[2])][0]] for name, node in plan.placements.items() if node == f"n{i}") <= milli[cpu]
    assert sorted([*plan.placements, *plan.refused]) == sorted(f"default/p{i}" for i in range(len(pods)))


def test_an_explanation_says_who_cut_what_and_how_the_rest_scores() -> None:
    nodes = table(a_node("a"), a_node("b"), a_node("full", cpu="1"), a_node("off", unschedulable=True))
    nodes.place(info("old", "1"), "b")
    before = nodes.changes
    found = explain(decisions(nodes), info("new", "2"))
    assert [(cut.plugin, cut.reasons, cut.resolvable, cut.nodes) for cut in found.cuts] == [
        ("NodeUnschedulable", ("node(s) were unschedulable",), False, ("off",)), ("NodeResourcesFit", ("Insufficient cpu",), False, ("full",)),
    ]
    assert found.best == ["a"]
    assert found.weights["TaintToleration"] == 3
    assert {name: sum(points.values()) for name, points in found.scores.items()} == found.totals
    assert found.totals["a"] > found.totals["b"]
    assert (found.message, found.nomination, nodes.changes) == ("", None, before)
    outcome = decisions(nodes).decide(info("new", "2"), random.Random(1))
    assert outcome == Placement("a", 2)


def test_an_explanation_tells_of_gates_missing_claims_and_victims() -> None:
    nodes = table(a_node("a", cpu="1"))
    nodes.place(info("old", "1"), "a")
    gated = explain(decisions(nodes), pod_info(a_pod(schedulingGates=(PodSchedulingGate(name="g"),))))
    assert gated.kept_out == ("SchedulingGates", "waiting for scheduling gates: [g]")
    urgent = explain(decisions(nodes), info("urgent", "1", priority=9))
    assert urgent.nomination is not None
    assert [v.key[1] for v in urgent.nomination.victims] == ["old"]
    missing = encoding.from_json(Pod, {"metadata": {"name": "p", "namespace": "default"}, "spec": {
        "containers": [], "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "gone"}}],
    }})
    found = explain(decisions(nodes), pod_info(missing))
    assert [(cut.plugin, cut.reasons, cut.nodes) for cut in found.cuts] == [("VolumeRestrictions", ('persistentvolumeclaim "gone" not found',), ("a",))]


def test_pods_get_devices_of_the_claims_that_would_be_made_for_them() -> None:
    template = {"apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaimTemplate", "metadata": {"name": "t", "namespace": "default"}, "spec": {
        "spec": {"devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": "gpu", "allocationMode": "ExactCount", "count": 1}}]}},
    }}
    gpus = {"apiVersion": "resource.k8s.io/v1", "kind": "ResourceSlice", "metadata": {"name": "s"}, "spec": {
        "driver": "d.io", "nodeName": "b", "pool": {"name": "b", "generation": 1, "resourceSliceCount": 1}, "devices": [{"name": "x"}, {"name": "y"}],
    }}
    kind = {"apiVersion": "resource.k8s.io/v1", "kind": "DeviceClass", "metadata": {"name": "gpu"}}
    pods = workload(count=3, resourceClaims=[{"name": "g", "resourceClaimTemplateName": "t"}])
    plan = simulate([a_node("a"), a_node("b"), template, gpus, kind], {**pods, "metadata": {"name": "web", "namespace": "default"}})
    assert list(plan.placements.values()) == ["b", "b"]
    (message,) = plan.refused.values()
    assert message.startswith("0/2 nodes are available: 2 cannot allocate all claims.")
