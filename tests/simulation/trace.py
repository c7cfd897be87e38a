"""`python -m tests.simulation.trace SEED…` prints what an embedded cluster did under each seed; the same seed prints the same bytes."""
from __future__ import annotations

import argparse
import importlib
import sys
from typing import Final

from kubelet_lite.simulation.trace import Trace
from kubelet_lite.simulation.virtual.environment import SimulatedEnvironment
from kubelet_lite.simulation.virtual.run import simulate

SCENARIOS: Final = ("cluster", "network", "kopf", "kr8s")
"""Each is a module of this folder whose `run` takes the environment and a trace that is already listening."""


def trace(seed: int, scenario: str) -> str:
    """One run."""

    run = importlib.import_module(f"tests.simulation.{scenario}_scenario").run

    async def main(environment: SimulatedEnvironment) -> str:
        trace = Trace(environment)
        with trace.logs():
            await run(environment, trace)
        return trace.text()

    return simulate(seed, main)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.trace", description=__doc__)
    parser.add_argument("seeds", metavar="SEED", type=int, nargs="+")
    parser.add_argument("--scenario", choices=SCENARIOS, default=SCENARIOS[0])
    arguments = parser.parse_args()
    for seed in arguments.seeds:
        sys.stdout.write(trace(seed, arguments.scenario))


if __name__ == "__main__":
    main()
