"""DynamicResources: a node must reach the devices of the pod's claims, or have devices for the claims that have none yet.

Which nodes have some is remembered for pods whose claims ask for the same; a node is looked at again when its devices or pods change.
https://kubernetes.io/docs/concepts/resource-management/dynamic-resource-allocation/
"""
from __future__ import annotations

import collections
import functools
import itertools
from collections.abc import Awaitable, Sequence
from typing import Any, Final

import msgspec
import numpy as np

from kubelet_lite.api import claim_rules
from kubelet_lite.api.core_v1 import Node
from kubelet_lite.api.resource_v1 import DeviceClass, ResourceClaim, ResourceSlice
from kubelet_lite.scheduler import node_terms
from kubelet_lite.scheduler.devices.allocation import AllocationError, Allocator
from kubelet_lite.scheduler.devices.binder import ClaimBinder, Task
from kubelet_lite.scheduler.devices.inventory import Inventory
from kubelet_lite.scheduler.framework import (
    Attempt,
    Change,
    Handle,
    Helped,
    Plugin,
    Refusals,
    Rejection,
    Unplaced,
    normalised,
)
from kubelet_lite.scheduler.node_table import Column, Mask, NodeTable, Rows
from kubelet_lite.scheduler.pod_info import PodInfo

KINDS: Final = (ResourceClaim, ResourceSlice, DeviceClass)
CANNOT_ALLOCATE: Final = "cannot allocate all claims"
NOT_AVAILABLE: Final = "resourceclaim not available on the node"
NO_CLAIMS: Final = Attempt("no new claims to deallocate")
NOT_HELPED: Final = Attempt("still not schedulable")
MAX_KEPT: Final = 64
"""Different demands for devices whose nodes are remembered: some 10 bytes a node each."""
MAX_NAMED: Final = 100_000
"""Claims that are remembered to be named by pods; beyond it any pod may name any."""
UNKNOWN, BROKEN, NONE, SOME = -2, -1, 0, 1


class Demand:
    """What is known of every node for claims that ask for the same: `verdicts` by row, and `points` of those that have devices."""

    def __init__(self) -> None:
        self.as_of: tuple[object, ...] = ()
        self.verdicts = self.points = np.zeros(0, np.int64)
        self.pods_seen = self.devices_seen = 0

    def refresh(self, as_of: tuple[object, ...], nodes: NodeTable, inventory: Inventory, binder: ClaimBinder) -> None:
        """Forgets what may have changed. `as_of`: whatever moves with nodes, slices and classes."""
        rows, pools = nodes.recent(self.pods_seen), binder.allocated.recent(self.devices_seen)
        if as_of != self.as_of or rows is None or pools is None:
            self.verdicts, self.points = np.full(nodes.width, UNKNOWN, np.int64), np.zeros(nodes.width, np.int64)
        else:
            self.verdicts[list(rows)] = UNKNOWN
            for pool_id in dict.fromkeys(pools):
                pool = inventory.pools.get(pool_id)
                if pool is None or pool.home not in nodes.row_of:
                    self.verdicts[:] = UNKNOWN
                else:
                    self.verdicts[nodes.row_of[pool.home]] = UNKNOWN
        self.as_of, self.pods_seen, self.devices_seen = as_of, nodes.changes, binder.allocated.changes


class DynamicResources(Plugin):
    def __init__(self, handle: Handle, args: Any = None) -> None:
        super().__init__(handle, args)
        self._binder = ClaimBinder(handle)
        self._inventory = Inventory(())
        self._inventory_as_of = -1
        self._demands: collections.OrderedDict[bytes, Demand] = collections.OrderedDict()
        self._ids = itertools.count(1)
        self._named: dict[tuple[str, str], None] = {}
        """The claims that pods name in their spec, as far as any came by: all others are each for its owner alone."""

    def needs(self, pod: PodInfo, nodes: NodeTable) -> Sequence[type[Any]]:
        return KINDS if pod.pod.spec.resourceClaims else ()

    def hint(self, change: Change) -> Helped:
        old, new = change.old, change.new
        if change.kind is Node:
            return new is not None and (old is None or old.metadata.labels != new.metadata.labels or old.spec.taints != new.spec.taints)
        if change.kind in (ResourceSlice, DeviceClass):
            return new is not None
        if change.kind is not ResourceClaim:
            return False
        if old is not None and old.status.allocation is not None and (new is None or new.status.allocation is None):
            return True
        if new is None or (old is not None and old.status == new.status):
            return False
        key = new.metadata.namespace, new.metadata.name
        if key not in self._named and len(self._named) < MAX_NAMED:
            return frozenset((key[0], owner.name) for owner in new.metadata.ownerReferences if owner.controller)
        return lambda pod: pod.key[0] == key[0] and any(used.name == key[1] for used in claim_rules.claims_of(pod.pod))

    # The claims

    def pre_enqueue(self, pod: PodInfo) -> str | None:
        if not pod.pod.spec.resourceClaims:
            return None
        for entry in pod.pod.spec.resourceClaims:
            if entry.resourceClaimName is not None and len(self._named) < MAX_NAMED:
                self._named[pod.key[0], entry.resourceClaimName] = None
        if not self.handle.surroundings.knows(ResourceClaim):
            return claim_rules.not_created(pod.pod) if any(used.name is None for used in claim_rules.claims_of(pod.pod)) else None
        found = self._claims(pod)
        return found if isinstance(found, str) else None

    def _claims(self, pod: PodInfo) -> Sequence[ResourceClaim] | str:
        """Those of the pod, or why it cannot have them."""
        found = []
        for used in claim_rules.claims_of(pod.pod):
            if used.name is None:
                return claim_rules.not_created(pod.pod)
            claim = self._binder.get(pod.key[0], used.name)
            if claim is None:
                return f'resourceclaim "{used.name}" not found'
            if claim.metadata.deletionTimestamp is not None:
                return f'resourceclaim "{used.name}" is being deleted'
            wrong = claim_rules.not_for_pod(claim, pod.pod) if used.generated else ""
            if wrong:
                return wrong
            found.append(claim)
        return found

    def _known_claims(self, pod: PodInfo) -> Sequence[ResourceClaim]:
        """Those of a pod that passed PreFilter."""
        found = self._claims(pod) if pod.pod.spec.resourceClaims else ()
        return () if isinstance(found, str) else found

    # PreFilter

    def pre_filter(self, pod: PodInfo, nodes: NodeTable) -> str | None:
        if not pod.pod.spec.resourceClaims:
            return None
        claims = self._claims(pod)
        return claims if isinstance(claims, str) else next(filter(None, (self._wrong(pod, claim) for claim in claims)), None)

    def _wrong(self, pod: PodInfo, claim: ResourceClaim) -> str:
        """Why the pod must wait for the claim."""
        if claim.status.allocation is not None:
            return "" if claim_rules.can_be_reserved(claim) or claim_rules.is_reserved_for(claim, pod.pod) else "resourceclaim in use"
        if self._binder.in_flight(claim):
            return f"resource claim {claim_rules.shown(claim)} is in the process of being allocated"
        for request in claim.spec.devices.requests:
            for name, asks in claim_rules.alternatives(request):
                if self.handle.surroundings.get(DeviceClass, asks.deviceClassName) is None:
                    return f"request {name}: device class {asks.deviceClassName} does not exist"
        return ""

    # Filter

    def applies(self, pod: PodInfo, nodes: NodeTable) -> bool:
        return bool(pod.pod.spec.resourceClaims)

    def mask(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Mask:
        claims = self._known_claims(pod)
        mask: Mask = self._available(nodes, claims)[rows]
        wanting = _without_devices(claims)
        if wanting:
            mask[mask] = self._demand(nodes, wanting, rows[mask]).verdicts[rows[mask]] == SOME
        return mask

    def reject(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Refusals:
        claims = self._known_claims(pod)
        wanting = _without_devices(claims)
        if not wanting:
            return [(Rejection(self.name, (NOT_AVAILABLE,), resolvable=False), rows)]
        verdicts = self._demand(nodes, wanting, rows).verdicts[rows]
        words = [NOT_AVAILABLE if verdict == SOME else CANNOT_ALLOCATE if verdict == NONE else "" for verdict in verdicts.tolist()]
        allocator = self._allocator(wanting)
        groups: dict[str, list[int]] = {}
        for text, row in zip(words, rows.tolist(), strict=True):
            groups.setdefault(text or self._error(allocator, nodes, row), []).append(row)
        return [(Rejection(self.name, (text,), resolvable=False), np.array(refused, np.intp)) for text, refused in groups.items()]

    def _available(self, nodes: NodeTable, claims: Sequence[ResourceClaim]) -> Mask:
        """The rows that reach the devices that the claims have."""
        mask = nodes.alive.copy()
        for claim in claims:
            if claim.status.allocation is not None and claim.status.allocation.nodeSelector is not None:
                mask &= node_terms.selected(nodes, claim.status.allocation.nodeSelector)
        return mask

    def _demand(self, nodes: NodeTable, wanting: Sequence[ResourceClaim], rows: Rows) -> Demand:
        """What is known of the rows, which is found out where it is not."""
        likeness = msgspec.json.encode([claim.spec for claim in wanting], order="sorted")
        demand = self._demands.get(likeness)
        if demand is None:
            demand = self._demands[likeness] = Demand()
            if len(self._demands) > MAX_KEPT:
                self._demands.popitem(last=False)
        self._demands.move_to_end(likeness)
        as_of = self._slices_now(), self.handle.surroundings.changed(DeviceClass), nodes, nodes.generation
        demand.refresh(as_of, nodes, self._inventory, self._binder)
        allocator = self._allocator(wanting)
        for row in rows[demand.verdicts[rows] == UNKNOWN].tolist():
            demand.verdicts[row], demand.points[row] = self._judge(allocator, nodes, row)
        return demand

    def _judge(self, allocator: Allocator, nodes: NodeTable, row: int) -> tuple[int, int]:
        node = nodes.nodes[row]
        assert node is not None
        try:
            points = allocator.points(self._inventory.reached_from(node))
        except AllocationError:
            return BROKEN, 0
        return (NONE, 0) if points is None else (SOME, points)

    def _error(self, allocator: Allocator, nodes: NodeTable, row: int) -> str:
        node = nodes.nodes[row]
        assert node is not None
        try:
            allocator.points(self._inventory.reached_from(node))
        except AllocationError as error:
            return str(error)
        return CANNOT_ALLOCATE

    def _allocator(self, wanting: Sequence[ResourceClaim]) -> Allocator:
        return Allocator(wanting, functools.partial(self.handle.surroundings.get, DeviceClass), self._binder.allocated)

    def _slices_now(self) -> int:
        as_of = self.handle.surroundings.changed(ResourceSlice)
        if as_of != self._inventory_as_of:
            self._inventory, self._inventory_as_of = Inventory(self.handle.surroundings.list(ResourceSlice), self._inventory), as_of
        return as_of

    # PostFilter

    def post_filter(self, nodes: NodeTable, unplaced: Unplaced) -> Attempt:
        """A claim that keeps the pod from all nodes but those it does not fit may get other devices, if nobody uses them."""
        claims, pod = self._known_claims(unplaced.pod), unplaced.pod.pod
        if not claims:
            return NO_CLAIMS
        refused = {row for rejection, rows in unplaced.refusals if rejection.plugin == self.name for row in rows.tolist()}
        unavailable = [c for c in claims if c.status.allocation is not None and refused and not self._available(nodes, (c,))[list(refused)].all()]
        idle = [claim for claim in unavailable if not claim.status.reservedFor or claim.status.reservedFor == (claim_rules.consumer(pod),)]
        if not idle:
            return NOT_HELPED
        chosen = idle[unplaced.random.randrange(len(idle))]
        return Attempt("deallocation of ResourceClaim completed", deeds=(functools.partial(self._binder.deallocate, chosen),))

    # Score

    def ranks(self, pod: PodInfo, nodes: NodeTable) -> bool:
        return bool(pod.pod.spec.resourceClaims) and any(
            request.firstAvailable for claim in _without_devices(self._known_claims(pod)) for request in claim.spec.devices.requests
        )

    def column(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Column | None:
        """A node is the better the earlier the alternatives that it has."""
        if not self.ranks(pod, nodes):
            return None
        points: Column = self._demand(nodes, _without_devices(self._known_claims(pod)), rows).points[rows]
        return points

    def normalize(self, pod: PodInfo, scores: Column) -> Column:
        return normalised(scores)

    # Reserve and PreBind

    def reserve(self, pod: PodInfo, node_name: str) -> str | None:
        if not pod.pod.spec.resourceClaims:
            return None
        claims = self._known_claims(pod)
        wanting = _without_devices(claims)
        self._slices_now()
        node = self.handle.nodes.node(node_name)
        reach = self._inventory.reached_from(node) if node is not None else ()
        try:
            found = self._allocator(wanting).allocate(reach, node_name, self._new_id)
        except AllocationError as error:
            return str(error)
        if found is None:
            return "claim allocation not found for node"
        allocations = dict(zip((claim.metadata.uid for claim in wanting), found, strict=True))
        self._binder.assume(pod.key, [Task(claim, allocations.get(claim.metadata.uid)) for claim in claims])
        return None

    def _new_id(self) -> str:
        environment = self.handle.environment
        return environment.uid() if environment is not None else f"share-{next(self._ids)}"

    def unreserve(self, pod: PodInfo, node_name: str) -> None:
        if pod.pod.spec.resourceClaims:
            self._binder.revert(pod.key)

    def pre_bind(self, pod: PodInfo, node_name: str) -> Awaitable[str | None] | None:
        return self._binder.bind(pod.pod) if pod.pod.spec.resourceClaims and self._binder.has_assumed(pod.key) else None

    def post_bind(self, pod: PodInfo, node_name: str) -> None:
        if pod.pod.spec.resourceClaims:
            self._binder.done(pod.key)


def _without_devices(claims: Sequence[ResourceClaim]) -> Sequence[ResourceClaim]:
    return [claim for claim in claims if claim.status.allocation is None]
