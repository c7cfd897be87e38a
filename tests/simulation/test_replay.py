"""Replay files: the run again, byte for byte; across versions; and clear words where something is not to be found."""
from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from kubelet_lite.runtimes.fake import Behaviour
from kubelet_lite.simulation.invariant import Invariant, always
from kubelet_lite.simulation.live import Code, lasts
from kubelet_lite.simulation.records import recording, replay
from kubelet_lite.simulation.records.recording import Recording
from kubelet_lite.simulation.records.reference import NotFoundAgain, Reference, parse, refer, resolve
from kubelet_lite.simulation.records.replay import ReplayError
from kubelet_lite.simulation.records.story import tell
from kubelet_lite.simulation.shrink import shrink_run
from kubelet_lite.simulation.simulation import Run, Setting, Simulation, play
from tests.simulation.stories import AT_MOST_FOUR, STEPS, failed_run, run_web

NAMED_LAMBDA = always(lambda snapshot: True, name="yes")
is_big = lambda size, snapshot: len(snapshot.resources()) > size  # noqa: E731


def slow_start(*_: Any) -> Behaviour:
    return Behaviour(ready_after_seconds=2)


async def fails(value: Any, simulation: Simulation) -> None:
    raise LookupError(value)


class Nothing(Invariant):
    """Holds always."""

    name = "Nothing"


@pytest.fixture(scope="module")
def run() -> Run:
    return failed_run(seed=3)


def trace(run: Run) -> list[bytes]:
    return list(recording.lines(Recording.of(run)))


def changed(path: Path, **members: Any) -> Path:
    path.write_text(json.dumps({**json.loads(path.read_text()), **members}))
    return path


def test_it_plays_the_same_run(run: Run, tmp_path: Path) -> None:
    again = replay.replay(replay.save(run, tmp_path / "new" / "run.json"))
    assert again.repeated
    assert trace(again.run) == trace(run)
    assert str(tell(again.run)) == str(tell(run))


def test_a_shrunk_run_with_plain_streams_and_a_setting_too(tmp_path: Path) -> None:
    whole = play(run_web, seed=4, setting=Setting(nodes=2), steps=STEPS, invariants=[AT_MOST_FOUR, Nothing], behaviour=slow_start)
    small, _ = shrink_run(whole)
    assert small.plain
    file = replay.load(replay.save(small, tmp_path / "run.json"))
    assert file.setting == Setting(nodes=2)
    again = replay.replay(file)
    assert (again.repeated, again.unwatched) == (True, ())
    assert trace(again.run) == trace(small)


def test_members_of_a_later_version_are_ignored(run: Run, tmp_path: Path) -> None:
    path = replay.save(run, tmp_path / "run.json")
    raw = json.loads(path.read_text())
    raw["steps"][0]["colour"] = "red"
    raw["setting"]["weather"] = "fine"
    raw["scenario"]["language"] = "python"
    path.write_text(json.dumps({**raw, "mood": 1}))
    assert trace(replay.replay(path).run) == trace(run)


def test_a_later_format_is_refused(run: Run, tmp_path: Path) -> None:
    path = changed(replay.save(run, tmp_path / "run.json"), version=99)
    with pytest.raises(ReplayError, match="version 99"):
        replay.load(path)


def test_what_is_no_replay_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"a": 1}')
    with pytest.raises(ReplayError, match="is no replay file"):
        replay.load(tmp_path / "x.json")
    (tmp_path / "y.json").write_text("hello")
    with pytest.raises(ReplayError, match=r"y\.json"):
        replay.load(tmp_path / "y.json")


@pytest.mark.parametrize(("steps", "message"), [
    ([{"step": "Earthquake"}], r"steps\[0\].step: there is no step 'Earthquake'"),
    ([{"step": "ScaleWeb", "replicas": "many"}], r"steps\[0\]\.replicas: Expected"),
    ([{"at": 1}], r"steps\[0\].step"),
])
def test_steps_that_are_none_are_refused(run: Run, tmp_path: Path, steps: list[Any], message: str) -> None:
    path = changed(replay.save(run, tmp_path / "run.json"), steps=steps)
    with pytest.raises(ReplayError, match=message):
        replay.replay(path)


def test_a_scenario_inside_a_function_can_be_given_again(tmp_path: Path) -> None:
    async def inner(simulation: Simulation) -> None:
        await run_web(simulation)

    run = play(inner, seed=2, steps=STEPS, invariants=[AT_MOST_FOUR])
    path = replay.save(run, tmp_path / "run.json")
    with pytest.raises(ReplayError, match=r"inner is defined inside a function"):
        replay.replay(path)
    again = replay.replay(path, scenario=inner)
    assert again.repeated
    assert trace(again.run) == trace(run)


def test_an_invariant_that_is_not_to_be_found_is_named_and_the_recording_ends_where_it_was_violated(tmp_path: Path) -> None:
    def inside(snapshot: Any) -> bool:
        return not any(pod.status.phase == "Running" for pod in snapshot.list("pods"))

    run = play(run_web, seed=2, invariants=[always(inside, name="NothingRuns")])
    again = replay.replay(replay.save(run, tmp_path / "run.json"))
    assert [reference.about for reference in again.unwatched] == ["NothingRuns"]
    assert again.run.error is None
    assert not again.repeated
    assert again.failure is not None
    cut = Recording.of(again.run).until(again.failure)
    assert str(tell(cut)) == str(tell(run))


def test_a_run_that_was_driven_from_outside_cannot_be_saved(run: Run, tmp_path: Path) -> None:
    driven = Run(setting=run.setting, seed=1, steps=(), decisions={}, archive=run.archive, seconds=1, error=None)
    with pytest.raises(ReplayError, match="without a scenario"):
        replay.save(driven, tmp_path / "run.json")


def test_a_run_with_code_among_its_steps_cannot_be_saved(tmp_path: Path) -> None:
    run = play(lasts, setting=Setting(nodes=0), steps=[Code(what="nothing", function=lasts)])
    with pytest.raises(ReplayError, match="with code among its steps"):
        replay.save(run, tmp_path / "run.json")
    with pytest.raises(ReplayError, match="there is no step 'Code'"):
        replay.steps_of([{"step": "Code", "what": "nothing"}])


# ---- references


@pytest.mark.parametrize("value", [object(), {1}, b"x", Setting(), Path("x"), {1: 2}, [Nothing()]])
def test_a_partial_of_what_json_cannot_hold_is_described(value: Any, tmp_path: Path) -> None:
    path = replay.save(play(partial(fails, value)), tmp_path / "run.json")
    with pytest.raises(ReplayError, match=rf"^fails has an argument that cannot be found again, a value of type {type(value).__name__}: "):
        replay.replay(path)
    assert replay.replay(path, scenario=partial(fails, value)).repeated


def test_functions_classes_lambdas_and_partials_are_found_again() -> None:
    for thing in (run_web, Nothing, is_big, Nothing.on_instant):
        assert resolve(refer(thing)) is thing
    made = resolve(refer(partial(is_big, 3)))
    assert (made.func, made.args) == (is_big, (3,))
    assert resolve(refer(AT_MOST_FOUR)).keywords == AT_MOST_FOUR.keywords  # type: ignore[attr-defined]
    assert not refer(NAMED_LAMBDA).name
    assert refer(NAMED_LAMBDA).about == "yes"


def test_a_module_that_cannot_be_imported_is_loaded_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("async def scenario(simulation): ...\n")
    found = resolve(parse(f"{tmp_path}/mine.py:scenario"))
    assert found.__name__ == "scenario"


def test_a_file_is_replayed_from_any_directory_with_what_stands_beside_its_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, elsewhere = tmp_path / "made", tmp_path / "elsewhere"
    (made / "checks").mkdir(parents=True)
    elsewhere.mkdir()
    (made / "checks" / "boxes_beside.py").write_text("WHY = 'mine'\n")
    (made / "checks" / "check_boxes.py").write_text(
        "from boxes_beside import WHY\n\n\nasync def scenario(simulation):\n    raise LookupError(WHY)\n\n\n"
        "def fine(snapshot):\n    return True\n",
    )
    reference = Reference(name="check_boxes:scenario", file="checks/check_boxes.py", about="scenario")
    monkeypatch.chdir(made)
    path = replay.save(
        play(resolve(reference), setting=Setting(nodes=0, components=("apiserver",)), invariants=[always(resolve(replace(reference, name="check_boxes:fine")))]),
        Path(".simulations") / "run.json",
    ).resolve()
    assert replay.load(path).scenario == reference
    monkeypatch.chdir(elsewhere)
    for name in ("check_boxes", "boxes_beside"):
        monkeypatch.delitem(sys.modules, name)
    again = replay.replay(path)
    assert (again.repeated, again.unwatched) == (True, ())
    assert str(made) not in sys.path
    monkeypatch.delitem(sys.modules, "check_boxes")
    (made / "checks" / "check_boxes.py").unlink()
    with pytest.raises(ReplayError, match="is not there: replay it in the directory in which the run was made"):
        replay.replay(path)


@pytest.mark.parametrize(("reference", "message"), [
    (Reference(name="no.such.module:x"), "module no.such.module cannot be imported"),
    (Reference(name="no.such.module:x", file="/nowhere/x.py"), "/nowhere/x.py is not there"),
    (Reference(name="json:nothing"), "there is no nothing in json"),
])
def test_what_is_not_there_is_named(reference: Reference, message: str) -> None:
    with pytest.raises(NotFoundAgain, match=message):
        resolve(reference)


@pytest.mark.parametrize("text", ["scenario", ":x", "a:"])
def test_a_reference_needs_a_module_and_a_name(text: str) -> None:
    with pytest.raises(NotFoundAgain, match="say MODULE:NAME"):
        parse(text)


# ---- recordings


def test_a_recording_is_read_back_as_it_was(run: Run, tmp_path: Path) -> None:
    path = recording.write(Recording.of(run), tmp_path / "run.jsonl")
    assert recording.is_recording(path)
    read = recording.read(path)
    assert list(recording.lines(read)) == trace(run)
    assert str(tell(read)) == str(tell(run))
    first = json.loads(path.read_text().splitlines()[1])
    assert set(first) >= {"revision", "time", "verb", "resource", "name", "object"}


def test_a_line_that_is_wrong_is_named(run: Run, tmp_path: Path) -> None:
    path = recording.write(Recording.of(run), tmp_path / "run.jsonl")
    lines = path.read_text().splitlines()
    for wrong, message in ((lines[1].replace('"create"', '"make"'), "line 2: verb: 'make'"), ("{", "line 2"),
                           (lines[1].replace('"revision":2', '"revision":3'), "line 2: the object of revision 3"), (lines[2], "line 3: revision 3 stands where 4 is missing")):
        path.write_text("\n".join([lines[0], wrong, *lines[2:]]))
        with pytest.raises(recording.RecordingError, match=message):
            recording.read(path)
    path.write_text("{}\n")
    with pytest.raises(recording.RecordingError, match="is no recording"):
        recording.read(path)
