"""The tutorial's files are written down and run, and what it says comes out."""
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TUTORIAL = (ROOT / "docs/tutorial-simulation.md").read_text()
FILES = re.findall(r"^```python\n# (\S+)\n(.*?)^```$", TUTORIAL, flags=re.MULTILINE | re.DOTALL)
STORY = re.search(r"^```\n(never.*?)^```$", TUTORIAL, flags=re.MULTILINE | re.DOTALL)


def pytest_in(folder, *arguments):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(folder), str(ROOT)))}
    return subprocess.run([sys.executable, "-m", "pytest", "-x", *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


def test_the_bug_is_found_and_told_and_the_fix_holds(tmp_path):
    (operator, broken), (test, checks), (_, mended) = FILES
    (tmp_path / operator).write_text(broken)
    (tmp_path / test).write_text(checks)
    failed = pytest_in(tmp_path)
    assert failed.returncode == 1, failed.stdout
    said = re.sub(r"\s+", " ", re.sub(r"^E +", "", failed.stdout, flags=re.MULTILINE))
    assert STORY is not None
    for line in STORY[1].splitlines():
        assert re.sub(r"\s+", " ", line) in said, f"{line!r} is not in\n{failed.stdout}"
    (tmp_path / operator).write_text(mended)
    passed = pytest_in(tmp_path)
    assert passed.returncode == 0, passed.stdout
