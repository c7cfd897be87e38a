"""What a node and its containers use, as a kubelet reports it: counters and amounts at one moment, from which readers make rates.

The counterpart of a real kubelet's /metrics/resource. https://kubernetes.io/docs/reference/instrumentation/node-metrics/
"""
from __future__ import annotations

import msgspec


class ContainerUsage(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One instance of a container that runs."""

    pod_uid: str
    name: str
    id: str
    started_at: float
    """Unix seconds; its counter began at 0 then."""
    cpu_nanoseconds: int
    """Used since its start."""
    memory_bytes: int
    """The working set: what could not be taken away from it."""


class NodeUsage(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A whole node; `containers` are all that run on it."""

    time: float
    """When it was measured, by the node's clock (Unix seconds)."""
    cpu_nanoseconds: int
    """Used by everything on the machine, since some moment that stays the same."""
    memory_bytes: int
    containers: tuple[ContainerUsage, ...] = ()
