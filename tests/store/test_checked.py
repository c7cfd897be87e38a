"""Whoever changes a shared object is found, by whatever way it was handed out."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import settings

from kubelet_lite.actors.actor import Actor
from kubelet_lite.actors.supervisor import Supervisor
from kubelet_lite.simulation.virtual.environment import SimulatedEnvironment
from kubelet_lite.simulation.virtual.run import simulate
from kubelet_lite.store import CheckedStore, Limits, stamped
from kubelet_lite.store.checked import SharedObjectChanged
from tests.store.machine import LIMITS, StoreMachine
from tests.store.things import Metadata, delete, pod, put


class Labelled(msgspec.Struct, frozen=True):
    metadata: Metadata
    labels: dict[str, str]


def store_with_one() -> CheckedStore:
    store = CheckedStore(Limits(), now=lambda: 0.0)
    store.put(pod("a"), Labelled(Metadata("a", "default", "2"), {"app": "web"}), expected=0)
    return store


def by_get(store: CheckedStore) -> Any:
    return store.get(pod("a"))


def by_list(store: CheckedStore) -> Any:
    return store.list("pods").items[0]


def by_watch(store: CheckedStore) -> Any:
    return store.watch("pods", after=1).poll()[0].object


WAYS: list[Callable[[CheckedStore], Any]] = [by_get, by_list, by_watch, lambda store: store.enforce_limits()]


@pytest.mark.parametrize("found_by", WAYS)
@pytest.mark.parametrize("had_by", WAYS[:3])
def test_a_change_to_a_shared_object_is_found(had_by: Callable[[CheckedStore], Any], found_by: Callable[[CheckedStore], Any]) -> None:
    store = store_with_one()
    had_by(store).labels["app"] = "db"
    with pytest.raises(SharedObjectChanged, match=r"pods default/a at revision 2 was changed .*\"web\".* and is .*\"db\""):
        found_by(store)


def test_the_error_names_who_has_had_the_object() -> None:
    class Reads(Actor):
        def __init__(self, name: str, store: CheckedStore) -> None:
            super().__init__(name)
            self.store = store

        async def run(self) -> None:
            by_get(self.store)

    class Changes(Reads):
        async def run(self) -> None:
            by_get(self.store).labels["app"] = "db"

    async def main(environment: SimulatedEnvironment) -> None:
        store = store_with_one()
        async with Supervisor(environment) as supervisor:
            for actor in (Reads("reader", store), Changes("culprit", store)):
                supervisor.start(actor)
                await environment.sleep(1)
        with pytest.raises(SharedObjectChanged, match="written by somebody outside of every actor, handed to reader, culprit"):
            store.check_all()

    simulate(0, main)


def test_the_final_object_of_a_deletion_is_checked_too() -> None:
    store = store_with_one()
    final = stamped(store.get(pod("a")), 3)
    store.delete(pod("a"), expected=2, final=final)
    [event] = store.watch("pods", after=2).poll()
    assert event.final is final
    event.final.labels["app"] = "db"
    with pytest.raises(SharedObjectChanged, match="at revision"):
        store.enforce_limits()


def test_what_is_no_longer_kept_is_forgotten() -> None:
    store = CheckedStore(Limits(history_events=2), now=lambda: 0.0)
    for i in range(50):
        put(store, pod("a"), i)
    delete(store, pod("a"))
    put(store, pod("b"))
    store.enforce_limits()
    assert len(store._lent) == 2


class CheckedMachine(StoreMachine):
    """A checked store is a store."""

    def make_store(self) -> CheckedStore:
        return CheckedStore(LIMITS, now=lambda: self.time)


TestCheckedStore = CheckedMachine.TestCase
TestCheckedStore.settings = settings(max_examples=50, deadline=None)
