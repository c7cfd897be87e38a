"""What an update may change of a pod: images, deadlines, tolerations to add, gates to remove; of a gated pod also where it may run.

https://kubernetes.io/docs/concepts/workloads/pods/#pod-update-and-replacement
"""
from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from kubelet_lite.api import names
from kubelet_lite.api.core_v1 import (
    Affinity,
    Container,
    NodeAffinity,
    NodeSelectorTerm,
    Pod,
    PodSchedulingGate,
    PodSpec,
    Toleration,
)
from kubelet_lite.api.errors import FieldError, forbidden, invalid, required
from kubelet_lite.registry.kinds.pods.annotations import validate_annotation_updates, validate_pod_annotations
from kubelet_lite.registry.kinds.pods.scheduling import REQUIRED_RULES, validate_tolerations
from kubelet_lite.registry.validation.go_values import go_value
from kubelet_lite.registry.validation.numbers import MAX_INT32

UPDATABLE: Final = ",".join((
    "`spec.containers[*].image`", "`spec.initContainers[*].image`", "`spec.activeDeadlineSeconds`",
    "`spec.tolerations` (only additions to existing tolerations)",
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
))


def validate_pod_update(new: Pod, old: Pod) -> Iterator[FieldError]:
    annotations = new.metadata.annotations
    yield from validate_annotation_updates("metadata.annotations", annotations, old.metadata.annotations)
    yield from validate_pod_annotations("metadata.annotations", annotations, new.spec)
    if new.spec is not old.spec:
        yield from _spec("spec", new.spec, old.spec)


def _spec(path: str, new: PodSpec, old: PodSpec) -> Iterator[FieldError]:
    for field in ("containers", "initContainers"):
        if len(getattr(new, field)) != len(getattr(old, field)):
            yield forbidden(f"{path}.{field}", "pod updates may not add or remove containers")
            return
        yield from _images(f"{path}.{field}", getattr(new, field))
    deadline, before = new.activeDeadlineSeconds, old.activeDeadlineSeconds
    at = f"{path}.activeDeadlineSeconds"
    if deadline is not None:
        if not 0 <= deadline <= MAX_INT32:
            yield invalid(at, deadline, names.not_between(0, MAX_INT32))
            return
        if before is not None and before < deadline:
            yield invalid(at, deadline, "must be less than or equal to previous value")
            return
    elif before is not None:
        yield invalid(at, None, "must not update from a positive integer to nil value")
    yield from _only_added_tolerations(f"{path}.tolerations", new.tolerations, old.tolerations)
    yield from _only_deleted_gates(f"{path}.schedulingGates", new.schedulingGates, old.schedulingGates)
    if new == old:
        return
    rest = _with_updatable_fields(new, old)
    if old.schedulingGates:
        yield from _placement(path, rest, old)
        rest = replace(rest, nodeSelector=old.nodeSelector, affinity=_with_node_affinity(rest.affinity, old.affinity))
    if rest != old:
        yield forbidden(path, f"pod updates may not change fields other than {UPDATABLE}\n{_difference(old, rest)}")


def _images(path: str, containers: tuple[Container, ...]) -> Iterator[FieldError]:
    for i, container in enumerate(containers):
        if not container.image:
            yield required(f"{path}[{i}].image")
        if container.image.strip() != container.image:
            yield invalid(f"{path}[{i}].image", container.image, "must not have leading or trailing whitespace")


def _only_added_tolerations(path: str, new: tuple[Toleration, ...], old: tuple[Toleration, ...]) -> Iterator[FieldError]:
    for toleration in old:
        if not any(replace(toleration, tolerationSeconds=other.tolerationSeconds) == other for other in new):
            yield forbidden(path, "existing toleration can not be modified except its tolerationSeconds")
            return
    yield from validate_tolerations(path, new)


def _only_deleted_gates(path: str, new: tuple[PodSchedulingGate, ...], old: tuple[PodSchedulingGate, ...]) -> Iterator[FieldError]:
    known = {gate.name for gate in old}
    added = {gate.name: i for i, gate in enumerate(new) if gate.name not in known}
    for name, i in added.items():
        yield forbidden(f"{path}[{i}].name", f"only deletion is allowed, but found new scheduling gate '{name}'")


def _with_updatable_fields(new: PodSpec, old: PodSpec) -> PodSpec:
    """The new spec with all that may change as it was."""
    grace = new.terminationGracePeriodSeconds
    if grace == 1 and old.terminationGracePeriodSeconds is not None and old.terminationGracePeriodSeconds < 0:
        grace = old.terminationGracePeriodSeconds
    return replace(
        new,
        containers=tuple(replace(a, image=b.image) for a, b in zip(new.containers, old.containers, strict=True)),
        initContainers=tuple(replace(a, image=b.image) for a, b in zip(new.initContainers, old.initContainers, strict=True)),
        activeDeadlineSeconds=old.activeDeadlineSeconds,
        schedulingGates=old.schedulingGates,
        tolerations=old.tolerations,
        terminationGracePeriodSeconds=grace,
    )


# ---- gated pods


def _placement(path: str, new: PodSpec, old: PodSpec) -> Iterator[FieldError]:
    """The choice of nodes may be narrowed, never changed otherwise."""
    if any(new.nodeSelector.get(key) != value for key, value in old.nodeSelector.items()):
        yield invalid(f"{path}.nodeSelector", dict(sorted(new.nodeSelector.items())),
                      "only additions to spec.nodeSelector are allowed (no mutations or deletions)")
    yield from _narrower(f"{path}.affinity.nodeAffinity.{REQUIRED_RULES}.nodeSelectorTerms", _terms(_nodes(new)), _terms(_nodes(old)))


def _nodes(spec: PodSpec) -> NodeAffinity | None:
    return spec.affinity.nodeAffinity if spec.affinity is not None else None


def _terms(affinity: NodeAffinity | None) -> tuple[NodeSelectorTerm, ...] | None:
    if affinity is None or affinity.requiredDuringSchedulingIgnoredDuringExecution is None:
        return None
    return affinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms


def _narrower(path: str, new: tuple[NodeSelectorTerm, ...] | None, old: tuple[NodeSelectorTerm, ...] | None) -> Iterator[FieldError]:
    if not old or new == old:
        return
    if len(new or ()) != len(old):
        yield invalid(path, go_value(new), "no additions/deletions to non-empty NodeSelectorTerms list are allowed")
        return
    for i, (after, before) in enumerate(zip(new or (), old, strict=True)):
        same = after.matchExpressions[:len(before.matchExpressions)] == before.matchExpressions
        same = same and after.matchFields[:len(before.matchFields)] == before.matchFields
        was_empty = not before.matchExpressions and not before.matchFields
        if not same or (was_empty and (after.matchExpressions or after.matchFields)):
            yield invalid(f"{path}[{i}]", go_value(after), "only additions are allowed (no mutations or deletions)")


def _with_node_affinity(new: Affinity | None, old: Affinity | None) -> Affinity | None:
    """The new affinity with the old choice of nodes."""
    before = old.nodeAffinity if old is not None else None
    if new is None:
        return None if before is None else Affinity(nodeAffinity=before)
    if old is None and new.podAffinity is None and new.podAntiAffinity is None:
        return None
    return replace(new, nodeAffinity=before)


def _difference(old: PodSpec, new: PodSpec) -> str:
    """What changed, as a unified diff of the whole spec."""
    before, after = (json.dumps(go_value(spec), indent=1, ensure_ascii=False).splitlines() for spec in (old, new))
    lines = list(difflib.unified_diff(before, after, lineterm=""))[2:]
    return "\n".join(lines) + "\n" if lines else ""
