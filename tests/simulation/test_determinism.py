"""The same seed gives the same trace, byte for byte, whatever the process and its hash seed."""
from __future__ import annotations

import os
import pathlib
import subprocess
import sys
from typing import Final

import pytest

from tests.simulation.trace import SCENARIOS, trace

SEEDS: Final = {"cluster": 20, "network": 20, "kopf": 5, "kr8s": 5}
HASH_SEEDS: Final = ("1", "271828")
ROOT: Final = pathlib.Path(__file__).parents[2]
scenarios = pytest.mark.parametrize("scenario", SCENARIOS)


@scenarios
def test_seeds_give_the_same_traces_in_two_processes(scenario: str) -> None:
    command = [sys.executable, "-m", "tests.simulation.trace", "--scenario", scenario, *map(str, range(SEEDS[scenario]))]
    processes = [
        subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": hash_seed}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for hash_seed in HASH_SEEDS
    ]
    results = [(*process.communicate(), process.returncode) for process in processes]
    for _, errors, code in results:
        assert (errors, code) == ("", 0)
    first, second = (output.splitlines() for output, _, _ in results)
    assert len(first) > 10 * SEEDS[scenario]
    for number, (one, other) in enumerate(zip(first, second, strict=False)):
        assert one == other, f"the traces differ from line {number} on"
    assert len(first) == len(second)


@scenarios
def test_two_runs_in_one_process_give_the_same_trace_and_another_seed_another(scenario: str) -> None:
    assert trace(0, scenario) == trace(0, scenario) != trace(1, scenario)
