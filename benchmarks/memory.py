"""Bytes a pod, and pauses of the collector, with 150,000 pods kept: created through LocalClient, equal in all but their names."""
from __future__ import annotations

import gc
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import anyio

from benchmarks.client import client, pod
from benchmarks.report import Row, main

PODS: Final = 150_000


def resident_bytes() -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


class Pauses:
    """Longest and total time in the collector while the block runs, in milliseconds."""

    def __enter__(self) -> Pauses:
        self.longest = self.total = 0.0
        self._begun = 0.0
        gc.callbacks.append(self._callback)
        return self

    def __exit__(self, *_: object) -> None:
        gc.callbacks.remove(self._callback)

    def _callback(self, phase: str, info: dict[str, Any]) -> None:
        if phase == "start":
            self._begun = time.perf_counter()
        else:
            took = (time.perf_counter() - self._begun) * 1000
            self.total += took
            self.longest = max(self.longest, took)


def pods() -> Iterable[Row]:
    async def run() -> tuple[float, Pauses, Pauses]:
        async with client() as on:
            gc.collect()
            gc.freeze()  # as `kubelet-lite up` does
            before = resident_bytes()
            with Pauses() as pauses:
                for number in range(PODS):
                    await on.create(pod(number))
            size = (resident_bytes() - before) / PODS
            with Pauses() as asked:
                gc.collect()
            return size, pauses, asked

    size, pauses, asked = anyio.run(run)
    yield Row("150,000 pods", "bytes a pod", size, "B", "resident; history within its limits included")
    yield Row("150,000 pods", "longest collector pause", pauses.longest, "ms", "while they are created")
    yield Row("150,000 pods", "collector in all", pauses.total, "ms", "while they are created")
    yield Row("150,000 pods", "a whole collection", asked.longest, "ms", "asked for, once they are there")


WORKLOADS: Final = {"pods": pods}

if __name__ == "__main__":
    main("memory", WORKLOADS)
