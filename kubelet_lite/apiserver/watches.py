"""Watch streams: one JSON line an event, its bytes shared by all watchers of the object.

https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from kubelet_lite.api import encoding
from kubelet_lite.api.errors import ApiError, Expired
from kubelet_lite.api.requests import ListOptions, RequestContext, WatchEvent
from kubelet_lite.api.resources import Resource
from kubelet_lite.apiserver.exchange import Exchange, to_yaml
from kubelet_lite.apiserver.http_connection import BodyStream
from kubelet_lite.apiserver.lists import SLICE_BYTES
from kubelet_lite.apiserver.negotiation import YAML, Representation
from kubelet_lite.apiserver.tables import TableForm, include_object, partial
from kubelet_lite.registry.registry import Registry

SHORTEST_SECONDS: Final = 1800.0
"""A watch without a timeout ends after this time or up to twice as long, so that watchers do not all come back at once."""
PAUSE_SECONDS: Final = 0.0001
"""For each open stream, between two batches of one …"""
SHORTEST_PAUSE_SECONDS: Final = 0.001
"""… unless that is shorter than what a timer is good for …"""
LONGEST_PAUSE_SECONDS: Final = 0.02
"""… and never longer than nobody notices."""
JSON_STREAM: Final = "application/json;stream=watch"
Frame = Callable[[WatchEvent], bytes]


def _added(obj: Any) -> bytes:
    return b'{"type":"ADDED","object":%b}\n' % encoding.encode(obj)


def _modified(obj: Any) -> bytes:
    return b'{"type":"MODIFIED","object":%b}\n' % encoding.encode(obj)


def _deleted(obj: Any) -> bytes:
    return b'{"type":"DELETED","object":%b}\n' % encoding.encode(obj)


def _bookmark(obj: Any) -> bytes:
    return b'{"type":"BOOKMARK","object":%b}\n' % encoding.encode(obj)


_FRAMES: Final = {"ADDED": _added, "MODIFIED": _modified, "DELETED": _deleted, "BOOKMARK": _bookmark}


class Watches:
    """All watch streams of one server.

    After each batch a stream pauses for a time that grows with the number of streams: one event is sent at once, many that follow each
    other share the cost of a record and a system call.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._sleep = registry.environment.sleep
        self.open = 0
        """Streams that are being served."""

    async def serve(
        self, exchange: Exchange, context: RequestContext, resource: Resource, namespace: str, options: ListOptions, representation: Representation,
    ) -> None:
        """Answers with a stream that ends by the timeout of the options."""
        registry = self._registry
        if options.timeout_seconds is None:
            options = replace(options, timeout_seconds=int(SHORTEST_SECONDS * (1 + registry.environment.random.random())))
        frame = _framer(registry, exchange, resource, representation)
        media_type = JSON_STREAM if "stream=watch" in exchange.request.header(b"accept") else representation.media_type
        stream: BodyStream | None = None
        self.open += 1
        try:
            async with registry.watch(context, resource, namespace, options) as events:
                stream = exchange.start_stream(200, media_type)
                async for batch in events:
                    await self._send(stream, batch, frame)
                    pause = min(LONGEST_PAUSE_SECONDS, self.open * PAUSE_SECONDS)
                    if pause >= SHORTEST_PAUSE_SECONDS:
                        await self._sleep(pause)
        except Expired as error:
            if stream is None:
                stream = exchange.start_stream(200, media_type)
            await stream.write(_error(error))
        finally:
            self.open -= 1
        stream.finish()

    async def _send(self, stream: BodyStream, batch: Sequence[WatchEvent], frame: Frame) -> None:
        """Writes a batch, in slices when it is large."""
        if len(batch) == 1:
            await stream.write(frame(batch[0]))
            return
        part: list[bytes] = []
        size = 0
        for event in batch:
            line = frame(event)
            part.append(line)
            size += len(line)
            if size >= SLICE_BYTES:
                await stream.write(b"".join(part))
                part, size = [], 0
                await self._sleep(0)
        await stream.write(b"".join(part))


def _framer(registry: Registry, exchange: Exchange, resource: Resource, representation: Representation) -> Frame:
    """How this watcher wants its events."""
    encoded, frames = registry.store.encoded, _FRAMES
    if representation.transform == "Table":
        form = TableForm(registry=registry, resource=resource, version=representation.meta_version, include=include_object(exchange.values))
        return _TableFramer(form)
    if representation.transform:
        version = representation.meta_version
        return lambda event: _line(event.type, partial(event.object, version))
    if representation.media_type == YAML:
        return lambda event: b"---\n" + to_yaml(_line(event.type, encoding.encode(event.object)))

    def frame(event: WatchEvent) -> bytes:
        make = frames[event.type]
        return encoded(event.object, make)

    return frame


class _TableFramer:
    """Only the first Table has columns."""

    def __init__(self, form: TableForm) -> None:
        self._form = form
        self._columns = True

    def __call__(self, event: WatchEvent) -> bytes:
        line = _line(event.type, self._form.table(event.object, self._form.registry.environment.now(), columns=self._columns))
        self._columns = False
        return line


def _line(kind: str, obj: bytes) -> bytes:
    return b'{"type":"%b","object":%b}\n' % (kind.encode(), obj)


def _error(error: ApiError) -> bytes:
    return _line("ERROR", msgspec.json.encode(error.to_status()))


