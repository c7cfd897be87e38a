"""Keys that wait to be worked on: each once, none by two workers at a time, later ones in one heap of timers.

The semantics of client-go's work queues: a key that is added while it is worked on comes back when that is done.
https://pkg.go.dev/k8s.io/client-go/util/workqueue
"""
from __future__ import annotations

import collections
import contextvars
import heapq
from collections.abc import Awaitable, Callable, Hashable, Mapping
from typing import Final, Generic, NamedTuple, TypeVar

import anyio
import anyio.lowlevel

from kubelet_lite.actors.alarm import changed_within
from kubelet_lite.actors.environment import Environment

FIRST_BACK_OFF_SECONDS: Final = 0.005
LONGEST_BACK_OFF_SECONDS: Final = 1000.0
"""Each failure in a row doubles a key's back-off, from the first to the longest, as kube-controller-manager waits."""
STALE_TIMERS: Final = 1000
"""So many entries of the heap whose key has another time by now may stay until they are due."""

K = TypeVar("K", bound=Hashable)


class _BackOff(NamedTuple):
    failures: int
    """In a row; one before `until` is not another one."""
    until: float


class WorkQueue(Generic[K]):
    """`take` and `done` by workers, `run_timers` by one task; or `serve`, which does both. Times are the environment's monotonic seconds."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._ready: dict[K, None] = {}
        """Keys that a worker may take, first come first served. None of them is being worked on."""
        self._busy: set[K] = set()
        self._again: dict[K, None] = {}
        """Keys that were added while they were busy."""
        self._due: dict[K, float] = {}
        """When a key is to be added; its entry in the heap is the one with this time, others are stale."""
        self._heap: list[tuple[float, int, K]] = []
        self._pushed = 0
        self._back_offs: dict[K, _BackOff] = {}
        self._takers: collections.deque[anyio.Event] = collections.deque()
        """Of each who waits for a key; one is set for each that comes."""
        self._timers = anyio.Event()
        self._free = 0
        """Workers of `serve` that have begun, or are about to, to take a key."""
        self._add_worker: Callable[[], None] | None = None
        """Of `serve`, while it may have more of them."""

    def add(self, key: K, after_seconds: float = 0.0) -> None:
        """Has a key worked on, once that time has passed."""
        if after_seconds > 0:
            self._add_at(key, self._environment.monotonic() + after_seconds)
        elif key in self._busy:
            self._again[key] = None
        elif key not in self._ready:
            self._ready[key] = None
            self._wake_one()
            self._mind_the_rest()

    async def take(self) -> K:
        """The next key; it is busy until `done`. Always lets other tasks run first."""
        await anyio.lowlevel.checkpoint()
        while not self._ready:
            called = anyio.Event()
            self._takers.append(called)
            try:
                await called.wait()
            except BaseException:
                if called.is_set():
                    self._wake_one()
                else:
                    self._takers.remove(called)
                raise
        key = next(iter(self._ready))
        del self._ready[key]
        self._busy.add(key)
        self._due.pop(key, None)
        return key

    def done(self, key: K) -> None:
        """A key that was taken may be taken again."""
        self._busy.remove(key)
        if key in self._again:
            del self._again[key]
            self.add(key)

    def retry(self, key: K) -> float:
        """Has a key that failed worked on again after its back-off; how long that is.

        A key that was added before its back-off was over, and failed again, waits no longer for that: else the events of a time of
        errors, each of which has the key tried at once, would double the wait again and again.
        """
        now = self._environment.monotonic()
        failures, until = self._back_offs.get(key, (0, now))
        if until <= now:
            until = now + min(LONGEST_BACK_OFF_SECONDS, FIRST_BACK_OFF_SECONDS * 2.0 ** min(failures, 60))
            self._back_offs[key] = _BackOff(failures + 1, until)
        self._add_at(key, until)
        return until - now

    def forget(self, key: K) -> None:
        """The key did not fail: its next back-off is the first."""
        self._back_offs.pop(key, None)

    async def serve(self, work: Callable[[K], Awaitable[None]], workers: int) -> None:
        """Has every key worked on, so many at the same time at most, and adds keys when they are due; until cancelled. `work` calls `done`.

        A worker is made when a key finds all others busy: most queues never need a second one.
        """
        self._free = made = 0
        context = contextvars.copy_context()  # whoever adds a key may be another actor: its worker is this one's all the same

        async def worker() -> None:
            while True:
                key = await self.take()
                self._free -= 1
                await work(key)
                self._free += 1

        def add_worker() -> None:
            nonlocal made
            made += 1
            self._free += 1
            context.run(tasks.start_soon, worker)
            if made == workers:
                self._add_worker = None

        async with anyio.create_task_group() as tasks:
            self._add_worker = add_worker
            try:
                self._mind_the_rest()
                await self.run_timers()
            finally:
                self._add_worker = None

    def _wake_one(self) -> None:
        if self._takers:
            self._takers.popleft().set()

    def _mind_the_rest(self) -> None:
        while len(self._ready) > self._free and self._add_worker is not None:
            self._add_worker()

    async def run_timers(self) -> None:
        """Adds keys when they are due, until cancelled."""
        while True:
            self._timers = anyio.Event()
            now = self._environment.monotonic()
            while self._heap and self._heap[0][0] <= now:
                due, _, key = heapq.heappop(self._heap)
                if self._due.get(key) == due:
                    del self._due[key]
                    self.add(key)
            await changed_within(self._timers, self._heap[0][0] - now if self._heap else None)

    def statistics(self) -> Mapping[str, float]:
        return {"ready": len(self._ready), "busy": len(self._busy), "later": len(self._due), "failing": len(self._back_offs)}

    def _add_at(self, key: K, due: float) -> None:
        if key in self._due and self._due[key] <= due:
            return
        self._due[key] = due
        self._pushed += 1
        if len(self._heap) > len(self._due) + STALE_TIMERS:
            self._heap = [entry for entry in self._heap if self._due.get(entry[2]) == entry[0]]
            heapq.heapify(self._heap)
        heapq.heappush(self._heap, (due, self._pushed, key))
        if self._heap[0][0] == due:
            self._timers.set()
