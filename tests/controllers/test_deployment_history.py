"""Revisions: which ReplicaSet is which, and what its annotations keep."""
from __future__ import annotations

from msgspec.structs import replace

from kubelet_lite.controllers.deployment import history
from kubelet_lite.controllers.deployment.history import HISTORY, LONGEST_HISTORY, REVISION
from tests.controllers.objects import at, deployment, replica_set, template

DEPLOYMENT = deployment(annotations={
    "kubectl.kubernetes.io/last-applied-configuration": "{}", REVISION: "7", "kubernetes.io/change-cause": "because", "team": "a",
})


def test_a_new_set_takes_over_annotations_but_not_those_of_kubectl_and_of_revisions() -> None:
    assert history.new_annotations(DEPLOYMENT, {}, 3) == {"kubernetes.io/change-cause": "because", "team": "a", REVISION: "3"}


def test_a_set_that_becomes_the_newest_again_keeps_its_old_revisions() -> None:
    known = {"kubernetes.io/change-cause": "because", "team": "b", REVISION: "2"}
    assert history.new_annotations(DEPLOYMENT, known, 5) == {"team": "a", REVISION: "5", HISTORY: "2"}
    assert history.new_annotations(DEPLOYMENT, {**known, HISTORY: "1"}, 5)[HISTORY] == "1,2"


def test_a_revision_never_goes_back() -> None:
    known = {"kubernetes.io/change-cause": "because", "team": "a", REVISION: "9"}
    assert history.new_annotations(DEPLOYMENT, known, 9) == {}
    assert history.new_annotations(DEPLOYMENT, known, 3) == {}


def test_a_long_history_forgets_its_oldest_revisions() -> None:
    past = ",".join(["1234567"] * 250)
    assert len(past) == 1999
    text = history.new_annotations(DEPLOYMENT, {REVISION: "12", HISTORY: past}, 13)[HISTORY]
    assert len(text) <= LONGEST_HISTORY
    assert text.endswith("1234567,12")


def test_the_next_revision_follows_all_old_ones() -> None:
    sets = [replica_set("a", annotations={REVISION: "2"}), replica_set("b", annotations={REVISION: "11"}), replica_set("c"), replica_set("d", annotations={REVISION: "x"})]
    assert history.next_revision(sets) == 12
    assert history.next_revision([]) == 1


def test_the_newest_set_is_the_oldest_of_those_with_the_present_template() -> None:
    obj = deployment(image="x:2")
    hashed = replace(template("x:2"), metadata=replace(template("x:2").metadata, labels={"app": "web", history.HASH_LABEL: "abc"}))
    young = replica_set("young", image="x:2", creationTimestamp=at(-1))
    old = replica_set("old", creationTimestamp=at(-9))
    old = replace(old, spec=replace(old.spec, template=hashed))
    other = replica_set("other", image="x:1", creationTimestamp=at(-99))
    found = history.find_new(obj, [young, other, old])
    assert found is old
    assert history.find_new(obj, [other]) is None


def test_a_template_with_another_label_is_another_one() -> None:
    assert not history.same_template(template(), template(app="web", track="b"))
    assert not history.same_template(template("x:1"), template("x:2"))
