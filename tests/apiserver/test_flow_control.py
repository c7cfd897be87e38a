import pytest

from kubelet_lite.api import identity
from kubelet_lite.apiserver.flow_control import FlowControl
from kubelet_lite.registry.authorization.attributes import Attributes


@pytest.mark.parametrize(("who", "attributes", "schema"), [
    (identity.ADMIN, Attributes(verb="list", resource="pods", version="v1"), "exempt"),
    (identity.node("n1"), Attributes(verb="list", resource="pods", version="v1"), "system-nodes"),
    (identity.node("n1"), Attributes(verb="update", group="coordination.k8s.io", resource="leases", namespace="kube-node-lease"), "system-node-high"),
    (identity.component("kube-scheduler"), Attributes(verb="list", resource="pods", version="v1"), "kube-scheduler"),
    (identity.service_account("default", "sa"), Attributes(verb="list", resource="pods", version="v1"), "service-accounts"),
    (identity.ANONYMOUS, Attributes(verb="get", path="/healthz"), "probes"),
    (identity.Identity(name="jane", groups=("system:authenticated",)), Attributes(verb="get", path="/api"), "global-default"),
])
async def test_who_falls_under_which_schema(http, who, attributes, schema):
    view = http.served.registry.view
    found = view.get("flowschemas.flowcontrol.apiserver.k8s.io", "", schema)
    assert found.metadata.uid.encode() in FlowControl(view).headers(who, attributes)
