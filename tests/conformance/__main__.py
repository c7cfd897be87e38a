"""python -m tests.conformance [--write] [--only REGEX] [--show N] [SUITE…]"""
from __future__ import annotations

import argparse
import collections
import sys

from tests.conformance import table
from tests.conformance.suites import SUITES, Figure


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"some of {', '.join(SUITES)}; default: all")
    parser.add_argument("--write", action="store_true", help="write the figures into docs/conformance.md")
    parser.add_argument("--only", default="", help="only files whose SUITE/NAME matches this regular expression")
    parser.add_argument("--show", type=int, default=0, help="differences to print per suite")
    options = parser.parse_args()
    unknown = [suite for suite in options.suites if suite not in SUITES]
    if unknown:
        parser.error(f"no suite: {', '.join(unknown)}")
    figures: list[Figure] = []
    for suite in options.suites or SUITES:
        shown: collections.Counter[str] = collections.Counter()

        def show(text: str, suite: str = suite, shown: collections.Counter[str] = shown) -> None:
            shown[suite] += 1
            if shown[suite] <= options.show:
                print(text, flush=True)

        for figure in SUITES[suite](options.only, show):
            figures.append(figure)
            print(f"{figure.file:60} {figure.same:5} of {figure.total:5} {table.percent(figure.same, figure.total)}", flush=True)
    for what, pattern, wanted in table.REQUIRED:
        same, total = table.together(figures, pattern)
        if total:
            print(f"{what:60} {same:5} of {total:5} {table.percent(same, total)} (wanted: {wanted})")
    if options.write:
        table.write(figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
