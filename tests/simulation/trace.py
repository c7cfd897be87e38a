"""`python -m tests.simulation.trace SEED…` prints what an embedded cluster did under each seed; the same seed prints the same bytes."""
from __future__ import annotations

import argparse
import sys

from kubelet_lite.simulation.environment import SimulatedEnvironment
from kubelet_lite.simulation.run import simulate
from kubelet_lite.simulation.trace import Trace
from tests.simulation.scenarios import SCENARIOS


def trace(seed: int, scenario: str) -> str:
    """One run."""

    async def main(environment: SimulatedEnvironment) -> str:
        trace = Trace(environment)
        with trace.logs():
            await SCENARIOS[scenario](environment, trace)
        return trace.text()

    return simulate(seed, main)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.trace", description=__doc__)
    parser.add_argument("seeds", metavar="SEED", type=int, nargs="+")
    parser.add_argument("--scenario", choices=sorted(SCENARIOS), default=next(iter(SCENARIOS)))
    arguments = parser.parse_args()
    for seed in arguments.seeds:
        sys.stdout.write(trace(seed, arguments.scenario))


if __name__ == "__main__":
    main()
