"""One recorded scenario of kube-scheduler, decided by our scheduler: the function that tests/recorded/decisions.py calls."""
from __future__ import annotations

import random
from typing import Any

import numpy as np

from kubelet_lite.api import encoding
from kubelet_lite.api.core_v1 import Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod, Service
from kubelet_lite.api.policy_v1 import PodDisruptionBudget
from kubelet_lite.api.storage_v1 import StorageClass
from kubelet_lite.scheduler.decision import Decisions, Unschedulable
from kubelet_lite.scheduler.filtering import candidates, feasible_rows, rejected, weighted_scores
from kubelet_lite.scheduler.framework import Handle
from kubelet_lite.scheduler.node_table import NodeTable
from kubelet_lite.scheduler.plugins import default_profile
from kubelet_lite.scheduler.pod_info import pod_info
from kubelet_lite.scheduler.surroundings import Given

KINDS = (Namespace, PersistentVolume, PersistentVolumeClaim, Service, PodDisruptionBudget, StorageClass)
LEFT_OUT = "node(s) didn't satisfy plugin(s)"
"""Nodes that a pre-filter left out are not among the recorded refusals: no filter looked at them."""


def decide(scenario: dict[str, Any]) -> dict[str, Any]:
    """The scenario's answer in the recorded form."""
    nodes = NodeTable()
    for node in scenario["nodes"]:
        nodes.set_node(encoding.from_json(Node, node))
    for placed in (encoding.from_json(Pod, value) for value in scenario["pods"]):
        nodes.place(pod_info(placed), placed.spec.nodeName)
    kinds = {kind.__name__: kind for kind in KINDS}
    around = Given(encoding.from_json(kinds[obj["kind"]], obj) for obj in scenario["objects"])
    handle = Handle.alone(around, nodes)
    profile = default_profile(handle)
    pod = pod_info(encoding.from_json(Pod, scenario["pod"]))
    outcome = Decisions(nodes, profile, handle.nominations).decide(pod, random.Random(1))
    worth = candidates(nodes, pod, profile)
    if worth.refusal is not None and isinstance(outcome, Unschedulable):
        return {"feasible": [], "message": outcome.message}
    rows = feasible_rows(nodes, pod, profile, np.flatnonzero(nodes.alive) if worth.rows is None else worth.rows)
    refusals = rejected(nodes, pod, profile)
    answer: dict[str, Any] = {"feasible": sorted(nodes.name(int(row)) for row in rows)}
    answer["rejected"] = {
        nodes.name(int(row)): {"plugin": r.plugin, "reasons": list(r.reasons), "resolvable": r.resolvable}
        for r, refused in refusals if not r.reasons[0].startswith(LEFT_OUT) for row in refused
    }
    if rows.size:
        scores: dict[str, dict[str, int]] = {nodes.name(int(row)): {} for row in rows}
        total = np.zeros(rows.size, np.int64)
        for name, column in weighted_scores(nodes, pod, profile.scores, rows):
            total += column
            for row, value in zip(rows, np.broadcast_to(column, rows.shape), strict=True):
                scores[nodes.name(int(row))][name] = int(value)
        answer["scores"] = scores
        answer["totals"] = {nodes.name(int(row)): int(value) for row, value in zip(rows, total, strict=True)}
    if isinstance(outcome, Unschedulable):
        answer["message"] = outcome.message
        nomination = outcome.attempt.nomination
        if nomination is not None:
            names = sorted(victim.pod.metadata.name for victim in nomination.victims)
            answer["preempt"] = [f"{nomination.node_name}: {' '.join(names)}"]
    return answer
