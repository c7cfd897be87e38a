"""What a pod network promises: an address for each pod sandbox, given back when the sandbox goes."""
from __future__ import annotations

from abc import ABC, abstractmethod

from kubelet_lite.runtimes.base import SandboxSpec


class Network(ABC):
    """One cluster's pod network, shared by the runtimes of all its nodes."""

    service_cidr: str
    """The range out of which Service addresses are to be given."""
    node_address: str
    """The address of every node of this machine."""

    @abstractmethod
    def attach(self, sandbox_id: str, spec: SandboxSpec) -> tuple[str, ...]:
        """The sandbox's addresses. Raises RuntimeFailure when there are none left."""

    @abstractmethod
    def detach(self, sandbox_id: str) -> None: ...

    @abstractmethod
    def close(self) -> None: ...
