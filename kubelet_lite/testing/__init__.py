"""What tests import: `run_simulation`, `ClusterMachine` and its rules, `strategies`, `builders`. The pytest plugin is loaded by itself."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kubelet_lite.simulation.invariant import always, eventually, never
    from kubelet_lite.simulation.invariants import STANDARD
    from kubelet_lite.simulation.simulation import Setting, Simulation
    from kubelet_lite.testing import builders, strategies
    from kubelet_lite.testing.machine import ClusterMachine, Faults, UserActions, Workloads
    from kubelet_lite.testing.running import run_simulation

_HOMES = {
    "ClusterMachine": "kubelet_lite.testing.machine", "Faults": "kubelet_lite.testing.machine", "Workloads": "kubelet_lite.testing.machine",
    "UserActions": "kubelet_lite.testing.machine",
    "run_simulation": "kubelet_lite.testing.running", "STANDARD": "kubelet_lite.simulation.invariants",
    "Setting": "kubelet_lite.simulation.simulation", "Simulation": "kubelet_lite.simulation.simulation",
    "always": "kubelet_lite.simulation.invariant", "eventually": "kubelet_lite.simulation.invariant", "never": "kubelet_lite.simulation.invariant",
}
"""Loaded when they are asked for: pytest imports this package wherever it is installed."""

__all__ = [
    "STANDARD", "ClusterMachine", "Faults", "Setting", "Simulation", "UserActions", "Workloads", "always", "builders", "eventually", "never",
    "run_simulation", "strategies",
]


def __getattr__(name: str) -> Any:
    import importlib

    if name in ("builders", "strategies"):
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
