"""Tables and laws of EndpointSlices."""
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelet_lite.api.core_v1 import ServicePort
from kubelet_lite.controllers.base import Create, Delete, Record, Update
from kubelet_lite.controllers.endpoints import slices
from tests.controllers.endpoints.objects import TRIGGER, carried_out, kinds, pod, replace, service, view


def test_a_pod_becomes_an_endpoint_with_its_named_port_node_and_zone():
    (create,) = slices.plan(view([pod(0)], trigger="2026-01-01T00:00:00Z")).actions
    (endpoint,) = create.object.endpoints
    assert (endpoint.addresses, endpoint.nodeName, endpoint.zone, endpoint.targetRef.name) == (("10.0.0.1",), "n", "zone-1", "p0")
    assert (create.object.ports[0].name, create.object.ports[0].port) == ("http", 8080)
    assert create.object.metadata.annotations == {TRIGGER: "2026-01-01T00:00:00Z"}
    assert create.object.metadata.labels == {
        "kubernetes.io/service-name": "web", "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
    }


@pytest.mark.parametrize(
    ("ready", "deleted", "published", "conditions"),
    [
        (True, False, False, (True, True, False)), (False, False, False, (False, False, False)), (True, True, False, (False, True, True)),
        (False, True, False, (False, False, True)), (False, False, True, (True, False, False)), (True, True, True, (True, True, True)),
    ],
)
def test_conditions_follow_readiness_and_termination(ready, deleted, published, conditions):
    (create,) = slices.plan(view([pod(0, ready, deleted)], of=service(publishNotReadyAddresses=published))).actions
    found = create.object.endpoints[0].conditions
    assert (found.ready, found.serving, found.terminating) == conditions


def test_pods_with_different_numbers_of_a_named_port_stand_in_different_slices():
    assert kinds(slices.plan(view([pod(0), pod(1, ports={"web": 9090})]))) == ["Create", "Create"]


def test_the_slices_of_a_headless_service_say_so_and_need_no_ports():
    headless = service(clusterIP="None", labels={"team": "a", "kubernetes.io/service-name": "liar"})
    (create,) = slices.plan(view([pod(0, hostname="db-0", subdomain="web")], of=replace(headless, spec=replace(headless.spec, ports=())))).actions
    assert create.object.metadata.labels["service.kubernetes.io/headless"] == ""
    assert (create.object.metadata.labels["team"], create.object.metadata.labels["kubernetes.io/service-name"]) == ("a", "web")
    assert create.object.endpoints[0].hostname == "db-0"
    assert not create.object.ports


def test_a_service_without_endpoints_keeps_one_empty_slice():
    (create,) = slices.plan(view([])).actions
    assert (create.object.endpoints, tuple(create.object.ports)) == ((), ())
    made = carried_out((), slices.plan(view([pod(0)])), [])
    emptied = slices.plan(view([], made))
    assert kinds(emptied) == ["Update"]
    assert slices.plan(view([], carried_out(made, emptied, []))).actions == ()


def test_a_slice_that_nobody_needs_becomes_the_one_that_is_to_be_made():
    made = carried_out((), slices.plan(view([pod(0), pod(1)])), [])
    moved = service(ServicePort(name="http", port=80, targetPort=9090, protocol="TCP"))
    (update,) = slices.plan(view([pod(0), pod(1)], made, of=moved, trigger="")).actions
    assert isinstance(update, Update)
    assert (update.object.metadata.name, update.object.ports[0].port, len(update.object.endpoints)) == ("web-1", 9090, 2)


def test_what_somebody_changes_in_a_slice_is_put_right():
    (made,) = carried_out((), slices.plan(view([pod(0)], trigger="2026-01-01T00:00:00Z")), [])
    for spoilt in (
        replace(made, endpoints=()), replace(made, endpoints=(replace(made.endpoints[0], zone="else"),)),
        replace(made, metadata=replace(made.metadata, labels={**made.metadata.labels, "x": "y"})),
    ):
        plan = slices.plan(view([pod(0)], [spoilt]))
        assert kinds(plan) == ["Update"]
        (mended,) = carried_out([spoilt], plan, [])
        assert (mended.endpoints, mended.metadata.labels) == (made.endpoints, made.metadata.labels)
    annotated = replace(made, metadata=replace(made.metadata, annotations={"mine": "x"}))
    assert slices.plan(view([pod(0)], [annotated])).actions == ()


def test_a_slice_of_an_older_service_of_the_same_name_is_replaced():
    made = carried_out((), slices.plan(view([pod(0)])), [])
    plan = slices.plan(view([pod(0)], made, of=service(uid="newer")))
    assert kinds(plan) == ["Create", "Delete"]


def test_nothing_is_made_for_a_service_that_is_being_deleted():
    ending = service()
    ending = replace(ending, metadata=replace(ending.metadata, deletionTimestamp="2026-01-02T00:00:00Z"))
    assert slices.plan(view([pod(0)], of=ending)).actions == ()
    made = carried_out((), slices.plan(view([pod(0), pod(1)])), [])
    assert kinds(slices.plan(view([pod(0)], made, of=ending))) == ["Update"]


def test_slices_of_a_family_that_the_service_no_longer_has_go():
    both = service(ipFamilies=("IPv4", "IPv6"))
    made = carried_out((), slices.plan(view([pod(0)], of=both)), [])
    assert sorted(s.addressType for s in made) == ["IPv4", "IPv6"]
    (delete,) = slices.plan(view([pod(0)], made)).actions
    assert isinstance(delete, Delete)
    assert delete.object.addressType == "IPv6"


def test_a_pod_whose_node_is_not_known_waits_for_it_unless_it_is_published_anyway():
    lost = pod(1, node="lost")
    create, record = slices.plan(view([pod(0), lost])).actions
    assert isinstance(create, Create)
    assert [e.targetRef.name for e in create.object.endpoints] == ["p0"]
    assert record == Record(
        service(), "Warning", "FailedToUpdateEndpointSlices",
        "Error updating Endpoint Slices for Service ns/web: skipping Pod p1 for Service ns/web: Node lost Not Found",
    )
    (create,) = slices.plan(view([lost], of=service(publishNotReadyAddresses=True))).actions
    assert len(create.object.endpoints) == 1


@pytest.mark.parametrize(
    ("distribution", "annotations", "node", "ready", "zones", "nodes"),
    [
        (None, {}, "n", True, None, None), ("PreferClose", {}, "n", True, ["zone-1"], []), ("PreferSameZone", {}, "n", True, ["zone-1"], []),
        ("PreferSameNode", {}, "n", True, ["zone-1"], ["n"]), ("PreferSameNode", {}, "bare", True, [], ["bare"]), ("PreferSameZone", {}, "bare", True, None, None),
        ("PreferClose", {}, "n", False, None, None), ("PreferClose", {"service.kubernetes.io/topology-mode": "Auto"}, "n", True, None, None),
        ("PreferClose", {"service.kubernetes.io/topology-mode": "Disabled"}, "n", True, ["zone-1"], []),
    ],
)
def test_hints_say_for_whom_a_ready_endpoint_is_meant_where_the_service_asks(distribution, annotations, node, ready, zones, nodes):
    asking = service(trafficDistribution=distribution)
    asking = replace(asking, metadata=replace(asking.metadata, annotations=annotations))
    (create,) = slices.plan(view([pod(0, ready, node=node)], of=asking)).actions
    hints = create.object.endpoints[0].hints
    assert (hints is None) == (zones is None)
    if hints is not None:
        assert ([z.name for z in hints.forZones], [n.name for n in hints.forNodes]) == (zones, nodes)


def numbers(made):
    return sorted(len(s.endpoints) for s in made)


def test_new_endpoints_go_into_one_slice_that_has_room_for_all_or_into_new_ones():
    made_before = []
    made = carried_out((), slices.plan(view(pod(n) for n in range(160))), made_before)
    assert numbers(made) == [60, 100]
    grown = slices.plan(view((pod(n) for n in range(190)), made))
    assert kinds(grown) == ["Update"]
    assert numbers(carried_out(made, grown, made_before)) == [90, 100]
    much = slices.plan(view((pod(n) for n in range(320)), made))
    assert sorted(kinds(much)) == ["Create", "Create"]
    assert numbers(carried_out(made, much, made_before)) == [60, 60, 100, 100]


def test_slices_that_change_anyway_are_filled_first():
    made_before = []
    made = carried_out((), slices.plan(view(pod(n) for n in range(200))), made_before)
    swapped = slices.plan(view((pod(n) for n in range(1, 201)), made))
    assert kinds(swapped) == ["Update"]
    assert numbers(carried_out(made, swapped, made_before)) == [100, 100]


PODS = st.lists(
    st.tuples(st.integers(0, 400), st.booleans(), st.booleans(), st.sampled_from([8080, 9090])), unique_by=lambda p: p[0], max_size=300,
)


@given(st.lists(PODS, min_size=1, max_size=4), st.booleans())
def test_endpoints_are_the_selected_pods_in_slices_of_at_most_a_hundred_and_then_nothing_is_to_be_done(story, published):
    existing, made_before = (), []
    of = service(publishNotReadyAddresses=published)
    for states in story:
        pods = [pod(number, ready, deleted, ports={"web": port}) for number, ready, deleted, port in states]
        existing = carried_out(existing, slices.plan(view(pods, existing, of)), made_before)
        assert all(len(s.endpoints) <= 100 for s in existing)
        assert sum(len(s.endpoints) for s in existing) == len(pods)
        found = {e.addresses[0]: (e.conditions.ready, s.ports[0].port) for s in existing for e in s.endpoints}
        assert found == {
            p.status.podIP: (published or (ready and not deleted), port) for p, (_, ready, deleted, port) in zip(pods, states, strict=True)
        }
        assert existing
        assert slices.plan(view(pods, existing, of)).actions == ()


@given(PODS, PODS)
def test_endpoints_that_stay_stay_in_their_slice(before, after):
    first = [pod(number, ready) for number, ready, *_ in before]
    made_before = []
    made = carried_out((), slices.plan(view(first)), made_before)
    second = [pod(number, ready) for number, ready, *_ in after]
    then = carried_out(made, slices.plan(view(second, made)), made_before)
    at = {e.addresses: s.metadata.name for s in made for e in s.endpoints}
    assert all(at[e.addresses] == s.metadata.name for s in then for e in s.endpoints if e.addresses in at)
