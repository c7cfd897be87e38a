"""A cluster at one moment, without the cluster: nodes, the pods on them, and what else has a say in where pods go.

From typed objects, plain values or text: what `kubectl get nodes,pods -A -o json` prints (and `…,pv,pvc,sc,csinodes,ns,svc,rs,sts,rc,pdb,
priorityclasses` and `resourceclaims,resourceclaimtemplates,resourceslices,deviceclasses` with it, where pods use them;
`nodes.metrics.k8s.io` for LoadAware). Objects of other kinds say nothing here and are left out.
"""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from kubelet_lite.api import encoding
from kubelet_lite.api.apps_v1 import DaemonSet, Deployment, ReplicaSet, StatefulSet
from kubelet_lite.api.batch_v1 import Job
from kubelet_lite.api.core_v1 import (
    Namespace,
    Node,
    PersistentVolume,
    PersistentVolumeClaim,
    Pod,
    PodSpec,
    PodTemplateSpec,
    ReplicationController,
    Service,
)
from kubelet_lite.api.errors import BadRequest
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.metrics_v1beta1 import NodeMetrics
from kubelet_lite.api.policy_v1 import PodDisruptionBudget
from kubelet_lite.api.reading import DecodingError
from kubelet_lite.api.resource_v1 import DeviceClass, ResourceClaim, ResourceClaimTemplate, ResourceSlice
from kubelet_lite.api.scheduling_rules import FINISHED, SYSTEM_PRIORITIES
from kubelet_lite.api.scheduling_v1 import PriorityClass
from kubelet_lite.api.storage_v1 import CSIDriver, CSINode, CSIStorageCapacity, StorageClass, VolumeAttachment
from kubelet_lite.client import manifests
from kubelet_lite.scheduler.configuration import DEFAULT_SCHEDULER

AROUND: Final[tuple[type[Any], ...]] = (
    Namespace, PersistentVolume, PersistentVolumeClaim, Service, PodDisruptionBudget, StorageClass, CSIDriver, CSINode, CSIStorageCapacity,
    VolumeAttachment, ResourceClaim, ResourceClaimTemplate, ResourceSlice, DeviceClass,
    ReplicaSet, StatefulSet, ReplicationController, PriorityClass, NodeMetrics,
)
WORKLOADS: Final[tuple[type[Any], ...]] = (Deployment, ReplicaSet, StatefulSet, ReplicationController, Job)
KINDS: Final[tuple[type[Any], ...]] = (Node, Pod, DaemonSet, *AROUND, *WORKLOADS)
_BY_NAMES: Final = {encoding.names_of(kind): kind for kind in KINDS}


class Snapshot(msgspec.Struct, frozen=True):
    nodes: Sequence[Node]
    pods: Sequence[Pod]
    around: Sequence[Any]
    """Objects of the kinds AROUND."""


Source = Snapshot | manifests.Source


def read(source: Source) -> Snapshot:
    """Raises BadRequest for what is no object, OSError for no file."""
    if isinstance(source, Snapshot):
        return source
    found = objects(source)
    pods = [pod for pod in found if isinstance(pod, Pod) and pod.status.phase not in FINISHED]
    return Snapshot([node for node in found if isinstance(node, Node)], pods, [obj for obj in found if isinstance(obj, AROUND)])


def objects(source: manifests.Source) -> Sequence[Any]:
    """All objects of kinds that are known here."""
    found = []
    for value in _parts(source):
        if isinstance(value, msgspec.Struct):
            found.append(value)
            continue
        kind = _BY_NAMES.get((value["kind"], value["apiVersion"]))
        if kind is None:
            continue
        try:
            found.append(encoding.from_json(kind, value))
        except (DecodingError, msgspec.MsgspecError) as error:
            name = (value.get("metadata") or {}).get("name", "")
            raise BadRequest(f'{value["kind"]} "{name}": {error}') from None
    return found


def _parts(source: manifests.Source) -> Iterator[Any]:
    """Typed objects stay what they are."""
    if isinstance(source, KINDS):
        yield source
    elif isinstance(source, Iterable) and not isinstance(source, (str, Mapping)):
        for part in source:
            yield from _parts(part)
    else:
        yield from manifests.read(source)


def pods(source: manifests.Source) -> Sequence[Pod]:
    """The pods that a source asks for: its own, and those of its workloads, as many as they say. Raises BadRequest."""
    found: list[Pod] = []
    for obj in objects(source):
        if isinstance(obj, Pod):
            found.append(obj)
        elif isinstance(obj, DaemonSet):
            raise BadRequest(f'DaemonSet "{obj.metadata.name}": it has as many pods as there are nodes, which its controller names: give pods')
        elif isinstance(obj, WORKLOADS):
            found += _of_workload(obj)
    if not found:
        raise BadRequest("there are no pods, nor anything that has some")
    return found


def _of_workload(obj: Any) -> Iterable[Pod]:
    count = obj.spec.parallelism if isinstance(obj, Job) else obj.spec.replicas
    template: PodTemplateSpec = obj.spec.template
    meta = template.metadata or ObjectMeta()
    for number in range(1 if count is None else count):
        name = f"{obj.metadata.name}-{number}"
        yield Pod(
            metadata=msgspec.structs.replace(meta, name=name, namespace=obj.metadata.namespace),
            spec=template.spec or PodSpec(),
        )


def completed(pod: Pod, around: Sequence[Any]) -> Pod:
    """What an API server would have added, as far as it matters here: namespace, scheduler, requests that limits imply, and its class's priority and policy."""
    spec, meta = pod.spec, pod.metadata
    if spec.priority is None:
        priority, policy = _class_of(spec.priorityClassName, around)
        spec = msgspec.structs.replace(spec, priority=priority, preemptionPolicy=spec.preemptionPolicy or policy)
    containers, first = (tuple(map(_with_requests, part)) for part in (spec.containers, spec.initContainers))
    spec = msgspec.structs.replace(spec, schedulerName=spec.schedulerName or DEFAULT_SCHEDULER, containers=containers, initContainers=first)
    namespace = meta.namespace or "default"
    meta = msgspec.structs.replace(meta, namespace=namespace, uid=meta.uid or f"{namespace}/{meta.name}")
    return msgspec.structs.replace(pod, spec=spec, metadata=meta)


def _with_requests(container: Any) -> Any:
    resources = container.resources
    if not resources.limits.keys() - resources.requests.keys():
        return container
    return msgspec.structs.replace(container, resources=msgspec.structs.replace(resources, requests={**resources.limits, **resources.requests}))


def _class_of(name: str, around: Sequence[Any]) -> tuple[int, str | None]:
    """The priority and preemption policy of a class; without a name of the lowest default. Raises BadRequest for one that nobody knows."""
    classes = [obj for obj in around if isinstance(obj, PriorityClass)]
    if not name:
        found = min((one for one in classes if one.globalDefault), key=lambda one: one.value, default=None)
        return (found.value, found.preemptionPolicy) if found is not None else (0, None)
    found = next((one for one in classes if one.metadata.name == name), None)
    if found is not None:
        return found.value, found.preemptionPolicy
    if name not in SYSTEM_PRIORITIES:
        raise BadRequest(f'spec.priorityClassName: no PriorityClass "{name}" in the snapshot')
    return SYSTEM_PRIORITIES[name], None
