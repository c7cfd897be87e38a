"""The Node authorizer: a kubelet reads and writes what its node and the pods bound to it need, and nothing else.

What a kubelet may do to any object (services, its events) stands in the ClusterRole system:node, as at the start of the cluster.
https://kubernetes.io/docs/reference/access-authn-authz/node/
"""
from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from kubelet_lite.api.core_v1 import Container, EphemeralContainer, Pod, Volume
from kubelet_lite.api.identity import Identity
from kubelet_lite.api.rbac_v1 import ClusterRole
from kubelet_lite.registry.authorization.attributes import NO_OPINION, Attributes, Decision
from kubelet_lite.registry.authorization.rbac import CLUSTER_ROLES, allows
from kubelet_lite.registry.view import View

NODES_GROUP: Final = "system:nodes"
NODE_USER_PREFIX: Final = "system:node:"
NODE_ROLE: Final = "system:node"
MAX_DECISIONS: Final = 1024
"""Verbs on resources that are remembered: there are some hundred, and paths that somebody makes up."""
LEASE_NAMESPACE: Final = "kube-node-lease"

_ALLOWED: Final = Decision(True)


def node_of(identity: Identity) -> str:
    """The name of the node whose kubelet this is, or ""."""
    if NODES_GROUP in identity.groups and identity.name.startswith(NODE_USER_PREFIX):
        return identity.name[len(NODE_USER_PREFIX):]
    return ""


def _by_role(role: ClusterRole, attributes: Attributes) -> Decision:
    return _ALLOWED if any(allows(rule, attributes) for rule in role.rules) else NO_OPINION


class NodeAuthorizer:
    """Answers from the store's present snapshot: a secret is readable as soon as a pod that names it is bound to the node."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._role: ClusterRole | None = None
        self._decisions: dict[tuple[str, ...], Decision] = {}
        """What the present `_role` says, by verb and resource: as long as no rule names objects, it is the same for all of them."""

    def authorize(self, identity: Identity, attributes: Attributes) -> Decision:
        node = node_of(identity)
        if not node:
            return NO_OPINION
        check = _CHECKS.get((attributes.group, attributes.resource))
        if check is not None:
            return check(self, node, attributes)
        return self._by_rules(attributes)

    def _by_rules(self, attributes: Attributes) -> Decision:
        role = self._view.get(CLUSTER_ROLES, "", NODE_ROLE)
        if role is not self._role:
            self._role = role
            self._decisions.clear()
        if role is None:
            return NO_OPINION
        if any(rule.resourceNames for rule in role.rules):
            return _by_role(role, attributes)
        key = attributes.verb, attributes.group, attributes.resource, attributes.subresource, attributes.path
        decision = self._decisions.get(key)
        if decision is None:
            if len(self._decisions) >= MAX_DECISIONS:
                self._decisions.clear()
            decision = self._decisions[key] = _by_role(role, attributes)
        return decision

    # ---- what belongs to the node's pods

    def _read(self, node: str, attributes: Attributes) -> Decision:
        if attributes.verb not in ("get", "list", "watch"):
            return Decision(False, "can only read resources of this type")
        if attributes.subresource:
            return Decision(False, "cannot read subresource")
        if not attributes.namespace:
            return Decision(False, "can only read namespaced object of this type")
        return self._related(node, attributes)

    def _get(self, node: str, attributes: Attributes) -> Decision:
        if attributes.verb != "get":
            return Decision(False, "can only get individual resources of this type")
        if attributes.subresource:
            return Decision(False, "cannot get subresource")
        return self._related(node, attributes)

    def _claim(self, node: str, attributes: Attributes) -> Decision:
        if attributes.verb == "get" and not attributes.subresource:
            return self._get(node, attributes)
        if attributes.verb not in ("get", "update", "patch"):
            return Decision(False, "can only get/update/patch this type")
        if attributes.subresource != "status":
            return Decision(False, "can only update status subresource")
        return self._related(node, attributes)

    def _service_account(self, node: str, attributes: Attributes) -> Decision:
        if not attributes.subresource:
            return self._read(node, attributes)
        if attributes.verb != "create" or not attributes.name:
            return Decision(False, "can only create tokens for individual service accounts")
        if attributes.subresource != "token":
            return Decision(False, "can only create token subresource of service account")
        return self._related(node, attributes)

    def _related(self, node: str, attributes: Attributes) -> Decision:
        if not attributes.name:
            return Decision(False, "No Object name found")
        names = _REFERENCES[attributes.resource]
        namespace, name = attributes.namespace, attributes.name
        if attributes.resource == "persistentvolumes":
            volume = self._view.get("persistentvolumes", "", name)
            claim = volume.spec.claimRef if volume is not None else None
            if claim is None:
                return _unrelated(node)
            namespace, name = claim.namespace, claim.name
        if any(name in names(pod) for pod in self._pods(node, namespace)):
            return _ALLOWED
        return _unrelated(node)

    def _pods(self, node: str, namespace: str) -> Iterator[Pod]:
        return (pod for pod in self._view.list("pods", namespace) if pod.spec.nodeName == node)

    # ---- what belongs to the node itself

    def _node(self, node: str, attributes: Attributes) -> Decision:
        if attributes.subresource == "status":
            return _ALLOWED if attributes.verb in ("update", "patch") else NO_OPINION
        if attributes.subresource:
            return NO_OPINION
        if attributes.verb in ("create", "update", "patch"):  # its own alone: admission (NodeRestriction) sees to that
            return _ALLOWED
        if attributes.verb not in ("get", "list", "watch"):
            return NO_OPINION
        if attributes.name == node:
            return _ALLOWED
        wanted = f"'{attributes.name}'" if attributes.name else "all nodes"
        return Decision(False, f"node '{node}' cannot read {wanted}, only its own Node object")

    def _pod(self, node: str, attributes: Attributes) -> Decision:
        verb = attributes.verb
        if attributes.subresource:
            return self._by_rules(attributes)
        if verb in ("create", "delete"):
            return _ALLOWED
        if verb == "get":
            pod = self._view.get("pods", attributes.namespace, attributes.name)
            return _ALLOWED if pod is None or pod.spec.nodeName == node else _unrelated(node)
        if verb in ("list", "watch"):
            if f"spec.nodeName={node}" in attributes.field_selector.replace("==", "=").split(","):
                return _ALLOWED
            return Decision(False, "can only list/watch pods with spec.nodeName field selector")
        return NO_OPINION

    def _lease(self, node: str, attributes: Attributes) -> Decision:
        if attributes.verb not in ("get", "create", "update", "patch", "delete"):
            return Decision(False, "can only get, create, update, patch, or delete a node lease")
        if attributes.namespace != LEASE_NAMESPACE:
            return Decision(False, f'can only access leases in the "{LEASE_NAMESPACE}" system namespace')
        if attributes.verb != "create" and attributes.name != node:
            return Decision(False, "can only access node lease with the same name as the requesting node")
        return _ALLOWED

    def _csi_node(self, node: str, attributes: Attributes) -> Decision:
        if attributes.verb not in ("get", "create", "update", "patch", "delete"):
            return Decision(False, "can only get, create, update, patch, or delete a CSINode")
        if attributes.subresource:
            return Decision(False, "cannot authorize CSINode subresources")
        if attributes.verb != "create" and attributes.name != node:
            return Decision(False, "can only access CSINode with the same name as the requesting node")
        return _ALLOWED

    def _volume_attachment(self, node: str, attributes: Attributes) -> Decision:
        if attributes.verb != "get" or attributes.subresource:
            return Decision(False, "can only get individual resources of this type")
        attachment = self._view.get("volumeattachments.storage.k8s.io", "", attributes.name)
        return _ALLOWED if attachment is not None and attachment.spec.nodeName == node else _unrelated(node)


def _unrelated(node: str) -> Decision:
    return Decision(False, f"no relationship found between node '{node}' and this object")


_CHECKS: Final[dict[tuple[str, str], Callable[[NodeAuthorizer, str, Attributes], Decision]]] = {
    ("", "secrets"): NodeAuthorizer._read,
    ("", "configmaps"): NodeAuthorizer._read,
    ("", "persistentvolumeclaims"): NodeAuthorizer._claim,
    ("", "persistentvolumes"): NodeAuthorizer._get,
    ("resource.k8s.io", "resourceclaims"): NodeAuthorizer._get,
    ("storage.k8s.io", "volumeattachments"): NodeAuthorizer._volume_attachment,
    ("", "serviceaccounts"): NodeAuthorizer._service_account,
    ("", "nodes"): NodeAuthorizer._node,
    ("", "pods"): NodeAuthorizer._pod,
    ("coordination.k8s.io", "leases"): NodeAuthorizer._lease,
    ("storage.k8s.io", "csinodes"): NodeAuthorizer._csi_node,
}


# ---- what a pod refers to


def _containers(pod: Pod) -> Iterator[Container | EphemeralContainer]:
    yield from pod.spec.initContainers
    yield from pod.spec.containers
    yield from pod.spec.ephemeralContainers


def _secrets(pod: Pod) -> set[str]:
    names = {reference.name for reference in pod.spec.imagePullSecrets}
    for container in _containers(pod):
        names.update(source.secretRef.name for source in container.envFrom if source.secretRef is not None)
        names.update(
            variable.valueFrom.secretKeyRef.name for variable in container.env
            if variable.valueFrom is not None and variable.valueFrom.secretKeyRef is not None
        )
    for volume in pod.spec.volumes:
        names.update(_volume_secrets(volume))
    return names


def _volume_secrets(volume: Volume) -> Iterator[str]:
    if volume.secret is not None:
        yield volume.secret.secretName
    if volume.projected is not None:
        yield from (source.secret.name for source in volume.projected.sources if source.secret is not None)
    for driver in (volume.csi and volume.csi.nodePublishSecretRef, volume.cephfs and volume.cephfs.secretRef,
                   volume.flexVolume and volume.flexVolume.secretRef, volume.iscsi and volume.iscsi.secretRef,
                   volume.rbd and volume.rbd.secretRef, volume.scaleIO and volume.scaleIO.secretRef,
                   volume.storageos and volume.storageos.secretRef):
        if driver:
            yield driver.name
    if volume.azureFile is not None:
        yield volume.azureFile.secretName


def _config_maps(pod: Pod) -> set[str]:
    names: set[str] = set()
    for container in _containers(pod):
        names.update(source.configMapRef.name for source in container.envFrom if source.configMapRef is not None)
        names.update(
            variable.valueFrom.configMapKeyRef.name for variable in container.env
            if variable.valueFrom is not None and variable.valueFrom.configMapKeyRef is not None
        )
    for volume in pod.spec.volumes:
        if volume.configMap is not None:
            names.add(volume.configMap.name)
        if volume.projected is not None:
            names.update(source.configMap.name for source in volume.projected.sources if source.configMap is not None)
    return names


def _claims(pod: Pod) -> set[str]:
    names = {volume.persistentVolumeClaim.claimName for volume in pod.spec.volumes if volume.persistentVolumeClaim is not None}
    return names | {f"{pod.metadata.name}-{volume.name}" for volume in pod.spec.volumes if volume.ephemeral is not None}


def _resource_claims(pod: Pod) -> set[str]:
    names = {claim.resourceClaimName for claim in pod.spec.resourceClaims if claim.resourceClaimName}
    return names | {status.resourceClaimName for status in pod.status.resourceClaimStatuses if status.resourceClaimName}


def _service_accounts(pod: Pod) -> set[str]:
    return {pod.spec.serviceAccountName}


_REFERENCES: Final[dict[str, Callable[[Pod], set[str]]]] = {
    "secrets": _secrets,
    "configmaps": _config_maps,
    "persistentvolumeclaims": _claims,
    "persistentvolumes": _claims,
    "resourceclaims": _resource_claims,
    "serviceaccounts": _service_accounts,
}
