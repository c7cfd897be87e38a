"""VolumeBinding: bound volumes must be reachable from the node; for claims that wait for a node there must be one to bind or to make.

https://kubernetes.io/docs/concepts/storage/storage-classes/#volume-binding-mode
"""
from __future__ import annotations

from collections.abc import Awaitable, Iterable, Sequence
from typing import Any, Final

import msgspec
import numpy as np

from kubelet_lite.api import quantities, selectors
from kubelet_lite.api.core_v1 import Node, NodeSelector, PersistentVolume, PersistentVolumeClaim
from kubelet_lite.api.storage_v1 import CSIDriver, CSINode, CSIStorageCapacity, StorageClass
from kubelet_lite.scheduler import node_terms
from kubelet_lite.scheduler.framework import Change, Handle, Plugin, Refusals, Rejection
from kubelet_lite.scheduler.node_table import Column, Mask, NodeTable, Rows
from kubelet_lite.scheduler.pod_info import PodInfo
from kubelet_lite.scheduler.scoring_resources import UtilizationShapePoint
from kubelet_lite.scheduler.volumes import claims
from kubelet_lite.scheduler.volumes.binder import NOTHING_TO_BIND, Choice, VolumeBinder

UNREACHABLE: Final = "node(s) didn't match PersistentVolume's node affinity"
NONE_TO_BIND: Final = "node(s) didn't find available persistent volumes to bind"
NO_SPACE: Final = "node(s) did not have enough free storage"
GONE: Final = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"
KINDS: Final = (PersistentVolumeClaim, PersistentVolume, StorageClass, CSIDriver, CSIStorageCapacity)
REASONS: Final = (UNREACHABLE, NONE_TO_BIND, NO_SPACE, GONE)


class VolumeBindingArgs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    bindTimeoutSeconds: int = 600
    """How long a pod waits for its volumes to be bound; 0: not at all."""
    shape: tuple[UtilizationShapePoint, ...] = ()
    """Belongs to an alpha feature of Kubernetes: refused."""


class VolumeBinding(Plugin):
    Args = VolumeBindingArgs
    args: VolumeBindingArgs

    def __init__(self, handle: Handle, args: VolumeBindingArgs | None = None) -> None:
        super().__init__(handle, args)
        self._binder = VolumeBinder(handle, self.args.bindTimeoutSeconds)

    def hint(self, change: Change) -> bool:
        if change.kind is Node:
            return change.new is not None and (change.old is None or change.old.metadata.labels != change.new.metadata.labels)
        return change.kind in (*KINDS, CSINode) and change.new is not None

    def needs(self, pod: PodInfo, nodes: NodeTable) -> Sequence[type[Any]]:
        return KINDS if pod.volumes else ()

    # PreFilter

    def pre_filter(self, pod: PodInfo, nodes: NodeTable) -> str | None:
        if not pod.volumes:
            return None
        for volume in pod.volumes:
            name = claims.claim_name(pod.pod, volume)
            wrong = self._wrong(pod, name, volume.ephemeral is not None) if name else ""
            if wrong:
                return wrong
        if claims.sorted_out(self.handle.surroundings, pod.pod, pod.volumes).overdue:
            return "pod has unbound immediate PersistentVolumeClaims"
        return None

    def _wrong(self, pod: PodInfo, name: str, ephemeral: bool) -> str:
        """Why the claim cannot be used at all."""
        meta = pod.pod.metadata
        claim = self.handle.surroundings.get(PersistentVolumeClaim, name, meta.namespace)
        if claim is None:
            waiting = "waiting for ephemeral volume controller to create the"
            return f'{waiting} persistentvolumeclaim "{name}"' if ephemeral else f'persistentvolumeclaim "{name}" not found'
        if claim.status.phase == "Lost":
            return f'persistentvolumeclaim "{name}" bound to non-existent persistentvolume "{claim.spec.volumeName}"'
        if claim.metadata.deletionTimestamp is not None:
            return f'persistentvolumeclaim "{name}" is being deleted'
        if ephemeral and not any(r.controller and r.uid == meta.uid for r in claim.metadata.ownerReferences):
            return f"PVC {meta.namespace}/{name} was not created for pod {meta.namespace}/{meta.name} (pod is not owner)"
        return ""

    # Filter

    def applies(self, pod: PodInfo, nodes: NodeTable) -> bool:
        return bool(pod.volumes)

    def mask(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Mask:
        mask: Mask = self._verdicts(pod, nodes, rows) == 0
        return mask

    def reject(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Refusals:
        verdicts = self._verdicts(pod, nodes, rows)
        found = []
        for verdict in np.unique(verdicts).tolist():
            reasons = tuple(reason for bit, reason in enumerate(REASONS) if verdict >> bit & 1)
            found.append((Rejection(self.name, reasons, resolvable=False), rows[verdicts == verdict]))
        return found

    def _verdicts(self, pod: PodInfo, nodes: NodeTable, rows: Rows) -> Column:
        """One bit a reason, in the order of REASONS; 0: the node is good."""
        verdicts = np.zeros(rows.size, np.int64)
        found = claims.sorted_out(self.handle.surroundings, pod.pod, pod.volumes)
        reachable = np.ones(rows.size, np.bool_)
        for claim in found.bound:
            volume = self.handle.surroundings.get(PersistentVolume, claim.spec.volumeName)
            if volume is None:
                verdicts |= np.where(reachable, 1 << REASONS.index(GONE), 0)
                break
            reachable &= _reachable(nodes, volume)[rows]
        verdicts |= np.where(reachable, 0, 1 << REASONS.index(UNREACHABLE))
        if found.waiting:
            self._judge_waiting(nodes, found.waiting, rows, verdicts)
        return verdicts

    def _judge_waiting(self, nodes: NodeTable, waiting: Sequence[PersistentVolumeClaim], rows: Rows, verdicts: Column) -> None:
        """Sets the bits that speak of claims that wait for a node."""
        elsewhere = np.zeros(rows.size, np.bool_)
        to_match, to_make = [], []
        for claim in waiting:
            selected = claim.metadata.annotations.get(claims.SELECTED_NODE)
            if selected is not None:
                elsewhere |= rows != nodes.row_of.get(selected, -1)
                to_make.append((claim, np.ones(rows.size, np.bool_)))
            else:
                to_match.append(claim)
        for claim, matched in zip(to_match, self._matched(nodes, to_match, rows), strict=True):
            to_make.append((claim, matched < 0))
        bindable, spacious = np.ones(rows.size, np.bool_), np.ones(rows.size, np.bool_)
        for claim, concerned in to_make:
            can, enough = self._makeable(nodes, claim, rows)
            still = concerned & bindable & spacious
            bindable &= can | ~still
            spacious &= enough | ~(still & can)
        verdicts |= np.where(elsewhere | ~bindable, 1 << REASONS.index(NONE_TO_BIND), 0)
        verdicts |= np.where(~elsewhere & bindable & ~spacious, 1 << REASONS.index(NO_SPACE), 0)

    def _matched(self, nodes: NodeTable, waiting: list[PersistentVolumeClaim], rows: Rows) -> Sequence[Column]:
        """For each claim and row the number of the volume it would get among its candidates; -1: none."""
        every = self.handle.surroundings.list(PersistentVolume) if waiting else ()
        found: dict[str, Column] = {}
        taken: dict[str, Mask] = {}
        for claim in sorted(waiting, key=claims.size):
            matched = np.full(rows.size, -1, np.int64)
            for i, volume in enumerate(claims.candidates(claim, every)):
                taken_here = taken.setdefault(volume.metadata.name, np.zeros(rows.size, np.bool_))
                takes = _reachable(nodes, volume)[rows] & (matched < 0) & ~taken_here
                matched[takes] = i
                taken_here |= takes
            found[claim.metadata.name] = matched
        return [found[claim.metadata.name] for claim in waiting]

    def _makeable(self, nodes: NodeTable, claim: PersistentVolumeClaim, rows: Rows) -> tuple[Mask, Mask]:
        """Where a volume could be made for the claim, and where there is storage enough for it."""
        nowhere, everywhere = np.zeros(rows.size, np.bool_), np.ones(rows.size, np.bool_)
        storage_class = self.handle.surroundings.get(StorageClass, claims.class_of(claim))
        if storage_class is None or storage_class.provisioner in ("", claims.NO_PROVISIONER):
            return nowhere, everywhere
        allowed = everywhere
        if storage_class.allowedTopologies:
            allowed = nowhere
            for term in storage_class.allowedTopologies:
                within = everywhere
                for expression in term.matchLabelExpressions:
                    within = within & _one_of(nodes, expression.key, expression.values, rows)
                allowed = allowed | (within if term.matchLabelExpressions else nowhere)
        return allowed, self._enough(nodes, claim, storage_class, rows)

    def _enough(self, nodes: NodeTable, claim: PersistentVolumeClaim, storage_class: StorageClass, rows: Rows) -> Mask:
        driver = self.handle.surroundings.get(CSIDriver, storage_class.provisioner)
        if driver is None or not driver.spec.storageCapacity:
            return np.ones(rows.size, np.bool_)
        enough, wanted = np.zeros(rows.size, np.bool_), claims.size(claim)
        for known in self.handle.surroundings.list(CSIStorageCapacity):
            limit = known.maximumVolumeSize or known.capacity
            if known.storageClassName != storage_class.metadata.name or not limit or quantities.to_int(limit) < wanted or known.nodeTopology is None:
                continue
            selector = selectors.from_label_selector(known.nodeTopology)
            labels = ((i, nodes.nodes[row]) for i, row in enumerate(rows.tolist()))
            enough[[i for i, node in labels if node is not None and selector.matches(node.metadata.labels)]] = True
        return enough

    # Reserve and PreBind

    def reserve(self, pod: PodInfo, node_name: str) -> None:
        choice = self.choose(pod, self.handle.nodes, node_name) if pod.volumes else NOTHING_TO_BIND
        if choice != NOTHING_TO_BIND:
            self._binder.assume(pod.key, choice, node_name)

    def unreserve(self, pod: PodInfo, node_name: str) -> None:
        self._binder.revert(pod.key)

    def pre_bind(self, pod: PodInfo, node_name: str) -> Awaitable[str | None] | None:
        return self._binder.bind(pod.key) if pod.volumes and self._binder.has_assumed(pod.key) else None

    def post_bind(self, pod: PodInfo, node_name: str) -> None:
        self._binder.done(pod.key)

    def choose(self, pod: PodInfo, nodes: NodeTable, node_name: str) -> Choice:
        """What the pod's claims get on a node that passed."""
        waiting = list(claims.sorted_out(self.handle.surroundings, pod.pod, pod.volumes).waiting)
        to_match = [claim for claim in waiting if claims.SELECTED_NODE not in claim.metadata.annotations]
        rows = np.array([nodes.row_of[node_name]], np.intp)
        bind, provision = [], [claim for claim in waiting if claim not in to_match]
        for claim, matched in zip(to_match, self._matched(nodes, to_match, rows), strict=True):
            if matched[0] < 0:
                provision.append(claim)
            else:
                bind.append((claim, claims.candidates(claim, self.handle.surroundings.list(PersistentVolume))[int(matched[0])]))
        return Choice(tuple(bind), tuple(provision))


def _reachable(nodes: NodeTable, volume: PersistentVolume) -> Mask:
    """The rows from which the volume can be reached."""
    required: NodeSelector | None = volume.spec.nodeAffinity.required if volume.spec.nodeAffinity is not None else None
    return nodes.alive if required is None else node_terms.selected(nodes, required)


def _one_of(nodes: NodeTable, key: str, values: Iterable[str], rows: Rows) -> Mask:
    label = nodes.label(key)
    allowed = np.array([value in values for value in label.numbers] + [False], np.bool_)
    mask: Mask = allowed[label.codes[rows]]
    return mask
