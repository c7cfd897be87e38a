"""NodeRestriction: a kubelet changes its own Node and the pods bound to it, and cannot label itself into trust.

https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#noderestriction
"""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from kubelet_lite.api.core_v1 import Node, Pod
from kubelet_lite.registry.admission.plugin import Operation, Plugin, Review, World
from kubelet_lite.registry.admission.service_account import MIRROR_ANNOTATION
from kubelet_lite.registry.authorization.attributes import quoted
from kubelet_lite.registry.authorization.node import LEASE_NAMESPACE, node_of

LEASES: Final = "leases.coordination.k8s.io"
CSI_NODES: Final = "csinodes.storage.k8s.io"
KUBELET_LABELS: Final = frozenset((
    "kubernetes.io/hostname", "kubernetes.io/arch", "kubernetes.io/os", "beta.kubernetes.io/os", "beta.kubernetes.io/arch",
    "beta.kubernetes.io/instance-type", "node.kubernetes.io/instance-type", "failure-domain.beta.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/region", "topology.kubernetes.io/zone",
))
KUBELET_NAMESPACES: Final = ("kubelet.kubernetes.io", "node.kubernetes.io")


def _handles(resource: str, subresource: str, operation: Operation) -> bool:
    if resource == "pods":
        return (subresource, operation) in (("", "CREATE"), ("", "DELETE"), ("status", "UPDATE"), ("eviction", "CREATE")) or (
            not subresource and operation == "UPDATE"
        )
    if resource == "nodes":
        return operation in ("CREATE", "UPDATE", "DELETE")
    if resource == "serviceaccounts":
        return subresource == "token" and operation == "CREATE"
    return resource in (LEASES, CSI_NODES) and operation in ("CREATE", "UPDATE", "DELETE")


def _mutate(new: Any, review: Review, world: World) -> Any:
    _check(new, review, world)
    return new


def _validate(new: Any, review: Review, world: World) -> None:
    if review.operation == "DELETE":
        _check(new, review, world)


def _check(new: Any, review: Review, world: World) -> None:
    identity = review.identity
    if not identity.name.startswith("system:node:"):
        return
    node = node_of(identity)
    if not node:
        return
    match review.resource.qualified:
        case "pods":
            _pod(node, new, review, world)
        case "nodes":
            _node(node, new, review)
        case "serviceaccounts":
            _token(node, new, review, world)
        case _ if review.resource.qualified == LEASES:
            if review.namespace != LEASE_NAMESPACE:
                raise review.forbidden(f"can only access leases in the {quoted(LEASE_NAMESPACE)} system namespace", new)
            _same_name(node, "node lease", new, review)
        case _ if review.resource.qualified == CSI_NODES:
            _same_name(node, "CSINode", new, review)


def _same_name(node: str, what: str, new: Any, review: Review) -> None:
    if (review.name or new.metadata.name) != node:
        raise review.forbidden(f"can only access {what} with the same name as the requesting node", new)


def _pod(node: str, new: Any, review: Review, world: World) -> None:
    if review.subresource == "eviction":
        pod = world.view.get("pods", review.namespace, review.name)
        if pod is not None and pod.spec.nodeName != node:
            raise review.forbidden(f"node {quoted(node)} can only evict pods with spec.nodeName set to itself", new)
        return
    if review.operation == "DELETE":
        if review.old is not None and review.old.spec.nodeName != node:
            raise review.forbidden(f"node {quoted(node)} can only delete pods with spec.nodeName set to itself")
        return
    if review.operation == "CREATE":
        _mirror_pod(node, new, review, world)
        return
    if not review.subresource:
        raise review.forbidden(f"unexpected operation {quoted(review.operation)}, node {quoted(node)} can only create and delete mirror pods", new)
    if review.old.spec.nodeName != node:
        raise review.forbidden(f"node {quoted(node)} can only update pod status for pods with spec.nodeName set to itself", new)
    if new.metadata.labels != review.old.metadata.labels:
        raise review.forbidden(f"node {quoted(node)} cannot update labels through pod status", new)


def _mirror_pod(node: str, pod: Pod, review: Review, world: World) -> None:
    if MIRROR_ANNOTATION not in pod.metadata.annotations:
        raise review.forbidden(f"pod does not have {quoted(MIRROR_ANNOTATION)} annotation, node {quoted(node)} can only create mirror pods", pod)
    if pod.spec.nodeName != node:
        raise review.forbidden(f"node {quoted(node)} can only create pods with spec.nodeName set to itself", pod)
    owners = pod.metadata.ownerReferences
    if len(owners) != 1:
        raise review.forbidden(f"node {quoted(node)} can only create pods with a single owner reference set to itself", pod)
    owner = owners[0]
    if owner.apiVersion != "v1" or owner.kind != "Node" or owner.name != node:
        raise review.forbidden(f"node {quoted(node)} can only create pods with an owner reference set to itself", pod)
    if not owner.controller:
        raise review.forbidden(f"node {quoted(node)} can only create pods with a controller owner reference set to itself", pod)
    if owner.blockOwnerDeletion:
        raise review.forbidden(f"node {quoted(node)} must not set blockOwnerDeletion on an owner reference", pod)
    stored = world.view.get("nodes", "", node)
    if stored is not None and stored.metadata.uid != owner.uid:
        raise review.forbidden(f"node {node} UID mismatch: expected {stored.metadata.uid} got {owner.uid}", pod)
    if pod.spec.serviceAccountName:
        raise review.forbidden(f"node {quoted(node)} can not create pods that reference a service account", pod)
    for volume in pod.spec.volumes:
        for kind in ("secret", "configMap", "persistentVolumeClaim"):
            if getattr(volume, kind) is not None:
                raise review.forbidden(f"node {quoted(node)} can not create pods that reference {kind.lower()}s", pod)


def _node(node: str, new: Any, review: Review) -> None:
    name = review.name or (new.metadata.name if new is not None else "")
    if review.operation == "CREATE" and isinstance(new, Node):
        _labels(node, new, {}, new.metadata.labels, review)
        if new.metadata.ownerReferences:
            raise review.forbidden(f"node {quoted(node)} is not allowed to create node with owner references", new)
    if name != node:
        raise review.forbidden(f"node {quoted(node)} is not allowed to modify node {quoted(name)}", new)
    if review.operation == "DELETE":
        raise review.forbidden(f"node {quoted(node)} is not allowed to delete node {quoted(name)}")
    if review.operation != "UPDATE":
        return
    old: Node = review.old
    if new.spec.configSource is not None and new.spec.configSource != old.spec.configSource:
        raise review.forbidden(f"node {quoted(node)} is not allowed to update configSource to a new non-nil configSource", new)
    if new.spec.taints != old.spec.taints:
        raise review.forbidden(f"node {quoted(node)} is not allowed to modify taints", new)
    _labels(node, new, old.metadata.labels, new.metadata.labels, review)
    if new.metadata.ownerReferences != old.metadata.ownerReferences:
        raise review.forbidden(f"node {quoted(node)} is not allowed to modify owner references", new)


def _labels(node: str, new: Any, old: Mapping[str, str], labels: Mapping[str, str], review: Review) -> None:
    changed = [key for key in sorted({*old, *labels}) if old.get(key) != labels.get(key)]
    wrong = [key for key in changed if _reserved(key)]
    if not wrong:
        return
    if review.operation == "CREATE":
        raise review.forbidden(f"node {quoted(node)} is not allowed to set the following labels: {', '.join(wrong)}", new)
    raise review.forbidden(f"is not allowed to modify labels: {', '.join(wrong)}", new)


def _reserved(key: str) -> bool:
    domain, slash, _ = key.partition("/")
    if not slash:
        return False
    if domain == "node-restriction.kubernetes.io" or domain.endswith(".node-restriction.kubernetes.io"):
        return True
    if not (domain in ("kubernetes.io", "k8s.io") or domain.endswith((".kubernetes.io", ".k8s.io"))):
        return False
    if key in KUBELET_LABELS:
        return False
    return not any(domain == allowed or domain.endswith(f".{allowed}") for allowed in KUBELET_NAMESPACES)


def _token(node: str, new: Any, review: Review, world: World) -> None:
    reference = new.spec.boundObjectRef
    if reference is None or reference.kind != "Pod" or reference.apiVersion != "v1" or not reference.name:
        raise review.forbidden("node requested token not bound to a pod" if reference is None else "node requested token bound to an unexpected object", new)
    if not reference.uid:
        raise review.forbidden("node requested token with a pod binding without a uid", new)
    pod = world.view.get("pods", review.namespace, reference.name)
    if pod is None:
        raise review.forbidden(f'pod "{reference.name}" not found', new)
    if reference.uid != pod.metadata.uid:
        raise review.forbidden(f"the UID in the bound object reference ({reference.uid}) does not match the UID in record. The object might have been deleted and then recreated", new)
    if pod.spec.nodeName != node:
        raise review.forbidden("node requested token bound to a pod scheduled on a different node", new)
    if pod.spec.serviceAccountName != review.name:
        raise review.forbidden(f"node requested token for service account {quoted(review.name)} that the pod does not use", new)


PLUGIN: Final = Plugin(name="NodeRestriction", handles=_handles, mutate=_mutate, validate=_validate)
