"""What the state machine does not look at: how often watchers wake, what they cost, and misuse."""
from __future__ import annotations

from collections.abc import Sequence

import anyio
import pytest

from kubelet_lite.simulation.virtual.environment import SimulatedEnvironment
from kubelet_lite.simulation.virtual.run import simulate
from kubelet_lite.store import Compacted, Event, Store, WatchChannel
from tests.store.things import NODE, delete, names, new_store, pod, put


class Reader:
    """Reads a watch in a task and notes its batches."""

    def __init__(self, channel: WatchChannel) -> None:
        self.channel = channel
        self.batches: list[list[str]] = []

    async def run(self) -> None:
        while True:
            self.batches.append(names_of(await self.channel.next_batch()))


def names_of(batch: object) -> list[str]:
    assert isinstance(batch, list)
    return [event.key.name for event in batch]


async def reading(store: Store, readers: list[Reader], *rounds: list[str]) -> None:
    """Writes the pods of each round in one turn of the loop."""
    async with anyio.create_task_group() as group:
        for reader in readers:
            group.start_soon(reader.run)
        await anyio.sleep(1)
        for round_ in rounds:
            for name in round_:
                put(store, pod(name), node=f"node-{name}")
            await anyio.sleep(1)
        group.cancel_scope.cancel()


def test_the_writes_of_one_turn_are_one_batch() -> None:
    async def main(_: SimulatedEnvironment) -> None:
        store = new_store()
        everything, one_node = Reader(store.watch("pods", after=1)), Reader(store.watch("pods", after=1, field=(NODE, "node-b")))
        await reading(store, [everything, one_node], ["a", "b", "c"], ["b"])
        assert everything.batches == [["a", "b", "c"], ["b"]]
        assert one_node.batches == [["b"], ["b"]]

    simulate(0, main)


def test_the_writes_of_a_transaction_are_one_batch() -> None:
    async def main(_: SimulatedEnvironment) -> None:
        store = new_store()
        with store.transaction():
            put(store, pod("a"))
            put(store, pod("b"))
        with store.watch("pods", after=1) as channel:
            assert names_of(await channel.next_batch()) == ["a", "b"]

    simulate(0, main)


def test_a_change_to_a_pod_wakes_only_who_watches_its_node_name_or_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    polled: list[WatchChannel] = []
    poll = WatchChannel.poll

    def noted(self: WatchChannel, limit: int) -> Sequence[Event]:
        polled.append(self)
        return poll(self, limit)

    monkeypatch.setattr(WatchChannel, "poll", noted)

    async def main(_: SimulatedEnvironment) -> None:
        store = new_store()
        by_node = [Reader(store.watch("pods", after=1, field=(NODE, f"node-{i}"))) for i in range(1_000)]
        by_name = [Reader(store.watch("pods", after=1, name=str(i))) for i in range(1_000)]
        other = Reader(store.watch("pods", after=1, namespace="other"))
        await reading(store, [*by_node, *by_name, other], ["7"])
        assert polled == [by_name[7].channel, by_node[7].channel]

    simulate(0, main)


def test_a_pod_that_moves_is_seen_to_leave_and_to_come() -> None:
    store = new_store()
    with store.watch("pods", after=1, field=(NODE, "")) as unassigned, store.watch("pods", after=1, field=(NODE, "n1")) as node:
        created = put(store, pod("a"))
        bound = put(store, pod("a"), node="n1")
        final = delete(store, pod("a"))
        assert [(event.object, event.previous) for event in unassigned.poll()] == [(created, None), (bound, created)]
        assert [(event.object, event.previous, event.final) for event in node.poll()] == [(bound, created, None), (None, bound, final)]


def test_a_slow_watcher_is_told_after_compaction_and_keeps_nobody_else() -> None:
    store = new_store()
    slow, quick, elsewhere = store.watch("pods", after=1), store.watch("pods", after=1), store.watch("pods", after=1, field=(NODE, "n1"))
    for i in range(3):
        put(store, pod("a"), i)
    assert len(quick.poll()) == 3
    store.compact(3)
    with pytest.raises(Compacted, match="the history of pods begins at revision 3: 1 is too old"):
        slow.poll()
    put(store, pod("a"), node="n1")
    assert len(quick.poll()) == 1
    assert len(elsewhere.poll()) == 1, "compaction took nothing that it watches"


def test_a_stream_ends_with_its_last_reader() -> None:
    store = new_store()
    first, second = store.watch("pods", after=1, name="a"), store.watch("pods", after=1, name="a")
    log = store._tables["pods"].log
    first.close()
    first.close()
    assert log.readers == 1
    second.close()
    assert (log.readers, log._watched) == (0, 0)
    with pytest.raises(anyio.ClosedResourceError):
        second.poll()


def test_reading_lets_others_run_also_when_there_is_always_something_to_read() -> None:
    async def main(_: SimulatedEnvironment) -> None:
        store = new_store()
        for i in range(100):
            put(store, pod("a"), i)
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await anyio.sleep(0)

        async with anyio.create_task_group() as group:
            group.start_soon(count)
            with store.watch("pods", after=1) as channel:
                for _round in range(100):
                    await channel.next_batch(1)
            group.cancel_scope.cancel()
        assert turns >= 100

    simulate(0, main)


async def wrongly(store: Store) -> None:
    with store.transaction():
        put(store, pod("inside"))
        await anyio.sleep(1)


def test_a_transaction_that_is_awaited_in_is_rolled_back_loudly_and_loses_no_wake_up() -> None:
    async def main(_: SimulatedEnvironment) -> None:
        store = new_store()
        reader = Reader(store.watch("pods", after=1))
        async with anyio.create_task_group() as group:
            group.start_soon(reader.run)
            await anyio.sleep(1)
            put(store, pod("before"))
            with pytest.raises(AssertionError, match="awaited inside a transaction"):
                await wrongly(store)
            await anyio.sleep(1)
            group.cancel_scope.cancel()
        assert names(store.list("pods").items) == ["before"]
        assert reader.batches == [["before"]]

    simulate(0, main)


def test_progress_moves_on_without_events_but_not_inside_a_transaction() -> None:
    store = new_store()
    with store.watch("pods", after=1, name="a") as channel:
        put(store, pod("b"))
        assert channel.progress == 2
        with store.transaction():
            put(store, pod("b"), 1)
            assert channel.progress == 2
        assert channel.progress == 3
        put(store, pod("a"))
        assert channel.progress == 3
        batch = channel.poll()
        assert isinstance(batch[0], Event)
        assert channel.progress == 4


def test_all_events_of_all_resources_come_in_order() -> None:
    store = new_store()
    for resource in ("pods", "things", "pods"):
        put(store, pod("a", resource=resource))
    assert [(event.revision, event.key.resource) for event in store.events(after=2)] == [(3, "things"), (4, "pods")]
