"""The snippets of the README, of docs/simulation.md and of docs/scheduler.md run, as they stand."""
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conformance.servers import KUBECTL, up

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
PYTHON = re.compile(r"^```python\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
SNIPPETS = PYTHON.findall(README)
ABOUT_THE_SCHEDULER = PYTHON.findall((ROOT / "docs" / "scheduler.md").read_text())
ABOUT_SIMULATION = PYTHON.findall((ROOT / "docs" / "simulation.md").read_text())
COMMANDS = re.findall(r"^\$ (.+?)(?:  +#.*)?$", README, flags=re.MULTILINE)


def words(program):
    """The commands of a program in the README, as words, with this folder for $PWD."""
    found = [shlex.split(command.replace("$PWD", str(ROOT))) for command in COMMANDS]
    return [command[1:] for command in found if command[0].rpartition("/")[2] == program]


@pytest.mark.parametrize("number", range(len(SNIPPETS)))
def test_a_snippet_runs(number):
    ran = subprocess.run([sys.executable, "-W", "error", "-c", SNIPPETS[number]], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.parametrize("number", range(len(ABOUT_SIMULATION)))
def test_a_snippet_about_simulation_runs(number):
    """Some tell of crashes on their way."""
    command = [sys.executable, "-W", "error", "-c", ABOUT_SIMULATION[number]]
    ran = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
    assert ran.returncode == 0, ran.stdout


@pytest.mark.parametrize("number", range(len(ABOUT_THE_SCHEDULER)))
def test_a_snippet_about_the_scheduler_runs(number):
    ran = subprocess.run([sys.executable, "-W", "error", "-c", ABOUT_THE_SCHEDULER[number]], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_there_are_snippets_and_the_commands_they_stand_beside():
    assert len(SNIPPETS) >= 3
    assert ABOUT_SIMULATION
    assert ABOUT_THE_SCHEDULER
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z]+)", README)) - {"nothing"} <= targets | {"it"}


@pytest.mark.slow
def test_the_commands_run_a_cluster_and_show_its_pods(tmp_path):
    """The README's kubelet-lite with its own options (but a free port), then its kubectl commands."""
    (server,) = words("kubelet-lite")
    apply, watch = words("kubectl")
    assert (server[0], apply[0], watch[0]) == ("up", "apply", "get")
    with up(*server[1:]) as running:
        environment = {**os.environ, "KUBECONFIG": str(running.kubeconfig), "HOME": str(tmp_path)}
        subprocess.run([KUBECTL, *apply], cwd=ROOT, env=environment, check=True, capture_output=True)
        with subprocess.Popen([KUBECTL, *watch], stdout=subprocess.PIPE, text=True, env=environment) as watching:
            assert watching.stdout is not None
            ready = set()
            while len(ready) < 3:
                name, state, *_ = watching.stdout.readline().split()
                if state == "1/1":
                    ready.add(name)
            watching.terminate()


def test_every_file_that_the_documents_name_exists():
    for document in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for name in re.findall(r"`((?:tests|benchmarks|examples|docs|scripts|kubelet_lite|controllers|runtimes|proxy)/[\w./-]+)`", document.read_text()):
            if "NAME" in name:
                continue
            assert (ROOT / name).exists() or (ROOT / f"{name}.py").exists() or (ROOT / "kubelet_lite" / name).exists(), f"{document.name} names {name}"
