"""Pods that wait for a node: active (in the order of QueueSort), backing off (by time), unschedulable (until something changes), gated
(kept out by a PreEnqueue plug-in).

A pod that failed goes to the unschedulable pods; when the cluster changes in a way that could help, or after five minutes, it
returns, through back-off if its wait is not over. While nobody else waits, back-off is cut short, as kube-scheduler does since 1.33
(SchedulerPopFromBackoffQ), but not for a pod whose attempt ended in an error. Pure: time is handed in.
https://kubernetes.io/docs/concepts/scheduling-eviction/scheduling-framework/#queuehint
"""
from __future__ import annotations

import collections
import heapq
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from kubelet_lite.scheduler.framework import Change, Helped
from kubelet_lite.scheduler.pod_info import PodInfo

Key = tuple[str, str]
Refuser = tuple[str, str]
"""Profile and plug-in."""
Hint = Callable[[Refuser, Change], Helped]
FIRST_BACKOFF_SECONDS: Final = 1.0
LONGEST_BACKOFF_SECONDS: Final = 10.0
LONGEST_UNSCHEDULABLE_SECONDS: Final = 300.0
"""After this a pod is tried again though nothing seems to have changed."""
MAX_MISSED: Final = 1000
"""Changes remembered for a pod that is being bound: beyond it, something will have helped."""
ANYTHING: Final[Refuser] = ("", "")
"""Stands for whatever refused a pod that no plug-in refused: any change may help it."""


class Waiting(msgspec.Struct, eq=False):
    """One pod in the queue."""

    info: PodInfo
    arrived: float
    serial: int
    order: tuple[float, ...]
    attempts: int = 0
    failed_at: float = 0.0
    backoff_ends: float = 0.0
    erred: bool = False
    """Whether its last attempt ended in an error: then nothing cuts its back-off short."""
    refusers: frozenset[Refuser] = frozenset()
    """Who refused it: a change wakes only the pods that it can help."""
    missed: list[Change] | None = None
    """While it is being bound, what happened in the meantime."""


Place = tuple[tuple[float, ...], int, Key]


class Line:
    """Places, the least first. Most come in order and are appended; only the others need a heap."""

    def __init__(self) -> None:
        self._ordered: collections.deque[Place] = collections.deque()
        self._others: list[Place] = []

    def __bool__(self) -> bool:
        return bool(self._ordered or self._others)

    def push(self, place: Place) -> None:
        if not self._ordered or self._ordered[-1] <= place:
            self._ordered.append(place)
        else:
            heapq.heappush(self._others, place)

    def pop(self) -> Place:
        if self._others and (not self._ordered or self._others[0] < self._ordered[0]):
            return heapq.heappop(self._others)
        return self._ordered.popleft()


class SchedulingQueue:
    """Each pod is in exactly one of the four parts, or popped and in flight.

    `order`: of two active pods the one with less goes first. `door`: who keeps a pod out (PreEnqueue). `hint`: whether a change helps
    those whom somebody refused.
    """

    def __init__(
        self, *, order: Callable[[PodInfo, float], tuple[float, ...]], door: Callable[[PodInfo], Refuser | None], hint: Hint,
        first_backoff_seconds: float = FIRST_BACKOFF_SECONDS, longest_backoff_seconds: float = LONGEST_BACKOFF_SECONDS,
    ) -> None:
        self._order, self._door, self._hint = order, door, hint
        self._first_backoff_seconds, self._longest_backoff_seconds = first_backoff_seconds, longest_backoff_seconds
        self._serial = 0
        self._active: dict[Key, Waiting] = {}
        self._line = Line()
        self._backoff: dict[Key, Waiting] = {}
        self._backoff_heaps: tuple[list[tuple[float, int, Key]], ...] = ([], [])
        """Those who may be tried early, and those who erred."""
        self._unschedulable: dict[Key, Waiting] = {}  # in order of failed_at, since each failure appends
        self._gated: dict[Key, Waiting] = {}
        self._refused_by: dict[Refuser, dict[Key, Waiting]] = {}
        """Of the unschedulable and the gated pods."""
        self._flying: dict[Key, Waiting] = {}

    def __len__(self) -> int:
        return len(self._active) + len(self._backoff) + len(self._unschedulable) + len(self._gated)

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """(active, backing off, unschedulable, gated)."""
        return len(self._active), len(self._backoff), len(self._unschedulable), len(self._gated)

    @property
    def listens(self) -> bool:
        """Whether a change could matter to any pod."""
        return bool(self._refused_by or self._flying)

    def add(self, info: PodInfo, now: float) -> None:
        """A new or changed pod that has no node. A change gives an unschedulable pod another chance."""
        known = self._take(info.key)
        if known is None:
            self._serial += 1
            known = Waiting(info, now, self._serial, ())
        known.info = info
        known.order = self._order(info, known.arrived)
        self._activate(known)

    def update(self, info: PodInfo) -> bool:
        """Takes over a change that cannot help the pod (its status); whether the pod was here."""
        known = self.get(info.key)
        if known is not None:
            known.info = info
        return known is not None

    def remove(self, key: Key) -> None:
        self._take(key)
        self._flying.pop(key, None)

    def get(self, key: Key) -> Waiting | None:
        return self._active.get(key) or self._backoff.get(key) or self._unschedulable.get(key) or self._gated.get(key)

    def pop(self, now: float) -> Waiting | None:
        """The next pod to try, or None."""
        self._release(now)
        while self._line:
            order, serial, key = self._line.pop()
            waiting = self._active.get(key)
            if waiting is not None and waiting.serial == serial and waiting.order == order:
                del self._active[key]
                return waiting
        return self._pop_early()

    def _pop_early(self) -> Waiting | None:
        """The pod whose back-off ends first."""
        early = self._backoff_heaps[False]
        while early:
            waiting = self._backing_off(heapq.heappop(early), erred=False)
            if waiting is not None:
                del self._backoff[waiting.info.key]
                if not self._kept_out(waiting):
                    return waiting
        return None

    def failed(self, waiting: Waiting, now: float, refusers: Iterable[Refuser]) -> None:
        """Puts a popped pod back after an attempt in which `refusers` refused it."""
        self._count(waiting, now)
        waiting.erred = False
        waiting.refusers = frozenset(refusers) or frozenset((ANYTHING,))
        missed = self._landed(waiting)
        if len(missed) >= MAX_MISSED or any(self._helps(refuser, change, waiting) for refuser in waiting.refusers for change in missed):
            self._back_off(waiting)
            return
        self._unschedulable[waiting.info.key] = waiting
        self._index(waiting)

    def retry(self, waiting: Waiting, now: float) -> None:
        """Puts a popped pod back after an error: it waits out its back-off only."""
        self._count(waiting, now)
        waiting.erred = True
        self._landed(waiting)
        self._back_off(waiting)

    def put_back(self, waiting: Waiting) -> None:
        """Puts a popped pod back that was not tried."""
        self._activate(waiting)

    def flies(self, waiting: Waiting) -> None:
        """A popped pod is on its way to its node, which takes time: what happens until then may matter, should it come back."""
        waiting.missed = []
        self._flying[waiting.info.key] = waiting

    def landed(self, waiting: Waiting) -> None:
        """It is bound."""
        self._landed(waiting)

    def wake(self, key: Key) -> None:
        """Tries a pod again at once, whatever it waits for."""
        waiting = self._backoff.pop(key, None) or self._take_refused(self._unschedulable, key)
        if waiting is not None:
            self._activate(waiting)

    def changed(self, change: Change, now: float) -> int:
        """Something changed in the cluster; how many pods it woke."""
        for waiting in self._flying.values():
            if waiting.missed is not None and len(waiting.missed) < MAX_MISSED:
                waiting.missed.append(change)
        woken: dict[Key, Waiting] = {}
        for refuser, refused in self._refused_by.items():
            helps = self._hint(refuser, change) if refuser != ANYTHING else True
            if isinstance(helps, frozenset):
                woken.update((key, refused[key]) for key in sorted(helps) if key in refused)
            elif helps is not False:
                woken.update((key, waiting) for key, waiting in refused.items() if helps is True or helps(waiting.info))
        for key, waiting in woken.items():
            self._take(key)
            if waiting.backoff_ends > now:
                self._back_off(waiting)
            else:
                self._activate(waiting)
        return len(woken)

    def wake_at(self) -> float | None:
        """When `pop` may answer otherwise though nothing is added."""
        times = [heap[0][0] for heap in self._backoff_heaps if heap]
        longest = self._longest_unschedulable()
        if longest is not None:
            times.append(longest.failed_at + LONGEST_UNSCHEDULABLE_SECONDS)
        return min(times, default=None)

    def _helps(self, refuser: Refuser, change: Change, waiting: Waiting) -> bool:
        helps = self._hint(refuser, change) if refuser != ANYTHING else True
        if isinstance(helps, frozenset):
            return waiting.info.key in helps
        return helps if isinstance(helps, bool) else helps(waiting.info)

    def _count(self, waiting: Waiting, now: float) -> None:
        """One more failure: the next attempt is the later the more there were."""
        waiting.attempts += 1
        waiting.failed_at = now
        doublings = min(waiting.attempts - 1, 63)
        waiting.backoff_ends = now + min(self._first_backoff_seconds * 2 ** doublings, self._longest_backoff_seconds)

    def _landed(self, waiting: Waiting) -> list[Change]:
        missed, waiting.missed = waiting.missed or [], None
        if self._flying.get(waiting.info.key) is waiting:
            del self._flying[waiting.info.key]
        return missed

    def _release(self, now: float) -> None:
        for erred, heap in enumerate(self._backoff_heaps):
            while heap and heap[0][0] <= now:
                waiting = self._backing_off(heapq.heappop(heap), erred=bool(erred))
                if waiting is not None:
                    del self._backoff[waiting.info.key]
                    self._activate(waiting)
        while (longest := self._longest_unschedulable()) is not None and longest.failed_at + LONGEST_UNSCHEDULABLE_SECONDS <= now:
            self._take(longest.info.key)
            self._activate(longest)

    def _backing_off(self, entry: tuple[float, int, Key], *, erred: bool) -> Waiting | None:
        """Whom an entry of a heap stands for; None: nobody any more."""
        ends, serial, key = entry
        waiting = self._backoff.get(key)
        current = waiting is not None and (waiting.serial, waiting.backoff_ends, waiting.erred) == (serial, ends, erred)
        return waiting if current else None

    def _longest_unschedulable(self) -> Waiting | None:
        return next(iter(self._unschedulable.values()), None)

    def _activate(self, waiting: Waiting) -> None:
        """If nobody keeps it out."""
        if self._kept_out(waiting):
            return
        self._active[waiting.info.key] = waiting
        self._line.push((waiting.order, waiting.serial, waiting.info.key))

    def _kept_out(self, waiting: Waiting) -> bool:
        """Whether somebody keeps it out: then it is gated."""
        refuser = self._door(waiting.info)
        if refuser is None:
            return False
        waiting.refusers = frozenset((refuser,))
        self._gated[waiting.info.key] = waiting
        self._index(waiting)
        return True

    def _back_off(self, waiting: Waiting) -> None:
        self._backoff[waiting.info.key] = waiting
        heapq.heappush(self._backoff_heaps[waiting.erred], (waiting.backoff_ends, waiting.serial, waiting.info.key))

    def _take(self, key: Key) -> Waiting | None:
        waiting = self._active.pop(key, None) or self._backoff.pop(key, None)
        return waiting or self._take_refused(self._unschedulable, key) or self._take_refused(self._gated, key)

    def _index(self, waiting: Waiting) -> None:
        for refuser in waiting.refusers:
            self._refused_by.setdefault(refuser, {})[waiting.info.key] = waiting

    def _take_refused(self, part: dict[Key, Waiting], key: Key) -> Waiting | None:
        waiting = part.pop(key, None)
        for refuser in waiting.refusers if waiting is not None else ():
            del self._refused_by[refuser][key]
            if not self._refused_by[refuser]:
                del self._refused_by[refuser]
        return waiting
