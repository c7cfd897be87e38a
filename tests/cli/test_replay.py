"""`kubelet-lite replay` and `compare`: what a user sees of a run, and what the exit status says."""
from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from kubelet_lite.cli.main import main
from kubelet_lite.simulation.invariant import always
from kubelet_lite.simulation.records import recording, replay
from kubelet_lite.simulation.records.recording import Recording
from kubelet_lite.simulation.simulation import Run, play
from tests.simulation.stories import STEPS, failed_run, run_web

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def run() -> Run:
    return failed_run()


@pytest.fixture
def file(run: Run, tmp_path: Path) -> str:
    return str(replay.save(run, tmp_path / "run.json"))


def test_it_plays_the_run_again_and_tells_its_story(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", file]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "AtMostFour: deployment default/web has 17 pods (seed 1, +7.770 s)"
    assert any(line.startswith("+7.770 s  user") and line.endswith("scales deployment default/web to 17") for line in lines)
    assert len(lines) < 60


def test_a_moment_a_page_and_a_recording(file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page, record = tmp_path / "out" / "run.html", tmp_path / "out" / "run.jsonl"
    assert main(["replay", file, "--at", "+5.13", "--html", str(page), "--export", str(record)]) == 0
    out = capsys.readouterr().out
    assert f"wrote {page}\nwrote {record}\n" in out
    assert "revision " in out.splitlines()[-2] or "+5.130 s: " in out
    assert page.read_text().startswith("<!doctype html>")
    assert main(["replay", str(record)]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "AtMostFour: deployment default/web has 17 pods (seed 1, +7.770 s)"


def test_steps_come_from_standard_input_be_it_a_file_or_a_pipe(file: str, tmp_path: Path) -> None:
    script = "goto ready\nn 2\nfind spec.replicas: 3 → 17\np\nwhat\nq\nn\n"
    (tmp_path / "script").write_text(script)
    command = [sys.executable, "-m", "kubelet_lite.cli.main", "replay", file, "--step"]
    piped = subprocess.run(command, input=script, capture_output=True, text=True, cwd=ROOT, timeout=60)
    with (tmp_path / "script").open() as source:
        from_file = subprocess.run(command, stdin=source, capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert (piped.returncode, piped.stderr) == (0, "")
    assert piped.stdout == from_file.stdout
    assert "  · scales deployment default/web to 17\n" in piped.stdout
    assert piped.stdout.endswith("there is no command 'what': help lists them\n")


def test_a_moment_beyond_the_end_is_said(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", file, "--at", "+8000s"]) == 0
    assert "\nnothing happened as late as +8000s: the last was at +7.770 s\n" in capsys.readouterr().out


def test_stepping_begins_where_the_cluster_became_ready(file: str) -> None:
    command = [sys.executable, "-m", "kubelet_lite.cli.main", "replay", file, "--step"]
    out = subprocess.run(command, input="n\nq\n", capture_output=True, text=True, cwd=ROOT, timeout=60).stdout
    assert "where the cluster became ready; n goes on from there\n" in out
    assert "this is the end" not in out
    at = subprocess.run([*command, "--at", "end"], input="n\nq\n", capture_output=True, text=True, cwd=ROOT, timeout=60).stdout
    assert at.endswith("this is the end\n")


def test_a_run_that_goes_otherwise_is_said_and_is_no_success(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(file)
    path.write_text(json.dumps({**json.loads(path.read_text()), "steps": []}))
    assert main(["replay", file]) == 1
    out = capsys.readouterr().out.splitlines()
    assert out[:2] == ["the run did not go as before; then: AtMostFour: deployment default/web has 17 pods", "nothing went wrong (seed 1)"]


def test_an_invariant_inside_a_function_is_named_and_the_run_ends_where_it_was_violated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    run = play(run_web, seed=1, steps=STEPS, invariants=[always(lambda snapshot: len(snapshot.list("pods")) < 4, name="Few")])
    assert main(["replay", str(replay.save(run, tmp_path / "run.json"))]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "Few is defined inside a function: it is not watched, and the run is shown until it was violated"
    assert out[1] == "Few: it does not hold (seed 1, +7.770 s)"


@pytest.mark.parametrize(("change", "message"), [
    ({"scenario": {"name": "no.such:scenario", "about": "scenario"}}, "module no.such cannot be imported"),
    ({"version": 7}, "version 7 of the format is newer"),
    ({"steps": [{"step": "Earthquake"}]}, "there is no step 'Earthquake'"),
    ({"setting": {"nodes": -1}}, "/run.json: setting.nodes: Expected `int` >= 0\n"),
    ({"setting": {"nodes": "many"}}, "/run.json: setting.nodes: Expected `int`, got `str`\n"),
    ({"setting": {"components": ["kitchen"]}}, "/run.json: setting.components[0]: Invalid enum value 'kitchen'\n"),
    ({"setting": {"objects": [{"kind": "Pod"}]}}, "setting: no cluster starts with it: kubelet_lite.simulation.dump.DumpError: objects[0]: an object has apiVersion"),
    ({"seed": "x"}, "/run.json: seed: Expected `int`, got `str`\n"),
    ({"steps": [{"step": "Scale", "replicas": "few"}]}, "steps[0].replicas: Expected `int`, got `str`"),
    ({"decisions": {"order": {"a": 1}}}, "/run.json: decisions[...]: Expected `int`, got `str`\n"),
    ({"invariants": [{"name": "builtins:len", "about": "len"}]}, "invariants[0]=len: an Invariant, or always(f)"),
])
def test_what_cannot_be_played_is_said(file: str, change: dict[str, object], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path(file).write_text(json.dumps({**json.loads(Path(file).read_text()), **change}))
    assert main(["replay", file]) == 1
    error = capsys.readouterr().err
    assert error.startswith("kubelet-lite: ")
    assert message in error


def test_another_scenario_may_stand_in_for_one_that_is_not_found(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path(file).write_text(json.dumps({**json.loads(Path(file).read_text()), "scenario": {"about": "inner"}}))
    assert main(["replay", file]) == 1
    assert "inner is defined inside a function" in capsys.readouterr().err
    assert main(["replay", file, "--scenario", "tests.simulation.stories:run_web"]) == 0


def test_a_file_that_is_not_there_and_a_moment_that_is_none(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", file + "x"]) == 1
    assert main(["replay", file, "--at", "noon"]) == 1
    assert "'noon' is no revision" in capsys.readouterr().err


def test_compare_says_where_two_runs_part(run: Run, file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = str(recording.write(Recording.of(run), tmp_path / "same.jsonl"))
    assert main(["compare", file, record]) == 0
    assert capsys.readouterr().out == f"the same {len(run.archive.revisions)} revisions\n"
    other = str(recording.write(Recording.of(failed_run(steps=STEPS[2:])), tmp_path / "other.jsonl"))
    assert main(["compare", file, other]) == 1
    out = capsys.readouterr().out
    assert "they part here:" in out
    assert "- revision" in out
    assert "spec.replicas: 3 → 2" in out
    assert main(["compare", file, file + "x"]) == 2
