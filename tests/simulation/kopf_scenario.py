"""The traced run of `examples/operator_kopf.py`: a Website is made, changed and deleted, and its children follow."""
from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final

import kopf
import yaml

from examples import operator_kopf
from kubelet_lite import Cluster
from kubelet_lite.api.apps_v1 import Deployment
from kubelet_lite.api.core_v1 import ConfigMap
from kubelet_lite.simulation.trace import Trace
from kubelet_lite.simulation.virtual.environment import SimulatedEnvironment
from tests.simulation.operators import traced_cluster

EXAMPLES: Final = Path(operator_kopf.__file__).parent
WEBSITE: Final[dict[str, Any]] = yaml.safe_load((EXAMPLES / "website.yaml").read_text())


async def run(environment: SimulatedEnvironment, trace: Trace) -> None:
    """To convergence, three times."""
    async with traced_cluster(environment, trace) as cluster:
        await make_definition(cluster)
        stop = asyncio.Event()
        operator = asyncio.create_task(kopf.operator(clusterwide=True, standalone=True, stop_flag=stop), name="operator")
        trace.add("step", "make")
        await cluster.apply(WEBSITE)
        await served(cluster, "<h1>Hello</h1>", 2)
        trace.add("step", "change")
        await cluster.apply({**WEBSITE, "spec": {"page": "<h1>Bye</h1>", "replicas": 3}})
        await served(cluster, "<h1>Bye</h1>", 3)
        trace.add("step", "delete")
        (website,) = [each for each in await cluster.client.resources() if each.kind == "Website"]
        await cluster.client.delete(website, "hello", namespace="default")
        await cluster.wait("deployment/hello", "delete")
        await cluster.wait("configmap/hello-page", "delete")
        stop.set()
        await operator


async def make_definition(cluster: Cluster) -> None:
    await cluster.apply(EXAMPLES / "website-crd.yaml")
    await cluster.wait("customresourcedefinition/websites.examples.kubelet-lite.dev", "condition=Established")


async def served(cluster: Cluster, page: str, replicas: int) -> None:
    """Waits until the operator says so, and looks whether it is true."""
    await cluster.wait("website/hello", f"jsonpath={{.status.readyReplicas}}={replicas}")
    found = await cluster.client.get(ConfigMap, "hello-page", namespace="default")
    deployment = await cluster.client.get(Deployment, "hello", namespace="default")
    assert (found.data, deployment.spec.replicas) == ({"index.html": page}, replicas)
    assert [owner.kind for each in (found, deployment) for owner in each.metadata.ownerReferences] == ["Website", "Website"]
