"""HorizontalPodAutoscalers as autoscaling/v1 has them, kept as v2. What v1 has no field for is JSON in annotations.

https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/horizontal-pod-autoscaler-v1/
"""
from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec.structs import replace

from kubelet_lite.api import autoscaling_v1 as v1
from kubelet_lite.api import autoscaling_v2 as v2
from kubelet_lite.api import encoding
from kubelet_lite.api.resources import resource_of
from kubelet_lite.registry.conversion.conversion import Conversion

METRICS: Final = "autoscaling.alpha.kubernetes.io/metrics"
CURRENT_METRICS: Final = "autoscaling.alpha.kubernetes.io/current-metrics"
CONDITIONS: Final = "autoscaling.alpha.kubernetes.io/conditions"
BEHAVIOR: Final = "autoscaling.alpha.kubernetes.io/behavior"
_ANNOTATIONS: Final = (METRICS, CURRENT_METRICS, CONDITIONS, BEHAVIOR)


def _to_stored(hpa: v1.HorizontalPodAutoscaler) -> v2.HorizontalPodAutoscaler:
    annotations = hpa.metadata.annotations
    metrics = tuple(_metric_to_v2(metric) for metric in _list(annotations, METRICS, v1.MetricSpec))
    if hpa.spec.targetCPUUtilizationPercentage is not None:
        target = v2.MetricTarget(type="Utilization", averageUtilization=hpa.spec.targetCPUUtilizationPercentage)
        metrics = (*metrics, v2.MetricSpec(type="Resource", resource=v2.ResourceMetricSource(name="cpu", target=target)))
    current = tuple(_current_to_v2(metric) for metric in _list(annotations, CURRENT_METRICS, v1.MetricStatus))
    if hpa.status.currentCPUUtilizationPercentage is not None:
        value = v2.MetricValueStatus(averageUtilization=hpa.status.currentCPUUtilizationPercentage)
        current = (*current, v2.MetricStatus(type="Resource", resource=v2.ResourceMetricStatus(name="cpu", current=value)))
    kept = {key: value for key, value in annotations.items() if key not in _ANNOTATIONS} if annotations else annotations
    status = v2.HorizontalPodAutoscalerStatus(
        observedGeneration=hpa.status.observedGeneration, lastScaleTime=hpa.status.lastScaleTime,
        currentReplicas=hpa.status.currentReplicas, desiredReplicas=hpa.status.desiredReplicas,
        conditions=_list(annotations, CONDITIONS, v2.HorizontalPodAutoscalerCondition),
    )
    return v2.HorizontalPodAutoscaler(
        metadata=replace(hpa.metadata, annotations=kept),
        spec=v2.HorizontalPodAutoscalerSpec(
            scaleTargetRef=_reference(v2.CrossVersionObjectReference, hpa.spec.scaleTargetRef), minReplicas=hpa.spec.minReplicas,
            maxReplicas=hpa.spec.maxReplicas, metrics=metrics,
            behavior=_parsed(annotations, BEHAVIOR, v2.HorizontalPodAutoscalerBehavior),
        ),
        status=replace(status, currentMetrics=current) if current else status,
    )


def _to_served(hpa: v2.HorizontalPodAutoscaler) -> v1.HorizontalPodAutoscaler:
    cpu, metrics = None, []
    for metric in hpa.spec.metrics:
        if cpu is None and metric.type == "Resource" and metric.resource is not None and metric.resource.name == "cpu" \
                and metric.resource.target.averageUtilization is not None:
            cpu = metric.resource.target.averageUtilization
        else:
            metrics.append(_metric_to_v1(metric))
    current_cpu, current = None, []
    for status in hpa.status.currentMetrics:
        if current_cpu is None and status.type == "Resource" and status.resource is not None and status.resource.name == "cpu" \
                and status.resource.current.averageUtilization is not None:
            current_cpu = status.resource.current.averageUtilization
        else:
            current.append(_current_to_v1(status))
    extra = {
        key: encoding.encode_value(value).decode()
        for key, value in ((METRICS, metrics), (CURRENT_METRICS, current), (CONDITIONS, hpa.status.conditions), (BEHAVIOR, hpa.spec.behavior))
        if value
    }
    metadata = replace(hpa.metadata, annotations={**hpa.metadata.annotations, **extra}) if extra else hpa.metadata
    return v1.HorizontalPodAutoscaler(
        metadata=metadata,
        spec=v1.HorizontalPodAutoscalerSpec(
            scaleTargetRef=_reference(v1.CrossVersionObjectReference, hpa.spec.scaleTargetRef), minReplicas=hpa.spec.minReplicas,
            maxReplicas=hpa.spec.maxReplicas, targetCPUUtilizationPercentage=cpu,
        ),
        status=v1.HorizontalPodAutoscalerStatus(
            observedGeneration=hpa.status.observedGeneration, lastScaleTime=hpa.status.lastScaleTime,
            currentReplicas=hpa.status.currentReplicas, desiredReplicas=hpa.status.desiredReplicas,
            currentCPUUtilizationPercentage=current_cpu,
        ),
    )


def _parsed(annotations: Any, key: str, kind: Any) -> Any:
    """The value of an annotation; one that cannot be read counts as absent, as in Kubernetes."""
    text = annotations.get(key)
    if not text:
        return None
    try:
        return encoding.from_json(kind, msgspec.json.decode(text))
    except (msgspec.DecodeError, ValueError):
        return None


def _list(annotations: Any, key: str, kind: Any) -> tuple[Any, ...]:
    text = annotations.get(key)
    if not text:
        return ()
    try:
        return tuple(encoding.from_json(kind, value) for value in msgspec.json.decode(text, type=list[Any]))
    except (msgspec.DecodeError, ValueError):
        return ()


def _reference(kind: Any, reference: Any) -> Any:
    return kind(kind=reference.kind, name=reference.name, apiVersion=reference.apiVersion)


def _identifier(name: str, selector: Any) -> v2.MetricIdentifier:
    return v2.MetricIdentifier(name=name, selector=selector)


def _target(value: str | None = None, average: str | None = None, utilization: int | None = None) -> v2.MetricTarget:
    kind = "Utilization" if utilization is not None else "AverageValue" if average is not None else "Value"
    return v2.MetricTarget(type=kind, value=value if kind == "Value" else None, averageValue=average, averageUtilization=utilization)


def _metric_to_v2(metric: v1.MetricSpec) -> v2.MetricSpec:
    found: dict[str, Any] = {}
    if (own := metric.object) is not None:
        found["object"] = v2.ObjectMetricSource(
            describedObject=_reference(v2.CrossVersionObjectReference, own.target), metric=_identifier(own.metricName, own.selector),
            target=_target(own.targetValue, own.averageValue),
        )
    if (pods := metric.pods) is not None:
        found["pods"] = v2.PodsMetricSource(metric=_identifier(pods.metricName, pods.selector), target=_target(average=pods.targetAverageValue))
    if (resource := metric.resource) is not None:
        found["resource"] = v2.ResourceMetricSource(
            name=resource.name, target=_target(average=resource.targetAverageValue, utilization=resource.targetAverageUtilization),
        )
    if (container := metric.containerResource) is not None:
        found["containerResource"] = v2.ContainerResourceMetricSource(
            name=container.name, container=container.container,
            target=_target(average=container.targetAverageValue, utilization=container.targetAverageUtilization),
        )
    if (external := metric.external) is not None:
        found["external"] = v2.ExternalMetricSource(
            metric=_identifier(external.metricName, external.metricSelector), target=_target(external.targetValue, external.targetAverageValue),
        )
    return v2.MetricSpec(type=metric.type, **found)


def _metric_to_v1(metric: v2.MetricSpec) -> v1.MetricSpec:
    found: dict[str, Any] = {}
    if (own := metric.object) is not None:
        found["object"] = v1.ObjectMetricSource(
            target=_reference(v1.CrossVersionObjectReference, own.describedObject), metricName=own.metric.name, selector=own.metric.selector,
            targetValue=own.target.value or "0", averageValue=own.target.averageValue,
        )
    if (pods := metric.pods) is not None:
        found["pods"] = v1.PodsMetricSource(
            metricName=pods.metric.name, selector=pods.metric.selector, targetAverageValue=pods.target.averageValue or "0",
        )
    if (resource := metric.resource) is not None:
        found["resource"] = v1.ResourceMetricSource(
            name=resource.name, targetAverageUtilization=resource.target.averageUtilization, targetAverageValue=resource.target.averageValue,
        )
    if (container := metric.containerResource) is not None:
        found["containerResource"] = v1.ContainerResourceMetricSource(
            name=container.name, container=container.container, targetAverageUtilization=container.target.averageUtilization,
            targetAverageValue=container.target.averageValue,
        )
    if (external := metric.external) is not None:
        found["external"] = v1.ExternalMetricSource(
            metricName=external.metric.name, metricSelector=external.metric.selector, targetValue=external.target.value,
            targetAverageValue=external.target.averageValue,
        )
    return v1.MetricSpec(type=metric.type, **found)


def _current_to_v2(metric: v1.MetricStatus) -> v2.MetricStatus:
    found: dict[str, Any] = {}
    if (own := metric.object) is not None:
        found["object"] = v2.ObjectMetricStatus(
            describedObject=_reference(v2.CrossVersionObjectReference, own.target), metric=_identifier(own.metricName, own.selector),
            current=v2.MetricValueStatus(value=own.currentValue, averageValue=own.averageValue),
        )
    if (pods := metric.pods) is not None:
        found["pods"] = v2.PodsMetricStatus(
            metric=_identifier(pods.metricName, pods.selector), current=v2.MetricValueStatus(averageValue=pods.currentAverageValue),
        )
    for name, kind in (("resource", v2.ResourceMetricStatus), ("containerResource", v2.ContainerResourceMetricStatus)):
        if (resource := getattr(metric, name)) is not None:
            more = {"container": resource.container} if name == "containerResource" else {}
            found[name] = kind(name=resource.name, current=v2.MetricValueStatus(
                averageValue=resource.currentAverageValue, averageUtilization=resource.currentAverageUtilization,
            ), **more)
    if (external := metric.external) is not None:
        found["external"] = v2.ExternalMetricStatus(
            metric=_identifier(external.metricName, external.metricSelector),
            current=v2.MetricValueStatus(value=external.currentValue, averageValue=external.currentAverageValue),
        )
    return v2.MetricStatus(type=metric.type, **found)


def _current_to_v1(metric: v2.MetricStatus) -> v1.MetricStatus:
    found: dict[str, Any] = {}
    if (own := metric.object) is not None:
        found["object"] = v1.ObjectMetricStatus(
            target=_reference(v1.CrossVersionObjectReference, own.describedObject), metricName=own.metric.name, selector=own.metric.selector,
            currentValue=own.current.value or "0", averageValue=own.current.averageValue,
        )
    if (pods := metric.pods) is not None:
        found["pods"] = v1.PodsMetricStatus(
            metricName=pods.metric.name, selector=pods.metric.selector, currentAverageValue=pods.current.averageValue or "0",
        )
    for name, kind in (("resource", v1.ResourceMetricStatus), ("containerResource", v1.ContainerResourceMetricStatus)):
        if (resource := getattr(metric, name)) is not None:
            more = {"container": resource.container} if name == "containerResource" else {}
            found[name] = kind(
                name=resource.name, currentAverageUtilization=resource.current.averageUtilization,
                currentAverageValue=resource.current.averageValue or "0", **more,
            )
    if (external := metric.external) is not None:
        found["external"] = v1.ExternalMetricStatus(
            metricName=external.metric.name, metricSelector=external.metric.selector, currentValue=external.current.value or "0",
            currentAverageValue=external.current.averageValue,
        )
    return v1.MetricStatus(type=metric.type, **found)


CONVERSION: Final = Conversion(
    stored=resource_of(v2.HorizontalPodAutoscaler), to_stored=_to_stored, to_served=_to_served, fields={},
)
