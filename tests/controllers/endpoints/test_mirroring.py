"""Tables and laws of slices that mirror Endpoints."""
from hypothesis import given
from hypothesis import strategies as st

from kubelet_lite.api.core_v1 import EndpointAddress, EndpointPort, Endpoints, EndpointSubset
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.controllers.endpoints import mirroring
from tests.controllers.endpoints.objects import carried_out, kinds, service

BARE = service(selector={})


def subset(*ips, rest=(), port=80):
    addresses, others = (tuple(EndpointAddress(ip=ip) for ip in found) for found in (ips, rest))
    return EndpointSubset(addresses=addresses, notReadyAddresses=others, ports=(EndpointPort(port=port, protocol="TCP"),))


def hand_made(*subsets, **meta):
    return Endpoints(metadata=ObjectMeta(name="web", namespace="ns", uid="e", **meta), subsets=subsets)


def plan(endpoints, existing=(), of=BARE):
    return mirroring.plan(mirroring.View(endpoints, of, tuple(existing)))


def test_endpoints_made_by_hand_are_mirrored():
    annotations = {"mine": "x", "kubectl.kubernetes.io/last-applied-configuration": "{}", "endpoints.kubernetes.io/last-change-trigger-time": "t"}
    (create,) = plan(hand_made(subset("10.9.9.9", rest=("10.9.9.8",)), labels={"a": "b"}, annotations=annotations)).actions
    assert [(e.addresses[0], e.conditions.ready, e.conditions.serving) for e in create.object.endpoints] == [("10.9.9.9", True, None), ("10.9.9.8", False, None)]
    meta = create.object.metadata
    assert meta.labels == {
        "a": "b", "kubernetes.io/service-name": "web", "endpointslice.kubernetes.io/managed-by": "endpointslicemirroring-controller.k8s.io",
    }
    assert (meta.annotations, meta.generateName, meta.ownerReferences[0].kind) == ({"mine": "x"}, "web-", "Endpoints")


def test_each_family_and_each_set_of_ports_has_its_slice():
    found = carried_out((), plan(hand_made(subset("10.9.9.9", "fd00::1", "010.9.9.7"), subset("10.9.9.9", port=81))), [])
    assert sorted((s.addressType, s.ports[0].port, tuple(e.addresses[0] for e in s.endpoints)) for s in found) == [
        ("IPv4", 80, ("10.9.9.9", "10.9.9.7")), ("IPv4", 81, ("10.9.9.9",)), ("IPv6", 80, ("fd00::1",)),
    ]


def test_slices_go_with_what_they_mirror_and_stay_away_where_they_are_not_wanted():
    mine = hand_made(subset("10.9.9.9"))
    made = carried_out((), plan(mine), [])
    assert kinds(plan(None, made)) == ["Delete"]
    assert kinds(mirroring.plan(mirroring.View(mine, None, made))) == ["Delete"]
    assert kinds(plan(mine, made, of=service())) == ["Delete"]
    for meta in ({"labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}}, {"annotations": {"control-plane.alpha.kubernetes.io/leader": "{}"}}):
        assert kinds(plan(hand_made(subset("10.9.9.9"), **meta), made)) == ["Delete"]
    assert plan(hand_made()).actions == ()


def test_a_slice_whose_ports_changed_is_changed_not_made_anew():
    made = carried_out((), plan(hand_made(subset("10.9.9.9"))), [])
    assert kinds(plan(hand_made(subset("10.9.9.9", port=81)), made)) == ["Update"]
    assert kinds(plan(hand_made(subset("10.9.9.9"), labels={"a": "b"}), made)) == ["Update"]
    assert plan(hand_made(subset("10.9.9.9")), made).actions == ()


def test_addresses_that_are_left_out_are_told():
    create, too_many = plan(hand_made(subset(*(f"10.1.{n // 250}.{n % 250}" for n in range(1003))))).actions
    assert len(create.object.endpoints) == 1000
    assert too_many.message == "A max of 1000 addresses can be mirrored to EndpointSlices per Endpoints subset. 3 addresses were skipped"
    create, invalid = plan(hand_made(subset("10.9.9.9", "nowhere"))).actions
    assert (invalid.reason, invalid.message) == ("InvalidIPAddress", "Skipped 1 invalid IP addresses when mirroring to EndpointSlices")


SUBSETS = st.lists(st.tuples(st.sets(st.integers(1, 40)), st.integers(80, 82), st.booleans()), max_size=4, unique_by=lambda s: s[1])


@given(SUBSETS, SUBSETS)
def test_the_slices_say_what_the_endpoints_say_and_then_nothing_is_to_be_done(before, after):
    existing, made_before = (), []
    for said in (before, after):
        ips = [(tuple(f"10.9.9.{n}" for n in sorted(numbers)), port, ready) for numbers, port, ready in said]
        mine = hand_made(*(subset(*found, port=port) if ready else subset(rest=found, port=port) for found, port, ready in ips if found))
        existing = carried_out(existing, plan(mine, existing), made_before)
        found = sorted((e.addresses[0], s.ports[0].port, e.conditions.ready) for s in existing for e in s.endpoints)
        assert found == sorted((ip, port, ready) for ips_, port, ready in ips for ip in ips_)
        assert plan(mine, existing).actions == ()


def test_an_ending_endpoints_object_gets_no_new_slice():
    assert plan(hand_made(subset("10.9.9.9"), deletionTimestamp="2026-01-01T00:00:00Z")).actions == ()
