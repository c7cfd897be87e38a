"""A store that is put where another one stood: at a later revision, and at an earlier one."""
from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from kubelet_lite.store import Compacted, FutureRevision, Key, Store, WatchChannel
from tests.store.things import NODE, Metadata, Thing, delete, names, new_store, pod, put


def things(*placed: tuple[str, int, str]) -> list[tuple[Key, Thing]]:
    return [(pod(name), Thing(Metadata(name, "default", str(revision)), node=node)) for name, revision, node in placed]


def restored(store: Store) -> Store:
    store.restore(things(("b", 40, "n1"), ("a", 50, "n2"), ("c", 51, "n1")), 51)
    return store


def test_it_holds_the_objects_and_stands_at_the_revision() -> None:
    store = new_store()
    put(store, pod("old"))
    put(store, Key("nodes", "", "n1"))
    restored(store)
    assert store.revision == 51
    assert names(store.list("pods").items) == ["a", "b", "c"]
    assert names(store.list("pods", field=(NODE, "n1")).items) == ["b", "c"]
    assert store.get(pod("old")) is None
    assert store.count("nodes") == 0
    assert store.mod_revision(pod("b")) == 40
    assert store.changed("pods") == 51


def test_it_goes_on_from_there() -> None:
    store = restored(new_store())
    put(store, pod("b"), 7, node="n2")
    delete(store, pod("c"))
    assert store.revision == 53
    assert names(store.list("pods", field=(NODE, "n2")).items) == ["a", "b"]
    assert names(store.list("pods", revision=51).items) == ["a", "b", "c"]


def test_what_was_before_and_what_is_not_yet_is_refused() -> None:
    store = new_store()
    for _ in range(60):
        put(store, pod("old"))
    restored(store)
    with pytest.raises(Compacted):
        store.get(pod("a"), 50)
    with pytest.raises(FutureRevision):
        store.list("pods", revision=52)


async def test_whoever_watched_has_lost_its_place_wherever_it_stood() -> None:
    store = new_store()
    first = put(store, pod("old"), node="n1")
    channels = [
        store.watch("pods", after=1), store.watch("pods", after=2), store.watch("pods", after=1, field=(NODE, "n1")),
        store.watch("pods", after=2, namespace="default"), store.watch("pods", after=2, name="old"),
    ]
    assert [event.object for event in channels[2].poll()] == [first]
    restored(store)
    put(store, pod("old"), node="n1")
    for channel in channels:
        with pytest.raises(Compacted):
            channel.poll()
        channel.close()


async def loses_its_place(channel: WatchChannel) -> None:
    with pytest.raises(Compacted):
        await channel.next_batch()


async def test_whoever_waits_is_woken() -> None:
    store = new_store()
    with store.watch("pods", after=1) as channel, store.watch("pods", after=1, field=(NODE, "n1")) as selected:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(loses_its_place, channel)
            tasks.start_soon(loses_its_place, selected)
            await anyio.lowlevel.checkpoint()
            restored(store)


async def test_a_new_watch_sees_what_follows() -> None:
    store = restored(new_store())
    with store.watch("pods", after=51) as channel, store.watch("pods", after=51, field=(NODE, "n1")) as selected:
        put(store, pod("d"), node="n1")
        put(store, pod("e"), node="n2")
        assert [event.key.name for event in channel.poll()] == ["d", "e"]
        assert [event.key.name for event in selected.poll()] == ["d"]


def test_limits_hold_after_going_back() -> None:
    store = new_store(history_events=10)
    for _ in range(3000):
        put(store, pod("old"))
    restored(store)
    for _ in range(3000):
        put(store, pod("a"))
    store.enforce_limits()
    assert store.revision == 3051
    assert store.compacted > 51
    assert names(store.list("pods").items) == ["a", "b", "c"]
