"""What an object uses of its namespace's quotas, and which quotas look at it: pure functions, for admission and the quota's controller.

https://kubernetes.io/docs/concepts/policy/resource-quotas/#types-of-resource-quota
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from kubelet_lite.api.core_v1 import (
    PersistentVolumeClaim,
    Pod,
    ResourceQuota,
    ScopedResourceSelectorRequirement,
    Service,
)
from kubelet_lite.api.scheduling_rules import FINISHED
from kubelet_lite.registry.admission.limit_ranger import pod_total

_ALIASES: Final = {
    "configmaps": "configmaps", "secrets": "secrets", "replicationcontrollers": "replicationcontrollers", "resourcequotas": "resourcequotas",
    "services": "services", "persistentvolumeclaims": "persistentvolumeclaims",
}
"""Kinds whose number has a name of its own beside `count/…`."""
_SERVICE_NAMES: Final = ("services.nodeports", "services.loadbalancers")
_COMPUTE: Final = ("cpu", "memory", "ephemeral-storage")
_EXPLICIT: Final = ("cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory")
"""What every container must state when a quota limits it."""
CLASS_SUFFIX: Final = ".storageclass.storage.k8s.io/"


def object_count(resource: str) -> str:
    """`count/pods`, `count/deployments.apps`."""
    return f"count/{resource}"


def quota_names(resource: str, hard: Mapping[str, str]) -> list[str]:
    """Those of a quota's names that objects of this resource use up."""
    return [name for name in hard if _concerns(resource, name)]


def _concerns(resource: str, name: str) -> bool:
    if name == object_count(resource) or name == _ALIASES.get(resource):
        return True
    if resource == "services":
        return name in _SERVICE_NAMES
    if resource == "persistentvolumeclaims":
        return name == "requests.storage" or CLASS_SUFFIX in name
    if resource == "pods":
        return name == "pods" or name in _COMPUTE or name.startswith("hugepages-") or (
            name.startswith(("requests.", "limits.")) and name != "requests.storage" and CLASS_SUFFIX not in name
        )
    return False


def usage(resource: str, obj: Any, passed: Callable[[str], bool]) -> dict[str, str]:
    """What an object uses, but for its own `count/…`. `passed` says whether a time is in the past."""
    if isinstance(obj, Pod):
        return _pod_usage(obj, passed)
    if isinstance(obj, Service):
        return _service_usage(obj)
    if isinstance(obj, PersistentVolumeClaim):
        return _claim_usage(obj)
    return {_ALIASES[resource]: "1"} if resource in _ALIASES else {}


def _pod_usage(pod: Pod, passed: Callable[[str], bool]) -> dict[str, str]:
    if pod.status.phase in FINISHED:
        return {}
    deleted = pod.metadata.deletionTimestamp
    if deleted and pod.metadata.deletionGracePeriodSeconds is not None and passed(deleted):
        return {}
    requests = pod_total(pod, lambda container: container.resources.requests)
    limits = pod_total(pod, lambda container: container.resources.limits)
    return {"pods": "1", **_compute_usage(requests, limits)}


def _compute_usage(requests: Mapping[str, str], limits: Mapping[str, str]) -> dict[str, str]:
    used: dict[str, str] = {}
    for name, amount in requests.items():
        if name in _COMPUTE or name.startswith("hugepages-"):
            used[name] = amount
        if name in _COMPUTE or name.startswith("hugepages-") or "/" in name:
            used[f"requests.{name}"] = amount
    for name in _COMPUTE:
        if name in limits:
            used[f"limits.{name}"] = limits[name]
    return used


def _service_usage(service: Service) -> dict[str, str]:
    spec = service.spec
    ports = len(spec.ports)
    used = {"services": "1"}
    if spec.type == "NodePort":
        used["services.nodeports"] = str(ports)
    elif spec.type == "LoadBalancer":
        used["services.loadbalancers"] = "1"
        held = sum(1 for port in spec.ports if port.nodePort) if spec.allocateLoadBalancerNodePorts is False else ports
        if held:
            used["services.nodeports"] = str(held)
    return used


def _claim_usage(claim: PersistentVolumeClaim) -> dict[str, str]:
    storage_class = claim.metadata.annotations.get("volume.beta.kubernetes.io/storage-class") or claim.spec.storageClassName or ""
    amount = claim.spec.resources.requests.get("storage")
    used = {"persistentvolumeclaims": "1"}
    if amount is not None:
        used["requests.storage"] = amount
    if storage_class:
        used[f"{storage_class}{CLASS_SUFFIX}persistentvolumeclaims"] = "1"
        if amount is not None:
            used[f"{storage_class}{CLASS_SUFFIX}requests.storage"] = amount
    return used


def missing_amounts(resource: str, limited: Iterable[str], obj: Any) -> list[str]:
    """What an object's containers must say and do not: `limits.cpu for: a,b`."""
    if not isinstance(obj, Pod):
        return []
    required = sorted(set(limited) & set(_EXPLICIT))
    missing = []
    for name in required:
        containers = sorted({
            container.name for container in (*obj.spec.containers, *obj.spec.initContainers)
            if name not in _compute_usage(container.resources.requests, container.resources.limits)
        })
        if containers:
            missing.append(f"{name} for: {','.join(containers)}")
    return missing


# ---- scopes


def matches_scopes(quota: ResourceQuota, obj: Any) -> bool:
    """Whether an object lies within all of a quota's scopes; only pods (and claims, by class) lie within any."""
    selectors = [ScopedResourceSelectorRequirement(scopeName=scope, operator="Exists") for scope in quota.spec.scopes]
    if quota.spec.scopeSelector is not None:
        selectors += quota.spec.scopeSelector.matchExpressions
    return all(_in_scope(selector, obj) for selector in selectors)


def _in_scope(selector: ScopedResourceSelectorRequirement, obj: Any) -> bool:
    if isinstance(obj, PersistentVolumeClaim):
        return selector.scopeName == "VolumeAttributesClass" and _selects(selector, obj.spec.volumeAttributesClassName or "")
    if not isinstance(obj, Pod):
        return False
    match selector.scopeName:
        case "Terminating":
            return obj.spec.activeDeadlineSeconds is not None
        case "NotTerminating":
            return obj.spec.activeDeadlineSeconds is None
        case "BestEffort":
            return _best_effort(obj)
        case "NotBestEffort":
            return not _best_effort(obj)
        case "PriorityClass":
            return _selects(selector, obj.spec.priorityClassName)
        case "CrossNamespacePodAffinity":
            return _crosses_namespaces(obj)
    return False


def _selects(selector: ScopedResourceSelectorRequirement, value: str) -> bool:
    match selector.operator:
        case "Exists":
            return bool(value)
        case "DoesNotExist":
            return not value
        case "In":
            return value in selector.values
        case _:
            return value not in selector.values


def _best_effort(pod: Pod) -> bool:
    return not any(
        name in ("cpu", "memory")
        for container in (*pod.spec.containers, *pod.spec.initContainers)
        for name in (*container.resources.requests, *container.resources.limits)
    )


def _crosses_namespaces(pod: Pod) -> bool:
    affinity = pod.spec.affinity
    terms: list[Any] = []
    for part in (affinity.podAffinity, affinity.podAntiAffinity) if affinity is not None else ():
        if part is not None:
            terms += part.requiredDuringSchedulingIgnoredDuringExecution
            terms += [weighted.podAffinityTerm for weighted in part.preferredDuringSchedulingIgnoredDuringExecution]
    return any(term.namespaces or term.namespaceSelector is not None for term in terms)
