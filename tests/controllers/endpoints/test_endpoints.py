"""Tables and laws of Endpoints."""
import msgspec
from hypothesis import given
from hypothesis import strategies as st

from kubelet_lite.api.core_v1 import ServicePort
from kubelet_lite.controllers.base import Create, Delete, Update
from kubelet_lite.controllers.endpoints import endpoints
from kubelet_lite.controllers.endpoints.subsets import cut, subsets
from tests.controllers.endpoints.objects import TRIGGER, kinds, pod, replace, service

METRICS = ServicePort(name="metrics", port=9100, targetPort="metrics", protocol="TCP")
HTTP = ServicePort(name="http", port=80, targetPort="web", protocol="TCP")


def made(pods, of=None, trigger=""):
    (create,) = endpoints.plan(endpoints.View(of or service(), tuple(pods), None, trigger)).actions
    assert isinstance(create, Create)
    return create.object


def shown(found):
    return [([a.targetRef.name for a in s.addresses], [a.targetRef.name for a in s.notReadyAddresses], [p.name for p in s.ports]) for s in found]


def test_each_port_stands_once_with_all_that_offer_it():
    both, one = pod(0, ports={"web": 8080, "metrics": 9100}), pod(1)
    assert shown(subsets(service(HTTP, METRICS), [both, one])) == [(["p0", "p1"], [], ["http"]), (["p0"], [], ["metrics"])]
    (together,) = subsets(service(HTTP, METRICS), [both])
    assert {p.name for p in together.ports} == {"http", "metrics"}


def test_a_pod_without_the_named_port_offers_nothing():
    assert subsets(service(), [pod(0, ports={"other": 1})]) == ()


def test_addresses_are_ready_or_not_and_all_of_them_where_the_service_publishes_them():
    pods = [pod(0), pod(1, ready=False)]
    assert shown(subsets(service(), pods)) == [(["p0"], ["p1"], ["http"])]
    assert shown(subsets(service(publishNotReadyAddresses=True), pods)) == [(["p0", "p1"], [], ["http"])]


def test_a_headless_service_needs_no_ports():
    headless = service(clusterIP="None")
    headless = replace(headless, spec=replace(headless.spec, ports=()))
    assert shown(subsets(headless, [pod(0)])) == [(["p0"], [], [])]
    assert made([pod(0)], headless).metadata.labels["service.kubernetes.io/headless"] == ""
    assert subsets(replace(headless, spec=replace(headless.spec, clusterIP="10.96.0.1")), [pod(0)]) == ()


def test_two_pods_of_one_address_stand_beside_each_other():
    assert shown(subsets(service(), [pod(1, address="10.1.1.1"), pod(0, address="10.1.1.1")])) == [(["p0", "p1"], [], ["http"])]


def test_over_a_thousand_addresses_are_cut_and_said():
    full = made(pod(n) for n in range(1001))
    assert len(full.subsets[0].addresses) == 1000
    assert full.metadata.annotations["endpoints.kubernetes.io/over-capacity"] == "truncated"
    again = endpoints.plan(endpoints.View(service(), tuple(pod(n) for n in range(1001)), full))
    assert again.actions == ()
    (update,) = endpoints.plan(endpoints.View(service(), (pod(0),), full)).actions
    assert "endpoints.kubernetes.io/over-capacity" not in update.object.metadata.annotations


def test_ready_addresses_go_before_others_and_each_subset_keeps_its_share():
    offer = service(HTTP, METRICS)
    pods = [pod(n, ready=n % 2 == 0, ports={"web": 8080} if n < 900 else {"metrics": 9100}) for n in range(1200)]
    found, over = cut(subsets(offer, pods))
    assert over
    assert sorted((len(s.addresses), len(s.notReadyAddresses)) for s in found) == [(150, 100), (450, 300)]
    found, over = cut(subsets(offer, [pod(n, ports={"web": 8080} if n < 900 else {"metrics": 9100}) for n in range(1200)]))
    assert sorted((len(s.addresses), len(s.notReadyAddresses)) for s in found) == [(250, 0), (750, 0)]


def test_endpoints_of_a_service_that_is_gone_go_whoever_made_them():
    mine = made([pod(0)])
    theirs = replace(mine, metadata=replace(mine.metadata, labels={}))
    for left in (mine, theirs):
        assert kinds(endpoints.plan(endpoints.View(None, (), left))) == ["Delete"]
    assert isinstance(endpoints.plan(endpoints.View(None, (), mine)).actions[0], Delete)


def test_the_trigger_is_written_with_a_change_and_is_no_reason_for_one():
    first = made([pod(0)], trigger="2026-01-01T00:00:00Z")
    assert first.metadata.annotations == {TRIGGER: "2026-01-01T00:00:00Z"}
    assert endpoints.plan(endpoints.View(service(), (pod(0),), first, "2026-01-01T00:05:00Z")).actions == ()
    (update,) = endpoints.plan(endpoints.View(service(), (pod(0), pod(1)), first, "2026-01-01T00:06:00Z")).actions
    assert isinstance(update, Update)
    assert update.object.metadata.annotations == {TRIGGER: "2026-01-01T00:06:00Z"}
    (update,) = endpoints.plan(endpoints.View(service(), (), first)).actions
    assert update.object.metadata.annotations == {}


STATES = st.lists(st.tuples(st.integers(0, 60), st.booleans(), st.sampled_from([("web",), ("metrics",), ("web", "metrics"), ()])), unique_by=lambda s: s[0], max_size=60)


@given(STATES, STATES)
def test_every_address_stands_under_exactly_the_ports_that_it_offers(before, after):
    offer, current = service(HTTP, METRICS), None
    numbers = {"web": 8080, "metrics": 9100}
    for states in (before, after):
        pods = tuple(pod(number, ready, ports={name: numbers[name] for name in names} or {"x": 1}) for number, ready, names in states)
        plan = endpoints.plan(endpoints.View(offer, pods, current))
        current = plan.actions[0].object if plan.actions else current
        found = [
            (address.ip, ready, port.port) for s in current.subsets for ready, addresses in ((True, s.addresses), (False, s.notReadyAddresses))
            for address in addresses for port in s.ports
        ]
        assert sorted(found) == sorted((p.status.podIP, ready, numbers[name]) for p, (_, ready, names) in zip(pods, states, strict=True) for name in names)
        ports = [port for s in current.subsets for port in s.ports]
        assert len(ports) == len({msgspec.json.encode(port) for port in ports})
        assert endpoints.plan(endpoints.View(offer, pods, current)).actions == ()
