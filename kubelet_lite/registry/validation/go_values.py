"""Values as Kubernetes' error messages show them when Go prints its internal types: field names of Go, every field, null for nil.

The internal types differ from those on the wire: most have Go's capitals, a pod's host namespaces sit in its security context,
and a few fields stand elsewhere. Types of the meta group look as on the wire.
"""
from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import msgspec

from kubelet_lite.api import core_v1, meta_v1
from kubelet_lite.api._generated.base import NIL
from kubelet_lite.api.encoding import to_json

GO_NAMES: Final = {
    "dnsPolicy": "DNSPolicy", "dnsConfig": "DNSConfig", "os": "OS", "fsGroup": "FSGroup", "fsGroupChangePolicy": "FSGroupChangePolicy",
    "seLinuxOptions": "SELinuxOptions", "seLinuxChangePolicy": "SELinuxChangePolicy", "uid": "UID", "gid": "GID", "tty": "TTY",
    "httpGet": "HTTPGet", "httpHeaders": "HTTPHeaders", "tcpSocket": "TCPSocket", "grpc": "GRPC", "ip": "IP", "csi": "CSI", "nfs": "NFS",
    "iscsi": "ISCSI", "rbd": "RBD", "fc": "FC", "gcePersistentDisk": "GCEPersistentDisk", "awsElasticBlockStore": "AWSElasticBlockStore",
    "cephfs": "CephFS", "storageos": "StorageOS", "apiVersion": "APIVersion", "apiGroup": "APIGroup", "iqn": "IQN", "fsType": "FSType",
    "pdName": "PDName", "wwids": "WWIDs", "gmsaCredentialSpec": "GMSACredentialSpec", "gmsaCredentialSpecName": "GMSACredentialSpecName",
    "ttlSecondsAfterFinished": "TTLSecondsAfterFinished", "exec": "Exec", "cel": "CEL",
}
"""Where Go's name is not the wire's with a capital."""

_POD_SPEC: Final = (
    "volumes", "initContainers", "containers", "ephemeralContainers", "restartPolicy", "terminationGracePeriodSeconds",
    "activeDeadlineSeconds", "dnsPolicy", "nodeSelector", "serviceAccountName", "automountServiceAccountToken", "nodeName",
    "securityContext", "imagePullSecrets", "hostname", "subdomain", "setHostnameAsFQDN", "affinity", "schedulerName", "tolerations",
    "hostAliases", "priorityClassName", "priority", "preemptionPolicy", "dnsConfig", "readinessGates", "runtimeClassName", "overhead",
    "enableServiceLinks", "topologySpreadConstraints", "os", "schedulingGates", "resourceClaims", "resources", "hostnameOverride",
    "schedulingGroup",
)
_SECURITY_CONTEXT_OF_POD: Final = ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace", "hostUsers")
_POD_SECURITY_CONTEXT: Final = (
    "seLinuxOptions", "windowsOptions", "runAsUser", "runAsGroup", "runAsNonRoot", "supplementalGroups", "supplementalGroupsPolicy",
    "fsGroup", "fsGroupChangePolicy", "sysctls", "seccompProfile", "appArmorProfile", "seLinuxChangePolicy",
)
_ORDERS: Final[Mapping[type, tuple[str, ...]]] = {core_v1.PodSpec: _POD_SPEC, core_v1.PodSecurityContext: _POD_SECURITY_CONTEXT}
"""Types whose fields stand in another order inside."""


def go_value(value: Any) -> Any:
    """Plain JSON values to hand to `errors.invalid`."""
    if value is None or value is NIL:
        return None
    if isinstance(value, msgspec.Struct):
        return _struct(value)
    if isinstance(value, (tuple, list)):
        return [go_value(item) for item in value]
    if isinstance(value, Mapping):
        return {key: go_value(value[key]) for key in sorted(value)}
    return value


def wire_value(value: Any) -> Any:
    """The same for types that look inside as on the wire (label selectors): None stays null."""
    return None if value is None else to_json(value)


def map_value(value: Mapping[str, str]) -> Any:
    """A map, null when it is empty."""
    return {key: value[key] for key in sorted(value)} or None


def _struct(value: msgspec.Struct) -> dict[str, Any]:
    if type(value).__module__ == meta_v1.LabelSelector.__module__:
        plain = to_json(value)
        assert isinstance(plain, dict)
        return plain
    found: dict[str, Any] = {}
    for name, go_name, always in _fields(type(value)):
        item = getattr(value, name)
        if name == "metadata":
            found.update(go_value(item))
        elif (item == () and not always) or (isinstance(item, Mapping) and not item):
            found[go_name] = None
        else:
            found[go_name] = go_value(item)
    if isinstance(value, core_v1.PodSpec) and found["SecurityContext"] is not None:
        host = {_go_name(name): getattr(value, name) for name in _SECURITY_CONTEXT_OF_POD}
        found["SecurityContext"] = {**host, **found["SecurityContext"]}
    return found


@cache
def _fields(kind: type[msgspec.Struct]) -> tuple[tuple[str, str, bool], ...]:
    """(our name, Go's name, whether an empty list that was written is told from none)"""
    factories = {f.name: f.default_factory for f in msgspec.structs.fields(kind)}
    names = _ORDERS.get(kind) or tuple(factories)
    return tuple((name, _go_name(name), callable(factories[name]) and factories[name]() is NIL) for name in names)


def _go_name(name: str) -> str:
    return GO_NAMES.get(name) or name[0].upper() + name[1:]
