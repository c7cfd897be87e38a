import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelet_lite.api.core_v1 import ConfigMap
from kubelet_lite.api.meta_v1 import ObjectMeta, OwnerReference
from kubelet_lite.controllers.garbage_collector import Disown, Keep, Release, Remove, collectable, judge, release


def owned(*uids, finalizers=(), deleted=None, block=True):
    references = tuple(OwnerReference(apiVersion="v1", kind="ConfigMap", name=uid, uid=uid, blockOwnerDeletion=block) for uid in uids)
    return ConfigMap(metadata=ObjectMeta(name="x", namespace="ns", uid="me", ownerReferences=references, finalizers=finalizers, deletionTimestamp=deleted))


@pytest.mark.parametrize(
    ("owners", "dependants", "verdict"),
    [
        ({}, False, Keep()),
        ({"a": "solid"}, False, Keep()),
        ({"a": "absent"}, False, Remove("Background")),
        ({"a": "absent", "b": "solid"}, False, Disown(frozenset({"a"}))),
        ({"a": "waiting", "b": "solid"}, False, Disown(frozenset({"a"}))),
        ({"a": "waiting"}, False, Remove("Background")),
        ({"a": "waiting"}, True, Remove("Foreground")),
        ({"a": "absent", "b": "waiting"}, True, Remove("Foreground")),
    ],
)
def test_an_object_goes_with_its_last_owner(owners, dependants, verdict):
    assert judge(owned(*owners), owners, dependants) == verdict


@given(st.dictionaries(st.sampled_from("abcd"), st.sampled_from(["solid", "waiting", "absent"]), max_size=4), st.booleans())
def test_a_live_owner_is_enough_to_stay(owners, dependants):
    verdict = judge(owned(*owners), owners, dependants)
    if "solid" in owners.values() or not owners:
        assert not isinstance(verdict, Remove)
    else:
        assert isinstance(verdict, Remove)


def test_the_finalizers_of_an_object_say_how_it_is_removed():
    assert judge(owned("a", finalizers=("orphan",)), {"a": "absent"}, True) == Remove("Orphan")
    assert judge(owned("a", finalizers=("foregroundDeletion",)), {"a": "absent"}, True) == Remove("Foreground")


def test_foreground_deletion_waits_for_dependants_that_block():
    owner = msgspec.structs.replace(owned(finalizers=("foregroundDeletion",), deleted="2026-01-01T00:00:00Z"))
    assert release(owner, [owned("me")]) is None
    assert release(owner, [owned("me", block=False)]) == Release("foregroundDeletion")
    assert release(owner, []) == Release("foregroundDeletion")


def test_orphaning_is_done_when_nobody_refers_to_the_owner():
    owner = owned(finalizers=("orphan",), deleted="2026-01-01T00:00:00Z")
    assert release(owner, [owned("me")]) is None
    assert release(owner, []) == Release("orphan")


def test_every_stored_kind_but_events_is_looked_after_once():
    names = [resource.qualified for resource in collectable()]
    assert len(names) == len(set(names))
    assert {"pods", "replicasets.apps", "nodes", "leases.coordination.k8s.io"} <= set(names)
    assert not {"events", "events.events.k8s.io", "bindings"} & set(names)
