"""A whole Kubernetes in one Python process.

    from kubelet_lite import Cluster

    async with Cluster(nodes=3, runtime="subprocess") as cluster:
        await cluster.apply("examples/guestbook.yaml")
        await cluster.wait("deployment/web", "condition=Available")

The rooms, from the ground up: `api` what an object is; `actors` what runs; `store` keeps objects; `wire` what goes over connections;
`registry` what may happen to an object; `client` how everybody asks; `runtimes` run containers; `apiserver`, `scheduler`, `kubelet`,
`controllers`, `proxy` do what their names say; `cluster` puts them together; `simulation` runs all of it in virtual time;
`cli` is the command line. docs/architecture.md draws the picture.
"""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kubelet_lite.api.errors import ApiError, Conflict, Invalid, NotFound
    from kubelet_lite.api.identity import Identity
    from kubelet_lite.api.requests import ListOptions, WatchEvent
    from kubelet_lite.api.unstructured import Unstructured
    from kubelet_lite.client.base import Client
    from kubelet_lite.cluster import Cluster
    from kubelet_lite.runtimes.fake import Behaviour

_HOMES = {
    "ApiError": "api.errors", "Behaviour": "runtimes.fake", "Client": "client.base", "Cluster": "cluster", "Conflict": "api.errors",
    "HttpClient": "client.http", "Identity": "api.identity", "Invalid": "api.errors", "ListOptions": "api.requests",
    "NotFound": "api.errors", "Unstructured": "api.unstructured", "WatchEvent": "api.requests",
}
"""What the package exports, and where it lives: loaded when it is asked for, so that importing the package costs nothing."""

__all__ = [
    "ApiError", "Behaviour", "Client", "Cluster", "Conflict", "HttpClient", "Identity", "Invalid", "ListOptions", "NotFound", "Unstructured",
    "WatchEvent",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
