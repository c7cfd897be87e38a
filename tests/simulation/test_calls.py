"""What users do, as data: each call does what it says, to whom it says, and an error is an answer."""
from __future__ import annotations

import pytest

from kubelet_lite.api.core_v1 import ConfigMap, Node, Pod
from kubelet_lite.simulation.calls import (
    CALL_ANSWERED,
    CALLS,
    Apply,
    Cordon,
    Corrupt,
    Create,
    Delete,
    Drain,
    Edit,
    Evict,
    ForceDelete,
    LabelTheft,
    Restart,
    Scale,
    SetImage,
)
from kubelet_lite.simulation.faults import ApiErrors
from kubelet_lite.simulation.simulation import Setting, play
from kubelet_lite.simulation.which import Which

CLUSTER = Setting(nodes=2)
WEB = Which(kind="deployments.apps", name="web")
POD = Which(kind="pods", name="web-*")


def deployment(replicas=3, name="web"):
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "one"}]}}
    return {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template},
    }


def config(name, **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def run(*steps, seconds=60, setting=CLUSTER, seed=0):
    """A Deployment is there at 0 s; what comes of the steps."""
    async def scenario(simulation):
        await simulation.sleep(seconds)
        found.append(simulation.snapshot)

    found = []
    done = play(scenario, steps=(Apply(manifest=deployment()), *steps), setting=setting, seed=seed)
    done.raise_error()
    return done, found[0]


def answers(done):
    return [record.fields["error"] for record in done.archive.records if record.fields["event"] == CALL_ANSWERED]


def alive(snapshot, **labels):
    return [
        pod for pod in snapshot.list(Pod)
        if pod.metadata.deletionTimestamp is None and all(pod.metadata.labels.get(key) == value for key, value in labels.items())
    ]


def test_objects_come_by_apply_and_create_and_what_is_wrong_with_them_is_an_answer():
    done, snapshot = run(Create(at=1, manifest=config("made", a="b")), Create(at=2, manifest=config("made")), Create(at=3, manifest={"apiVersion": "v1", "kind": "Nothing"}))
    assert snapshot.get(ConfigMap, "made", "default").data == {"a": "b"}
    assert len(alive(snapshot, app="web")) == 3
    assert answers(done) == ['configmaps "made" already exists', 'no matches for kind "Nothing" in version "v1"']
    assert done.fired == (1, 1, 1, 1)


def test_scaling_and_editing():
    _, snapshot = run(Scale(at=10, which=WEB, replicas=5), Edit(at=20, which=WEB, change={"metadata": {"labels": {"seen": "yes"}}}))
    assert len(alive(snapshot, app="web")) == 5
    assert snapshot.get("deployments.apps", "web", "default").metadata.labels == {"seen": "yes"}


def test_a_new_image_and_a_restart_replace_every_pod():
    done, snapshot = run(SetImage(at=10, which=WEB, image="two"), Restart(at=30, which=WEB))
    assert {pod.spec.containers[0].image for pod in alive(snapshot)} == {"two"}
    assert len({r.event.key.name for r in done.archive.revisions if r.event.key.resource == "pods"}) == 9


def test_deleting_by_propagation():
    _, snapshot = run(Delete(at=10, which=WEB, propagation="Orphan"))
    assert snapshot.get("deployments.apps", "web", "default") is None
    assert len(alive(snapshot, app="web")) == 3
    _, snapshot = run(Delete(at=10, which=WEB))
    assert not snapshot.list(Pod)


def test_the_nth_of_those_that_are_there_begins_anew_behind_the_last():
    done, _ = run(Delete(at=10, which=Which(kind="pods", name="web-*", nth=4)))
    pods = [r for r in done.archive.revisions if r.event.key.resource == "pods"]
    second = [r.event.key.name for r in pods if r.verb == "create"][1]
    assert {r.event.key.name for r in pods if r.verb == "delete"} == {second}


def test_a_forced_delete_does_not_wait():
    done, snapshot = run(ForceDelete(at=10, which=POD))
    (gone,) = [r for r in done.archive.revisions if r.event.key.resource == "pods" and r.verb == "delete"]
    assert gone.time == done.archive.began + 10
    assert gone.actor == ""
    assert len(alive(snapshot)) == 3


def test_a_pod_without_its_labels_is_let_go_and_replaced():
    _, snapshot = run(LabelTheft(at=10, which=POD))
    assert len(alive(snapshot)) == 4
    (let_go,) = [pod for pod in alive(snapshot) if not pod.metadata.labels]
    assert not let_go.metadata.ownerReferences


def test_a_pod_with_the_labels_of_another_workload_is_anothers():
    other = Which(kind="deployments.apps", name="other")
    _, snapshot = run(Apply(manifest=deployment(1, "other")), LabelTheft(at=10, which=POD, like=other))
    assert len(alive(snapshot, app="web")) == 3
    assert len(alive(snapshot, app="other")) >= 1


def test_a_drained_node_has_no_pods_and_gets_none_until_it_is_uncordoned():
    first = Which(kind="nodes", namespace="", name="node-1")
    _, snapshot = run(Drain(at=10, which=first))
    assert {pod.spec.nodeName for pod in alive(snapshot)} == {"node-2"}
    _, snapshot = run(Drain(at=10, which=first), Cordon(at=20, which=first, undo=True), Cordon(at=20, which=Which(kind="nodes", namespace="", name="node-2")),
                      Scale(at=30, which=WEB, replicas=6))
    assert {pod.spec.nodeName for pod in alive(snapshot)} == {"node-1", "node-2"}


@pytest.mark.parametrize("kind", [Cordon, Drain])
def test_a_node_that_is_set_aside_for_a_while_takes_pods_again(kind):
    done, _ = run(kind(at=10, which=Which(kind="nodes", namespace="", name="node-1"), seconds=20))
    updates = [r for r in done.archive.revisions if r.event.key.name == "node-1" and r.event.key.resource == "nodes" and r.verb == "update"]
    changed = [r for r in updates if r.object.spec.unschedulable != r.event.previous.spec.unschedulable]
    assert [(round(r.time - done.archive.began), r.object.spec.unschedulable) for r in changed] == [(10, True), (30, False)]


def test_whoever_set_a_node_aside_tries_until_it_is_back():
    first = Which(kind="nodes", namespace="", name="node-1")
    _, snapshot = run(Cordon(at=10, which=first, seconds=10), ApiErrors(at=15, seconds=20, part="user"))
    assert not snapshot.get(Node, "node-1").spec.unschedulable
    run(Cordon(at=10, which=first, seconds=10), Delete(at=15, which=first))


def test_what_is_undone_does_not_last():
    with pytest.raises(ValueError, match=r"Cordon.seconds=5"):
        Cordon(undo=True, seconds=5)


def test_an_eviction_that_a_budget_forbids_is_an_answer():
    budget = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "b"}, "spec": {"minAvailable": 3, "selector": {"matchLabels": {"app": "web"}}}}
    done, _ = run(Apply(at=5, manifest=budget), Evict(at=10, which=POD))
    assert answers(done) == ["Cannot evict pod as it would violate the pod's disruption budget."]


def test_a_corrupted_field_is_stored_past_all_validation():
    done, _ = run(Corrupt(at=10, which=WEB, field="spec.selector.matchLabels.app"), Corrupt(at=12, which=WEB, field="spec.nothing"))
    stored = [r.object for r in done.archive.revisions if r.event.key.resource == "deployments.apps" and r.time == done.archive.began + 10 and not r.actor]
    assert [obj.spec.selector.matchLabels for obj in stored] == [{"app": "wec"}]
    assert answers(done) == ["deployments.apps default/web has no field spec.nothing"]


@pytest.mark.parametrize("how", ["flip", "empty"])
def test_every_field_of_an_object_can_be_corrupted(how):
    for nth in range(0, 60, 3):
        done, _ = run(Corrupt(at=10, which=WEB, nth=nth, how=how), seconds=11)
        assert not answers(done)


def test_what_is_not_there_is_an_answer():
    done, _ = run(Scale(at=10, which=Which(kind="deployments.apps", name="nothing"), replicas=1))
    assert answers(done) == ["there is none of deployments.apps nothing in default"]


def test_every_call_says_what_it_does():
    made = [Apply(manifest=deployment()), Create(manifest=config("x")), Edit(which=WEB, change={"a": 1}), Scale(which=WEB, replicas=2), SetImage(which=WEB, image="two"),
            Restart(which=WEB), LabelTheft(like=WEB), Delete(which=WEB), ForceDelete(), Evict(), Cordon(), Drain(), Corrupt(which=WEB, field="spec.replicas")]
    assert [type(call) for call in made] == list(CALLS)
    assert [str(call) for call in made] == [
        "applies deployment web", "creates configmap x", 'edits deployments.apps default/web: {"a":1}', "scales deployments.apps default/web to 2",
        "sets the image of deployments.apps default/web to two", "restarts deployments.apps default/web",
        "takes the labels of one of pods default/* off and puts on those of deployments.apps default/web", "deletes deployments.apps default/web",
        "deletes one of pods default/* by force", "evicts one of pods default/*", "cordons one of nodes *", "drains one of nodes *",
        "spec.replicas of deployments.apps default/web is corrupted (flip)",
    ]


@pytest.mark.parametrize(("call", "answer"), [
    (SetImage(at=10, which=Which(kind="namespaces", namespace="", name="default"), image="two"), "namespaces default has no spec.template.spec"),
    (LabelTheft(at=10, which=WEB, like=Which(kind="configmaps", name="kube-root-ca.crt")), "configmaps default/kube-root-ca.crt has no spec.selector"),
])
def test_a_call_about_what_has_no_such_field_is_an_answer(call, answer):
    done, _ = run(call)
    assert answers(done) == [answer]
