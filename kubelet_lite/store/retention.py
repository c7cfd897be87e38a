"""How much history is kept: what weighs how much, when a revision was current, and how much of which log has to go.

Nothing here drops anything: the store asks, and drops.
"""
from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

import msgspec

from kubelet_lite.store.event import Event
from kubelet_lite.store.limits import Limits
from kubelet_lite.store.log import EventLog

MARKS: Final = 64
"""The age of history is known to this part of its limit (five seconds of five minutes)."""
SAMPLES: Final = 16
"""Objects measured of one log at a time. While no more than that are written between two times each is measured, else every n-th."""
EVENT_BYTES: Final = 160
"""An event itself, its key and numbers."""

_measure: Final = msgspec.json.Encoder(enc_hook=str).encode


class Weights:
    """What dropping each event of a log would free: itself and the object that it superseded."""

    __slots__ = ("_weights", "total_bytes")

    def __init__(self) -> None:
        self._weights: deque[int] = deque()
        """Of the log's events from the oldest on, as far as they have been measured."""
        self.total_bytes = 0

    def measure(self, events: Sequence[Event]) -> None:
        """`events`: all of the log."""
        known, count = len(self._weights), len(events)
        if known == count:
            return
        step = -(-(count - known) // SAMPLES)
        while known < count:
            previous = events[known].previous
            weight = EVENT_BYTES + (len(_measure(previous)) if previous is not None else 0)
            repeated = min(step, count - known)
            self._weights.extend([weight] * repeated)
            self.total_bytes += weight * repeated
            known += repeated

    def drop(self, count: int) -> None:
        for _ in range(min(count, len(self._weights))):
            self.total_bytes -= self._weights.popleft()

    def count_of(self, size_bytes: int) -> int:
        """How many of the oldest weigh at least so much together."""
        count = 0
        for weight in self._weights:
            if size_bytes <= 0:
                break
            size_bytes -= weight
            count += 1
        return count


class Marks:
    """Which revision was current when, to within a part of the age that matters."""

    def __init__(self, age_seconds: float) -> None:
        self._age_seconds = age_seconds
        self._marks: deque[tuple[float, int]] = deque()
        """Times and revisions, both ascending, at least a MARKS-th of the age apart."""
        self._outlived = 0

    def note(self, now: float, revision: int) -> None:
        if self._marks and self._marks[-1][0] > now:
            self._marks.clear()  # the clock was set back: what is there now counts as new
        if not self._marks or now - self._marks[-1][0] >= self._age_seconds / MARKS:
            self._marks.append((now, revision))

    def outlived(self, now: float) -> int:
        """The newest revision known to be older than the age."""
        while self._marks and self._marks[0][0] <= now - self._age_seconds:
            self._outlived = self._marks.popleft()[1]
        return self._outlived


def surplus(log: EventLog, outlived: int, limits: Limits) -> int:
    """How many of a log's oldest events are too old or too many."""
    stream = log.all
    too_old = stream.position_after(outlived) - stream.base if stream.events and stream.events[0].revision <= outlived else 0
    return max(too_old, len(stream.events) - limits.history_events, 0)
