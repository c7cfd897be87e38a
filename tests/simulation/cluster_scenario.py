"""The traced run of an embedded cluster."""
from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import anyio

from kubelet_lite.api.apps_v1 import Deployment, DeploymentSpec, ReplicaSet
from kubelet_lite.api.core_v1 import Container, Pod, PodSpec, PodTemplateSpec
from kubelet_lite.api.meta_v1 import LabelSelector, ObjectMeta
from kubelet_lite.api.requests import STRATEGIC_MERGE_PATCH
from kubelet_lite.client.base import Client
from kubelet_lite.cluster import Cluster
from kubelet_lite.simulation.trace import Trace
from kubelet_lite.simulation.virtual.environment import SimulatedEnvironment

NAMESPACE: Final = "default"
NAME: Final = "web"
LONGEST_STEP_SECONDS: Final = 300.0
"""Of virtual time: a step that takes longer hangs."""


async def run(environment: SimulatedEnvironment, trace: Trace) -> None:
    """An embedded cluster: a Deployment made, scaled, a pod killed, rolled, deleted."""
    async with Cluster(nodes=3, runtime="fake", environment=environment) as cluster:
        client = cluster.client
        with trace.follow(cluster.store):
            trace.add("step", "make")
            await client.create(_deployment(), namespace=NAMESPACE)
            await _until(environment, lambda: _available(client, 3, "nginx:1"))
            trace.add("step", "scale")
            await _patch(client, {"spec": {"replicas": 5}})
            await _until(environment, lambda: _available(client, 5, "nginx:1"))
            trace.add("step", "kill")
            pods = (await client.list(Pod, namespace=NAMESPACE)).items
            victim = environment.random.choice(pods).metadata
            await client.delete(Pod, victim.name, namespace=NAMESPACE)
            await _until(environment, lambda: _gone(client, victim.uid))
            await _until(environment, lambda: _available(client, 5, "nginx:1"))
            trace.add("step", "roll")
            await _patch(client, {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "nginx:2"}]}}}})
            await _until(environment, lambda: _available(client, 5, "nginx:2"))
            trace.add("step", "delete")
            await client.delete(Deployment, NAME, namespace=NAMESPACE, propagation="Foreground")
            await _until(environment, lambda: _empty(client))


def _deployment() -> Deployment:
    labels = {"app": NAME}
    return Deployment(
        metadata=ObjectMeta(name=NAME, namespace=NAMESPACE),
        spec=DeploymentSpec(
            replicas=3,
            selector=LabelSelector(matchLabels=labels),
            template=PodTemplateSpec(metadata=ObjectMeta(labels=labels), spec=PodSpec(containers=(Container(name="web", image="nginx:1"),))),
        ),
    )


async def _patch(client: Client, change: dict[str, Any]) -> None:
    await client.patch(Deployment, NAME, change, namespace=NAMESPACE, content_type=STRATEGIC_MERGE_PATCH)


async def _until(environment: SimulatedEnvironment, holds: Callable[[], Awaitable[bool]]) -> None:
    with anyio.fail_after(LONGEST_STEP_SECONDS):
        while not await holds():
            await environment.sleep(1)


async def _available(client: Client, replicas: int, image: str) -> bool:
    """Whether so many pods of this image are there, and no other."""
    deployment = await client.get(Deployment, NAME, namespace=NAMESPACE)
    pods = (await client.list(Pod, namespace=NAMESPACE)).items
    images = [container.image for pod in pods for container in pod.spec.containers]
    return deployment.status.availableReplicas == replicas and images == [image] * replicas


async def _gone(client: Client, uid: str) -> bool:
    return all(pod.metadata.uid != uid for pod in (await client.list(Pod, namespace=NAMESPACE)).items)


async def _empty(client: Client) -> bool:
    return not any([(await client.list(kind, namespace=NAMESPACE)).items for kind in (Deployment, ReplicaSet, Pod)])
