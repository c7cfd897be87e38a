"""Which devices a pod's claims would get on a node: the first that satisfy all requests of all claims together.

A search in depth, in the order of claims, requests, alternatives, pools, slices and devices, as kube-scheduler's. Of devices that do the
same, one that led nowhere stands for those after it. Pure.
https://kubernetes.io/docs/concepts/resource-management/dynamic-resource-allocation/
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from kubelet_lite.api import claim_rules, quantities
from kubelet_lite.api.claim_rules import Alternative
from kubelet_lite.api.core_v1 import NodeSelector, NodeSelectorRequirement, NodeSelectorTerm
from kubelet_lite.api.device_expressions import CelMissing, ExpressionError
from kubelet_lite.api.resource_v1 import (
    AllocationResult,
    CapacityRequestPolicy,
    DeviceAllocationConfiguration,
    DeviceAllocationResult,
    DeviceClass,
    DeviceConstraint,
    DeviceRequestAllocationResult,
    DeviceSelector,
    ResourceClaim,
)
from kubelet_lite.scheduler.devices.allocated import NOTHING, AllocatedDevices
from kubelet_lite.scheduler.devices.inventory import Offer, Pool, Reach

MOST_DEVICES: Final = 32
"""In the allocation of one claim."""
MOST_ALTERNATIVES: Final = 8
MOST_TRIES: Final = 1_000_000
"""Devices looked at for one pod, over all nodes: about a second. Beyond it, a node is said to take too long."""
MOST_TRIES_ON_NODE: Final = 10_000
"""The same for each node: some ten milliseconds."""
TOO_LONG: Final = "timed out trying to allocate devices"
PREVENTING: Final = ("NoSchedule", "NoExecute")


class AllocationError(Exception):
    """Something is wrong with a claim, a class or a pool: the message says what."""


class Tries:
    """How many devices may still be looked at."""

    def __init__(self) -> None:
        self._left, self._on_node = MOST_TRIES, 0

    def begin_node(self) -> None:
        self._left -= self._on_node
        self._on_node = 0

    def count(self) -> None:
        """Raises AllocationError."""
        self._on_node += 1
        if self._on_node > MOST_TRIES_ON_NODE or self._on_node > self._left:
            raise AllocationError(TOO_LONG)


class Wanted(msgspec.Struct, frozen=True, eq=False):
    """One way to satisfy a request."""

    claim: ResourceClaim
    request: str
    name: str
    """Of the request, with that of the alternative."""
    place: int
    """Of the alternative among those of the request."""
    asks: Alternative
    device_class: DeviceClass
    all_of: Sequence[Offer] | None
    """What "all" means on this node; None: as many as the request says."""
    count: int

    @property
    def admin(self) -> bool:
        return bool(getattr(self.asks, "adminAccess", None))


class Pick(msgspec.Struct, frozen=True, eq=False):
    """A device given to a request."""

    claim_number: int
    wanted: Wanted
    offer: Offer
    consumed: Mapping[str, int]
    """Of a device that is shared, by name of the capacity in nanos."""


class Allocator:
    """For the claims of one pod; asked about one node after the other."""

    def __init__(self, claims: Sequence[ResourceClaim], classes: Callable[[str], DeviceClass | None], allocated: AllocatedDevices) -> None:
        self._claims, self._classes, self._allocated, self._tries = claims, classes, allocated, Tries()

    def points(self, reach: Sequence[Reach]) -> int | None:
        """How early the alternatives are that a node which reaches this can have; None: it cannot have all claims. Raises AllocationError."""
        picks = self._search(reach)
        if picks is None:
            return None
        chosen = {(pick.claim_number, pick.wanted.name): pick.wanted for pick in picks}
        return sum(MOST_ALTERNATIVES - way.place for way in chosen.values() if way.name != way.request)

    def allocate(self, reach: Sequence[Reach], node_name: str, new_id: Callable[[], str]) -> Sequence[AllocationResult] | None:
        """The result of each claim, or None. Raises AllocationError."""
        picks = self._search(reach)
        if picks is None:
            return None
        return [_result(claim, [p for p in picks if p.claim_number == i], node_name, new_id) for i, claim in enumerate(self._claims)]

    def _search(self, reach: Sequence[Reach]) -> Sequence[Pick] | None:
        self._tries.begin_node()
        wanted = [[tuple(self._ways(claim, number, reach)) for number in range(len(claim.spec.devices.requests))] for claim in self._claims]
        for claim, requests in zip(self._claims, wanted, strict=True):
            least = sum(min(way.count for way in ways) for ways in requests)
            if least > MOST_DEVICES:
                text = f"number of requested devices {least} exceeds the claim limit of {MOST_DEVICES}"
                raise AllocationError(f"claim {claim_rules.shown(claim)}: {text}")
        search = _Search(self._claims, wanted, reach, self._allocated, self._tries)
        if search.request(0, 0):
            return search.picks
        if any(part.pool.flaw for part in reach):
            raise AllocationError("invalid resource pools were encountered")
        return None

    def _ways(self, claim: ResourceClaim, number: int, reach: Sequence[Reach]) -> Iterator[Wanted]:
        request = claim.spec.devices.requests[number]
        for place, (name, asks) in enumerate(claim_rules.alternatives(request)):
            device_class = self._classes(asks.deviceClassName)
            if device_class is None:
                text = f"could not retrieve device class {asks.deviceClassName}"
                raise AllocationError(f"claim {claim_rules.shown(claim)}, request {name}: {text}")
            way = Wanted(claim, request.name, name, place, asks, device_class, None, asks.count or 1)
            if asks.allocationMode == "All":
                found = tuple(self._everything(way, reach))
                way = msgspec.structs.replace(way, all_of=found, count=len(found))
            yield way

    def _everything(self, wanted: Wanted, reach: Sequence[Reach]) -> Iterator[Offer]:
        for part in reach:
            if not part.pool.complete or part.pool.flaw:
                state = "invalid" if part.pool.complete else "being updated"
                pool = "/".join(part.pool.id)
                text = f"asks for all devices, but resource pool {pool} is currently {state}"
                raise AllocationError(f"claim {claim_rules.shown(wanted.claim)}, request {wanted.name}: {text}")
            for offer in part.offers:
                self._tries.count()
                if selectable(wanted, offer) and consumption(wanted.asks, offer) is not None:
                    yield offer


class _Search:
    """`picks`: the devices that are given away so far; each method leaves them as they were where it fails."""

    def __init__(
        self, claims: Sequence[ResourceClaim], wanted: Sequence[Sequence[Sequence[Wanted]]], reach: Sequence[Reach],
        allocated: AllocatedDevices, tries: Tries,
    ) -> None:
        self._claims, self._wanted, self._allocated, self._tries = claims, wanted, allocated, tries
        self._pools = {part.pool.id: part.pool for part in reach}
        self._offers = [offer for part in reach if part.pool.complete and not part.pool.flaw for offer in part.offers]
        self.picks: list[Pick] = []

    def request(self, claim_number: int, number: int) -> bool:
        """Whether this request and all after it can be satisfied."""
        while claim_number < len(self._claims) and number == len(self._wanted[claim_number]):
            claim_number, number = claim_number + 1, 0
        if claim_number == len(self._claims):
            return True
        given = sum(pick.claim_number == claim_number for pick in self.picks)
        return any(
            self._devices(claim_number, number, way, way.count, 0)
            for way in self._wanted[claim_number][number] if given + way.count <= MOST_DEVICES and (way.all_of is None or way.all_of)
        )

    def _devices(self, claim_number: int, number: int, way: Wanted, missing: int, start: int) -> bool:
        """The same, with so many devices missing for this request, which are to be looked for from `start` on."""
        if not missing:
            return self.request(claim_number, number + 1)
        if way.all_of is not None:
            offers, end = way.all_of, start + 1
        else:
            offers, end = self._offers, len(self._offers)
        in_vain: set[bytes] = set()
        for place in range(start, end):
            offer = offers[place]
            self._tries.count()
            if offer.alike in in_vain or not self._free(claim_number, way, offer) or (way.all_of is None and not selectable(way, offer)):
                continue
            consumed = self._consumed(way, offer)
            if consumed is None or not self._counters_left(offer) or not _untainted(way, offer) or not self._allowed(claim_number, way, offer):
                continue
            self.picks.append(Pick(claim_number, way, offer, consumed))
            if self._devices(claim_number, number, way, missing - 1, place + 1):
                return True
            self.picks.pop()
            if not offer.shared and not way.admin:
                in_vain.add(offer.alike)
        return False

    def _free(self, claim_number: int, way: Wanted, offer: Offer) -> bool:
        if way.admin:
            return offer.shared or not any(pick.offer is offer and pick.claim_number == claim_number for pick in self.picks)
        if self._allocated.taken(offer.id):
            return False
        return offer.shared or not any(pick.offer is offer for pick in self.picks)

    def _consumed(self, way: Wanted, offer: Offer) -> Mapping[str, int] | None:
        """What the request would use of the device's capacity; None: more than there is."""
        consumed = consumption(way.asks, offer)
        if not consumed or not offer.shared:
            return NOTHING if consumed is not None else None
        others = [*self._allocated.shares(offer.id), *(pick.consumed for pick in self.picks if pick.offer is offer)]
        for name, amount in consumed.items():
            if amount + sum(other.get(name, 0) for other in others) > quantities.read(offer.device.capacity[name].value).nanos:
                return None
        return consumed

    def _counters_left(self, offer: Offer) -> bool:
        """Who shares a device that others have uses up nothing more; administrative access uses up as much as any other."""
        if not offer.consumes:
            return True
        pool = self._pools[offer.id[:2]]
        users = self._users(pool)
        if offer.shared and any(user is offer for user in users):
            return True
        return all(
            amount + sum(user.consumes.get(counter, 0) for user in users) <= pool.counters.get(counter, 0)
            for counter, amount in offer.consumes.items()
        )

    def _users(self, pool: Pool) -> Sequence[Offer]:
        found = [pool.by_name[name] for name in self._allocated.in_pool(pool.id) if name in pool.by_name]
        for pick in self.picks:
            if pick.offer.id[:2] == pool.id and not (pick.offer.shared and any(offer is pick.offer for offer in found)):
                found.append(pick.offer)
        return found

    def _allowed(self, claim_number: int, way: Wanted, offer: Offer) -> bool:
        """By the constraints of the claim."""
        for constraint in way.claim.spec.devices.constraints:
            if not _concerns(constraint, way):
                continue
            others = (pick.offer for pick in self.picks if pick.claim_number == claim_number and _concerns(constraint, pick.wanted))
            if not _keeps(constraint, offer, others):
                if way.all_of is not None:
                    device = "/".join(offer.id)
                    text = f"cannot add device {device} because a claim constraint would not be satisfied"
                    raise AllocationError(f"claim {claim_rules.shown(way.claim)}, request {way.name}: {text}")
                return False
        return True


# ---- may a request have a device


def selectable(way: Wanted, offer: Offer) -> bool:
    """Whether class and request choose the device. Raises AllocationError."""
    return _selects(f"class {way.device_class.metadata.name}", way.device_class.spec.selectors, offer) and _selects(
        f"claim {claim_rules.shown(way.claim)}", way.asks.selectors, offer)


def _selects(who: str, selectors: Sequence[DeviceSelector], offer: Offer) -> bool:
    for number, selector in enumerate(selectors):
        if selector.cel is None:
            raise AllocationError(f"{who}: selector #{number}: CEL expression empty (unsupported selector type?)")
        try:
            if not offer.matches(selector.cel.expression):
                return False
        except CelMissing as error:
            raise AllocationError(str(error)) from None
        except ExpressionError as error:
            stage = "compile" if str(error).startswith("compilation failed") else "runtime"
            raise AllocationError(f"{who}: selector #{number}: CEL {stage} error: {error}") from None
    return True


def _untainted(way: Wanted, offer: Offer) -> bool:
    return all(taint.effect not in PREVENTING or claim_rules.tolerates(way.asks.tolerations, taint) for taint in offer.device.taints)


def _concerns(constraint: DeviceConstraint, way: Wanted) -> bool:
    return not constraint.requests or way.request in constraint.requests or way.name in constraint.requests


def _keeps(constraint: DeviceConstraint, offer: Offer, others: Iterable[Offer]) -> bool:
    """Whether the device may join the others. One without the attribute may not."""
    name = constraint.matchAttribute or constraint.distinctAttribute or ""
    value = offer.attribute(name)
    if value is None:
        return False
    if constraint.matchAttribute is not None:
        return all(other.attribute(name) == value for other in others)
    return all(other.attribute(name) != value for other in others)


def consumption(asks: Alternative, offer: Offer) -> Mapping[str, int] | None:
    """What a request uses of each capacity of the device, in nanos; None: what it asks for cannot be had."""
    capacity, requests = offer.device.capacity, asks.capacity.requests if asks.capacity is not None else {}
    if not requests and not offer.shared:
        return NOTHING
    asked: dict[str, int] = {}
    for name, text in requests.items():
        own = _own_name(name, offer)
        if own is None:
            return None
        asked[own] = quantities.read(text).nanos
    consumed: dict[str, int] = {}
    for name, found in capacity.items():
        limit = quantities.read(found.value).nanos
        amount = _rounded(asked.get(name), limit, found.requestPolicy)
        if amount is None or amount > limit:
            return None
        consumed[name] = amount
    return consumed


def _own_name(name: str, offer: Offer) -> str | None:
    """How the device writes the name of a capacity: with or without its driver's domain."""
    domain, _, identifier = name.rpartition("/")
    own = [name, *([identifier] if domain == offer.id[0] else []), *([f"{offer.id[0]}/{name}"] if not domain else [])]
    return next((spelt for spelt in own if spelt in offer.device.capacity), None)


def _rounded(asked: int | None, limit: int, policy: CapacityRequestPolicy | None) -> int | None:
    """What counts as used where so much is asked for; None: it is more than anybody may have."""
    if asked is None:
        return quantities.read(policy.default).nanos if policy is not None and policy.default is not None else limit
    if policy is None:
        return asked
    if policy.validRange is not None and policy.validRange.min is not None:
        least, step = quantities.read(policy.validRange.min).nanos, policy.validRange.step
        amount = max(asked, least)
        if step is not None:
            size = quantities.read(step).nanos
            amount = least + -(-(amount - least) // size) * size
        return None if policy.validRange.max is not None and amount > quantities.read(policy.validRange.max).nanos else amount
    if policy.validValues:
        return min((value for text in policy.validValues if (value := quantities.read(text).nanos) >= asked), default=None)
    return asked


# ---- the result


def _result(claim: ResourceClaim, picks: Sequence[Pick], node_name: str, new_id: Callable[[], str]) -> AllocationResult:
    results = tuple(
        DeviceRequestAllocationResult(
            request=pick.wanted.name, driver=pick.offer.id[0], pool=pick.offer.id[1], device=pick.offer.id[2], adminAccess=pick.wanted.admin or None,
            tolerations=pick.wanted.asks.tolerations, bindingConditions=pick.offer.device.bindingConditions,
            bindingFailureConditions=pick.offer.device.bindingFailureConditions, shareID=new_id() if pick.offer.shared else None,
            consumedCapacity={name: quantities.written(nanos, quantities.read(pick.offer.device.capacity[name].value).style)
                              for name, nanos in pick.consumed.items()},
        )
        for pick in picks
    )
    chosen = {pick.wanted.request: pick.wanted for pick in picks}
    devices = DeviceAllocationResult(results=results, config=tuple(_configuration(claim, chosen)))
    return AllocationResult(devices=devices, nodeSelector=_node_selector(picks, node_name))


def _configuration(claim: ResourceClaim, chosen: Mapping[str, Wanted]) -> Iterator[DeviceAllocationConfiguration]:
    """That of each class once, then the claim's own, as far as it is about what was chosen."""
    ways = [chosen[request.name] for request in claim.spec.devices.requests]
    for name in dict.fromkeys(way.device_class.metadata.name for way in ways):
        users = tuple(way.name for way in ways if way.device_class.metadata.name == name)
        device_class = next(way.device_class for way in ways if way.device_class.metadata.name == name)
        for config in device_class.spec.config:
            yield DeviceAllocationConfiguration(source="FromClass", requests=users if len(users) < len(ways) else (), opaque=config.opaque)
    known = {way.request for way in ways} | {way.name for way in ways}
    for own in claim.spec.devices.config:
        if not own.requests or known & set(own.requests):
            everybody = len(own.requests) == len(ways)
            yield DeviceAllocationConfiguration(source="FromClaim", requests=() if everybody else own.requests, opaque=own.opaque)


def _node_selector(picks: Sequence[Pick], node_name: str) -> NodeSelector | None:
    """The nodes that reach all of the devices; None: every node does."""
    if any(pick.offer.bound_to_node() for pick in picks):
        term = NodeSelectorTerm(matchFields=(NodeSelectorRequirement(key="metadata.name", operator="In", values=(node_name,)),))
        return NodeSelector(nodeSelectorTerms=(term,))
    terms = [term for pick in picks if (selector := pick.offer.node_selector()) is not None for term in selector.nodeSelectorTerms]
    fields = _different(requirement for term in terms for requirement in term.matchFields)
    expressions = _different(requirement for term in terms for requirement in term.matchExpressions)
    if not fields and not expressions:
        return None
    return NodeSelector(nodeSelectorTerms=(NodeSelectorTerm(matchExpressions=expressions, matchFields=fields),))


def _different(requirements: Iterable[NodeSelectorRequirement]) -> tuple[NodeSelectorRequirement, ...]:
    found: list[NodeSelectorRequirement] = []
    for requirement in requirements:
        if requirement not in found:
            found.append(requirement)
    return tuple(found)
