"""Scheduling: every workload of Kubernetes' scheduler_perf by its upstream name, and 5,000 nodes × 150,000 pods.

`python -m benchmarks.scheduling CASE/WORKLOAD…`: *end to end* in process (client, scheduler, store, Events; nothing over the wire,
memory only), then *decision only*. `--https`: with the API server in another process; `--kubeconfig FILE`: against any API server, and
with `--no-scheduler` any scheduler of that cluster is measured instead of ours. `--kubelets`: with a fake kubelet on every node, until all
pods run. `--png FOLDER`: throughput over time of each, as a picture. Nodes carry the label kubernetes.io/hostname, as any kubelet would
give them. Beside these: `Scale/500And5000Nodes` says what is left of the throughput on ten times as many nodes; `decide-…` and `run` of our
own (own.py); `run` has a fake kubelet on every node and waits for Running.
"""
from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import anyio
import msgspec

from benchmarks import report
from benchmarks.report import Row
from benchmarks.report import Workload as Run
from benchmarks.scheduling import own
from benchmarks.scheduling.cases import Workload, on_nodes, workloads
from benchmarks.scheduling.decisions import Table
from benchmarks.scheduling.drawing import draw
from benchmarks.scheduling.end_to_end import Transport, opened
from benchmarks.scheduling.interpreter import playing
from benchmarks.scheduling.meter import Meter
from benchmarks.scheduling.progress import shown

END_TO_END: Final = "end to end"
DECISION_ONLY: Final = "decision only"
SMALL_AND_LARGE: Final = "Scale/500And5000Nodes"


class How(msgspec.Struct, frozen=True):
    """What a command line says of all runs."""

    transport: Transport = Transport()
    pictures: Path | None = None
    """The folder for them; None: none are drawn."""


def both(workload: Workload, how: How = How()) -> Iterator[Row]:
    """End to end, then decision only."""
    with shown(f"{workload.name}, end to end", workload.measured) as bar:
        end_to_end = Meter(bar)
        anyio.run(_end_to_end, workload, how.transport, end_to_end)
    yield from end_to_end.rows(workload.name, END_TO_END, "create to bound", workload.threshold, how.transport.note)
    with shown(f"{workload.name}, decision only", workload.measured) as bar:
        decisions = Meter(bar)
        refused = anyio.run(_decisions, workload, decisions)
    note = "nothing written" + (f"; {refused} refused" if refused else "")
    yield from decisions.rows(workload.name, DECISION_ONLY, "attempt", 0, note)
    meters = {metric: meter for metric, meter in ((END_TO_END, end_to_end), (DECISION_ONLY, decisions)) if meter.times}
    if how.pictures is not None and meters:
        draw(how.pictures, workload.name, meters, workload.threshold)


async def _end_to_end(workload: Workload, transport: Transport, meter: Meter) -> None:
    async with opened(transport, meter) as api, playing(workload, api):
        pass


async def _decisions(workload: Workload, meter: Meter) -> int:
    """How many were refused."""
    table = Table(meter)
    async with playing(workload, table):
        return table.refused


def small_and_large(how: How = How(), sizes: tuple[int, int] = (500, 5_000)) -> Iterator[Row]:
    """Ten times as many nodes: what is left of the throughput."""
    means: dict[str, list[float]] = {}
    for nodes in sizes:
        for row in both(on_nodes(nodes), how):
            yield row
            means.setdefault(row.metric, []).append(row.value)
    for metric in (END_TO_END, DECISION_ONLY):
        small, large = means[metric]
        yield Row(SMALL_AND_LARGE, f"{metric}, kept", large / small, "", f"the throughput on {sizes[1]:,} nodes as a part of that on {sizes[0]:,}")


def all_over(how: How) -> Mapping[str, Run]:
    """The workloads of scheduler_perf. Ours have queueing hints, always: there are no variants with and without."""
    upstream = {name: partial(both, workload, how) for name, workload in workloads().items() if "QueueingHints" not in name}
    return {**upstream, SMALL_AND_LARGE: partial(small_and_large, how), **own.WORKLOADS}


WORKLOADS: Final[Mapping[str, Run]] = all_over(How())


def command(arguments: Sequence[str] | None = None) -> None:
    """The command line: what all benchmarks take, where the API server is, and where pictures go."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--https", action="store_true")
    parser.add_argument("--kubeconfig", default="", metavar="FILE")
    parser.add_argument("--no-scheduler", action="store_true")
    parser.add_argument("--kubelets", action="store_true")
    parser.add_argument("--png", type=Path, metavar="FOLDER")
    options, others = parser.parse_known_args(arguments)
    transport = Transport(options.kubelets, options.https, options.kubeconfig, not options.no_scheduler)
    if not transport.scheduler and not transport.kubeconfig:
        parser.error("--no-scheduler needs --kubeconfig: the cluster of the scheduler that is measured")
    if transport.kubelets and (transport.https or transport.kubeconfig):
        parser.error("--kubelets: these run in process, with the API server")
    report.main("scheduling", all_over(How(transport, options.png)), others)
