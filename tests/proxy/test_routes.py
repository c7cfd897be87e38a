from hypothesis import given
from hypothesis import strategies as st

from kubelet_lite.api.core_v1 import ClientIPConfig, Service, ServicePort, ServiceSpec, SessionAffinityConfig
from kubelet_lite.api.discovery_v1 import Endpoint, EndpointConditions, EndpointPort, EndpointSlice
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.proxy.balancer import Balancer
from kubelet_lite.proxy.routes import Backend, Listen, Route, routes


def service(**spec):
    port = ServicePort(name="http", port=80, protocol="TCP", nodePort=spec.pop("node_port", 0))
    spec = {"clusterIP": "10.96.0.5", "clusterIPs": ("10.96.0.5",), "type": "ClusterIP", "ports": (port,), **spec}
    return Service(metadata=ObjectMeta(name="web", namespace="default"), spec=ServiceSpec(**spec))


def slice_of(*endpoints):
    return EndpointSlice(
        metadata=ObjectMeta(name="web-1", namespace="default", labels={"kubernetes.io/service-name": "web"}), addressType="IPv4",
        endpoints=endpoints, ports=(EndpointPort(name="http", port=8080, protocol="TCP"),),
    )


def endpoint(address, ready=True, serving=True, terminating=False):
    return Endpoint(addresses=(address,), conditions=EndpointConditions(ready=ready, serving=serving, terminating=terminating))


WEB = Listen("10.96.0.5", 80, "TCP")


def test_a_service_port_leads_to_its_ready_endpoints():
    found = routes([service()], [slice_of(endpoint("127.10.1.2"), endpoint("127.10.1.1"), endpoint("127.10.1.3", ready=False, serving=False))])
    assert found == {WEB: Route("default/web", (Backend("127.10.1.1", 8080), Backend("127.10.1.2", 8080)))}


def test_where_none_is_ready_those_that_serve_while_they_end_are_used():
    ending = endpoint("127.10.1.9", ready=False, terminating=True)
    assert routes([service()], [slice_of(ending)])[WEB].backends == (Backend("127.10.1.9", 8080),)
    assert routes([service()], [slice_of(ending, endpoint("127.10.1.1"))])[WEB].backends == (Backend("127.10.1.1", 8080),)


def test_headless_and_external_services_have_no_route_and_neither_have_those_without_endpoints():
    assert routes([service(clusterIP="None", clusterIPs=("None",))], [slice_of(endpoint("127.10.1.1"))]) == {}
    assert routes([service(type="ExternalName", clusterIP="", clusterIPs=())], [slice_of(endpoint("127.10.1.1"))]) == {}
    assert routes([service()], []) == {}


def test_node_ports_listen_on_every_node():
    found = routes([service(node_port=30080, type="NodePort")], [slice_of(endpoint("127.10.1.1"))], ["127.10.0.1"])
    assert set(found) == {WEB, Listen("127.10.0.1", 30080, "TCP")}


def test_session_affinity_keeps_a_client_at_its_backend():
    config = SessionAffinityConfig(clientIP=ClientIPConfig(timeoutSeconds=60))
    route = routes([service(sessionAffinity="ClientIP", sessionAffinityConfig=config)], [slice_of(endpoint("a"), endpoint("b"))])[WEB]
    balancer = Balancer(route)
    first = next(balancer.candidates("me", 0.0))
    balancer.chosen("me", first, 0.0)
    assert [next(balancer.candidates("me", 30.0)) for _ in range(4)] == [first] * 4
    assert next(balancer.candidates("me", 120.0)) in route.backends


@given(st.integers(1, 6), st.integers(0, 40))
def test_round_robin_gives_every_backend_its_turn(backends, requests):
    balancer = Balancer(Route("default/web", tuple(Backend(str(i), 1) for i in range(backends))))
    counts = dict.fromkeys(balancer.route.backends, 0)
    for _ in range(requests):
        counts[next(balancer.candidates("x", 0.0))] += 1
    assert max(counts.values()) - min(counts.values()) <= 1
