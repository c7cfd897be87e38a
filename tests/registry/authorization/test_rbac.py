import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelet_lite.api.errors import Forbidden
from kubelet_lite.api.identity import ADMIN, Identity, service_account
from kubelet_lite.api.rbac_v1 import PolicyRule
from kubelet_lite.registry.authorization import rbac
from kubelet_lite.registry.authorization.attributes import Attributes, forbidden
from kubelet_lite.registry.authorization.authorizer import ANY_NAME, ClusterAuthorizer
from tests.registry.authorization.objects import Objects, made

JANE = Identity(name="jane", groups=("dev", "system:authenticated"))
GROUP = "rbac.authorization.k8s.io"


def role(name, *rules, namespace=""):
    kind = "Role" if namespace else "ClusterRole"
    return made({"apiVersion": f"{GROUP}/v1", "kind": kind, "metadata": {"name": name, "namespace": namespace}, "rules": list(rules)})


def binding(name, role_name, *subjects, namespace="", role_kind=""):
    kind = "RoleBinding" if namespace else "ClusterRoleBinding"
    return made({
        "apiVersion": f"{GROUP}/v1", "kind": kind, "metadata": {"name": name, "namespace": namespace}, "subjects": list(subjects),
        "roleRef": {"apiGroup": GROUP, "kind": role_kind or ("Role" if namespace else "ClusterRole"), "name": role_name},
    })


USER = {"kind": "User", "name": "jane", "apiGroup": GROUP}
READ_PODS = {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]}


def get_pods(namespace="default", **more):
    return Attributes(verb="get", version="v1", resource="pods", namespace=namespace, **more)


def test_a_role_binding_holds_in_its_namespace_alone_and_says_why():
    authorizer = ClusterAuthorizer(Objects(role("reader", READ_PODS, namespace="default"), binding("b", "reader", USER, namespace="default")))
    decision = authorizer.authorize(JANE, get_pods())
    assert decision.allowed
    assert decision.reason == 'RBAC: allowed by RoleBinding "b/default" of Role "reader" to User "jane"'
    assert not authorizer.authorize(JANE, get_pods("other")).allowed


def test_a_change_of_roles_is_seen_at_once():
    view = Objects(binding("b", "reader", {"kind": "Group", "name": "dev"}))
    authorizer = ClusterAuthorizer(view)
    denied = authorizer.authorize(JANE, get_pods())
    assert (denied.allowed, denied.reason) == (False, f'RBAC: clusterrole.{GROUP} "reader" not found')
    view.put(role("reader", READ_PODS))
    assert authorizer.authorize(JANE, get_pods()).allowed


def test_what_is_allowed_whatever_the_name_is_remembered_once_and_what_is_allowed_by_name_holds_for_that_name():
    one = {"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["mine"]}
    authorizer = ClusterAuthorizer(Objects(role("reader", READ_PODS, one), binding("b", "reader", USER)))
    for number in range(20):
        authorizer.check(JANE, get_pods(name=f"pod-{number}"))
    assert len(authorizer._decisions) == 1
    authorizer.check(JANE, Attributes(verb="get", version="v1", resource="secrets", namespace="default", name="mine"))
    for other in ("others", ANY_NAME):
        with pytest.raises(Forbidden):
            authorizer.check(JANE, Attributes(verb="get", version="v1", resource="secrets", namespace="default", name=other))


def test_masters_may_everything_and_the_rest_nothing_that_is_not_granted():
    authorizer = ClusterAuthorizer(Objects())
    assert authorizer.authorize(ADMIN, get_pods()).allowed
    assert not authorizer.authorize(JANE, get_pods()).allowed


def test_a_service_account_is_a_subject_by_namespace_and_name():
    view = Objects(role("reader", READ_PODS), binding("b", "reader", {"kind": "ServiceAccount", "name": "sa", "namespace": "one"}))
    authorizer = ClusterAuthorizer(view)
    assert authorizer.authorize(service_account("one", "sa"), get_pods()).reason.endswith('to ServiceAccount "sa/one"')
    assert not authorizer.authorize(service_account("two", "sa"), get_pods()).allowed


@pytest.mark.parametrize(("rule", "attributes", "allowed"), [
    ({"resources": ["pods"]}, get_pods(), True),
    ({"resources": ["pods"]}, get_pods(subresource="log"), False),
    ({"resources": ["pods/log"]}, get_pods(subresource="log"), True),
    ({"resources": ["*/log"]}, get_pods(subresource="log"), True),
    ({"resources": ["*"]}, get_pods(subresource="log"), True),
    ({"resources": ["pods"], "resourceNames": ["a"]}, get_pods(name="a"), True),
    ({"resources": ["pods"], "resourceNames": ["a"]}, get_pods(), False),
    ({"resources": ["pods"], "apiGroups": ["apps"]}, get_pods(), False),
    ({"resources": ["pods"], "verbs": ["list"]}, get_pods(), False),
    ({"nonResourceURLs": ["/healthz/*"]}, Attributes(verb="get", path="/healthz/etcd"), True),
    ({"nonResourceURLs": ["/healthz"]}, Attributes(verb="get", path="/healthz/etcd"), False),
])
def test_what_a_rule_allows(rule, attributes, allowed):
    default = {"verbs": ["get"]} | ({} if "nonResourceURLs" in rule else {"apiGroups": [""]})
    rule = PolicyRule(**{key: tuple(value) for key, value in {**default, **rule}.items()})
    assert rbac.allows(rule, attributes) is allowed


NAMES = st.lists(st.sampled_from(["*", "a", "b", "a/s", "*/s"]), min_size=1, max_size=3).map(tuple)
RULES = st.builds(
    PolicyRule, verbs=NAMES, apiGroups=NAMES, resources=NAMES,
    resourceNames=st.lists(st.sampled_from(["a", "b"]), max_size=2).map(tuple),
)
REQUESTS = st.builds(
    Attributes, verb=st.sampled_from("ab"), group=st.sampled_from("ab"), resource=st.sampled_from("ab"),
    subresource=st.sampled_from(["", "s"]), name=st.sampled_from(["", "a", "b"]),
)


@given(st.lists(RULES, max_size=3), st.lists(RULES, max_size=3), REQUESTS)
def test_what_is_not_missing_allows_no_more_than_what_is_owned(owned, wanted, request):
    if not rbac.missing(owned, wanted) and any(rbac.allows(rule, request) for rule in wanted):
        assert any(rbac.allows(rule, request) for rule in owned)


@given(st.lists(RULES, max_size=4), REQUESTS)
def test_compacting_changes_nothing_that_is_allowed(rules, request):
    assert any(rbac.allows(rule, request) for rule in rules) == any(rbac.allows(rule, request) for rule in rbac.compact(rules))


def test_forbidden_is_said_as_kubernetes_says_it():
    error = forbidden(JANE, get_pods(name="web", subresource="log"))
    assert error.message == 'pods "web" is forbidden: User "jane" cannot get resource "pods/log" in API group "" in the namespace "default"'
    assert error.details == {"name": "web", "kind": "pods"}
    path = forbidden(JANE, Attributes(verb="get", path="/metrics"))
    assert path.message == 'forbidden: User "jane" cannot get path "/metrics"'
