"""Empty lists in fields that are always written become null, as in Kubernetes' store."""
from __future__ import annotations

from kubelet_lite.api._generated.base import NIL
from kubelet_lite.api.core_v1 import Container, Pod, PodSpec, ResourceQuota
from kubelet_lite.api.empty_lists import without_empty_lists
from kubelet_lite.api.encoding import to_json
from kubelet_lite.api.networking_v1 import NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicySpec
from kubelet_lite.api.rbac_v1 import ClusterRole, PolicyRule


def test_an_empty_list_that_is_always_written_becomes_null() -> None:
    assert to_json(ClusterRole(rules=()))["rules"] == []
    assert to_json(without_empty_lists(ClusterRole(rules=())))["rules"] is None


def test_so_it_does_inside_of_lists() -> None:
    role = without_empty_lists(ClusterRole(rules=(PolicyRule(verbs=("get",)), PolicyRule(verbs=()))))
    assert [rule.verbs for rule in role.rules] == [("get",), ()]
    assert role.rules[1].verbs is NIL


def test_an_object_without_such_lists_stays_the_same_object() -> None:
    pod = Pod(spec=PodSpec(containers=(Container(name="a"),)))
    assert without_empty_lists(pod) is pod
    role = ClusterRole(rules=(PolicyRule(verbs=("get",)),))
    assert without_empty_lists(role) is role
    quota = ResourceQuota()
    assert without_empty_lists(quota) is quota


def test_other_empty_lists_are_left_alone() -> None:
    policy = NetworkPolicy(spec=NetworkPolicySpec(ingress=(NetworkPolicyIngressRule(from_=()),)))
    assert without_empty_lists(policy) is policy
