"""DefaultPreemption: makes room for a pod that fits nowhere by removing pods of lower priority from one node.

Of the nodes that this could help, each is tried: all pods of lower priority off, then back one by one, the most important first,
where the pod still fits; who cannot return is a victim. The node whose victims matter least is chosen.
https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/
"""
from __future__ import annotations

import collections
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec
import numpy as np

from kubelet_lite.api.core_v1 import Pod
from kubelet_lite.api.policy_v1 import PodDisruptionBudget
from kubelet_lite.scheduler.filtering import counted, rejected
from kubelet_lite.scheduler.framework import Attempt, Handle, Plugin, Refusals, Rejection, Unplaced
from kubelet_lite.scheduler.node_table import NodeTable, Rows
from kubelet_lite.scheduler.nominations import Nomination
from kubelet_lite.scheduler.plugins.node_resources_fit import NodeResourcesFit
from kubelet_lite.scheduler.pod_info import PodInfo
from kubelet_lite.scheduler.victims import NO_VICTIMS, best, victims_for_resources, victims_on

NOT_HELPFUL: Final = "Preemption is not helpful for scheduling"
RESOURCES: Final = "NodeResourcesFit"
OF_NODES: Final = frozenset(("NodeUnschedulable", "NodeName", "TaintToleration", "NodeAffinity", "NodePorts", RESOURCES))
"""Filters that do not judge otherwise when pods leave, but for ports and resources."""
PIECE: Final = 100
"""Rows turned into numbers at a time."""
MAX_KEPT_SEARCHES: Final = 16
"""Kinds of pods for which victims are remembered."""

Found = Nomination | Sequence[str]


class DefaultPreemptionArgs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    minCandidateNodesPercentage: int = 10
    """This share of the nodes that removing pods could help are enough to choose from, …"""
    minCandidateNodesAbsolute: int = 100
    """… but no fewer than so many."""


class Search(msgspec.Struct):
    """What is known of single nodes for one kind of pod, as of `changes` of the table."""

    as_of: tuple[int, int]
    changes: int
    found: dict[int, Found]


class DefaultPreemption(Plugin):
    Args = DefaultPreemptionArgs
    args: DefaultPreemptionArgs

    def __init__(self, handle: Handle, args: DefaultPreemptionArgs | None = None) -> None:
        super().__init__(handle, args)
        self._searches: collections.OrderedDict[tuple[bytes, int], Search] = collections.OrderedDict()

    def needs(self, pod: PodInfo, nodes: NodeTable) -> Sequence[type[Any]]:
        """Budgets, for a pod that could displace others."""
        displaces = pod.priority > nodes.lowest_priority and pod.pod.spec.preemptionPolicy != "Never"
        return (PodDisruptionBudget,) if displaces else ()

    def post_filter(self, nodes: NodeTable, unplaced: Unplaced) -> Attempt:
        """`unplaced.random` says where to begin, and breaks ties."""
        pod, refusals = unplaced.pod, unplaced.refusals
        ineligible = _ineligible(nodes, pod, refusals)
        if ineligible:
            return Attempt(f"preemption: {ineligible}")
        hopeful = [rows for rejection, rows in refusals if rejection.resolvable]
        rows = np.sort(np.concatenate(hopeful)) if hopeful else np.zeros(0, np.intp)
        candidates, outcomes = self._candidates(nodes, unplaced, rows)
        if candidates:
            return Attempt(nomination=best(candidates, unplaced.random), candidates=tuple(candidates))
        head = f"0/{len(nodes)} nodes are available"
        words = counted((*outcomes, (NOT_HELPFUL, len(nodes) - int(rows.size))))
        return Attempt(f"preemption: {head}: {words}.", hopeless=True)

    def _candidates(self, nodes: NodeTable, unplaced: Unplaced, rows: Rows) -> tuple[Sequence[Nomination], Sequence[tuple[str, int]]]:
        """Nodes with victims, and what was found on nodes without."""
        pod, profile, promised = unplaced.pod, unplaced.profile, unplaced.promised
        enough = max(rows.size * self.args.minCandidateNodesPercentage // 100, self.args.minCandidateNodesAbsolute)
        start = unplaced.random.randrange(rows.size) if rows.size > enough else 0
        budgets = self.handle.surroundings.list(PodDisruptionBudget) if rows.size else ()
        simple = _kept_off_by_resources(nodes, unplaced)
        outcomes, rows = _without_the_hopeless(nodes, unplaced, np.roll(rows, -start), simple)
        known, fit = self._search(nodes, pod), profile.plugins.get(RESOURCES)
        asked = fit.asked(pod) if isinstance(fit, NodeResourcesFit) else {}
        easy = np.zeros(nodes.width, np.bool_)
        easy[simple] = True
        found: list[Nomination] = []
        for row in _in_pieces(rows):
            candidate: Found
            if not easy[row]:
                candidate = victims_on(nodes, pod, profile, row, promised, budgets)
            elif row in known:
                candidate = known[row]
            else:
                candidate = known[row] = victims_for_resources(nodes, pod, asked, row, budgets)
            if isinstance(candidate, Nomination):
                found.append(candidate)
                if len(found) >= enough and any(not c.violations for c in found):
                    break
            else:
                outcomes += [(reason, 1) for reason in candidate]
        return found, outcomes

    def _search(self, nodes: NodeTable, pod: PodInfo) -> dict[int, Found]:
        """What was found on single nodes for a pod like this one, and still stands."""
        key = pod.likeness, pod.priority
        as_of = nodes.generation, self.handle.surroundings.changed(PodDisruptionBudget)
        search = self._searches.get(key)
        changed = nodes.changed_since(search.changes) if search is not None and search.as_of == as_of else None
        if search is None or changed is None:
            search = self._searches[key] = Search(as_of, 0, {})
            if len(self._searches) > MAX_KEPT_SEARCHES:
                self._searches.popitem(last=False)
        else:
            for row in changed.tolist():
                search.found.pop(row, None)
        self._searches.move_to_end(key)
        search.changes = nodes.changes
        return search.found


def _in_pieces(rows: Rows) -> Iterator[int]:
    """One by one; most searches end early."""
    for start in range(0, rows.size, PIECE):
        yield from rows[start:start + PIECE].tolist()


def _kept_off_by_resources(nodes: NodeTable, unplaced: Unplaced) -> Rows:
    """Nodes where nothing else can keep the pod off: there the victims follow from what pods ask for."""
    pod, promised = unplaced.pod, unplaced.promised
    if pod.host_ports or any(f.name not in OF_NODES and f.applies(pod, nodes) for f in unplaced.profile.filters):
        return np.zeros(0, np.intp)
    found = [rows for rejection, rows in unplaced.refusals if rejection.plugin == RESOURCES and rejection.resolvable]
    rows = np.sort(np.concatenate(found)) if found else np.zeros(0, np.intp)
    return rows[~np.isin(rows, list(promised))] if promised else rows


def _without_the_hopeless(nodes: NodeTable, unplaced: Unplaced, rows: Rows, simple: Rows) -> tuple[list[tuple[str, int]], Rows]:
    """Leaves out those of the `simple` rows that removing pods does not help, and says why."""
    outcomes: list[tuple[str, int]] = []
    if not simple.size:
        return outcomes, rows
    with nodes.without_below(unplaced.pod.priority) as lower:
        without = simple[lower[simple] == 0]
        refusals = rejected(nodes, unplaced.pod, unplaced.profile, among=simple[lower[simple] > 0])
    if without.size:
        refusals = [(Rejection(RESOURCES, (NO_VICTIMS,), resolvable=False), without), *refusals]
    for rejection, refused in refusals:
        outcomes += [(reason, int(refused.size)) for reason in rejection.reasons]
        rows = rows[~np.isin(rows, refused)]
    return outcomes, rows


def _ineligible(nodes: NodeTable, pod: PodInfo, refusals: Refusals) -> str:
    """Why the pod may not displace others now."""
    if pod.pod.spec.preemptionPolicy == "Never":
        return "not eligible due to preemptionPolicy=Never."
    row = nodes.row_of.get(pod.pod.status.nominatedNodeName)
    if row is None or any(not rejection.resolvable and row in rows for rejection, rows in refusals):
        return ""
    if any(other.priority < pod.priority and _leaving(other.pod) for other in nodes.placed_on(row)):
        return "not eligible due to a terminating pod on the nominated node."
    return ""


def _leaving(pod: Pod) -> bool:
    """Whether a scheduler displaced it already."""
    if pod.metadata.deletionTimestamp is None:
        return False
    condition = next((c for c in pod.status.conditions if c.type == "DisruptionTarget"), None)
    return condition is not None and condition.status == "True" and condition.reason == "PreemptionByScheduler"
