"""Claims of pods: made from templates, reserved, released; as tables of views, and once with everybody at work."""
from __future__ import annotations

import anyio
import pytest

from kubelet_lite.api.core_v1 import Event, Node, Pod
from kubelet_lite.api.encoding import from_json
from kubelet_lite.api.resource_v1 import ResourceClaim, ResourceClaimTemplate
from kubelet_lite.cluster import Cluster
from kubelet_lite.controllers.base import Create, Delete, Patch, Record, Update
from kubelet_lite.controllers.resource_claim import pods, releasing

PROTECTION = "resource.kubernetes.io/delete-protection"
TEMPLATE = from_json(ResourceClaimTemplate, {"metadata": {"name": "t", "namespace": "ns"}, "spec": {
    "metadata": {"labels": {"l": "1"}, "annotations": {"a": "2"}},
    "spec": {"devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": "gpu"}}]}},
}})
ALLOCATION = {"devices": {"results": [{"request": "r", "driver": "d.io", "pool": "p", "device": "x"}]}}


def a_pod(name="p", phase="Pending", node="", known=True, deleted=False, uid="uid-p"):
    statuses = [{"name": "g", "resourceClaimName": "made"}] if known else []
    deletion = {"deletionTimestamp": "2026-01-01T00:00:00Z"} if deleted else {}
    return from_json(Pod, {
        "metadata": {"name": name, "namespace": "ns", "uid": uid, **deletion},
        "spec": {"nodeName": node, "resourceClaims": [{"name": "g", "resourceClaimTemplateName": "t"}]},
        "status": {"phase": phase, "resourceClaimStatuses": statuses},
    })


def a_claim(*used_by, allocated=False, protected=False, generated=True, deleted=False):
    meta = {"name": "made", "namespace": "ns", "uid": "uid-made", "finalizers": [PROTECTION] if protected else []}
    if generated:
        meta["annotations"] = {"resource.kubernetes.io/pod-claim-name": "g"}
        meta["ownerReferences"] = [{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "uid-p", "controller": True}]
    if deleted:
        meta["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    status = {"reservedFor": [{"resource": "pods", "name": name, "uid": f"uid-{name}"} for name in used_by]}
    return from_json(ResourceClaim, {"metadata": meta, "status": {**status, **({"allocation": ALLOCATION} if allocated else {})}})


def made(pod, *, template=TEMPLATE, claim=None, used=()):
    view = pods.View(pod, {} if template is None else {"t": template}, {} if claim is None else {"g": claim}, used)
    return pods.plan(view).actions


def released(claim, *there, gone=(), certain=True):
    return releasing.plan(releasing.View(claim, {pod.metadata.name: pod for pod in there}, frozenset(gone), certain), 100.0)


def test_a_claim_is_made_from_the_template():
    action, = made(a_pod(known=False))
    assert isinstance(action, Create)
    meta = action.object.metadata
    assert (meta.generateName, meta.namespace, meta.labels) == ("p-g-", "ns", {"l": "1"})
    assert meta.annotations == {"a": "2", "resource.kubernetes.io/pod-claim-name": "g"}
    assert [(r.kind, r.name, r.uid, r.controller, r.blockOwnerDeletion) for r in meta.ownerReferences] == [("Pod", "p", "uid-p", True, True)]
    assert action.object.spec == TEMPLATE.spec.spec


def test_a_long_name_loses_from_both_of_its_parts():
    action, = made(a_pod("p" * 60, known=False))
    assert action.object.metadata.generateName == "p" * 55 + "-" + "-"
    assert len(action.object.metadata.generateName) <= 58


def test_what_was_made_is_told_in_the_status_of_the_pod():
    action, = made(a_pod(known=False), claim=a_claim())
    assert isinstance(action, Patch)
    assert action.change == {"status": {"resourceClaimStatuses": [{"name": "g", "resourceClaimName": "made"}]}}
    assert made(a_pod(), claim=a_claim()) == ()


def test_without_its_template_an_event_says_so():
    action, = made(a_pod(known=False), template=None)
    assert isinstance(action, Record)
    assert (action.type, action.reason) == ("Warning", "FailedResourceClaimCreation")
    assert action.message == 'PodResourceClaim g: resource claim template "t": not found'


@pytest.mark.parametrize("pod", [a_pod(known=False, phase="Succeeded"), a_pod(known=False, deleted=True)])
def test_a_pod_that_will_not_run_gets_no_claim(pod):
    assert made(pod) == ()


def test_a_pod_that_was_given_its_node_by_hand_is_reserved_its_claim():
    action, = made(a_pod(node="n"), used=(a_claim("other", allocated=True),))
    assert isinstance(action, Update)
    assert [r.name for r in action.object.status.reservedFor] == ["other", "p"]
    assert made(a_pod(), used=(a_claim(allocated=True),)) == ()
    assert made(a_pod(node="n"), used=(a_claim("p", allocated=True),)) == ()
    assert made(a_pod(node="n"), used=(a_claim(),)) == ()


def test_a_claim_in_use_is_left_alone():
    plan = released(a_claim("p", allocated=True, protected=True), a_pod(node="n", phase="Running"))
    assert plan.actions == ()
    assert plan.wake_at is None


@pytest.mark.parametrize("there", [(), (a_pod(uid="uid-new"),), (a_pod(phase="Failed", node="n"),), (a_pod(deleted=True),)])
def test_who_is_gone_replaced_or_done_uses_nothing(there):
    claim = a_claim("p", allocated=True, protected=True, generated=False)
    update, patch = released(claim, *there).actions
    assert (update.object.status.reservedFor, update.object.status.allocation) == ((), None)
    assert patch.change == {"metadata": {"$deleteFromPrimitiveList/finalizers": [PROTECTION]}}


def test_others_keep_the_devices():
    claim = a_claim("p", "q", allocated=True, protected=True, generated=False)
    update, = released(claim, a_pod(phase="Failed"), a_pod("q", uid="uid-q")).actions
    assert [r.name for r in update.object.status.reservedFor] == ["q"]
    assert update.object.status.allocation is not None


def test_a_generated_claim_goes_with_the_use_for_it():
    actions = released(a_claim("p", allocated=True, protected=True), a_pod(phase="Succeeded", node="n")).actions
    assert [type(action) for action in actions] == [Update, Patch, Delete]
    assert [type(action) for action in released(a_claim(), a_pod(phase="Succeeded")).actions] == [Delete]


def test_of_a_pod_that_is_gone_the_garbage_collector_marks_the_claim_before_it_is_released():
    assert released(a_claim("p", allocated=True, protected=True)).actions == ()
    assert [type(action) for action in released(a_claim("p", allocated=True, protected=True, deleted=True)).actions] == [Update, Patch]


def test_a_pod_that_may_only_be_unknown_keeps_its_claim_for_now():
    plan = released(a_claim("p", allocated=True, protected=True), certain=False)
    assert plan.actions == ()
    assert plan.wake_at == 105.0
    assert released(a_claim("p", allocated=True, protected=True, generated=False), gone=("uid-p",), certain=False).actions != ()


def test_a_deleted_claim_gives_its_devices_back_before_it_goes():
    update, patch = released(a_claim(allocated=True, protected=True, generated=False, deleted=True)).actions
    assert update.object.status.allocation is None
    assert isinstance(patch, Patch)
    assert released(a_claim("p", allocated=True, protected=True, deleted=True), a_pod(node="n")).actions == ()


def test_a_claim_that_is_allocated_and_not_in_use_stays_so():
    assert released(a_claim(allocated=True, protected=True, generated=False)).actions == ()


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
kind: ResourceClaimTemplate
metadata: {name: one}
spec: {spec: {devices: {requests: [{name: gpu, exactly: {deviceClassName: gpu}}]}}}
---
apiVersion: v1
kind: Pod
metadata: {name: first}
spec:
  containers: [{name: c, image: x, resources: {claims: [{name: g}]}}]
  resourceClaims: [{name: g, resourceClaimTemplateName: one}]
"""


async def test_pods_take_turns_with_a_device_and_leave_nothing_behind():
    async with Cluster(nodes=1, runtime="fake") as cluster:
        node = (await cluster.client.list(Node)).items[0].metadata.name
        await cluster.apply(MANIFEST.replace("NODE", node))
        await cluster.wait("pod/first", "condition=Ready")
        await cluster.apply(MANIFEST.split("---")[-1].replace("first", "second"))
        claims = {claim.metadata.annotations["resource.kubernetes.io/pod-claim-name"] for claim in (await cluster.client.list(ResourceClaim)).items}
        assert claims == {"g"}
        await cluster.client.delete(Pod, "first", namespace="default")
        await cluster.wait("pod/second", "condition=Ready")
        await cluster.client.delete(Pod, "second", namespace="default")
        with anyio.fail_after(10):
            while (await cluster.client.list(ResourceClaim)).items:
                await anyio.sleep(0.02)
        said = [event.message for event in (await cluster.client.list(Event)).items if event.reason == "FailedScheduling"]
        assert all("cannot allocate all claims" in message for message in said)
