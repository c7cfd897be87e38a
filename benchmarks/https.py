"""Requests over HTTPS, the load generator on the same cores: `wrk` with 32 connections reads one pod, creates pods and lists 3,000 of
them; 100 watchers, all in one process, count what reaches them while pods are created. Memory only; authorization, admission and
managedFields on. Needs wrk (the Debian package of that name)."""
from __future__ import annotations

import asyncio
import json
import re
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks.report import Row, main

CONNECTIONS: Final = 32
SECONDS: Final = 5
LISTED: Final = 3_000
WATCHERS: Final = 100
PODS: Final = "/api/v1/namespaces/default/pods"
POD: Final = {
    "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "labels": {"app": "web"}},
    "spec": {"containers": [{"name": "c", "image": "web:1", "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}}}]},
}
CREATES: Final = """
local n = 0
function request()
  n = n + 1
  return wrk.format("POST", "%s", nil, (string.gsub([[%s]], '"web",', '"p' .. n .. '",', 1)))
end
"""
NOTE: Final = f"HTTPS, memory, wrk on the same cores, {CONNECTIONS} connections"


class Server(NamedTuple):
    url: str
    token: str

    def request(self, method: str, path: str, body: Any = None) -> bytes:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        asked = urllib.request.Request(self.url + path, data, headers, method=method)
        with urllib.request.urlopen(asked, context=ssl._create_unverified_context(), timeout=30) as answer:
            content: bytes = answer.read()
        return content


@contextmanager
def server() -> Iterator[Server]:
    """`kubelet-lite up` with the API server alone, and one pod `default/web`."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            str(Path(sys.executable).parent / "kubelet-lite"), "up", "--components", "apiserver", "--port", "0",
            "--kubeconfig", f"{folder}/kubeconfig", "--token-file", f"{folder}/token",
        ]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            url = next(found[1] for line in process.stdout if (found := re.search(r"(https://[0-9.:]+);", line)))
            on = Server(url, Path(f"{folder}/token").read_text().strip())
            on.request("POST", "/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}})
            on.request("POST", PODS, POD)
            yield on
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


def wrk(on: Server, path: str, script: str = "") -> float:
    """Answers a second. Raises RuntimeError where wrk is missing or any answer was no 2xx."""
    program = shutil.which("wrk")
    if program is None:
        raise RuntimeError("this benchmark needs wrk: apt-get install wrk")
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script)
        file.flush()
        command = [program, "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}", "--timeout", "10", "-H", f"Authorization: Bearer {on.token}"]
        command += ["-H", "Accept: application/json", "-H", "Content-Type: application/json"]
        told = subprocess.run([*command, *(("-s", file.name) if script else ()), on.url + path], capture_output=True, text=True, check=True).stdout
    found = re.search(r"Requests/sec:\s+([0-9.]+)", told)
    if found is None or "Non-2xx" in told or "Socket errors" in told:
        raise RuntimeError(f"wrk of {path}:\n{told}")
    return float(found[1])


def creating() -> str:
    return CREATES % (PODS, json.dumps(POD))


def get() -> Iterable[Row]:
    with server() as on:
        yield Row("get", "get of a pod", wrk(on, f"{PODS}/web"), "1/s", NOTE)


def create() -> Iterable[Row]:
    with server() as on:
        yield Row("create", "create of a pod", wrk(on, PODS, creating()), "1/s", NOTE)


def list_() -> Iterable[Row]:
    with server() as on:
        for number in range(LISTED - 1):
            on.request("POST", PODS, POD | {"metadata": {"name": f"l{number}", "labels": {"app": "web"}}})
        yield Row("list", f"list of {LISTED:,} pods", LISTED * wrk(on, PODS), "pods/s", NOTE)


class _Watcher(asyncio.Protocol):
    """Asks for the pods and counts the events: each line that begins one."""

    BEGINS = b'{"type":"'

    def __init__(self, request: bytes):
        self._request, self._tail, self.seen, self.ended = request, b"", 0, False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        text = self._tail + data
        self.seen += text.count(self.BEGINS)
        self._tail = text[1 - len(self.BEGINS) :]
        self.ended = self.ended or text.startswith(b"HTTP/1.1 4")

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = True


async def watched(on: Server) -> float:
    """Events a second that reached the watchers while pods were created as fast as wrk could."""
    host, port = on.url.removeprefix("https://").split(":")
    since = json.loads(on.request("GET", f"{PODS}?limit=1"))["metadata"]["resourceVersion"]
    asked = f"GET {PODS}?watch=true&resourceVersion={since} HTTP/1.1\r\nHost: {host}\r\nAccept: application/json\r\nAuthorization: Bearer {on.token}\r\n\r\n"
    loop, context = asyncio.get_running_loop(), ssl._create_unverified_context()
    watchers = [
        (await loop.create_connection(lambda: _Watcher(asked.encode()), host, int(port), ssl=context)) for _ in range(WATCHERS)
    ]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(creating())
        script.flush()
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}", "-H", f"Authorization: Bearer {on.token}", "-s", script.name, on.url]
        begun = time.perf_counter()
        writer = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
        await writer.wait()
        made = len(json.loads(on.request("GET", PODS))["items"]) - 1
        while min(watcher.seen for _, watcher in watchers) < made:
            if any(watcher.ended for _, watcher in watchers):
                raise RuntimeError("the server refused or ended a watch")
            await asyncio.sleep(0.01)
        took = time.perf_counter() - begun
    for transport, _ in watchers:
        transport.abort()
    return sum(watcher.seen for _, watcher in watchers) / took


def watch() -> Iterable[Row]:
    with server() as on:
        yield Row("watch", f"events to {WATCHERS} watchers", asyncio.run(watched(on)), "1/s", f"{NOTE}; the watchers in one Python process")


WORKLOADS: Final = {"get": get, "create": create, "list": list_, "watch": watch}

if __name__ == "__main__":
    main("https", WORKLOADS)
