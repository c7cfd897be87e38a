"""How many placed pods of some kind are on each node, kept up to date pod by pod for those kinds that were asked for.

Pods that selectors cannot tell apart (same namespace and labels) are one group: a selector is tried once a group, not once a pod.
Nothing is kept until something is asked: pods that say nothing of others cost nothing.
"""
from __future__ import annotations

import collections
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from kubelet_lite.api.core_v1 import Pod
from kubelet_lite.api.selectors import Selector
from kubelet_lite.scheduler.pod_terms import AffinityTerms, Term

Column = NDArray[np.int64]
FIRST_CAPACITY: Final = 64
MAX_KEPT_TALLIES: Final = 512
"""Selections that are counted at the same time; those longest not asked for go first."""
MAX_KEPT_MATCHES: Final = 1024
"""Kinds of pods for which it is known which terms mean them."""
MAX_IDLE_TERMS: Final = 64


class LabelColumn(msgspec.Struct, eq=False):
    """One label of all nodes: `codes` numbers its values, -1 where a node does not have it."""

    codes: Column
    numbers: dict[str, int]
    """Value → its number, in order of first sight."""
    everywhere: bool
    """Whether every node has it."""


class Tally:
    """A number a row, and its sums over nodes of equal labels."""

    __slots__ = ("_sums", "counts", "total")

    def __init__(self, capacity: int) -> None:
        self.counts: Column = np.zeros(capacity, np.int64)
        self.total = 0
        self._sums: dict[str, tuple[LabelColumn, Column]] = {}

    def add(self, row: int, amount: int) -> None:
        if row >= self.counts.size:
            self.counts = np.pad(self.counts, (0, max(row + 1, 2 * self.counts.size) - self.counts.size))
        self.counts[row] += amount
        self.total += amount
        for label, sums in self._sums.values():
            if row < label.codes.size:
                sums[label.codes[row]] += amount

    def column(self, width: int) -> Column:
        """The numbers of all rows."""
        if width > self.counts.size:
            self.counts = np.pad(self.counts, (0, width - self.counts.size))
        return self.counts[:width]

    def sums(self, key: str, label: LabelColumn) -> Column:
        """By number of the label's value; the last, which code -1 finds, is that of nodes without the label."""
        known = self._sums.get(key)
        if known is not None and known[0] is label:
            return known[1]
        counts = self.column(label.codes.size)
        sums: Column = np.zeros(len(label.numbers) + 1, np.int64)
        np.add.at(sums, label.codes, counts)
        self._sums[key] = label, sums
        return sums


class Selection(msgspec.Struct, frozen=True):
    """Pods that meet every condition: in one of the namespaces (None: in any), and selected."""

    conditions: tuple[tuple[tuple[str, ...] | None, Selector], ...]
    terminating: bool = True
    """Whether pods that are being deleted count."""

    def has(self, group: Group) -> bool:
        if group.terminating and not self.terminating:
            return False
        return all((where is None or group.namespace in where) and what.matches(group.labels) for where, what in self.conditions)


class Group(msgspec.Struct, eq=False):
    """Placed pods that selectors cannot tell apart."""

    namespace: str
    labels: Mapping[str, str]
    terminating: bool
    rows: dict[int, int]
    """Row → how many."""
    tallies: list[Tally]


GroupKey = tuple[str, frozenset[tuple[str, str]], bool]


class PodTallies:
    """Counts placed pods by what others say of them (`tally`), and by what they say of others (`forbidding`, `requiring`, `preferring`)."""

    def __init__(self) -> None:
        self._groups: dict[GroupKey, Group] | None = None
        self._tallies: collections.OrderedDict[Selection, Tally] = collections.OrderedDict()
        self._by_namespace: dict[str | None, dict[Selection, Tally]] = {}
        self.forbidding = TermTallies()
        """Required anti-affinity terms of placed pods: how many pods have each."""
        self.requiring = TermTallies()
        """Their required affinity terms."""
        self.preferring = TermTallies()
        """Their preferred terms: the sum of the weights."""
        self.asked = False
        """Whether groups are kept."""
        self.of_terms = self.forbidding, self.requiring, self.preferring
        self.moves = 0
        """How often pods that say something of others came or went."""

    @property
    def groups(self) -> int:
        """How many kinds of pods are told apart."""
        return len(self._groups or ())

    def add(self, pod: Pod, row: int, sign: int) -> None:
        """Counts a pod on a row, or (-1) no longer. Only if `asked`."""
        assert self._groups is not None
        meta = pod.metadata
        key = meta.namespace, frozenset(meta.labels.items()), meta.deletionTimestamp is not None
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = Group(meta.namespace, meta.labels, key[2], {}, [])
            for namespace in (meta.namespace, None):
                for selection, tally in self._by_namespace.get(namespace, {}).items():
                    if selection.has(group):
                        group.tallies.append(tally)
        count = group.rows.get(row, 0) + sign
        if count:
            group.rows[row] = count
        else:
            del group.rows[row]
            if not group.rows:
                del self._groups[key]
        for tally in group.tallies:
            tally.add(row, sign)

    def add_terms(self, terms: AffinityTerms, row: int, sign: int) -> None:
        """Counts what a placed pod says of others, or (-1) no longer."""
        self.moves += 1
        for term in terms.forbidden:
            self.forbidding.add(term, row, sign)
        for term in terms.required:
            self.requiring.add(term, row, sign)
        for term, weight in terms.preferred:
            self.preferring.add(term, row, sign, weight)

    def tally(self, selection: Selection, placed: Iterable[tuple[Pod, int]]) -> Tally:
        """How many pods of the selection are on each row, from now on kept up to date. `placed`: all of them, read the first time."""
        found = self._tallies.get(selection)
        if found is not None:
            self._tallies.move_to_end(selection)
            return found
        if self._groups is None:
            self._groups, self.asked = {}, True
            for pod, row in placed:
                self.add(pod, row, 1)
        found = self._tallies[selection] = Tally(FIRST_CAPACITY)
        for namespace in selection.conditions[0][0] or (None,):
            self._by_namespace.setdefault(namespace, {})[selection] = found
        for group in self._groups.values():
            if selection.has(group):
                group.tallies.append(found)
                for row, count in group.rows.items():
                    found.add(row, count)
        if len(self._tallies) > MAX_KEPT_TALLIES:
            self._forget(*self._tallies.popitem(last=False))
        return found

    def _forget(self, selection: Selection, tally: Tally) -> None:
        for namespace in selection.conditions[0][0] or (None,):
            del self._by_namespace[namespace][selection]
        for group in self._groups.values() if self._groups is not None else ():
            if tally in group.tallies:
                group.tallies.remove(tally)


class Holding(msgspec.Struct, eq=False):
    """A term and the pods that have it."""

    term: Term
    tally: Tally
    holders: int = 0


class TermTallies:
    """By term, a tally of the pods that have it. Which terms mean a pod is found once for pods that selectors cannot tell apart."""

    def __init__(self) -> None:
        self._holdings: dict[Term, Holding] = {}
        self._idle = 0
        """Terms that no pod has any more: kept, since they often return."""
        self._matches: dict[object, tuple[int, list[Holding]]] = {}
        self._order: list[Holding] = []
        self._by_namespace_labels = 0

    def __bool__(self) -> bool:
        return len(self._holdings) > self._idle

    @property
    def asks_for_namespace_labels(self) -> bool:
        return self._by_namespace_labels > 0

    def add(self, term: Term, row: int, sign: int, weight: int = 1) -> None:
        holding = self._holdings.get(term)
        if holding is None:
            holding = self._holdings[term] = Holding(term, Tally(FIRST_CAPACITY))
            self._order.append(holding)
            self._by_namespace_labels += bool(term.namespace_selector.requirements)
            self._idle += 1
        holding.tally.add(row, sign * weight)
        if holding.holders == 0:
            self._idle -= 1
        holding.holders += sign
        if holding.holders == 0:
            self._idle += 1
            if self._idle > MAX_IDLE_TERMS and 2 * self._idle > len(self._holdings):
                self._forget_idle()

    def meaning(self, pod: Pod, namespace_labels: Mapping[str, str]) -> list[Holding]:
        """The terms that mean this pod."""
        meta = pod.metadata
        labels_of_namespace = frozenset(namespace_labels.items()) if self._by_namespace_labels else None
        key = meta.namespace, frozenset(meta.labels.items()), labels_of_namespace
        seen, found = self._matches.get(key, (0, []))
        if seen < len(self._order):
            found += [h for h in self._order[seen:] if h.term.matches(meta.namespace, meta.labels, namespace_labels)]
            if len(self._matches) >= MAX_KEPT_MATCHES:
                self._matches.clear()
            self._matches[key] = len(self._order), found
        return found

    def _forget_idle(self) -> None:
        self._order = [holding for holding in self._order if holding.holders]
        self._holdings = {holding.term: holding for holding in self._order}
        self._by_namespace_labels = sum(bool(h.term.namespace_selector.requirements) for h in self._order)
        self._idle = 0
        self._matches.clear()
