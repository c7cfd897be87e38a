"""PodDisruptionBudgets. https://kubernetes.io/docs/reference/kubernetes-api/policy-resources/pod-disruption-budget-v1/"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from kubelet_lite.api import names
from kubelet_lite.api.errors import FieldError, invalid, not_supported
from kubelet_lite.api.policy_v1 import PodDisruptionBudget
from kubelet_lite.registry.kinds.ages import age
from kubelet_lite.registry.rules import KindRules
from kubelet_lite.registry.validation.go_values import go_value
from kubelet_lite.registry.validation.labels import label_selector
from kubelet_lite.registry.validation.numbers import at_most_all, int_or_percent, nonnegative

EVICTION_POLICIES: Final = ("AlwaysAllow", "IfHealthyBudget")


def _errors(obj: PodDisruptionBudget) -> Iterator[FieldError]:
    spec = obj.spec
    if spec.minAvailable is not None and spec.maxUnavailable is not None:
        yield invalid("spec", go_value(spec), "minAvailable and maxUnavailable cannot be both set")
    for field in ("minAvailable", "maxUnavailable"):
        value = getattr(spec, field)
        if value is not None:
            yield from int_or_percent(f"spec.{field}", value)
            yield from at_most_all(f"spec.{field}", value)
    yield from label_selector("spec.selector", spec.selector)
    if spec.unhealthyPodEvictionPolicy is not None and spec.unhealthyPodEvictionPolicy not in EVICTION_POLICIES:
        yield not_supported("spec.unhealthyPodEvictionPolicy", spec.unhealthyPodEvictionPolicy, EVICTION_POLICIES)


def _status_errors(new: PodDisruptionBudget, old: PodDisruptionBudget) -> Iterator[FieldError]:
    for field in ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"):
        yield from nonnegative(f"status.{field}", getattr(new.status, field))


def _row(obj: PodDisruptionBudget, now: float) -> Sequence[Any]:
    limits = ("N/A" if value is None else str(value) for value in (obj.spec.minAvailable, obj.spec.maxUnavailable))
    return obj.metadata.name, *limits, obj.status.disruptionsAllowed, age(obj, now)


RULES: Final = KindRules(
    resource="poddisruptionbudgets.policy",
    validate=lambda obj: tuple(_errors(obj)),
    validate_on_update="instead",
    validate_status_update=lambda new, old: tuple(_status_errors(new, old)),
    name_errors=names.path_segment_name_or_prefix,
    generation=True,
    unconditional_update=False,
    row=_row,
)
