from kubelet_lite.api.core_v1 import Namespace
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.controllers import root_ca, serviceaccount
from kubelet_lite.controllers.namespace import Remaining, conditions, contents

NOW = 1_800_000_000.0


def test_conditions_say_what_is_left():
    found = {c.type: c for c in conditions((), Remaining({"pods.": 2}, {"example.com/f": 1}), (), NOW)}
    assert found["NamespaceContentRemaining"].message == "Some resources are remaining: pods. has 2 resource instances"
    assert found["NamespaceFinalizersRemaining"].message == "Some content in the namespace has finalizers remaining: example.com/f in 1 resource instances"
    assert found["NamespaceDeletionContentFailure"].status == "False"


def test_transition_times_move_with_the_status_alone():
    first = conditions((), Remaining({"pods.": 2}, {}), (), NOW)
    second = conditions(first, Remaining({"pods.": 1}, {}), (), NOW + 60)
    assert [c.lastTransitionTime for c in first] == [c.lastTransitionTime for c in second]
    third = conditions(second, Remaining({}, {}), (), NOW + 120)
    assert [c.type for old, c in zip(second, third, strict=True) if old.lastTransitionTime != c.lastTransitionTime] == ["NamespaceContentRemaining"]


def test_pods_go_first_and_each_stored_kind_once():
    names = [resource.qualified for resource in contents()]
    assert names[0] == "pods"
    assert len(names) == len(set(names))
    assert "events.events.k8s.io" not in names


def namespace(**meta):
    return Namespace(metadata=ObjectMeta(name="ns", **meta))


def test_every_living_namespace_has_its_account_and_certificate():
    assert serviceaccount.plan(serviceaccount.View(namespace(), False)).actions[0].object.metadata.name == "default"
    assert serviceaccount.plan(serviceaccount.View(namespace(), True)).actions == ()
    ending = namespace(deletionTimestamp="2026-01-01T00:00:00Z")
    assert serviceaccount.plan(serviceaccount.View(ending, False)).actions == ()
    made = root_ca.plan(root_ca.View(namespace(), None, "PEM")).actions[0].object
    assert made.data == {"ca.crt": "PEM"}
    assert root_ca.plan(root_ca.View(namespace(), made, "PEM")).actions == ()
    assert root_ca.plan(root_ca.View(namespace(), made, "NEW")).actions[0].change["data"] == {"ca.crt": "NEW"}
    assert root_ca.plan(root_ca.View(ending, None, "PEM")).actions == ()
