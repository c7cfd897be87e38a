"""Runs every benchmark in this folder: `python -m benchmarks [NAME…] [--json FILE]`."""
from __future__ import annotations

import argparse
import importlib
from pathlib import Path

from benchmarks.report import Row, run, show, write

NOT_ONE = ("__init__", "__main__", "report")


def names() -> list[str]:
    """The modules that have a table WORKLOADS."""
    return [path.stem for path in sorted(Path(__file__).parent.glob("*.py")) if path.stem not in NOT_ONE and "WORKLOADS" in path.read_text()]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[[], *names()], help=f"some of: {', '.join(names())}")
    parser.add_argument("--json", metavar="FILE", type=Path)
    options = parser.parse_args()
    every: list[Row] = []
    for name in options.names or names():
        workloads = importlib.import_module(f"benchmarks.{name}").WORKLOADS
        rows = list(run(workloads, list(workloads)))
        show(name, rows)
        every += rows
    if options.json is not None:
        write(options.json, every)


if __name__ == "__main__":
    main()
