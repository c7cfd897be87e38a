"""The actor of definitions: sees to them when one has changed. What it does stands in `lifecycle.py`, loaded with the first definition."""
from __future__ import annotations

import anyio

from kubelet_lite.actors.actor import Actor
from kubelet_lite.registry.custom.served import DEFINITIONS
from kubelet_lite.registry.registry import Registry


class Definitions(Actor):
    """Runs in the API server, as in Kubernetes."""

    def __init__(self, registry: Registry) -> None:
        super().__init__("customresourcedefinitions")
        self._registry = registry

    async def run(self) -> None:
        store = self._registry.store
        with store.watch(DEFINITIONS, after=store.revision) as channel:
            while not self._registry.view.list(DEFINITIONS):
                await channel.next_batch()
            from kubelet_lite.registry.custom.lifecycle import Lifecycle

            lifecycle = Lifecycle(self._registry)
            async with anyio.create_task_group() as group:
                while True:
                    await lifecycle.look(group)
                    await channel.next_batch()
