import pytest

from kubelet_lite.api import identity
from kubelet_lite.registry.authorization.attributes import Attributes
from kubelet_lite.registry.authorization.node import NodeAuthorizer
from tests.registry.authorization.objects import Objects, made, pod

KUBELET = identity.node("n1")
VIEW = Objects(
    pod("mine", nodeName="n1", volumes=[{"name": "v", "secret": {"secretName": "s"}}], serviceAccountName="sa"),
    pod("other", nodeName="n2", volumes=[{"name": "v", "secret": {"secretName": "t"}}]),
    made({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "system:node"},
        "rules": [{"verbs": ["list"], "apiGroups": [""], "resources": ["services"]}],
    }),
)


def ask(verb, resource, group="", namespace="default", **more):
    return NodeAuthorizer(VIEW).authorize(KUBELET, Attributes(verb=verb, group=group, resource=resource, namespace=namespace, **more))


@pytest.mark.parametrize(("verb", "resource", "more", "allowed"), [
    ("get", "secrets", {"name": "s"}, True),
    ("get", "secrets", {"name": "t"}, False),
    ("list", "secrets", {}, False),
    ("create", "serviceaccounts", {"name": "sa", "subresource": "token"}, True),
    ("create", "serviceaccounts", {"name": "default", "subresource": "token"}, False),
    ("get", "nodes", {"name": "n1", "namespace": ""}, True),
    ("get", "nodes", {"name": "n2", "namespace": ""}, False),
    ("list", "pods", {"field_selector": "spec.nodeName=n1"}, True),
    ("list", "pods", {}, False),
    ("get", "pods", {"name": "other"}, False),
    ("list", "services", {}, True),
    ("delete", "services", {}, False),
])
def test_a_kubelet_reads_what_its_pods_need(verb, resource, more, allowed):
    assert ask(verb, resource, **more).allowed is allowed


def test_the_denial_says_that_nothing_links_node_and_object():
    assert ask("get", "secrets", name="t").reason == "no relationship found between node 'n1' and this object"


def test_a_lease_is_the_nodes_own():
    lease = {"group": "coordination.k8s.io", "namespace": "kube-node-lease"}
    assert ask("update", "leases", name="n1", **lease).allowed
    assert not ask("update", "leases", name="n2", **lease).allowed
    assert not ask("update", "leases", group="coordination.k8s.io", name="n1").allowed
