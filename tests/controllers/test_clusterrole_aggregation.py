import msgspec

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


def test_a_role_that_gathers_itself_counts_with_the_rules_that_it_will_have():
    rule = AggregationRule(clusterRoleSelectors=(LabelSelector(matchLabels={"to-edit": "true"}),))
    edit = ClusterRole(metadata=ObjectMeta(name="edit"), aggregationRule=rule)
    view = gathering()
    view = msgspec.structs.replace(view, metadata=msgspec.structs.replace(view.metadata, labels={"to-edit": "true"}))
    assert aggregated(edit, (part("a", READ), view)) == (READ,)


def test_roles_that_gather_each_other_keep_what_they_have():
    def ring(name, selects, *rules):
        rule = AggregationRule(clusterRoleSelectors=(LabelSelector(matchLabels={"name": selects}),))
        return ClusterRole(metadata=ObjectMeta(name=name, labels={"name": name}), rules=rules, aggregationRule=rule)

    one, two = ring("one", "two", WRITE), ring("two", "one", WRITE)
    assert aggregated(one, (one, two)) == aggregated(two, (one, two)) == (WRITE,)


def test_what_is_as_it_should_be_stays():
    assert plan(View(gathering(READ), (part("a", READ),))).actions == ()
    assert plan(View(gathering(WRITE), (part("a", READ),))).actions[0].object.rules == (READ,)
