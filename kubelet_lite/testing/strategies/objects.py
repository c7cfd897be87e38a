"""Hypothesis strategies for objects: every workload kind, and what surrounds workloads. Named as the API names the resources.

Each object is one that the API server of an empty cluster takes (where its default service account is there). They shrink to few and
plain: the first name, no replica, one container, nothing optional. A workload's `template` is a strategy of pods.
"""
from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final, TypeVar

import msgspec
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from kubelet_lite.api.apps_v1 import (
    DaemonSet,
    DaemonSetUpdateStrategy,
    Deployment,
    ReplicaSet,
    RollingUpdateDaemonSet,
    RollingUpdateStatefulSetStrategy,
    StatefulSet,
    StatefulSetUpdateStrategy,
)
from kubelet_lite.api.autoscaling_v2 import HorizontalPodAutoscaler, MetricSpec, MetricTarget, ResourceMetricSource
from kubelet_lite.api.batch_v1 import CronJob, Job
from kubelet_lite.api.core_v1 import (
    Affinity,
    ConfigMap,
    Container,
    EmptyDirVolumeSource,
    EnvVar,
    LimitRange,
    Namespace,
    Node,
    Pod,
    PodAffinityTerm,
    PodAntiAffinity,
    ReplicationController,
    ResourceQuota,
    Secret,
    Service,
    Taint,
    Toleration,
    TopologySpreadConstraint,
    Volume,
    VolumeMount,
)
from kubelet_lite.api.meta_v1 import LabelSelector
from kubelet_lite.api.policy_v1 import PodDisruptionBudget
from kubelet_lite.api.scheduling_v1 import PriorityClass
from kubelet_lite.runtimes.fake import Behaviour
from kubelet_lite.simulation.checked import checked
from kubelet_lite.testing import builders

T = TypeVar("T")

MOST_REPLICAS: Final = 5
MOST_CONTAINERS: Final = 2
HOSTNAME: Final = "kubernetes.io/hostname"
CPUS: Final = ("10m", "100m", "500m", "1", "2")
MEMORIES: Final = ("16Mi", "128Mi", "1Gi")
"""In the order of their size, all within what a pretended node has."""


@cache
def names() -> SearchStrategy[str]:
    """Few: so that objects meet again under one name, and at most one character where that is enough."""
    return st.sampled_from(("a", "b", "c"))


@cache
def replicas() -> SearchStrategy[int]:
    return st.integers(0, MOST_REPLICAS)


@cache
def amounts() -> SearchStrategy[int | str]:
    """maxSurge, maxUnavailable, minAvailable."""
    return st.integers(1, 3) | st.sampled_from(("25%", "50%", "100%"))


@cache
def behaviours() -> SearchStrategy[Behaviour]:
    """How a pretended container lives; simplest: for ever, and ready at once."""
    steady = st.just(Behaviour())
    few_seconds = st.integers(0, 60).map(float)
    slow = st.builds(Behaviour, ready_after_seconds=few_seconds)
    ends = st.builds(Behaviour, run_seconds=st.integers(1, 60).map(float), exit_code=st.sampled_from((0, 1, 137)), runs=st.none() | st.integers(1, 3))
    sick = st.builds(Behaviour, alive_seconds=few_seconds)
    stubborn = st.builds(Behaviour, stop_seconds=few_seconds)
    amounts = st.integers(0, 2000).map(float)
    courses = amounts | st.tuples(amounts, amounts).map(lambda ends: ((0.0, ends[0]), (60.0, ends[1])))
    busy = st.builds(Behaviour, cpu_millicores=courses, memory_bytes=amounts.map(lambda mebibytes: mebibytes * 1024 * 1024))
    broken = st.sampled_from((Behaviour(start_error="no such command"), Behaviour(pull_error="no such image")))
    return steady | slow | ends | sick | stubborn | busy | broken


@st.composite
@checked
def containers(draw: st.DrawFn, name: str = "app") -> Container:
    least = draw(st.none() | st.tuples(st.integers(0, len(CPUS) - 1), st.integers(0, len(MEMORIES) - 1)))
    requests: dict[str, str] = {}
    limits: dict[str, str] = {}
    if least is not None:
        requests = {"cpu": CPUS[least[0]], "memory": MEMORIES[least[1]]}
        if draw(st.booleans()):
            limits = {"cpu": CPUS[draw(st.integers(least[0], len(CPUS) - 1))], "memory": MEMORIES[draw(st.integers(least[1], len(MEMORIES) - 1))]}
    probes = st.none() | st.builds(builders.probe, period_seconds=st.integers(1, 10), failure_threshold=st.integers(1, 3))
    made = builders.container(
        name, draw(images()), requests=requests, limits=limits, port=draw(st.none() | st.just(builders.PORT)), readiness=draw(probes),
        liveness=draw(probes),
    )
    env = draw(st.lists(st.builds(EnvVar, name=st.sampled_from(("A", "B")), value=st.sampled_from(("", "1"))), max_size=2, unique_by=lambda e: e.name))
    return msgspec.structs.replace(made, env=tuple(env))


@cache
def images() -> SearchStrategy[str]:
    return st.sampled_from(("app:1", "app:2"))


@cache
def tolerations() -> SearchStrategy[Toleration]:
    return st.builds(Toleration, key=st.sampled_from(("a", "b")), operator=st.just("Exists"), effect=st.sampled_from(("", "NoSchedule", "NoExecute")))


@cache
def taints() -> SearchStrategy[Taint]:
    return st.builds(Taint, key=st.sampled_from(("a", "b")), effect=st.sampled_from(("NoSchedule", "PreferNoSchedule", "NoExecute")))


@st.composite
@checked
def pods(
    draw: st.DrawFn, name: SearchStrategy[str] = names(), *, namespace: str = "default",
    restart_policies: SearchStrategy[str] = st.sampled_from(("", "OnFailure", "Never")),
    behaviours: SearchStrategy[Behaviour | None] = st.none() | behaviours(),
) -> Pod:
    count = draw(st.integers(1, MOST_CONTAINERS))
    app = draw(name)
    made = builders.pod(
        app, namespace=namespace, labels={"app": app}, containers=[draw(containers(f"c{i}")) for i in range(count)],
        behaviour=draw(behaviours), restart_policy=draw(restart_policies), tolerations=draw(st.lists(tolerations(), max_size=1)),
        grace_seconds=draw(st.none() | st.integers(0, 30)),
    )
    changes: dict[str, Any] = {}
    if draw(_seldom()):
        changes["initContainers"] = (builders.container("init", draw(images())),)
    if draw(_seldom()):
        mount = VolumeMount(name="data", mountPath="/data")
        changes["volumes"] = (Volume(name="data", emptyDir=EmptyDirVolumeSource()),)
        changes["containers"] = tuple(msgspec.structs.replace(c, volumeMounts=(mount,)) for c in made.spec.containers)
    selector = LabelSelector(matchLabels={"app": app})
    placed = draw(st.sampled_from(("", "", "selected", "apart", "spread")))
    if placed == "selected":
        changes["nodeSelector"] = {"kubernetes.io/os": "linux"}
    elif placed == "apart":
        term = PodAffinityTerm(topologyKey=HOSTNAME, labelSelector=selector)
        changes["affinity"] = Affinity(podAntiAffinity=PodAntiAffinity(requiredDuringSchedulingIgnoredDuringExecution=(term,)))
    elif placed == "spread":
        when = draw(st.sampled_from(("ScheduleAnyway", "DoNotSchedule")))
        changes["topologySpreadConstraints"] = (
            TopologySpreadConstraint(maxSkew=1, topologyKey=HOSTNAME, whenUnsatisfiable=when, labelSelector=selector),
        )
    return msgspec.structs.replace(made, spec=msgspec.structs.replace(made.spec, **changes))


@cache
def templates() -> SearchStrategy[Pod]:
    """Pods for workloads that run for ever."""
    return pods(restart_policies=st.just(""))


@cache
def plain_templates() -> SearchStrategy[Pod]:
    """One container that runs for ever, of one of two images: where many objects are made and pods are not what it is about."""
    return st.builds(builders.pod, image=images())


@st.composite
@checked
def deployments(
    draw: st.DrawFn, name: SearchStrategy[str] = names(), *, namespace: str = "default", replicas: SearchStrategy[int] = replicas(),
    template: SearchStrategy[Pod] = templates(),
) -> Deployment:
    recreate = draw(_seldom())
    surge, unavailable = (None, None) if recreate else (draw(_amounts_or_none()), draw(_amounts_or_none()))
    made = builders.deployment(
        draw(name), draw(replicas), namespace=namespace, template=draw(template), recreate=recreate, max_surge=surge, max_unavailable=unavailable,
        paused=draw(_seldom()),
    )
    return _with_spec(
        made, minReadySeconds=draw(_few_seconds()), revisionHistoryLimit=draw(st.none() | st.integers(0, 3)),
        progressDeadlineSeconds=draw(st.none() | st.integers(100, 600)),
    )


@st.composite
@checked
def replicasets(
    draw: st.DrawFn, name: SearchStrategy[str] = names(), *, namespace: str = "default", replicas: SearchStrategy[int] = replicas(),
    template: SearchStrategy[Pod] = templates(),
) -> ReplicaSet:
    made = builders.replicaset(draw(name), draw(replicas), namespace=namespace, template=draw(template))
    return _with_spec(made, minReadySeconds=draw(_few_seconds()))


@st.composite
@checked
def replicationcontrollers(
    draw: st.DrawFn, name: SearchStrategy[str] = names(), *, namespace: str = "default", replicas: SearchStrategy[int] = replicas(),
    template: SearchStrategy[Pod] = templates(),
) -> ReplicationController:
    made = builders.replicationcontroller(draw(name), draw(replicas), namespace=namespace, template=draw(template))
    return _with_spec(made, minReadySeconds=draw(_few_seconds()))


@st.composite
@checked
def statefulsets(
    draw: st.DrawFn, name: SearchStrategy[str] = names(), *, namespace: str = "default", replicas: SearchStrategy[int] = replicas(),
    template: SearchStrategy[Pod] = templates(),
) -> StatefulSet:
    made = builders.statefulset(draw(name), draw(replicas), namespace=namespace, template=draw(template), parallel=draw(st.booleans()))
    rolling = StatefulSetUpdateStrategy(
        type="RollingUpdate", rollingUpdate=RollingUpdateStatefulSetStrategy(partition=draw(st.integers(0, MOST_REPLICAS))),
    )
    strategy = draw(st.sampled_from((made.spec.updateStrategy, StatefulSetUpdateStrategy(type="OnDelete"), rolling)))
    return _with_spec(made, minReadySeconds=draw(_few_seconds()), updateStrategy=strategy)


@st.composite
@checked
def daemonsets(
    draw: st.DrawFn, name: SearchStrategy[str] = names(), *, namespace: str = "default", template: SearchStrategy[Pod] = templates(),
) -> DaemonSet:
    made = builders.daemonset(draw(name), namespace=namespace, template=draw(template))
    rolling = draw(st.sampled_from((
        RollingUpdateDaemonSet(maxUnavailable=1), RollingUpdateDaemonSet(maxUnavailable="50%"), RollingUpdateDaemonSet(maxUnavailable=0, maxSurge=1),
    )))
    strategy = draw(st.sampled_from((
        made.spec.updateStrategy, DaemonSetUpdateStrategy(type="OnDelete"), DaemonSetUpdateStrategy(type="RollingUpdate", rollingUpdate=rolling),
    )))
    return _with_spec(made, minReadySeconds=draw(_few_seconds()), updateStrategy=strategy)


@st.composite
@checked
def jobs(
    draw: st.DrawFn, name: SearchStrategy[str] = names(), *, namespace: str = "default", template: SearchStrategy[Pod] | None = None,
) -> Job:
    """Whose pods end, unless `template` says how they live."""
    completions = draw(st.none() | st.integers(0, 4))
    made = builders.job(
        draw(name), namespace=namespace, completions=completions, parallelism=draw(st.none() | st.integers(0, 3)),
        backoff_limit=draw(st.none() | st.integers(0, 3)), indexed=completions is not None and draw(st.booleans()),
        template=draw(_ending_templates() if template is None else template),
    )
    return _with_spec(
        made, suspend=draw(st.sampled_from((None, True))), activeDeadlineSeconds=draw(st.none() | st.integers(1, 600)),
        ttlSecondsAfterFinished=draw(st.none() | st.integers(0, 60)),
    )


@st.composite
@checked
def cronjobs(
    draw: st.DrawFn, name: SearchStrategy[str] = names(), *, namespace: str = "default", template: SearchStrategy[Pod] | None = None,
) -> CronJob:
    made = builders.cronjob(
        draw(name), draw(st.sampled_from(("* * * * *", "*/5 * * * *", "@hourly"))), namespace=namespace,
        concurrency=draw(st.sampled_from(("", "Forbid", "Replace"))), template=draw(_ending_templates() if template is None else template),
    )
    limits = st.none() | st.integers(0, 3)
    return _with_spec(
        made, suspend=draw(st.sampled_from((None, True))), startingDeadlineSeconds=draw(st.none() | st.integers(1, 200)),
        successfulJobsHistoryLimit=draw(limits), failedJobsHistoryLimit=draw(limits),
    )


@st.composite
@checked
def services(draw: st.DrawFn, name: SearchStrategy[str] = names(), *, namespace: str = "default") -> Service:
    """Of the pods of a workload of the same name."""
    kind = draw(st.sampled_from(("", "headless", "NodePort", "LoadBalancer")))
    made = builders.service(
        draw(name), draw(st.integers(80, 82)), namespace=namespace, headless=kind == "headless", type="" if kind == "headless" else kind,
    )
    return _with_spec(
        made, publishNotReadyAddresses=draw(st.booleans()), sessionAffinity=draw(st.sampled_from(("", "ClientIP"))),
    )


@checked
def configmaps(name: SearchStrategy[str] = names(), *, namespace: str = "default") -> SearchStrategy[ConfigMap]:
    return st.builds(builders.configmap, name, _data(), namespace=st.just(namespace))


@checked
def secrets(name: SearchStrategy[str] = names(), *, namespace: str = "default") -> SearchStrategy[Secret]:
    return st.builds(builders.secret, name, _data(), namespace=st.just(namespace))


@checked
def namespaces(name: SearchStrategy[str] = names()) -> SearchStrategy[Namespace]:
    return st.builds(builders.namespace, name)


@checked
def nodes(name: SearchStrategy[str] = names()) -> SearchStrategy[Node]:
    """Nodes that no kubelet plays: heartbeats never come."""
    zones: SearchStrategy[Mapping[str, str]] = st.sampled_from(({}, {"topology.kubernetes.io/zone": "z1"}))
    return st.builds(builders.node, name, labels=zones, cpu=st.sampled_from(CPUS[2:]), pods=st.integers(1, 110), taints=st.lists(taints(), max_size=1))


@st.composite
@checked
def poddisruptionbudgets(draw: st.DrawFn, name: SearchStrategy[str] = names(), *, namespace: str = "default") -> PodDisruptionBudget:
    """Of the pods of a workload of the same name."""
    least, most = draw(st.tuples(amounts(), st.none()) | st.tuples(st.none(), amounts()))
    made = builders.poddisruptionbudget(draw(name), namespace=namespace, min_available=least, max_unavailable=most)
    return _with_spec(made, unhealthyPodEvictionPolicy=draw(st.sampled_from((None, "AlwaysAllow", "IfHealthyBudget"))))


@st.composite
@checked
def horizontalpodautoscalers(draw: st.DrawFn, name: SearchStrategy[str] = names(), *, namespace: str = "default") -> HorizontalPodAutoscaler:
    """Of the Deployment of the same name."""
    least = draw(st.integers(1, 3))
    made = builders.horizontalpodautoscaler(draw(name), draw(st.integers(least, MOST_REPLICAS)), namespace=namespace, min_replicas=least)
    target = MetricTarget(type="Utilization", averageUtilization=draw(st.integers(1, 100)))
    return _with_spec(made, metrics=(MetricSpec(type="Resource", resource=ResourceMetricSource(name="cpu", target=target)),))


@checked
def resourcequotas(name: SearchStrategy[str] = names(), *, namespace: str = "default") -> SearchStrategy[ResourceQuota]:
    hard = st.dictionaries(st.sampled_from(("pods", "configmaps", "count/deployments.apps")), st.integers(0, 20).map(str), min_size=1)
    return st.builds(builders.resourcequota, name, hard, namespace=st.just(namespace))


@st.composite
@checked
def limitranges(draw: st.DrawFn, name: SearchStrategy[str] = names(), *, namespace: str = "default") -> LimitRange:
    least, request, limit, most = sorted(draw(st.integers(0, len(CPUS) - 1)) for _ in range(4))
    return builders.limitrange(
        draw(name), namespace=namespace, min={"cpu": CPUS[least]}, default_request={"cpu": CPUS[request]}, default={"cpu": CPUS[limit]},
        max={"cpu": CPUS[most]},
    )


@checked
def priorityclasses(name: SearchStrategy[str] = names()) -> SearchStrategy[PriorityClass]:
    return st.builds(builders.priorityclass, name, st.integers(-10, 1000))


@checked
def workloads(
    name: SearchStrategy[str] = names(), *, namespace: str = "default", template: SearchStrategy[Pod] = templates(),
) -> SearchStrategy[Deployment | ReplicaSet | ReplicationController | StatefulSet | DaemonSet | Job | CronJob]:
    """One of any kind that makes pods."""
    endless = [kind(name, namespace=namespace, template=template) for kind in (deployments, replicasets, replicationcontrollers, statefulsets, daemonsets)]
    return st.one_of(*endless, jobs(name, namespace=namespace), cronjobs(name, namespace=namespace))


def _with_spec(obj: T, **fields: Any) -> T:
    whole: Any = obj
    changed: T = msgspec.structs.replace(whole, spec=msgspec.structs.replace(whole.spec, **fields))
    return changed


@cache
def _ending_templates() -> SearchStrategy[Pod]:
    ends = st.builds(Behaviour, run_seconds=st.integers(1, 60).map(float), exit_code=st.sampled_from((0, 0, 1)))
    return pods(restart_policies=st.sampled_from(("Never", "OnFailure")), behaviours=ends)


@cache
def _amounts_or_none() -> SearchStrategy[int | str | None]:
    return st.none() | amounts()


@cache
def _few_seconds() -> SearchStrategy[int]:
    return st.sampled_from((0, 0, 1, 30))


@cache
def _seldom() -> SearchStrategy[bool]:
    return st.integers(0, 3).map(lambda n: n == 3)


@cache
def _data() -> SearchStrategy[Mapping[str, str]]:
    return st.dictionaries(st.sampled_from(("a", "b")), st.sampled_from(("", "1", "2")), max_size=2)
