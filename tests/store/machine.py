"""Every Watch and Write contract of the store against a naive model, in whatever order Hypothesis thinks of.

Watchers are read in all ways: polled, waited for in a task, cancelled, resumed from their progress; lists are paged through while the
store is written to; transactions fail half way. https://etcd.io/docs/latest/learning/api_guarantees/
"""
from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import anyio
import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from kubelet_lite.store import Compacted, Event, FutureRevision, Key, Limits, Stale, Store, WatchChannel, stamped
from tests.store.model import Change, Model
from tests.store.things import NODE, Metadata, Thing, node_of

RESOURCES = ("pods", "things")
NAMESPACES = ("a", "b")
NAMES = ("x", "y", "z")
NODES = ("", "n1", "n2")
KEYS = [Key(resource, namespace, name) for resource in RESOURCES for namespace in NAMESPACES for name in NAMES]
LIMITS = Limits(history_age_seconds=100.0, history_events=8, encoded_bytes=2_000)
TURNS = 5
"""Turns of the event loop in which everybody who is to wake has woken."""

PODS = [key for key in KEYS if key.resource == "pods"]
WRITES = [(key, node) for key in (*PODS, *KEYS) for node in (*NODES, *NODES, None, None)]
"""To which key, on which node; without a node a delete."""

keys = st.sampled_from((*PODS, *KEYS))
resources = st.sampled_from(("pods", *RESOURCES))
namespaces = st.sampled_from(("", "", *NAMESPACES))
# Counted back from the present revision: mostly the near past, now and then the future.
AGES = (0, 1, 2, 3, 4, 0, 1, 2, 3, 4, -1, 6, 10, 20, 40)
ages = st.sampled_from(AGES)
limits = st.integers(1, 4)
writes = st.lists(st.sampled_from(WRITES), min_size=2, max_size=10)
# Writes of one turn of the event loop, and whether somebody else looks at the streams before it is over.
rounds = st.lists(st.tuples(st.lists(st.sampled_from(WRITES), min_size=1, max_size=3), st.booleans()), max_size=4)
encode = msgspec.json.encode


Selection = tuple[str, str, str, str | None]
SELECTIONS: list[Selection] = [
    ("pods", "", "", None), ("things", "", "", None), ("pods", "a", "", None), ("pods", "", "", "n1"), ("pods", "", "x", None),
    ("pods", "a", "x", None), ("pods", "a", "", "n1"), ("pods", "", "x", "n1"),
]
"""What is watched: resource, namespace, name, node."""
Writes = list[tuple[Key, str | None]]


class Failed(Exception):
    """A transaction goes wrong."""


class Watcher:
    """A channel and what its reader has been given."""

    def __init__(self, channel: WatchChannel, resource: str, namespace: str, name: str, node: str | None, after: int) -> None:
        self.channel = channel
        self.resource, self.namespace, self.name, self.node = resource, namespace, name, node
        self.seen = after
        self.progress = after
        self.reading: asyncio.Task[Sequence[Event]] | None = None
        self.limit = 0

    def selects(self, change: Change) -> bool:
        return (
            (not self.namespace or change.key.namespace == self.namespace)
            and (not self.name or change.key.name == self.name)
            and (self.node is None or any(obj is not None and obj.node == self.node for obj in (change.object, change.previous)))
        )

    @property
    def is_filtered_twice(self) -> bool:
        return bool(self.namespace) + bool(self.name) + (self.node is not None) > 1


class StoreMachine(RuleBasedStateMachine):
    watchers: Bundle[Watcher] = Bundle("watchers")

    def __init__(self) -> None:
        super().__init__()
        self.time = 0.0
        self.loop = asyncio.new_event_loop()
        self.model = Model()
        self.noted: list[tuple[float, int]] = []
        """Time and revision, whenever time has passed."""
        self.open: list[Watcher] = []
        self.serial = 0
        self.store = self.make_store()
        self.store.add_index("pods", NODE, node_of)

    def make_store(self) -> Store:
        return Store(LIMITS, now=lambda: self.time)

    def teardown(self) -> None:
        tasks = [watcher.reading for watcher in self.open if watcher.reading is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            self.loop.run_until_complete(asyncio.wait(tasks))
        self.loop.close()

    # Writes

    @rule(writes=writes)
    def write(self, writes: Writes) -> None:
        for write in writes:
            self.do_write(*write)

    def do_write(self, key: Key, node: str | None) -> None:
        current = self.model.at().get(key)
        expected = int(current.metadata.resourceVersion) if current is not None else 0
        revision = self.model.revision + 1
        assert self.store.next_revision == revision
        self.serial += 1
        obj = Thing(Metadata(key.name, key.namespace, str(revision)), self.serial, node or "")
        if node is not None:
            assert self.store.put(key, obj, expected=expected) == revision
            self.model.write(key, obj)
        elif current is not None:
            final = stamped(current, revision)
            assert self.store.delete(key, expected=expected, final=final) == revision
            self.model.write(key, None, final)

    @rule(key=keys, age=ages, deletes=st.booleans())
    def write_with_another_revision_is_refused(self, key: Key, age: int, deletes: bool) -> None:
        current = self.model.at().get(key)
        at = int(current.metadata.resourceVersion) if current is not None else 0
        expected = max(0, self.model.revision - age)
        if expected == at:
            expected = 0 if at else 1
        obj = Thing(Metadata(key.name, key.namespace, str(self.store.next_revision)))
        try:
            if deletes:
                self.store.delete(key, expected=expected, final=obj)
            else:
                self.store.put(key, obj, expected=expected)
        except Stale as error:
            assert error.current == at
        else:
            raise AssertionError(f"{key} at {at} was written with {expected} expected")

    @rule(first=writes, inner=writes, inner_fails=st.booleans(), fails=st.booleans())
    def transaction(self, first: Writes, inner: Writes, inner_fails: bool, fails: bool) -> None:
        before = list(self.model.changes)
        try:
            with self.store.transaction():
                for write in first:
                    self.do_write(*write)
                between = list(self.model.changes)
                try:
                    with self.store.transaction():
                        for write in inner:
                            self.do_write(*write)
                        self.everything_live_is_there()
                        if inner_fails:
                            raise Failed
                except Failed:
                    self.model.changes = between
                self.everything_live_is_there()
                if fails:
                    raise Failed
        except Failed:
            self.model.changes = before

    # Reads

    @invariant()
    def everything_live_is_there(self) -> None:
        assert self.store.revision == self.model.revision
        state = self.model.at()
        for key in KEYS:
            obj = state.get(key)
            assert self.store.get(key) is obj
            assert self.store.mod_revision(key) == (int(obj.metadata.resourceVersion) if obj is not None else 0)
        for resource in RESOURCES:
            expected = self.model.listed(resource, "", self.model.revision, None)
            assert same(self.store.list(resource).items, expected)
            assert self.store.count(resource) == len(expected)

    @rule(
        resource=resources, namespace=namespaces, node=st.sampled_from((None, None, *NODES)), age=st.sampled_from((*AGES, None, None, None, None)),
        limit=st.sampled_from((1, 1, 2, 3)), between=st.lists(writes, max_size=2),
    )
    def read(self, resource: str, namespace: str, node: str | None, age: int | None, limit: int, between: list[Writes]) -> None:
        """Everything as of one revision, and a list in pages whatever is written between them."""
        revision = max(0, self.model.revision - age) if age is not None else None
        field = (NODE, node) if node is not None and resource == "pods" else None
        if revision is not None and not self.is_readable(resource, revision, lambda: self.store.list(resource, revision=revision)):
            return
        at = revision if revision is not None else self.model.revision
        state = self.model.at(at)
        for key in KEYS:
            if key.resource == resource:
                assert self.store.get(key, at) is state.get(key)
        rest = self.model.listed(resource, namespace, at, field and field[1])
        whole = self.store.list(resource, namespace, revision=revision, field=field)
        assert (whole.revision, whole.more) == (at, False)
        assert same(whole.items, rest)
        after = None
        while True:
            page = self.store.list(resource, namespace, revision=revision, after=after, limit=limit, field=field)
            assert page.revision == at
            assert same(page.items, rest[:limit])
            rest = rest[limit:]
            assert page.more == bool(rest)
            assert page.remaining == (None if field else len(rest))
            if not rest:
                break
            after = (page.items[-1].metadata.namespace, page.items[-1].metadata.name)
            revision = at
            self.write(between.pop() if between else [])

    def is_readable(self, resource: str, revision: int, read: Callable[[], Any]) -> bool:
        """Whether a revision is kept; checks that the store says the same."""
        try:
            read()
        except FutureRevision:
            assert revision > self.model.revision
            return False
        except Compacted as error:
            assert revision < self.model.floor(resource) == error.compacted
            return False
        assert self.model.floor(resource) <= revision <= self.model.revision
        return True

    @rule()
    def encode(self) -> None:
        """The bytes of an object are its own, also where another one claims its revision."""
        for obj in self.model.at().values():
            for asked in (obj, msgspec.structs.replace(obj, value=-1), obj):
                assert self.store.encoded(asked, encode) == encode(asked)

    # Watches

    @initialize(target=watchers)
    def watch_from_the_beginning(self) -> Any:
        return multiple(self.do_watch(*SELECTIONS[0], self.model.revision), self.do_watch(*SELECTIONS[1], self.model.revision))

    @rule(target=watchers, selection=st.sampled_from(SELECTIONS), ages=st.lists(ages, min_size=1, max_size=3))
    def watch(self, selection: Selection, ages: list[int]) -> Any:
        """Several watch the same, each from another revision on."""
        found = [self.do_watch(*selection, max(0, self.model.revision - age)) for age in ages]
        return multiple(*(watcher for watcher in found if isinstance(watcher, Watcher)))

    @rule(target=watchers, watcher=consumes(watchers), resume_from=st.sampled_from(("what was seen", "the progress", None)))
    def end_a_watch(self, watcher: Watcher, resume_from: str | None) -> Any:
        """Whoever waits is told. Another watch can go on where it ended, or where it was told that it had seen everything."""
        after = self.check_progress(watcher) if resume_from == "the progress" else watcher.seen
        watcher.channel.close()
        self.open.remove(watcher)
        self.turn()
        if watcher.reading is not None:
            assert isinstance(watcher.reading.exception(), anyio.ClosedResourceError)
        if resume_from is None:
            return multiple()
        return self.do_watch(watcher.resource, watcher.namespace, watcher.name, watcher.node, after)

    def do_watch(self, resource: str, namespace: str, name: str, node: str | None, after: int) -> Any:
        field = (NODE, node) if node is not None else None
        channels: list[WatchChannel] = []
        if not self.is_readable(
            resource, after, lambda: channels.append(self.store.watch(resource, after=after, namespace=namespace, name=name, field=field)),
        ):
            return multiple()
        watcher = Watcher(channels[0], resource, namespace, name, node, after)
        self.open.append(watcher)
        return watcher

    @rule(limit=limits)
    def poll(self, limit: int) -> None:
        """Everybody who is not waiting reads a little."""
        for watcher in self.open:
            self.check_progress(watcher)
        for watcher in list(self.open):
            if watcher.reading is None:
                try:
                    batch = watcher.channel.poll(limit)
                except Compacted:
                    self.check_overtaken(watcher)
                else:
                    self.check_batch(watcher, batch, limit)

    @rule(limit=st.integers(1, 10), rounds=rounds)
    def wait(self, limit: int, rounds: list[tuple[Writes, bool]]) -> None:
        """Everybody waits for the next events; who has read does not wait again."""
        for watcher in self.open:
            if watcher.reading is None:
                watcher.limit = limit
                watcher.reading = self.loop.create_task(watcher.channel.next_batch(limit))
        self.turn()
        for writes, is_looked_at in rounds:
            self.write(writes)
            for watcher in self.open if is_looked_at else ():
                self.check_progress(watcher)
            self.turn()

    @rule(watcher=watchers, writes=writes, turns=st.integers(0, 4))
    def cancel_while_others_write(self, watcher: Watcher, writes: Writes, turns: int) -> None:
        """At any moment between falling asleep and returning: nothing is lost."""
        self.write(writes)
        if watcher.reading is None:
            watcher.limit = 2
            watcher.reading = self.loop.create_task(watcher.channel.next_batch(watcher.limit))
        for _ in range(turns):
            self.one_turn()
        if watcher.reading.done():
            self.turn()
        else:
            self.cancel(watcher)

    def cancel(self, watcher: Watcher) -> None:
        if watcher.reading is not None:
            task, watcher.reading = watcher.reading, None
            task.cancel()
            self.turn()
            assert task.cancelled()

    def turn(self) -> None:
        """Lets everybody run who can: whoever has something to read has read it, and nobody else wakes."""
        for _ in range(TURNS):
            self.one_turn()
        for watcher in list(self.open):
            task = watcher.reading
            if task is None:
                continue
            if not task.done():
                self.check_batch(watcher, (), watcher.limit)
                continue
            watcher.reading = None
            if isinstance(task.exception(), Compacted):
                self.check_overtaken(watcher)
            else:
                assert task.result(), "woken for nothing"
                self.check_batch(watcher, task.result(), watcher.limit)

    def one_turn(self) -> None:
        self.loop.call_soon(self.loop.stop)
        self.loop.run_forever()

    def expected(self, watcher: Watcher) -> list[Change]:
        return self.model.changes_of(watcher.resource, watcher.seen, watcher.selects)

    def check_batch(self, watcher: Watcher, batch: Sequence[Event], limit: int) -> None:
        """Ordered, Unique, Reliable, Filter, PrevKV, DeleteCarriesDeleteRevision: exactly the next changes and no other."""
        expected = self.expected(watcher)
        assert len(batch) <= limit
        assert len(batch) == min(limit, len(expected)) or (watcher.is_filtered_twice and batch)
        for event, change in zip(batch, expected, strict=False):
            assert change.is_of(event), f"expected {change}, got {event}"
            watcher.seen = event.revision
            assert event.object is not None or (event.final is not None and event.final.metadata.resourceVersion == str(event.revision))

    def check_overtaken(self, watcher: Watcher) -> None:
        """Only who has not read something that is gone is told so. It begins anew: lists, and watches from there."""
        floor = self.model.floor(watcher.resource)
        assert any(watcher.seen < change.revision <= floor for change in self.model.changes_of(watcher.resource, watcher.seen, lambda _: True))
        watcher.channel.close()
        self.open.remove(watcher)
        page = self.store.list(watcher.resource)
        assert same(page.items, self.model.listed(watcher.resource, "", page.revision, None))
        channel = self.do_watch(watcher.resource, watcher.namespace, watcher.name, watcher.node, page.revision)
        self.open.remove(channel)
        watcher.channel, watcher.seen, watcher.progress = channel.channel, page.revision, page.revision
        self.open.append(watcher)

    def check_progress(self, watcher: Watcher) -> int:
        """Bookmarkable, monotone: nothing up to the progress is still to come."""
        progress = watcher.channel.progress
        assert watcher.progress <= progress <= self.model.revision
        expected = self.expected(watcher)
        if expected:
            assert progress < expected[0].revision
        elif not watcher.is_filtered_twice:
            assert progress == self.model.revision
        watcher.progress = progress
        return progress

    # History

    @rule(age=st.integers(0, 12))
    def compact(self, age: int) -> None:
        self.turn()
        revision = max(0, self.model.revision - age)
        self.store.compact(revision)
        for resource in RESOURCES:
            self.model.compact(resource, revision)

    @rule(seconds=st.sampled_from((60.0, 60.0, 101.0)))
    def time_passes(self, seconds: float) -> None:
        """History is kept to its age and number: none that must be kept goes, none that must go stays for long."""
        self.turn()
        self.store.enforce_limits()
        self.noted.append((self.time, self.model.revision))
        self.time += seconds
        assert not self.store.enforce_limits()
        old = max((revision for time, revision in self.noted if time <= self.time - LIMITS.history_age_seconds), default=0)
        for resource in RESOURCES:
            changes = [change.revision for change in self.model.changes_of(resource, 0, lambda _: True)]
            allowed = max([0, *(revision for revision in changes if revision <= old), *changes[:-LIMITS.history_events]])
            required = max([0, *changes[:-LIMITS.history_events]])
            floor = self.floor_of(resource)
            assert self.model.floor(resource) <= floor
            assert required <= floor <= max(allowed, self.model.floor(resource))
            self.model.floors[resource] = floor

    def floor_of(self, resource: str) -> int:
        try:
            self.store.list(resource, revision=0)
        except Compacted as error:
            return error.compacted
        return 0


def same(found: Sequence[Any], expected: Sequence[Any]) -> bool:
    """The very same objects in the same order."""
    return len(found) == len(expected) and all(a is b for a, b in zip(found, expected, strict=True))
