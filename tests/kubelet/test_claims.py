"""ResourceClaims and the kubelet: a pod starts only with claims that are its own, have devices, and have somebody who prepares them."""
import sys

import anyio
import pytest

from kubelet_lite.api.core_v1 import Event, Node, Pod
from kubelet_lite.api.encoding import from_json
from kubelet_lite.api.resource_v1 import ResourceClaim
from kubelet_lite.cluster import Cluster
from kubelet_lite.kubelet import claims

ALLOCATION = {"devices": {"results": [{"request": "r", "driver": "gpu.example.com", "pool": "p", "device": "x"}]}}
POD = from_json(Pod, {
    "metadata": {"name": "p", "namespace": "default", "uid": "u"}, "spec": {"resourceClaims": [{"name": "g", "resourceClaimName": "c"}]},
})
GENERATED = from_json(Pod, {
    "metadata": {"name": "p", "namespace": "default", "uid": "u"}, "spec": {"resourceClaims": [{"name": "g", "resourceClaimTemplateName": "t"}]},
    "status": {"resourceClaimStatuses": [{"name": "g", "resourceClaimName": "c"}]},
})


def a_claim(*used_by, allocated=True):
    status = {"reservedFor": [{"resource": "pods", "name": "p", "uid": uid} for uid in used_by], **({"allocation": ALLOCATION} if allocated else {})}
    return from_json(ResourceClaim, {"metadata": {"name": "c", "namespace": "default", "uid": "uc"}, "status": status})


@pytest.mark.parametrize(("pod", "claim", "words"), [
    (POD, a_claim("u"), ""),
    (POD, a_claim("v"), "pod p(u) is not allowed to use ResourceClaim c(uc)"),
    (POD, a_claim("u", allocated=False), "ResourceClaim c is not allocated"),
    (POD, "gone", "failed to fetch ResourceClaim c referenced by pod p: gone"),
    (GENERATED, a_claim("u"), "ResourceClaim default/c was not created for pod default/p (pod is not owner)"),
])
def test_why_a_pod_must_not_start(pod, claim, words):
    assert claims.problem(pod, {"c": claim}, has_drivers=True) == words


def test_a_node_without_the_driver_says_so():
    assert claims.problem(POD, {"c": a_claim("u")}, has_drivers=False) == "DRA driver gpu.example.com is not registered"


MANIFEST = """
apiVersion: resource.k8s.io/v1
kind: DeviceClass
metadata: {name: gpu}
---
apiVersion: resource.k8s.io/v1
kind: ResourceSlice
metadata: {name: gpus}
spec: {driver: gpu.example.com, nodeName: NODE, pool: {name: NODE, generation: 1, resourceSliceCount: 1}, devices: [{name: gpu-0}]}
---
apiVersion: resource.k8s.io/v1
kind: ResourceClaim
metadata: {name: c}
spec: {devices: {requests: [{name: gpu, exactly: {deviceClassName: gpu}}]}}
---
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  containers: [{name: c, image: x, command: [sleep, "60"], resources: {claims: [{name: g}]}}]
  resourceClaims: [{name: g, resourceClaimName: c}]
"""


@pytest.mark.skipif(sys.platform != "linux", reason="processes of pods")
async def test_a_runtime_of_real_processes_has_no_driver_and_an_event_says_so():
    async with Cluster(nodes=1, runtime="subprocess") as cluster:
        await cluster.apply(MANIFEST.replace("NODE", (await cluster.client.list(Node)).items[0].metadata.name))
        with anyio.fail_after(20):
            while not (said := [e for e in (await cluster.client.list(Event)).items if e.reason == "FailedPrepareDynamicResources"]):
                await anyio.sleep(0.05)
        words = "Failed to prepare dynamic resources: prepare dynamic resources: DRA driver gpu.example.com is not registered"
        assert {(event.type, event.message) for event in said} == {("Warning", words)}
        pod = await cluster.client.get(Pod, "p", namespace="default")
        assert (pod.status.phase, pod.spec.nodeName != "") == ("Pending", True)


async def test_a_pod_placed_by_hand_starts_once_its_claim_is_reserved_for_it():
    async with Cluster(nodes=1, runtime="fake") as cluster:
        node = (await cluster.client.list(Node)).items[0].metadata.name
        await cluster.apply(MANIFEST.replace("NODE", node))
        await cluster.wait("pod/p", "condition=Ready")
        by_hand = MANIFEST.split("---")[-1].replace("{name: p}", "{name: q}").replace("spec:\n", f"spec:\n  nodeName: {node}\n", 1)
        await cluster.apply(by_hand)
        await cluster.wait("pod/q", "condition=Ready", timeout_seconds=30)
        claim = await cluster.client.get(ResourceClaim, "c", namespace="default")
        assert sorted(reference.name for reference in claim.status.reservedFor) == ["p", "q"]
