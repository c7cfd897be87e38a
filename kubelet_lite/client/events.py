"""Events about objects, as Kubernetes' recorders write them: repeated ones are counted, floods are held back.

`record` is synchronous and never fails; a task of the group given to `write_in` writes what was recorded. Controllers and kubelets write the
older form (count, firstTimestamp, source), the scheduler the newer one (eventTime, action, reportingController).
https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/
"""
from __future__ import annotations

import collections
import contextvars
from typing import Any, Final, Literal

import msgspec
from anyio.abc import TaskGroup

from kubelet_lite.actors import logs
from kubelet_lite.actors.environment import Environment
from kubelet_lite.api import timestamps
from kubelet_lite.api.core_v1 import Event, EventSource, ObjectReference
from kubelet_lite.api.errors import AlreadyExists, ApiError, NotFound
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.requests import STRATEGIC_MERGE_PATCH
from kubelet_lite.client.base import Client

LONGEST_QUEUE: Final = 1000
"""Events waiting to be written; a flood beyond it loses the newest, as in Kubernetes."""
MAX_KNOWN: Final = 4096
"""How many recent events a recorder remembers in order to count repetitions."""
BURST: Final = 25
"""Events at once about one object from one component, of the older form."""
REFILL_SECONDS: Final = 300.0
"""One more every so often."""
SIMILAR_LIMIT: Final = 10
"""The one that is so many of those that differ in their message alone, and each after it, go into one combined event …"""
SIMILAR_WINDOW_SECONDS: Final = 600.0
"""… unless none came for so long."""
COMBINED: Final = "(combined from similar events): "

EventType = Literal["Normal", "Warning"]
_log = logs.get_logger()


class _Known(msgspec.Struct):
    name: str
    first: float
    count: int = 1


class _Pending(msgspec.Struct, frozen=True):
    about: ObjectReference
    type: EventType
    reason: str
    message: str
    action: str
    time: float
    related: ObjectReference | None = None


class _Bucket(msgspec.Struct):
    tokens: float
    filled_at: float


def reference_to(obj: Any, field_path: str = "") -> ObjectReference:
    """What an Event's `involvedObject` says of an object."""
    if isinstance(obj, ObjectReference):
        return obj
    meta = obj.metadata
    return ObjectReference(
        kind=obj.kind, apiVersion=obj.apiVersion, namespace=meta.namespace, name=meta.name, uid=meta.uid,
        resourceVersion=meta.resourceVersion, fieldPath=field_path,
    )


class EventRecorder:
    """Records events of one component. What is recorded before `write_in` waits for it, or for `flush`."""

    def __init__(self, client: Client, environment: Environment, component: str, *, host: str = "", modern: bool = False) -> None:
        self._client = client
        self._environment = environment
        self._component = component
        self._host = host
        self._modern = modern
        self._pending: collections.deque[_Pending] = collections.deque()
        self._tasks: TaskGroup | None = None
        self._context: contextvars.Context
        """Of whoever writes, whoever records."""
        self._writing = False
        """Whether a task of the group does."""
        self._known: collections.OrderedDict[tuple[object, ...], _Known] = collections.OrderedDict()
        self._similar: collections.OrderedDict[tuple[object, ...], tuple[float, dict[str, None]]] = collections.OrderedDict()
        self._buckets: collections.OrderedDict[str, _Bucket] = collections.OrderedDict()
        self._last_named = 0
        self.dropped = 0

    def record(
        self, about: Any, type: EventType, reason: str, message: str, *, action: str = "", field_path: str = "", related: Any = None,
    ) -> None:
        """Queues one event; `about`, and `related` to it, are objects or ObjectReferences."""
        if len(self._pending) >= LONGEST_QUEUE:
            self.dropped += 1
            return
        other = reference_to(related) if related is not None else None
        self._pending.append(_Pending(reference_to(about, field_path), type, reason, message, action, self._environment.now(), other))
        self._begin_writing()

    def write_in(self, tasks: TaskGroup) -> None:
        """From now on what is recorded is written by tasks of this group: there is one only while there is something to write."""
        self._tasks, self._writing = tasks, False
        self._context = contextvars.copy_context()
        self._begin_writing()

    def _begin_writing(self) -> None:
        if self._pending and not self._writing and self._tasks is not None:
            self._writing = True
            self._context.run(self._tasks.start_soon, self._write_all)

    async def _write_all(self) -> None:
        try:
            await self.flush()
        finally:
            self._writing = False

    async def flush(self) -> None:
        """Writes what has been recorded so far."""
        while self._pending:
            await self._write(self._pending.popleft())

    async def _write(self, pending: _Pending) -> None:
        similarity = self._similarity(pending)
        message = COMBINED + pending.message if similarity is COMBINED else pending.message
        about = pending.about
        key = (about.kind, about.namespace, about.name, about.uid, about.fieldPath, pending.type, pending.reason, similarity)
        known = self._known.get(key)
        if not self._modern and not self._has_token(pending):
            self.dropped += 1
            return
        try:
            if known is not None:
                self._known.move_to_end(key)
                known.count += 1
                try:
                    await self._repeat(pending, known, message)
                    return
                except NotFound:
                    pass
            name = await self._create(pending, message)
            self._known[key] = _Known(name, pending.time)
            while len(self._known) > MAX_KNOWN:
                self._known.popitem(last=False)
        except ApiError as error:
            log = _log.debug if _is_ending(error) else _log.warning
            log("event_not_written", object=f"{about.namespace}/{about.name}", reason=pending.reason, error=error.message)

    async def _create(self, pending: _Pending, message: str) -> str:
        """Its name ends in its nanosecond, or the next that no event about this object has: their names sort as they came."""
        self._last_named = max(int(pending.time * 1e9), self._last_named + 1)
        while True:
            name = f"{pending.about.name}.{self._last_named:x}"
            try:
                await self._client.create(self._event(pending, name, message))
            except AlreadyExists:
                self._last_named += 1
            else:
                return name

    def _event(self, pending: _Pending, name: str, message: str) -> Event:
        about, second = pending.about, timestamps.format_time(pending.time)
        metadata = ObjectMeta(name=name, namespace=about.namespace or "default")
        if self._modern:
            return Event(
                metadata=metadata, involvedObject=about, type=pending.type, reason=pending.reason, message=message, action=pending.action,
                eventTime=timestamps.format_micro_time(pending.time), reportingComponent=self._component,
                reportingInstance=f"{self._component}-{self._host or 'kubelet-lite'}", related=pending.related,
            )
        return Event(
            metadata=metadata, involvedObject=about, type=pending.type, reason=pending.reason, message=message, count=1,
            firstTimestamp=second, lastTimestamp=second, source=EventSource(component=self._component, host=self._host),
            reportingComponent=self._component, reportingInstance=self._host,
        )

    async def _repeat(self, pending: _Pending, known: _Known, message: str) -> None:
        change: dict[str, Any]
        if self._modern:
            change = {"series": {"count": known.count, "lastObservedTime": timestamps.format_micro_time(pending.time)}}
        else:
            change = {"count": known.count, "message": message, "lastTimestamp": timestamps.format_time(pending.time)}
        namespace = pending.about.namespace or "default"
        await self._client.patch(Event, known.name, change, namespace=namespace, content_type=STRATEGIC_MERGE_PATCH)

    def _similarity(self, pending: _Pending) -> str:
        """What an event counts as a repetition by: its message, or that it is one of many that differ in nothing else."""
        if self._modern:
            return pending.message
        about = pending.about
        key = (about.kind, about.namespace, about.name, about.uid, pending.type, pending.reason)
        last, messages = self._similar.get(key, (pending.time, {}))
        if pending.time - last > SIMILAR_WINDOW_SECONDS:
            messages = {}
        messages[pending.message] = None
        combined = len(messages) >= SIMILAR_LIMIT
        if combined:
            del messages[next(iter(messages))]
        self._similar[key] = (pending.time, messages)
        self._similar.move_to_end(key)
        while len(self._similar) > MAX_KNOWN:
            self._similar.popitem(last=False)
        return COMBINED if combined else pending.message

    def _has_token(self, pending: _Pending) -> bool:
        about = f"{pending.about.kind}/{pending.about.namespace}/{pending.about.name}/{pending.about.uid}"
        bucket = self._buckets.get(about) or _Bucket(BURST, pending.time)
        bucket.tokens = min(BURST, bucket.tokens + (pending.time - bucket.filled_at) / REFILL_SECONDS)
        bucket.filled_at = pending.time
        self._buckets[about] = bucket
        self._buckets.move_to_end(about)
        while len(self._buckets) > MAX_KNOWN:
            self._buckets.popitem(last=False)
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True


def _is_ending(error: ApiError) -> bool:
    """Whether the namespace is being deleted: nobody will miss the event."""
    return any(cause.reason == "NamespaceTerminating" for cause in error.causes) or isinstance(error, NotFound)
