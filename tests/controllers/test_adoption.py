"""Whose an object is: kept, adopted, released, or left alone."""
from __future__ import annotations

import pytest

from kubelet_lite.api import selectors
from kubelet_lite.api.apps_v1 import ReplicaSet
from kubelet_lite.api.core_v1 import Pod
from kubelet_lite.api.requests import STRATEGIC_MERGE_PATCH
from kubelet_lite.api.resources import resource_of
from kubelet_lite.controllers.adoption import claim
from tests.controllers.objects import LABELS, at, pod, replica_set

ME, OTHER = replica_set("me"), replica_set("other")


def claimed(owner: ReplicaSet, obj: Pod) -> str:
    """What becomes of a pod: kept, adopted, released or left."""
    claims = claim(owner, resource_of(ReplicaSet), selectors.from_labels(LABELS), [obj])
    if claims.owned:
        return "kept"
    if not claims.actions:
        return "left"
    (action,) = claims.actions
    (reference,) = action.change["metadata"]["ownerReferences"]
    assert action.content_type == STRATEGIC_MERGE_PATCH
    if "$patch" in reference:
        assert reference == {"$patch": "delete", "uid": "uid-me"}
        return "released"
    assert reference == {
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "me", "uid": "uid-me", "controller": True, "blockOwnerDeletion": True,
    }
    assert action.if_alive is owner
    return "adopted"


@pytest.mark.parametrize(("obj", "fate"), [
    (pod(owner=ME), "kept"),
    (pod(owner=ME, deletionTimestamp=at(0)), "kept"),
    (pod(owner=ME, labels={"app": "away"}), "released"),
    (pod(owner=OTHER), "left"),
    (pod(owner=OTHER, labels={}), "left"),
    (pod(), "adopted"),
    (pod(labels={"app": "away"}), "left"),
    (pod(deletionTimestamp=at(0)), "left"),
    (pod(namespace="elsewhere"), "left"),
])
def test_the_fate_of_a_pod(obj: Pod, fate: str) -> None:
    assert claimed(ME, obj) == fate


@pytest.mark.parametrize(("obj", "fate"), [
    (pod(owner=replica_set("me")), "kept"),
    (pod(owner=ME, labels={}), "left"),
    (pod(), "left"),
])
def test_who_is_being_deleted_neither_takes_nor_gives(obj: Pod, fate: str) -> None:
    assert claimed(replica_set("me", deletionTimestamp=at(0)), obj) == fate
