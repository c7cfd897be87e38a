"""Which updates of a pod matter to the scheduler: most are of its status, and change nothing."""
from __future__ import annotations

from kubelet_lite.api.core_v1 import Pod


def asks_the_same(old: Pod, new: Pod) -> bool:
    """Whether only its status, or what nobody looks at, has changed. Of the status, the claims that were made for it count."""
    a, b = old.metadata, new.metadata
    return (
        a.uid == b.uid and old.spec == new.spec and a.labels == b.labels and a.annotations == b.annotations
        and old.status.resourceClaimStatuses == new.status.resourceClaimStatuses
    )


def counts_the_same(old: Pod, new: Pod) -> bool:
    """Most updates of a pod are its status, or the labels that it gets with its node: it asks for as much of its node as before."""
    a, b = old.spec, new.spec
    return (
        (old.metadata.deletionTimestamp is None) == (new.metadata.deletionTimestamp is None)
        and a.containers == b.containers and a.initContainers == b.initContainers and a.overhead == b.overhead and a.resources == b.resources
        and _granted(old) == _granted(new)
    )


def _granted(pod: Pod) -> list[tuple[str, object, object]]:
    """The resources that containers were granted, where their resize makes them differ from the spec."""
    return [(s.name, s.resources, s.allocatedResources) for s in pod.status.containerStatuses if s.resources is not None]
