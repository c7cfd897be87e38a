import pytest

from kubelet_lite.api.resources import find
from kubelet_lite.apiserver.request_info import request_info


def attributes(method, target):
    path, _, query = target.partition("?")
    found = request_info(method, path, find).asked(query).attributes
    return {name: getattr(found, name) for name in found.__struct_fields__ if getattr(found, name)}


@pytest.mark.parametrize(("method", "target", "wanted"), [
    ("GET", "/api/v1/namespaces/n/pods", {"verb": "list", "version": "v1", "resource": "pods", "namespace": "n"}),
    ("GET", "/api/v1/namespaces/n/pods?watch=true", {"verb": "watch", "version": "v1", "resource": "pods", "namespace": "n"}),
    ("GET", "/api/v1/watch/namespaces/n/pods", {"verb": "watch", "version": "v1", "resource": "pods", "namespace": "n"}),
    ("GET", "/api/v1/namespaces/n", {"verb": "get", "version": "v1", "resource": "namespaces", "namespace": "n", "name": "n"}),
    ("PUT", "/api/v1/namespaces/n/status", {
        "verb": "update", "version": "v1", "resource": "namespaces", "namespace": "n", "name": "n", "subresource": "status",
    }),
    ("DELETE", "/apis/apps/v1/namespaces/n/deployments", {
        "verb": "deletecollection", "group": "apps", "version": "v1", "resource": "deployments", "namespace": "n",
    }),
    ("GET", "/api/v1/nodes?fieldSelector=metadata.name=x", {
        "verb": "list", "version": "v1", "resource": "nodes", "name": "x", "field_selector": "metadata.name=x",
    }),
    ("GET", "/apis/nothing/v1/things/x", {"verb": "get", "group": "nothing", "version": "v1", "resource": "things", "name": "x"}),
    ("GET", "/apis/apps/v1", {"verb": "get", "path": "/apis/apps/v1"}),
    ("GET", "/healthz/ping", {"verb": "get", "path": "/healthz/ping"}),
    ("FOO", "/api/v1/pods", {"version": "v1", "resource": "pods"}),
])
def test_what_a_request_is_about(method, target, wanted):
    assert attributes(method, target) == wanted


@pytest.mark.parametrize(("method", "path", "verb"), [
    ("POST", "/api/v1/namespaces/n/pods", "create"), ("POST", "/api/v1/pods", ""), ("GET", "/api/v1/pods", "list"),
    ("POST", "/api/v1/namespaces/n/pods/p", ""), ("PATCH", "/api/v1/namespaces/n/pods/p/status", "patch"),
    ("DELETE", "/api/v1/namespaces", ""), ("GET", "/api/v1/namespaces/n/pods/p/exec", "get"), ("DELETE", "/api/v1/nodes/x", "delete"),
])
def test_which_verb_serves_it(method, path, verb):
    assert request_info(method, path, find).verb == verb
