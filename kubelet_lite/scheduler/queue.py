"""Pods that wait for a node: active (by priority, then age), backing off (by time), unschedulable (until something changes).

A pod that failed goes to the unschedulable pods; when the cluster changes in a way that could help, or after five minutes, it
returns, through back-off if its wait is not over. Pure: time is handed in.
https://kubernetes.io/docs/concepts/scheduling-eviction/scheduling-framework/#queuehint
"""
from __future__ import annotations

import collections
import heapq
from collections.abc import Callable
from typing import Final

import msgspec

from kubelet_lite.scheduler.pod_info import PodInfo

Key = tuple[str, str]
FIRST_BACKOFF_SECONDS: Final = 1.0
LONGEST_BACKOFF_SECONDS: Final = 10.0
LONGEST_UNSCHEDULABLE_SECONDS: Final = 300.0
"""After this a pod is tried again though nothing seems to have changed."""


class Waiting(msgspec.Struct, eq=False):
    """One pod in the queue."""

    info: PodInfo
    arrived: float
    serial: int
    attempts: int = 0
    failed_at: float = 0.0
    plugins: frozenset[str] = frozenset()
    """Which plug-ins refused it: an event wakes only the pods it can help."""

    @property
    def backoff_ends(self) -> float:
        if not self.attempts:
            return self.failed_at
        return self.failed_at + float(min(FIRST_BACKOFF_SECONDS * 2 ** (self.attempts - 1), LONGEST_BACKOFF_SECONDS))

    @property
    def order(self) -> tuple[int, float, int]:
        return -(self.info.pod.spec.priority or 0), self.arrived, self.serial


class SchedulingQueue:
    """Each pod is in exactly one of the three parts, or popped and in flight."""

    def __init__(self) -> None:
        self._serial = 0
        self._active: dict[Key, Waiting] = {}
        self._active_heap: list[tuple[tuple[int, float, int], Key]] = []
        self._backoff: dict[Key, Waiting] = {}
        self._backoff_heap: list[tuple[float, int, Key]] = []
        self._unschedulable: dict[Key, Waiting] = {}  # in order of failed_at, since each failure appends
        self._refusing: collections.Counter[str] = collections.Counter()
        """Plug-in → how many unschedulable pods it refused; "": those that wait for anything."""

    def __len__(self) -> int:
        return len(self._active) + len(self._backoff) + len(self._unschedulable)

    @property
    def sizes(self) -> tuple[int, int, int]:
        """(active, backing off, unschedulable)."""
        return len(self._active), len(self._backoff), len(self._unschedulable)

    def add(self, info: PodInfo, now: float) -> None:
        """A new or changed pod that has no node. A change gives an unschedulable pod another chance."""
        known = self._take(info.key)
        if known is None:
            self._serial += 1
            known = Waiting(info, now, self._serial)
        known.info = info
        self._activate(known)

    def update(self, info: PodInfo) -> bool:
        """Takes over a change that cannot help the pod (its status); whether the pod was here."""
        for part in (self._active, self._backoff, self._unschedulable):
            if info.key in part:
                part[info.key].info = info
                return True
        return False

    def remove(self, key: Key) -> None:
        self._take(key)

    def get(self, key: Key) -> Waiting | None:
        return self._active.get(key) or self._backoff.get(key) or self._unschedulable.get(key)

    def pop(self, now: float) -> Waiting | None:
        """The next pod to try, or None."""
        self._release(now)
        while self._active_heap:
            order, key = heapq.heappop(self._active_heap)
            waiting = self._active.get(key)
            if waiting is not None and waiting.order == order:
                del self._active[key]
                return waiting
        return None

    def failed(self, waiting: Waiting, now: float, plugins: frozenset[str]) -> None:
        """Puts a popped pod back after an attempt in which `plugins` refused it."""
        waiting.attempts += 1
        waiting.failed_at = now
        waiting.plugins = plugins
        self._unschedulable[waiting.info.key] = waiting
        self._refusing.update(plugins or ("",))

    def retry(self, waiting: Waiting, now: float) -> None:
        """Puts a popped pod back after an error: it waits out its back-off only."""
        waiting.attempts += 1
        waiting.failed_at = now
        self._back_off(waiting)

    def put_back(self, waiting: Waiting) -> None:
        """Puts a popped pod back that was not tried."""
        self._activate(waiting)

    def wake(self, key: Key) -> None:
        """Tries a pod again at once, whatever it waits for."""
        waiting = self._backoff.pop(key, None) or self._take_unschedulable(key)
        if waiting is not None:
            self._activate(waiting)

    def cluster_changed(self, now: float, helps: frozenset[str], concerns: Callable[[PodInfo], bool] | None = None) -> int:
        """Something changed that could make the plug-ins `helps` decide otherwise (for pods that it concerns); how many pods it woke."""
        if not self._refusing[""] and not any(self._refusing[plugin] for plugin in helps):
            return 0
        woken = [
            w for w in self._unschedulable.values()
            if (not w.plugins or w.plugins & helps) and (concerns is None or concerns(w.info))
        ]
        for waiting in woken:
            self._take_unschedulable(waiting.info.key)
            if waiting.backoff_ends > now:
                self._back_off(waiting)
            else:
                self._activate(waiting)
        return len(woken)

    def wake_at(self) -> float | None:
        """When `pop` may answer otherwise though nothing is added."""
        times = [self._backoff_heap[0][0]] if self._backoff_heap else []
        longest = self._longest_unschedulable()
        if longest is not None:
            times.append(longest.failed_at + LONGEST_UNSCHEDULABLE_SECONDS)
        return min(times, default=None)

    def _release(self, now: float) -> None:
        while self._backoff_heap and self._backoff_heap[0][0] <= now:
            _, serial, key = heapq.heappop(self._backoff_heap)
            waiting = self._backoff.get(key)
            if waiting is not None and waiting.serial == serial and waiting.backoff_ends <= now:
                del self._backoff[key]
                self._activate(waiting)
        while (longest := self._longest_unschedulable()) is not None and longest.failed_at + LONGEST_UNSCHEDULABLE_SECONDS <= now:
            self._take_unschedulable(longest.info.key)
            self._activate(longest)

    def _longest_unschedulable(self) -> Waiting | None:
        return next(iter(self._unschedulable.values()), None)

    def _activate(self, waiting: Waiting) -> None:
        self._active[waiting.info.key] = waiting
        heapq.heappush(self._active_heap, (waiting.order, waiting.info.key))

    def _back_off(self, waiting: Waiting) -> None:
        self._backoff[waiting.info.key] = waiting
        heapq.heappush(self._backoff_heap, (waiting.backoff_ends, waiting.serial, waiting.info.key))

    def _take(self, key: Key) -> Waiting | None:
        return self._active.pop(key, None) or self._backoff.pop(key, None) or self._take_unschedulable(key)

    def _take_unschedulable(self, key: Key) -> Waiting | None:
        waiting = self._unschedulable.pop(key, None)
        if waiting is not None:
            self._refusing.subtract(waiting.plugins or ("",))
        return waiting
