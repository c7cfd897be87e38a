"""The traced run of `examples/controller_kr8s.py`: a ConfigMap is copied to Namespaces, and the copies stay as they should be."""
from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

import anyio

from examples import controller_kr8s
from kubelet_lite import Cluster
from kubelet_lite.api.core_v1 import ConfigMap, Namespace
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.requests import MERGE_PATCH
from kubelet_lite.simulation.trace import Trace
from kubelet_lite.simulation.virtual.environment import SimulatedEnvironment
from tests.simulation.operators import traced_cluster

CONVERGES_SECONDS: Final = 60.0


async def run(environment: SimulatedEnvironment, trace: Trace) -> None:
    """To convergence after each change, whoever makes it."""
    async with traced_cluster(environment, trace) as cluster:
        client = cluster.client
        controller = asyncio.create_task(controller_kr8s.run(), name="controller")
        trace.add("step", "make")
        for number in range(4):
            labels = {"team": ""} if number % 2 else {}
            await client.create(Namespace(metadata=ObjectMeta(name=f"n{number}", labels=labels)))
        await client.create(ConfigMap(metadata=ObjectMeta(name="logo", namespace="default", labels={"copy-to": "team"}), data={"a": "1"}))
        await _copied(cluster, {"n1": "1", "n3": "1"})
        trace.add("step", "edit the original")
        await client.patch(ConfigMap, "logo", {"data": {"a": "2"}}, namespace="default", content_type=MERGE_PATCH)
        await _copied(cluster, {"n1": "2", "n3": "2"})
        trace.add("step", "edit one copy, delete the other, and one more Namespace")
        await client.patch(ConfigMap, "logo", {"data": {"a": "x"}}, namespace="n1", content_type=MERGE_PATCH)
        await client.delete(ConfigMap, "logo", namespace="n3")
        await client.patch(Namespace, "n0", {"metadata": {"labels": {"team": ""}}}, content_type=MERGE_PATCH)
        await _copied(cluster, {"n0": "2", "n1": "2", "n3": "2"})
        trace.add("step", "delete the original")
        await client.delete(ConfigMap, "logo", namespace="default")
        await _copied(cluster, {})
        controller.cancel()
        with suppress(asyncio.CancelledError):
            await controller


async def _copied(cluster: Cluster, wanted: dict[str, str]) -> None:
    """Waits until there are these copies and no others."""
    with anyio.fail_after(CONVERGES_SECONDS):
        while True:
            found = (await cluster.client.list(ConfigMap)).items
            copies = {each.metadata.namespace: each.data["a"] for each in found if "copy-of" in each.metadata.labels}
            if copies == wanted:
                return
            await cluster.environment.sleep(1)
