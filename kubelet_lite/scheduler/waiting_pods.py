"""Pods that have a node but wait at Permit to be bound: plug-ins allow or deny them, time denies them too.

https://kubernetes.io/docs/concepts/scheduling-eviction/scheduling-framework/#permit
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping

import anyio

from kubelet_lite.actors.environment import Environment
from kubelet_lite.scheduler.pod_info import PodInfo

Key = tuple[str, str]


class WaitingPod:
    """One pod; each plug-in that made it wait has to allow it."""

    def __init__(self, pod: PodInfo, node_name: str, until: Mapping[str, float]) -> None:
        self.pod = pod
        self.node_name = node_name
        self._until = dict(until)
        self._denied: tuple[str, str] | None = None
        self._told = anyio.Event()

    @property
    def waits_for(self) -> tuple[str, ...]:
        """The plug-ins that have not allowed it yet."""
        return tuple(self._until)

    def allow(self, plugin: str) -> None:
        """Says that `plugin` is content; does nothing where it never made the pod wait."""
        self._until.pop(plugin, None)
        if not self._until:
            self._told.set()

    def deny(self, plugin: str, reason: str) -> None:
        """Sends the pod back to the queue."""
        if not self._told.is_set():
            self._denied = plugin, reason
            self._told.set()

    async def settled(self, environment: Environment) -> tuple[str, str] | None:
        """Waits; who denied the pod and why, or None when all allowed it."""
        while not self._told.is_set():
            plugin, until = min(self._until.items(), key=lambda item: item[1])
            with anyio.move_on_after(max(until - environment.monotonic(), 0)):
                await self._told.wait()
            if plugin in self._until and environment.monotonic() >= until:
                self.deny(plugin, f"rejected due to timeout after waiting at plugin {plugin}")
        return self._denied


class WaitingPods:
    """Those of one run of the scheduler, in the order in which they came."""

    def __init__(self) -> None:
        self._pods: dict[Key, WaitingPod] = {}

    def __len__(self) -> int:
        return len(self._pods)

    def __iter__(self) -> Iterator[WaitingPod]:
        return iter(tuple(self._pods.values()))

    def get(self, key: Key) -> WaitingPod | None:
        return self._pods.get(key)

    def add(self, pod: WaitingPod) -> None:
        self._pods[pod.pod.key] = pod

    def remove(self, key: Key) -> None:
        self._pods.pop(key, None)
