"""Node selectors and terms as columns: each label is judged once a distinct value, by the rule of api/scheduling_rules.py."""
from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from kubelet_lite.api import scheduling_rules
from kubelet_lite.api.core_v1 import (
    NodeSelector,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    Pod,
    PreferredSchedulingTerm,
)
from kubelet_lite.scheduler.node_table import Column, Mask, NodeTable


def matching(nodes: NodeTable, pod: Pod) -> Mask:
    """The rows that the pod's node selector and required node affinity allow."""
    mask = nodes.alive.copy()
    for key, value in pod.spec.nodeSelector.items():
        label = nodes.label(key)
        mask &= label.codes == label.numbers.get(value, len(label.numbers))
    required = scheduling_rules.required_terms(pod)
    return mask if required is None else mask & selected(nodes, required)


def selected(nodes: NodeTable, selector: NodeSelector) -> Mask:
    """The rows that meet any of its terms."""
    mask = np.zeros(nodes.width, np.bool_)
    for term in selector.nodeSelectorTerms:
        mask |= term_mask(nodes, term)
    return mask


def preferred_points(nodes: NodeTable, wishes: Iterable[PreferredSchedulingTerm]) -> Column:
    """For each row the sum of the weights of the terms that match."""
    points = np.zeros(nodes.width, np.int64)
    for wish in wishes:
        points += wish.weight * term_mask(nodes, wish.preference)
    return points


def term_mask(nodes: NodeTable, term: NodeSelectorTerm) -> Mask:
    """The rows that meet every condition of a term; none without conditions."""
    if not term.matchExpressions and not term.matchFields:
        return np.zeros(nodes.width, np.bool_)
    mask = nodes.alive.copy()
    for expression in term.matchExpressions:
        mask &= _expression_mask(nodes, expression)
    for field in term.matchFields:
        mask &= _field_mask(nodes, field)
    return mask


def _expression_mask(nodes: NodeTable, requirement: NodeSelectorRequirement) -> Mask:
    label = nodes.label(requirement.key)
    verdicts = [scheduling_rules.holds(requirement, {requirement.key: value}) for value in label.numbers]
    verdicts.append(scheduling_rules.holds(requirement, {}))  # the last, so that code -1 finds it
    mask: Mask = np.array(verdicts, np.bool_)[label.codes]
    return mask


def _field_mask(nodes: NodeTable, requirement: NodeSelectorRequirement) -> Mask:
    mask = np.zeros(nodes.width, np.bool_)
    mask[[row for name, row in nodes.row_of.items() if scheduling_rules.field_holds(requirement, name)]] = True
    return mask
