"""The scheduling queue: order, back-off, and what wakes a pod."""
from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubelet_lite.api.core_v1 import Node, Pod
from kubelet_lite.scheduler.framework import Change
from kubelet_lite.scheduler.queue import LONGEST_UNSCHEDULABLE_SECONDS, Line, Refuser, SchedulingQueue, Waiting
from tests.scheduler.objects import info

FIT = (("default-scheduler", "NodeResourcesFit"),)
HELPFUL, USELESS = Change(Node), Change(Pod)


def a_queue(**more: Any) -> SchedulingQueue:
    """Sorted as by PrioritySort; of all changes, those of nodes help whomever NodeResourcesFit refused."""
    def hint(refuser: Refuser, change: Change) -> bool:
        return change.kind is Node

    return SchedulingQueue(order=lambda info, arrived: (-info.priority, arrived), door=more.pop("door", lambda info: None), hint=more.pop("hint", hint), **more)


def popped(queue: SchedulingQueue, now: float) -> Waiting:
    waiting = queue.pop(now)
    assert waiting is not None
    return waiting


def names(queue: SchedulingQueue, now: float) -> list[str]:
    found = []
    while (waiting := queue.pop(now)) is not None:
        found.append(waiting.info.pod.metadata.name)
    return found


@given(st.lists(st.integers(-3, 3), max_size=12))
def test_higher_priority_goes_first_and_the_older_among_equals(priorities: list[int]) -> None:
    queue = a_queue()
    for i, priority in enumerate(priorities):
        queue.add(info(f"p{i}", priority=priority), float(i))
    assert names(queue, 100.0) == [f"p{i}" for i, _ in sorted(enumerate(priorities), key=lambda item: (-item[1], item[0]))]


@given(st.lists(st.none() | st.integers(-3, 3), max_size=40))
def test_the_least_place_leaves_the_line_first_in_whatever_order_they_came(steps: list[int | None]) -> None:
    line, standing = Line(), []
    for serial, step in enumerate(steps):
        if step is not None:
            standing.append(((float(step),), serial, ("default", "p")))
            line.push(standing[-1])
        elif standing:
            standing.sort()
            assert line.pop() == standing.pop(0)
        assert bool(line) == bool(standing)


def test_a_pod_that_failed_waits_until_something_helps() -> None:
    queue = a_queue()
    queue.add(info("a"), 0.0)
    queue.failed(popped(queue, 0.0), 0.0, FIT)
    assert queue.pop(60.0) is None
    assert queue.changed(USELESS, 60.0) == 0
    assert queue.changed(HELPFUL, 60.0) == 1
    assert names(queue, 60.0) == ["a"]


@pytest.mark.parametrize(("attempts", "seconds"), [(1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0), (5, 10.0), (9, 10.0)])
def test_a_pod_whose_attempt_ended_in_an_error_waits_out_its_back_off(attempts: int, seconds: float) -> None:
    queue = a_queue()
    queue.add(info("a"), 0.0)
    now = 0.0
    for _ in range(attempts):
        queue.retry(popped(queue, now), now)
        failed_at, now = now, now + 100.0
    assert queue.wake_at() == failed_at + seconds
    assert queue.pop(failed_at + seconds - 0.001) is None
    assert names(queue, failed_at + seconds) == ["a"]


def test_a_woken_pod_backs_off_while_others_wait_and_no_longer() -> None:
    queue = a_queue()
    for name, failures in (("twice", 2), ("once", 1)):
        queue.add(info(name), 0.0)
        for _ in range(failures):
            queue.failed(popped(queue, 0.0), 0.0, FIT)
            queue.changed(HELPFUL, 0.0)
        queue.failed(popped(queue, 0.0), 0.0, FIT)
    queue.changed(HELPFUL, 0.0)
    queue.add(info("new"), 0.0)
    assert queue.wake_at() == 2.0
    assert names(queue, 0.5) == ["new", "once", "twice"]


def test_who_is_kept_out_is_not_tried_early() -> None:
    shut = False
    queue = a_queue(door=lambda info: FIT[0] if shut else None)
    queue.add(info("a"), 0.0)
    queue.failed(popped(queue, 0.0), 0.0, FIT)
    queue.changed(HELPFUL, 0.0)
    shut = True
    assert queue.pop(0.0) is None
    assert queue.sizes == (0, 0, 0, 1)


def test_a_hint_may_name_the_pods_that_it_helps() -> None:
    queue = a_queue(hint=lambda refuser, change: frozenset({("default", "b"), ("default", "unknown")}))
    for name in ("a", "b"):
        queue.add(info(name), 0.0)
    for _ in range(2):
        queue.failed(popped(queue, 0.0), 0.0, FIT)
    assert queue.changed(HELPFUL, 60.0) == 1
    assert names(queue, 60.0) == ["b"]


def test_a_pod_is_tried_again_after_five_minutes_though_nothing_changed() -> None:
    queue = a_queue()
    queue.add(info("a"), 0.0)
    queue.failed(popped(queue, 0.0), 5.0, FIT)
    assert queue.wake_at() == 5.0 + LONGEST_UNSCHEDULABLE_SECONDS
    assert queue.pop(5.0 + LONGEST_UNSCHEDULABLE_SECONDS - 1) is None
    assert names(queue, 5.0 + LONGEST_UNSCHEDULABLE_SECONDS) == ["a"]


def test_a_changed_pod_gets_another_chance_at_once() -> None:
    queue = a_queue()
    queue.add(info("a", "8"), 0.0)
    queue.failed(popped(queue, 0.0), 0.0, FIT)
    queue.add(info("a", "1"), 1.0)
    assert popped(queue, 1.0).info.requests == {"cpu": 1000}


def test_a_change_that_cannot_help_is_taken_over_silently() -> None:
    queue = a_queue()
    queue.add(info("a"), 0.0)
    queue.failed(popped(queue, 0.0), 0.0, FIT)
    newer = info("a")
    assert queue.update(newer)
    assert queue.pop(1.0) is None
    known = queue.get(("default", "a"))
    assert known is not None
    assert known.info is newer
    assert not queue.update(info("b"))


def test_a_removed_pod_is_gone_from_every_part() -> None:
    queue = a_queue()
    for name in "abc":
        queue.add(info(name), 0.0)
    queue.failed(popped(queue, 0.0), 0.0, FIT)
    queue.retry(popped(queue, 0.0), 0.0)
    assert queue.sizes == (1, 1, 1, 0)
    for name in "abc":
        queue.remove(("default", name))
    assert len(queue) == 0
    assert names(queue, 1000.0) == []


@given(st.lists(st.tuples(st.sampled_from(["add", "remove", "pop-fail", "pop-retry", "pop-bind", "wake"]), st.sampled_from("abc"), st.floats(0, 400)), max_size=30))
def test_a_pod_is_in_one_part_and_none_is_lost(steps: list[tuple[str, str, float]]) -> None:
    queue, inside, now = a_queue(), set[str](), 0.0
    for action, name, wait in steps:
        now += wait
        if action == "add":
            queue.add(info(name), now)
            inside.add(name)
        elif action == "remove":
            queue.remove(("default", name))
            inside.discard(name)
        elif action == "wake":
            queue.changed(HELPFUL, now)
        elif (waiting := queue.pop(now)) is not None:
            assert waiting.info.pod.metadata.name in inside
            if action == "pop-fail":
                queue.failed(waiting, now, FIT)
            elif action == "pop-retry":
                queue.retry(waiting, now)
            else:
                inside.discard(waiting.info.pod.metadata.name)
        assert len(queue) == sum(queue.sizes) == len(inside)
    queue.changed(HELPFUL, now)
    assert sorted(names(queue, now + 1000.0)) == sorted(inside)


def test_who_is_kept_at_the_door_waits_there_until_it_changes_or_something_helps() -> None:
    shut = {"a"}
    queue = a_queue(door=lambda info: FIT[0] if info.key[1] in shut else None)
    queue.add(info("a"), 0.0)
    queue.add(info("b"), 0.0)
    assert queue.sizes == (1, 0, 0, 1)
    assert names(queue, 1000.0) == ["b"]
    queue.changed(HELPFUL, 1000.0)
    assert queue.sizes == (0, 0, 0, 1)
    shut.clear()
    assert queue.changed(USELESS, 1000.0) == 0
    assert queue.changed(HELPFUL, 1000.0) == 1
    assert names(queue, 1000.0) == ["a"]
    shut.add("a")
    queue.add(info("a"), 1000.0)
    shut.clear()
    queue.add(info("a"), 1000.0)
    assert names(queue, 1000.0) == ["a"]


def test_what_happens_while_a_pod_is_being_bound_counts_should_it_come_back() -> None:
    queue = a_queue()
    queue.add(info("a"), 0.0)
    waiting = popped(queue, 0.0)
    queue.flies(waiting)
    queue.changed(USELESS, 1.0)
    queue.failed(waiting, 2.0, FIT)
    assert queue.sizes == (0, 0, 1, 0)
    queue.changed(HELPFUL, 60.0)
    waiting = popped(queue, 60.0)
    queue.flies(waiting)
    queue.changed(HELPFUL, 61.0)
    queue.failed(waiting, 62.0, FIT)
    assert queue.sizes == (0, 1, 0, 0)


def test_a_hint_may_choose_among_pods() -> None:
    queue = a_queue(hint=lambda refuser, change: lambda info: info.key[1] == "b")
    for name in "ab":
        queue.add(info(name), 0.0)
        queue.failed(popped(queue, 0.0), 0.0, FIT)
    assert queue.changed(HELPFUL, 60.0) == 1
    assert names(queue, 60.0) == ["b"]


def test_back_off_is_as_configured() -> None:
    queue = a_queue(first_backoff_seconds=5.0, longest_backoff_seconds=7.0)
    queue.add(info("a"), 0.0)
    waiting = popped(queue, 0.0)
    queue.retry(waiting, 0.0)
    assert queue.wake_at() == 5.0
    queue.retry(popped(queue, 5.0), 5.0)
    assert queue.wake_at() == 12.0
