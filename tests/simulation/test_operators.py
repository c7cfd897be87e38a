"""Operators and clients that we did not write, unmodified in a simulated cluster. (`test_determinism.py` compares processes.)"""
from __future__ import annotations

import importlib
import logging
from pathlib import Path
from typing import Final

import aiohttp
import httpx
import kopf
import kr8s.asyncio
import kubernetes_asyncio
import lightkube
import pytest
from lightkube.resources.core_v1 import Node

from kubelet_lite import Cluster
from kubelet_lite.simulation.crash import crash_actor
from kubelet_lite.simulation.trace import Trace
from kubelet_lite.simulation.virtual.environment import SimulatedEnvironment
from kubelet_lite.simulation.virtual.program import Program
from kubelet_lite.simulation.virtual.run import simulate
from tests.simulation.kopf_scenario import WEBSITE, make_definition, served
from tests.simulation.operators import kubeconfig_of

NODES: Final = ["node-1", "node-2", "node-3"]
ORDER_CHANCE: Final = 0.05
pytestmark = pytest.mark.filterwarnings("ignore:Kubernetes version .* is not supported")


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("scenario", ["kopf", "kr8s"])
def test_an_operator_converges_in_whatever_order_tasks_run_and_the_same_way_twice(scenario: str, seed: int) -> None:
    run = importlib.import_module(f"tests.simulation.{scenario}_scenario").run

    async def main(environment: SimulatedEnvironment) -> str:
        trace = Trace(environment)
        with trace.logs():
            await run(environment, trace)
        return trace.text()

    first = simulate(seed, main, order_chance=ORDER_CHANCE)
    assert simulate(seed, main, order_chance=ORDER_CHANCE) == first != simulate(seed, main)


def test_asynchronous_clients_read_the_kubeconfig_and_reach_the_api_server(tmp_path: Path) -> None:
    async def main(environment: SimulatedEnvironment) -> dict[str, list[str]]:
        async with Cluster(nodes=3, environment=environment, serve=True) as cluster:
            assert cluster.url.startswith("http://127.0.0.1:")
            file = tmp_path / "kubeconfig"
            file.write_text(cluster.kubeconfig)
            url, headers = f"{cluster.url}/api/v1/nodes", {"Authorization": f"Bearer {cluster.token}"}
            names = {}
            async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
                names["aiohttp"] = [item["metadata"]["name"] for item in (await response.json())["items"]]
            async with httpx.AsyncClient() as client:
                names["httpx"] = [item["metadata"]["name"] for item in (await client.get(url, headers=headers)).json()["items"]]
            names["kr8s"] = [node.name async for node in (await kr8s.asyncio.api(kubeconfig=str(file))).get("nodes")]
            await kubernetes_asyncio.config.load_kube_config(str(file))
            async with kubernetes_asyncio.client.ApiClient() as api:
                names["kubernetes_asyncio"] = [node.metadata.name for node in (await kubernetes_asyncio.client.CoreV1Api(api).list_node()).items]
            light = lightkube.AsyncClient(config=lightkube.KubeConfig.from_file(file))
            names["lightkube"] = [node.metadata.name async for node in light.list(Node)]
            await light.close()
            return names

    assert simulate(0, main) == dict.fromkeys(("aiohttp", "httpx", "kr8s", "kubernetes_asyncio", "lightkube"), NODES)


@pytest.mark.parametrize("at_step", range(1, 324, 40))
def test_the_kopf_operator_converges_after_a_crash_at_any_await(at_step: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)

    async def main(environment: SimulatedEnvironment) -> bool:
        async with Cluster(environment=environment, serve=True) as cluster:
            with kubeconfig_of(cluster):
                await make_definition(cluster)
                cluster.supervisor.start(Program("operator", lambda: kopf.operator(clusterwide=True, standalone=True)))
                with crash_actor(environment, "operator", at_step=at_step) as crash:
                    await cluster.apply(WEBSITE)
                    await served(cluster, "<h1>Hello</h1>", 2)
                    await cluster.apply({**WEBSITE, "spec": {"page": "<h1>Bye</h1>", "replicas": 3}})
                    await served(cluster, "<h1>Bye</h1>", 3)
                return crash.happened

    assert simulate(0, main)


def test_the_kopf_operator_that_crashed_does_not_kill_anybody_later(caplog: pytest.LogCaptureFixture) -> None:
    """It sets a timer, when it is ended, that kills its process ten minutes later if it still runs then."""
    caplog.set_level(logging.CRITICAL)

    async def main(environment: SimulatedEnvironment) -> None:
        async with Cluster(environment=environment, serve=True) as cluster:
            with kubeconfig_of(cluster):
                await make_definition(cluster)
                cluster.supervisor.start(Program("operator", lambda: kopf.operator(clusterwide=True, standalone=True)))
                await environment.sleep(10)
                assert cluster.supervisor.kill("operator")
                await environment.sleep(700)
                await cluster.apply(WEBSITE)
                await served(cluster, "<h1>Hello</h1>", 2)
                assert cluster.supervisor.statistics()["operator"]["crashes"] == 1

    simulate(0, main)
