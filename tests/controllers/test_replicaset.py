"""Plans of ReplicaSets: (view, now) → plan, and the laws they obey."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from kubelet_lite.api import selectors
from kubelet_lite.api.apps_v1 import ReplicaSet, ReplicaSetCondition, ReplicaSetStatus
from kubelet_lite.api.core_v1 import Pod, ReplicationController, ReplicationControllerSpec
from kubelet_lite.api.errors import Forbidden
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.resources import resource_of
from kubelet_lite.controllers.base import Create, Delete, Failure, Patch, Plan, Update
from kubelet_lite.controllers.replicaset import MOST_AT_ONCE, ReplicaSetView, plan
from tests.controllers.objects import LABELS, NOW, at, pod, replica_set, template


def view(owner: Any, pods: Sequence[Pod] = (), *, failures: Sequence[Failure] = (), related: Sequence[Pod] = ()) -> ReplicaSetView:
    return ReplicaSetView(
        owner=owner, resource=resource_of(type(owner)), selector=selectors.from_labels(LABELS), template=owner.spec.template,
        pods=pods, related=related, failures=failures,
    )


def status_of(made: Plan) -> Any:
    return next(action.object.status for action in made.actions if isinstance(action, Update))


def numbers(made: Plan) -> tuple[int, int]:
    """Pods made and deleted."""
    return sum(isinstance(a, Create) for a in made.actions), sum(isinstance(a, Delete) for a in made.actions)


def test_missing_pods_are_made_from_the_template() -> None:
    owner = replica_set(replicas=2)
    made = plan(view(owner), NOW)
    assert numbers(made) == (2, 0)
    (create, _) = (action for action in made.actions if isinstance(action, Create))
    metadata = create.object.metadata
    assert (metadata.generateName, metadata.namespace, metadata.labels) == ("rs-", "default", LABELS)
    (reference,) = metadata.ownerReferences
    assert (reference.kind, reference.name, reference.uid, reference.controller, reference.blockOwnerDeletion) == ("ReplicaSet", "rs", "uid-rs", True, True)
    assert create.object.spec == owner.spec.template.spec
    assert create.success is not None
    assert (create.success.reason, create.success.message) == ("SuccessfulCreate", "Created pod: {name}")


def test_surplus_pods_are_deleted() -> None:
    owner = replica_set(replicas=1)
    made = plan(view(owner, [pod("a", owner=owner, ready=-5), pod("b", owner=owner)]), NOW)
    (delete,) = (action for action in made.actions if isinstance(action, Delete))
    assert delete.object.metadata.name == "b"


def test_finished_and_leaving_pods_do_not_count() -> None:
    owner = replica_set(replicas=1)
    pods = [pod("a", owner=owner, phase="Failed"), pod("b", owner=owner, phase="Succeeded"), pod("c", owner=owner, deletionTimestamp=at(0))]
    made = plan(view(owner, pods), NOW)
    assert numbers(made) == (1, 0)
    assert (status_of(made).replicas, status_of(made).terminatingReplicas) == (0, 1)


def test_a_set_that_is_being_deleted_only_reports() -> None:
    owner = replica_set(replicas=3, deletionTimestamp=at(0))
    made = plan(view(owner, [pod("a", owner=owner, ready=-5)]), NOW)
    assert numbers(made) == (0, 0)
    assert status_of(made).readyReplicas == 1


def test_adoption_comes_before_everything_else() -> None:
    owner = replica_set(replicas=0)
    made = plan(view(owner, [pod("orphan")]), NOW)
    assert [type(action) for action in made.actions] == [Patch]


def test_the_status_counts_pods() -> None:
    owner = replica_set(replicas=3, min_ready=60, labels={"app": "web", "extra": "x"}, generation=7)
    owner = replace(owner, spec=replace(owner.spec, template=template(app="web", track="stable")))
    stable = {"app": "web", "track": "stable"}
    pods = [pod("a", owner=owner, ready=-61, labels=stable), pod("b", owner=owner, ready=-30), pod("c", owner=owner)]
    made = plan(view(owner, pods), NOW)
    assert status_of(made) == ReplicaSetStatus(
        replicas=3, fullyLabeledReplicas=1, readyReplicas=2, availableReplicas=1, terminatingReplicas=0, observedGeneration=7,
    )
    assert made.wake_at == NOW + 30
    later = plan(view(owner, pods), NOW + 30)
    assert status_of(later).availableReplicas == 2
    assert later.wake_at is None


def test_nothing_is_written_when_nothing_has_changed() -> None:
    owner = replica_set(replicas=0, status=ReplicaSetStatus(observedGeneration=1, terminatingReplicas=0))
    assert plan(view(owner), NOW) == Plan()


def test_a_failure_stands_in_the_status_until_there_is_none() -> None:
    owner = replica_set(replicas=2)
    failure = Failure(Create(object=pod()), Forbidden("exceeded quota"))
    failing = status_of(plan(view(owner, failures=[failure]), NOW))
    assert failing.conditions == (
        ReplicaSetCondition(type="ReplicaFailure", status="True", reason="FailedCreate", message="exceeded quota", lastTransitionTime=at(0)),
    )
    owner = replace(owner, status=failing)
    again = plan(view(owner, failures=[Failure(Create(object=pod()), Forbidden("another"))]), NOW + 5)
    assert not any(isinstance(action, Update) for action in again.actions)
    assert status_of(plan(view(owner), NOW + 9)).conditions == ()


def test_a_replication_controller_has_no_count_of_leaving_pods() -> None:
    owner = ReplicationController(
        metadata=ObjectMeta(name="rc", namespace="default", uid="uid-rc", generation=1),
        spec=ReplicationControllerSpec(replicas=1, selector=LABELS, template=template()),
    )
    made = plan(view(owner), NOW)
    assert status_of(made).observedGeneration == 1
    assert numbers(made) == (1, 0)


# Laws


PODS = st.lists(
    st.builds(
        dict, phase=st.sampled_from(["Pending", "Running", "Unknown", "Failed", "Succeeded"]), ready=st.sampled_from([None, -1, -100]),
        gone=st.booleans(), owner=st.sampled_from(["mine", "orphan", "other"]), labels=st.sampled_from([LABELS, {"app": "away"}]),
    ),
    max_size=12,
)


def pods_of(owner: ReplicaSet, wanted: Sequence[dict[str, Any]]) -> list[Pod]:
    other = replica_set("other")
    owners = {"mine": owner, "orphan": None, "other": other}
    return [
        pod(f"p{i}", owner=owners[w["owner"]], phase=w["phase"], ready=w["ready"], labels=w["labels"], **({"deletionTimestamp": at(0)} if w["gone"] else {}))
        for i, w in enumerate(wanted) if w["owner"] != "other"
    ]


def carried_out(owner: ReplicaSet, pods: list[Pod], made: Plan, fresh: int) -> tuple[ReplicaSet, list[Pod]]:
    """The toy model of a cluster in which actions succeed at once."""
    known = {p.metadata.name: p for p in pods}
    for action in made.actions:
        match action:
            case Update():
                owner = action.object
            case Create():
                fresh += 1
                known[f"new{fresh}"] = replace(pod(f"new{fresh}", ready=0), metadata=replace(action.object.metadata, name=f"new{fresh}", uid=f"new{fresh}"))
            case Delete():
                del known[action.object.metadata.name]
            case Patch():
                adopts = "$patch" not in action.change["metadata"]["ownerReferences"][0]
                obj = known[action.object.metadata.name]
                references = pod("x", owner=owner).metadata.ownerReferences if adopts else ()
                known[obj.metadata.name] = replace(obj, metadata=replace(obj.metadata, ownerReferences=references))
    return owner, list(known.values())


@given(st.integers(0, 8), PODS)
def test_plans_converge_to_as_many_active_pods_as_wanted_and_then_rest(replicas: int, wanted: list[dict[str, Any]]) -> None:
    owner = replica_set(replicas=replicas)
    pods = pods_of(owner, wanted)
    for step in range(4):
        made = plan(view(owner, pods), NOW)
        if made == Plan():
            break
        owner, pods = carried_out(owner, pods, made, step * 100)
    else:
        raise AssertionError("does not come to rest")
    mine = [p for p in pods if p.metadata.ownerReferences and p.metadata.ownerReferences[0].uid == "uid-rs"]
    active = [p for p in mine if p.metadata.deletionTimestamp is None and p.status.phase not in ("Failed", "Succeeded")]
    assert len(active) == owner.status.replicas == replicas
    assert all(p.metadata.labels == LABELS for p in active)


@given(st.integers(0, 2000), st.integers(0, 30), st.booleans())
def test_it_never_makes_and_deletes_at_once_nor_more_than_needed_or_bearable(replicas: int, count: int, dying: bool) -> None:
    owner = replica_set(replicas=replicas, **({"deletionTimestamp": at(0)} if dying else {}))
    made, deleted = numbers(plan(view(owner, [pod(f"p{i}", owner=owner) for i in range(count)]), NOW))
    assert not (made and deleted)
    assert made <= max(0, min(replicas - count, MOST_AT_ONCE))
    assert deleted <= max(0, count - replicas)
    assert not (dying and (made or deleted))
