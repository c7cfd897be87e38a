"""Tables and laws of EndpointSlices, Endpoints and mirroring."""
import msgspec
from hypothesis import given
from hypothesis import strategies as st

from kubelet_lite.api.core_v1 import (
    Container,
    ContainerPort,
    EndpointAddress,
    EndpointPort,
    Endpoints,
    EndpointSubset,
    Pod,
    PodCondition,
    PodIP,
    PodSpec,
    PodStatus,
    Service,
    ServicePort,
    ServiceSpec,
)
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.controllers.base import Create, Delete, Update
from kubelet_lite.controllers.endpoints import endpoints, mirroring, slices

SERVICE = Service(
    metadata=ObjectMeta(name="web", namespace="ns", uid="s", creationTimestamp="2026-01-01T00:00:00Z"),
    spec=ServiceSpec(selector={"app": "web"}, clusterIP="10.96.0.1", ipFamilies=("IPv4",), ports=(ServicePort(name="http", port=80, targetPort="web", protocol="TCP"),)),
)


def pod(number, ready=True, deleted=False, port=8080):
    meta = ObjectMeta(name=f"p{number}", namespace="ns", uid=f"u{number}", labels={"app": "web"}, deletionTimestamp="2026-01-02T00:00:00Z" if deleted else None)
    condition = PodCondition(type="Ready", status="True" if ready else "False", lastTransitionTime="2026-01-01T00:00:09Z")
    address = f"10.0.{number // 250}.{number % 250 + 1}"
    container = Container(name="c", ports=(ContainerPort(name="web", containerPort=port),))
    return Pod(
        metadata=meta, spec=PodSpec(nodeName="n", containers=(container,)),
        status=PodStatus(phase="Running", podIP=address, podIPs=(PodIP(ip=address),), conditions=(condition,)),
    )


def carried_out(existing, plan, counter):
    """The slices after a plan."""
    found = {s.metadata.name: s for s in existing}
    for action in plan.actions:
        if isinstance(action, Create):
            counter.append(0)
            name = f"web-{len(counter)}"
            found[name] = msgspec.structs.replace(action.object, metadata=msgspec.structs.replace(action.object.metadata, name=name))
        elif isinstance(action, Update):
            found[action.object.metadata.name] = action.object
        elif isinstance(action, Delete):
            del found[action.object.metadata.name]
    return tuple(found.values())


def view(pods, existing=(), service=SERVICE):
    return slices.View(service, tuple(pods), tuple(existing), {"n": "zone-1"})


def test_a_pod_becomes_an_endpoint_with_its_named_port_node_and_zone():
    (create,) = slices.plan(view([pod(0)])).actions
    (endpoint,) = create.object.endpoints
    assert (endpoint.addresses, endpoint.nodeName, endpoint.zone, endpoint.targetRef.name) == (("10.0.0.1",), "n", "zone-1", "p0")
    assert (create.object.ports[0].name, create.object.ports[0].port) == ("http", 8080)
    assert create.object.metadata.annotations == {"endpoints.kubernetes.io/last-change-trigger-time": "2026-01-01T00:00:00Z"}


def test_conditions_follow_readiness_and_termination():
    (create,) = slices.plan(view([pod(0, ready=False), pod(1, deleted=True)])).actions
    assert [(e.conditions.ready, e.conditions.serving, e.conditions.terminating) for e in create.object.endpoints] == [
        (False, False, False), (False, True, True),
    ]


def test_pods_with_different_numbers_of_a_named_port_stand_in_different_slices():
    assert len(slices.plan(view([pod(0), pod(1, port=9090)])).actions) == 2


def test_a_service_without_endpoints_keeps_one_empty_slice():
    (create,) = slices.plan(view([])).actions
    assert (create.object.endpoints, tuple(create.object.ports)) == ((), ())
    made = carried_out((), slices.plan(view([pod(0)])), [])
    assert [type(a) for a in slices.plan(view([], made)).actions] == [Update]


PODS = st.lists(st.tuples(st.integers(0, 400), st.booleans(), st.booleans()), unique_by=lambda p: p[0], max_size=300)


@given(st.lists(PODS, min_size=1, max_size=4))
def test_endpoints_are_the_selected_pods_in_slices_of_at_most_a_hundred_and_then_nothing_is_to_be_done(story):
    existing, counter = (), []
    for states in story:
        pods = [pod(number, ready, deleted) for number, ready, deleted in states]
        existing = carried_out(existing, slices.plan(view(pods, existing)), counter)
        assert all(len(s.endpoints) <= 100 for s in existing)
        found = {e.addresses[0]: e.conditions for s in existing for e in s.endpoints}
        assert found.keys() == {p.status.podIP for p in pods}
        assert sum(len(s.endpoints) for s in existing) == len(pods)
        assert all(found[p.status.podIP].ready == (ready and not deleted) for p, (_, ready, deleted) in zip(pods, states, strict=True))
        assert slices.plan(view(pods, existing)).actions == ()


@given(PODS, PODS)
def test_the_older_form_settles_too(before, after):
    current = None
    for states in (before, after):
        pods = tuple(pod(number, ready) for number, ready, _ in states)
        plan = endpoints.plan(endpoints.View(SERVICE, pods, current))
        current = plan.actions[0].object if plan.actions else current
        listed = {a.ip for s in current.subsets for a in s.addresses}
        assert listed == {p.status.podIP for p, (_, ready, _) in zip(pods, states, strict=True) if ready}
        assert endpoints.plan(endpoints.View(SERVICE, pods, current)).actions == ()


def test_over_a_thousand_addresses_are_cut_and_said():
    plan = endpoints.plan(endpoints.View(SERVICE, tuple(pod(n) for n in range(1001)), None))
    assert len(plan.actions[0].object.subsets[0].addresses) == 1000
    assert plan.actions[0].object.metadata.annotations["endpoints.kubernetes.io/over-capacity"] == "truncated"


def test_endpoints_of_a_service_that_is_gone_go():
    made = endpoints.plan(endpoints.View(SERVICE, (pod(0),), None)).actions[0].object
    assert isinstance(endpoints.plan(endpoints.View(None, (), made)).actions[0], Delete)


def test_endpoints_made_by_hand_are_mirrored_unless_they_ask_not_to_be():
    bare = msgspec.structs.replace(SERVICE, spec=ServiceSpec(ports=(ServicePort(port=80),)))
    subset = EndpointSubset(addresses=(EndpointAddress(ip="10.9.9.9"),), notReadyAddresses=(EndpointAddress(ip="10.9.9.8"),), ports=(EndpointPort(port=80),))
    mine = Endpoints(metadata=ObjectMeta(name="web", namespace="ns", uid="e"), subsets=(subset,))
    (create,) = mirroring.plan(mirroring.View(mine, bare, ())).actions
    assert [(e.addresses[0], e.conditions.ready) for e in create.object.endpoints] == [("10.9.9.9", True), ("10.9.9.8", False)]
    skipped = msgspec.structs.replace(mine, metadata=msgspec.structs.replace(mine.metadata, labels={"endpointslice.kubernetes.io/skip-mirror": "true"}))
    assert mirroring.plan(mirroring.View(skipped, bare, ())).actions == ()
    assert isinstance(mirroring.plan(mirroring.View(None, bare, (create.object,))).actions[0], Delete)
