"""The examples of plug-ins do what they say."""
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.mark.parametrize(("example", "lines"), [
    ("scheduler_per_node.py", ["Counter(", "0/3 nodes are available: 3 node(s) were too noisy already."]),
    ("scheduler_columns.py", ["anywhere runs on node-2", "picky waits: 0/3 nodes are available: 3 node(s) were too dirty."]),
])
def test_an_example_runs(example: str, lines: list[str]) -> None:
    done = subprocess.run([sys.executable, str(EXAMPLES / example)], capture_output=True, text=True, timeout=60, cwd=EXAMPLES.parent)
    assert done.returncode == 0, done.stderr
    printed = done.stdout.splitlines()
    assert len(printed) == len(lines)
    assert all(have.startswith(want) for have, want in zip(printed, lines, strict=True)), printed
    if "per_node" in example:
        assert all(f"'node-{i}': 2" in printed[0] for i in (1, 2, 3))
