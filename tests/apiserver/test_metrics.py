"""metrics.k8s.io over HTTP: discovery, OpenAPI, tables."""
from __future__ import annotations

import pytest
from msgspec.structs import replace

from kubelet_lite.api.core_v1 import Container, Node, Pod, PodSpec, ServiceAccount
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.client.local import LocalClient
from kubelet_lite.registry import metrics
from kubelet_lite.wire.usage import ContainerUsage, NodeUsage
from tests.apiserver.test_discovery import AGGREGATED

GROUP = "/apis/metrics.k8s.io/v1beta1"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


class SteadyNode:
    """Half a core, 3 MiB; its only pod has two containers of 1500 and 20 millicores."""

    def __init__(self, environment, pod):
        self.now, self.pod, self.began = environment.now, pod, environment.now()

    async def usage(self):
        now = self.now()
        seconds = now - self.began
        return NodeUsage(time=now, cpu_nanoseconds=round(seconds * 5e8), memory_bytes=3 << 20, containers=tuple(
            ContainerUsage(
                pod_uid=self.pod.metadata.uid, name=name, id=name, started_at=self.began, cpu_nanoseconds=round(seconds * millicores * 1e6), memory_bytes=2048,
            )
            for name, millicores in (("a", 1500), ("b", 20))
        ))


@pytest.fixture
async def measured(http):
    registry = http.served.registry
    client = LocalClient(registry)
    await client.create(ServiceAccount(metadata=ObjectMeta(name="default", namespace="kube-system")))
    await client.create(Node(metadata=ObjectMeta(name="n")))
    spec = PodSpec(nodeName="n", containers=(Container(name="a", image="x"), Container(name="b", image="x")))
    pod = await client.create(Pod(metadata=ObjectMeta(name="p", namespace="kube-system"), spec=spec))
    await client.update(replace(pod, status=replace(pod.status, phase="Running")), subresource="status")
    registry.connections = {"n": SteadyNode(registry.environment, pod)}.get
    metrics.serve(registry)
    return http


async def test_the_group_is_discovered_only_where_metrics_are_served(http):
    assert "metrics.k8s.io" not in [group["name"] for group in (await http.get("/apis")).json["groups"]]
    for path in (GROUP, f"{GROUP}/nodes", f"{GROUP}/namespaces/default/pods/p"):
        answer = await http.get(path)
        assert (answer.status, answer.body) == (404, b"404 page not found\n")
    metrics.serve(http.served.registry)
    assert (await http.get("/apis")).json["groups"][-1] == {
        "name": "metrics.k8s.io", "versions": [{"groupVersion": "metrics.k8s.io/v1beta1", "version": "v1beta1"}],
        "preferredVersion": {"groupVersion": "metrics.k8s.io/v1beta1", "version": "v1beta1"},
    }
    assert (await http.get(GROUP)).json["resources"] == [
        {"name": "nodes", "singularName": "", "namespaced": False, "kind": "NodeMetrics", "verbs": ["get", "list"]},
        {"name": "pods", "singularName": "", "namespaced": True, "kind": "PodMetrics", "verbs": ["get", "list"]},
    ]
    (last,) = (await http.get("/apis", Accept=AGGREGATED)).json["items"][-1]["versions"]
    assert [(resource["resource"], resource["scope"], resource["verbs"]) for resource in last["resources"]] == [
        ("nodes", "Cluster", ["get", "list"]), ("pods", "Namespaced", ["get", "list"]),
    ]


async def test_lists_objects_and_tables(measured):
    listed = (await measured.get(f"{GROUP}/nodes")).json
    assert (listed["kind"], listed["apiVersion"], listed["metadata"]) == ("NodeMetricsList", "metrics.k8s.io/v1beta1", {})
    (node,) = listed["items"]
    assert (node["metadata"]["name"], node["usage"]) == ("n", {"cpu": "500m", "memory": "3Mi"})
    (pod,) = (await measured.get(f"{GROUP}/pods")).json["items"]
    assert pod["containers"] == [
        {"name": "a", "usage": {"cpu": "1500m", "memory": "2Ki"}}, {"name": "b", "usage": {"cpu": "20m", "memory": "2Ki"}},
    ]
    one = (await measured.get(f"{GROUP}/namespaces/kube-system/pods/p")).json
    assert (one["kind"], one["containers"]) == ("PodMetrics", pod["containers"])
    table = (await measured.get(f"{GROUP}/namespaces/kube-system/pods", Accept=TABLE)).json
    assert [(c["name"], c["type"], c["format"]) for c in table["columnDefinitions"]] == [
        ("Name", "string", "name"), ("cpu", "string", "quantity"), ("memory", "string", "quantity"), ("Window", "string", "duration"),
    ]
    assert [row["cells"][:3] for row in table["rows"]] == [["p", "1520m", "4Ki"]]
    table = (await measured.get(f"{GROUP}/nodes/n", Accept=TABLE)).json
    assert [row["cells"][:3] for row in table["rows"]] == [["n", "500m", "3Mi"]]


async def test_the_schema_is_published(measured):
    document = (await measured.get("/openapi/v3/apis/metrics.k8s.io/v1beta1")).json
    found = document["components"]["schemas"]["io.k8s.metrics.pkg.apis.metrics.v1beta1.PodMetrics"]
    assert found["x-kubernetes-group-version-kind"] == [{"group": "metrics.k8s.io", "kind": "PodMetrics", "version": "v1beta1"}]
    assert set(found["properties"]) == {"kind", "apiVersion", "metadata", "timestamp", "window", "containers"}
    assert set(document["paths"]) >= {f"{GROUP}/nodes", f"{GROUP}/nodes/{{name}}", f"{GROUP}/namespaces/{{namespace}}/pods/{{name}}", f"{GROUP}/pods"}


@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_collections_cannot_be_written(measured, method):
    assert (await measured(method, f"{GROUP}/nodes", {})).status == 405
