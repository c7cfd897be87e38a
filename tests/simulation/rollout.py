"""What users do on an ordinary day, for runs under invariants: a Deployment is made, rolled, rolled again in the middle, scaled and deleted; a
Service follows it; a namespace comes and goes with all that is in it. It is made again and stays, beside others in a namespace that stays,
whose containers get ready slowly, end slowly, or exit: they are rolled and scaled once the faults of a mix are over, and judged at rest."""
from __future__ import annotations

from contextlib import suppress
from typing import Any

from msgspec.structs import replace

from kubelet_lite.api.apps_v1 import Deployment, DeploymentSpec, ReplicaSet
from kubelet_lite.api.core_v1 import (
    Container,
    HTTPGetAction,
    Namespace,
    Pod,
    PodSpec,
    PodTemplateSpec,
    Probe,
    Service,
    ServicePort,
    ServiceSpec,
    Toleration,
)
from kubelet_lite.api.encoding import encode_value
from kubelet_lite.api.errors import ApiError, NotFound
from kubelet_lite.api.meta_v1 import LabelSelector, ObjectMeta
from kubelet_lite.api.requests import STRATEGIC_MERGE_PATCH
from kubelet_lite.runtimes.fake import ANNOTATION, Behaviour
from kubelet_lite.simulation.invariants.stability import UNHEALTHY_TAINTS
from kubelet_lite.simulation.simulation import Simulation

NAMESPACE = "default"
OTHER = "other"
STAYS = "stays"
LONG_SECONDS = 150
"""Time enough for a node that died to be missed, and its pods to be evicted."""
CALM_SECONDS = 70
"""Time enough after the last fault of a mix for invariants to take no excuse."""


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


def behaving(made: Deployment, behaviour: Behaviour) -> Deployment:
    """With containers that behave so."""
    template = made.spec.template
    annotated = replace(template, metadata=replace(template.metadata, annotations={ANNOTATION: encode_value(behaviour).decode()}))
    return replace(made, spec=replace(made.spec, template=annotated))


def careful(made: Deployment) -> Deployment:
    """With a readiness probe; a node that dies is left after five seconds."""
    template = made.spec.template
    container = replace(template.spec.containers[0], readinessProbe=Probe(httpGet=HTTPGetAction(port=80), periodSeconds=5))
    tolerations = tuple(Toleration(key=key, operator="Exists", effect="NoExecute", tolerationSeconds=5) for key in UNHEALTHY_TAINTS)
    return replace(made, spec=replace(made.spec, template=replace(
        template, spec=replace(template.spec, containers=(container,), tolerations=tolerations),
    )))


async def rollout(simulation: Simulation) -> None:
    client = simulation.client
    await client.create(deployment())
    await client.create(service(kind="NodePort"))
    await client.create(Namespace(metadata=ObjectMeta(name=STAYS)))
    await client.create(careful(behaving(deployment("shop", namespace=STAYS, replicas=2), Behaviour(ready_after_seconds=3, stop_seconds=12))))
    await client.create(service("shop", namespace=STAYS))
    await client.create(careful(behaving(deployment("flaky", namespace=STAYS, replicas=1), Behaviour(run_seconds=15, exit_code=1, runs=3))))
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
    await simulation.until(lambda snapshot: not snapshot.list(ReplicaSet, NAMESPACE) and not snapshot.list(Deployment, NAMESPACE))
    await client.create(behaving(deployment(replicas=3), Behaviour(stop_seconds=12)))
    await simulation.sleep(LONG_SECONDS)
    await change(simulation, image("nginx:2"), "shop", STAYS)
    await simulation.sleep(CALM_SECONDS)
    await change(simulation, image("nginx:4"))
    await change(simulation, {"replicas": 1}, "shop", STAYS)
