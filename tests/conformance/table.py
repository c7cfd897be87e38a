"""The table of docs/conformance.md: written after a run, read as the floor below which no figure may fall."""
from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from tests.conformance.suites import Figure

PAGE = Path(__file__).resolve().parents[2] / "docs" / "conformance.md"
BEGIN, END = "<!-- figures: begin (make conformance writes them) -->", "<!-- figures: end -->"
ROW = re.compile(r"^\| ([\w.-]+/[\w.-]+) \| (\d+) \| (\d+) \|", re.MULTILINE)
REQUIRED = (
    ("scenarios", r"scenarios/(generic|patch|strategic|apply|update|delete|list|watch|discovery|identity)--", 90),
    ("mutations of the nine small kinds", r"mutations/(pods-min|configmaps|secrets|serviceaccounts|namespaces|services|deployments|replicasets|roles|rolebindings)$", 90),
    ("mutations of pods", r"mutations/pods$", 80),
    ("controllers", r"controllers/(deployment|replicaset|gc|service)--", 85),
    ("pod scripts", r"pods/", 80),
    ("kubectl sessions", r"kubectl/(?!crd--|describe--workloads)", 90),
)
"""(what, files taken together, percent that must be the same)."""


def read() -> dict[str, Figure]:
    text = PAGE.read_text() if PAGE.exists() else ""
    return {name: Figure(name, int(same), int(total)) for name, same, total in ROW.findall(text)}


def write(figures: Iterable[Figure]) -> None:
    """Replaces the rows that were measured, and keeps the others."""
    known = read() | {figure.file: figure for figure in figures}
    lines = [BEGIN, "", "| taken together | the same | of | % | wanted |", "|---|---|---|---|---|"]
    for what, pattern, wanted in REQUIRED:
        same, total = together(known.values(), pattern)
        lines.append(f"| {what} | {same} | {total} | {percent(same, total)} | {wanted} |")
    lines += ["", "| file | the same | of | % |", "|---|---|---|---|"]
    lines += [f"| {f.file} | {f.same} | {f.total} | {percent(f.same, f.total)} |" for _, f in sorted(known.items())]
    lines += ["", END]
    text = PAGE.read_text()
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    PAGE.write_text(before + "\n".join(lines) + after)


def together(figures: Iterable[Figure], pattern: str) -> tuple[int, int]:
    chosen = [f for f in figures if re.match(pattern, f.file)]
    return sum(f.same for f in chosen), sum(f.total for f in chosen)


def percent(same: int, total: int) -> str:
    return f"{100 * same / max(total, 1):.1f}"
