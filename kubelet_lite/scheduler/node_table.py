"""The nodes as a table: one row a node, one int64 column a resource, kept up to date pod by pod and node by node.

Filters and scores are operations on whole columns. Rows of nodes that left are reused; `alive` says which rows count.
"""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from kubelet_lite.api import quantities
from kubelet_lite.api.core_v1 import Node, Taint
from kubelet_lite.scheduler.change_log import ChangeLog
from kubelet_lite.scheduler.pod_info import HostPort, PodInfo
from kubelet_lite.scheduler.pod_tallies import LabelColumn, PodTallies, Selection, Tally
from kubelet_lite.scheduler.priorities import PODS, RequestedByPriority
from kubelet_lite.scheduler.volumes.placed import PlacedVolumes

Mask = NDArray[np.bool_]
Column = NDArray[np.int64]
Rows = NDArray[np.intp]
Value = TypeVar("Value", bound=np.generic)
FIRST_CAPACITY: Final = 64
MAX_KEPT_CHANGES: Final = 4096
"""Rows remembered as changed: who looks more rarely than that looks at the whole table."""
INEXACT: Final = 1 << 46
"""From here a hundredth of a share may be rounded the wrong way by floats."""
BASE_RESOURCES: Final = ("cpu", "memory", "ephemeral-storage")


class Placed(msgspec.Struct, frozen=True, eq=False):
    """A pod that counts on a node, assumed or bound."""

    info: PodInfo
    row: int


class ImageState(msgspec.Struct, eq=False):
    """One image name: where it is, and its size as the first node that had it reported (other nodes' sizes do not count)."""

    size_bytes: int
    rows: dict[int, None]


class NodeTable:
    """All nodes and what is requested of them.

    `generation` moves with every change of a node's own data (labels, taints, allocatable), never with pods: what is computed
    from labels and taints alone may be kept for as long as it stands. `changed_since` says on which rows pods came or went.
    """

    def __init__(self) -> None:
        self._columns: dict[str, int] = {name: i for i, name in enumerate(BASE_RESOURCES)}
        self._capacity = FIRST_CAPACITY
        self.nodes: list[Node | None] = [None] * FIRST_CAPACITY
        self.row_of: dict[str, int] = {}
        self._free_rows = list(range(FIRST_CAPACITY - 1, -1, -1))
        self._allocatable: list[Column] = [np.zeros(FIRST_CAPACITY, np.int64) for _ in self._columns]
        self._requested: list[Column] = [np.zeros(FIRST_CAPACITY, np.int64) for _ in self._columns]
        self.scored_cpu: Column = np.zeros(FIRST_CAPACITY, np.int64)
        self.scored_memory: Column = np.zeros(FIRST_CAPACITY, np.int64)
        self.pod_count: Column = np.zeros(FIRST_CAPACITY, np.int64)
        self.pod_limit: Column = np.zeros(FIRST_CAPACITY, np.int64)
        self.alive: Mask = np.zeros(FIRST_CAPACITY, np.bool_)
        self.unschedulable: Mask = np.zeros(FIRST_CAPACITY, np.bool_)
        self.taint_set: NDArray[np.int32] = np.zeros(FIRST_CAPACITY, np.int32)
        self.taint_sets: list[tuple[Taint, ...]] = [()]
        self._taint_set_ids: dict[bytes, int] = {msgspec.json.encode(()): 0}
        self._ports: list[list[HostPort]] = [[] for _ in range(FIRST_CAPACITY)]
        self._placed: dict[tuple[str, str], Placed] = {}
        self._on: list[dict[tuple[str, str], PodInfo]] = [{} for _ in range(FIRST_CAPACITY)]
        self._sizes: dict[tuple[int, ...], int] = {}
        """What nodes have, numbered."""
        self._size_of = [0] * FIRST_CAPACITY
        self._states: list[tuple[int, ...] | None] = [None] * FIRST_CAPACITY
        """Those that were asked for since the row last changed."""
        self.tallies = PodTallies()
        self.volumes = PlacedVolumes()
        self._priorities = RequestedByPriority()
        self._waiting: dict[str, dict[tuple[str, str], PodInfo]] = {}
        self._images: dict[str, ImageState] = {}
        self.generation = 0
        self._labels: dict[str, LabelColumn] = {}
        self._labels_as_of = 0
        self._everywhere: dict[str, bool] = {}
        self._divisors: dict[str, NDArray[np.float64]] = {}
        self._totals_as_of = 0
        self._rows: Rows = np.zeros(0, np.intp)
        self._rows_as_of = 0
        self.lowest_priority = 0
        """Of all pods that ever were placed."""
        self._changed_rows: ChangeLog[int] = ChangeLog(MAX_KEPT_CHANGES)
        self._supposing = False

    def __len__(self) -> int:
        return len(self.row_of)

    @property
    def placed_pods(self) -> int:
        """How many count on a node."""
        return len(self._placed)

    @property
    def changes(self) -> int:
        """How often pods came or went."""
        return self._changed_rows.count

    def changed_since(self, changes: int) -> Rows | None:
        """The rows on which pods came or went since `changes` was read; None when that is too long ago."""
        rows = self.recent(changes)
        if rows is None:
            return None
        return np.array(sorted(set(rows)), np.intp)

    def recent(self, changes: int) -> Sequence[int] | None:
        """The same in the order in which it happened."""
        return self._changed_rows.since(changes)

    @property
    def width(self) -> int:
        """The length of every column: rows in use and free ones."""
        return self._capacity

    @property
    def rows(self) -> Rows:
        """All rows in use, in order."""
        if self._rows_as_of != self.generation:
            self._rows = np.flatnonzero(self.alive)
            self._rows_as_of = self.generation
        return self._rows

    def allocatable(self, resource: str) -> Column:
        return self._known(self._allocatable, resource)

    def everywhere(self, resource: str) -> bool:
        """Whether every node has some of the resource."""
        self._forget_totals()
        found = self._everywhere.get(resource)
        if found is None:
            found = self._everywhere[resource] = bool((self.allocatable(resource)[self.alive] > 0).all())
        return found

    def divisor(self, resource: str) -> NDArray[np.float64] | None:
        """The column by which to divide amounts of the resource: as floats. None where that would not be exact: beyond 64 TiB."""
        self._forget_totals()
        found = self._divisors.get(resource)
        if found is None:
            whole = self.allocatable(resource)
            if whole.max(initial=0) >= INEXACT:
                return None
            found = self._divisors[resource] = np.maximum(whole, 1).astype(np.float64)
        return found

    def _forget_totals(self) -> None:
        if self._totals_as_of != self.generation:
            self._everywhere.clear()
            self._divisors.clear()
            self._totals_as_of = self.generation

    def requested(self, resource: str) -> Column:
        return self._known(self._requested, resource)

    def amounts(self, resource: str, row: int) -> tuple[int, int]:
        """What a row has of the resource, and what of it is requested."""
        index = self._columns.get(resource)
        return (self._allocatable[index].item(row), self._requested[index].item(row)) if index is not None else (0, 0)

    def _known(self, columns: Sequence[Column], resource: str) -> Column:
        """The resource's column; nobody has or wants one that never was heard of."""
        index = self._columns.get(resource)
        return columns[index] if index is not None else np.zeros(self._capacity, np.int64)

    def state(self, row: int) -> tuple[int, ...]:
        """What a row has and what of it is requested, in all numbers: rows of equal states are one to whoever looks at amounts alone."""
        found = self._states[row]
        if found is None:
            found = self._states[row] = (
                self._size_of[row], self.pod_count.item(row), self.scored_cpu.item(row), self.scored_memory.item(row),
                *[column.item(row) for column in self._requested],
            )
        return found

    def ports(self, row: int) -> Sequence[HostPort]:
        return self._ports[row]

    def image(self, name: str) -> ImageState | None:
        """The image, where any node has it."""
        return self._images.get(name)

    def node(self, name: str) -> Node | None:
        row = self.row_of.get(name)
        return None if row is None else self.nodes[row]

    def name(self, row: int) -> str:
        node = self.nodes[row]
        assert node is not None
        return node.metadata.name

    def label(self, key: str) -> LabelColumn:
        """The label `key` of all nodes; kept while `generation` stands."""
        if self._labels_as_of != self.generation:
            self._labels.clear()
            self._labels_as_of = self.generation
        found = self._labels.get(key)
        if found is None:
            codes, numbers, labelled = np.full(self._capacity, -1, np.int64), dict[str, int](), 0
            for row in self.row_of.values():
                node = self.nodes[row]
                value = node.metadata.labels.get(key) if node is not None else None
                if value is not None:
                    codes[row] = numbers.setdefault(value, len(numbers))
                    labelled += 1
            found = self._labels[key] = LabelColumn(codes, numbers, everywhere=labelled == len(self.row_of))
        return found

    def placed(self, key: tuple[str, str]) -> Placed | None:
        return self._placed.get(key)

    def placed_on(self, row: int) -> Iterable[PodInfo]:
        """In the order in which they came."""
        return self._on[row].values()

    def tally(self, selection: Selection) -> Tally:
        """How many of the pods that are meant are on each row."""
        return self.tallies.tally(selection, ((info.pod, row) for info, row in self._infos()))

    def _infos(self) -> Iterator[tuple[PodInfo, int]]:
        return ((info, row) for row, infos in enumerate(self._on) for info in infos.values())

    def set_node(self, node: Node) -> None:
        """Adds a node or takes over its new data. Pods that were placed on it before it was seen count from now on."""
        name = node.metadata.name
        row = self.row_of.get(name)
        known = self.nodes[row] if row is not None else None
        if known is not None and row is not None and same_for_scheduling(known, node):
            self.nodes[row] = node
            return
        if row is None:
            row = self._take_row()
            self.row_of[name] = row
        self.generation += 1
        self._forget_images(row)
        self.nodes[row] = node
        self.alive[row] = True
        self.unschedulable[row] = bool(node.spec.unschedulable)
        self.taint_set[row] = self._taint_set_id(node.spec.taints)
        amounts = {resource: _base_units(resource, amount) for resource, amount in node.status.allocatable.items()}
        self.pod_limit[row] = amounts.pop("pods", 0)
        for resource in amounts:
            self._column(resource)
        for resource, column in self._columns.items():
            self._allocatable[column][row] = amounts.get(resource, 0)
        size = self.pod_limit.item(row), *[column.item(row) for column in self._allocatable]
        self._size_of[row] = self._sizes.setdefault(size, len(self._sizes))
        self._states[row] = None
        for image in node.status.images:
            for alias in image.names:
                state = self._images.get(alias)
                if state is None:
                    state = self._images[alias] = ImageState(image.sizeBytes, {})
                state.rows[row] = None
        for info in list(self._waiting.pop(name, {}).values()):
            self.place(info, name)

    def remove_node(self, name: str) -> None:
        """Forgets a node; its pods count again should it come back."""
        row = self.row_of.pop(name, None)
        if row is None:
            return
        self.generation += 1
        for key, info in list(self._on[row].items()):
            self.remove(key)
            self._waiting.setdefault(name, {})[key] = info
        self._forget_images(row)
        self.nodes[row] = None
        self.alive[row] = False
        for column in self._allocatable:
            column[row] = 0
        self.pod_limit[row] = 0
        self._free_rows.append(row)

    def place(self, info: PodInfo, node_name: str) -> None:
        """Counts a pod on a node, in place of what the table knew of it before."""
        if info.key in self._placed or self._waiting:
            self.remove(info.key)
        row = self.row_of.get(node_name)
        if row is None:
            self._waiting.setdefault(node_name, {})[info.key] = info
            return
        key = info.key
        self._placed[key] = Placed(info, row)
        self._on[row][key] = info
        self._count(info, row, 1)
        if info.priority < self.lowest_priority:
            self.lowest_priority = info.priority

    def refresh(self, info: PodInfo) -> None:
        """Takes over news of a placed pod that change nothing in what it asks of its node."""
        placed = self._placed[info.key]
        before = placed.info.pod
        if before.status.startTime != info.pod.status.startTime:
            self._changed_rows.add(placed.row)
        if before.metadata.labels != info.pod.metadata.labels:
            self._changed_rows.add(placed.row)
            if self.tallies.asked:
                self.tallies.add(before, placed.row, -1)
                self.tallies.add(info.pod, placed.row, 1)
        self._placed[info.key] = Placed(info, placed.row)
        self._on[placed.row][info.key] = info
        if info.volumes:
            self.volumes.pods[placed.row][info.key] = info

    def remove(self, key: tuple[str, str]) -> bool:
        """Stops counting a pod; whether it was counted."""
        placed = self._placed.pop(key, None)
        if placed is None:
            return any(waiting.pop(key, None) is not None for waiting in self._waiting.values())
        del self._on[placed.row][key]
        self._count(placed.info, placed.row, -1)
        return True

    @contextmanager
    def supposing(self) -> Iterator[None]:
        """Within, pods may be lifted and added on trial. Who does so restores what was, so that nothing counts as changed."""
        self._supposing = True
        try:
            yield
        finally:
            self._supposing = False

    def lift(self, info: PodInfo, row: int) -> None:
        """Takes a pod off its row, on trial."""
        del self._on[row][info.key]
        self._count(info, row, -1)

    def add(self, info: PodInfo, row: int) -> None:
        """Puts a pod on a row, on trial."""
        self._on[row][info.key] = info
        self._count(info, row, 1)

    def _count(self, info: PodInfo, row: int, sign: int) -> None:
        self._states[row] = None
        for resource, amount in info.requests.items():
            self._requested[self._column(resource)][row] += sign * amount
        self.scored_cpu[row] += sign * info.scored_requests[0]
        self.scored_memory[row] += sign * info.scored_requests[1]
        self.pod_count[row] += sign
        if info.host_ports:
            for port in info.host_ports:
                if sign > 0:
                    self._ports[row].append(port)
                else:
                    self._ports[row].remove(port)
        if self.tallies.asked:
            self.tallies.add(info.pod, row, sign)
        if info.affinity is not None:
            self.tallies.add_terms(info.affinity, row, sign)
        if info.volumes:
            self.volumes.add(info, row, sign)
        if self._priorities.asked:
            self._priorities.add(info, row, sign)
        if not self._supposing:
            self._changed_rows.add(row)

    @contextmanager
    def without_below(self, priority: int) -> Iterator[Column]:
        """Within, no pod of lower priority counts for resources, on any row; gives how many there are on each."""
        lower = self._priorities.below(priority, self._infos())
        count = np.zeros(self.width, np.int64)
        for resource, tally in lower:
            if resource == PODS:
                count += tally.column(self.width)
            else:
                self._requested[self._columns[resource]] -= tally.column(self.width)
        self.pod_count -= count
        try:
            yield count
        finally:
            self.pod_count += count
            for resource, tally in lower:
                if resource != PODS:
                    self._requested[self._columns[resource]] += tally.column(self.width)

    def _column(self, resource: str) -> int:
        column = self._columns.get(resource)
        if column is None:
            column = self._columns[resource] = len(self._columns)
            self._allocatable.append(np.zeros(self._capacity, np.int64))
            self._requested.append(np.zeros(self._capacity, np.int64))
        return column

    def _take_row(self) -> int:
        if not self._free_rows:
            self._double()
        return self._free_rows.pop()

    def _double(self) -> None:
        more = self._capacity
        self._allocatable = [np.pad(column, (0, more)) for column in self._allocatable]
        self._requested = [np.pad(column, (0, more)) for column in self._requested]
        self.scored_cpu, self.scored_memory = np.pad(self.scored_cpu, (0, more)), np.pad(self.scored_memory, (0, more))
        self.pod_count, self.pod_limit = np.pad(self.pod_count, (0, more)), np.pad(self.pod_limit, (0, more))
        self.alive, self.unschedulable = np.pad(self.alive, (0, more)), np.pad(self.unschedulable, (0, more))
        self.taint_set = np.pad(self.taint_set, (0, more))
        self.nodes.extend([None] * more)
        self._ports.extend([] for _ in range(more))
        self._on.extend({} for _ in range(more))
        self._size_of.extend([0] * more)
        self._states.extend([None] * more)
        self._free_rows = list(range(self._capacity + more - 1, self._capacity - 1, -1))
        self._capacity += more

    def _taint_set_id(self, taints: tuple[Taint, ...]) -> int:
        key = msgspec.json.encode(taints)
        found = self._taint_set_ids.get(key)
        if found is None:
            found = self._taint_set_ids[key] = len(self.taint_sets)
            self.taint_sets.append(taints)
        return found

    def _forget_images(self, row: int) -> None:
        node = self.nodes[row]
        for image in node.status.images if node is not None else ():
            for alias in image.names:
                state = self._images.get(alias)
                if state is not None and state.rows.pop(row, self) is None and not state.rows:
                    del self._images[alias]


def take(column: NDArray[Value], rows: Rows) -> NDArray[Value]:
    """`column[rows]`, to be read only: no copy where `rows`, which are in order, are the first ones without a gap."""
    count = rows.size
    return column[:count] if count and rows[-1] == count - 1 else column[rows]


def chosen(rows: Rows, mask: Mask) -> Rows:
    """`rows[mask]`, in half the time where `rows` are the first ones without a gap."""
    count = rows.size
    return np.flatnonzero(mask) if count and rows[-1] == count - 1 else rows[mask]


def same_for_scheduling(old: Node, new: Node) -> bool:
    """Heartbeats change conditions only: most updates of a node concern nobody here."""
    return (
        old.metadata.labels == new.metadata.labels and old.spec == new.spec
        and old.status.allocatable == new.status.allocatable and old.status.images == new.status.images
    )


def _base_units(resource: str, amount: str) -> int:
    return quantities.milli(amount) if resource == "cpu" else quantities.to_int(amount)
