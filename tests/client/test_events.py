"""The event recorder: what it counts, combines and drops."""
from __future__ import annotations

import anyio

from kubelet_lite.api.core_v1 import Event
from kubelet_lite.client.events import BURST, SIMILAR_LIMIT, EventRecorder
from tests.registry.world import World, in_world, pod


async def events(world: World) -> list[Event]:
    return list((await world.client.list(Event, namespace="default")).items)


@in_world
async def test_a_repeated_event_is_counted(world: World) -> None:
    recorder = EventRecorder(world.client, world.environment, "tester")
    for _ in range(3):
        recorder.record(pod(), "Normal", "Happened", "again")
        await world.environment.sleep(5)
    await recorder.flush()
    (event,) = await events(world)
    assert (event.count, event.message) == (3, "again")
    assert (event.firstTimestamp, event.lastTimestamp) == ("2026-01-01T00:00:00Z", "2026-01-01T00:00:10Z")


@in_world
async def test_what_is_recorded_is_written_by_the_group_that_was_named_what_waited_too(world: World) -> None:
    recorder = EventRecorder(world.client, world.environment, "tester")
    recorder.record(pod(), "Normal", "Happened", "before")
    await world.environment.sleep(1)
    assert await events(world) == []
    async with anyio.create_task_group() as tasks:
        recorder.write_in(tasks)
        await world.environment.sleep(1)
        assert [event.message for event in await events(world)] == ["before"]
        recorder.record(pod(), "Normal", "Happened", "one")
        recorder.record(pod(), "Normal", "Happened", "two")
    assert {event.message for event in await events(world)} == {"before", "one", "two"}


@in_world
async def test_many_events_that_differ_in_their_message_alone_are_combined_under_the_newest(world: World) -> None:
    recorder = EventRecorder(world.client, world.environment, "tester")
    for number in range(SIMILAR_LIMIT + 2):
        recorder.record(pod(), "Normal", "Happened", f"message {number}")
    await recorder.flush()
    found = await events(world)
    assert len(found) == SIMILAR_LIMIT
    (combined,) = [event for event in found if event.message.startswith("(combined")]
    assert (combined.count, combined.message) == (3, f"(combined from similar events): message {SIMILAR_LIMIT + 1}")


@in_world
async def test_after_a_pause_similar_events_are_told_apart_again(world: World) -> None:
    recorder = EventRecorder(world.client, world.environment, "tester")
    for number in range(SIMILAR_LIMIT + 1):
        recorder.record(pod(), "Normal", "Happened", f"message {number}")
    await world.environment.sleep(601)
    recorder.record(pod(), "Normal", "Happened", "late")
    await recorder.flush()
    assert "late" in [event.message for event in await events(world)]


@in_world
async def test_a_flood_about_one_object_is_held_back(world: World) -> None:
    recorder = EventRecorder(world.client, world.environment, "tester")
    for number in range(BURST + 5):
        recorder.record(pod(), "Normal", f"Reason{number}", "m")
    await recorder.flush()
    assert len(await events(world)) == BURST
    assert recorder.dropped == 5


@in_world
async def test_events_of_one_moment_sort_as_they_came_and_none_is_lost(world: World) -> None:
    recorders = [EventRecorder(world.client, world.environment, name) for name in ("one", "two")]
    for recorder in recorders:
        for number in range(3):
            recorder.record(pod(), "Normal", f"{recorder}-{number}", "m")
        await recorder.flush()
    found = await events(world)
    assert [event.reason for event in found] == [f"{recorder}-{number}" for recorder in recorders for number in range(3)]
    assert all(len(event.metadata.name.rpartition(".")[2]) == 16 for event in found)
