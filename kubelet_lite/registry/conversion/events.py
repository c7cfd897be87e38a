"""Events as events.k8s.io/v1 has them, kept as core v1.

https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/
"""
from __future__ import annotations

from typing import Final

from kubelet_lite.api import core_v1, events_v1
from kubelet_lite.api.resources import resource_of
from kubelet_lite.registry.conversion.conversion import Conversion


def _to_stored(event: events_v1.Event) -> core_v1.Event:
    series = event.series
    return core_v1.Event(
        metadata=event.metadata, involvedObject=event.regarding, reason=event.reason, message=event.note, source=event.deprecatedSource,
        firstTimestamp=event.deprecatedFirstTimestamp, lastTimestamp=event.deprecatedLastTimestamp, count=event.deprecatedCount,
        type=event.type, eventTime=event.eventTime, action=event.action, related=event.related,
        series=core_v1.EventSeries(count=series.count, lastObservedTime=series.lastObservedTime) if series is not None else None,
        reportingComponent=event.reportingController, reportingInstance=event.reportingInstance,
    )


def _to_served(event: core_v1.Event) -> events_v1.Event:
    series = event.series
    return events_v1.Event(
        metadata=event.metadata, regarding=event.involvedObject, reason=event.reason, note=event.message, deprecatedSource=event.source,
        deprecatedFirstTimestamp=event.firstTimestamp, deprecatedLastTimestamp=event.lastTimestamp, deprecatedCount=event.count,
        type=event.type, eventTime=event.eventTime, action=event.action, related=event.related,
        series=events_v1.EventSeries(count=series.count, lastObservedTime=series.lastObservedTime) if series is not None else None,
        reportingController=event.reportingComponent, reportingInstance=event.reportingInstance,
    )


_REGARDING: Final = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
CONVERSION: Final = Conversion(
    stored=resource_of(core_v1.Event), to_stored=_to_stored, to_served=_to_served,
    fields={
        "reason": "reason", "type": "type", "reportingController": "reportingComponent",
        **{f"regarding.{field}": f"involvedObject.{field}" for field in _REGARDING},
    },
)
