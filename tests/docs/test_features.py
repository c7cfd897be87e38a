"""docs/features.md names a test for every feature that there is."""
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROWS = [
    [cell.strip() for cell in line.strip("|\n").split(" | ")]
    for line in (ROOT / "docs" / "features.md").read_text().splitlines() if line.startswith("| ") and not line.endswith("| shown by |")
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_what_shows_a_feature_is_there(row: list[str]) -> None:
    _, state, shown = row
    assert state.startswith(("done", "part", "later"))
    assert shown == "–" or re.findall("`([^`]+)`", shown)
    assert [path for path in re.findall("`([^`]+)`", shown) if not (ROOT / path).exists()] == []
    assert shown != "–" or state.startswith("later")
