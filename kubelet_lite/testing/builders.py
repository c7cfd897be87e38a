"""Objects in one line each: `deployment("web", 3)`, `pod("p", behaviour=Behaviour(run_seconds=1))`. Named as kubectl names the kinds.

Each is complete: an API server takes it as it is. For what a builder has no argument for, `msgspec.structs.replace` makes a changed copy.
A workload's `template` is a pod; its name and namespace are not used.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from kubelet_lite.api.apps_v1 import (
    DaemonSet,
    DaemonSetSpec,
    Deployment,
    DeploymentSpec,
    DeploymentStrategy,
    ReplicaSet,
    ReplicaSetSpec,
    RollingUpdateDeployment,
    StatefulSet,
    StatefulSetSpec,
)
from kubelet_lite.api.autoscaling_v2 import (
    CrossVersionObjectReference,
    HorizontalPodAutoscaler,
    HorizontalPodAutoscalerSpec,
)
from kubelet_lite.api.batch_v1 import CronJob, CronJobSpec, Job, JobSpec, JobTemplateSpec
from kubelet_lite.api.core_v1 import (
    ConfigMap,
    Container,
    ContainerPort,
    HTTPGetAction,
    LimitRange,
    LimitRangeItem,
    LimitRangeSpec,
    Namespace,
    Node,
    NodeSpec,
    NodeStatus,
    Pod,
    PodSpec,
    PodTemplateSpec,
    Probe,
    ReplicationController,
    ReplicationControllerSpec,
    ResourceQuota,
    ResourceQuotaSpec,
    ResourceRequirements,
    Secret,
    Service,
    ServicePort,
    ServiceSpec,
    Taint,
    Toleration,
)
from kubelet_lite.api.meta_v1 import LabelSelector, ObjectMeta
from kubelet_lite.api.policy_v1 import PodDisruptionBudget, PodDisruptionBudgetSpec
from kubelet_lite.api.scheduling_v1 import PriorityClass
from kubelet_lite.runtimes.fake import ANNOTATION, Behaviour
from kubelet_lite.simulation.checked import checked

IMAGE: Final = "app:1"
PORT: Final = 8080
Behaves = Behaviour | Mapping[str, Behaviour]
"""One for each container, or by container name."""


@checked
def container(
    name: str = "app", image: str = IMAGE, *, requests: Mapping[str, str] | None = None, limits: Mapping[str, str] | None = None,
    port: int | None = None, readiness: Probe | None = None, liveness: Probe | None = None, command: Sequence[str] = (),
) -> Container:
    return Container(
        name=name, image=image, command=tuple(command), ports=() if port is None else (ContainerPort(containerPort=port),),
        resources=ResourceRequirements(requests=requests or {}, limits=limits or {}), readinessProbe=readiness, livenessProbe=liveness,
    )


@checked
def probe(*, period_seconds: int = 10, failure_threshold: int = 3, initial_delay_seconds: int = 0, path: str = "/", port: int = PORT) -> Probe:
    """Asks over HTTP."""
    return Probe(
        httpGet=HTTPGetAction(path=path, port=port), periodSeconds=period_seconds, failureThreshold=failure_threshold,
        initialDelaySeconds=initial_delay_seconds,
    )


@checked
def pod(
    name: str = "", *, namespace: str = "default", labels: Mapping[str, str] | None = None, image: str = IMAGE,
    containers: Sequence[Container] = (), behaviour: Behaves | None = None, restart_policy: str = "", node: str = "",
    priority_class: str = "", tolerations: Sequence[Toleration] = (), grace_seconds: int | None = None, annotations: Mapping[str, str] | None = None,
) -> Pod:
    """`behaviour`: how the fake runtime plays it. `node`: bound there already. Without `containers` it has one of `image`."""
    if containers and image != IMAGE:
        raise ValueError("pod: say image or containers, not both")
    notes = dict(annotations or {})
    if behaviour is not None:
        notes[ANNOTATION] = msgspec.json.encode(behaviour).decode()
    return Pod(
        metadata=ObjectMeta(name=name, namespace=namespace, labels=labels or {}, annotations=notes),
        spec=PodSpec(
            containers=tuple(containers) or (container(image=image),), restartPolicy=restart_policy, nodeName=node,
            priorityClassName=priority_class, tolerations=tuple(tolerations), terminationGracePeriodSeconds=grace_seconds,
        ),
    )


@checked
def deployment(
    name: str, replicas: int = 1, *, namespace: str = "default", labels: Mapping[str, str] | None = None, template: Pod | None = None,
    max_surge: int | str | None = None, max_unavailable: int | str | None = None, recreate: bool = False, paused: bool = False,
) -> Deployment:
    strategy = DeploymentStrategy()
    if recreate and (max_surge is not None or max_unavailable is not None):
        raise ValueError("deployment: with recreate there is no max_surge and no max_unavailable")
    if recreate:
        strategy = DeploymentStrategy(type="Recreate")
    elif max_surge is not None or max_unavailable is not None:
        rolling = RollingUpdateDeployment(maxSurge=max_surge, maxUnavailable=max_unavailable)
        strategy = DeploymentStrategy(type="RollingUpdate", rollingUpdate=rolling)
    selected = _labels(name, labels)
    return Deployment(
        metadata=_named(name, namespace, selected),
        spec=DeploymentSpec(
            replicas=replicas, selector=LabelSelector(matchLabels=selected), template=_template(template, selected), strategy=strategy, paused=paused,
        ),
    )


@checked
def replicaset(
    name: str, replicas: int = 1, *, namespace: str = "default", labels: Mapping[str, str] | None = None, template: Pod | None = None,
) -> ReplicaSet:
    selected = _labels(name, labels)
    spec = ReplicaSetSpec(replicas=replicas, selector=LabelSelector(matchLabels=selected), template=_template(template, selected))
    return ReplicaSet(metadata=_named(name, namespace, selected), spec=spec)


@checked
def replicationcontroller(
    name: str, replicas: int = 1, *, namespace: str = "default", labels: Mapping[str, str] | None = None, template: Pod | None = None,
) -> ReplicationController:
    selected = _labels(name, labels)
    spec = ReplicationControllerSpec(replicas=replicas, selector=selected, template=_template(template, selected))
    return ReplicationController(metadata=_named(name, namespace, selected), spec=spec)


@checked
def statefulset(
    name: str, replicas: int = 1, *, namespace: str = "default", labels: Mapping[str, str] | None = None, template: Pod | None = None,
    service: str = "", parallel: bool = False,
) -> StatefulSet:
    selected = _labels(name, labels)
    spec = StatefulSetSpec(
        replicas=replicas, selector=LabelSelector(matchLabels=selected), template=_template(template, selected), serviceName=service or name,
        podManagementPolicy="Parallel" if parallel else "OrderedReady",
    )
    return StatefulSet(metadata=_named(name, namespace, selected), spec=spec)


@checked
def daemonset(name: str, *, namespace: str = "default", labels: Mapping[str, str] | None = None, template: Pod | None = None) -> DaemonSet:
    selected = _labels(name, labels)
    spec = DaemonSetSpec(selector=LabelSelector(matchLabels=selected), template=_template(template, selected))
    return DaemonSet(metadata=_named(name, namespace, selected), spec=spec)


@checked
def job(
    name: str, *, namespace: str = "default", completions: int | None = None, parallelism: int | None = None, backoff_limit: int | None = None,
    indexed: bool = False, template: Pod | None = None,
) -> Job:
    return Job(metadata=_named(name, namespace, {}), spec=_job_spec(template, completions, parallelism, backoff_limit, indexed))


@checked
def cronjob(
    name: str, schedule: str = "*/5 * * * *", *, namespace: str = "default", concurrency: str = "", template: Pod | None = None,
) -> CronJob:
    spec = CronJobSpec(schedule=schedule, concurrencyPolicy=concurrency, jobTemplate=JobTemplateSpec(spec=_job_spec(template, None, None, None, False)))
    return CronJob(metadata=_named(name, namespace, {}), spec=spec)


@checked
def service(
    name: str, port: int = 80, *, namespace: str = "default", selector: Mapping[str, str] | None = None, target_port: int | str = PORT,
    type: str = "", headless: bool = False,
) -> Service:
    """Of the pods that a workload of the same name makes, unless `selector` says of which; with an empty one of none: somebody else lists them."""
    spec = ServiceSpec(
        selector=_labels(name, selector), ports=(ServicePort(port=port, targetPort=target_port),), type=type, clusterIP="None" if headless else "",
    )
    return Service(metadata=_named(name, namespace, {}), spec=spec)


@checked
def configmap(name: str, data: Mapping[str, str] | None = None, *, namespace: str = "default") -> ConfigMap:
    return ConfigMap(metadata=_named(name, namespace, {}), data=data or {})


@checked
def secret(name: str, data: Mapping[str, str] | None = None, *, namespace: str = "default") -> Secret:
    """`data`: plain text."""
    return Secret(metadata=_named(name, namespace, {}), stringData=data or {})


@checked
def namespace(name: str, *, labels: Mapping[str, str] | None = None) -> Namespace:
    return Namespace(metadata=_named(name, "", labels or {}))


@checked
def node(
    name: str, *, labels: Mapping[str, str] | None = None, cpu: str = "4", memory: str = "8Gi", pods: int = 110, taints: Sequence[Taint] = (),
) -> Node:
    """A node that no kubelet of this cluster plays."""
    room = {"cpu": cpu, "memory": memory, "pods": str(pods)}
    return Node(
        metadata=_named(name, "", {"kubernetes.io/hostname": name, **(labels or {})}), spec=NodeSpec(taints=tuple(taints)),
        status=NodeStatus(capacity=room, allocatable=room),
    )


@checked
def poddisruptionbudget(
    name: str, *, namespace: str = "default", selector: Mapping[str, str] | None = None, min_available: int | str | None = None,
    max_unavailable: int | str | None = None,
) -> PodDisruptionBudget:
    """Of the pods of a workload of that name, unless `selector` says of which (an empty one: all); one of the two bounds."""
    if (min_available is None) == (max_unavailable is None):
        raise ValueError("poddisruptionbudget: say min_available or max_unavailable, one of them")
    spec = PodDisruptionBudgetSpec(
        selector=LabelSelector(matchLabels=_labels(name, selector)), minAvailable=min_available, maxUnavailable=max_unavailable,
    )
    return PodDisruptionBudget(metadata=_named(name, namespace, {}), spec=spec)


@checked
def horizontalpodautoscaler(
    name: str, max_replicas: int, *, namespace: str = "default", min_replicas: int | None = None, target: str = "",
) -> HorizontalPodAutoscaler:
    """Of the Deployment `target`, or of its own name."""
    reference = CrossVersionObjectReference(apiVersion="apps/v1", kind="Deployment", name=target or name)
    spec = HorizontalPodAutoscalerSpec(scaleTargetRef=reference, minReplicas=min_replicas, maxReplicas=max_replicas)
    return HorizontalPodAutoscaler(metadata=_named(name, namespace, {}), spec=spec)


@checked
def resourcequota(name: str, hard: Mapping[str, str], *, namespace: str = "default") -> ResourceQuota:
    """`hard`: as in `{"pods": "10", "requests.cpu": "2"}`."""
    return ResourceQuota(metadata=_named(name, namespace, {}), spec=ResourceQuotaSpec(hard=hard))


@checked
def limitrange(
    name: str, *, namespace: str = "default", default: Mapping[str, str] | None = None, default_request: Mapping[str, str] | None = None,
    max: Mapping[str, str] | None = None, min: Mapping[str, str] | None = None,
) -> LimitRange:
    """Of containers."""
    item = LimitRangeItem(type="Container", default=default or {}, defaultRequest=default_request or {}, max=max or {}, min=min or {})
    return LimitRange(metadata=_named(name, namespace, {}), spec=LimitRangeSpec(limits=(item,)))


@checked
def priorityclass(name: str, value: int) -> PriorityClass:
    return PriorityClass(metadata=_named(name, "", {}), value=value)


def _named(name: str, namespace: str, labels: Mapping[str, str]) -> ObjectMeta:
    return ObjectMeta(name=name, namespace=namespace, labels=labels)


def _labels(name: str, labels: Mapping[str, str] | None) -> Mapping[str, str]:
    return {"app": name} if labels is None else labels


def _template(template: Pod | None, labels: Mapping[str, str], restart_policy: str = "") -> PodTemplateSpec:
    """A workload's, from a pod: with the labels that select it."""
    made = pod() if template is None else template
    metadata = ObjectMeta(labels={**made.metadata.labels, **labels}, annotations=made.metadata.annotations)
    spec = made.spec if made.spec.restartPolicy or not restart_policy else msgspec.structs.replace(made.spec, restartPolicy=restart_policy)
    return PodTemplateSpec(metadata=metadata, spec=spec)


def _job_spec(template: Pod | None, completions: int | None, parallelism: int | None, backoff_limit: int | None, indexed: bool) -> JobSpec:
    return JobSpec(
        completions=completions, parallelism=parallelism, backoffLimit=backoff_limit, completionMode="Indexed" if indexed else None,
        template=_template(template, {}, restart_policy="Never"),
    )
