"""The store's actor: what takes time, and so may not happen inside a write."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kubelet_lite.actors.actor import Actor
from kubelet_lite.actors.environment import Environment
from kubelet_lite.store.expiry import Expiry
from kubelet_lite.store.store import Store

INTERVAL_SECONDS: Final = 5.0
"""How much longer than its limit history may live: small beside five minutes. Size and number are looked at on writes, too."""


class StoreActor(Actor):
    """Forgets history that the limits do not allow, and deletes Event objects that have lived long enough."""

    def __init__(self, store: Store, environment: Environment) -> None:
        super().__init__("store")
        self._store = store
        self._environment = environment

    async def run(self) -> None:
        with Expiry(self._store) as expiry:
            while True:
                await self._environment.sleep(INTERVAL_SECONDS)
                while self._store.enforce_limits():
                    await self._environment.sleep(0)
                while expiry.sweep(self._environment.now()):
                    await self._environment.sleep(0)

    def statistics(self) -> Mapping[str, float]:
        return self._store.statistics()
