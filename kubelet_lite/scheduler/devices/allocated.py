"""Which devices are taken, as the allocations of ResourceClaims say; kept up to date claim by claim."""
from __future__ import annotations

import collections
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from kubelet_lite.api import quantities
from kubelet_lite.api.resource_v1 import DeviceRequestAllocationResult, ResourceClaim
from kubelet_lite.scheduler.change_log import ChangeLog
from kubelet_lite.scheduler.devices.inventory import DeviceId, PoolId

MAX_REMEMBERED: Final = 10_000
"""Changes that are remembered; who has seen none of them looks at everything."""
NOTHING: Final[Mapping[str, int]] = {}


class AllocatedDevices:
    """Administrative access takes nothing."""

    def __init__(self) -> None:
        self._results: dict[tuple[str, str], Sequence[DeviceRequestAllocationResult]] = {}
        self._exclusive: collections.Counter[DeviceId] = collections.Counter()
        self._shares: dict[DeviceId, dict[str, Mapping[str, int]]] = {}
        self._of_pool: dict[PoolId, dict[str, int]] = {}
        self._changed: ChangeLog[PoolId] = ChangeLog(MAX_REMEMBERED)

    def know(self, claim_key: tuple[str, str], claim: ResourceClaim | None) -> None:
        """What a claim has from now on."""
        allocation = claim.status.allocation if claim is not None else None
        results = [result for result in allocation.devices.results if not result.adminAccess] if allocation is not None else ()
        before = self._results.get(claim_key, ())
        if results == before or not (results or before):
            return
        for result in before:
            self._count(result, -1)
        for result in results:
            self._count(result, 1)
        if results:
            self._results[claim_key] = results
        else:
            del self._results[claim_key]

    def _count(self, result: DeviceRequestAllocationResult, by: int) -> None:
        device, pool = (result.driver, result.pool, result.device), (result.driver, result.pool)
        if result.shareID is not None:
            shares = self._shares.setdefault(device, {})
            if by > 0:
                shares[result.shareID] = {name: quantities.read(amount).nanos for name, amount in result.consumedCapacity.items()}
            else:
                shares.pop(result.shareID, None)
            if not shares:
                del self._shares[device]
        else:
            self._exclusive[device] += by
            if not self._exclusive[device]:
                del self._exclusive[device]
        names = self._of_pool.setdefault(pool, {})
        names[result.device] = names.get(result.device, 0) + by
        if not names[result.device]:
            del names[result.device]
        self._changed.add(pool)

    def taken(self, device: DeviceId) -> bool:
        """By one who shares it with nobody."""
        return device in self._exclusive

    def shares(self, device: DeviceId) -> Iterable[Mapping[str, int]]:
        """What each of those who share it uses of its capacity, in nanos."""
        return self._shares.get(device, {}).values()

    def in_pool(self, pool: PoolId) -> Iterable[str]:
        """The names of the devices that somebody has."""
        return self._of_pool.get(pool, ())

    @property
    def changes(self) -> int:
        """How many there were."""
        return self._changed.count

    def recent(self, since: int) -> Sequence[PoolId] | None:
        """The pools that changed since then; None: that is forgotten."""
        return self._changed.since(since)
