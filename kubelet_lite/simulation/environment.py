"""The world of a simulated run: the loop's virtual clock, and randomness, UIDs, secrets and ports that follow from the seed."""
from __future__ import annotations

import socket
from random import Random
from typing import Final

from kubelet_lite.actors.environment import Environment, HeldPort
from kubelet_lite.simulation.loop import SimulatedLoop

EPOCH: Final = 1_767_225_600.0
"""2026-01-01T00:00:00Z: when every simulated run begins."""


class SimulatedEnvironment(Environment):
    """One simulated machine's. `loop` is there for what looks at the run from outside: traces, crashes, faults."""

    def __init__(self, loop: SimulatedLoop, seed: int) -> None:
        self.loop = loop
        self.seed = seed
        self.random = Random(f"environment-{seed}")
        self._secrets = Random(f"secrets-{seed}")

    def now(self) -> float:
        return EPOCH + self.loop.time()

    def monotonic(self) -> float:
        return self.loop.time()

    def hold_port(self, host: str = "127.0.0.1", port: int = 0, *, kind: socket.SocketKind = socket.SOCK_STREAM) -> HeldPort:
        network = self.loop.network
        bound = network.bind(host, port, kind)
        return HeldPort(host, bound, lambda: network.release(host, bound, kind))

    def secret_bits(self, count: int) -> int:
        return self._secrets.getrandbits(count)
