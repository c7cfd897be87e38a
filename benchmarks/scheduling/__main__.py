"""`python -m benchmarks.scheduling [WORKLOAD…] [--json FILE] [--kubelets | --https | --kubeconfig FILE [--no-scheduler]]`."""
from __future__ import annotations

from benchmarks.scheduling import command

command()
