"""Runs every benchmark in this folder: `python -m benchmarks [NAME…] [--json FILE]`, or some workloads of one: `… NAME WORKLOAD…`."""
from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import report
from benchmarks.report import Row, run, show, write

NOT_ONE = ("__init__", "__main__", "report")


def names() -> list[str]:
    """The modules that have a table WORKLOADS."""
    here = Path(__file__).parent
    files = [*here.glob("*.py"), *(path.parent for path in here.glob("*/__main__.py"))]
    return sorted(
        path.stem for path in files
        if path.stem not in NOT_ONE and "WORKLOADS" in (path / "__init__.py" if path.is_dir() else path).read_text()
    )


def main(arguments: Sequence[str] | None = None) -> None:
    words = list(sys.argv[1:] if arguments is None else arguments)
    if len(words) > 1 and words[0] in names() and words[1] not in names() and not words[1].startswith("-"):
        module = importlib.import_module(f"benchmarks.{words[0]}")
        if hasattr(module, "command"):
            module.command(words[1:])
        else:
            report.main(words[0], module.WORKLOADS, words[1:])
        return
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[[], *names()], help=f"some of: {', '.join(names())}")
    parser.add_argument("--json", metavar="FILE", type=Path)
    options = parser.parse_args(words)
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
