"""Objects in one line each, for tests of controllers."""
from __future__ import annotations

from typing import Any

from kubelet_lite.api import timestamps
from kubelet_lite.api.apps_v1 import (
    Deployment,
    DeploymentSpec,
    DeploymentStatus,
    DeploymentStrategy,
    ReplicaSet,
    ReplicaSetSpec,
    ReplicaSetStatus,
    RollingUpdateDeployment,
)
from kubelet_lite.api.core_v1 import Container, ContainerStatus, Pod, PodCondition, PodSpec, PodStatus, PodTemplateSpec
from kubelet_lite.api.meta_v1 import LabelSelector, ObjectMeta, OwnerReference
from kubelet_lite.api.resources import resource_of
from kubelet_lite.controllers.base import controller_reference

NOW = 1_767_225_600.0 + 3600
LABELS = {"app": "web"}


def at(seconds: float) -> str:
    """A time so long after NOW."""
    return timestamps.format_time(NOW + seconds)


def owned_by(owner: Any) -> tuple[OwnerReference, ...]:
    return (controller_reference(owner, resource_of(type(owner))),)


def template(image: str = "x:1", **labels: str) -> PodTemplateSpec:
    return PodTemplateSpec(metadata=ObjectMeta(labels=labels or LABELS), spec=PodSpec(containers=(Container(name="c", image=image),)))


def pod(
    name: str = "p", *, owner: Any = None, ready: float | None = None, phase: str = "Running", node: str = "n", created: float = -600,
    restarts: int = 0, labels: dict[str, str] | None = None, status: PodStatus | None = None, **metadata: Any,
) -> Pod:
    """`ready`: since when, in seconds after NOW."""
    conditions = () if ready is None else (PodCondition(type="Ready", status="True", lastTransitionTime=at(ready)),)
    statuses = (ContainerStatus(name="c", restartCount=restarts),)
    return Pod(
        metadata=ObjectMeta(**{
            "name": name, "namespace": "default", "uid": f"uid-{name}", "labels": LABELS if labels is None else labels, "creationTimestamp": at(created),
            "ownerReferences": owned_by(owner) if owner is not None else (), **metadata,
        }),
        spec=PodSpec(nodeName=node, containers=(Container(name="c", image="x:1"),)),
        status=status or PodStatus(phase=phase, conditions=conditions, containerStatuses=statuses),
    )


def replica_set(
    name: str = "rs", replicas: int = 1, *, owner: Any = None, image: str = "x:1", status: ReplicaSetStatus | None = None, min_ready: int = 0,
    labels: dict[str, str] | None = None, **metadata: Any,
) -> ReplicaSet:
    return ReplicaSet(
        metadata=ObjectMeta(**{
            "name": name, "namespace": "default", "uid": f"uid-{name}", "generation": 1, "labels": LABELS if labels is None else labels, "creationTimestamp": at(-600),
            "ownerReferences": owned_by(owner) if owner is not None else (), **metadata,
        }),
        spec=ReplicaSetSpec(replicas=replicas, minReadySeconds=min_ready, selector=LabelSelector(matchLabels=LABELS), template=template(image)),
        status=status or ReplicaSetStatus(observedGeneration=1),
    )


def deployment(
    replicas: int = 3, *, surge: int | str = "25%", unavailable: int | str = "25%", recreate: bool = False, image: str = "x:1",
    status: DeploymentStatus | None = None, annotations: dict[str, str] | None = None, deadline: int | None = 600, history: int | None = 10,
    paused: bool = False, min_ready: int = 0, generation: int = 1, **metadata: Any,
) -> Deployment:
    rolling = DeploymentStrategy(type="RollingUpdate", rollingUpdate=RollingUpdateDeployment(maxSurge=surge, maxUnavailable=unavailable))
    return Deployment(
        metadata=ObjectMeta(**{
            "name": "web", "namespace": "default", "uid": "uid-web", "generation": generation, "annotations": annotations or {}, **metadata,
        }),
        spec=DeploymentSpec(
            replicas=replicas, selector=LabelSelector(matchLabels=LABELS), template=template(image), paused=paused, minReadySeconds=min_ready,
            strategy=DeploymentStrategy(type="Recreate") if recreate else rolling, progressDeadlineSeconds=deadline, revisionHistoryLimit=history,
        ),
        status=status or DeploymentStatus(),
    )
