"""Order, pages, snapshots and fields."""
from __future__ import annotations

import pytest

from kubelet_lite.store import Compacted, FutureRevision, table
from tests.store.things import NODE, Thing, delete, names, new_store, pod, put


def test_a_list_is_in_the_order_of_namespace_and_name() -> None:
    store = new_store()
    for namespace, name in (("b", "x"), ("a", "y"), ("a", "x"), ("a-b", "x"), ("B", "x")):
        put(store, pod(name, namespace))
    places = [(thing.metadata.namespace, thing.metadata.name) for thing in store.list("pods").items]
    assert places == sorted(places)
    assert names(store.list("pods", "a").items) == ["x", "y"]


def test_pages_say_how_many_follow() -> None:
    store = new_store()
    for i in range(5):
        put(store, pod(f"pod-{i}"))
    first = store.list("pods", limit=2)
    assert (names(first.items), first.more, first.remaining) == (["pod-0", "pod-1"], True, 3)
    last = store.list("pods", after=("default", "pod-2"), limit=2)
    assert (names(last.items), last.more, last.remaining) == (["pod-3", "pod-4"], False, 0)


def test_pages_go_on_behind_a_name_or_namespace_that_is_gone() -> None:
    store = new_store()
    for namespace in ("a", "c"):
        put(store, pod("x", namespace))
    assert names(store.list("pods", after=("a", "y")).items) == ["x"]
    assert names(store.list("pods", after=("b", "z")).items) == ["x"]
    assert names(store.list("pods", "c", after=("b", "z")).items) == ["x"]
    assert store.list("pods", "a", after=("b", "z")).items == ()


def test_the_pages_of_a_list_show_one_revision() -> None:
    store = new_store()
    before = [put(store, pod(name)) for name in ("a", "b", "c", "d")]
    first = store.list("pods", limit=2)
    delete(store, pod("c"))
    put(store, pod("bb"))
    put(store, pod("d"), 1)
    second = store.list("pods", revision=first.revision, after=("default", "b"), limit=2)
    assert [*first.items, *second.items] == before
    assert (second.revision, second.more) == (first.revision, False)


def test_a_page_of_a_snapshot_is_never_the_last_before_all_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when too much has happened to count what remains."""
    monkeypatch.setattr(table, "COUNTED_EVENTS", 2)
    store = new_store()
    before = [put(store, pod(f"pod-{i}")) for i in range(9)]
    revision = store.revision
    for i in range(9):
        delete(store, pod(f"pod-{i}"))
    found: list[Thing] = []
    after, more = None, True
    while more:
        page = store.list("pods", revision=revision, after=after, limit=2)
        found += page.items
        after, more = ("default", page.items[-1].metadata.name), page.more
        assert page.remaining or not more
    assert found == before


@pytest.mark.parametrize("sorted_places", [0, 5_000])
def test_a_field_selects_with_and_without_its_index(sorted_places: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "SORTED_PLACES", sorted_places)
    store = new_store()
    for i in range(6):
        put(store, pod(f"pod-{i}", "ab"[i % 2]), node=f"n{i % 3}")
    put(store, pod("pod-0", "a"), node="n1")
    assert names(store.list("pods", field=(NODE, "n1")).items) == ["pod-0", "pod-4", "pod-1"]
    assert names(store.list("pods", "b", field=(NODE, "n1")).items) == ["pod-1"]
    assert store.list("pods", field=(NODE, "n9")).items == ()
    page = store.list("pods", field=(NODE, "n1"), limit=2)
    assert (names(page.items), page.more, page.remaining) == (["pod-0", "pod-4"], True, None)
    rest = store.list("pods", field=(NODE, "n1"), after=("a", "pod-4"), limit=1)
    assert (names(rest.items), rest.more) == (["pod-1"], False)


def test_an_index_finds_what_was_there_before_it() -> None:
    store = new_store()
    put(store, pod("a", resource="things"), node="n1")
    store.add_index("things", NODE, lambda thing: thing.node)
    assert names(store.list("things", field=(NODE, "n1")).items) == ["a"]


def test_what_is_not_kept_and_what_has_not_happened_is_refused() -> None:
    store = new_store()
    for _ in range(4):
        put(store, pod("a"))
    put(store, pod("b", resource="things"))
    store.compact(4)
    assert store.compacted == 4
    with pytest.raises(Compacted, match="begins at revision 4: 3 is too old"):
        store.get(pod("a"), 3)
    with pytest.raises(FutureRevision, match="revision 7 has not happened: the store is at 6"):
        store.list("pods", revision=7)
    assert store.get(pod("a"), 4) is not None
    assert store.list("things", revision=1).items == (), "whose history is whole can be read from its beginning"
    assert store.get(pod("a", resource="unknown"), 1) is None
