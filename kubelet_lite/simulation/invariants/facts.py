"""What invariants ask of objects: written anew from Kubernetes' documents, so that a mistake of the code under test is not repeated here."""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from kubelet_lite.api import quantities, scheduling_rules, timestamps
from kubelet_lite.api.core_v1 import Node, Pod
from kubelet_lite.api.resources import Resource, find_kind
from kubelet_lite.api.scheduling_rules import FINISHED
from kubelet_lite.simulation.snapshot import Snapshot

STALE_SECONDS: Final = 300.0
"""How old what a part knows may be at most, for an invariant to hold it against it: longer than faults of a standard mix last."""
CALM_SECONDS: Final = 60.0
"""After so long without a fault all caches are up to date again: back-offs of broken watches are over."""
LAG_SECONDS: Final = 5.0
"""How old what a part knows may be then."""
SHARED: Final = ("controllers' informers", "controllers")
"""Parts by which all controllers are struck: their eyes, their clock."""


def oldest_belief(snapshot: Snapshot, now: float, controller: str) -> float:
    """The moment from which on what was there may still be believed by a controller."""
    return now - (LAG_SECONDS if now - snapshot.calm_since(controller, *SHARED) > CALM_SECONDS else STALE_SECONDS)


def named(obj: Any) -> str:
    meta = obj.metadata
    return f"{meta.namespace}/{meta.name}" if meta.namespace else str(meta.name)


def is_ready(obj: Pod | Node) -> bool:
    return any(c.type == "Ready" and c.status == "True" for c in obj.status.conditions)


def is_active(pod: Pod) -> bool:
    """Neither finished nor being deleted."""
    return pod.status.phase not in FINISHED and pod.metadata.deletionTimestamp is None


def is_renewed(lease: Any | None, now: float) -> bool:
    """Whether a node's lease says that its kubelet is alive."""
    if lease is None or not lease.spec.renewTime:
        return False
    return now - timestamps.parse_time(lease.spec.renewTime) < (lease.spec.leaseDurationSeconds or 40)


def controller_uid(obj: Any) -> str:
    return next((reference.uid for reference in obj.metadata.ownerReferences if reference.controller), "")


def owner_resource(reference: Any) -> Resource | None:
    """The kind that an owner reference names; None: one that is not built in."""
    return find_kind(reference.apiVersion, reference.kind)


def owners(obj: Any, snapshot: Snapshot) -> Iterator[tuple[Any, Any | None]]:
    """An object's owner references of built-in kinds, each with the owner if it is there."""
    for reference in obj.metadata.ownerReferences:
        resource = owner_resource(reference)
        if resource is not None:
            owner = snapshot.get(resource.qualified, reference.name, obj.metadata.namespace if resource.namespaced else "")
            yield reference, owner if owner is not None and owner.metadata.uid == reference.uid else None


def requests(pod: Pod) -> Mapping[str, int]:
    """What a pod takes of its node: of each resource in base units (cpu in thousandths), and one pod."""
    return {**scheduling_rules.pod_requests(pod), "pods": 1}


def allocatable(node: Node) -> Mapping[str, int]:
    """What a node has, in the same units."""
    return {name: quantities.milli(text) if name == "cpu" else quantities.to_int(text) for name, text in node.status.allocatable.items()}


def matches_labels(wanted: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    return all(labels.get(key) == value for key, value in wanted.items())


def joined(words: Iterable[str], most: int = 5) -> str:
    """Some of them, and how many more."""
    listed = list(words)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return "; ".join(listed[:most]) + more
