"""The network that works everywhere: each pod and Service has an address of its own in 127.0.0.0/8.

A cluster claims a free 127.N.0.0/16 and holds it by a bound socket, so that two clusters never meet. Nodes and pods live in its
lower half, Services in its upper half. A process must bind its pod's address (POD_IP) rather than the wildcard address.
"""
from __future__ import annotations

import collections
import socket
from typing import Final

from kubelet_lite.runtimes.base import RuntimeFailure, SandboxSpec
from kubelet_lite.runtimes.network.base import Network

FIRST_RANGE: Final = 10
LAST_RANGE: Final = 254
"""127.0 to 127.9 are left to the machine's own uses (127.0.0.1, 127.0.1.1, 127.0.0.53)."""
CLAIM_PORT: Final = 6553
"""Bound on 127.N.0.1 for as long as the cluster lives."""
POD_ADDRESSES: Final = 127 * 250
"""127.N.1.1 to 127.N.127.250."""
QUARANTINE: Final = 64
"""An address that was given back is used again only after so many others: a client that still knows it meets nobody."""


class LoopbackNetwork(Network):
    """Raises OSError at construction when no range is free."""

    def __init__(self) -> None:
        self._claim, number = _claim()
        self.range = f"127.{number}"
        self.service_cidr = f"{self.range}.128.0/17"
        self.node_address = f"{self.range}.0.1"
        self._fresh = 0
        self._returned: collections.deque[str] = collections.deque()
        self._given: dict[str, str] = {}

    def attach(self, sandbox_id: str, spec: SandboxSpec) -> tuple[str, ...]:
        if spec.host_network:
            return ()
        if len(self._returned) > QUARANTINE or (self._returned and self._fresh >= POD_ADDRESSES):
            address = self._returned.popleft()
        elif self._fresh < POD_ADDRESSES:
            address = f"{self.range}.{1 + self._fresh // 250}.{1 + self._fresh % 250}"
            self._fresh += 1
        else:
            raise RuntimeFailure("FailedCreatePodSandBox", f"no pod address is left in {self.range}.0.0/17")
        self._given[sandbox_id] = address
        return (address,)

    def detach(self, sandbox_id: str) -> None:
        address = self._given.pop(sandbox_id, None)
        if address is not None:
            self._returned.append(address)

    def close(self) -> None:
        self._claim.close()


def _claim() -> tuple[socket.socket, int]:
    for number in range(FIRST_RANGE, LAST_RANGE + 1):
        claim = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            claim.bind((f"127.{number}.0.1", CLAIM_PORT))
            return claim, number
        except OSError:
            claim.close()
    raise OSError(f"no free range among 127.{FIRST_RANGE}.0.0/16 to 127.{LAST_RANGE}.0.0/16: is port {CLAIM_PORT} taken on every address?")


class PretendNetwork(Network):
    """For fake pods: addresses of 10.0.0.0/8 that nothing binds."""

    def __init__(self, service_cidr: str = "10.96.0.0/16", node_address: str = "127.0.0.1") -> None:
        self.service_cidr = service_cidr
        self.node_address = node_address
        self._next = 0
        self._reserved: set[str] = set()

    def reserve(self, address: str) -> None:
        """Never gives it to anybody: a pod has it that was attached elsewhere."""
        self._reserved.add(address)

    def attach(self, sandbox_id: str, spec: SandboxSpec) -> tuple[str, ...]:
        if spec.host_network:
            return ()
        while True:
            number = self._next
            self._next = (self._next + 1) % (64 * 256 * 250)
            address = f"10.{128 + number // 64_000 % 64}.{number // 250 % 256}.{1 + number % 250}"
            if address not in self._reserved:
                return (address,)

    def detach(self, sandbox_id: str) -> None:
        """Addresses are plenty: they are not used again before all others were."""

    def close(self) -> None:
        """Nothing is held."""
