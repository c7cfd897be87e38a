"""Bugs planted in the store on purpose, after those that etcd and kube-apiserver have had (../shared/reliability.md has the numbers).

Each is a function that patches the store's classes. The state machine is trusted because it finds every one of them.
"""
from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable
from operator import attrgetter
from typing import Any, Final

import anyio
import anyio.lowlevel
import pytest
from msgspec.structs import replace

from kubelet_lite.store import retention, store
from kubelet_lite.store.encoded import EncodedCache
from kubelet_lite.store.event import NO_POSITION, Event
from kubelet_lite.store.field_index import FieldIndex
from kubelet_lite.store.log import ALL, EventLog, Stream
from kubelet_lite.store.sorted_names import SortedNames
from kubelet_lite.store.store import Store
from kubelet_lite.store.table import Table
from kubelet_lite.store.transaction import Transaction
from kubelet_lite.store.wakeup import Bell
from kubelet_lite.store.watch import WatchChannel

Mutant = Callable[[pytest.MonkeyPatch], None]
MUTANTS: Final[list[Mutant]] = []

real_poll = WatchChannel.poll
real_put = Table.put
real_delete = Table.delete
real_page = Table.page
real_drop = Table.drop
real_undo = Table.undo
real_log_drop = EventLog.drop
real_prepend = Stream.prepend
real_distribute = EventLog.distribute
real_roll_back = Store._roll_back


def mutant(plant: Mutant) -> Mutant:
    MUTANTS.append(plant)
    return plant


def nothing(*_: Any) -> None:
    pass


# Watch: what is delivered


@mutant
def an_event_is_skipped(patch: pytest.MonkeyPatch) -> None:  # etcd#15220
    patch.setattr(WatchChannel, "poll", lambda self, limit=1000: [event for event in real_poll(self, limit) if event.revision % 5])


@mutant
def events_of_a_batch_are_reordered(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(WatchChannel, "poll", lambda self, limit=1000: real_poll(self, limit)[::-1])


@mutant
def the_last_event_of_a_full_batch_comes_twice(patch: pytest.MonkeyPatch) -> None:
    def poll(self: WatchChannel, limit: int = 1000) -> Any:
        batch = real_poll(self, limit)
        if len(batch) == limit:
            self._position -= 1
            self._seen = batch[-1].revision - 1
        return batch

    patch.setattr(WatchChannel, "poll", poll)


@mutant
def a_batch_is_longer_than_asked_for(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(WatchChannel, "poll", lambda self, limit=1000: real_poll(self, limit + 1))


@mutant
def a_watch_begins_one_event_too_early(patch: pytest.MonkeyPatch) -> None:  # a watcher goes back in time: k#73845
    def position_after(self: Stream, revision: int) -> int:
        return self.base + bisect_left(self.events, revision, key=attrgetter("revision"))

    def init(self: WatchChannel, *arguments: Any) -> None:
        real_init(self, *arguments)
        self._position = position_after(self._stream, self._seen)
        self._seen -= 1

    real_init = WatchChannel.__init__
    patch.setattr(WatchChannel, "__init__", init)


@mutant
def a_watch_begins_one_event_too_late(patch: pytest.MonkeyPatch) -> None:  # k#49956
    real = Stream.position_after
    patch.setattr(Stream, "position_after", lambda self, revision: min(self.end, real(self, revision) + 1))


@mutant
def a_watch_begins_now_whatever_it_asked_for(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Stream, "position_after", lambda self, revision: self.end)


@mutant
def an_event_carries_the_wrong_previous_object(patch: pytest.MonkeyPatch) -> None:  # etcd's PrevKV: etcd#19179
    def put(self: Table, *arguments: Any) -> None:
        real_put(self, *arguments)
        event = self.log.all.events[-1]
        if event.previous is not None:
            self.log.all.events[-1] = replace(event, previous=event.object)

    patch.setattr(Table, "put", put)


@mutant
def an_update_forgets_the_previous_object(patch: pytest.MonkeyPatch) -> None:
    def put(self: Table, *arguments: Any) -> None:
        real_put(self, *arguments)
        self.log.all.events[-1] = replace(self.log.all.events[-1], previous=None)

    patch.setattr(Table, "put", put)


@mutant
def a_deletion_carries_the_old_revision(patch: pytest.MonkeyPatch) -> None:  # k#58545
    def delete(self: Table, *arguments: Any) -> None:
        real_delete(self, *arguments)
        event = self.log.all.events[-1]
        self.log.all.events[-1] = replace(event, final=event.previous)

    patch.setattr(Table, "delete", delete)


@mutant
def a_deletion_has_the_revision_of_the_change_before(patch: pytest.MonkeyPatch) -> None:
    def delete(self: Table, *arguments: Any) -> None:
        real_delete(self, *arguments)
        event = self.log.all.events[-1]
        self.log.all.events[-1] = replace(event, revision=event.revision - 1)

    patch.setattr(Table, "delete", delete)


@mutant
def a_deletion_makes_no_event(patch: pytest.MonkeyPatch) -> None:  # k#123072
    def delete(self: Table, *arguments: Any) -> None:
        real_delete(self, *arguments)
        key = self.log.all.events.pop().key
        namespace = self._namespaces[key.namespace]
        namespace.newest.pop(key.name)
        namespace.ghosts.remove(key.name)

    patch.setattr(Table, "delete", delete)


# Watch: filters


@mutant
def a_filter_leaks(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(store, "_selector", lambda namespace, name, field: ALL)


@mutant
def a_second_filter_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Store, "_filter", nothing)


@mutant
def what_leaves_a_filter_is_not_seen_to_leave(patch: pytest.MonkeyPatch) -> None:
    def distribute(self: EventLog) -> None:
        kept = list(self.all.events)
        self.all.events[:] = [event if event.object is None else replace(event, previous=None) for event in kept]
        before = {id(changed): event for changed, event in zip(self.all.events, kept, strict=True)}
        real_distribute(self)
        for streams in self._streams.values():
            for stream in streams.values():
                stream.events[:] = [before.get(id(event), event) for event in stream.events]
        self.all.events[:] = kept

    patch.setattr(EventLog, "distribute", distribute)


@mutant
def a_filtered_watch_does_not_see_what_happened_before_it(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(EventLog, "_between", lambda self, after, through: [])


@mutant
def a_filtered_watch_sees_the_past_twice(patch: pytest.MonkeyPatch) -> None:  # k#73845
    def prepend(self: Stream, events: list[Event], since: int) -> None:
        before = self.since
        real_prepend(self, events, since)
        self.since = before

    patch.setattr(Stream, "prepend", prepend)


@mutant
def an_older_watch_moves_the_cursors_of_others(patch: pytest.MonkeyPatch) -> None:
    def prepend(self: Stream, events: list[Event], since: int) -> None:
        real_prepend(self, events, since)
        self.base += len(events)

    patch.setattr(Stream, "prepend", prepend)


@mutant
def closing_one_watch_takes_the_stream_from_another(patch: pytest.MonkeyPatch) -> None:
    def close(self: EventLog, selector: Any, stream: Stream) -> None:
        if selector != ALL and self._streams[selector[0]].pop(selector[1], None) is not None:
            self._watched -= 1

    patch.setattr(EventLog, "close", close)


# Watch: waking and waiting


@mutant
def only_watchers_of_everything_are_woken(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(EventLog, "wake", lambda self: self.all.wake())


@mutant
def watchers_of_everything_are_not_woken(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(EventLog, "wake", lambda self: self.distribute())


@mutant
def a_stream_that_another_reader_has_filled_wakes_nobody(patch: pytest.MonkeyPatch) -> None:
    real_wake = EventLog.wake

    def distribute(self: EventLog) -> None:
        with pytest.MonkeyPatch.context() as quiet:
            quiet.setattr(Stream, "wake", nothing)
            real_distribute(self)

    def wake(self: EventLog) -> None:
        patch.setattr(EventLog, "distribute", real_distribute)
        real_wake(self)
        patch.setattr(EventLog, "distribute", distribute)

    patch.setattr(EventLog, "wake", wake)
    patch.setattr(EventLog, "distribute", distribute)


@mutant
def a_wake_up_is_lost_when_nobody_has_slept_since(patch: pytest.MonkeyPatch) -> None:
    def wake(self: EventLog) -> None:
        self.attended = False
        self.distribute()
        self.all.wake()

    patch.setattr(EventLog, "wake", wake)


@mutant
def the_bell_rings_for_the_first_log_of_a_turn_only(patch: pytest.MonkeyPatch) -> None:
    real_ring = Bell.ring
    patch.setattr(Bell, "ring", lambda self, changed: None if self._logs else real_ring(self, changed))


@mutant
def a_delete_wakes_nobody(patch: pytest.MonkeyPatch) -> None:
    real = Store.delete

    def delete(self: Store, *arguments: Any, **expected: Any) -> int:
        with pytest.MonkeyPatch.context() as quiet:
            quiet.setattr(Bell, "ring", nothing)
            return real(self, *arguments, **expected)

    patch.setattr(Store, "delete", delete)


@mutant
def waiting_that_is_cancelled_loses_events(patch: pytest.MonkeyPatch) -> None:
    async def next_batch(self: WatchChannel, limit: int = 1000) -> Any:
        batch = self.poll(limit)
        await anyio.lowlevel.checkpoint()
        return batch or await real_next_batch(self, limit)

    real_next_batch = WatchChannel.next_batch
    patch.setattr(WatchChannel, "next_batch", next_batch)


@mutant
def one_who_is_cancelled_takes_all_sleepers_along(patch: pytest.MonkeyPatch) -> None:
    async def next_batch(self: WatchChannel, limit: int = 1000) -> Any:
        try:
            return await real_next_batch(self, limit)
        except BaseException:
            self._stream.sleepers.clear()
            raise

    real_next_batch = WatchChannel.next_batch
    patch.setattr(WatchChannel, "next_batch", next_batch)


@mutant
def a_watch_that_is_closed_leaves_its_reader_waiting(patch: pytest.MonkeyPatch) -> None:
    def close(self: WatchChannel) -> None:
        self._waiter = None
        real_close(self)

    real_close = WatchChannel.close
    patch.setattr(WatchChannel, "close", close)


# Watch: progress


@mutant
def progress_runs_ahead_of_what_was_delivered(patch: pytest.MonkeyPatch) -> None:  # etcd#15220
    patch.setattr(WatchChannel, "progress", property(lambda self: self._head.revision))


@mutant
def progress_stands_still_while_nothing_matches(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(WatchChannel, "progress", property(lambda self: self._seen))


@mutant
def progress_goes_back(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(WatchChannel, "progress", property(lambda self: self._seen if self._is_behind() else self._head.revision))


# Writes


@mutant
def an_update_does_not_look_at_the_revision(patch: pytest.MonkeyPatch) -> None:
    def put(self: Table, key: Any, obj: Any, revision: int, expected: int) -> None:
        current = self.get(key)
        if current is not None and expected:
            expected = int(current.metadata.resourceVersion)
        real_put(self, key, obj, revision, expected)

    patch.setattr(Table, "put", put)


@mutant
def a_create_replaces_what_is_there(patch: pytest.MonkeyPatch) -> None:
    def put(self: Table, key: Any, obj: Any, revision: int, expected: int) -> None:
        current = self.get(key)
        if current is not None and not expected:
            expected = int(current.metadata.resourceVersion)
        real_put(self, key, obj, revision, expected)

    patch.setattr(Table, "put", put)


@mutant
def an_update_creates_what_is_gone(patch: pytest.MonkeyPatch) -> None:  # k#104648
    patch.setattr(
        Table, "put", lambda self, key, obj, revision, expected: real_put(self, key, obj, revision, expected if self.get(key) is not None else 0),
    )


@mutant
def a_delete_does_not_look_at_the_revision(patch: pytest.MonkeyPatch) -> None:
    def delete(self: Table, key: Any, final: Any, revision: int, expected: int) -> None:
        current = self.get(key)
        real_delete(self, key, final, revision, int(current.metadata.resourceVersion) if current is not None else expected)

    patch.setattr(Table, "delete", delete)


@mutant
def a_refused_write_takes_a_revision(patch: pytest.MonkeyPatch) -> None:
    def put(self: Store, key: Any, obj: Any, *, expected: int) -> int:
        try:
            return real(self, key, obj, expected=expected)
        except Exception:
            self._head.revision += 1
            raise

    real = Store.put
    patch.setattr(Store, "put", put)


@mutant
def a_create_does_not_keep_its_object(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(SortedNames, "add", nothing)


# Transactions


@mutant
def a_failed_transaction_is_not_rolled_back(patch: pytest.MonkeyPatch) -> None:  # etcd#14685
    patch.setattr(Store, "_roll_back", nothing)


@mutant
def a_failed_transaction_keeps_its_revisions(patch: pytest.MonkeyPatch) -> None:
    def roll_back(self: Store, start: int) -> None:
        revision = self._head.revision
        real_roll_back(self, start)
        self._head.revision = revision

    patch.setattr(Store, "_roll_back", roll_back)


@mutant
def only_the_last_write_of_a_transaction_is_rolled_back(patch: pytest.MonkeyPatch) -> None:
    def roll_back(self: Store, start: int) -> None:
        if self._head.revision > start:
            real_roll_back(self, self._head.revision - 1)

    patch.setattr(Store, "_roll_back", roll_back)


@mutant
def a_failed_savepoint_rolls_back_its_transaction(patch: pytest.MonkeyPatch) -> None:
    starts: list[int] = []
    real_enter = Transaction.__enter__

    def enter(self: Transaction) -> None:
        real_enter(self)
        if self._head.depth == 1:
            starts[:] = [self._start]
        self._start = starts[0]

    patch.setattr(Transaction, "__enter__", enter)


@mutant
def rolling_back_leaves_the_index_as_it_was(patch: pytest.MonkeyPatch) -> None:
    def undo(self: Table) -> None:
        indexes, self.indexes = self.indexes, {}
        real_undo(self)
        self.indexes = indexes

    patch.setattr(Table, "undo", undo)


@mutant
def rolling_back_forgets_the_history_of_what_was_deleted(patch: pytest.MonkeyPatch) -> None:
    def undo(self: Table) -> None:
        key = self.log.all.events[-1].key
        real_undo(self)
        namespace = self._namespaces.get(key.namespace)
        if namespace is not None and key.name in namespace.newest:
            del namespace.newest[key.name]
            if key.name not in namespace.objects:
                namespace.ghosts.remove(key.name)

    patch.setattr(Table, "undo", undo)


# Reads


@mutant
def a_list_of_a_revision_shows_the_present(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Table, "_changed_since", lambda self, revision: False)


@mutant
def a_snapshot_is_one_revision_early(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Table, "_value_at", lambda self, namespace, name, revision: real_value_at(self, namespace, name, revision - 1))


@mutant
def a_snapshot_is_one_revision_late(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Table, "_value_at", lambda self, namespace, name, revision: real_value_at(self, namespace, name, revision + 1))


real_value_at = Table._value_at


@mutant
def a_snapshot_looks_back_one_change_only(patch: pytest.MonkeyPatch) -> None:
    def put(self: Table, *arguments: Any) -> None:
        real_put(self, *arguments)
        self.log.all.events[-1] = replace(self.log.all.events[-1], prior=NO_POSITION)

    patch.setattr(Table, "put", put)


@mutant
def a_snapshot_does_not_list_what_has_been_deleted_since(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Table, "_names_ever", lambda self, namespace, after: namespace.names.runs(after))


@mutant
def a_snapshot_lists_twice_what_was_made_again(patch: pytest.MonkeyPatch) -> None:
    def put(self: Table, key: Any, *arguments: Any) -> None:
        namespace = self._namespaces.get(key.namespace)
        was_ghost = namespace is not None and key.name in namespace.newest and key.name not in namespace.objects
        real_put(self, key, *arguments)
        if was_ghost:
            self._namespaces[key.namespace].ghosts.add(key.name)

    patch.setattr(Table, "put", put)


@mutant
def the_future_can_be_read(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(store, "FutureRevision", type("Never", (Exception,), {"__init__": nothing}))
    patch.setattr(Store, "_check_kept", lambda self, table, revision: real_check_kept(self, table, min(revision, self._head.revision)))


real_check_kept = Store._check_kept


@mutant
def a_page_begins_with_the_last_item_of_the_one_before(patch: pytest.MonkeyPatch) -> None:
    def runs(self: SortedNames, after: str | None = None) -> Any:
        for run in real_runs(self):
            names = [name for name in run if after is None or name >= after]
            if names:
                yield names

    real_runs = SortedNames.runs
    patch.setattr(SortedNames, "runs", runs)


@mutant
def a_page_that_is_just_full_claims_that_there_is_more(patch: pytest.MonkeyPatch) -> None:
    def page(self: Table, namespace: str, after: Any, limit: int, revision: int) -> Any:
        found = real_page(self, namespace, after, limit, revision)
        return replace(found, more=found.more or (limit > 0 and len(found.items) == limit))

    patch.setattr(Table, "page", page)


@mutant
def a_page_never_says_that_there_is_more(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Table, "page", lambda self, *arguments: replace(real_page(self, *arguments), more=False, remaining=0))


@mutant
def the_rest_of_a_snapshot_is_counted_as_of_now(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Table, "_vanished", lambda self, *arguments: 0)


@mutant
def a_list_leaves_its_namespace(patch: pytest.MonkeyPatch) -> None:
    real = Table._spans
    patch.setattr(Table, "_spans", lambda self, namespace, after: real(self, "", after))


@mutant
def the_index_keeps_what_has_changed(patch: pytest.MonkeyPatch) -> None:
    real = FieldIndex.changed
    patch.setattr(FieldIndex, "changed", lambda self, namespace, name, old, new: real(self, namespace, name, old, new) if old is None else None)


@mutant
def bytes_are_found_by_revision(patch: pytest.MonkeyPatch) -> None:  # the encoding of a dry run's answer is served for the stored object
    known: dict[tuple[str, str, str], bytes] = {}

    def get(self: EncodedCache, obj: Any, encode: Any) -> bytes:
        metadata = obj.metadata
        return known.setdefault((metadata.namespace, metadata.name, metadata.resourceVersion), encode(obj))

    patch.setattr(EncodedCache, "get", get)


@mutant
def bytes_outlive_their_object(patch: pytest.MonkeyPatch) -> None:
    known: dict[tuple[str, str], bytes] = {}

    def get(self: EncodedCache, obj: Any, encode: Any) -> bytes:
        return known.setdefault((obj.metadata.namespace, obj.metadata.name), encode(obj))

    patch.setattr(EncodedCache, "get", get)


# Compaction


@mutant
def compaction_loses_a_live_object(patch: pytest.MonkeyPatch) -> None:
    def drop(self: Table, count: int) -> None:
        keys = [event.key for event in self.log.all.events[:count] if event.object is not None]
        real_drop(self, count)
        for key in keys[:1]:
            namespace = self._namespaces.get(key.namespace)
            if namespace is not None and key.name not in namespace.newest and key.name in namespace.objects:
                del namespace.objects[key.name]
                namespace.names.remove(key.name)

    patch.setattr(Table, "drop", drop)


@mutant
def compaction_goes_one_event_too_far(patch: pytest.MonkeyPatch) -> None:
    def drop(self: Table, count: int) -> None:
        real_drop(self, min(count + 1, len(self.log.all.events)))

    patch.setattr(Table, "drop", drop)


@mutant
def compaction_forgets_how_far_it_went(patch: pytest.MonkeyPatch) -> None:
    def drop(self: EventLog, count: int) -> None:
        compacted = self.compacted
        real_log_drop(self, count)
        self.compacted = compacted

    patch.setattr(EventLog, "drop", drop)


@mutant
def compaction_says_one_revision_too_little(patch: pytest.MonkeyPatch) -> None:
    def drop(self: EventLog, count: int) -> None:
        real_log_drop(self, count)
        if count:
            self.compacted -= 1

    patch.setattr(EventLog, "drop", drop)


@mutant
def a_watch_that_was_overtaken_goes_on_behind_the_gap(patch: pytest.MonkeyPatch) -> None:  # etcd#18089
    def poll(self: WatchChannel, limit: int = 1000) -> Any:
        self._position = max(self._position, self._stream.base)
        return real_poll(self, limit)

    patch.setattr(WatchChannel, "poll", poll)


@mutant
def compaction_moves_the_cursors_of_filtered_watches(patch: pytest.MonkeyPatch) -> None:
    def drop(self: Stream, count: int) -> None:
        del self.events[:count]

    patch.setattr(Stream, "drop", drop)


@mutant
def compaction_drops_what_filtered_watches_have_not_been_handed(patch: pytest.MonkeyPatch) -> None:
    def drop(self: EventLog, count: int) -> None:
        with pytest.MonkeyPatch.context() as early:
            early.setattr(EventLog, "distribute", lambda self: setattr(self, "_distributed", self.all.end))
            real_log_drop(self, count)

    patch.setattr(EventLog, "drop", drop)


@mutant
def a_watch_from_before_the_compaction_is_let_in(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Store, "_check_kept", lambda self, table, revision: real_check_kept(self, table, max(revision, table.log.compacted)))


@mutant
def what_is_young_is_taken_for_old(patch: pytest.MonkeyPatch) -> None:
    real = retention.Marks.outlived
    patch.setattr(retention.Marks, "outlived", lambda self, now: real(self, now + 50.0))


@mutant
def history_is_too_short_by_one(patch: pytest.MonkeyPatch) -> None:
    real = retention.surplus
    patch.setattr(store, "surplus", lambda changed, outlived, limits: real(changed, outlived, replace(limits, history_events=limits.history_events - 1)))


def sentence(plant: Mutant) -> str:
    return re.sub("_", " ", plant.__name__)
