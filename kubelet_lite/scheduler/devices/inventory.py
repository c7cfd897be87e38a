"""The devices that ResourceSlices offer, in pools, and which of them a node can reach.

Of a pool only the slices of its newest generation count; while some of them are missing, or two devices have one name, nothing is taken
from it. https://kubernetes.io/docs/concepts/resource-management/dynamic-resource-allocation/
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from kubelet_lite.api import device_expressions, quantities, scheduling_rules
from kubelet_lite.api.core_v1 import Node, NodeSelector
from kubelet_lite.api.device_expressions import ExpressionError
from kubelet_lite.api.resource_v1 import Device, DeviceAttribute, ResourceSlice

DeviceId = tuple[str, str, str]
"""Driver, pool, device."""
PoolId = tuple[str, str]
Counters = Mapping[tuple[str, str], int]
"""By counter set and counter, in nanos."""
NO_COUNTERS: Final[Counters] = {}


class Offer:
    """One device of a slice."""

    __slots__ = ("_facts", "_verdicts", "alike", "consumes", "device", "id", "shared", "slice")

    def __init__(self, found: ResourceSlice, device: Device) -> None:
        spec = found.spec
        self.slice, self.device = found, device
        self.id: DeviceId = spec.driver, spec.pool.name, device.name
        self.shared = bool(device.allowMultipleAllocations)
        """Whether several may use it at a time."""
        self.consumes: Counters = {
            (use.counterSet, name): quantities.read(counter.value).nanos for use in device.consumesCounters for name, counter in use.counters.items()
        } if device.consumesCounters else NO_COUNTERS
        self.alike = msgspec.json.encode((spec.driver, spec.pool.name, msgspec.structs.replace(device, name="")), order="sorted")
        """Equal for devices of which one does what another does."""
        self._facts: device_expressions.Facts | None = None
        self._verdicts: dict[str, bool | ExpressionError] = {}

    def matches(self, expression: str) -> bool:
        """Raises ExpressionError."""
        verdict = self._verdicts.get(expression)
        if verdict is None:
            verdict = self._verdicts[expression] = self._judge(expression)
        if isinstance(verdict, ExpressionError):
            raise verdict
        return verdict

    def _judge(self, expression: str) -> bool | ExpressionError:
        if self._facts is None:
            self._facts = device_expressions.facts(self.id[0], self.device)
        try:
            return device_expressions.compiled(expression).matches(self._facts)
        except ExpressionError as error:
            return error

    def attribute(self, name: str) -> DeviceAttribute | None:
        """By its full name; that of the driver's own may be written without its domain."""
        found = self.device.attributes.get(name)
        domain, _, identifier = name.rpartition("/")
        return found if found is not None or domain != self.id[0] else self.device.attributes.get(identifier)

    def bound_to_node(self) -> bool:
        """Whether who has the device is tied to one node."""
        return bool(self._node_name() or self.device.bindsToNode)

    def node_selector(self) -> NodeSelector | None:
        spec = self.slice.spec
        return self.device.nodeSelector if spec.perDeviceNodeSelection else spec.nodeSelector

    def _node_name(self) -> str | None:
        spec = self.slice.spec
        return self.device.nodeName if spec.perDeviceNodeSelection else spec.nodeName

    def reached_from(self, node: Node) -> bool:
        name, selector = self._node_name(), self.node_selector()
        if name:
            return name == node.metadata.name
        if self.device.allNodes if self.slice.spec.perDeviceNodeSelection else self.slice.spec.allNodes:
            return True
        return selector is not None and scheduling_rules.selects(selector, node)


class Pool:
    """The newest generation of a pool."""

    __slots__ = ("by_name", "complete", "counters", "flaw", "home", "id", "offers")

    def __init__(self, slices: Sequence[ResourceSlice], offers: Sequence[Offer]) -> None:
        first = slices[0].spec
        self.id: PoolId = first.driver, first.pool.name
        self.offers = offers
        self.complete = len(slices) == first.pool.resourceSliceCount
        self.by_name = {offer.device.name: offer for offer in offers}
        self.flaw = "" if len(self.by_name) == len(offers) else "duplicate device name"
        homes = dict.fromkeys(found.spec.nodeName or "" for found in slices)
        self.home = next(iter(homes)) if len(homes) == 1 else ""
        """The only node that reaches it; "": there may be others."""
        self.counters: Counters = {
            (counters.name, name): quantities.read(counter.value).nanos
            for found in slices for counters in found.spec.sharedCounters for name, counter in counters.counters.items()
        }


class Reach(msgspec.Struct, frozen=True):
    """What a node can have of a pool."""

    pool: Pool
    offers: Sequence[Offer]


class Inventory:
    """All pools. What is known of a slice stays until the slice changes."""

    def __init__(self, slices: Iterable[ResourceSlice], before: Inventory | None = None) -> None:
        known = before.read if before is not None else {}
        self.read: dict[tuple[str, str], Sequence[Offer]] = {}
        """By name and revision of a slice."""
        newest: dict[PoolId, list[ResourceSlice]] = {}
        for found in sorted(slices, key=lambda found: found.metadata.name):
            key = found.metadata.name, found.metadata.resourceVersion
            self.read[key] = known.get(key) or tuple(Offer(found, device) for device in found.spec.devices)
            pool = newest.setdefault((found.spec.driver, found.spec.pool.name), [])
            if pool and found.spec.pool.generation > pool[0].spec.pool.generation:
                pool.clear()
            if not pool or found.spec.pool.generation == pool[0].spec.pool.generation:
                pool.append(found)
        self.pools: dict[PoolId, Pool] = {}
        self._at_home: dict[str, list[Pool]] = {}
        self._elsewhere: list[Pool] = []
        for pool_id in sorted(newest):
            offers = [offer for found in newest[pool_id] for offer in self.read[found.metadata.name, found.metadata.resourceVersion]]
            made = self.pools[pool_id] = Pool(newest[pool_id], offers)
            (self._at_home.setdefault(made.home, []) if made.home else self._elsewhere).append(made)

    def reached_from(self, node: Node) -> Sequence[Reach]:
        """Pools whose devices are ready at once come before those that must be prepared for the node first."""
        home = [Reach(pool, pool.offers) for pool in self._at_home.get(node.metadata.name, ())]
        found = [*home, *(Reach(pool, offers) for pool in self._elsewhere if (offers := [o for o in pool.offers if o.reached_from(node)]))]
        return sorted(found, key=lambda reach: any(offer.device.bindingConditions for offer in reach.offers))
