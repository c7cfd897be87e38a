"""A dump of a cluster as the beginning of a run: nothing happens by itself, and everything goes on."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kubelet_lite.api.core_v1 import Container, Node, Pod, PodSpec
from kubelet_lite.api.encoding import to_json
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.runtimes.fake import Behaviour
from kubelet_lite.simulation.dump import DumpError, load
from kubelet_lite.simulation.invariants import STANDARD
from kubelet_lite.simulation.records.replay import replay, save
from kubelet_lite.simulation.simulation import Run, Setting, Simulation, play
from kubelet_lite.simulation.snapshot import Snapshot
from tests.simulation.stories import ScaleWeb, running

APP = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: c, image: "web:1", readinessProbe: {tcpSocket: {port: 80}, initialDelaySeconds: 5}, startupProbe: {tcpSocket: {port: 80}}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
"""
ROUTINE = ("leases.coordination.k8s.io", "nodes")


async def build(simulation: Simulation) -> None:
    """Three pods behind a Service, one that crashed twice, one that is over."""
    await simulation.cluster.apply(APP)
    for name, policy, image in (("crashed", "Always", "crash:1"), ("over", "Never", "over:1")):
        spec = PodSpec(restartPolicy=policy, containers=(Container(name="c", image=image),))
        await simulation.client.create(Pod(metadata=ObjectMeta(name=name, namespace="default"), spec=spec))
    await simulation.sleep(200)


def behaviour(pod: Pod, container: Container, attempt: int) -> Behaviour:
    return {
        "crash:1": Behaviour(run_seconds=1, exit_code=3, runs=2), "over:1": Behaviour(run_seconds=1),
    }.get(container.image, Behaviour())


async def wait(simulation: Simulation) -> None:
    await simulation.sleep(1000)


@pytest.fixture(scope="module")
def built() -> Run:
    run = play(build, seed=5, behaviour=behaviour)
    run.raise_error()
    return run


@pytest.fixture(scope="module")
def values(built: Run) -> list[dict[str, Any]]:
    snapshot = Snapshot.of(built.archive.revisions)
    return [to_json(obj) for resource in snapshot.resources() for obj in snapshot.list(resource)]


@pytest.fixture
def file(values: list[dict[str, Any]], tmp_path: Path) -> Path:
    """As `kubectl get -A -o json` prints it."""
    path = tmp_path / "dump.json"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": values}))
    return path


def written(run: Run) -> list[str]:
    """What anybody wrote since the cluster was made, but for heartbeats."""
    return [f"{r.actor} {r.verb} {r.event.key}" for r in run.archive.revisions if r.actor and r.event.key.resource not in ROUTINE]


def test_nothing_happens(file: Path) -> None:
    run = play(wait, seed=1, setting=Setting(objects=load(file), settle=True), behaviour=behaviour, invariants=STANDARD)
    run.raise_error()
    assert written(run) == []
    leases = [r for r in run.archive.revisions if r.event.key.resource == "leases.coordination.k8s.io" and r.actor]
    assert len({r.event.key.name for r in leases}) == 3


def test_objects_are_as_they_were_but_for_their_revisions(built: Run, file: Path) -> None:
    run = play(wait, setting=Setting(objects=load(file)), behaviour=behaviour)
    before, after = Snapshot.of(built.archive.revisions), Snapshot.of(run.archive.revisions)
    for resource in ("pods", "deployments.apps", "replicasets.apps", "services", "endpointslices.discovery.k8s.io", "namespaces"):
        def plain(snapshot: Snapshot, resource: str = resource) -> dict[Any, Any]:
            made = {place: to_json(obj) for place, obj in snapshot.all(resource).items()}
            for value in made.values():
                del value["metadata"]["resourceVersion"]
            return made

        assert plain(after) == plain(before)
    assert run.archive.began >= built.archive.revisions[-1].time
    crashed = after.get(Pod, "crashed", "default")
    assert crashed is not None
    assert (crashed.status.containerStatuses[0].restartCount, crashed.status.phase) == (2, "Running")


def test_life_goes_on(file: Path) -> None:
    async def scenario(simulation: Simulation) -> None:
        known = {pod.status.podIP for pod in simulation.snapshot.list(Pod)}
        simulation.start(ScaleWeb(replicas=5))
        await simulation.until(lambda snapshot: len(running(snapshot)) == 6)
        fresh = [pod for pod in simulation.snapshot.list(Pod) if pod.status.podIP not in known]
        assert len(fresh) == 2
        assert len({pod.status.podIP for pod in simulation.snapshot.list(Pod)}) == 7
        simulation.start(ScaleWeb(replicas=0))
        await simulation.until(lambda snapshot: len(running(snapshot)) == 1)

    play(scenario, setting=Setting(objects=load(file)), behaviour=behaviour).raise_error()


def test_its_nodes_are_the_nodes(values: list[dict[str, Any]]) -> None:
    renamed = json.loads(json.dumps([
        value for value in values if value["kind"] in ("Node", "Namespace")
    ]).replace("node-1", "worker-a").replace("127.0.0.1", "192.168.7.7").replace('"32"', '"4"'))

    async def scenario(simulation: Simulation) -> None:
        await simulation.cluster.apply(APP)
        await simulation.until(lambda snapshot: len(running(snapshot)) == 3)
        assert {pod.spec.nodeName for pod in running(simulation.snapshot)} == {"worker-a", "node-2", "node-3"}
        assert {pod.status.hostIP for pod in running(simulation.snapshot)} == {"192.168.7.7"}
        assert {node.status.allocatable["cpu"] for node in simulation.snapshot.list(Node)} == {"4"}

    run = play(scenario, setting=Setting(nodes=9, objects=tuple(renamed)))
    run.raise_error()
    assert not [line for line in written(run) if " nodes " in line]


def test_a_lost_container_is_something_wrong(values: list[dict[str, Any]]) -> None:
    """A pod whose status says nothing of its containers is started."""
    def forgotten(value: dict[str, Any]) -> dict[str, Any]:
        return {**value, "status": {"phase": "Pending"}} if value["metadata"]["name"] == "crashed" else value

    run = play(wait, setting=Setting(objects=tuple(forgotten(value) for value in values)), behaviour=behaviour)
    assert any(line.endswith("update pods default/crashed") for line in written(run))


def test_namespaces_that_were_not_dumped_are_there(values: list[dict[str, Any]]) -> None:
    moved = [{**value, "metadata": {**value["metadata"], "namespace": "shop"}} for value in values if value["kind"] == "Service" and value["metadata"]["name"] == "web"]

    async def scenario(simulation: Simulation) -> None:
        assert simulation.snapshot.get("namespaces", "shop") is not None
        await simulation.sleep(100)
        assert simulation.snapshot.get("services", "web", "shop") is not None

    play(scenario, setting=Setting(objects=tuple(moved))).raise_error()


def test_a_replay_file_holds_the_dump(file: Path, tmp_path: Path) -> None:
    run = play(wait, seed=2, setting=Setting(objects=load(file)))
    again = replay(save(run, tmp_path / "run.json"))
    assert again.repeated
    assert [r.event.key for r in again.run.archive.revisions] == [r.event.key for r in run.archive.revisions]


def test_several_files_texts_and_lists_of_one_kind(values: list[dict[str, Any]], tmp_path: Path) -> None:
    nodes = [{name: member for name, member in value.items() if name not in ("kind", "apiVersion")} for value in values if value["kind"] == "Node"]
    (tmp_path / "nodes.json").write_text(json.dumps({"kind": "NodeList", "apiVersion": "v1", "items": nodes}))
    namespace = json.dumps(next(value for value in values if value["kind"] == "Namespace"))
    found = load(tmp_path / "nodes.json", namespace, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: default, uid: u}\n")
    assert [value["kind"] for value in found] == ["Node"] * 3 + ["Namespace", "ConfigMap"]


@pytest.mark.parametrize(("change", "message"), [
    (lambda values: [v for v in values if v["kind"] != "ReplicaSet"], "dump them, too: pods default/web-.* is owned by ReplicaSet web-"),
    (lambda values: [v for v in values if v["kind"] not in ("Node", "Lease")], "default/.* is on node node-"),
    (lambda values: [{"apiVersion": "x.io/v1", "kind": "Thing", "metadata": {"name": "a", "uid": "u"}}], "nobody defines Thing of x.io/v1"),
    (lambda values: [{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}], "an object of a cluster has metadata.name and metadata.uid"),
    (lambda values: [{"kind": "Pod"}], r"objects\[0\]: a manifest needs apiVersion and kind, there is no apiVersion: {'kind': 'Pod'}"),
])
def test_what_cannot_begin_a_run_is_said(values: list[dict[str, Any]], change: Any, message: str) -> None:
    with pytest.raises(DumpError, match=message):
        load(json.dumps({"kind": "List", "apiVersion": "v1", "items": change(values)}))
    with pytest.raises(DumpError):
        load("a: [\n")


@pytest.mark.parametrize(("value", "message"), [
    ({"kind": "Pod", "metadata": {"name": "a"}}, "there is no apiVersion: "),
    ({"apiVersion": "v1", "metadata": {"name": "a"}}, "there is no kind: "),
    ({"spec": {}}, "there is no apiVersion and no kind and no metadata: "),
    ({"apiVersion": "v1", "kind": "Pod", "metadata": "a"}, "there is no metadata: "),
])
def test_an_object_of_a_setting_that_is_none_is_named_by_its_place(values: list[dict[str, Any]], value: Any, message: str) -> None:
    with pytest.raises(DumpError, match=rf"^objects\[1\]: an object has apiVersion, kind and metadata, {message}"):
        play(wait, setting=Setting(objects=(values[0], value))).raise_error()


def test_what_has_no_object_in_it_is_no_dump(tmp_path: Path) -> None:
    for sources, message in (((), "load: sources: say at least one"), ((tmp_path,), "there is no object in it"), ((5,), "5 is no manifest")):
        with pytest.raises(DumpError, match=message):
            load(*sources)


def test_a_definition_that_defines_nothing_is_refused() -> None:
    definition = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "things.x.io", "uid": "u"}}
    for spec in ({}, {"spec": {"group": "x.io"}}, {"spec": []}):
        with pytest.raises(DumpError, match=r"^CustomResourceDefinition /?things\.x\.io: "):
            play(wait, setting=Setting(objects=({**definition, **spec},))).raise_error()
