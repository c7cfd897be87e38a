"""`python -m tests.soak [--seeds N] [--examples N]`: what needs thousands of runs. Simulated clusters, each seed in two processes whose
traces must agree, and the state machine of the store with fresh examples. Prints what it did; exits 1 at the first difference."""
from __future__ import annotations

import argparse
import os
import subprocess
import sys
from typing import Final

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.simulation.trace import SCENARIOS
from tests.store.machine import StoreMachine

AT_ONCE: Final = 50
"""Seeds that one process runs."""


def traces(scenario: str, seeds: range, hash_seed: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.simulation.trace", "--scenario", scenario, *map(str, seeds)]
    return subprocess.Popen(command, env={**os.environ, "PYTHONHASHSEED": hash_seed}, stdout=subprocess.PIPE, text=True)


def simulate(count: int) -> None:
    """Raises SystemExit where two traces of one seed differ, or a run ends with an error."""
    for scenario in SCENARIOS:
        for begin in range(0, count, AT_ONCE):
            seeds = range(begin, min(begin + AT_ONCE, count))
            pair = [traces(scenario, seeds, hash_seed) for hash_seed in ("1", "271828")]
            first, second = (process.communicate()[0] for process in pair)
            if first != second or any(process.returncode for process in pair):
                raise SystemExit(f"{scenario}: the seeds {seeds.start} to {seeds.stop - 1} end differently in two processes")
        print(f"simulation of {scenario}: {count:,} seeds, twice each, the same traces", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1_000)
    parser.add_argument("--examples", type=int, default=20_000)
    options = parser.parse_args()
    more = settings(max_examples=options.examples, stateful_step_count=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(StoreMachine, settings=more)
    print(f"store: {options.examples:,} examples, every contract kept", flush=True)
    simulate(options.seeds)


if __name__ == "__main__":
    main()
