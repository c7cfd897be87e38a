"""Revisions of a Deployment: which ReplicaSet is which, and the annotations in which they keep their history.

https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#rolling-back-a-deployment
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from kubelet_lite.api.apps_v1 import Deployment, ReplicaSet
from kubelet_lite.api.core_v1 import PodTemplateSpec
from kubelet_lite.api.selectors import integer

REVISION: Final = "deployment.kubernetes.io/revision"
HISTORY: Final = "deployment.kubernetes.io/revision-history"
"""Revisions that a ReplicaSet was before it was rolled back to."""
DESIRED_REPLICAS: Final = "deployment.kubernetes.io/desired-replicas"
MAX_REPLICAS: Final = "deployment.kubernetes.io/max-replicas"
"""The Deployment's size, and its size with the surge, when the ReplicaSet was last scaled."""
ROLLBACK_TO: Final = "deprecated.deployment.rollback.to"
HASH_LABEL: Final = "pod-template-hash"
LONGEST_HISTORY: Final = 2000
"""Characters of that annotation; the oldest revisions are forgotten first."""
_OWN: Final = frozenset((
    "kubectl.kubernetes.io/last-applied-configuration", REVISION, HISTORY, DESIRED_REPLICAS, MAX_REPLICAS, ROLLBACK_TO,
))
"""Annotations that a ReplicaSet does not take over from its Deployment."""


def newest_last(sets: Iterable[ReplicaSet]) -> list[ReplicaSet]:
    return sorted(sets, key=lambda rs: (rs.metadata.creationTimestamp or "", rs.metadata.name))


def find_new(deployment: Deployment, sets: Iterable[ReplicaSet]) -> ReplicaSet | None:
    """The ReplicaSet of the Deployment's present template: of several the oldest."""
    wanted = deployment.spec.template
    return next((rs for rs in newest_last(sets) if same_template(rs.spec.template, wanted)), None)


def same_template(one: PodTemplateSpec, other: PodTemplateSpec) -> bool:
    """Whether templates differ in nothing but the label that a Deployment adds."""
    return one.spec == other.spec and _without_hash(one) == _without_hash(other)


def _without_hash(template: PodTemplateSpec) -> object:
    labels = {key: value for key, value in template.metadata.labels.items() if key != HASH_LABEL}
    return replace(template.metadata, labels=labels)


def integer_annotation(rs: ReplicaSet, name: str) -> int | None:
    text = rs.metadata.annotations.get(name)
    return None if text is None else integer(text)


def next_revision(old: Sequence[ReplicaSet]) -> int:
    """After those of all old ReplicaSets."""
    return max((integer_annotation(rs, REVISION) or 0 for rs in old), default=0) + 1


def size_annotations(replicas: int, most: int) -> Mapping[str, str]:
    return {DESIRED_REPLICAS: str(replicas), MAX_REPLICAS: str(most)}


def new_annotations(deployment: Deployment, known: Mapping[str, str], revision: int) -> Mapping[str, str]:
    """Annotations that the newest ReplicaSet, which has `known`, must get: its Deployment's, and its revision."""
    wanted = {
        key: value for key, value in deployment.metadata.annotations.items() if key not in _OWN and known.get(key) != value
    }
    before = known.get(REVISION)
    number = integer(before) if before else 0
    if number is None or number >= revision:
        return wanted
    wanted[REVISION] = str(revision)
    if before is not None and (history := _history(known.get(HISTORY, ""), before)) is not None:
        wanted[HISTORY] = history
    return wanted


def _history(text: str, revision: str) -> str | None:
    """With one more revision; None when it cannot be kept short enough."""
    if not text:
        return revision
    revisions = text.split(",")
    length = len(text) + 1 + len(revision)
    while length > LONGEST_HISTORY and revisions:
        length -= len(revisions.pop(0)) + 1
    return ",".join([*revisions, revision]) if length <= LONGEST_HISTORY else None
