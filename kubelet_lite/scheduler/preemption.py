"""DefaultPreemption: makes room for a pod that fits nowhere by removing pods of lower priority from one node.

Of the nodes that this could help, each is tried: all pods of lower priority off, then back one by one, the most important first,
where the pod still fits; who cannot return is a victim. The node whose victims matter least is chosen.
https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/
"""
from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import numpy as np

from kubelet_lite.api import selectors, timestamps
from kubelet_lite.api.core_v1 import Pod
from kubelet_lite.api.policy_v1 import PodDisruptionBudget
from kubelet_lite.scheduler.filtering import counted, fits, rejected
from kubelet_lite.scheduler.framework import Profile, Refusals
from kubelet_lite.scheduler.node_table import NodeTable, Rows
from kubelet_lite.scheduler.nominations import Promised
from kubelet_lite.scheduler.pod_info import PodInfo
from kubelet_lite.scheduler.surroundings import Surroundings

FEWEST_CANDIDATES: Final = 100
"""So many nodes with victims are enough to choose from, or …"""
CANDIDATES_PERCENT: Final = 10
"""… this share of the nodes that removing pods could help."""
NO_VICTIMS: Final = "No preemption victims found for incoming pod"
NOT_HELPFUL: Final = "Preemption is not helpful for scheduling"


class Nomination(msgspec.Struct, frozen=True):
    """A node that is promised to the pod, once its victims are gone."""

    node_name: str
    victims: tuple[PodInfo, ...]
    """The most important first."""
    violations: int = 0
    """How many of them a disruption budget protects."""


class Attempt(msgspec.Struct, frozen=True):
    """What became of making room."""

    words: str = ""
    nomination: Nomination | None = None
    hopeless: bool = False
    """Whether a promise made earlier is void."""


NOT_TRIED: Final = Attempt()


class Preemption:
    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings

    def needs(self, pod: PodInfo, nodes: NodeTable) -> Sequence[type[Any]]:
        """Budgets, for a pod that could displace others."""
        displaces = pod.priority > nodes.lowest_priority and pod.pod.spec.preemptionPolicy != "Never"
        return (PodDisruptionBudget,) if displaces else ()

    def attempt(
        self, nodes: NodeTable, pod: PodInfo, profile: Profile, refusals: Refusals, promised: Promised, rng: random.Random,
    ) -> Attempt:
        """`refusals`: why each node refused the pod. `rng` says where to begin, and breaks ties."""
        ineligible = _ineligible(nodes, pod, refusals)
        if ineligible:
            return Attempt(ineligible)
        hopeful = [rows for rejection, rows in refusals if rejection.resolvable]
        rows = np.sort(np.concatenate(hopeful)) if hopeful else np.zeros(0, np.intp)
        candidates, outcomes = self._candidates(nodes, pod, profile, rows, promised, rng)
        if candidates:
            return Attempt(nomination=_best(candidates, rng))
        head = f"0/{len(nodes)} nodes are available"
        words = counted((*outcomes, (NOT_HELPFUL, len(nodes) - int(rows.size))))
        return Attempt(f"{head}: {words}.", hopeless=True)

    def _candidates(
        self, nodes: NodeTable, pod: PodInfo, profile: Profile, rows: Rows, promised: Promised, rng: random.Random,
    ) -> tuple[Sequence[Nomination], Sequence[tuple[str, int]]]:
        """Nodes with victims, and what was found on nodes without."""
        enough = max(rows.size * CANDIDATES_PERCENT // 100, FEWEST_CANDIDATES)
        start = rng.randrange(rows.size) if rows.size > enough else 0
        budgets = self._surroundings.list(PodDisruptionBudget) if rows.size else ()
        found: list[Nomination] = []
        outcomes: list[tuple[str, int]] = []
        for row in np.roll(rows, -start).tolist():
            candidate = victims_on(nodes, pod, profile, row, promised, budgets)
            if isinstance(candidate, Nomination):
                found.append(candidate)
                if len(found) >= enough and any(not c.violations for c in found):
                    break
            else:
                outcomes += [(reason, 1) for reason in candidate]
        return found, outcomes


def victims_on(
    nodes: NodeTable, pod: PodInfo, profile: Profile, row: int, promised: Promised, budgets: Sequence[PodDisruptionBudget],
) -> Nomination | Sequence[str]:
    """Who has to leave the node, or why that would not help."""
    lower = [other for other in nodes.placed_on(row) if other.priority < pod.priority]
    if not lower:
        return (NO_VICTIMS,)
    with nodes.supposing():
        for other in lower:
            nodes.lift(other, row)
        off = {other.key: other for other in lower}
        try:
            refusals = rejected(nodes, pod, profile, promised, among=np.array([row], np.intp))
            if refusals:
                return refusals[0][0].reasons
            violating, others = _protected(sorted(lower, key=_importance), budgets)
            victims, violations = [], 0
            for other in (*violating, *others):
                nodes.add(off.pop(other.key), row)
                if not fits(nodes, pod, profile, row, promised):
                    nodes.lift(other, row)
                    off[other.key] = other
                    victims.append(other)
                    violations += other in violating
        finally:
            for other in off.values():
                nodes.add(other, row)
    if not victims:
        return (f'expected at least one victim pod on node "{nodes.name(row)}"',)
    return Nomination(nodes.name(row), tuple(sorted(victims, key=_importance)), violations)


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


def _importance(pod: PodInfo) -> tuple[int, float]:
    """The higher the priority and the longer it runs, the more important; sorts the most important first."""
    return -pod.priority, _started(pod)


def _started(pod: PodInfo) -> float:
    started = pod.pod.status.startTime
    return timestamps.parse_time(started) if started else math.inf


def _protected(pods: Sequence[PodInfo], budgets: Sequence[PodDisruptionBudget]) -> tuple[list[PodInfo], list[PodInfo]]:
    """Those whose removal a disruption budget does not allow (any more, once those before them are gone), and the others."""
    left = [budget.status.disruptionsAllowed for budget in budgets]
    violating: list[PodInfo] = []
    others: list[PodInfo] = []
    for info in pods:
        violated = False
        for i, budget in enumerate(budgets):
            if _covers(budget, info.pod):
                left[i] -= 1
                violated |= left[i] < 0
        (violating if violated else others).append(info)
    return violating, others


def _covers(budget: PodDisruptionBudget, pod: Pod) -> bool:
    """Whether the budget counts the pod, and nobody has disrupted it already."""
    if not pod.metadata.labels or budget.metadata.namespace != pod.metadata.namespace or pod.metadata.name in budget.status.disruptedPods:
        return False
    try:
        selector = selectors.from_label_selector(budget.spec.selector)
    except selectors.SelectorError:
        return False
    return not selector.empty and selector.matches(pod.metadata.labels)


def _best(candidates: Sequence[Nomination], rng: random.Random) -> Nomination:
    """Whose victims matter least."""
    ranked = [(_harm(candidate), candidate) for candidate in candidates]
    least = min(harm for harm, _ in ranked)
    best = [candidate for harm, candidate in ranked if harm == least]
    return best[0] if len(best) == 1 else best[rng.randrange(len(best))]


def _harm(candidate: Nomination) -> tuple[int, int, int, int, float]:
    """Protected pods displaced; the highest priority; the sum of all; how many; how long the most important ones have run."""
    priorities = [victim.priority for victim in candidate.victims]
    highest = max(priorities)
    oldest = min(_started(victim) for victim in candidate.victims if victim.priority == highest)
    return candidate.violations, highest, sum(priority + 2 ** 31 for priority in priorities), len(priorities), -oldest
