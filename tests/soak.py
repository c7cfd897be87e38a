"""`python -m tests.soak [PART …] [--seeds N] [--examples N] [--mutant-seeds N] [--mix-seeds N] [--failing N]`: what needs thousands of runs.

store        the state machine of the store with fresh examples
determinism  simulated clusters, each seed in two processes whose traces must agree
mutants      every planted bug, seed after seed until it is found: a table
mix          the standard mix of faults on the code as it is: nothing is found
replays      runs that fail, each played ten times: one trace each

Prints what it did; exits 1 where something is not as it should be.
"""
from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from typing import Final

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.simulation.mutants import MUTANTS
from tests.simulation.mutants.mutant import hunt
from tests.simulation.trace import SCENARIOS
from tests.store.machine import StoreMachine

PARTS: Final = ("store", "determinism", "mutants", "mix", "replays")
GOAL: Final = 0.95
"""Of the planted bugs to be found."""
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


def hunt_mutants(seeds: int) -> None:
    """Raises SystemExit when fewer than GOAL are found."""
    found = 0
    print(f"{'bug':22} {'planted':72} {'seed':>5} {'by':28} seconds")
    for planted in MUTANTS:
        began = time.process_time()
        caught = hunt(planted, range(seeds))
        found += caught is not None
        seed, by = (str(caught.seed), caught.by) if caught is not None else ("-", "not found")
        print(f"{planted.bug:22} {planted.name:72} {seed:>5} {by:28} {time.process_time() - began:.1f}", flush=True)
    print(f"planted bugs: {found} of {len(MUTANTS)} found within {seeds:,} seeds", flush=True)
    if found < GOAL * len(MUTANTS):
        raise SystemExit(f"fewer than {GOAL:.0%} of the planted bugs were found")


def soaked(kind: str, count: int) -> None:
    """Half of it in each of two processes. Raises SystemExit for any finding."""
    command = [sys.executable, "-m", "tests.simulation.soaking", kind]
    halves = ((0, count // 2), (count // 2, count))
    processes = [subprocess.Popen([*command, str(first), str(last)], stdout=subprocess.PIPE, text=True) for first, last in halves]
    lines = [line for process in processes for line in process.communicate()[0].splitlines()]
    findings = [line for line in lines if '"what"' in line]
    print("\n".join([*findings, f"{kind}: {count:,} runs, {len(findings)} findings"]), flush=True)
    if findings or any(process.returncode for process in processes):
        raise SystemExit(f"{kind}: see above")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", choices=[[], *PARTS], help=f"some of {', '.join(PARTS)}; none: all")
    parser.add_argument("--seeds", type=int, default=1_000)
    parser.add_argument("--examples", type=int, default=20_000)
    parser.add_argument("--mutant-seeds", type=int, default=1_000)
    parser.add_argument("--mix-seeds", type=int, default=10_000)
    parser.add_argument("--failing", type=int, default=1_000)
    options = parser.parse_args()
    parts = options.parts or PARTS
    if "store" in parts:
        more = settings(max_examples=options.examples, stateful_step_count=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        run_state_machine_as_test(StoreMachine, settings=more)
        print(f"store: {options.examples:,} examples, every contract kept", flush=True)
    if "determinism" in parts:
        simulate(options.seeds)
    if "mutants" in parts:
        hunt_mutants(options.mutant_seeds)
    if "mix" in parts:
        soaked("mix", options.mix_seeds)
    if "replays" in parts:
        soaked("replays", options.failing)


if __name__ == "__main__":
    main()
