"""The ResourceClaims of pods as they will be: devices that were chosen count as taken at once, and are written before the pod is bound.

https://kubernetes.io/docs/concepts/resource-management/dynamic-resource-allocation/
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import anyio
import msgspec

from kubelet_lite.actors import logs
from kubelet_lite.api import claim_rules
from kubelet_lite.api.claim_rules import DELETE_PROTECTION
from kubelet_lite.api.core_v1 import Pod
from kubelet_lite.api.errors import ApiError, Conflict
from kubelet_lite.api.requests import MERGE_PATCH
from kubelet_lite.api.resource_v1 import AllocationResult, ResourceClaim
from kubelet_lite.scheduler.devices.allocated import AllocatedDevices
from kubelet_lite.scheduler.framework import Handle

MOST_CONFLICTS: Final = 5
BINDING_TIMEOUT_SECONDS: Final = 600.0
"""How long a pod waits for its devices to be made ready for the node."""
Key = tuple[str, str]
_log = logs.get_logger()


class Pending(msgspec.Struct):
    """A claim that is about to get its devices: `claim` as it will be or, once `written`, as it is."""

    claim: ResourceClaim
    written: bool = False


class Task(msgspec.Struct, frozen=True):
    """What is to be written for one claim of a pod."""

    claim: ResourceClaim
    allocation: AllocationResult | None
    """None: it has its devices already."""


class ClaimBinder:
    """By pod, what is to be written for its claims. `allocated`: which devices are taken, counting those."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self._tasks: dict[Key, Sequence[Task]] = {}
        self._pending: dict[Key, Pending] = {}
        self.allocated = AllocatedDevices()
        handle.surroundings.follow(ResourceClaim, self._told)

    def _told(self, key: Key, claim: ResourceClaim | None) -> None:
        pending = self._pending.get(key)
        if pending is not None and claim is not None and claim.metadata.uid == pending.claim.metadata.uid and (
            not pending.written or int(claim.metadata.resourceVersion) < int(pending.claim.metadata.resourceVersion)
        ):
            return
        self._pending.pop(key, None)
        self.allocated.know(key, claim)

    def get(self, namespace: str, name: str) -> ResourceClaim | None:
        """As far as is known here or there."""
        pending = self._pending.get((namespace, name))
        return pending.claim if pending is not None and pending.written else self._handle.surroundings.get(ResourceClaim, name, namespace)

    def in_flight(self, claim: ResourceClaim) -> bool:
        """Whether its devices are chosen and not written."""
        pending = self._pending.get(_key(claim))
        return pending is not None and not pending.written

    def assume(self, pod: Key, tasks: Sequence[Task]) -> None:
        """From now on the devices count as taken."""
        self._tasks[pod] = tasks
        for task in tasks:
            if task.allocation is not None:
                claim = msgspec.structs.replace(task.claim, status=msgspec.structs.replace(task.claim.status, allocation=task.allocation))
                self._pending[_key(claim)] = Pending(claim)
                self.allocated.know(_key(claim), claim)

    def has_assumed(self, pod: Key) -> bool:
        return pod in self._tasks

    def revert(self, pod: Key) -> None:
        """What was not written never was. What was stays: the pod, which the claim is reserved for, will be back for it."""
        for task in self._tasks.pop(pod, ()):
            key = _key(task.claim)
            pending = self._pending.get(key)
            if task.allocation is not None and pending is not None and not pending.written:
                self._pending.pop(key, None)
                self.allocated.know(key, self._handle.surroundings.get(ResourceClaim, key[1], key[0]))

    def done(self, pod: Key) -> None:
        """The pod is bound."""
        self._tasks.pop(pod, None)

    async def bind(self, pod: Pod) -> str | None:
        """Writes what was assumed, and waits for devices that must be made ready first. Why that failed."""
        for task in self._tasks[pod.metadata.namespace, pod.metadata.name]:
            try:
                failure = await self._write(pod, task)
            except ApiError as error:
                deed = "add allocation and reservation to" if task.allocation is not None else "add reservation to"
                return f"{deed} claim {claim_rules.shown(task.claim)}: {error.message}"
            failure = failure or await self._ready(task.claim)
            if failure is not None:
                return failure
        return None

    async def _write(self, pod: Pod, task: Task) -> str | None:
        client = self._handle.client
        assert client is not None
        claim, key = task.claim, _key(task.claim)
        for attempt in range(MOST_CONFLICTS):
            if attempt:
                claim = await client.get(ResourceClaim, key[1], namespace=key[0])
            if claim.metadata.uid != task.claim.metadata.uid or claim.metadata.deletionTimestamp is not None:
                return f"claim {claim_rules.shown(task.claim)} got deleted in the meantime"
            status = claim.status
            if task.allocation is not None:
                if status.allocation is not None:
                    return f"claim {claim_rules.shown(task.claim)} got allocated elsewhere in the meantime"
                status = msgspec.structs.replace(status, allocation=task.allocation)
            elif claim_rules.is_reserved_for(claim, pod):
                return None
            status = msgspec.structs.replace(status, reservedFor=(*status.reservedFor, claim_rules.consumer(pod)))
            try:
                if task.allocation is not None and DELETE_PROTECTION not in claim.metadata.finalizers:
                    change = {"finalizers": [*claim.metadata.finalizers, DELETE_PROTECTION], "resourceVersion": claim.metadata.resourceVersion}
                    claim = await client.patch(ResourceClaim, key[1], {"metadata": change}, namespace=key[0], content_type=MERGE_PATCH)
                claim = await client.update(msgspec.structs.replace(claim, status=status), subresource="status")
            except Conflict:
                if attempt + 1 == MOST_CONFLICTS:
                    raise
                continue
            pending = self._pending.get(key)
            if pending is not None and pending.claim.metadata.uid == claim.metadata.uid:
                pending.claim, pending.written = claim, True
            return None
        return None

    async def _ready(self, claim: ResourceClaim) -> str | None:
        """Waits until the conditions that devices must meet before a pod is bound are true. Why they will not be."""
        environment, namespace, name = self._handle.environment, claim.metadata.namespace, claim.metadata.name
        assert environment is not None
        until = environment.monotonic() + BINDING_TIMEOUT_SECONDS
        while True:
            now = self.get(namespace, name)
            if now is None or now.status.allocation is None:
                return f"claim {claim_rules.shown(claim)} has no devices any more"
            missing = False
            for result in now.status.allocation.devices.results:
                reported = next((d for d in now.status.devices if (d.driver, d.pool, d.device, d.shareID) == (
                    result.driver, result.pool, result.device, result.shareID)), None)
                true = {c.type for c in reported.conditions if c.status == "True"} if reported is not None else set()
                failed = [condition for condition in result.bindingFailureConditions if condition in true]
                if result.bindingConditions and failed:
                    await self.deallocate(now)
                    device = f"{result.driver}/{result.pool}/{result.device}"
                    return f"claim {claim_rules.shown(claim)} binding failed: device {device} has the condition {failed[0]}"
                missing |= any(condition not in true for condition in result.bindingConditions)
            if not missing:
                return None
            left = until - environment.monotonic()
            if left <= 0:
                await self.deallocate(now)
                return f"claim {claim_rules.shown(claim)} binding timeout"
            with anyio.move_on_after(left):
                await self._handle.surroundings.next_change(ResourceClaim)

    async def deallocate(self, claim: ResourceClaim) -> None:
        """Takes a claim its devices, which nobody uses: others shall be chosen."""
        client = self._handle.client
        assert client is not None
        status = msgspec.structs.replace(claim.status, allocation=None, reservedFor=(), devices=())
        try:
            await client.update(msgspec.structs.replace(claim, status=status), subresource="status")
        except ApiError as error:
            _log.info("claim_not_deallocated", object=claim_rules.shown(claim), error=error.message)


def _key(claim: ResourceClaim) -> Key:
    return claim.metadata.namespace, claim.metadata.name
