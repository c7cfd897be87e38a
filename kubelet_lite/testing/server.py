"""Servers for synchronous tests: one background thread for a whole test session, in which each test has a cluster of its own.

    with ServerThread() as thread, thread.serve(folder, nodes=3) as server:
        subprocess.run(["kubectl", "--kubeconfig", server.kubeconfig, "get", "nodes"])
"""
from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from anyio.from_thread import BlockingPortal, start_blocking_portal  # noqa: TID251  a test that blocks must not hold its server

from kubelet_lite.client.manifests import Source
from kubelet_lite.cluster import Cluster
from kubelet_lite.simulation.checked import Seconds, checked

T = TypeVar("T")

KUBECONFIG_MODE: Final = 0o600


class KubeServer:
    """A cluster that listens on HTTPS. Its methods block, and may be called from any thread but its own."""

    def __init__(self, cluster: Cluster, portal: BlockingPortal, kubeconfig: Path) -> None:
        self._cluster = cluster
        self._portal = portal
        self.url = cluster.url
        self.token = cluster.token
        """The admin's bearer token."""
        self.kubeconfig = kubeconfig
        """A file; it has the certificate and the admin's token in it."""

    @checked
    def apply(self, source: Source, *, namespace: str = "default") -> tuple[Any, ...]:
        """As Cluster.apply."""
        return self.call(lambda cluster: cluster.apply(source, namespace=namespace))

    @checked
    def wait(self, what: str, condition: str, *, namespace: str = "default", timeout_seconds: Seconds = 60.0) -> Any:
        """As Cluster.wait."""
        return self.call(lambda cluster: cluster.wait(what, condition, namespace=namespace, timeout_seconds=timeout_seconds))

    @checked
    def call(self, function: Callable[[Cluster], Awaitable[T]]) -> T:
        """What an async function of the cluster returns or raises; it runs where the cluster does."""
        return self._portal.call(function, self._cluster)


class ServerThread:
    """The thread; it ends with the block."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._portal: BlockingPortal

    def __enter__(self) -> Self:
        self._portal = self._stack.enter_context(start_blocking_portal("asyncio", name="kubelet-lite servers"))
        return self

    def __exit__(self, *details: Any) -> None:
        self._stack.__exit__(*details)

    @contextmanager
    def serve(self, folder: Path, **options: Any) -> Iterator[KubeServer]:
        """A fresh cluster for the block, its kubeconfig in `folder`. `options`: those of Cluster."""
        with self._portal.wrap_async_context_manager(Cluster(**{**options, "serve": True})) as cluster:
            path = folder / "kubeconfig"
            path.touch(mode=KUBECONFIG_MODE)
            path.write_text(cluster.kubeconfig)
            yield KubeServer(cluster, self._portal, path)
