"""What is desired and not reached, in words: a function for each kind that a controller looks after, over a snapshot.

Counted from the objects themselves, not from what controllers say of them; what they say must agree.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from kubelet_lite.api.apps_v1 import Deployment, ReplicaSet
from kubelet_lite.api.core_v1 import ConfigMap, Namespace, Node, Pod, ReplicationController, Service, ServiceAccount
from kubelet_lite.api.discovery_v1 import EndpointSlice
from kubelet_lite.api.scheduling_rules import FINISHED
from kubelet_lite.simulation.invariants.facts import (
    controller_uid,
    is_active,
    is_ready,
    is_renewed,
    joined,
    named,
)
from kubelet_lite.simulation.invariants.nodes import LEASE_NAMESPACE, LEASES
from kubelet_lite.simulation.invariants.services import MANAGED_BY, MANAGER, SERVICE_LABEL, expected_endpoints
from kubelet_lite.simulation.invariants.statuses import has_template_of
from kubelet_lite.simulation.snapshot import Snapshot

Unmet = Callable[[Snapshot, float], Iterator[str]]
UNHEALTHY_TAINTS: Final = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


def unmet(snapshot: Snapshot, now: float) -> list[str]:
    """All that is desired and not so, now."""
    return [what for look in LOOKS for what in look(snapshot, now)]


def nodes(snapshot: Snapshot, now: float) -> Iterator[str]:
    """A node whose kubelet is alive is ready, and bears no taint that says otherwise; one that is silent is known to be."""
    for node in snapshot.list(Node):
        name, alive = node.metadata.name, is_renewed(snapshot.get(LEASES, node.metadata.name, LEASE_NAMESPACE), now)
        if alive and not is_ready(node):
            yield f"node {name} is not ready, though its kubelet renews its lease"
        if not alive and is_ready(node):
            yield f"node {name} is said to be ready, though its lease is not renewed"
        if alive and is_ready(node) and (taint := next((t for t in node.spec.taints if t.key in UNHEALTHY_TAINTS), None)) is not None:
            yield f"node {name} is ready and has the taint {taint.key}:{taint.effect}"


def pods(snapshot: Snapshot, now: float) -> Iterator[str]:
    """A pod runs and is ready, or is finished, or gone when it is to go; but for one on a node that is silent: that is nobody's to say.

    A pod waits for nodes that a user cordoned and never uncordoned: what the user desires is not reached, and it is said why.
    """
    cordoned = [f"node {node.metadata.name}" for node in snapshot.list(Node) if node.spec.unschedulable]
    for pod in snapshot.list(Pod):
        node = snapshot.get(Node, pod.spec.nodeName) if pod.spec.nodeName else None
        if node is not None and not is_ready(node):
            if is_ready(pod):
                yield f"pod {named(pod)} is said to be ready on the silent node {node.metadata.name}"
            continue
        if pod.metadata.deletionTimestamp is not None:
            if not any("/" in name for name in pod.metadata.finalizers):
                yield f"pod {named(pod)} is to go and is still there"
        elif not pod.spec.nodeName:
            if not pod.spec.schedulingGates and pod.status.phase not in FINISHED:
                yield f"pod {named(pod)} has no node" + (f" (cordoned: {joined(cordoned)})" if cordoned else "")
        elif pod.status.phase not in FINISHED and not is_ready(pod):
            yield f"pod {named(pod)} on {pod.spec.nodeName} is {pod.status.phase} and not ready"


def replica_sets(snapshot: Snapshot, now: float) -> Iterator[str]:
    """A ReplicaSet has as many active pods as it wants, and counts them right; so has a ReplicationController."""
    owned = _by_controller(snapshot.list(Pod))
    owners: list[Any] = [*snapshot.list(ReplicaSet), *snapshot.list(ReplicationController)]
    for owner in owners:
        if owner.metadata.deletionTimestamp is not None:
            if not any("/" in name for name in owner.metadata.finalizers):
                yield f"{owner.kind} {named(owner)} is to go and is still there"
            continue
        active = [pod for pod in owned.get(owner.metadata.uid, ()) if is_active(pod)]
        wanted, status = owner.spec.replicas or 0, owner.status
        ready = sum(map(is_ready, active))
        if len(active) != wanted:
            yield f"{owner.kind} {named(owner)} has {len(active)} pods of {wanted}"
        if (status.replicas, status.readyReplicas) != (len(active), ready):
            yield f"{owner.kind} {named(owner)} counts {status.replicas} pods, {status.readyReplicas} ready; there are {len(active)}, {ready} ready"
        if status.availableReplicas != ready:
            yield f"{owner.kind} {named(owner)} counts {status.availableReplicas} available pods of {ready}"
        if status.observedGeneration != owner.metadata.generation:
            yield f"{owner.kind} {named(owner)} was seen at generation {status.observedGeneration} and is at {owner.metadata.generation}"


def deployments(snapshot: Snapshot, now: float) -> Iterator[str]:
    """A Deployment has all its pods of its newest template, in one ReplicaSet, and counts them right; a paused one has its size."""
    sets = _by_controller(snapshot.list(ReplicaSet))
    for deployment in snapshot.list(Deployment):
        what = f"Deployment {named(deployment)}"
        if deployment.metadata.deletionTimestamp is not None:
            if not any("/" in name for name in deployment.metadata.finalizers):
                yield f"{what} is to go and is still there"
            continue
        own = [rs for rs in sets.get(deployment.metadata.uid, ()) if rs.metadata.deletionTimestamp is None]
        wanted, status = deployment.spec.replicas or 0, deployment.status
        total = sum(rs.spec.replicas or 0 for rs in own)
        if total != wanted:
            yield f"{what} wants {wanted} pods, its ReplicaSets {total}"
        if not deployment.spec.paused:
            newest = sum(rs.spec.replicas or 0 for rs in own if has_template_of(rs, deployment))
            if newest != wanted:
                yield f"{what} has {newest} pods of {wanted} of its newest template"
            if status.updatedReplicas != wanted:
                yield f"{what} counts {status.updatedReplicas} updated pods of {wanted}"
        if (status.replicas, status.availableReplicas) != (wanted, wanted):
            yield f"{what} counts {status.replicas} pods, {status.availableReplicas} available, of {wanted}"
        if status.observedGeneration != deployment.metadata.generation:
            yield f"{what} was seen at generation {status.observedGeneration} and is at {deployment.metadata.generation}"


def services(snapshot: Snapshot, now: float) -> Iterator[str]:
    """A Service's EndpointSlices have each of its pods once, and say of each whether it is ready."""
    slices: dict[tuple[str, str], list[EndpointSlice]] = {}
    for slice_ in snapshot.list(EndpointSlice):
        if slice_.metadata.labels.get(MANAGED_BY) == MANAGER:
            slices.setdefault((slice_.metadata.namespace, slice_.metadata.labels.get(SERVICE_LABEL, "")), []).append(slice_)
    for service in snapshot.list(Service):
        place = (service.metadata.namespace, service.metadata.name)
        if not service.spec.selector or service.spec.type == "ExternalName" or service.metadata.deletionTimestamp is not None:
            continue
        wanted = expected_endpoints(snapshot, service)
        found: dict[str, bool] = {}
        for slice_ in slices.get(place, ()):
            for endpoint in slice_.endpoints:
                if endpoint.targetRef is not None:
                    found[endpoint.targetRef.uid] = endpoint.conditions.ready is not False
        names = {pod.metadata.uid: pod.metadata.name for pod in snapshot.list(Pod, place[0])}
        for uid in [uid for uid in wanted if uid not in found]:
            yield f"Service {named(service)} has no endpoint for pod {names[uid]}"
        for uid in [uid for uid in found if uid not in wanted]:
            yield f"Service {named(service)} has an endpoint for {'pod ' + names[uid] if uid in names else 'a pod that is gone'}"
        for uid in [uid for uid in found if wanted.get(uid, found[uid]) != found[uid]]:
            yield f"Service {named(service)} says that pod {names[uid]} is {'' if found[uid] else 'not '}ready"


def namespaces(snapshot: Snapshot, now: float) -> Iterator[str]:
    """A namespace has its default ServiceAccount and the cluster's certificate, or is gone when it is to go."""
    for namespace in snapshot.list(Namespace):
        name = namespace.metadata.name
        if namespace.metadata.deletionTimestamp is not None:
            if not _held_by_others(snapshot, name):
                yield f"namespace {name} is to go and is still there"
            continue
        if snapshot.get(ServiceAccount, "default", name) is None:
            yield f"namespace {name} has no ServiceAccount default"
        if snapshot.get(ConfigMap, "kube-root-ca.crt", name) is None:
            yield f"namespace {name} has no ConfigMap kube-root-ca.crt"


def _held_by_others(snapshot: Snapshot, namespace: str) -> bool:
    """Whether something in it has a finalizer of somebody's own, or is on a silent node."""
    for resource in snapshot.resources():
        for obj in snapshot.list(resource, namespace):
            if any("/" in finalizer for finalizer in obj.metadata.finalizers):
                return True
    silent = {node.metadata.name for node in snapshot.list(Node) if not is_ready(node)}
    return any(pod.spec.nodeName in silent for pod in snapshot.list(Pod, namespace))


def _by_controller(objects: Sequence[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for obj in objects:
        if uid := controller_uid(obj):
            found.setdefault(uid, []).append(obj)
    return found


LOOKS: Final[tuple[Unmet, ...]] = (nodes, pods, replica_sets, deployments, services, namespaces)
