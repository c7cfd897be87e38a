"""What users do on an ordinary day, for runs under invariants: a Deployment is made, rolled, rolled again in the middle, scaled and deleted; a
Service follows it; a namespace comes and goes with all that is in it."""
from __future__ import annotations

from contextlib import suppress
from typing import Any

from kubelet_lite.api.apps_v1 import Deployment, DeploymentSpec, ReplicaSet
from kubelet_lite.api.core_v1 import (
    Container,
    Namespace,
    Pod,
    PodSpec,
    PodTemplateSpec,
    Service,
    ServicePort,
    ServiceSpec,
)
from kubelet_lite.api.errors import ApiError, NotFound
from kubelet_lite.api.meta_v1 import LabelSelector, ObjectMeta
from kubelet_lite.api.requests import STRATEGIC_MERGE_PATCH
from kubelet_lite.simulation.simulation import Simulation

NAMESPACE = "default"
OTHER = "other"


def deployment(name: str = "web", *, namespace: str = NAMESPACE, replicas: int = 4, image: str = "nginx:1", **spec: Any) -> Deployment:
    labels = {"app": name}
    return Deployment(
        metadata=ObjectMeta(name=name, namespace=namespace),
        spec=DeploymentSpec(
            replicas=replicas, selector=LabelSelector(matchLabels=labels),
            template=PodTemplateSpec(metadata=ObjectMeta(labels=labels), spec=PodSpec(containers=(Container(name="c", image=image),))), **spec,
        ),
    )


def service(name: str = "web", *, namespace: str = NAMESPACE, kind: str = "ClusterIP") -> Service:
    return Service(
        metadata=ObjectMeta(name=name, namespace=namespace), spec=ServiceSpec(type=kind, selector={"app": name}, ports=(ServicePort(port=80),)),
    )


async def change(simulation: Simulation, spec: dict[str, Any], name: str = "web", namespace: str = NAMESPACE) -> None:
    """Users try again until it is done."""
    while True:
        try:
            await simulation.client.patch(Deployment, name, {"spec": spec}, namespace=namespace, content_type=STRATEGIC_MERGE_PATCH)
            return
        except ApiError:
            await simulation.sleep(1)


def image(name: str) -> dict[str, Any]:
    return {"template": {"spec": {"containers": [{"name": "c", "image": name}]}}}


async def rollout(simulation: Simulation) -> None:
    client = simulation.client
    await client.create(deployment())
    await client.create(service(kind="NodePort"))
    await simulation.sleep(20)
    await change(simulation, image("nginx:2"))
    await simulation.sleep(3)
    await change(simulation, {"replicas": 6, **image("nginx:3")})
    await simulation.sleep(1)
    await change(simulation, {"replicas": 3})
    await simulation.sleep(20)
    await client.create(Namespace(metadata=ObjectMeta(name=OTHER)))
    await client.create(deployment("db", namespace=OTHER, replicas=2))
    await client.create(service("db", namespace=OTHER))
    await simulation.sleep(10)
    await client.delete(Namespace, OTHER)
    for pod in simulation.snapshot.list(Pod, NAMESPACE)[:1]:
        with suppress(NotFound):
            await client.delete(Pod, pod.metadata.name, namespace=NAMESPACE)
    await simulation.sleep(5)
    with suppress(NotFound):
        await client.delete(Deployment, "web", namespace=NAMESPACE, propagation="Foreground")
    await simulation.until(lambda snapshot: not snapshot.list(ReplicaSet, NAMESPACE))
