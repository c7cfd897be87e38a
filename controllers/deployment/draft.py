"""A Deployment's plan in the making: its ReplicaSets as they will be, and the actions that make them so."""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from kubelet_lite.api.apps_v1 import Deployment, ReplicaSet, ReplicaSetSpec
from kubelet_lite.api.core_v1 import Pod
from kubelet_lite.api.meta_v1 import LabelSelector, ObjectMeta
from kubelet_lite.api.resources import resource_of
from kubelet_lite.controllers.base import Action, Create, Delete, Failure, Patch, Record, controller_reference
from kubelet_lite.controllers.deployment import amounts, history
from kubelet_lite.controllers.deployment.amounts import replicas_of
from kubelet_lite.controllers.deployment.conditions import Conditions, condition, with_condition
from kubelet_lite.controllers.deployment.template_hash import template_hash

NEVER: Final = 2 ** 31 - 1
"""A deadline or a limit that means: none."""


class DeploymentView(msgspec.Struct, frozen=True, kw_only=True):
    """A Deployment, and what is its own."""

    deployment: Deployment
    replica_sets: Sequence[ReplicaSet]
    """Those that it manages, and all orphans of its namespace."""
    pods: Sequence[Pod] = ()
    """Those of its ReplicaSets; only where the strategy is Recreate."""
    rival: ReplicaSet | None = None
    """A ReplicaSet that has the name which the last plan wanted for a new one."""
    failures: Sequence[Failure] = ()


class Draft:
    """Scales, creates and deletes ReplicaSets on paper. `sets`: those that belong to the Deployment."""

    def __init__(self, view: DeploymentView, sets: Iterable[ReplicaSet], now: float) -> None:
        self.view = view
        self.deployment = view.deployment
        self.now = now
        self.actions: list[Action] = []
        self.conditions: Conditions = view.deployment.status.conditions
        self.collision_count = view.deployment.status.collisionCount
        self.revision = view.deployment.metadata.annotations.get(history.REVISION)
        self._sets = {rs.metadata.name: rs for rs in history.newest_last(sets)}
        """By name, oldest first; as the actions so far will leave them."""
        new = history.find_new(view.deployment, self._sets.values())
        self._new = new.metadata.name if new is not None else None
        self._patched: dict[str, None] = {}

    @property
    def new(self) -> ReplicaSet | None:
        """The one of the present template, if it exists."""
        return self._sets[self._new] if self._new is not None else None

    @property
    def old(self) -> list[ReplicaSet]:
        """All others, oldest first."""
        return [rs for name, rs in self._sets.items() if name != self._new]

    @property
    def all(self) -> list[ReplicaSet]:
        return list(self._sets.values())

    @property
    def has_deadline(self) -> bool:
        seconds = self.deployment.spec.progressDeadlineSeconds
        return seconds is not None and seconds != NEVER

    def set_condition(self, type: str, status: str, reason: str, message: str) -> None:
        self.conditions = with_condition(self.conditions, condition(type, status, reason, message, self.now))

    def sync_new(self) -> None:
        """Brings the newest ReplicaSet's annotations up to date, and the Deployment's revision with them."""
        new = self.new
        if new is None:
            return
        spec = self.deployment.spec
        annotations = history.new_annotations(self.deployment, new.metadata.annotations, history.next_revision(self.old))
        change: dict[str, Any] = {}
        if new.spec.minReadySeconds != spec.minReadySeconds:
            change["minReadySeconds"] = spec.minReadySeconds
            new = replace(new, spec=replace(new.spec, minReadySeconds=spec.minReadySeconds))
        if annotations or change:
            new = self._patch(new, annotations, change)
        self.revision = new.metadata.annotations.get(history.REVISION)
        if self.has_deadline and not any(c.type == "Progressing" for c in self.conditions):
            self.set_condition("Progressing", "True", "FoundNewReplicaSet", f'Found new replica set "{new.metadata.name}"')

    def scale(self, rs: ReplicaSet, replicas: int) -> bool:
        """Whether anything is to be done for that."""
        if replicas_of(rs) == replicas:
            return False
        self.resize(rs, replicas)
        return True

    def resize(self, rs: ReplicaSet, replicas: int) -> None:
        """Writes a size, and the Deployment's size with it."""
        success = self._scaled(rs.metadata.name, replicas_of(rs), replicas) if replicas != replicas_of(rs) else None
        self._patch(replace(rs, spec=replace(rs.spec, replicas=replicas)), self._sizes(), {"replicas": replicas}, success)

    def share_out(self, active: Sequence[ReplicaSet]) -> None:
        """Shares a changed size out; also who keeps its size notes what the Deployment's is now."""
        annotations = self._sizes()
        for rs, replicas in amounts.proportional_sizes(self.deployment, active):
            known = rs.metadata.annotations
            if replicas_of(rs) != replicas or any(known.get(key) != value for key, value in annotations.items()):
                self.resize(rs, replicas)

    def create_new(self) -> None:
        """A ReplicaSet for the present template. Where its name is taken by another, one more collision: the next hash differs."""
        deployment = self.deployment
        if self.view.rival is not None:
            self.collision_count = (self.collision_count or 0) + 1
            return
        spec, hash = deployment.spec, template_hash(deployment.spec.template, self.collision_count)
        label = {history.HASH_LABEL: hash}
        template = replace(spec.template, metadata=replace(spec.template.metadata, labels={**spec.template.metadata.labels, **label}))
        selector = spec.selector or LabelSelector()
        name = f"{deployment.metadata.name}-{hash}"
        revision = history.next_revision(self.old)
        size = amounts.new_size(deployment, self.old, 0)
        created = ReplicaSet(
            metadata=ObjectMeta(
                name=name, namespace=deployment.metadata.namespace, labels=template.metadata.labels,
                annotations={**history.new_annotations(deployment, {}, revision), **self._sizes()},
                ownerReferences=(controller_reference(deployment, resource_of(Deployment)),),
            ),
            spec=ReplicaSetSpec(
                replicas=size, minReadySeconds=spec.minReadySeconds, template=template,
                selector=replace(selector, matchLabels={**selector.matchLabels, **label}),
            ),
        )
        self.actions.append(Create(
            object=created,
            success=self._scaled(name, 0, size) if size else None,
            failure=Record(deployment, "Warning", "ReplicaSetCreateError", f'Failed to create new replica set "{name}": {{error}}'),
        ))
        self._sets[name], self._new = created, name
        self.revision = str(revision)
        if self.has_deadline:
            self.set_condition("Progressing", "True", "NewReplicaSetCreated", f'Created new replica set "{name}"')

    def clean_up(self) -> None:
        """Forgets revisions beyond the limit, the oldest first; not those that still have pods."""
        limit = self.deployment.spec.revisionHistoryLimit
        if limit is None or limit == NEVER:
            return
        old = [rs for rs in self.old if rs.metadata.deletionTimestamp is None]
        old.sort(key=lambda rs: history.integer_annotation(rs, history.REVISION) or 0)
        for rs in old[:max(len(old) - limit, 0)]:
            seen = rs.metadata.generation <= rs.status.observedGeneration
            if seen and not rs.status.replicas and not replicas_of(rs):
                self.actions.append(Delete(object=rs))

    def _patch(
        self, rs: ReplicaSet, annotations: Mapping[str, str], spec: Mapping[str, Any], success: Record | None = None,
    ) -> ReplicaSet:
        change: dict[str, Any] = {"spec": dict(spec)} if spec else {}
        if annotations:
            change["metadata"] = {"annotations": dict(annotations)}
        name = rs.metadata.name
        self.actions.append(Patch(object=rs, change=change, if_unchanged=name not in self._patched, success=success))
        self._patched[name] = None
        changed = replace(rs, metadata=replace(rs.metadata, annotations={**rs.metadata.annotations, **annotations}))
        self._sets[name] = changed
        return changed

    def _sizes(self) -> Mapping[str, str]:
        return history.size_annotations(replicas_of(self.deployment), amounts.most_pods(self.deployment))

    def _scaled(self, name: str, before: int, after: int) -> Record:
        message = f"Scaled {'up' if after > before else 'down'} replica set {name} from {before} to {after}"
        return Record(self.deployment, "Normal", "ScalingReplicaSet", message)
