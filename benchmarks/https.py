"""Requests over HTTPS: `kubelet-lite up --components apiserver` in its own process (memory only), wrk with 32 connections beside it.

wrk and the watchers' process share the cores with the server: on two cores the figures of any server are taken like this.
https://github.com/wg/wrk
"""
from __future__ import annotations

import http.client
import json
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks.report import Row, Workload, main

CONNECTIONS: Final = 32
SECONDS: Final = 5
LISTED: Final = 3_000
WATCHERS: Final = 100
PODS: Final = "/api/v1/namespaces/default/pods"
NOTE: Final = f"HTTPS, memory, wrk with {CONNECTIONS} connections"
CREATE_SCRIPT: Final = """
local number, body = 0, [[%s]]
function request()
  number = number + 1
  return wrk.format("POST", nil, nil, (body:gsub("NAME", "w-" .. number)))
end
"""
"""One thread: so a count alone makes every name another one."""


class Server(NamedTuple):
    """One API server that runs."""

    url: str
    token: str

    def request(self, method: str, path: str, *bodies: Any) -> Any:
        """One request for each body, on one connection; the last answer."""
        connection = http.client.HTTPSConnection(self.url.removeprefix("https://"), context=ssl._create_unverified_context())
        with closing(connection):
            for body in bodies or (None,):
                headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
                connection.request(method, path, json.dumps(body) if body is not None else None, headers)
                answer = connection.getresponse()
                text = answer.read()
                assert answer.status < 300, text
        return json.loads(text)

    def count_pods(self) -> int:
        first = self.request("GET", f"{PODS}?limit=1")
        return len(first["items"]) + int(first["metadata"].get("remainingItemCount", 0))


def pod(name: str) -> dict[str, Any]:
    container = {"name": "c", "image": "nginx", "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": "web"}}, "spec": {"containers": [container]}}


@contextmanager
def server() -> Iterator[Server]:
    """A server in its own process, with the service account that pods of the default namespace need."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            str(Path(sys.executable).parent / "kubelet-lite"), "up", "--components", "apiserver", "--port", "0",
            "--kubeconfig", f"{folder}/kubeconfig", "--token-file", f"{folder}/token",
        ]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            url = next(found[0] for line in process.stdout if (found := re.search(r"https://[\d.:]+", line)))
            running = Server(url, Path(f"{folder}/token").read_text().strip())
            running.request("POST", "/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}})
            yield running
        finally:
            process.terminate()
            process.wait()


def wrk(on: Server, path: str, script: str = "") -> float:
    """Requests answered in a second."""
    program = shutil.which("wrk")
    if program is None:
        raise SystemExit("this benchmark needs wrk (apt-get install wrk)")
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script)
        file.flush()
        command = [
            program, "--threads", "1", "--connections", str(CONNECTIONS), "--duration", f"{SECONDS}s", "--timeout", "20s",
            "--header", f"Authorization: Bearer {on.token}", "--header", "Accept: application/json", "--header", "Content-Type: application/json",
            *(("--script", file.name) if script else ()), on.url + path,
        ]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in text, text
    found = re.search(r"Requests/sec:\s+([\d.]+)", text)
    assert found is not None, text
    return float(found[1])


def gets() -> Iterable[Row]:
    with server() as on:
        on.request("POST", PODS, pod("p"))
        yield Row("get", "throughput", wrk(on, f"{PODS}/p"), "requests/s", f"{NOTE}; a pod")


def creates() -> Iterable[Row]:
    with server() as on:
        yield Row("create", "throughput", wrk(on, PODS, CREATE_SCRIPT % json.dumps(pod("NAME"))), "requests/s", f"{NOTE}; pods")


def lists() -> Iterable[Row]:
    with server() as on:
        on.request("POST", PODS, *(pod(f"p-{number}") for number in range(LISTED)))
        yield Row("list", "throughput", wrk(on, PODS) * LISTED, "pods/s", f"{NOTE}; {LISTED:,} pods an answer")


def watches() -> Iterable[Row]:
    with server() as on:
        command = [sys.executable, "-m", "benchmarks.watchers", str(WATCHERS), on.url, on.token, f"{PODS}?watch=true"]
        watching = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert watching.stdout is not None
        assert watching.stdout.readline() == "ready\n"
        created = wrk(on, PODS, CREATE_SCRIPT % json.dumps(pod("NAME")))
        answer, _ = watching.communicate()
        events, seconds = answer.split()
        assert int(events) == WATCHERS * on.count_pods(), "a watcher missed something"
        note = f"HTTPS, memory; {WATCHERS} watchers in one process, pods created by wrk with {CONNECTIONS} connections"
        yield Row("watch", "throughput", int(events) / float(seconds), "events/s", note)
        yield Row("watch", "creates meanwhile", created, "requests/s", note)


WORKLOADS: Final[dict[str, Workload]] = {"get": gets, "create": creates, "list": lists, "watch": watches}

if __name__ == "__main__":
    main("https", WORKLOADS)
