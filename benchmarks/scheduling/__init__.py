"""Scheduling: every workload of Kubernetes' scheduler_perf by its upstream name, and 5,000 nodes × 150,000 pods.

`python -m benchmarks.scheduling CASE/WORKLOAD…`: *end to end* in process (client, scheduler, store, Events; nothing over the wire,
memory only), then *decision only*. `--https`: with the API server in another process; `--kubeconfig FILE`: against any API server, and
with `--no-scheduler` any scheduler of that cluster is measured instead of ours. `--kubelets`: with a fake kubelet on every node, until all pods run. Nodes carry the label kubernetes.io/hostname, as any kubelet would give them. Beside these:
`decide-…` and `run` of our own (own.py); `run` has a fake kubelet on every node and waits for Running.
"""
from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Final

import anyio

from benchmarks import report
from benchmarks.report import Row
from benchmarks.report import Workload as Run
from benchmarks.scheduling import own
from benchmarks.scheduling.cases import Workload, workloads
from benchmarks.scheduling.decisions import Table
from benchmarks.scheduling.end_to_end import Transport, opened
from benchmarks.scheduling.interpreter import playing
from benchmarks.scheduling.meter import Meter


def both(workload: Workload, transport: Transport = Transport()) -> Iterator[Row]:
    """End to end, then decision only."""
    yield from anyio.run(_end_to_end, workload, transport)
    yield from anyio.run(_decisions, workload)


async def _end_to_end(workload: Workload, transport: Transport) -> list[Row]:
    meter = Meter()
    async with opened(transport, meter) as api, playing(workload, api):
        return list(meter.rows(workload.name, "end to end", "create to bound", workload.threshold, transport.note))


async def _decisions(workload: Workload) -> list[Row]:
    meter = Meter()
    table = Table(meter)
    async with playing(workload, table):
        note = "nothing written" + (f"; {table.refused} refused" if table.refused else "")
        return list(meter.rows(workload.name, "decision only", "attempt", 0, note))


def all_over(transport: Transport) -> Mapping[str, Run]:
    """The workloads of scheduler_perf. Ours have queueing hints, always: there are no variants with and without."""
    return {name: partial(both, workload, transport) for name, workload in workloads().items() if "QueueingHints" not in name}


WORKLOADS: Final[Mapping[str, Run]] = {**all_over(Transport()), **own.WORKLOADS}


def command(arguments: Sequence[str] | None = None) -> None:
    """The command line: what all benchmarks take, and where the API server is."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--https", action="store_true")
    parser.add_argument("--kubeconfig", default="", metavar="FILE")
    parser.add_argument("--no-scheduler", action="store_true")
    parser.add_argument("--kubelets", action="store_true")
    options, others = parser.parse_known_args(arguments)
    transport = Transport(options.kubelets, options.https, options.kubeconfig, not options.no_scheduler)
    if not transport.scheduler and not transport.kubeconfig:
        parser.error("--no-scheduler needs --kubeconfig: the cluster of the scheduler that is measured")
    if transport.kubelets and (transport.https or transport.kubeconfig):
        parser.error("--kubelets: these run in process, with the API server")
    report.main("scheduling", {**all_over(transport), **own.WORKLOADS}, others)
