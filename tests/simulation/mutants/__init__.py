"""Bugs planted in copies of the code, after those that Kubernetes and etcd have had: a simulation is trusted for what it catches.

One file a part of the code; each bug is a function that patches it. `MUTANTS` has all of them.
"""
from __future__ import annotations

from typing import Final

from tests.simulation.mutants import api, caches, controllers, nodes, scheduling
from tests.simulation.mutants.mutant import MUTANTS

__all__ = ["MUTANTS", "PARTS"]
PARTS: Final = (controllers, nodes, scheduling, caches, api)
