"""HorizontalPodAutoscalers, in the form in which they are kept (autoscaling/v2).

https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/horizontal-pod-autoscaler-v2/
"""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from msgspec.structs import replace

from kubelet_lite.api import names
from kubelet_lite.api.autoscaling_v2 import (
    CrossVersionObjectReference,
    HorizontalPodAutoscaler,
    HorizontalPodAutoscalerBehavior,
    HorizontalPodAutoscalerSpec,
    HPAScalingPolicy,
    HPAScalingRules,
    MetricIdentifier,
    MetricSpec,
    MetricStatus,
    MetricTarget,
    ResourceMetricSource,
)
from kubelet_lite.api.errors import FieldError, forbidden, invalid, not_supported, required
from kubelet_lite.api.quantities import canonical, read
from kubelet_lite.registry.kinds.ages import NONE, age
from kubelet_lite.registry.kinds.pods.defaulting import changed
from kubelet_lite.registry.rules import KindRules
from kubelet_lite.registry.validation.named import dns_label, each
from kubelet_lite.registry.validation.numbers import NOT_POSITIVE, nonnegative
from kubelet_lite.registry.validation.resource_lists import container_resource_name, nonnegative_quantity

METRIC_TYPES: Final = ("ContainerResource", "External", "Object", "Pods", "Resource")
TARGET_TYPES: Final = ("Utilization", "Value", "AverageValue")
SELECT_POLICIES: Final = ("Disabled", "Max", "Min")
POLICY_TYPES: Final = ("Percent", "Pods")
LONGEST_WINDOW_SECONDS: Final = 3600
LONGEST_PERIOD_SECONDS: Final = 1800
CPU_UTILIZATION: Final = 80
SHOWN_METRICS: Final = 2
UNKNOWN: Final = "<unknown>"
DEFAULT_METRICS: Final = (MetricSpec(type="Resource", resource=ResourceMetricSource(
    name="cpu", target=MetricTarget(type="Utilization", averageUtilization=CPU_UTILIZATION),
)),)
DEFAULT_SCALE_UP: Final = HPAScalingRules(stabilizationWindowSeconds=0, selectPolicy="Max", policies=(
    HPAScalingPolicy(type="Pods", value=4, periodSeconds=15), HPAScalingPolicy(type="Percent", value=100, periodSeconds=15),
))
DEFAULT_SCALE_DOWN: Final = HPAScalingRules(selectPolicy="Max", policies=(HPAScalingPolicy(type="Percent", value=100, periodSeconds=15),))


def default(obj: HorizontalPodAutoscaler) -> HorizontalPodAutoscaler:
    spec = obj.spec
    return changed(obj, spec=changed(
        spec,
        minReplicas=1 if spec.minReplicas is None else spec.minReplicas,
        metrics=spec.metrics or DEFAULT_METRICS,
        behavior=_default_behavior(spec.behavior),
    ))


def _default_behavior(behavior: HorizontalPodAutoscalerBehavior | None) -> HorizontalPodAutoscalerBehavior | None:
    if behavior is None:
        return None
    return replace(
        behavior, scaleUp=_completed(behavior.scaleUp, DEFAULT_SCALE_UP), scaleDown=_completed(behavior.scaleDown, DEFAULT_SCALE_DOWN),
    )


def _completed(rules: HPAScalingRules | None, defaults: HPAScalingRules) -> HPAScalingRules:
    if rules is None:
        return defaults
    window = rules.stabilizationWindowSeconds
    return replace(
        rules,
        stabilizationWindowSeconds=defaults.stabilizationWindowSeconds if window is None else window,
        selectPolicy=defaults.selectPolicy if rules.selectPolicy is None else rules.selectPolicy,
        policies=rules.policies or defaults.policies,
    )


# ---- validation


def _errors(obj: HorizontalPodAutoscaler) -> Iterator[FieldError]:
    spec = obj.spec
    if spec.minReplicas is not None and spec.minReplicas < 1:
        yield invalid("spec.minReplicas", spec.minReplicas, "must be greater than or equal to 1")
    if spec.maxReplicas == 0:
        yield required("spec.maxReplicas", "must be set and greater than 0")
    elif spec.maxReplicas < 0:
        yield invalid("spec.maxReplicas", spec.maxReplicas, "must be greater than or equal to 1")
    if spec.minReplicas is not None and spec.maxReplicas < spec.minReplicas:
        yield invalid("spec.maxReplicas", spec.maxReplicas, "must be greater than or equal to `minReplicas`")
    yield from _reference("spec.scaleTargetRef", spec.scaleTargetRef)
    yield from _api_version("spec.scaleTargetRef.apiVersion", spec.scaleTargetRef)
    yield from _metrics("spec.metrics", spec)
    if spec.behavior is not None:
        yield from _rules("spec.behavior.scaleUp", spec.behavior.scaleUp)
        yield from _rules("spec.behavior.scaleDown", spec.behavior.scaleDown)


def _reference(path: str, reference: CrossVersionObjectReference) -> Iterator[FieldError]:
    for field in ("kind", "name"):
        value = getattr(reference, field)
        if not value:
            yield required(f"{path}.{field}")
        else:
            yield from each(f"{path}.{field}", value, names.path_segment_name(value))


def _api_version(path: str, reference: CrossVersionObjectReference) -> Iterator[FieldError]:
    version = reference.apiVersion
    if version.count("/") > 1:
        yield invalid(path, version, f"unexpected GroupVersion string: {version}")
    elif not version.rpartition("/")[0] and (version, reference.kind) != ("v1", "ReplicationController"):
        yield invalid(path, version, "apiVersion must specify API group")


def _metrics(path: str, spec: HorizontalPodAutoscalerSpec) -> Iterator[FieldError]:
    for i, metric in enumerate(spec.metrics):
        yield from _metric(f"{path}[{i}]", metric)
    if spec.minReplicas == 0 and not any(metric.type in ("Object", "External") for metric in spec.metrics):
        yield forbidden(path, "must specify at least one Object or External metric to support scaling to zero replicas")


def _metric(path: str, metric: MetricSpec) -> Iterator[FieldError]:
    if not metric.type:
        yield required(f"{path}.type", "must specify a metric source type")
    if metric.type not in METRIC_TYPES:
        yield not_supported(f"{path}.type", metric.type, METRIC_TYPES)
    present = [kind for kind in _SOURCES if getattr(metric, kind) is not None]
    if present:
        yield from _SOURCES[present[0]](f"{path}.{present[0]}", getattr(metric, present[0]))
    expected = metric.type[:1].lower() + metric.type[1:]
    if metric.type not in METRIC_TYPES:
        yield not_supported(f"{path}.type", metric.type, METRIC_TYPES)
    elif expected not in present:
        yield required(f"{path}.{expected}", "must populate information for the given metric source")
    if len(present) != 1:
        for kind in present:
            if kind != expected:
                yield forbidden(f"{path}.{kind}", "must populate the given metric source only")


def _object(path: str, source: Any) -> Iterator[FieldError]:
    yield from _reference(f"{path}.describedObject", source.describedObject)
    yield from _identifier(f"{path}.metric", source.metric)
    yield from _target(f"{path}.target", source.target)
    if source.target.value is None and source.target.averageValue is None:
        yield required(f"{path}.target.averageValue", "must set either a target value or averageValue")


def _external(path: str, source: Any) -> Iterator[FieldError]:
    target = source.target
    yield from _identifier(f"{path}.metric", source.metric)
    yield from _target(f"{path}.target", target)
    if target.value is None and target.averageValue is None:
        yield required(f"{path}.target.averageValue", "must set either a target value for metric or a per-pod target")
    if target.value is not None and target.averageValue is not None:
        yield forbidden(f"{path}.target.value", "may not set both a target value for metric and a per-pod target")


def _pods(path: str, source: Any) -> Iterator[FieldError]:
    yield from _identifier(f"{path}.metric", source.metric)
    yield from _target(f"{path}.target", source.target)
    if source.target.averageValue is None:
        yield required(f"{path}.target.averageValue", "must specify a positive target averageValue")


def _resource(path: str, source: Any) -> Iterator[FieldError]:
    if not source.name:
        yield required(f"{path}.name", "must specify a resource name")
    yield from _target(f"{path}.target", source.target)
    yield from _one_of(path, source.target)


def _container_resource(path: str, source: Any) -> Iterator[FieldError]:
    if not source.name:
        yield required(f"{path}.name", "must specify a resource name")
    else:
        yield from container_resource_name(f"{path}.name", source.name)
    if not source.container:
        yield required(f"{path}.container", "must specify a container")
    else:
        yield from dns_label(f"{path}.container", source.container)
    yield from _target(f"{path}.target", source.target)
    yield from _one_of(path, source.target)


def _one_of(path: str, target: MetricTarget) -> Iterator[FieldError]:
    if target.averageUtilization is None and target.averageValue is None:
        yield required(f"{path}.target.averageUtilization", "must set either a target raw value or a target utilization")
    if target.averageUtilization is not None and target.averageValue is not None:
        yield forbidden(f"{path}.target.averageValue", "may not set both a target raw value and a target utilization")


_SOURCES: Final[dict[str, Callable[[str, Any], Iterator[FieldError]]]] = {
    "object": _object, "external": _external, "pods": _pods, "resource": _resource, "containerResource": _container_resource,
}
"""In the order in which Kubernetes looks at them: of several only the first is checked."""


def _identifier(path: str, metric: MetricIdentifier) -> Iterator[FieldError]:
    if not metric.name:
        yield required(f"{path}.name", "must specify a metric name")
    else:
        yield from each(f"{path}.name", metric.name, names.path_segment_name(metric.name))


def _target(path: str, target: MetricTarget) -> Iterator[FieldError]:
    if not target.type:
        yield required(f"{path}.type", "must specify a metric target type")
    if target.type not in TARGET_TYPES:
        yield invalid(f"{path}.type", target.type, "must be either Utilization, Value, or AverageValue")
    for field in ("value", "averageValue"):
        quantity = getattr(target, field)
        if quantity is not None and read(quantity).nanos <= 0:
            yield invalid(f"{path}.{field}", canonical(quantity), "must be positive")
    if target.averageUtilization is not None and target.averageUtilization < 1:
        yield invalid(f"{path}.averageUtilization", target.averageUtilization, "must be greater than 0")


def _rules(path: str, rules: HPAScalingRules | None) -> Iterator[FieldError]:
    if rules is None:
        return
    window = rules.stabilizationWindowSeconds
    if window is not None and window < 0:
        yield invalid(f"{path}.stabilizationWindowSeconds", window, "must be greater than or equal to zero")
    if window is not None and window > LONGEST_WINDOW_SECONDS:
        yield invalid(f"{path}.stabilizationWindowSeconds", window, f"must be less than or equal to {LONGEST_WINDOW_SECONDS}")
    if rules.selectPolicy is not None and rules.selectPolicy not in SELECT_POLICIES:
        yield not_supported(f"{path}.selectPolicy", rules.selectPolicy, SELECT_POLICIES)
    if not rules.policies:
        yield required(f"{path}.policies", "must specify at least one Policy")
    for i, policy in enumerate(rules.policies):
        yield from _policy(f"{path}.policies[{i}]", policy)
    if rules.tolerance is not None:
        yield from nonnegative_quantity(f"{path}.tolerance", rules.tolerance)


def _policy(path: str, policy: HPAScalingPolicy) -> Iterator[FieldError]:
    if policy.type not in POLICY_TYPES:
        yield not_supported(f"{path}.type", policy.type, POLICY_TYPES)
    if policy.value <= 0:
        yield invalid(f"{path}.value", policy.value, NOT_POSITIVE)
    if policy.periodSeconds <= 0:
        yield invalid(f"{path}.periodSeconds", policy.periodSeconds, NOT_POSITIVE)
    if policy.periodSeconds > LONGEST_PERIOD_SECONDS:
        yield invalid(f"{path}.periodSeconds", policy.periodSeconds, f"must be less than or equal to {LONGEST_PERIOD_SECONDS}")


def _status_errors(new: HorizontalPodAutoscaler, old: HorizontalPodAutoscaler) -> Iterator[FieldError]:
    yield from nonnegative("status.currentReplicas", new.status.currentReplicas)
    yield from nonnegative("status.desiredReplicas", new.status.desiredReplicas)


# ---- the row


def _row(obj: HorizontalPodAutoscaler, now: float) -> Sequence[Any]:
    spec = obj.spec
    minimum = "<unset>" if spec.minReplicas is None else str(spec.minReplicas)
    return (
        obj.metadata.name, f"{spec.scaleTargetRef.kind}/{spec.scaleTargetRef.name}", _targets(spec.metrics, obj.status.currentMetrics), minimum,
        spec.maxReplicas, obj.status.currentReplicas, age(obj, now),
    )


def _targets(metrics: tuple[MetricSpec, ...], statuses: tuple[MetricStatus, ...]) -> str:
    if not metrics:
        return NONE
    shown = [_shown(metric, statuses[i] if i < len(statuses) else None) for i, metric in enumerate(metrics)]
    more = len(shown) - SHOWN_METRICS
    text = ", ".join(shown[:SHOWN_METRICS])
    return f"{text} + {more} more..." if more > 0 else text


def _shown(metric: MetricSpec, status: MetricStatus | None) -> str:
    kind = metric.type[:1].lower() + metric.type[1:]
    source = getattr(metric, kind, None)
    if metric.type not in METRIC_TYPES or source is None:
        return "<unknown type>"
    found = getattr(status, kind) if status is not None else None
    current, target = found.current if found is not None else None, source.target
    if metric.type in ("Resource", "ContainerResource"):
        if target.averageValue is not None:
            return f"{source.name}: {_value(current, 'averageValue')}/{target.averageValue}"
        utilization = current.averageUtilization if current is not None else None
        now = UNKNOWN if utilization is None else f"{utilization}%"
        wanted = "<auto>" if target.averageUtilization is None else f"{target.averageUtilization}%"
        return f"{source.name}: {now}/{wanted}"
    if metric.type == "Pods":
        return f"{_value(current, 'averageValue')}/{target.averageValue}"
    if target.averageValue is not None:
        return f"{_value(current, 'averageValue')}/{target.averageValue} (avg)"
    return f"{_value(current, 'value')}/{target.value}"


def _value(current: Any, field: str) -> str:
    value = getattr(current, field) if current is not None else None
    return UNKNOWN if value is None else str(value)


RULES: Final = KindRules(
    resource="horizontalpodautoscalers.autoscaling",
    default=default,
    validate=lambda obj: tuple(_errors(obj)),
    validate_status_update=lambda new, old: tuple(_status_errors(new, old)),
    row=_row,
)
