"""The store's actor in virtual time: history ages without writes, Event objects end, a crash loses nothing."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kubelet_lite.actors.supervisor import Supervisor
from kubelet_lite.simulation.virtual.environment import SimulatedEnvironment
from kubelet_lite.simulation.virtual.run import simulate
from kubelet_lite.store import Compacted, Limits, Store, StoreActor, expiry
from kubelet_lite.store.expiry import EVENTS
from tests.store.things import delete, names, pod, put


def event(name: str) -> Any:
    return pod(name, resource=EVENTS)


def run_with_actor(scenario: Callable[[SimulatedEnvironment, Store], Any], **limits: Any) -> None:
    async def main(environment: SimulatedEnvironment) -> None:
        store = Store(Limits(**limits), now=environment.now)
        async with Supervisor(environment) as supervisor:
            supervisor.start(StoreActor(store, environment))
            await scenario(environment, store)

    simulate(0, main)


def test_history_ages_while_nothing_is_written() -> None:
    async def scenario(environment: SimulatedEnvironment, store: Store) -> None:
        put(store, pod("a"))
        put(store, pod("a"), 1)
        await environment.sleep(290)
        assert store.list("pods", revision=2).items
        await environment.sleep(30)
        with pytest.raises(Compacted):
            store.list("pods", revision=2)
        assert names(store.list("pods").items) == ["a"]

    run_with_actor(scenario)


def test_an_event_object_lives_for_its_time_since_it_was_last_written() -> None:
    async def scenario(environment: SimulatedEnvironment, store: Store) -> None:
        put(store, event("once"))
        put(store, event("again"))
        put(store, event("deleted"))
        put(store, pod("a"))
        await environment.sleep(2_000)
        put(store, event("again"), 1)
        delete(store, event("deleted"))
        await environment.sleep(1_500)
        assert names(store.list(EVENTS).items) == ["again", "once"]
        with store.watch(EVENTS, after=store.revision) as channel:
            await environment.sleep(200)
            assert names(store.list(EVENTS).items) == ["again"]
            [expired] = await channel.next_batch()
            assert (expired.object, expired.key.name) == (None, "once")
            assert expired.final is not None
            assert expired.final.metadata.resourceVersion == str(expired.revision)
        await environment.sleep(2_000)
        assert store.count(EVENTS) == 0
        assert store.count("pods") == 1

    run_with_actor(scenario)


def test_of_too_many_event_objects_those_written_longest_ago_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry, "DELETED_AT_ONCE", 2)

    async def scenario(environment: SimulatedEnvironment, store: Store) -> None:
        for i in range(9):
            put(store, event(f"event-{i}"))
        put(store, event("event-0"), 1)
        await environment.sleep(6)
        assert names(store.list(EVENTS).items) == ["event-0", "event-7", "event-8"]

    run_with_actor(scenario, event_objects=3)


def test_expiry_that_was_overtaken_by_compaction_begins_anew() -> None:
    async def scenario(environment: SimulatedEnvironment, store: Store) -> None:
        await environment.sleep(1)
        for i in range(9):
            put(store, event(f"event-{i}"))
        delete(store, event("event-8"))
        store.compact(store.revision)
        await environment.sleep(6)
        assert store.count(EVENTS) == 8
        await environment.sleep(3_700)
        assert store.count(EVENTS) == 0

    run_with_actor(scenario)


def test_what_was_there_before_a_restart_ends_too() -> None:
    async def main(environment: SimulatedEnvironment) -> None:
        store = Store(now=environment.now)
        put(store, event("old"))
        actor = StoreActor(store, environment)
        async with Supervisor(environment) as supervisor:
            supervisor.start(actor)
            await environment.sleep(10)
            await supervisor.stop(actor)
            assert store.statistics()["watchers"] == 0
            supervisor.start(actor)
            await environment.sleep(3_700)
            assert store.count(EVENTS) == 0
            assert actor.statistics()["objects"] == 0

    simulate(0, main)
