"""ResourceQuota: nothing is created that would take a namespace beyond its quotas; what is created is added to their usage.

The limits and the usage that count are those of the quota's status, which its controller writes, as on Kubernetes: a quota that has
none yet limits nothing. https://kubernetes.io/docs/concepts/policy/resource-quotas/
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any, Final

from msgspec.structs import replace

from kubelet_lite.api import quantities
from kubelet_lite.api.core_v1 import ResourceQuota
from kubelet_lite.api.timestamps import parse_time
from kubelet_lite.registry.admission.plugin import Operation, Plugin, Review, World
from kubelet_lite.registry.admission.quota_usage import (
    matches_scopes,
    missing_amounts,
    object_count,
    quota_names,
    usage,
)

QUOTAS: Final = "resourcequotas"
_UNLIMITED: Final = frozenset(("namespaces", "nodes"))
_REVIEWED_UPDATES: Final = frozenset((("services", ""), ("persistentvolumeclaims", ""), ("pods", "resize")))


def _handles(resource: str, subresource: str, operation: Operation) -> bool:
    if operation == "CREATE":
        return not subresource and resource not in _UNLIMITED
    return operation == "UPDATE" and (resource, subresource) in _REVIEWED_UPDATES


def _validate(new: Any, review: Review, world: World) -> None:
    if not review.resource.namespaced:
        return
    quotas = world.view.list(QUOTAS, review.namespace)
    if not quotas:
        return
    concerned = [quota for quota in quotas if _concerns(quota, new, review)]
    requested = _added(new, review, world)
    if not requested:
        return
    charged = [_charged(quota, requested, new, review) for quota in concerned]
    if not review.context.dry_run:
        for before, after in zip(concerned, charged, strict=True):
            if after is not before:
                world.write(QUOTAS, after)


def _concerns(quota: ResourceQuota, new: Any, review: Review) -> bool:
    """Whether a quota limits such objects; Forbidden when it does and cannot say how much is used, or the object how much it needs."""
    limited = quota_names(review.resource.qualified, quota.status.hard)
    if not limited or not matches_scopes(quota, new):
        return False
    missing = missing_amounts(review.resource.qualified, limited, new)
    if missing:
        raise review.forbidden(f"failed quota: {quota.metadata.name}: must specify {'; '.join(missing)}", new)
    unknown = [name for name in limited if name not in quota.status.used]
    if unknown:
        raise review.forbidden(f"status unknown for quota: {quota.metadata.name}, resources: {','.join(sorted(limited))}", new)
    return True


def _added(new: Any, review: Review, world: World) -> dict[str, str]:
    """What the write adds to the namespace's usage."""
    now = world.environment.now()
    added = usage(review.resource.qualified, new, lambda text: parse_time(text) <= now)
    before: Mapping[str, str] = {}
    if review.operation == "CREATE":
        added[object_count(review.resource.qualified)] = "1"
    else:
        before = usage(review.resource.qualified, review.old, lambda text: parse_time(text) <= now)
    changed = {}
    for name, amount in added.items():
        more = quantities.read(amount).nanos - (quantities.read(before[name]).nanos if name in before else 0)
        if more:
            changed[name] = quantities.written(more, quantities.read(amount).style)
    return changed


def _charged(quota: ResourceQuota, requested: Mapping[str, str], new: Any, review: Review) -> ResourceQuota:
    """The quota with the write added to its usage."""
    hard, used = quota.status.hard, quota.status.used
    names = [name for name in requested if name in hard]
    after = {name: quantities.total((used.get(name, "0"), requested[name])) for name in names}
    exceeded = sorted(name for name in names if _value(after[name]) > _value(hard[name]) and _value(requested[name]) > 0)
    if exceeded:
        raise review.forbidden(
            f"exceeded quota: {quota.metadata.name}, requested: {_shown(requested, exceeded)}, used: {_shown(used, exceeded)},"
            f" limited: {_shown(hard, exceeded)}", new,
        )
    return replace(quota, status=replace(quota.status, used={**used, **after})) if after else quota


def _value(text: str) -> Fraction:
    return quantities.parse(text)


def _shown(amounts: Mapping[str, str], names: Iterable[str]) -> str:
    return ",".join(f"{name}={amounts.get(name, '0')}" for name in names)


PLUGIN: Final = Plugin(name="ResourceQuota", handles=_handles, validate=_validate)
