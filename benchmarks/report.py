"""What every benchmark shares: its command line, the table on the screen and the rows in the file."""
from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table


class Row(NamedTuple):
    """One measured number. `note` says what explains it (transport, durability, load generator)."""

    workload: str
    metric: str
    value: float
    unit: str
    note: str = ""


Workload = Callable[[], Iterable[Row]]


def main(name: str, workloads: Mapping[str, Workload], arguments: Sequence[str] | None = None) -> None:
    """The command line of one benchmark: runs the named workloads, or all, in order."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}")
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help=f"some of: {', '.join(workloads)}")
    parser.add_argument("--json", metavar="FILE", type=Path, help="writes the rows there as well")
    options = parser.parse_args(arguments)
    if unknown := [w for w in options.workloads if w not in workloads]:
        parser.error(f"no workload {', '.join(unknown)} (there are: {', '.join(workloads)})")
    rows = list(run(workloads, options.workloads or list(workloads)))
    show(name, rows)
    if options.json is not None:
        write(options.json, rows)


def run(workloads: Mapping[str, Workload], names: Sequence[str]) -> Iterator[Row]:
    for name in names:
        print(f"{name} …", file=sys.stderr, flush=True)
        yield from workloads[name]()


def show(title: str, rows: Sequence[Row]) -> None:
    table = Table(title=title, title_justify="left")
    for heading, side in (("workload", "left"), ("metric", "left"), ("value", "right"), ("unit", "left"), ("note", "left")):
        table.add_column(heading, justify=side)  # type: ignore[arg-type]
    for row in rows:
        table.add_row(row.workload, row.metric, readable(row.value), row.unit, row.note)
    Console().print(table)


def write(path: Path, rows: Sequence[Row]) -> None:
    """The rows, one JSON object each in a list, with the machine they were measured on."""
    machine = {"python": platform.python_version(), "system": platform.platform(), "cpus": os.cpu_count()}
    found: list[dict[str, Any]] = [{k: v for k, v in row._asdict().items() if v != ""} | {"machine": machine} for row in rows]
    path.write_text(json.dumps(found, indent=1) + "\n")


def readable(value: float) -> str:
    """Three digits that count, thousands apart."""
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"
