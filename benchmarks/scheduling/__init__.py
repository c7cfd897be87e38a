"""Scheduling: every workload of Kubernetes' scheduler_perf by its upstream name, and 5,000 nodes × 150,000 pods.

`python -m benchmarks.scheduling CASE/WORKLOAD…`: *end to end* in process (client, scheduler, store, Events; nothing over the wire,
memory only), then *decision only*. Nodes carry the label kubernetes.io/hostname, as any kubelet would give them. Beside these:
`decide-…` and `run` of our own (own.py); `run` has a fake kubelet on every node and waits for Running.
"""
from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Final

import anyio

from benchmarks.report import Row
from benchmarks.report import Workload as Run
from benchmarks.scheduling import own
from benchmarks.scheduling.cases import Workload, workloads
from benchmarks.scheduling.decisions import Table
from benchmarks.scheduling.end_to_end import in_process
from benchmarks.scheduling.interpreter import not_played, playing
from benchmarks.scheduling.meter import Meter


def both(workload: Workload) -> Iterator[Row]:
    """End to end, then decision only."""
    missing = not_played(workload)
    if missing:
        print(f"{workload.name}: not run: {', '.join(missing)}: the scheduler does not look at dynamic resources yet", file=sys.stderr)
        return
    yield from anyio.run(_end_to_end, workload)
    yield from anyio.run(_decisions, workload)


async def _end_to_end(workload: Workload) -> list[Row]:
    meter = Meter()
    async with in_process(meter) as api, playing(workload, api):
        return list(meter.rows(workload.name, "end to end", "create to bound", workload.threshold, "in process, memory, Events included"))


async def _decisions(workload: Workload) -> list[Row]:
    meter = Meter()
    table = Table(meter)
    async with playing(workload, table):
        note = "nothing written" + (f"; {table.refused} refused" if table.refused else "")
        return list(meter.rows(workload.name, "decision only", "attempt", 0, note))


WORKLOADS: Final[Mapping[str, Run]] = {
    **{name: partial(both, workload) for name, workload in workloads().items() if "QueueingHints" not in name}, **own.WORKLOADS,
}
"""Ours have queueing hints, always: upstream's variant is measured against where a workload has one."""
