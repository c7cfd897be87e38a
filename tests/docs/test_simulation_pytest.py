"""The tests that docs/simulation.md shows pass."""
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SECTIONS = (ROOT / "docs/simulation.md").read_text().partition("## Testing with pytest")[2].partition("## Stories")[0]


def test_the_tests_of_the_document_pass(tmp_path):
    blocks = re.findall(r"^```python\n(.*?)^```$", SECTIONS, flags=re.MULTILINE | re.DOTALL)
    for number, block in enumerate(blocks):
        (tmp_path / f"test_shown_{number}.py").write_text(block)
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function"], cwd=tmp_path,
        capture_output=True, text=True, timeout=300,
    )
    assert ran.returncode == 0, ran.stdout
    assert f"{len(re.findall('^ *(?:async )?def test_', ''.join(blocks), flags=re.MULTILINE)) + 3} passed" in ran.stdout, "three seeds of one, one machine"
