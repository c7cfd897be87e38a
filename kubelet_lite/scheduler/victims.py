"""Who has to leave a node so that a more important pod fits: all less important ones off, then back one by one where it still fits."""
from __future__ import annotations

import functools
import math
import random
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from kubelet_lite.api import selectors, timestamps
from kubelet_lite.api.core_v1 import Pod
from kubelet_lite.api.policy_v1 import PodDisruptionBudget
from kubelet_lite.scheduler.filtering import fits, rejected
from kubelet_lite.scheduler.framework import Filters
from kubelet_lite.scheduler.node_table import NodeTable
from kubelet_lite.scheduler.nominations import Nomination, Promised
from kubelet_lite.scheduler.pod_info import PodInfo
from kubelet_lite.scheduler.priorities import PODS

NO_VICTIMS: Final = "No preemption victims found for incoming pod"


def best(candidates: Sequence[Nomination], rng: random.Random) -> Nomination:
    """Whose victims matter least."""
    least = min(candidate.harm for candidate in candidates)
    found = [candidate for candidate in candidates if candidate.harm == least]
    return found[0] if len(found) == 1 else found[rng.randrange(len(found))]


def victims_on(
    nodes: NodeTable, pod: PodInfo, profile: Filters, row: int, promised: Promised, budgets: Sequence[PodDisruptionBudget],
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
            victims = []
            for other in (*violating, *others):
                nodes.add(off.pop(other.key), row)
                if not fits(nodes, pod, profile, row, promised):
                    nodes.lift(other, row)
                    off[other.key] = other
                    victims.append(other)
        finally:
            for other in off.values():
                nodes.add(other, row)
    return _nomination(nodes, row, victims, violating)


def victims_for_resources(
    nodes: NodeTable, pod: PodInfo, asked: Mapping[str, int], row: int, budgets: Sequence[PodDisruptionBudget],
) -> Nomination | Sequence[str]:
    """The same where nothing but resources (`asked`) keeps the pod off, and would not were all the less important ones gone."""
    lower = sorted((other for other in nodes.placed_on(row) if other.priority < pod.priority), key=_importance)
    left = _slack(asked, nodes, row)
    for other in lower:
        _give_back(left, other.requests)
    violating, others = _protected(lower, budgets)
    victims = []
    for other in (*violating, *others):
        if any(amount > left[resource] for resource, amount in other.requests.items() if resource in left) or not left[PODS]:
            victims.append(other)
        else:
            _take(left, other.requests)
    return _nomination(nodes, row, victims, violating)


def _slack(asked: Mapping[str, int], nodes: NodeTable, row: int) -> dict[str, int]:
    """What a node would have left of all that the pod wants, were it there: nothing negative where it fits."""
    left = {r: int(nodes.allocatable(r)[row]) - int(nodes.requested(r)[row]) - amount for r, amount in asked.items() if amount}
    left[PODS] = int(nodes.pod_limit[row]) - int(nodes.pod_count[row]) - 1
    return left


def _give_back(left: dict[str, int], requests: Mapping[str, int]) -> None:
    for resource in left:
        left[resource] += 1 if resource == PODS else requests.get(resource, 0)


def _take(left: dict[str, int], requests: Mapping[str, int]) -> None:
    for resource in left:
        left[resource] -= 1 if resource == PODS else requests.get(resource, 0)


def _nomination(nodes: NodeTable, row: int, victims: Sequence[PodInfo], violating: Sequence[PodInfo]) -> Nomination | Sequence[str]:
    if not victims:
        return (f'expected at least one victim pod on node "{nodes.name(row)}"',)
    violations = sum(victim in violating for victim in victims)
    return nomination(nodes.name(row), victims, violations)


def nomination(node_name: str, victims: Sequence[PodInfo], violations: int) -> Nomination:
    """`violations`: of budgets, by the victims."""
    ordered = tuple(sorted(victims, key=_importance))
    priorities = [victim.priority for victim in ordered]
    harm = violations, priorities[0], sum(priorities) + 2 ** 31 * len(priorities), len(priorities), -_started(ordered[0])
    return Nomination(node_name, ordered, violations, harm)


def _importance(pod: PodInfo) -> tuple[int, float]:
    """The higher the priority and the longer it runs, the more important; sorts the most important first."""
    return -pod.priority, _started(pod)


def _started(pod: PodInfo) -> float:
    started = pod.pod.status.startTime
    return _seconds(started) if started else math.inf


_seconds = functools.lru_cache(maxsize=4096)(timestamps.parse_time)


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


