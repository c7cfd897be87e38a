"""History is bounded in age, number and bytes, and what is live is not history."""
from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelet_lite.store import Compacted, Limits, Store, retention
from kubelet_lite.store.retention import EVENT_BYTES, Marks, Weights
from kubelet_lite.store.store import CHECKED_EVERY, DROPPED_AT_ONCE
from tests.store.things import new_store, pod, put


def store_at(now: Callable[[], float], **limits: float) -> Store:
    return Store(Limits(**limits), now=now)  # type: ignore[arg-type]


def test_a_resource_keeps_so_many_events_and_another_ones_writes_do_not_count() -> None:
    store = new_store(history_events=10)
    put(store, pod("rare", resource="things"))
    for i in range(100):
        put(store, pod(f"pod-{i}"))
    store.enforce_limits()
    assert store.statistics()["history_events"] == 11
    assert store.get(pod("rare", resource="things"), 1) is None
    with pytest.raises(Compacted):
        store.watch("pods", after=90)
    assert store.count("pods") == 100


def test_writes_alone_keep_history_within_its_limits() -> None:
    store = new_store(history_events=10)
    for i in range(5 * CHECKED_EVERY):
        put(store, pod("a"), i)
    assert store.statistics()["history_events"] <= 10 + CHECKED_EVERY
    assert DROPPED_AT_ONCE > CHECKED_EVERY


def test_history_is_as_old_as_its_limit_and_not_much_older() -> None:
    now = 0.0
    store = store_at(lambda: now, history_age_seconds=64.0)
    for i in range(200):
        put(store, pod("a"), i)
        store.enforce_limits()
        now += 1.0
    assert 64 <= store.statistics()["history_events"] <= 66


def test_bytes_are_taken_from_the_heaviest_history() -> None:
    store = new_store(history_bytes=100_000)
    put(store, pod("light", resource="things"))
    for i in range(50):
        put(store, pod("heavy"), i, node="x" * 10_000)
        put(store, pod("light", resource="things"), i)
    store.enforce_limits()
    assert 50_000 < store.history_bytes <= 100_000
    assert store.get(pod("light", resource="things"), 2) is not None


def test_dropping_goes_in_steps() -> None:
    store = new_store(history_events=10)
    with store.transaction():
        for i in range(3 * DROPPED_AT_ONCE):
            put(store, pod("a"), i)
    assert store.enforce_limits()
    assert store.statistics()["history_events"] == 2 * DROPPED_AT_ONCE
    while store.enforce_limits():
        pass
    assert store.statistics()["history_events"] == 10


def test_many_writes_are_weighed_by_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[object] = []
    measure = retention._measure

    def noted(obj: object) -> bytes:
        measured.append(obj)
        return measure(obj)

    monkeypatch.setattr(retention, "_measure", noted)
    store = new_store()
    put(store, pod("a"))
    store.enforce_limits()
    for i in range(1_000):
        put(store, pod("a"), i)
    store.enforce_limits()
    assert len(measured) <= retention.SAMPLES
    size = len(measure(store.get(pod("a"))))
    assert store.history_bytes == pytest.approx(1_001 * EVENT_BYTES + 1_000 * size, rel=0.05)


def test_what_was_weighed_is_what_dropping_frees() -> None:
    store = new_store()
    for i in range(10):
        put(store, pod("a"), i)
    events = store._tables["pods"].log.all.events
    weights = Weights()
    weights.measure(events[:4])
    weights.measure(events)
    total = weights.total_bytes
    assert weights.count_of(total) == 10
    assert weights.count_of(1) == 1
    assert weights.count_of(0) == 0
    weights.drop(4)
    assert 0 < weights.total_bytes < total
    weights.drop(6)
    assert weights.total_bytes == 0


@given(st.lists(st.tuples(st.floats(-5, 30), st.integers(0, 5)), max_size=100))
def test_nothing_younger_than_the_age_is_outlived_whatever_the_clock_does(steps: list[tuple[float, int]]) -> None:
    marks, now, revision = Marks(100.0), 0.0, 0
    written: list[float] = []
    outlived = 0
    for seconds, writes in steps:
        if seconds < 0:
            written = [max(written)] * len(written) if written else []
        now += seconds
        marks.note(now, revision)
        for _ in range(writes):
            revision += 1
            written.append(now)
        assert outlived <= (outlived := marks.outlived(now)) <= revision
        if all(step[0] >= 0 for step in steps):
            assert all(now - at >= 100.0 for at in written[:outlived])
