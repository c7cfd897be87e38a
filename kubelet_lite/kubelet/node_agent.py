"""What the pods of a node need of its kubelet."""
from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

from kubelet_lite.actors.environment import Environment
from kubelet_lite.api.core_v1 import Node, Pod
from kubelet_lite.client.base import Client
from kubelet_lite.client.events import EventRecorder
from kubelet_lite.runtimes.base import Runtime


class NodeAgent(Protocol):
    """A kubelet, to a pod's worker and prober."""

    node_name: str
    node_address: str
    node: Node
    client: Client
    environment: Environment
    runtime: Runtime
    recorder: EventRecorder
    folder: Path

    def mark(self, uid: str) -> None: ...
    def unmark(self, uid: str) -> None: ...
    def wake_at(self, uid: str, time: float) -> None: ...
    def spawn(self, function: Any, *arguments: Any) -> None: ...
    def forget(self, uid: str) -> None: ...
    def other_pods(self, uid: str) -> Iterable[Pod]: ...
