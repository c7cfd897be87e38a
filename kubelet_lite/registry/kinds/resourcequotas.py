"""ResourceQuotas: how much a namespace may use altogether. https://kubernetes.io/docs/concepts/policy/resource-quotas/"""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from kubelet_lite.api.core_v1 import ResourceQuota, ResourceQuotaSpec, ScopedResourceSelectorRequirement
from kubelet_lite.api.errors import FieldError, invalid, required
from kubelet_lite.registry.kinds.ages import age
from kubelet_lite.registry.rules import KindRules
from kubelet_lite.registry.validation.collected import collected
from kubelet_lite.registry.validation.go_values import go_value
from kubelet_lite.registry.validation.numbers import IMMUTABLE
from kubelet_lite.registry.validation.resource_lists import is_huge_pages, resource_name, resource_quantity

STANDARD: Final = frozenset({
    "cpu", "memory", "ephemeral-storage", "requests.cpu", "requests.memory", "requests.storage", "requests.ephemeral-storage", "limits.cpu",
    "limits.memory", "limits.ephemeral-storage", "pods", "resourcequotas", "services", "replicationcontrollers", "secrets",
    "persistentvolumeclaims", "configmaps", "services.nodeports", "services.loadbalancers",
})
_OF_PODS: Final = frozenset({"pods", "cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory"})
SCOPES: Final[Mapping[str, frozenset[str]]] = {
    "Terminating": _OF_PODS, "NotTerminating": _OF_PODS, "BestEffort": frozenset({"pods"}), "NotBestEffort": _OF_PODS,
    "PriorityClass": _OF_PODS, "CrossNamespacePodAffinity": _OF_PODS, "VolumeAttributesClass": frozenset({"persistentvolumeclaims", "requests.storage"}),
}
"""Which resources a scope can be asked about."""
_ONLY_EXIST: Final = ("Terminating", "NotTerminating", "BestEffort", "NotBestEffort", "CrossNamespacePodAffinity")
_CONFLICTS: Final = (("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating"))


@collected
def _validate(quota: ResourceQuota) -> Iterator[FieldError]:
    yield from _amounts("spec.hard", quota.spec.hard)
    yield from _scopes(quota.spec)
    if quota.spec.scopeSelector is not None:
        yield from _requirements(quota.spec, quota.spec.scopeSelector.matchExpressions)


def _amounts(path: str, amounts: Mapping[str, str]) -> Iterator[FieldError]:
    for name in sorted(amounts):
        at = f"{path}[{name}]"
        yield from resource_name(at, name)
        if "/" not in name and not _is_standard(name):
            yield invalid(at, name, "must be a standard resource for quota")
        yield from resource_quantity(at, name, amounts[name])


def _is_standard(name: str) -> bool:
    return name in STANDARD or is_huge_pages(name.removeprefix("requests."))


def _unfit(spec: ResourceQuotaSpec, scope: str) -> int:
    """How many of the limited resources the scope cannot be asked about."""
    fit = SCOPES.get(scope)
    return 0 if fit is None else sum(1 for name in spec.hard if _is_standard(name) and name not in fit)


def _scopes(spec: ResourceQuotaSpec) -> Iterator[FieldError]:
    shown = spec.scopes or None
    for scope in spec.scopes:
        if scope not in SCOPES:
            yield invalid("spec.scopes", shown, "unsupported scope")
        for _ in range(_unfit(spec, scope)):
            yield invalid("spec.scopes", shown, "unsupported scope applied to resource")
    for pair in _CONFLICTS:
        if all(scope in spec.scopes for scope in pair):
            yield invalid("spec.scopes", shown, "conflicting scopes")


def _requirements(spec: ResourceQuotaSpec, requirements: Sequence[ScopedResourceSelectorRequirement]) -> Iterator[FieldError]:
    path = "spec.scopeSelector.matchExpressions"
    for requirement in requirements:
        if requirement.scopeName not in SCOPES:
            yield invalid(f"{path}.scopeName", requirement.scopeName, "unsupported scope")
        for _ in range(_unfit(spec, requirement.scopeName)):
            yield invalid(path, go_value(spec.scopeSelector), "unsupported scope applied to resource")
        if requirement.scopeName in _ONLY_EXIST and requirement.operator != "Exists":
            yield invalid(
                f"{path}.operator", requirement.operator,
                "must be 'Exist' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, "
                "ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity",
            )
        match requirement.operator:
            case "In" | "NotIn":
                if not requirement.values:
                    yield required(f"{path}.values", "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector")
            case "Exists" | "DoesNotExist":
                if requirement.values:
                    yield invalid(f"{path}.values", requirement.values, "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector")
            case _:
                yield invalid(f"{path}.operator", requirement.operator, "not a valid selector operator")
    named = [requirement.scopeName for requirement in requirements]
    for pair in _CONFLICTS:
        if all(scope in named for scope in pair):
            yield invalid(path, spec.scopes or None, "conflicting scopes")


@collected
def _validate_update(new: ResourceQuota, old: ResourceQuota) -> Iterator[FieldError]:
    if set(new.spec.scopes) != set(old.spec.scopes):
        yield invalid("spec.scopes", new.spec.scopes or None, IMMUTABLE)


@collected
def _validate_status_update(new: ResourceQuota, old: ResourceQuota) -> Iterator[FieldError]:
    yield from _amounts("status.hard", new.status.hard)
    yield from _amounts("status.used", new.status.used)


def _row(quota: ResourceQuota, now: float) -> Sequence[Any]:
    requests: list[str] = []
    limits: list[str] = []
    for name in sorted(quota.status.hard):
        text = f"{name}: {quota.status.used.get(name, '0')}/{quota.status.hard[name]}"
        (limits if name.startswith("limits") else requests).append(text)
    return quota.metadata.name, ", ".join(requests), ", ".join(limits), age(quota, now)


RULES: Final = KindRules(
    resource="resourcequotas", validate=_validate, validate_update=_validate_update, validate_status_update=_validate_status_update, returns_deleted=True,
    row=_row,
)
