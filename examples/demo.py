"""The main job of a cluster, shown live: start, serve, heal, scale, roll out under load. `make demo` runs it.

Exits 0 when every step did what it should, with every process gone; 1 with the step that did not.
"""
from __future__ import annotations

import asyncio
import collections
import json
import os
import shlex
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from kubelet_lite import Cluster
from kubelet_lite.api.apps_v1 import Deployment
from kubelet_lite.api.core_v1 import Pod, Service
from kubelet_lite.api.requests import STRATEGIC_MERGE_PATCH

HERE = Path(__file__).parent
SERVER = f"{shlex.quote(sys.executable)} {shlex.quote(str(HERE / 'guestbook_server.py'))}"
IMAGES = {f"guestbook:{version}": f"{SERVER} {version}" for version in ("v1", "v2")}
console = Console()
took: list[tuple[str, float]] = []


class Failed(Exception):
    """A step did not do what it should."""


@contextmanager
def step(name: str) -> Iterator[None]:
    console.rule(f"[bold]{name}")
    begun = time.perf_counter()
    yield
    took.append((name, time.perf_counter() - begun))


async def pods_of(cluster: Cluster) -> list[Pod]:
    found = await cluster.client.list(Pod, namespace="default")
    return [pod for pod in found.items if pod.metadata.labels.get("app") == "guestbook"]


def table_of(pods: list[Pod]) -> Table:
    table = Table("pod", "image", "ready", "phase", "restarts", "address", "node")
    for pod in pods:
        status = pod.status.containerStatuses[0] if pod.status.containerStatuses else None
        gone = " (ending)" if pod.metadata.deletionTimestamp else ""
        ready = "[green]yes" if status is not None and status.ready else "[yellow]no"
        restarts = str(status.restartCount if status is not None else 0)
        table.add_row(pod.metadata.name, pod.spec.containers[0].image, ready, (pod.status.phase or "Pending") + gone, restarts, pod.status.podIP, pod.spec.nodeName)
    return table


@asynccontextmanager
async def live_table(cluster: Cluster) -> AsyncIterator[None]:
    """Shows the pods for as long as the block runs."""
    with Live(Table(), console=console, refresh_per_second=10) as live:
        async def refresh() -> None:
            while True:
                live.update(table_of(await pods_of(cluster)))
                await asyncio.sleep(0.1)

        task = asyncio.create_task(refresh())
        try:
            yield
        finally:
            task.cancel()
            live.update(table_of(await pods_of(cluster)))


async def get(address: str, port: int) -> dict[str, Any]:
    """One request on a connection of its own. Raises OSError."""
    reader, writer = await asyncio.open_connection(address, port)
    try:
        writer.write(f"GET / HTTP/1.0\r\nHost: {address}\r\n\r\n".encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        if b" 200 " not in head.partition(b"\r\n")[0]:
            raise OSError(f"answer: {head[:60]!r}")
        answer: dict[str, Any] = json.loads(body)
        return answer
    finally:
        writer.close()


async def available(cluster: Cluster, replicas: int, image: str) -> None:
    async with asyncio.timeout(60):
        while True:
            web = await cluster.client.get(Deployment, "web", namespace="default")
            pods = await pods_of(cluster)
            done = web.status.observedGeneration == web.metadata.generation and web.status.availableReplicas == replicas == web.status.updatedReplicas
            if done and len(pods) == replicas and all(pod.spec.containers[0].image == image for pod in pods):
                return
            await asyncio.sleep(0.05)


async def under_load(address: str, port: int, stop: asyncio.Event, answers: collections.Counter[str], failures: list[str]) -> None:
    while not stop.is_set():
        try:
            answers[(await get(address, port))["version"]] += 1
        except (OSError, ValueError) as error:
            failures.append(str(error))
        await asyncio.sleep(0.005)


async def demo() -> None:
    begun = time.perf_counter()
    async with Cluster(nodes=3, runtime="subprocess", images=IMAGES) as cluster:
        took.append(("start a three-node cluster", time.perf_counter() - begun))
        console.print(f"a cluster of three nodes is ready after {took[-1][1]:.2f} s")
        with step("apply examples/guestbook.yaml and wait until it is available"):
            await cluster.apply(HERE / "guestbook.yaml")
            async with live_table(cluster):
                await available(cluster, 3, "guestbook:v1")
        service = await cluster.client.get(Service, "web", namespace="default")
        address, port = service.spec.clusterIP, service.spec.ports[0].port
        with step(f"twelve requests through the Service's virtual IP {address}:{port}"):
            counts = collections.Counter([(await get(address, port))["pod"] for _ in range(12)])
            for pod, count in sorted(counts.items()):
                console.print(f"  {pod} answered {count}")
            if len(counts) != 3:
                raise Failed(f"{len(counts)} pods answered, not 3")
        with step("kill one process with SIGKILL and see it healed"):
            await heal(cluster)
        with step("scale to 5"):
            async with live_table(cluster):
                await change(cluster, {"spec": {"replicas": 5}})
                await available(cluster, 5, "guestbook:v1")
        with step("roll out v2 under load, without a failed request"):
            stop, answers, failures = asyncio.Event(), collections.Counter[str](), list[str]()
            async with asyncio.TaskGroup() as tasks:
                for _ in range(4):
                    tasks.create_task(under_load(address, port, stop, answers, failures))
                async with live_table(cluster):
                    container = {"name": "web", "image": "guestbook:v2"}
                    await change(cluster, {"spec": {"template": {"spec": {"containers": [container]}}}})
                    await available(cluster, 5, "guestbook:v2")
                stop.set()
            console.print(f"  {answers.total()} requests, {len(failures)} failed; v1 answered {answers['v1']}, v2 {answers['v2']}")
            if failures or not answers["v1"] or not answers["v2"]:
                raise Failed(f"{len(failures)} requests failed: {failures[:3]}")
        begun = time.perf_counter()
    left = [pid for pid in servers() if pid]
    took.append(("end every process", time.perf_counter() - begun))
    if left:
        raise Failed(f"processes are left: {left}")


async def change(cluster: Cluster, patch: dict[str, Any]) -> None:
    await cluster.client.patch(Deployment, "web", patch, namespace="default", content_type=STRATEGIC_MERGE_PATCH)


async def heal(cluster: Cluster) -> None:
    victim = servers()[0]
    before = {pod.metadata.name: pod.status.containerStatuses[0].restartCount for pod in await pods_of(cluster)}
    os.kill(victim, signal.SIGKILL)
    console.print(f"  killed process {victim}")
    async with asyncio.timeout(60), live_table(cluster):
        while True:
            pods = await pods_of(cluster)
            if any(pod.status.containerStatuses[0].restartCount > before[pod.metadata.name] and pod.status.containerStatuses[0].ready for pod in pods):
                return
            await asyncio.sleep(0.05)


def servers() -> list[int]:
    """The guestbook's processes that this program started."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                words = Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0")
                parent = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[1]
            except OSError:
                continue
            if str(HERE / "guestbook_server.py").encode() in words and int(parent) == os.getpid():
                found.append(int(name))
    return found


def main() -> int:
    try:
        asyncio.run(demo())
    except Failed as failure:
        console.print(f"[red]failed: {failure}")
        return 1
    table = Table("step", "seconds", title="what each step took")
    for name, seconds in took:
        table.add_row(name, f"{seconds:.2f}")
    console.print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
