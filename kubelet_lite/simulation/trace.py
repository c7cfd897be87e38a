"""What a simulated run did, as text: store events and log records in their order, byte for byte the same for the same seed.

One line each: virtual time, the actor, and what happened. An object is shown by a digest of its encoding, so that two traces differ
as soon as two objects do.
"""
from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final

import structlog

from kubelet_lite.actors.actor import current_actor
from kubelet_lite.api.encoding import encode
from kubelet_lite.simulation.virtual.environment import SimulatedEnvironment
from kubelet_lite.store.event import Event
from kubelet_lite.store.store import Store

DIGEST_BYTES: Final = 6
"""Of an object's encoding: enough to see a difference."""
NOT_SHOWN: Final = frozenset({"event", "level", "exc_info", "exception", "stack_info", "timestamp"})
"""Of a log record: said otherwise, or different in every process."""


class Trace:
    """An ordered list of lines."""

    def __init__(self, environment: SimulatedEnvironment) -> None:
        self._environment = environment
        self._lines: list[str] = []
        self._store: Store | None = None
        self._seen = 0
        """The revision up to which the store's events are in the trace."""

    def add(self, what: str, text: str) -> None:
        """One line, at this moment, by this actor."""
        self._catch_up()
        self._add(what, text, current_actor())

    @contextmanager
    def follow(self, store: Store) -> Iterator[None]:
        """Within the block all changes of a store go into the trace: those that it holds already, and each later one in its moment."""
        looking = self._environment.loop.before_time_passes
        self._store, self._seen = store, store.compacted
        looking.append(self._catch_up)
        try:
            yield
        finally:
            self._catch_up()
            looking.remove(self._catch_up)
            self._store = None

    def logs(self) -> AbstractContextManager[None]:
        """Within the block log records go into the trace instead of where they went."""
        return log_records_to(self._add_record)

    def text(self) -> str:
        """All lines."""
        return "".join(f"{line}\n" for line in self._lines)

    def _catch_up(self) -> None:
        if self._store is not None and self._store.revision > self._seen:
            for event in self._store.events(after=self._seen):
                self._add_event(event)
            self._seen = self._store.revision

    def _add(self, what: str, text: str, actor: str = "") -> None:
        self._lines.append(f"{self._environment.monotonic():.9f} {actor or '-'} {what} {text}")

    def _add_event(self, event: Event) -> None:
        verb = "delete" if event.object is None else "create" if event.previous is None else "update"
        obj = event.final if event.object is None else event.object
        digest = hashlib.blake2s(encode(obj), digest_size=DIGEST_BYTES).hexdigest()
        self._add(verb, f"{event.key} revision={event.revision} {digest}")

    def _add_record(self, level: str, record: Mapping[str, Any]) -> None:
        shown = [f"{key}={record[key]!r}" for key in sorted(record) if key not in NOT_SHOWN]
        self.add(level, " ".join([str(record["event"]), *shown]))


@contextmanager
def log_records_to(take: Callable[[str, Mapping[str, Any]], None]) -> Iterator[None]:
    """Within the block log records (level, fields) go to `take` instead of where they went."""

    def processor(logger: Any, level: str, record: MutableMapping[str, Any]) -> Any:
        take(level, record)
        raise structlog.DropEvent

    was_configured, before = structlog.is_configured(), structlog.get_config()
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, processor], wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET),
    )
    try:
        yield
    finally:
        if was_configured:
            structlog.configure(**before)
        else:
            structlog.reset_defaults()
