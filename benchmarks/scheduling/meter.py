"""What a run is measured by: throughput over time, latencies, CPU, memory, pauses of the collector."""
from __future__ import annotations

import gc
import resource
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from benchmarks.report import Row
from benchmarks.scheduling.progress import Bar

WINDOWS: Final = 50
"""The measured time is cut into so many, to see how steady the throughput is."""
SHOWN_EVERY: Final = 100
"""Pods between two looks at the clock of the bar."""


class Meter:
    """`done` is told of each measured pod, and shows it on the bar."""

    def __init__(self, bar: Bar | None = None) -> None:
        self._bar = bar
        self.started = self.ended = self.cpu = 0.0
        self.times: list[float] = []
        self.latencies: list[float] = []
        self._pauses: list[float] = []
        self._pause_began = 0.0

    @contextmanager
    def measuring(self) -> Iterator[None]:
        gc.collect()
        gc.freeze()  # as `kubelet-lite up` does once it runs
        if self._bar is not None:
            self._bar.begin()
        gc.callbacks.append(self._collector)
        cpu, self.started = time.process_time(), time.perf_counter()
        try:
            yield
        finally:
            self.ended, self.cpu = time.perf_counter(), time.process_time() - cpu
            gc.callbacks.remove(self._collector)

    def done(self, latency: float) -> None:
        self.times.append(time.perf_counter())
        self.latencies.append(latency)
        if self._bar is not None and len(self.times) % SHOWN_EVERY == 0:
            self._bar.show(len(self.times))

    def _collector(self, phase: str, info: dict[str, Any]) -> None:
        if phase == "start":
            self._pause_began = time.perf_counter()
        else:
            self._pauses.append(time.perf_counter() - self._pause_began)

    def rows(self, name: str, metric: str, latency: str, threshold: float, note: str) -> Iterator[Row]:
        """`metric`: what the throughput is called; `latency`: what the latencies are of."""
        if not self.times:
            return
        seconds = self.times[-1] - self.started
        mean = len(self.times) / seconds
        beside = f"; upstream's threshold {threshold:g}: {mean / threshold:.1f} times" if threshold else ""
        yield Row(name, metric, mean, "pods/s", note + beside)
        windows = self.windows()
        for label, share in (("p50", 0.5), ("p99", 0.01)):
            yield Row(name, f"{metric}, {label} window", _quantile(windows, share), "pods/s", f"of {WINDOWS} windows; p99: all but the slowest 1 %")
        for label, share in (("p50", 0.5), ("p99", 0.99)):
            yield Row(name, f"{latency}, {label}", _quantile(self.latencies, share) * 1000, "ms")
        yield Row(name, "CPU a pod", self.cpu / len(self.times) * 1e6, "µs", "of the process, load generator included")
        yield Row(name, "most memory", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "MiB", "of the process, ever")
        yield Row(name, "longest pause of the collector", max(self._pauses, default=0.0) * 1000, "ms", f"{len(self._pauses)} pauses")

    def windows(self) -> Sequence[float]:
        """The throughput of each."""
        width = (self.times[-1] - self.started) / WINDOWS
        counts = [0] * WINDOWS
        for moment in self.times:
            counts[min(int((moment - self.started) / width), WINDOWS - 1)] += 1
        return [count / width for count in counts]


def _quantile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]
