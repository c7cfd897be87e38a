"""Compare-and-swap, revisions, transactions."""
from __future__ import annotations

from contextlib import suppress

import pytest

from kubelet_lite.store import Key, Stale, stamped
from tests.store.things import Metadata, Thing, delete, names, new_store, pod, put


def test_every_change_takes_the_next_revision() -> None:
    store = new_store()
    assert (store.revision, store.next_revision) == (1, 2)
    put(store, pod("a"))
    put(store, pod("b"))
    delete(store, pod("a"))
    assert store.revision == 4
    assert (store.mod_revision(pod("a")), store.mod_revision(pod("b"))) == (0, 3)


def test_a_stale_write_names_the_revision_that_it_met() -> None:
    store = new_store()
    put(store, pod("a"))
    late = Thing(Metadata("a", "default", str(store.next_revision)))
    with pytest.raises(Stale, match="pods default/a is at revision 2, not 7") as error:
        store.put(pod("a"), late, expected=7)
    assert (error.value.expected, error.value.current) == (7, 2)
    assert store.revision == 2


def test_an_object_with_another_stamp_than_its_revision_is_not_stored() -> None:
    store = new_store()
    with pytest.raises(AssertionError, match="is stamped 7, its revision is 2"):
        store.put(pod("a"), Thing(Metadata("a", "default", "7")), expected=0)
    put(store, pod("a"))
    with pytest.raises(AssertionError, match="its deletion's revision is 3"):
        store.delete(pod("a"), expected=2, final=store.get(pod("a")))
    assert store.revision == 2


def test_stamping_changes_nothing_but_the_revision() -> None:
    thing = Thing(Metadata("a", "default", "1"), 7, "n1")
    assert stamped(thing, 9) == Thing(Metadata("a", "default", "9"), 7, "n1")


def test_a_transaction_that_fails_leaves_nothing() -> None:
    store = new_store()
    kept = put(store, pod("kept"))
    gone = put(store, pod("gone"))
    with suppress(KeyError), store.transaction():
        put(store, pod("new"))
        delete(store, pod("gone"))
        put(store, pod("kept"), 1, node="n1")
        raise KeyError
    assert store.revision == 3
    assert store.get(pod("kept")) is kept
    assert store.get(pod("gone")) is gone
    assert names(store.list("pods").items) == ["gone", "kept"]
    assert store.list("pods", field=("spec.nodeName", "n1")).items == ()


def test_an_inner_transaction_can_fail_alone() -> None:
    store = new_store()
    with store.transaction():
        put(store, pod("a"))
        with suppress(KeyError), store.transaction():
            put(store, pod("b"))
            raise KeyError
        put(store, pod("c"))
    assert names(store.list("pods").items) == ["a", "c"]
    assert store.revision == 3


def test_a_namespace_that_nothing_remembers_costs_nothing() -> None:
    store = new_store()
    for i in range(10):
        put(store, pod("a", f"namespace-{i}"))
        delete(store, pod("a", f"namespace-{i}"))
    store.compact(store.revision)
    table = store._tables["pods"]
    assert (table._namespaces, table._order) == ({}, [])


def test_cluster_scoped_objects_have_no_namespace() -> None:
    store = new_store()
    put(store, Key("nodes", "", "n1"))
    assert names(store.list("nodes").items) == ["n1"]
    assert str(Key("nodes", "", "n1")) == "nodes n1"
