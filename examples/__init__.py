"""Programs that show what a cluster does: `python -m examples.demo`."""
