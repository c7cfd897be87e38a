"""One `kubelet-lite up` for all tests of a worker, and a namespace for each of them."""
from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.conformance.servers import KUBECTL, ROOT, Running, up

SERVER = f"{shlex.quote(sys.executable)} {shlex.quote(str(ROOT / 'examples' / 'guestbook_server.py'))}"
IMAGES = {"busybox": "", "web:1": f"{SERVER} v1", "web:2": f"{SERVER} v2"}
HELM = str(Path(sys.executable).parent / "helm")
DEADLINE_SECONDS = 60


class Answer(NamedTuple):
    out: str
    err: str
    code: int

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def words(self) -> list[list[str]]:
        """The lines of a table, split into cells."""
        return [re.split(r"\s{2,}", line.strip()) for line in self.lines if line.strip()]

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Kubectl:
    """Runs kubectl in a namespace and a folder of its own."""

    def __init__(self, server: Running, namespace: str, folder: Path) -> None:
        self.server, self.namespace, self.folder = server, namespace, folder
        self.environment = {**os.environ, "KUBECONFIG": str(folder / "kubeconfig"), "HOME": str(folder), "KUBE_EDITOR": "sh edit.sh"}
        (folder / "kubeconfig").write_text(server.kubeconfig.read_text().replace("namespace: default", f"namespace: {namespace}"))

    def run(self, arguments: str, stdin: str = "", timeout: float = DEADLINE_SECONDS) -> Answer:
        """Never fails: for what is meant to."""
        done = subprocess.run(
            [KUBECTL, *shlex.split(arguments)], input=stdin, capture_output=True, text=True, cwd=self.folder, env=self.environment, timeout=timeout,
        )
        return Answer(done.stdout, done.stderr, done.returncode)

    def __call__(self, arguments: str, stdin: str = "", timeout: float = DEADLINE_SECONDS) -> Answer:
        answer = self.run(arguments, stdin, timeout)
        assert answer.code == 0, f"kubectl {arguments}\n{answer.out}\n{answer.err}"
        return answer

    def start(self, arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [KUBECTL, *shlex.split(arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=self.folder, env=self.environment,
        )

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def until(self, arguments: str, holds: Any) -> Answer:
        """Runs a command again and again until its answer satisfies."""
        end = time.monotonic() + DEADLINE_SECONDS
        while True:
            answer = self.run(arguments)
            if answer.code == 0 and holds(answer):
                return answer
            assert time.monotonic() < end, f"kubectl {arguments}\n{answer.out}\n{answer.err}"
            time.sleep(0.1)


@pytest.fixture(scope="session")
def server() -> Iterator[Running]:
    images = [word for name, command in IMAGES.items() for word in ("--image", f"{name}={command}")]
    with up("--nodes", "2", "--runtime", "subprocess", *images) as running:
        yield running


@pytest.fixture
def kubectl(server: Running, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Kubectl]:
    namespace = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:50].strip("-")
    kubectl = Kubectl(server, namespace, tmp_path)
    kubectl(f"create namespace {namespace}")
    kubectl.until("get serviceaccount default -o name", lambda answer: True)
    yield kubectl
    kubectl.run(f"delete namespace {namespace} --wait=false")
