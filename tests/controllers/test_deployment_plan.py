"""Plans of Deployments: (view, now) → plan."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from kubelet_lite.api.apps_v1 import (
    Deployment,
    DeploymentCondition,
    DeploymentStatus,
    ReplicaSet,
    ReplicaSetCondition,
    ReplicaSetStatus,
)
from kubelet_lite.api.core_v1 import Pod
from kubelet_lite.api.errors import AlreadyExists, Forbidden
from kubelet_lite.controllers.base import Create, Delete, Failure, Patch, Plan, Record, Update
from kubelet_lite.controllers.deployment.draft import DeploymentView
from kubelet_lite.controllers.deployment.history import DESIRED_REPLICAS, HASH_LABEL, HISTORY, MAX_REPLICAS, REVISION
from kubelet_lite.controllers.deployment.plan import plan
from tests.controllers.objects import NOW, at, deployment, pod, replica_set


def planned(
    obj: Deployment, sets: Sequence[ReplicaSet] = (), *, pods: Sequence[Pod] = (), failures: Sequence[Failure] = (), rival: ReplicaSet | None = None,
    after: float = 0,
) -> Plan:
    return plan(DeploymentView(deployment=obj, replica_sets=sets, pods=pods, failures=failures, rival=rival), NOW + after)


def revision(
    name: str, replicas: int, *, available: int | None = None, image: str = "x:1", number: int = 1, desired: int = 3, most: int = 4, age: float = 600,
    conditions: tuple[ReplicaSetCondition, ...] = (), min_ready: int = 0, observed: int = 1,
) -> ReplicaSet:
    """A ReplicaSet of the Deployment `web` that reports as many pods as it is to have, all available unless said otherwise."""
    available = replicas if available is None else available
    status = ReplicaSetStatus(
        replicas=replicas, readyReplicas=available, availableReplicas=available, observedGeneration=observed, terminatingReplicas=0,
        conditions=conditions,
    )
    annotations = {REVISION: str(number), DESIRED_REPLICAS: str(desired), MAX_REPLICAS: str(most)}
    return replica_set(
        name, replicas, owner=deployment(), image=image, status=status, annotations=annotations, creationTimestamp=at(-age), min_ready=min_ready,
    )


def condition(type: str, status: str, reason: str, message: str = "", *, updated: float = 0, changed: float | None = None) -> DeploymentCondition:
    return DeploymentCondition(
        type=type, status=status, reason=reason, message=message, lastUpdateTime=at(updated), lastTransitionTime=at(updated if changed is None else changed),
    )


AVAILABLE = condition("Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.", updated=-500)
UNAVAILABLE = condition("Available", "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.", updated=-500)
COMPLETE = condition("Progressing", "True", "NewReplicaSetAvailable", 'ReplicaSet "a" has successfully progressed.', updated=-500)


def settled(replicas: int = 3, **more: Any) -> Deployment:
    """One whose rollout is over."""
    status = DeploymentStatus(
        observedGeneration=1, replicas=replicas, updatedReplicas=replicas, readyReplicas=replicas, availableReplicas=replicas,
        terminatingReplicas=0, conditions=(AVAILABLE, COMPLETE),
    )
    return deployment(replicas, **{"status": status, "annotations": {REVISION: "1"}, **more})


def scalings(made: Plan) -> list[tuple[str, int, str]]:
    """(ReplicaSet, size, event) of each patch."""
    return [
        (a.object.metadata.name, a.change["spec"]["replicas"], a.success.message if a.success else "")
        for a in made.actions if isinstance(a, Patch) and "replicas" in a.change.get("spec", {})
    ]


def status_of(made: Plan) -> DeploymentStatus:
    """What the last action writes."""
    (update,) = (action for action in made.actions if isinstance(action, Update))
    assert update.subresource == "status"
    status = update.object.status
    assert isinstance(status, DeploymentStatus)
    return status


def conditions_of(made: Plan) -> dict[str, tuple[str, str, str]]:
    return {c.type: (c.status, c.reason, c.message) for c in status_of(made).conditions}


# A new Deployment


def test_a_new_deployment_gets_a_replica_set_of_full_size() -> None:
    obj = deployment(annotations={"team": "a"}, min_ready=5)
    made = planned(obj)
    create, update = made.actions
    assert isinstance(create, Create)
    rs = create.object
    hash = rs.metadata.labels[HASH_LABEL]
    assert rs.metadata.name == f"web-{hash}"
    assert rs.metadata.labels == rs.spec.template.metadata.labels == {"app": "web", HASH_LABEL: hash}
    assert rs.spec.selector.matchLabels == {"app": "web", HASH_LABEL: hash}
    assert rs.metadata.annotations == {"team": "a", REVISION: "1", DESIRED_REPLICAS: "3", MAX_REPLICAS: "4"}
    assert (rs.spec.replicas, rs.spec.minReadySeconds, rs.spec.template.spec) == (3, 5, obj.spec.template.spec)
    (owner,) = rs.metadata.ownerReferences
    assert (owner.kind, owner.name, owner.controller, owner.blockOwnerDeletion) == ("Deployment", "web", True, True)
    assert create.success == Record(obj, "Normal", "ScalingReplicaSet", f"Scaled up replica set web-{hash} from 0 to 3")
    assert isinstance(update, Update)
    assert update.object.metadata.annotations == {"team": "a", REVISION: "1"}
    assert conditions_of(made) == {
        "Available": ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability."),
        "Progressing": ("True", "NewReplicaSetCreated", f'Created new replica set "web-{hash}"'),
    }
    assert made.wake_at == NOW + 601


def test_of_size_none_nothing_is_told() -> None:
    create = planned(deployment(0)).actions[0]
    assert isinstance(create, Create)
    assert (create.object.spec.replicas, create.success) == (0, None)


def test_a_set_that_is_there_already_is_found() -> None:
    unseen = replace(revision("a", 3), status=ReplicaSetStatus())
    made = planned(deployment(), [unseen])
    assert conditions_of(made)["Progressing"] == ("True", "FoundNewReplicaSet", 'Found new replica set "a"')


def test_what_could_not_be_made_is_said_before_the_next_try() -> None:
    obj = deployment(status=DeploymentStatus(conditions=(condition("Progressing", "True", "NewReplicaSetCreated"),)))
    first = planned(obj).actions[0]
    assert isinstance(first, Create)
    name = first.object.metadata.name
    assert first.failure is not None
    assert first.failure.message == f'Failed to create new replica set "{name}": {{error}}'
    made = planned(obj, failures=[Failure(first, Forbidden("no"))])
    assert [type(action) for action in made.actions] == [Update, Create]
    assert conditions_of(made)["Progressing"] == ("False", "ReplicaSetCreateError", f'Failed to create new replica set "{name}": no')
    again = planned(replace(obj, status=status_of(made)), failures=[Failure(first, Forbidden("no"))])
    assert [type(action) for action in again.actions] == [Create]


def test_a_name_that_another_has_makes_another_hash() -> None:
    first = planned(deployment()).actions[0]
    assert isinstance(first, Create)
    failed = [Failure(first, AlreadyExists("exists"))]
    unseen = planned(deployment(), failures=failed)
    assert first.object in [action.object for action in unseen.actions if isinstance(action, Create)], "it may be our own, not seen yet"
    made = planned(deployment(), failures=failed, rival=replica_set(first.object.metadata.name))
    assert status_of(made).collisionCount == 1
    assert not any(isinstance(action, Create) for action in made.actions)
    then = planned(deployment(status=status_of(made))).actions[0]
    assert isinstance(then, Create)
    assert then.object.metadata.name != first.object.metadata.name


# A rollout


def test_a_rollout_grows_the_new_set_as_the_surge_allows() -> None:
    made = planned(deployment(10, status=DeploymentStatus()), [revision("a", 10, desired=10, most=13), revision("b", 1, image="x:0", desired=10, age=900)])
    assert scalings(made) == [("b", 0, "Scaled down replica set b from 1 to 0")]
    made = planned(settled(10, image="x:2"), [revision("a", 10, desired=10, most=13), revision("b", 1, image="x:2", number=2, desired=10, age=1)])
    assert scalings(made) == [("b", 3, "Scaled up replica set b from 1 to 3")]


def test_a_rollout_shrinks_old_sets_as_new_pods_become_available() -> None:
    old, new = revision("a", 3), revision("b", 1, available=0, image="x:2", number=2, age=1)
    assert scalings(planned(settled(image="x:2"), [old, new])) == []
    new = revision("b", 1, image="x:2", number=2, age=1)
    assert scalings(planned(settled(image="x:2"), [old, new])) == [("a", 2, "Scaled down replica set a from 3 to 2")]


def test_what_is_not_available_goes_first_and_in_a_step_of_its_own() -> None:
    obj = settled(4, image="x:2", surge=0, unavailable=2)
    old, new = revision("a", 4, available=3, desired=4), revision("b", 0, image="x:2", number=2, desired=4, age=1)
    assert scalings(planned(obj, [old, new])) == [
        ("a", 3, "Scaled down replica set a from 4 to 3"), ("a", 2, "Scaled down replica set a from 3 to 2"),
    ]


def test_an_old_status_does_not_take_available_pods_twice() -> None:
    """The old set was made smaller already: until it has reported that, nobody knows how many of its pods are available."""
    old = revision("a", 2, desired=3)
    old = replace(old, metadata=replace(old.metadata, generation=2), status=replace(old.status, availableReplicas=3, replicas=3))
    new = revision("b", 1, image="x:2", number=2, age=1)
    obj = settled(image="x:2", surge=0, unavailable=1)
    assert scalings(planned(obj, [old, new])) == []
    old = replace(old, status=replace(old.status, availableReplicas=2, replicas=2, observedGeneration=2))
    assert scalings(planned(obj, [old, new])) == [("a", 1, "Scaled down replica set a from 2 to 1")]


def test_a_finished_rollout_says_so_and_forgets_old_revisions() -> None:
    sets = [revision("old1", 0, image="x:8", number=1, age=900), revision("old2", 0, image="x:9", number=2, age=800), revision("a", 3, number=3)]
    obj = deployment(history=1, annotations={REVISION: "3"}, status=DeploymentStatus(conditions=(condition("Progressing", "True", "ReplicaSetUpdated", updated=-5),)))
    made = planned(obj, sets)
    assert conditions_of(made)["Progressing"] == ("True", "NewReplicaSetAvailable", 'ReplicaSet "a" has successfully progressed.')
    assert not any(isinstance(action, Delete) for action in made.actions)
    made = planned(replace(obj, status=status_of(made)), sets)
    assert [action.object.metadata.name for action in made.actions if isinstance(action, Delete)] == ["old1"]


@pytest.mark.parametrize("keeper", [
    revision("old", 0, image="x:8", observed=0),
    replace(revision("old", 0, image="x:8"), status=ReplicaSetStatus(observedGeneration=1, replicas=1)),
])
def test_a_revision_that_may_still_have_pods_is_not_forgotten(keeper: ReplicaSet) -> None:
    made = planned(settled(history=0), [keeper, revision("a", 3, number=2)])
    assert not any(isinstance(action, Delete) for action in made.actions)


def test_a_settled_deployment_is_left_alone() -> None:
    assert planned(settled(), [revision("a", 3)]) == Plan()


def test_a_lost_pod_is_told_without_a_rollout() -> None:
    made = planned(settled(), [revision("a", 3, available=2)])
    assert conditions_of(made) == {
        "Available": ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability."),
        "Progressing": (COMPLETE.status, COMPLETE.reason, COMPLETE.message),
    }
    assert (status_of(made).readyReplicas, status_of(made).unavailableReplicas) == (2, 1)


# Rolling back


def test_rolling_back_makes_an_old_revision_the_newest() -> None:
    obj = settled(image="x:1", annotations={REVISION: "2", "kubernetes.io/change-cause": "undo"})
    made = planned(obj, [revision("a", 0, number=1), revision("b", 3, image="x:2", number=2, age=1)])
    annotate, grow, update = made.actions
    assert isinstance(annotate, Patch)
    assert annotate.change == {"metadata": {"annotations": {"kubernetes.io/change-cause": "undo", REVISION: "3", HISTORY: "1"}}}
    assert annotate.if_unchanged
    assert isinstance(grow, Patch)
    assert not grow.if_unchanged
    assert scalings(made) == [("a", 1, "Scaled up replica set a from 0 to 1")]
    assert isinstance(update, Update)
    assert update.object.metadata.annotations[REVISION] == "3"


def test_min_ready_seconds_are_handed_down() -> None:
    made = planned(settled(min_ready=7), [revision("a", 3)])
    (patch,) = (action for action in made.actions if isinstance(action, Patch))
    assert patch.change == {"spec": {"minReadySeconds": 7}}


# Scaling


def test_the_only_set_gets_the_new_size_and_notes_it() -> None:
    made = planned(settled(5, status=settled().status), [revision("a", 3)])
    (patch,) = (action for action in made.actions if isinstance(action, Patch))
    assert patch.change == {"spec": {"replicas": 5}, "metadata": {"annotations": {DESIRED_REPLICAS: "5", MAX_REPLICAS: "7"}}}
    assert scalings(made) == [("a", 5, "Scaled up replica set a from 3 to 5")]


def test_in_a_rollout_all_sets_share_the_new_size() -> None:
    sets = [revision("a", 8, desired=10, most=13), revision("b", 5, image="x:2", number=2, desired=10, most=13, age=1)]
    made = planned(settled(20, image="x:2"), sets)
    assert scalings(made) == [("a", 15, "Scaled up replica set a from 8 to 15"), ("b", 10, "Scaled up replica set b from 5 to 10")]


def test_a_saturated_new_set_leaves_nothing_to_the_old_ones() -> None:
    sets = [revision("a", 2, desired=9), revision("b", 3, image="x:2", number=2, age=1)]
    assert scalings(planned(settled(image="x:2"), sets)) == [("a", 0, "Scaled down replica set a from 2 to 0")]


def test_scaling_to_none_scales_the_newest_old_set_where_there_is_no_new_one() -> None:
    made = planned(settled(2, image="x:9", paused=True), [revision("a", 0, age=9), revision("b", 0, image="x:2", age=5)])
    assert scalings(made) == [("b", 2, "Scaled up replica set b from 0 to 2")]


# Pausing


def test_a_paused_deployment_scales_but_does_not_roll() -> None:
    made = planned(settled(4, image="x:2", paused=True), [revision("a", 3)])
    assert scalings(made) == [("a", 4, "Scaled up replica set a from 3 to 4")]
    assert not any(isinstance(action, Create) for action in made.actions)
    assert conditions_of(made)["Progressing"] == ("Unknown", "DeploymentPaused", "Deployment is paused")


def test_resuming_is_noted_and_goes_on() -> None:
    status = replace(settled().status, conditions=(AVAILABLE, condition("Progressing", "Unknown", "DeploymentPaused", updated=-5000)))
    made = planned(settled(image="x:2", status=status), [revision("a", 3)])
    assert isinstance(made.actions[0], Create)
    assert conditions_of(made)["Progressing"][1] == "NewReplicaSetCreated"
    made = planned(settled(status=status), [revision("a", 3)])
    assert conditions_of(made)["Progressing"][1] == "NewReplicaSetAvailable"


# Recreate


def test_recreate_first_ends_all_old_pods() -> None:
    obj = settled(image="x:2", recreate=True)
    made = planned(obj, [revision("a", 3, most=3)])
    assert scalings(made) == [("a", 0, "Scaled down replica set a from 3 to 0")]
    assert not any(isinstance(action, Create) for action in made.actions)


@pytest.mark.parametrize(("last", "waits"), [
    (pod(owner=revision("a", 0)), True), (pod(owner=revision("a", 0), deletionTimestamp=at(0)), True), (pod(owner=revision("a", 0), phase="Failed"), False),
])
def test_recreate_waits_until_no_old_pod_runs(last: Pod, waits: bool) -> None:
    made = planned(settled(image="x:2", recreate=True), [revision("a", 0, most=3)], pods=[last])
    assert any(isinstance(action, Create) for action in made.actions) is not waits


def test_recreate_makes_the_new_set_at_full_size() -> None:
    create = planned(settled(image="x:2", recreate=True), [revision("a", 0, most=3)]).actions[0]
    assert isinstance(create, Create)
    assert (create.object.spec.replicas, create.object.metadata.annotations[MAX_REPLICAS]) == (3, "3")


# Progress


def progressing(reason: str = "ReplicaSetUpdated", status: str = "True", *, updated: float) -> Deployment:
    new = DeploymentStatus(
        observedGeneration=1, replicas=3, updatedReplicas=3, unavailableReplicas=3, terminatingReplicas=0,
        conditions=(UNAVAILABLE, condition("Progressing", status, reason, updated=updated, changed=-900)),
    )
    return deployment(status=new, annotations={REVISION: "1"})


def test_progress_moves_the_deadline() -> None:
    made = planned(progressing(updated=-300), [revision("a", 3, available=1)])
    found = status_of(made).conditions[-1]
    assert found == condition("Progressing", "True", "ReplicaSetUpdated", 'ReplicaSet "a" is progressing.', changed=-900)
    assert made.wake_at == NOW + 601


def test_without_progress_it_looks_again_after_the_deadline() -> None:
    made = planned(progressing(updated=-300), [revision("a", 3, available=0)])
    assert made == Plan(wake_at=NOW + 301)


def test_a_rollout_that_does_not_progress_times_out() -> None:
    made = planned(progressing(updated=-601), [revision("a", 3, available=0)])
    assert conditions_of(made)["Progressing"] == ("False", "ProgressDeadlineExceeded", 'ReplicaSet "a" has timed out progressing.')
    assert made.wake_at is None
    assert planned(replace(progressing(updated=0), status=status_of(made)), [revision("a", 3, available=0)], after=50) == Plan()


def test_a_rollout_that_timed_out_may_still_succeed() -> None:
    made = planned(progressing("ProgressDeadlineExceeded", "False", updated=-9), [revision("a", 3)])
    assert conditions_of(made)["Progressing"] == ("True", "NewReplicaSetAvailable", 'ReplicaSet "a" has successfully progressed.')


@pytest.mark.parametrize("deadline", [None, 2 ** 31 - 1])
def test_without_a_deadline_nothing_is_said_of_progress(deadline: int | None) -> None:
    made = planned(settled(deadline=deadline), [revision("a", 3)])
    assert list(conditions_of(made)) == ["Available"]
    assert made.wake_at is None


def test_a_failure_of_a_replica_set_is_the_deployments_too() -> None:
    failure = ReplicaSetCondition(type="ReplicaFailure", status="True", reason="FailedCreate", message="quota", lastTransitionTime=at(-7))
    made = planned(settled(), [revision("a", 3, available=0, conditions=(failure,))])
    assert status_of(made).conditions[-1] == condition("ReplicaFailure", "True", "FailedCreate", "quota", updated=-7)
    healed = planned(settled(status=status_of(made)), [revision("a", 3)])
    assert "ReplicaFailure" not in conditions_of(healed)


# Whose ReplicaSets they are


def test_a_matching_orphan_is_adopted_first() -> None:
    made = planned(settled(), [revision("a", 3), replica_set("orphan")])
    (adopt,) = made.actions
    assert isinstance(adopt, Patch)
    assert adopt.object.metadata.name == "orphan"


def test_a_deployment_that_is_being_deleted_only_reports() -> None:
    made = planned(settled(5, deletionTimestamp=at(0)), [revision("a", 3)])
    assert [type(action) for action in made.actions] == [Update]
