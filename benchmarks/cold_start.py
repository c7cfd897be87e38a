"""From a fresh interpreter, imports included: to three Ready nodes of an embedded cluster, to /readyz of `kubelet-lite up`, and
resident memory then. Modules are compiled, as pip leaves them: a first run, not counted, sees to that."""
from __future__ import annotations

import os
import re
import signal
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks.report import Row, main

ROUNDS: Final = 10
EMBEDDED: Final = """
import asyncio, sys
from kubelet_lite import Cluster

async def main():
    async with Cluster(nodes=3, runtime="fake") as cluster:
        for name in ("node-1", "node-2", "node-3"):
            await cluster.wait(f"node/{name}", "condition=Ready")
        print("ready", flush=True)
        await asyncio.sleep(float(sys.argv[1]))
        print(next(l for l in open("/proc/self/status") if l.startswith("VmRSS")).split()[1], flush=True)

asyncio.run(main())
"""


@contextmanager
def compiled() -> Iterator[dict[str, str]]:
    """The environment of programs whose modules are compiled, wherever the source lies and whatever this process was told."""
    with tempfile.TemporaryDirectory() as folder:
        yield {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | {"PYTHONPYCACHEPREFIX": folder}


def embedded() -> Iterable[Row]:
    took = []
    with compiled() as environment:
        for _ in range(1 + ROUNDS):
            begun = time.perf_counter()
            process = subprocess.Popen([sys.executable, "-c", EMBEDDED, "0"], stdout=subprocess.PIPE, text=True, env=environment)
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            took.append(time.perf_counter() - begun)
            process.communicate()
        yield Row("embedded", "to three Ready nodes", statistics.median(took[1:]), "s", f"median of {ROUNDS}; fake runtime")
        settled = subprocess.run([sys.executable, "-c", EMBEDDED, "3"], stdout=subprocess.PIPE, text=True, check=True, env=environment)
        yield Row("embedded", "resident memory idle", int(settled.stdout.split()[1]) / 1024, "MB")


def served() -> Iterable[Row]:
    with compiled() as environment:
        took = [to_readyz(environment)[0] for _ in range(1 + ROUNDS)]
        _, memory = to_readyz(environment, idle_seconds=3)
    yield Row("up", "to /readyz", statistics.median(took[1:]), "s", f"median of {ROUNDS}; three nodes, fake runtime, HTTPS")
    yield Row("up", "resident memory idle", memory, "MB", "with HTTPS")


def to_readyz(environment: dict[str, str], idle_seconds: float = 0.0) -> tuple[float, float]:
    """Seconds until `kubelet-lite up` is ready, and its memory in MB some seconds later."""
    context = ssl._create_unverified_context()
    with tempfile.TemporaryDirectory() as folder:
        port = _free_port()
        command = [
            str(Path(sys.executable).parent / "kubelet-lite"), "up", "--nodes", "3", "--runtime", "fake", "--port", str(port),
            "--kubeconfig", f"{folder}/kubeconfig",
        ]
        begun = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
        while True:
            try:
                urllib.request.urlopen(f"https://127.0.0.1:{port}/readyz", context=context, timeout=5).close()
                break
            except (urllib.error.URLError, OSError):
                time.sleep(0.002)
        took = time.perf_counter() - begun
        time.sleep(idle_seconds)
        found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())
        assert found is not None
        process.send_signal(signal.SIGTERM)
        process.wait()
        return took, int(found[1]) / 1024


def imports() -> Iterable[Row]:
    took = []
    with compiled() as environment:
        for _ in range(1 + ROUNDS):
            begun = time.perf_counter()
            subprocess.run([sys.executable, "-c", "import kubelet_lite"], check=True, env=environment)
            took.append(time.perf_counter() - begun)
    yield Row("import", "import kubelet_lite", statistics.median(took[1:]), "s", f"median of {ROUNDS}, interpreter included")


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


WORKLOADS: Final = {"embedded": embedded, "up": served, "import": imports}

if __name__ == "__main__":
    main("cold_start", WORKLOADS)
