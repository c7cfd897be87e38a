"""How fast, how small: one module each, `python -m benchmarks.NAME [WORKLOAD…] [--json FILE]`; all of them: `python -m benchmarks`."""
