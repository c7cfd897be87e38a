"""metrics.k8s.io: what nodes and pods use, as metrics-server serves it, but measured when somebody asks and not before.

CPU is a rate between two measurements, so two are taken: the one that an earlier request left, if it is not too old, and one now; else
both now, with a short wait between them. A container that is younger counts from its start, where it had used nothing.
https://kubernetes.io/docs/tasks/debug/debug-cluster/resource-metrics-pipeline/
"""
from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import anyio
import msgspec

from kubelet_lite.actors.environment import Environment
from kubelet_lite.actors.logs import get_logger
from kubelet_lite.api import quantities, timestamps
from kubelet_lite.api.apiregistration_v1 import APIService, APIServiceCondition, APIServiceSpec, APIServiceStatus
from kubelet_lite.api.core_v1 import Node, Pod
from kubelet_lite.api.durations import format_exact_duration
from kubelet_lite.api.errors import ApiError, NotFound
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.metrics_v1beta1 import ContainerMetrics, NodeMetrics, PodMetrics
from kubelet_lite.api.rbac_v1 import ClusterRole, ClusterRoleBinding, PolicyRule, RoleRef, Subject
from kubelet_lite.api.requests import ListOptions, ListResult
from kubelet_lite.api.resources import METRICS
from kubelet_lite.registry.bootstrap import store_missing
from kubelet_lite.registry.rules import KindRules
from kubelet_lite.registry.selection import filter_of
from kubelet_lite.registry.stored import Stored
from kubelet_lite.registry.view import View
from kubelet_lite.wire.node_connection import NodeConnection
from kubelet_lite.wire.usage import ContainerUsage, NodeUsage

if TYPE_CHECKING:
    from kubelet_lite.registry.registry import Registry

SHORTEST_WINDOW_SECONDS: Final = 1.0
"""CPU time comes in hundredths of a second: over less, a rate would say little. Nobody is measured more often."""
LONGEST_WINDOW_SECONDS: Final = 60.0
"""A mean over more would not say what is used now."""
NODES_AT_ONCE: Final = 50
"""Asked between two turns of the event loop: a node in this process answers at once."""
OBJECTS_AT_ONCE: Final = 200
"""Made up between two."""
NODES, PODS = METRICS
READER: Final = "system:aggregated-metrics-reader"
"""The role that comes with metrics-server: whoever may view may read them."""
_log = get_logger()


class Measured(msgspec.Struct, frozen=True, gc=False):
    """One node, twice. `taken_at`: the second, by the clock of who measured."""

    before: NodeUsage
    now: NodeUsage
    taken_at: float


class Meters:
    """Measures nodes through their kubelets. Nothing is kept but the last two measurements of each node that somebody asked for."""

    def __init__(self, connections: Callable[[str], NodeConnection | None], environment: Environment) -> None:
        self._connections = connections
        self._environment = environment
        self._known: dict[str, Measured] = {}
        self._busy = anyio.Lock()
        """One request measures; those that come meanwhile find what it measured."""

    async def measure(self, nodes: Iterable[str]) -> Mapping[str, Measured]:
        """Those of the nodes that answer, each by now."""
        async with self._busy:
            now = self._environment.monotonic()
            wanted = list(nodes)
            age = {name: now - self._known[name].taken_at for name in wanted if name in self._known}
            first: dict[str, NodeUsage] = {}
            async for name in self._in_turns(wanted):
                if name not in age or age[name] > LONGEST_WINDOW_SECONDS:
                    self._known.pop(name, None)
                    usage = await self._ask(name)
                    if usage is not None:
                        first[name] = usage
                elif age[name] >= SHORTEST_WINDOW_SECONDS:
                    first[name] = self._known[name].now
            if any(name not in self._known for name in first):
                await self._environment.sleep(SHORTEST_WINDOW_SECONDS)
            async for name in self._in_turns(list(first)):
                usage = await self._ask(name)
                if usage is None:
                    self._known.pop(name, None)
                else:
                    self._known[name] = Measured(first[name], usage, self._environment.monotonic())
            return {name: self._known[name] for name in wanted if name in self._known}

    def forget_all_but(self, nodes: Iterable[str]) -> None:
        """Nodes that are gone."""
        kept = set(nodes)
        for name in [name for name in self._known if name not in kept]:
            del self._known[name]

    async def _in_turns(self, names: Sequence[str]) -> AsyncGenerator[str]:
        for number, name in enumerate(names, 1):
            yield name
            if number % NODES_AT_ONCE == 0:
                await self._environment.sleep(0)

    async def _ask(self, name: str) -> NodeUsage | None:
        connection = self._connections(name)
        if connection is None:
            return None
        try:
            return await connection.usage()
        except ApiError as error:
            _log.warning("node_not_measured", node=name, error=error.message)
            return None


class Rate(msgspec.Struct, frozen=True, gc=False):
    """`usage` over the `window` (seconds) until `time`."""

    usage: Mapping[str, str]
    time: float
    window: float


def rate_of_node(measured: Measured) -> Rate | None:
    """None where two measurements make none: too close to each other, or a counter that began anew between them."""
    before, now = measured.before, measured.now
    return _rate(before.cpu_nanoseconds, before.time, now.cpu_nanoseconds, now.time, now.memory_bytes)


def rates_of_containers(measured: Measured) -> Mapping[str, Sequence[tuple[str, Rate | None]]]:
    """By the UID of the pod: container and rate."""
    before: Mapping[str, ContainerUsage] = {container.id: container for container in measured.before.containers}
    found: dict[str, list[tuple[str, Rate | None]]] = {}
    for now in measured.now.containers:
        then = before.get(now.id)
        since, used = (measured.before.time, then.cpu_nanoseconds) if then is not None else (now.started_at, 0)
        rate = _rate(used, since, now.cpu_nanoseconds, measured.now.time, now.memory_bytes)
        found.setdefault(now.pod_uid, []).append((now.name, rate))
    return found


def _rate(before: int, since: float, after: int, time: float, memory_bytes: int) -> Rate | None:
    window = time - since
    if after < before or round(window, 3) < SHORTEST_WINDOW_SECONDS:
        return None
    microcores = round((after - before) / window / 1000)  # finer would be noise of the clock
    usage = {"cpu": quantities.written(microcores * 1000, "decimal"), "memory": quantities.of_int(memory_bytes, "binary")}
    return Rate(usage, time, window)


class NodeMetricsReader:
    """nodes.metrics.k8s.io."""

    def __init__(self, meters: Meters, view: View, environment: Environment) -> None:
        self._meters, self._view, self._environment = meters, view, environment
        self.shown = _shown(NODES, lambda metrics: metrics.usage)

    async def get(self, namespace: str, name: str) -> NodeMetrics:
        node = self._view.get("nodes", "", name)
        if node is None:
            raise NotFound.of("", "node", name)
        found = await self._metrics([node], await self._meters.measure([name]))
        if not found:
            raise NotFound.of(NODES.group, "nodemetrics", name)
        return found[0]

    async def list(self, namespace: str, options: ListOptions) -> ListResult:
        everything = self._view.list("nodes")
        self._meters.forget_all_but(node.metadata.name for node in everything)
        matches = filter_of(self.shown, "", options).matches
        chosen = [node for node in everything if matches is None or matches(node)]
        measured = await self._meters.measure([node.metadata.name for node in chosen])
        return ListResult(items=tuple(await self._metrics(chosen, measured)), resource_version="")

    async def _metrics(self, nodes: Iterable[Node], measured: Mapping[str, Measured]) -> Sequence[NodeMetrics]:
        now, found = timestamps.format_time(self._environment.now()), []
        for number, node in enumerate(nodes, 1):
            if number % OBJECTS_AT_ONCE == 0:
                await self._environment.sleep(0)
            meta = node.metadata
            rate = rate_of_node(measured[meta.name]) if meta.name in measured else None
            if rate is not None:
                found.append(NodeMetrics(
                    metadata=ObjectMeta(name=meta.name, creationTimestamp=now, labels=meta.labels), timestamp=timestamps.format_time(rate.time),
                    window=format_exact_duration(rate.window), usage=rate.usage,
                ))
        return found


class PodMetricsReader:
    """pods.metrics.k8s.io: of pods that run, each of whose containers has been measured."""

    def __init__(self, meters: Meters, view: View, environment: Environment) -> None:
        self._meters, self._view, self._environment = meters, view, environment
        self.shown = _shown(PODS, _usage_of_pod)

    async def get(self, namespace: str, name: str) -> PodMetrics:
        pod = self._view.get("pods", namespace, name)
        if pod is None:
            raise NotFound.of("", "pods", name)
        found = await self._metrics([pod])
        if not found:
            raise NotFound.of(PODS.group, "podmetrics", f"{namespace}/{name}")
        return found[0]

    async def list(self, namespace: str, options: ListOptions) -> ListResult:
        chosen = filter_of(self.shown, namespace, options)
        pods = [] if chosen.nothing else self._view.list("pods", chosen.namespace)
        matches = chosen.matches
        found = await self._metrics([pod for pod in pods if matches is None or matches(pod)])
        return ListResult(items=tuple(found), resource_version="")

    async def _metrics(self, pods: Iterable[Pod]) -> Sequence[PodMetrics]:
        running = [pod for pod in pods if pod.status.phase == "Running"]
        measured = await self._meters.measure(dict.fromkeys(pod.spec.nodeName for pod in running))
        rates: dict[str, Sequence[tuple[str, Rate | None]]] = {}
        for node in measured.values():
            rates |= rates_of_containers(node)
        now, found = timestamps.format_time(self._environment.now()), []
        for number, pod in enumerate(running, 1):
            if number % OBJECTS_AT_ONCE == 0:
                await self._environment.sleep(0)
            metrics = _pod_metrics(pod, rates.get(pod.metadata.uid, ()), now)
            if metrics is not None:
                found.append(metrics)
        return found


def _pod_metrics(pod: Pod, containers: Sequence[tuple[str, Rate | None]], now: str) -> PodMetrics | None:
    """None while any of them has no rate. Their oldest measurement dates all."""
    rates = [rate for _, rate in containers if rate is not None]
    if not rates or len(rates) < len(containers):
        return None
    oldest = min(rates, key=lambda rate: rate.time)
    meta = pod.metadata
    return PodMetrics(
        metadata=ObjectMeta(name=meta.name, namespace=meta.namespace, creationTimestamp=now, labels=meta.labels),
        timestamp=timestamps.format_time(oldest.time), window=format_exact_duration(oldest.window),
        containers=tuple(ContainerMetrics(name=name, usage=rate.usage) for name, rate in containers if rate is not None),
    )


def _usage_of_pod(metrics: PodMetrics) -> Mapping[str, str]:
    return {name: quantities.total(container.usage[name] for container in metrics.containers) for name in ("cpu", "memory")}


def _shown(resource: Any, usage_of: Callable[[Any], Mapping[str, str]]) -> Stored:
    def row(metrics: Any, now: float) -> Sequence[Any]:
        usage = usage_of(metrics)
        return metrics.metadata.name, usage["cpu"], usage["memory"], metrics.window

    return Stored(resource, {resource.qualified: KindRules(resource=resource.qualified, row=row)})


# ---- served


def serve(registry: Registry) -> None:
    """Offers both resources, and stores what comes with them: roles, and the APIService."""
    meters = Meters(lambda node: registry.connections(node), registry.environment)
    registry.unstored.offer(
        NodeMetricsReader(meters, registry.view, registry.environment), PodMetricsReader(meters, registry.view, registry.environment),
    )
    for obj in _objects(timestamps.format_time(registry.environment.now())):
        store_missing(registry, obj)


def _objects(now: str) -> Sequence[Any]:
    labels = {f"rbac.authorization.k8s.io/aggregate-to-{role}": "true" for role in ("admin", "edit", "view")}
    rule = PolicyRule(verbs=("get", "list", "watch"), apiGroups=(NODES.group,), resources=(PODS.plural, NODES.plural))
    available = APIServiceCondition(
        type="Available", status="True", reason="Local", message="Local APIServices are always available", lastTransitionTime=now,
    )
    return (
        ClusterRole(metadata=ObjectMeta(name=READER, labels=labels), rules=(rule,)),
        ClusterRoleBinding(
            metadata=ObjectMeta(name="kubelet-lite:kube-scheduler-metrics-reader"),
            roleRef=RoleRef(apiGroup="rbac.authorization.k8s.io", kind="ClusterRole", name=READER),
            subjects=(Subject(kind="User", apiGroup="rbac.authorization.k8s.io", name="system:kube-scheduler"),),
        ),
        APIService(
            metadata=ObjectMeta(name=f"{NODES.version}.{NODES.group}", labels={"kube-aggregator.kubernetes.io/automanaged": "onstart"}),
            spec=APIServiceSpec(group=NODES.group, version=NODES.version, groupPriorityMinimum=100, versionPriority=100),
            status=APIServiceStatus(conditions=(available,)),
        ),
    )
