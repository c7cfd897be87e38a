"""Revisions and answers made by hand, shown to one invariant as a run would: for tests of what invariants say."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, cast

from msgspec.structs import replace

from kubelet_lite.api import core_v1, timestamps
from kubelet_lite.api.apps_v1 import (
    Deployment,
    DeploymentSpec,
    DeploymentStrategy,
    ReplicaSet,
    ReplicaSetSpec,
    ReplicaSetStatus,
    RollingUpdateDeployment,
)
from kubelet_lite.api.core_v1 import (
    Container,
    ContainerStatus,
    Node,
    NodeCondition,
    NodeStatus,
    Pod,
    PodCondition,
    PodIP,
    PodSpec,
    PodStatus,
    PodTemplateSpec,
)
from kubelet_lite.api.discovery_v1 import Endpoint, EndpointConditions, EndpointSlice
from kubelet_lite.api.meta_v1 import LabelSelector, ObjectMeta, OwnerReference
from kubelet_lite.api.requests import WatchEvent
from kubelet_lite.api.resources import resource_of
from kubelet_lite.simulation.answers import Answer, Batch, Opened, StoredObject, Watching, as_kept
from kubelet_lite.simulation.archive import Archive, Revision
from kubelet_lite.simulation.invariants import BY_NAME
from kubelet_lite.simulation.running import ContainerBegan, ContainerMade, SandboxBegan, SandboxEnded
from kubelet_lite.simulation.step import Fault
from kubelet_lite.simulation.virtual.environment import EPOCH
from kubelet_lite.simulation.watcher import Watcher
from kubelet_lite.store.event import Event
from kubelet_lite.store.keys import Key

NAMESPACE = "default"


class Told:
    """What one invariant is told. Objects are kept by what is told: each write takes the next revision."""

    def __init__(self, invariant: str) -> None:
        self.now = EPOCH
        self.revision = 1
        self.archive = Archive()
        self.watcher = Watcher(self.archive, [BY_NAME[invariant]()], lambda: self.now)
        self._held: dict[Key, Any] = {}
        self._uids = 0

    def create(self, obj: Any, actor: str = "", uid: str = "") -> Any:
        self._uids += 1
        return self._write(_key(obj), with_meta(obj, uid=uid or obj.metadata.uid or f"uid-{self._uids}"), actor)

    def update(self, obj: Any, actor: str = "") -> Any:
        return self._write(_key(obj), obj, actor)

    def delete(self, obj: Any, actor: str = "") -> Any:
        """It goes as it is given."""
        key = _key(obj)
        final = self._stamped(obj)
        self.tell(Event(self.revision, key, None, self._held.pop(key), final), actor)
        return final

    def tell(self, event: Event, actor: str = "", expected: int | None = None) -> None:
        """Any revision, right or wrong."""
        self.archive.add(Revision(event, self.now, actor, expected))

    def answer(self, answer: Answer | SandboxBegan | SandboxEnded | ContainerMade | ContainerBegan) -> None:
        assert self.archive.answers is not None, "the invariant judges no answers"
        self.archive.answers.append(answer)
        self.watcher.catch_up()

    def watch(self, kind: Any, **what: Any) -> Watching:
        watch = Watching(resource_of(kind).qualified, what.pop("selects", None), what.pop("after", self.revision), **what)
        self.answer(Opened(self.revision, watch))
        return watch

    def hand(self, watch: Watching, *events: tuple[str, Any], at: int | None = None, committed: bool = True) -> None:
        self.answer(Batch(self.revision if at is None else at, watch, [WatchEvent(*event) for event in events], committed))

    def disturb(self, fault: Fault) -> None:
        """It is at work until the end."""
        self.watcher.snapshot.disturb(fault)

    def sleep(self, seconds: float = 1.0) -> None:
        """The instant ends, and another begins."""
        self.watcher.end_instant()
        self.now += seconds

    def rest(self, statistics: Mapping[str, Mapping[str, float]] | None = None, running: Sequence[Any] = ()) -> None:
        self.sleep()
        supervisor = SimpleNamespace(statistics=lambda: statistics or {}, running=lambda: running)
        simulation = SimpleNamespace(snapshot=self.watcher.snapshot, cluster=SimpleNamespace(supervisor=supervisor))
        self.watcher.at_rest(cast(Any, simulation))

    def end(self) -> None:
        self.sleep()
        self.watcher.end()

    def _write(self, key: Key, obj: Any, actor: str) -> Any:
        previous = self._held.get(key)
        stamped = self._held[key] = self._stamped(obj)
        self.tell(Event(self.revision, key, stamped, previous), actor)
        if self.archive.answers is not None:
            self.archive.answers.append(StoredObject(self.revision, key, stamped, as_kept(stamped)))
        return stamped

    def _stamped(self, obj: Any) -> Any:
        self.revision += 1
        return with_meta(obj, resourceVersion=str(self.revision))


def _key(obj: Any) -> Key:
    return Key(resource_of(type(obj)).qualified, obj.metadata.namespace, obj.metadata.name)


# Objects


def with_meta(obj: Any, **fields: Any) -> Any:
    return replace(obj, metadata=replace(obj.metadata, **fields))


def with_spec(obj: Any, **fields: Any) -> Any:
    return replace(obj, spec=replace(obj.spec, **fields))


def with_status(obj: Any, **fields: Any) -> Any:
    return replace(obj, status=replace(obj.status, **fields))


def meta(name: str, **fields: Any) -> ObjectMeta:
    return ObjectMeta(name=name, **{"namespace": NAMESPACE, **fields})


def pod(name: str = "a", *, node: str = "", ready: bool = False, phase: str = "", ip: str = "", cpu: str = "", owner: Any = None, **fields: Any) -> Pod:
    asked = core_v1.ResourceRequirements(requests={"cpu": cpu} if cpu else {})
    conditions = (PodCondition(type="Ready", status="True"),) if ready else ()
    references = (owned_by(owner),) if owner is not None else ()
    return Pod(
        metadata=meta(name, ownerReferences=references, **fields),
        spec=PodSpec(nodeName=node, containers=(Container(name="c", image="i", resources=asked),)),
        status=PodStatus(phase=phase or ("Running" if ready else "Pending"), conditions=conditions, podIPs=(PodIP(ip=ip),) if ip else ()),
    )


def contained(told_of: Pod, *, restarts: int = 0, id: str = "one", ready: bool = True, containers_ready: bool | None = None) -> Pod:
    """A pod with the status of its container."""
    status = ContainerStatus(name="c", restartCount=restarts, containerID=f"fake://{id}", ready=ready)
    said = ready if containers_ready is None else containers_ready
    kept = tuple(c for c in told_of.status.conditions if c.type == "Ready")
    conditions = (*kept, PodCondition(type="ContainersReady", status=str(said)))
    made: Pod = with_status(told_of, containerStatuses=(status,), conditions=conditions)
    return made


def node(name: str = "node-1", *, cpu: str = "4", pods: str = "110", ready: str = "True") -> Node:
    return Node(
        metadata=ObjectMeta(name=name), status=NodeStatus(allocatable={"cpu": cpu, "pods": pods}, conditions=(NodeCondition(type="Ready", status=ready),)),
    )


def owned_by(owner: Any, *, controller: bool = True) -> OwnerReference:
    return OwnerReference(
        apiVersion=owner.apiVersion, kind=owner.kind, name=owner.metadata.name, uid=owner.metadata.uid, controller=controller or None,
    )


def deployment(replicas: int = 4, *, surge: int | str = 1, unavailable: int | str = 1, kind: str = "RollingUpdate") -> Deployment:
    rolling = RollingUpdateDeployment(maxSurge=surge, maxUnavailable=unavailable) if kind == "RollingUpdate" else None
    return Deployment(metadata=meta("web", generation=1), spec=DeploymentSpec(
        replicas=replicas, selector=LabelSelector(matchLabels={"app": "web"}), template=template(), strategy=DeploymentStrategy(type=kind, rollingUpdate=rolling),
    ))


def template(image: str = "i") -> PodTemplateSpec:
    return PodTemplateSpec(metadata=ObjectMeta(labels={"app": "web"}), spec=PodSpec(containers=(Container(name="c", image=image),)))


def replica_set(name: str, replicas: int, owner: Any, *, available: int = 0, image: str = "i") -> ReplicaSet:
    return ReplicaSet(
        metadata=meta(name, ownerReferences=(owned_by(owner),), generation=1),
        spec=ReplicaSetSpec(replicas=replicas, selector=LabelSelector(matchLabels={"app": "web"}), template=template(image)),
        status=ReplicaSetStatus(replicas=replicas, availableReplicas=available),
    )


def endpoint_slice(service: str, *pods: Pod, ready: bool = True, serving: bool | None = None, terminating: bool = False) -> EndpointSlice:
    conditions = EndpointConditions(ready=ready, serving=ready if serving is None else serving, terminating=terminating)
    endpoints = tuple(
        Endpoint(
            addresses=("10.0.0.1",), conditions=conditions,
            targetRef=core_v1.ObjectReference(kind="Pod", namespace=NAMESPACE, name=p.metadata.name, uid=p.metadata.uid),
        ) for p in pods
    )
    labels = {"kubernetes.io/service-name": service, "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"}
    return EndpointSlice(metadata=meta(f"{service}-1", labels=labels), addressType="IPv4", endpoints=endpoints)


def time_text(told: Told) -> str:
    return timestamps.format_time(told.now)
