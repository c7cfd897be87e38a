"""Devices are given away as plain code would: in Kubernetes' order, and none that somebody has."""
from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kubelet_lite.api.core_v1 import Node
from kubelet_lite.api.encoding import from_json
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.resource_v1 import DeviceClass, ResourceClaim, ResourceSlice
from kubelet_lite.scheduler.devices.allocated import AllocatedDevices
from kubelet_lite.scheduler.devices.allocation import AllocationError, Allocator
from kubelet_lite.scheduler.devices.inventory import Inventory
from tests.scheduler import plain_devices

CLASS = DeviceClass(metadata=ObjectMeta(name="any"))
NODE = Node(metadata=ObjectMeta(name="n"))
devices_of = st.lists(st.fixed_dictionaries({
    "n": st.integers(0, 2), "kind": st.sampled_from([None, "a", "a", "b"]), "tainted": st.sampled_from([False, False, False, True]),
    "shared": st.sampled_from([False, False, False, True]), "memory": st.sampled_from([2, 4]), "counter": st.sampled_from([0, 0, 1, 2]),
}), min_size=1, max_size=5)
asks_of = st.fixed_dictionaries({
    "selector": st.sampled_from([*plain_devices.SELECTORS, "true", "true"]), "count": st.sampled_from([1, 1, 1, 2, 3, None]),
    "admin": st.sampled_from([False, False, False, True]), "tolerates": st.booleans(), "memory": st.sampled_from([0, 0, 0, 1, 2, 3]),
})
requests_of = st.lists(st.lists(asks_of, min_size=1, max_size=2), min_size=1, max_size=2)
constraints_of = st.lists(st.tuples(st.sampled_from(["match", "distinct"]), st.sampled_from([(), ("r0",), ("r1",)])), max_size=1)
claims_of = st.lists(st.tuples(requests_of, constraints_of), min_size=1, max_size=2)


def _asks(asks: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"deviceClassName": "any", "selectors": [{"cel": {"expression": asks["selector"]}}]}
    found |= {"allocationMode": "All"} if asks["count"] is None else {"allocationMode": "ExactCount", "count": asks["count"]}
    if asks["tolerates"]:
        found["tolerations"] = [{"operator": "Exists"}]
    if asks["memory"]:
        found["capacity"] = {"requests": {"memory": str(asks["memory"])}}
    return found


def a_claim(number: int, claim: Mapping[str, Any]) -> ResourceClaim:
    requests = []
    for request in claim["requests"]:
        whole = [{**_asks(asks), "name": name.partition("/")[2]} for name, asks in request["alternatives"]]
        if len(whole) > 1:
            requests.append({"name": request["name"], "firstAvailable": whole})
        else:
            only = {key: value for key, value in whole[0].items() if key != "name"}
            requests.append({"name": request["name"], "exactly": {**only, "adminAccess": request["alternatives"][0][1]["admin"] or None}})
    constraints = [{f"{kind}Attribute": "d.io/kind", **({"requests": list(only)} if only else {})} for kind, only in claim["constraints"]]
    spec = {"devices": {"requests": requests, **({"constraints": constraints} if constraints else {})}}
    return from_json(ResourceClaim, {"metadata": {"name": f"c{number}", "namespace": "default", "uid": f"u{number}"}, "spec": spec})


def slices_of(devices: Sequence[Mapping[str, Any]], counters: int) -> list[ResourceSlice]:
    pools: dict[str, list[dict[str, Any]]] = {}
    for device in devices:
        memory = {"memory": {"value": str(device["memory"])}}
        one: dict[str, Any] = {"name": device["name"], "attributes": {"n": {"int": device["n"]}}, "capacity": memory}
        if device["kind"]:
            one["attributes"]["kind"] = {"string": device["kind"]}
        if device["tainted"]:
            one["taints"] = [{"key": "broken", "effect": "NoSchedule"}]
        if device["shared"]:
            one["allowMultipleAllocations"] = True
        if device["counter"]:
            one["consumesCounters"] = [{"counterSet": "s", "counters": {"c": {"value": str(device["counter"])}}}]
        pools.setdefault("p", []).append(one)
    spec = {"driver": "d.io", "nodeName": "n", "pool": {"name": "p", "generation": 1, "resourceSliceCount": 2}}
    sets = {"sharedCounters": [{"name": "s", "counters": {"c": {"value": str(counters)}}}]}
    return [
        from_json(ResourceSlice, {"metadata": {"name": "counters"}, "spec": {**spec, **sets}}),
        from_json(ResourceSlice, {"metadata": {"name": "devices"}, "spec": {**spec, "devices": pools["p"]}}),
    ]


def holding(names: Sequence[str]) -> AllocatedDevices:
    found = AllocatedDevices()
    results = [{"request": "r", "driver": "d.io", "pool": "p", "device": name} for name in names]
    claim = from_json(ResourceClaim, {"metadata": {"name": "other"}, "status": {"allocation": {"devices": {"results": results}}}})
    found.know(("default", "other"), claim)
    return found


@settings(max_examples=400, deadline=None)
@given(devices_of, claims_of, st.sets(st.integers(0, 4), max_size=2), st.integers(0, 4))
def test_the_first_of_all_ways_that_breaks_no_rule_is_chosen(drawn: Any, drawn_claims: Any, taken_numbers: set[int], counters: int) -> None:
    devices = [{**device, "name": f"d{i}", "counter": 0 if device["shared"] else device["counter"]} for i, device in enumerate(drawn)]
    taken = [device["name"] for i, device in enumerate(devices) if i in taken_numbers and not device["shared"]]
    claims = []
    for requests, constraints in drawn_claims:
        named = []
        for i, alternatives in enumerate(requests):
            several = len(alternatives) > 1
            named.append({"name": f"r{i}", "alternatives": [
                (f"r{i}/s{j}" if several else f"r{i}", {**asks, "admin": asks["admin"] and not several}) for j, asks in enumerate(alternatives)
            ]})
        known = {request["name"] for request in named}
        claims.append({"requests": named, "constraints": [(kind, only) for kind, only in constraints if not only or only[0] in known]})
    everything = [asks for claim in claims for request in claim["requests"] for _, asks in request["alternatives"]]
    assume(not any(asks["count"] is None for asks in everything) or not any(claim["constraints"] for claim in claims))
    expected = plain_devices.allocate(claims, devices, taken, counters)
    inventory = Inventory(slices_of(devices, counters))
    allocator = Allocator([a_claim(i, claim) for i, claim in enumerate(claims)], lambda name: CLASS, holding(taken))
    ids = itertools.count()
    results = allocator.allocate(inventory.reached_from(NODE), "n", lambda: str(next(ids)))
    found = None if results is None else [(i, r.request, r.device) for i, result in enumerate(results) for r in result.devices.results]
    assert found == expected


def test_devices_that_are_alike_are_not_tried_in_vain() -> None:
    """Sixteen of each two kinds, and a constraint that nothing meets: plainly that are 16 over 8 ways."""
    devices = [{"name": f"d{i:02}", "n": 1, "kind": "ab"[i % 2], "tainted": False, "shared": False, "memory": 1, "counter": 0} for i in range(32)]
    asks = {"selector": "true", "count": 17, "admin": False, "tolerates": False, "memory": 0}
    claim = a_claim(0, {"requests": [{"name": "r0", "alternatives": [("r0", asks)]}], "constraints": [("match", ())]})
    allocator = Allocator([claim], lambda name: CLASS, AllocatedDevices())
    assert allocator.points(Inventory(slices_of(devices, 0)).reached_from(NODE)) is None


def test_a_search_that_takes_too_long_is_given_up() -> None:
    devices = [{"name": f"d{i:02}", "n": i % 3, "kind": f"k{i}", "tainted": False, "shared": False, "memory": 1, "counter": 0} for i in range(30)]
    asks = {"selector": "true", "count": 2, "admin": False, "tolerates": False, "memory": 0}
    last = {**asks, "count": 30, "selector": 'device.attributes["d.io"].n > 1'}
    requests = [{"name": f"r{i}", "alternatives": [(f"r{i}", a)]} for i, a in enumerate((asks, asks, asks, last))]
    allocator = Allocator([a_claim(0, {"requests": requests[:3], "constraints": []}), a_claim(1, {"requests": requests[3:], "constraints": []})],
                          lambda name: CLASS, AllocatedDevices())
    try:
        allocator.points(Inventory(slices_of(devices, 0)).reached_from(NODE))
    except AllocationError as error:
        assert str(error) == "timed out trying to allocate devices"
    else:
        raise AssertionError("it came to an end")
