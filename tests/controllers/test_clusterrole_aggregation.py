from kubelet_lite.api.meta_v1 import LabelSelector, ObjectMeta
from kubelet_lite.api.rbac_v1 import AggregationRule, ClusterRole, PolicyRule
from kubelet_lite.controllers.clusterrole_aggregation import View, aggregated, plan

READ = PolicyRule(apiGroups=("",), resources=("pods",), verbs=("get",))
WRITE = PolicyRule(apiGroups=("",), resources=("pods",), verbs=("create",))


def part(name, *rules):
    return ClusterRole(metadata=ObjectMeta(name=name, labels={"to-view": "true"}), rules=rules)


def gathering(*rules):
    rule = AggregationRule(clusterRoleSelectors=(LabelSelector(matchLabels={"to-view": "true"}),))
    return ClusterRole(metadata=ObjectMeta(name="view", labels={"to-view": "true"}), rules=rules, aggregationRule=rule)


def test_the_rules_of_all_selected_roles_each_once_and_not_its_own():
    view = gathering(WRITE)
    assert aggregated(view, (part("a", READ), part("b", READ), view)) == (READ,)


def test_what_is_as_it_should_be_stays():
    assert plan(View(gathering(READ), (part("a", READ),))).actions == ()
    assert plan(View(gathering(WRITE), (part("a", READ),))).actions[0].change["rules"][0]["verbs"] == ["get"]
