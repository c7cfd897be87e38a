"""Everything that can go wrong in a simulated cluster, as data: one family a file.

actors.py      crashes of actors, wherever they are or right behind a write; clocks that jump
nodes.py       machines that die or boot anew, actors that are not there for a while
containers.py  containers that crash, run out of memory, hang, start slowly, are now ready and now not
network.py     partitions, latency, requests and answers that are lost
api.py         errors of the API server
watches.py     watches that end or are late, history that is forgotten, caches that are behind, states that nobody sees
"""
from __future__ import annotations

from typing import Final

from kubelet_lite.simulation.faults.actors import ClockJump, CrashActor, CrashAfterWrite
from kubelet_lite.simulation.faults.api import ApiErrors
from kubelet_lite.simulation.faults.containers import (
    CrashContainer,
    FlappingReadiness,
    Hang,
    OutOfMemory,
    SlowStart,
)
from kubelet_lite.simulation.faults.network import Latency, LostAnswers, LostRequests, Partition
from kubelet_lite.simulation.faults.nodes import NodeDeath, Reboot, StopActor
from kubelet_lite.simulation.faults.watches import (
    Compaction,
    DelayedWatches,
    EndedWatches,
    StaleCache,
    UnobservedStates,
)
from kubelet_lite.simulation.step import Fault

__all__ = [
    "FAULTS", "ApiErrors", "ClockJump", "Compaction", "CrashActor", "CrashAfterWrite", "CrashContainer", "DelayedWatches", "EndedWatches",
    "FlappingReadiness", "Hang", "Latency", "LostAnswers", "LostRequests", "NodeDeath", "OutOfMemory", "Partition", "Reboot", "SlowStart",
    "StaleCache", "StopActor", "UnobservedStates",
]

FAULTS: Final[tuple[type[Fault], ...]] = (
    CrashActor, CrashAfterWrite, ClockJump,
    ApiErrors,
    StopActor, NodeDeath, Reboot,
    CrashContainer, OutOfMemory, Hang, FlappingReadiness, SlowStart,
    Partition, Latency, LostRequests, LostAnswers,
    EndedWatches, DelayedWatches, Compaction, StaleCache, UnobservedStates,
)
