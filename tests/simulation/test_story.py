"""Stories: what matters to the failure is told, in few and short lines, and nothing else."""
from __future__ import annotations

import io
from typing import Any

import pytest

from kubelet_lite.api.core_v1 import ConfigMap, Pod
from kubelet_lite.api.encoding import from_json
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.unstructured import Unstructured
from kubelet_lite.simulation.archive import Archive, LogRecord, Revision
from kubelet_lite.simulation.calls import Delete
from kubelet_lite.simulation.failure import Failure
from kubelet_lite.simulation.faults import (
    CrashActor,
    CrashAfterWrite,
    LostAnswers,
    NodeDeath,
    Partition,
    Reboot,
    SlowStart,
    UnobservedStates,
)
from kubelet_lite.simulation.invariant import always
from kubelet_lite.simulation.records.difference import ABSENT, Change, differences, shown, significant
from kubelet_lite.simulation.records.recording import Recording
from kubelet_lite.simulation.records.story import LINES, Story, line_of, step_lines, tell
from kubelet_lite.simulation.simulation import STEP_BEGAN, STEP_ENDED, Run, Simulation, play
from kubelet_lite.simulation.step import Fault
from kubelet_lite.simulation.which import Which
from kubelet_lite.store.event import Event
from kubelet_lite.store.keys import Key
from tests.simulation.stories import STEPS, failed_run, run_web


@pytest.fixture(scope="module")
def run() -> Run:
    return failed_run()


@pytest.fixture(scope="module")
def story(run: Run) -> Story:
    return tell(run)


def test_it_says_what_failed_when_and_under_which_seed(story: Story) -> None:
    assert str(story).splitlines()[0] == "AtMostFour: deployment default/web has 17 pods (seed 1, +7.770 s)"


def test_every_step_that_began_is_told_at_its_time(story: Story) -> None:
    told = [(line.kind, round(line.time, 3), line.action, line.details) for line in story.lines if line.kind in ("call", "fault")]
    assert told == [
        ("call", 2.37, "scales deployment default/web to 2", ()), ("fault", 3.0, "scheduler idles", ("for 4.25 s",)),
        ("call", 5.13, "scales deployment default/web to 3", ()), ("call", 7.77, "scales deployment default/web to 17", ()),
    ]


def test_how_long_a_step_took_is_told_where_it_means_something() -> None:
    def record(step: int, event: str, time: float) -> LogRecord:
        return LogRecord(0, time, "", "info", {"event": event, "step": step, "kind": "fault", "what": f"fault {step}"})

    times = [0.0, 0.000750065, 0.04, 1 / 3, 4.25, 1200.123456]
    records = [record(step, event, time) for step, end in enumerate(times) for event, time in ((STEP_BEGAN, 0.0), (STEP_ENDED, end))]
    told = [line.details for _, line in step_lines([*records, record(9, STEP_BEGAN, 0.0)], 0.0)]
    assert told == [(), (), (), ("for 0.33 s",), ("for 4.25 s",), ("for 1200.12 s",), ("to the end",)]


def test_writes_stand_behind_the_step_that_made_them(story: Story) -> None:
    steps = [number for number, line in enumerate(story.lines) if line.kind == "call"]
    assert [story.lines[number + 1].details for number in steps] == [("spec.replicas: 3 → 2",), ("spec.replicas: 2 → 3",), ("spec.replicas: 3 → 17",)]


def test_changes_are_short_and_attributed(story: Story) -> None:
    scaled = next(line for line in story.lines if line.details == ("spec.replicas: 3 → 17",))
    assert (scaled.actor, scaled.action, scaled.object) == ("user", "updates", "deployment default/web")
    assert any(line.actor == "deployment-controller" and "Available: True → False" in line.details for line in story.lines)
    assert any(line.actor == "default-scheduler" and line.details[0].startswith("spec.nodeName: – → node-") for line in tell(failed_run(), lines=90).lines)


@pytest.mark.parametrize(("old", "new", "told"), [
    ({}, {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Odd"}, "odd"]}, "Ready: – → True"),
    ({"conditions": []}, {"conditions": [{"type": "Ready", "status": "True"}]}, "Ready: – → True"),
    ({"conditions": []}, {"conditions": [{"type": "Odd"}]}, "conditions[Odd]"),
    ({"conditions": ["a"]}, {"conditions": ["b"]}, "conditions[0]"),
    ({}, {"conditions": {"ready": True}}, "conditions"),
])
def test_conditions_of_any_shape_are_told(old: Any, new: Any, told: str) -> None:
    one, other = (
        from_json(Unstructured, {"apiVersion": "x.io/v1", "kind": "Thing", "metadata": {"name": "a", "namespace": "default"}, "status": status})
        for status in (old, new)
    )
    assert line_of(Revision(Event(2, Key("things.x.io", "default", "a"), other, one), 0.0, "operator"), 0.0).details == (told,)


def test_it_is_short_without_heartbeats_and_events(story: Story) -> None:
    assert len(story.lines) <= LINES
    assert story.left_out > 0
    assert not [line for line in story.lines if line.object.startswith(("lease", "event"))]
    assert all(len(line) <= 120 for line in str(story).splitlines())


def test_objects_beside_the_failure_are_left_out(run: Run) -> None:
    """A ConfigMap that somebody wrote meanwhile is no part of the story of a Deployment."""
    async def scenario(simulation: Simulation) -> None:
        await simulation.client.create(ConfigMap(metadata=ObjectMeta(name="other", namespace="default"), data={"a": "b"}))
        await run_web(simulation)

    with_other = play(scenario, seed=1, steps=STEPS, invariants=[])
    failure = Failure(kind="InvariantViolated", invariant="AtMostFour", text="deployment default/web has 17 pods")
    recording = Recording(archive=with_other.archive, seed=1, failure=failure)
    assert "configmap" not in str(tell(recording, lines=1000))
    everything = Recording(archive=with_other.archive, seed=1, failure=Failure(kind="X", text="it does not hold"))
    assert "configmap default/other" in str(tell(everything, lines=1000))


def test_a_crash_and_warnings_are_told(run: Run) -> None:
    async def scenario(simulation: Simulation) -> None:
        await simulation.cluster.apply("examples/guestbook.yaml")
        await simulation.sleep(1)
        next(actor for actor in simulation.cluster.supervisor.running() if actor.name == "default-scheduler")._queue = None  # type: ignore[attr-defined]
        await simulation.sleep(1)
        await simulation.cluster.client.patch(Pod, simulation.snapshot.list(Pod)[0].metadata.name, {"metadata": {"labels": {"x": "y"}}},
                                              content_type="application/merge-patch+json", namespace="default")
        await simulation.sleep(5)

    crashed = tell(play(scenario, seed=1))
    assert [line.actor for line in crashed.lines if line.action.startswith("crashes: ")]


def archive_of(*records: LogRecord) -> Archive:
    """Of a cluster with one ConfigMap that `ctl` wrote."""
    archive = Archive()
    archive.began = 1.0
    obj = ConfigMap(metadata=ObjectMeta(name="d", namespace="default", uid="1", resourceVersion="2"))
    archive.add(Revision(Event(2, Key("configmaps", "default", "d"), obj, None), 1.5, "ctl"))
    archive.records += records
    return archive


def warning(actor: str, event: str, time: float, **fields: Any) -> LogRecord:
    return LogRecord(2, time, actor, "warning", {"event": event, "error": "no connection", **fields})


def logged(*records: LogRecord, text: str = "configmap default/d waits") -> list[tuple[str, str, int, tuple[str, ...]]]:
    told = tell(Recording(archive=archive_of(*records), failure=Failure(kind="X", text=text)), lines=1000).lines
    return [(line.actor, line.action, line.times, line.details) for line in told if line.kind == "log"]


def test_warnings_of_parts_beside_the_failure_are_summed_up() -> None:
    records = [warning(f"kubelet-{n}", "watch_failed", 2.0 + n, kind=f"kind {n}") for n in range(50)]
    assert logged(*records) == [("50 parts", "watch failed", 50, ("error: no connection",))]
    assert logged(*records[:1]) == [("kubelet-0", "watch failed", 1, ("error: no connection", "kind: kind 0"))]


def test_warnings_of_a_part_that_matters_are_told_apart_and_those_that_name_the_object_each() -> None:
    records = [warning(f"kubelet-{n % 3}", "watch_failed", 2.0 + n) for n in range(9)]
    records[4:4] = [warning("ctl", "watch_failed", 5.5, kind="a"), warning("ctl", "watch_failed", 5.6, kind="b")]
    records += [warning("kubelet-1", "not_written", 20.0, object="configmap default/d", attempt=n) for n in range(2)]
    assert logged(*records) == [
        ("3 parts", "watch failed", 9, ("error: no connection",)), ("ctl", "watch failed", 2, ("error: no connection",)),
        ("kubelet-1", "not written", 1, ("error: no connection", "object: configmap default/d", "attempt: 0")),
        ("kubelet-1", "not written", 1, ("error: no connection", "object: configmap default/d", "attempt: 1")),
    ]


def test_warnings_before_and_after_a_step_are_summed_up_apart_and_where_nothing_is_named_by_part() -> None:
    step = LogRecord(2, 3.0, "", "info", {"event": STEP_BEGAN, "step": 1, "kind": "fault", "what": "x"})
    records = [*(warning("a", "watch_failed", 2.0, n=n) for n in range(2)), step, *(warning("b", "watch_failed", 4.0, n=n) for n in range(3))]
    assert [(actor, times) for actor, _, times, _ in logged(*records)] == [("a", 2), ("b", 3)]
    several = [warning("ctl", "failed", 2.0), warning("other", "failed", 2.0), warning("another", "failed", 2.0)]
    assert [(actor, times) for actor, _, times, _ in logged(*several, text="it does not hold")] == [("ctl", 1), ("2 parts", 2)]


@pytest.mark.parametrize(("step", "told"), [
    (CrashAfterWrite(part="ctl", seconds=60), "ctl crashes right after its write 1, within 60 s"),
    (CrashActor(part="ctl", at_step=3, seconds=60), "ctl crashes at its step 3, within 60 s"),
    (UnobservedStates(part="ctl", seconds=60), "ctl misses what happens for 60 s"),
    (UnobservedStates(part="ctl", seconds=60, verbs=("watch",), resources=("pods", "nodes")), "ctl (watch pods, nodes) misses what happens for 60 s"),
    (LostAnswers(part="ctl", seconds=60, resources=("pods",)), "answers to writes of ctl (pods) get lost for 60 s"),
    (Partition(part="ctl", seconds=60, verbs=("watch",)), "ctl is cut off from watches of the API for 60 s (refused)"),
    (NodeDeath(part="kubelet-node-1", seconds=60), "the machine of kubelet-node-1 is dead for 60 s"),
    (SlowStart(seconds=60), "containers of * that start within 60 s get ready 30 s late"),
    (Reboot(part="kubelet-node-1"), "the machine of kubelet-node-1 boots anew, which takes 15 s"),
])
@pytest.mark.parametrize("ends", [True, False])
def test_how_long_a_fault_lasts_is_said_once(step: Fault, told: str, ends: bool) -> None:
    fields = {"step": 1, "kind": "fault", "what": str(step)}
    records = [LogRecord(0, 0.0, "", "info", {"event": STEP_BEGAN, **fields}), LogRecord(0, 60.0, "", "info", {"event": STEP_ENDED, **fields})]
    ((_, line),) = step_lines(records[:1 + ends], 0.0)
    assert (line.action, line.details) == (told, ())


def test_what_a_call_was_answered_is_told() -> None:
    async def scenario(simulation: Simulation) -> None:
        await simulation.sleep(1)

    missing = Delete(which=Which(kind="pods", name="nobody"))
    (line,) = tell(play(scenario, steps=[missing])).lines
    assert line.kind == "call"
    assert line.details == ("is answered: there is none of pods nobody in default",)


def test_rich_shows_the_same_words(story: Story) -> None:
    from rich.console import Console

    out = io.StringIO()
    Console(file=out, width=120, color_system=None).print(story)
    assert [line.rstrip() for line in out.getvalue().splitlines()] == [line.rstrip() for line in story.text(120).splitlines()]


def test_a_run_without_a_failure_has_a_story_too() -> None:
    story = tell(play(run_web, seed=2))
    assert story.title.startswith("nothing went wrong")
    assert any(line.object == "deployment default/web" for line in story.lines)


def test_an_error_of_the_scenario_is_named_without_its_group() -> None:
    async def scenario(simulation: Simulation) -> None:
        raise KeyError("web")

    error = play(scenario).error
    assert error is not None
    assert Failure.of(error) == Failure(kind="builtins.KeyError", text="'web'")


def test_the_same_failure_is_the_same_invariant_or_the_same_exception() -> None:
    def broken(*_: object) -> str:
        return "it is broken"

    def failure(seed: int, name: str) -> Failure:
        error = play(run_web, seed=seed, invariants=[always(broken, name=name)]).error
        assert error is not None
        return Failure.of(error)

    assert failure(1, "A").is_same(failure(2, "A"))
    assert not failure(1, "A").is_same(failure(1, "B"))
    assert Failure.of(ValueError("a")).is_same(Failure.of(ExceptionGroup("x", [ValueError("b")])))
    assert not Failure.of(ValueError("a")).is_same(None)


# ---- differences


def test_items_of_lists_are_told_apart_by_their_names() -> None:
    old = {"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "1"}], "args": ["x", "y"]}
    new = {"containers": [{"name": "b", "image": "2"}, {"name": "a", "image": "1"}], "args": ["x", "z"]}
    assert differences(old, new) == [Change("containers[b].image", "1", "2"), Change("args[1]", "y", "z")]


def test_what_comes_and_goes() -> None:
    assert differences({"a": 1, "l": [1, 2]}, {"b": {"c": 2}, "l": [1]}) == [
        Change("a", 1, ABSENT), Change("l[1]", 2, ABSENT), Change("b", ABSENT, {"c": 2}),
    ]
    assert str(Change("spec.nodeName", ABSENT, "node-1")) == "spec.nodeName: – → node-1"


def test_keys_that_are_no_names_stand_in_brackets() -> None:
    assert differences({"labels": {"a.b/c": "1"}}, {"labels": {"a.b/c": "2"}}) == [Change("labels[a.b/c]", "1", "2")]


def test_bookkeeping_and_times_are_not_significant() -> None:
    changes = differences(
        {"metadata": {"resourceVersion": "1", "generation": 1}, "status": {"observedGeneration": 1, "at": "2026-01-01T00:00:00Z", "ready": 0}},
        {"metadata": {"resourceVersion": "2", "generation": 2}, "status": {"observedGeneration": 2, "at": "2026-01-01T00:00:05Z", "ready": 1}},
    )
    assert len(changes) == 5
    assert significant(changes) == [Change("status.ready", 0, 1)]


def test_values_are_shown_in_one_short_line() -> None:
    assert [shown(value) for value in ("web", "", " x", "a\nb", 3, True, ABSENT)] == ["web", '""', '" x"', '"a\\nb"', "3", "true", "–"]
    assert len(shown({"a": "x" * 100})) == 48
