"""How the API server reaches a kubelet: the kubelet itself in process, its HTTPS endpoint otherwise.

https://kubernetes.io/docs/reference/node/kubelet-api/ (the paths of the HTTPS form)
"""
from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

import msgspec

from kubelet_lite.wire.usage import NodeUsage


class LogQuery(msgspec.Struct, frozen=True, kw_only=True):
    """PodLogOptions as a kubelet needs them. Times are Unix seconds."""

    container: str
    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    since_time: float | None = None
    tail_lines: int | None = None
    limit_bytes: int | None = None
    stream: str = "All"
    """All, Stdout or Stderr."""


class NodeConnection(Protocol):
    """One node. Each method raises an ApiError when it cannot be served."""

    def logs(self, namespace: str, pod: str, uid: str, query: LogQuery) -> AsyncIterator[bytes]:
        """The container's log in chunks of whole lines; with `follow`, until the container ends."""
        ...

    async def usage(self) -> NodeUsage:
        """What the node and all containers that run on it use now."""
        ...
