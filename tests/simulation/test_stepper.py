"""Stepping through a recording: forwards and backwards the same changes, and every command answers."""
from __future__ import annotations

import pytest

from kubelet_lite.simulation.archive import Archive, LogRecord
from kubelet_lite.simulation.records.recording import Recording
from kubelet_lite.simulation.records.stepper import HELP, Stepper
from kubelet_lite.simulation.simulation import Run
from tests.simulation.stories import failed_run


@pytest.fixture(scope="module")
def run() -> Run:
    return failed_run()


@pytest.fixture
def stepper(run: Run) -> Stepper:
    return Stepper(Recording.of(run))


def scaled(stepper: Stepper) -> str:
    stepper.do("goto start")
    return stepper.do("find spec.replicas: 3 → 17")


def test_it_stands_where_the_cluster_became_ready_at_first(stepper: Stepper, run: Run) -> None:
    assert f"revision {run.archive.ready} (" in stepper.where()
    assert stepper.do("n") != "this is the end"
    stepper.do("goto end")
    assert stepper.where().startswith(f"revision {run.archive.revisions[-1].event.revision} ({len(run.archive.revisions)} of {len(run.archive.revisions)}), +7.770 s")
    assert stepper.do("n") == "this is the end"


def test_forwards_and_backwards_are_the_same_changes(stepper: Stepper) -> None:
    stepper.do("goto ready")
    there = [stepper.do("n") for _ in range(40)]
    back = [stepper.do("p") for _ in range(39)]
    assert back == there[-2::-1]
    assert stepper.do("n 39") == there[-1]
    stepper.do("goto start")
    assert stepper.do("p") == "this is the start"


def test_an_empty_line_repeats_the_last_command(stepper: Stepper) -> None:
    stepper.do("goto ready")
    first = stepper.do("n 2")
    second = stepper.do("")
    stepper.do("goto ready")
    assert [stepper.do("n 2"), stepper.do("n 2")] == [first, second]


def test_a_change_is_shown_with_who_made_it_and_the_step_before_it(stepper: Stepper) -> None:
    lines = scaled(stepper).splitlines()
    assert lines[0] == "  · step 2 is over"
    assert lines[1] == "  · scales deployment default/web to 17"
    assert lines[2].endswith("+7.770 s: user updates deployment default/web")
    assert lines[3] == "    spec.replicas: 3 → 17"


def test_what_was_logged_last_is_shown_at_the_end(run: Run) -> None:
    archive = Archive()
    archive.revisions = list(run.archive.revisions)
    last = archive.revisions[-1]
    archive.records = [*run.archive.records, LogRecord(last.event.revision, last.time + 1, "kubelet-node-1", "warning", {"event": "too_late", "pod": "a"})]
    stepper = Stepper(Recording(archive=archive))
    stepper.do("goto end")
    assert stepper.where().splitlines()[-1] == "  · warning kubelet-node-1: too_late pod: a"
    assert "too_late" not in stepper.do("p")


def test_goto_knows_revisions_times_and_names(stepper: Stepper, run: Run) -> None:
    assert "revision 100 " in stepper.do("goto 100")
    assert "+5.130 s" in stepper.do("goto +6")
    assert stepper.do("goto 6s") == stepper.do("goto 2026-01-01T00:00:06Z") == stepper.do("goto +6.0s")
    assert f"revision {run.archive.ready} " in stepper.do("goto ready")
    assert stepper.do("goto start") == "before the first revision"
    assert stepper.do("goto noon") == "'noon' is no revision (120), time (+12.5s, 2026-01-01T00:00:12Z), start, ready or end"


def test_what_is_beyond_the_end_is_said(stepper: Stepper, run: Run) -> None:
    end = stepper.do("goto end")
    last = run.archive.revisions[-1].event.revision
    assert stepper.do("goto +8000s") == f"nothing happened as late as +8000s: the last was at +7.770 s\n{end}"
    assert stepper.do("goto 99999") == f"the run has no revision 99999: it ends with revision {last}\n{end}"
    assert stepper.do("goto 2026-01-02T00:00:00Z").startswith("nothing happened as late as 2026-01-02T00:00:00Z")
    assert stepper.do(f"goto {last}") == stepper.do("goto +7.77s") == end


def test_find_goes_both_ways(stepper: Stepper) -> None:
    stepper.do("goto end")
    assert stepper.do("rfind user updates") == scaled(stepper)
    assert stepper.do("find no such thing").startswith("no change behind this one has 'no such thing'")
    assert stepper.do("find") == "say what to find"


def test_objects_are_shown_as_they_were(stepper: Stepper) -> None:
    scaled(stepper)
    assert "  replicas: 17\n" in stepper.do("show deployment/web")
    stepper.do("p")
    assert "replicas: 3\n" in stepper.do("show deployment/default/web")
    stepper.do("goto ready")
    assert stepper.do("show deployment/web") == "deployments.apps default/web is not there at this moment"
    assert stepper.do("show nobody") == "no object of this run is called 'nobody'"


def test_a_diff_has_every_field(stepper: Stepper) -> None:
    scaled(stepper)
    lines = stepper.do("diff").splitlines()
    assert "- spec.replicas: 3" in lines
    assert "+ spec.replicas: 17" in lines
    assert any(line.startswith("+ metadata.resourceVersion") for line in lines)
    stepper.do("n 20")
    assert stepper.do("diff deployment/web").splitlines()[0].endswith("updates deployment default/web")


def test_history_marks_where_it_stands(stepper: Stepper) -> None:
    scaled(stepper)
    lines = stepper.do("history deployment/web").splitlines()
    assert [line for line in lines if line.startswith(">")] == [next(line for line in lines if "spec.replicas: 3 → 17" in line)]


def test_lists(stepper: Stepper) -> None:
    assert "    3 nodes" in stepper.do("ls").splitlines()
    assert len(stepper.do("ls deploy").splitlines()) == 1
    stepper.do("goto ready")
    assert stepper.do("ls pods") == "no pods at this moment"


def test_what_is_no_command_is_said_and_q_ends(stepper: Stepper) -> None:
    assert stepper.do("jump") == "there is no command 'jump': help lists them"
    assert stepper.do("n many") == "'many' is no number of changes"
    assert stepper.do("help") == HELP
    assert stepper.do("story").startswith("AtMostFour: ")
    stepper.do("q")
    assert stepper.ended
