"""DynamicResources: which nodes have the devices, what is said where none has, and what is written before a pod is bound."""
from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from kubelet_lite.api.core_v1 import Node, Pod
from kubelet_lite.api.encoding import from_json
from kubelet_lite.api.errors import InternalError
from kubelet_lite.api.requests import MERGE_PATCH
from kubelet_lite.api.resource_v1 import DeviceClass, ResourceClaim, ResourceSlice
from kubelet_lite.scheduler.decision import Placement, Unschedulable
from kubelet_lite.scheduler.framework import Change, Handle
from kubelet_lite.scheduler.plugins.dynamic_resources import DynamicResources
from kubelet_lite.scheduler.pod_info import pod_info
from kubelet_lite.scheduler.surroundings import Given
from tests.scheduler.objects import a_node, a_pod, decisions, table
from tests.scheduler.world import World, played, register

DRIVER = "gpu.example.com"
NOBODY_CAN = "0/2 nodes are available: 2 cannot allocate all claims."


def a_class(name: str = "gpu", expression: str = f'device.driver == "{DRIVER}"', **spec: Any) -> DeviceClass:
    return from_json(DeviceClass, {"metadata": {"name": name}, "spec": {"selectors": [{"cel": {"expression": expression}}], **spec}})


def a_slice(node: str, *models: str, name: str = "", pool: dict[str, Any] | None = None, **spec: Any) -> ResourceSlice:
    devices = [{"name": f"gpu-{i}", "attributes": {"model": {"string": model}}} for i, model in enumerate(models)]
    where = {"nodeName": node} if node else {}
    whole_pool = {"name": node or "shared", "generation": 1, "resourceSliceCount": 1, **(pool or {})}
    whole = {"driver": DRIVER, "pool": whole_pool, "devices": devices, **where, **spec}
    return from_json(ResourceSlice, {"metadata": {"name": name or f"of-{node}", "resourceVersion": "1"}, "spec": whole})


def exactly(count: int = 1, model: str = "", **more: Any) -> dict[str, Any]:
    expression = f'device.attributes["{DRIVER}"].model == "{model}"'
    return {"deviceClassName": "gpu", "count": count, **({"selectors": [{"cel": {"expression": expression}}]} if model else {}), **more}


def a_claim(name: str = "c", *requests: dict[str, Any], allocation: Any = None, used_by: tuple[str, ...] = (), **devices: Any) -> ResourceClaim:
    wanted = [{"name": f"r{i}", **({"exactly": one} if "deviceClassName" in one else one)} for i, one in enumerate(requests or (exactly(),))]
    status: dict[str, Any] = {"reservedFor": [{"resource": "pods", "name": pod, "uid": f"uid-{pod}"} for pod in used_by]}
    if allocation is not None:
        status["allocation"] = allocation
    return from_json(ResourceClaim, {
        "metadata": {"name": name, "namespace": "default", "uid": f"uid-{name}", "resourceVersion": "1"},
        "spec": {"devices": {"requests": wanted, **devices}}, "status": status,
    })


def allocated(node: str, *devices: str) -> dict[str, Any]:
    fields = [{"key": "metadata.name", "operator": "In", "values": [node]}]
    return {
        "devices": {"results": [{"request": "r0", "driver": DRIVER, "pool": node, "device": device} for device in devices]},
        "nodeSelector": {"nodeSelectorTerms": [{"matchFields": fields}]},
    }


def using(*claims: str, name: str = "p") -> Pod:
    pod = from_json(Pod, {"spec": {"resourceClaims": [{"name": claim, "resourceClaimName": claim} for claim in claims]}})
    return a_pod(name, resourceClaims=pod.spec.resourceClaims)


def outcome(pod: Pod, *objects: Any, nodes: tuple[Node, ...] = ()) -> Placement | Unschedulable:
    return decisions(table(*(nodes or (a_node("n1"), a_node("n2")))), Given(objects)).decide(pod_info(pod), random.Random(1))


def refusal(pod: Pod, *objects: Any, nodes: tuple[Node, ...] = ()) -> str:
    found = outcome(pod, *objects, nodes=nodes)
    assert isinstance(found, Unschedulable), found
    return found.message.split(". ")[0] + "."


def place(pod: Pod, *objects: Any, nodes: tuple[Node, ...] = ()) -> str:
    found = outcome(pod, *objects, nodes=nodes)
    assert isinstance(found, Placement), found.message
    return found.node_name


# ---- which nodes


def test_a_pod_goes_where_its_device_is() -> None:
    assert place(using("c"), a_class(), a_slice("n1", "a100"), a_slice("n2", "h100"), a_claim("c", exactly(model="h100"))) == "n2"


def test_a_pod_follows_a_claim_that_has_its_devices() -> None:
    assert place(using("c"), a_claim("c", allocation=allocated("n2", "gpu-0"))) == "n2"


def test_a_device_that_another_claim_has_is_not_given_twice() -> None:
    held = a_claim("other", allocation=allocated("n1", "gpu-0"))
    assert place(using("c"), a_class(), a_slice("n1", "a100"), a_slice("n2", "a100"), a_claim("c"), held) == "n2"


def test_all_claims_of_a_pod_must_fit_one_node() -> None:
    slices = a_slice("n1", "a100"), a_slice("n2", "a100", "a100")
    assert place(using("c", "d"), a_class(), *slices, a_claim("c"), a_claim("d")) == "n2"
    assert refusal(using("c", "d"), a_class(), *slices, a_claim("c"), a_claim("d", exactly(2))) == NOBODY_CAN


@pytest.mark.parametrize(("spec", "expected"), [
    ({"allNodes": True}, {"n1", "n2"}),
    ({"nodeSelector": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "zone", "operator": "In", "values": ["b"]}]}]}}, {"n2"}),
    ({"perDeviceNodeSelection": True, "devices": [{"name": "x", "nodeName": "n1"}]}, {"n1"}),
    ({"perDeviceNodeSelection": True, "devices": [{"name": "x", "nodeName": "n3"}, {"name": "y", "allNodes": True}]}, {"n1", "n2"}),
])
def test_a_slice_says_which_nodes_reach_it(spec: dict[str, Any], expected: set[str]) -> None:
    nodes = table(a_node("n1", labels={"zone": "a"}), a_node("n2", labels={"zone": "b"}))
    decide = decisions(nodes, Given((a_class(), a_slice("", "a100", **spec), a_claim()))).decide
    found = [decide(pod_info(using("c")), random.Random(seed)) for seed in range(20)]
    assert {one.node_name for one in found if isinstance(one, Placement)} == expected


def test_the_better_alternative_draws_the_pod() -> None:
    claim = a_claim("c", {"firstAvailable": [{"name": "best", **exactly(model="h100")}, {"name": "good", **exactly(model="a100")}]})
    nodes = a_node("n1"), a_node("n2", cpu="1")  # else n1 is as good
    assert place(using("c"), a_class(), a_slice("n1", "a100"), a_slice("n2", "h100"), claim, nodes=nodes) == "n2"
    assert place(using("c"), a_class(), a_slice("n1", "a100"), a_slice("n2", "v100"), claim, nodes=nodes) == "n1"


# ---- pools


def test_of_a_pool_only_the_newest_generation_counts() -> None:
    old = a_slice("n1", "a100", name="old")
    new = a_slice("n1", "v100", name="new", pool={"generation": 2})
    assert refusal(using("c"), a_class(), old, new, a_claim("c", exactly(model="a100"))) == NOBODY_CAN
    assert place(using("c"), a_class(), old, new, a_claim("c", exactly(model="v100"))) == "n1"


def test_from_a_pool_that_is_not_whole_nothing_is_taken() -> None:
    half = a_slice("n1", "a100", pool={"resourceSliceCount": 2})
    assert refusal(using("c"), a_class(), half, a_claim()) == NOBODY_CAN
    why = "asks for all devices, but resource pool gpu.example.com/n1 is currently being updated"
    words = f"1 cannot allocate all claims, 1 claim default/c, request r0: {why}"
    every = {"deviceClassName": "gpu", "allocationMode": "All"}
    assert refusal(using("c"), a_class(), half, a_claim("c", every)) == f"0/2 nodes are available: {words}."


# ---- what is said


@pytest.mark.parametrize(("objects", "words"), [
    ((), 'resourceclaim "c" not found'),
    ((a_claim(),), "request r0: device class gpu does not exist"),
    ((a_claim("c", {"firstAvailable": [{"name": "s", **exactly()}]}),), "request r0/s: device class gpu does not exist"),
    ((a_claim(allocation=allocated("n1", "gpu-0"), used_by=tuple(f"q{i}" for i in range(256))),), "resourceclaim in use"),
])
def test_why_a_claim_keeps_its_pod_waiting(objects: tuple[Any, ...], words: str) -> None:
    assert refusal(using("c"), *objects) == f"0/2 nodes are available: {words}."


def test_what_is_wrong_with_a_selector_is_said_for_each_node_that_asked_it() -> None:
    broken = a_claim("c", {"deviceClassName": "gpu", "selectors": [{"cel": {"expression": f'device.attributes["{DRIVER}"].speed > 1'}}]})
    words = "1 cannot allocate all claims, 1 claim default/c: selector #0: CEL runtime error: no such key: speed"
    assert refusal(using("c"), a_class(), a_slice("n1", "a100"), broken) == f"0/2 nodes are available: {words}."
    wrong = a_class("gpu", "device.drivers == 1")
    text = refusal(using("c"), wrong, a_slice("n1", "a100"), a_claim())
    assert "class gpu: selector #0: CEL compile error: compilation failed: ERROR: <input>:1:7: undeclared reference to 'device.drivers'" in text


def test_a_claim_whose_devices_are_elsewhere_is_said_to_be_so() -> None:
    words = "0/1 nodes are available: 1 resourceclaim not available on the node."
    assert refusal(using("c"), a_claim(allocation=allocated("n2", "gpu-0")), nodes=(a_node("n1"),)) == words


def test_a_generated_claim_belongs_to_its_pod() -> None:
    pod = from_json(Pod, {
        "metadata": {"name": "p", "namespace": "default", "uid": "uid-p"},
        "spec": {"schedulerName": "default-scheduler", "resourceClaims": [{"name": "g", "resourceClaimTemplateName": "t"}]},
        "status": {"resourceClaimStatuses": [{"name": "g", "resourceClaimName": "c"}]},
    })
    words = "ResourceClaim default/c was not created for pod default/p (pod is not owner)"
    assert refusal(pod, a_claim()) == f"0/2 nodes are available: {words}."


# ---- with a cluster


async def given(world: World, *objects: Any) -> None:
    for obj in objects:
        meta = from_json(type(obj), {"metadata": {"name": obj.metadata.name, "namespace": obj.metadata.namespace}}).metadata

        created = await world.client.create(msgspec.structs.replace(obj, metadata=meta))
        if isinstance(obj, ResourceClaim) and obj.status.allocation is not None:
            await world.client.update(msgspec.structs.replace(created, status=obj.status), subresource="status")


async def claim_of(world: World, name: str = "c") -> ResourceClaim:
    return await world.client.get(ResourceClaim, name, namespace="default")


def test_the_devices_are_written_into_the_claim_before_the_pod_is_bound() -> None:
    configuration = {"opaque": {"driver": DRIVER, "parameters": {"mode": "fast"}}}

    async def play(world: World) -> None:
        mine = a_claim("c", exactly(model="h100"), config=[{"requests": ["r0"], "opaque": {"driver": DRIVER, "parameters": {"mine": True}}}])
        await given(world, a_class(config=[configuration]), a_slice("n1", "a100", "h100"), mine)
        pod = await world.client.create(using("c"))
        await world.settle()
        assert await world.nodes_of() == {"p": "n1"}
        claim = await claim_of(world)
        assert claim.metadata.finalizers == ("resource.kubernetes.io/delete-protection",)
        assert [(r.request, r.driver, r.pool, r.device) for r in claim.status.allocation.devices.results] == [("r0", DRIVER, "n1", "gpu-1")]
        assert [(c.source, c.requests, c.opaque.parameters) for c in claim.status.allocation.devices.config] == [
            ("FromClass", (), {"mode": "fast"}), ("FromClaim", (), {"mine": True}),
        ]
        assert claim.status.allocation.nodeSelector.nodeSelectorTerms[0].matchFields[0].values == ("n1",)
        assert [(r.resource, r.name, r.uid) for r in claim.status.reservedFor] == [("pods", "p", pod.metadata.uid)]

    played(play, a_node("n1"))


def test_many_pods_at_once_get_different_devices_and_no_more_than_there_are() -> None:
    async def play(world: World) -> None:
        await given(world, a_class(), a_slice("n1", *["a100"] * 3), a_slice("n2", *["a100"] * 2), *(a_claim(f"c{i}") for i in range(7)))
        for i in range(7):
            await world.client.create(using(f"c{i}", name=f"p{i}"))
        await world.settle()
        placed = await world.nodes_of()
        assert sorted(placed.values()) == ["", "", "n1", "n1", "n1", "n2", "n2"]
        claims = (await world.client.list(ResourceClaim)).items
        devices = [(r.pool, r.device) for claim in claims if claim.status.allocation is not None for r in claim.status.allocation.devices.results]
        assert len(devices) == len(set(devices)) == 5
        lucky = next(claim for claim in claims if claim.status.allocation is not None)
        await world.client.update(from_json(ResourceClaim, {"metadata": {
            "name": lucky.metadata.name, "namespace": "default", "resourceVersion": lucky.metadata.resourceVersion, "uid": lucky.metadata.uid,
        }}), subresource="status")
        await world.settle()
        assert sorted((await world.nodes_of()).values()).count("") == 1

    played(play, a_node("n1"), a_node("n2"))


def test_several_pods_share_a_claim_and_its_node() -> None:
    async def play(world: World) -> None:
        await given(world, a_class(), a_slice("n1", "a100"), a_slice("n2", "a100"), a_claim())
        for i in range(3):
            await world.client.create(using("c", name=f"p{i}"))
        await world.settle()
        assert len(set((await world.nodes_of()).values()) - {""}) == 1
        assert {r.name for r in (await claim_of(world)).status.reservedFor} == {"p0", "p1", "p2"}

    played(play, a_node("n1"), a_node("n2"))


def test_a_pod_waits_for_its_claim_slice_and_class() -> None:
    async def play(world: World) -> None:
        await world.client.create(using("c"))
        await world.settle()
        assert (await world.condition("p"))[1] == '0/1 nodes are available: resourceclaim "c" not found. not found'
        await given(world, a_claim())
        await world.settle()
        assert "request r0: device class gpu does not exist" in (await world.condition("p"))[1]
        await given(world, a_class())
        await world.settle()
        assert "1 cannot allocate all claims" in (await world.condition("p"))[1]
        await given(world, a_slice("n1", "a100"))
        await world.settle()
        assert await world.nodes_of() == {"p": "n1"}

    played(play, a_node("n1"))


def test_an_idle_claim_on_a_node_that_does_not_suit_gives_its_devices_back() -> None:
    async def play(world: World) -> None:
        held = a_claim(allocation=allocated("n1", "gpu-0"))
        await given(world, a_class(), a_slice("n1", "a100"), a_slice("n2", "a100"), held)
        await world.client.create(a_pod("big", "4", nodeName="n1"))

        pod = using("c")
        container = msgspec.structs.replace(pod.spec.containers[0], resources=a_pod("x", "2").spec.containers[0].resources)
        await world.client.create(msgspec.structs.replace(pod, spec=msgspec.structs.replace(pod.spec, containers=(container,))))
        await world.settle()
        assert (await world.nodes_of())["p"] == "n2"
        claim = await claim_of(world)
        assert claim.status.allocation.devices.results[0].pool == "n2"
        assert any("deallocation of ResourceClaim completed" in message for _, message in await world.events())

    played(play, a_node("n1"), a_node("n2"))


def test_a_write_that_fails_leaves_the_devices_to_others_and_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(world: World) -> None:
        await given(world, a_class(), a_slice("n1", "a100"), a_claim())
        update, left = type(world.client).update, [2]

        async def failing(self: Any, obj: Any, **more: Any) -> Any:
            if isinstance(obj, ResourceClaim) and obj.status.allocation is not None and left[0]:
                left[0] -= 1
                raise InternalError("the store is full")
            return await update(self, obj, **more)

        monkeypatch.setattr(type(world.client), "update", failing)
        await world.client.create(using("c"))
        await world.settle()
        assert await world.nodes_of() == {"p": "n1"}
        said = [message for reason, message in await world.events() if reason == "FailedScheduling"]
        assert said[0].startswith('running PreBind plugin "DynamicResources": add allocation and reservation to claim default/c: ')

    played(play, a_node("n1"))


def test_a_device_that_must_be_made_ready_holds_its_pod_back() -> None:
    async def play(world: World) -> None:
        conditions = {"bindingConditions": ["Attached"], "bindingFailureConditions": ["Broken"]}
        slow = a_slice("n1", devices=[{"name": "gpu-0", "bindsToNode": True, **conditions}])
        await given(world, a_class(), slow, a_claim())
        await world.client.create(using("c"))
        await world.settle()
        assert await world.nodes_of() == {"p": ""}
        claim = await claim_of(world)
        assert claim.status.allocation.devices.results[0].bindingConditions == ("Attached",)
        condition = {"type": "Attached", "status": "True", "reason": "Done", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}
        device = {"driver": DRIVER, "pool": "n1", "device": "gpu-0", "conditions": [condition]}
        await world.client.patch(
            ResourceClaim, "c", {"status": {"devices": [device]}}, namespace="default", subresource="status", content_type=MERGE_PATCH,
        )
        await world.settle()
        assert await world.nodes_of() == {"p": "n1"}

    played(play, a_node("n1"))


def test_a_new_node_brings_devices() -> None:
    async def play(world: World) -> None:
        await given(world, a_class(), a_slice("n2", "a100"), a_claim())
        await world.client.create(using("c"))
        await world.settle()
        assert await world.nodes_of() == {"p": ""}
        await register(world.client, a_node("n2"))
        await world.settle()
        assert await world.nodes_of() == {"p": "n2"}

    played(play, a_node("n1"))


def test_a_claim_wakes_those_who_may_use_it() -> None:
    plugin = DynamicResources(Handle.alone(Given((a_class(),))))
    plugin.pre_enqueue(pod_info(using("named")))
    generated = from_json(ResourceClaim, {"metadata": {
        "name": "made", "namespace": "default", "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u", "controller": True}],
    }})
    assert plugin.hint(Change(ResourceClaim, None, generated)) == frozenset({("default", "p")})
    by_name = plugin.hint(Change(ResourceClaim, None, a_claim("named")))
    assert callable(by_name)
    assert [by_name(pod_info(using(name))) for name in ("named", "other")] == [True, False]
    held = a_claim("c", allocation=allocated("n1", "gpu-0"))
    assert plugin.hint(Change(ResourceClaim, held, a_claim("c"))) is True
    assert plugin.hint(Change(ResourceClaim, held, None)) is True
    assert plugin.hint(Change(ResourceClaim, held, held)) is False
