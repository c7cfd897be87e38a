"""What kubectl dumps of a running cluster is the beginning of a run in which nothing happens."""
from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from kubelet_lite import Cluster
from kubelet_lite.api.apps_v1 import Deployment
from kubelet_lite.api.discovery_v1 import EndpointSlice
from kubelet_lite.simulation.dump import load
from kubelet_lite.simulation.invariants import STANDARD
from kubelet_lite.simulation.simulation import Setting, Simulation, play
from tests.conformance.servers import KUBECTL, ROOT

pytestmark = [pytest.mark.slow]
DUMP = 'kubectl get "$(kubectl api-resources --verbs=list,watch -o name | paste -sd, -)" -A -o json'
"""As docs/simulation.md has it."""
ROUTINE = ("leases.coordination.k8s.io", "nodes")


async def settled(cluster: Cluster) -> bool:
    """Whether everybody has said what there is to say of the guestbook."""
    web = await cluster.client.get(Deployment, "web", namespace="default")
    slices = (await cluster.client.list(EndpointSlice, namespace="default")).items
    ready = [endpoint for found in slices if found.metadata.name.startswith("web-") for endpoint in found.endpoints if endpoint.conditions.ready]
    return len(ready) == 3 and any(condition.reason == "NewReplicaSetAvailable" for condition in web.status.conditions)


async def dumped(folder: Path) -> str:
    """A guestbook that runs, as kubectl shows it."""
    async with Cluster(nodes=3, runtime="fake", serve=True) as cluster:
        await cluster.apply(ROOT / "examples" / "guestbook.yaml")
        while not await settled(cluster):
            await asyncio.sleep(0.1)
        (folder / "kubeconfig").write_text(cluster.kubeconfig)
        path = f"{Path(KUBECTL).parent}{os.pathsep}{os.environ['PATH']}"
        process = await asyncio.create_subprocess_shell(
            DUMP, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "KUBECONFIG": str(folder / "kubeconfig"), "HOME": str(folder), "PATH": path},
        )
        out, error = await process.communicate()
        assert process.returncode == 0, error.decode()
        return out.decode()


async def leave_alone(simulation: Simulation) -> None:
    await simulation.sleep(60)


def test_the_documents_say_this_command() -> None:
    assert f"$ {DUMP} > dump.json" in (ROOT / "docs" / "simulation.md").read_text()


def test_nothing_happens_to_what_was_dumped(tmp_path: Path) -> None:
    run = play(leave_alone, setting=Setting(objects=load(asyncio.run(dumped(tmp_path))), settle=True), invariants=STANDARD)
    run.raise_error()
    assert [f"{r.actor} {r.verb} {r.event.key}" for r in run.archive.revisions if r.actor and r.event.key.resource not in ROUTINE] == []
    assert run.seconds > 600
