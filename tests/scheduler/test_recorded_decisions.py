"""Single decisions of the real kube-scheduler 1.36."""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.recorded.decisions import PARTS, same
from tests.scheduler.recorded import decide

SCHEDULING = Path(__file__).resolve().parents[1] / "recorded" / "scheduling"
FLOORS = {
    "resources": 100, "taints": 100, "node-affinity": 100, "ports": 100, "images": 100,
    "preemption": 100, "mixed": 100, "spread": 100, "pod-affinity": 100, "volumes": 100, "default-spread": 100,
}
"""Decisions the same, in percent: may only rise."""


def agrees(scenario: dict[str, Any]) -> bool:
    want = scenario.pop("answer")
    have = decide(scenario)
    return all(same(part, want.get(part), have.get(part)) for part in PARTS)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("family", FLOORS)
def test_decisions_are_as_recorded(family: str) -> None:
    scenarios = [json.loads(line) for line in (SCHEDULING / f"{family}.jsonl").read_text().splitlines()]
    good = sum(agrees(scenario) for scenario in scenarios)
    assert 100 * good >= FLOORS[family] * len(scenarios)
