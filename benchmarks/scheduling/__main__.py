"""`python -m benchmarks.scheduling [WORKLOAD…] [--json FILE]`."""
from __future__ import annotations

from benchmarks.report import main
from benchmarks.scheduling import WORKLOADS

main("scheduling", WORKLOADS)
