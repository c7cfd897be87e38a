"""The world of a simulated run: the loop's virtual clock, and randomness, UIDs, secrets and ports that come from its tape."""
from __future__ import annotations

import socket
from typing import Final

from kubelet_lite.actors.environment import Environment, HeldPort
from kubelet_lite.simulation.virtual.loop import SimulatedLoop

EPOCH: Final = 1_767_225_600.0
"""2026-01-01T00:00:00Z: when a simulated run begins, unless what it begins with is later."""


class SimulatedEnvironment(Environment):
    """One simulated machine's. `loop` is there for what looks at the run from outside: traces, crashes, faults.

    Each part of a cluster has one of its own (`of`): its clock can be set wrong, and what it draws moves nobody else's numbers.
    """

    offers_tls = False

    def __init__(self, loop: SimulatedLoop, part: str = "environment", parts: dict[str, SimulatedEnvironment] | None = None) -> None:
        self.loop = loop
        self.tape = loop.tape
        self.random = self.tape.random(part)
        self.clock_error_seconds = 0.0
        """By how much this part's clock is wrong. Monotonic time is right everywhere."""
        self.epoch = EPOCH
        """When the run begins, in Unix seconds."""
        self._secrets = self.tape.random(f"secrets {part}")
        self.parts: dict[str, SimulatedEnvironment] = {} if parts is None else parts
        """All that have been made by `of`."""

    def of(self, part: str) -> SimulatedEnvironment:
        found = self.parts.get(part)
        if found is None:
            found = self.parts[part] = SimulatedEnvironment(self.loop, part, self.parts)
            found.epoch = self.epoch
        return found

    def begin_at(self, epoch: float) -> None:
        """Sets when the run begins, before anything has happened in it."""
        for environment in (self, *self.parts.values()):
            environment.epoch = epoch

    def now(self) -> float:
        return self.epoch + self.loop.time() + self.clock_error_seconds

    def monotonic(self) -> float:
        return self.loop.time()

    def hold_port(self, host: str = "127.0.0.1", port: int = 0, *, kind: socket.SocketKind = socket.SOCK_STREAM) -> HeldPort:
        network = self.loop.network
        bound = network.bind(host, port, kind)
        return HeldPort(host, bound, lambda: network.release(host, bound, kind))

    def secret_bits(self, count: int) -> int:
        return self._secrets.getrandbits(count)
