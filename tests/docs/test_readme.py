"""The README's own snippets run, as they stand."""
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
SNIPPETS = re.findall(r"^```python\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("number", range(len(SNIPPETS)))
def test_a_snippet_runs(number):
    ran = subprocess.run([sys.executable, "-W", "error", "-c", SNIPPETS[number]], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_there_are_snippets_and_the_commands_they_stand_beside():
    assert len(SNIPPETS) >= 3
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z]+)", README)) - {"nothing"} <= targets | {"it"}


def test_every_file_that_the_documents_name_exists():
    for document in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for name in re.findall(r"`((?:tests|benchmarks|examples|docs|scripts|kubelet_lite|controllers|runtimes|proxy)/[\w./-]+)`", document.read_text()):
            if "NAME" in name:
                continue
            assert (ROOT / name).exists() or (ROOT / f"{name}.py").exists() or (ROOT / "kubelet_lite" / name).exists(), f"{document.name} names {name}"
