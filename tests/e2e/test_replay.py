"""kubectl against any moment of a simulated run: `kubelet-lite replay --serve`, moved by commands on its standard input."""
from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubelet_lite.simulation.records import replay
from tests.conformance.servers import KUBECTL, ROOT
from tests.simulation.stories import failed_run

pytestmark = [pytest.mark.slow]


class Served:
    """A replay that is served, and kubectl for it."""

    def __init__(self, process: subprocess.Popen[str], kubeconfig: Path) -> None:
        self.process = process
        self.environment = {**os.environ, "KUBECONFIG": str(kubeconfig), "HOME": str(kubeconfig.parent)}

    def say(self, command: str) -> str:
        """Has a command carried out; the line of its answer that says where it stands."""
        assert self.process.stdin is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self.until("revision ")

    def until(self, start: str) -> str:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith(start):
                return line.rstrip()
        raise AssertionError(f"it ended without a line that begins with {start!r}")

    def kubectl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([KUBECTL, *arguments], capture_output=True, text=True, env=self.environment, timeout=60)

    def out(self, *arguments: str) -> str:
        done = self.kubectl(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    file = replay.save(failed_run(), tmp_path / "run.json")
    kubeconfig = tmp_path / "kubeconfig"
    command = [sys.executable, "-m", "kubelet_lite.cli.main", "replay", str(file), "--serve", "--step", "--kubeconfig", str(kubeconfig)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    served = Served(process, kubeconfig)
    try:
        served.until("export KUBECONFIG=")
        served.until("revision ")
        yield served
        assert process.stdin is not None
        process.stdin.write("q\n")
        process.stdin.close()
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


def test_every_moment_answers_as_it_was(served: Served) -> None:
    served.say("goto end")
    assert served.out("get", "deployment", "web", "-o", "jsonpath={.spec.replicas}") == "17"
    rows = served.out("get", "pods", "-A", "-o", "wide").splitlines()
    assert len(rows) == 18
    assert all("Running" in row for row in rows[1:])
    assert "17 desired | 17 updated | 17 total | 17 available" in served.out("describe", "deployment", "web")
    served.say("goto +3")
    assert served.out("get", "deployment", "web", "-o", "jsonpath={.spec.replicas}") == "2"
    assert served.out("get", "deployment", "web", "--no-headers").split()[4] == "2s"
    served.say("goto ready")
    assert "No resources found" in served.kubectl("get", "pods", "-A").stderr
    assert len(served.out("get", "nodes", "-o", "name").splitlines()) == 3


def test_a_watch_follows_forwards_and_ends_when_time_goes_back(served: Served) -> None:
    served.say("goto +3")
    watch = subprocess.Popen(
        [KUBECTL, "get", "deployments", "-w", "--no-headers"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=served.environment,
    )
    assert watch.stdout is not None
    with watch.stdout:
        assert watch.stdout.readline().split()[:2] == ["web", "2/2"]
        served.say("find spec.replicas: 2 → 3")
        assert watch.stdout.readline().split()[:2] == ["web", "2/3"]
        served.say("rfind spec.replicas: 3 → 2")
        assert "too old resource version" in watch.stdout.read()
    assert watch.wait(30) is not None
    assert served.out("get", "deployment", "web", "-o", "jsonpath={.spec.replicas}") == "2"


def test_writes_are_refused_in_clear_words(served: Served) -> None:
    served.say("goto end")
    for arguments in (("delete", "deployment", "web"), ("scale", "deployment", "web", "--replicas=1"), ("create", "namespace", "x")):
        done = served.kubectl(*arguments)
        assert done.returncode == 1
        assert "it can be read, not changed" in done.stderr
    assert "logs of containers are no part of a recording" in served.kubectl("logs", "deployment/web").stderr
    assert served.out("auth", "can-i", "list", "pods") == "yes\n"
