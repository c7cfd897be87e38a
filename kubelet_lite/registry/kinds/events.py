"""Events, as the core group serves them: little is asked of them. https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from kubelet_lite.api import names
from kubelet_lite.api.core_v1 import Event
from kubelet_lite.api.errors import FieldError, invalid, required
from kubelet_lite.registry.kinds.ages import since
from kubelet_lite.registry.rules import KindRules, Selectable
from kubelet_lite.registry.validation.collected import collected
from kubelet_lite.registry.validation.named import qualified_name

LONGEST_WORD: Final = 128
LONGEST_NOTE: Final = 1024
_NOT_SAME: Final = "does not match event.namespace"
_TOO_LONG: Final = "can have at most {} characters"


def event_errors(event: Event, controller: str) -> Iterator[FieldError]:
    """What holds for every event; `controller`: how the version asked for calls the reporting controller."""
    namespace, of = event.metadata.namespace, event.involvedObject.namespace
    if event.eventTime is None:
        if (of and of != namespace) or (not of and namespace not in ("", "default")):
            yield invalid("involvedObject.namespace", of, _NOT_SAME)
        return
    if not of and namespace not in ("default", "kube-system"):
        yield invalid("involvedObject.namespace", of, _NOT_SAME)
    if not event.reportingComponent:
        yield required(controller)
    yield from qualified_name(controller, event.reportingComponent)
    yield from _word("reportingInstance", event.reportingInstance)
    yield from _word("action", event.action)
    yield from _word("reason", event.reason)
    if len(event.message) > LONGEST_NOTE:
        yield invalid("message", "", _TOO_LONG.format(LONGEST_NOTE))


def _word(path: str, value: str) -> Iterator[FieldError]:
    if not value:
        yield required(path)
    elif len(value) > LONGEST_WORD:
        yield invalid(path, "", _TOO_LONG.format(LONGEST_WORD))


@collected
def _validate(event: Event) -> Iterator[FieldError]:
    yield from event_errors(event, "reportingComponent")


def row(event: Event, now: float) -> Sequence[Any]:
    first = since(event.firstTimestamp or event.eventTime, now)
    last = since(event.lastTimestamp, now) if event.lastTimestamp else first
    count = event.count or 1
    if event.series is not None:
        last, count = since(event.series.lastObservedTime, now), event.series.count
    of = event.involvedObject
    target = f"{of.kind.lower()}/{of.name}" if of.name else of.kind.lower()
    component, host = event.source.component or event.reportingComponent, event.source.host or event.reportingInstance
    source = f"{component}, {host}" if host else component
    return last, event.type, event.reason, target, of.fieldPath, source, event.message.strip(), first, count, event.metadata.name


SELECTABLE: Final = (
    Selectable("involvedObject.kind", lambda event: event.involvedObject.kind),
    Selectable("involvedObject.namespace", lambda event: event.involvedObject.namespace),
    Selectable("involvedObject.name", lambda event: event.involvedObject.name),
    Selectable("involvedObject.uid", lambda event: event.involvedObject.uid),
    Selectable("involvedObject.apiVersion", lambda event: event.involvedObject.apiVersion),
    Selectable("involvedObject.resourceVersion", lambda event: event.involvedObject.resourceVersion),
    Selectable("involvedObject.fieldPath", lambda event: event.involvedObject.fieldPath),
    Selectable("reason", lambda event: event.reason),
    Selectable("reportingComponent", lambda event: event.reportingComponent),
    Selectable("source", lambda event: event.source.component or event.reportingComponent),
    Selectable("type", lambda event: event.type),
)
RULES: Final = KindRules(
    resource="events", validate=_validate, validate_on_update="instead", name_errors=names.path_segment_name_or_prefix, create_on_update=True, default_propagation="unsupported", selectable=SELECTABLE, row=row,
)
