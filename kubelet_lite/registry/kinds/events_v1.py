"""Events as events.k8s.io/v1 serves them: the same stored objects, but complete at creation and hardly to be changed.

https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/
"""
from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from kubelet_lite.api.core_v1 import Event, EventSource
from kubelet_lite.api.errors import FieldError, invalid, required
from kubelet_lite.registry.kinds import events
from kubelet_lite.registry.validation.collected import collected
from kubelet_lite.registry.validation.go_values import go_value
from kubelet_lite.registry.validation.numbers import IMMUTABLE

_UNSET: Final = "needs to be unset"
_KEPT: Final = (
    "involvedObject", "reason", "message", "source", "firstTimestamp", "lastTimestamp", "count", "type", "eventTime", "action", "related",
)


@collected
def _validate(event: Event) -> Iterator[FieldError]:
    yield from events.event_errors(event, "reportingController")
    yield from _series(event)
    if event.eventTime is None:
        yield required("eventTime")
    if event.type not in ("Normal", "Warning"):
        yield invalid("type", "", f"has invalid value: {event.type}")
    if event.firstTimestamp is not None:
        yield invalid("firstTimestamp", "", _UNSET)
    if event.lastTimestamp is not None:
        yield invalid("lastTimestamp", "", _UNSET)
    if event.count:
        yield invalid("count", "", _UNSET)
    if event.source != EventSource():
        yield invalid("source", "", _UNSET)


def _series(event: Event) -> Iterator[FieldError]:
    if event.series is None:
        return
    if event.series.count < 2:
        yield invalid("series.count", "", "should be at least 2")
    if event.series.lastObservedTime is None:
        yield required("series.lastObservedTime")


@collected
def _validate_update(new: Event, old: Event) -> Iterator[FieldError]:
    yield from events.event_errors(new, "reportingController")
    if new.series != old.series:
        yield from _series(new)
    for field in _KEPT:
        if getattr(new, field) != getattr(old, field):
            yield invalid(field, go_value(getattr(new, field)), IMMUTABLE)
    if new.reportingComponent != old.reportingComponent:
        yield invalid("reportingController", new.reportingComponent, IMMUTABLE)
    if new.reportingInstance != old.reportingInstance:
        yield invalid("reportingInstance", new.reportingInstance, IMMUTABLE)


RULES: Final = replace(
    events.RULES, resource="events.events.k8s.io", validate=_validate, validate_update=_validate_update, validate_on_update="never", name_errors=None,
)
