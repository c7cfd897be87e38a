"""Owners and what they own, finalizers, namespaces, generations: what holds of every object's metadata.

https://kubernetes.io/docs/concepts/architecture/garbage-collection/
https://kubernetes.io/docs/concepts/overview/working-with-objects/finalizers/
"""
from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from kubelet_lite.simulation.archive import Revision
from kubelet_lite.simulation.invariant import Invariant
from kubelet_lite.simulation.invariants.facts import named, owners
from kubelet_lite.simulation.snapshot import Snapshot

if TYPE_CHECKING:
    from kubelet_lite.simulation.simulation import Simulation

COLLECTOR: Final = "garbage-collector-controller"
FOREGROUND: Final = "foregroundDeletion"
MANAGERS: Final = {
    "replicaset-controller": "replicasets.apps", "replication-controller": "replicationcontrollers", "deployment-controller": "deployments.apps",
}
"""Controllers that delete what they manage, and the kind of the managers."""


class LiveOwnerNeverCollected(Invariant):
    """The garbage collector deletes nothing that has an owner left: one that exists, with that UID, and is not itself waiting, in foreground
    deletion, for what it owns to go."""

    name = "LiveOwnerNeverCollected"

    def on_revision(self, revision: Revision, before: Snapshot) -> Iterable[str]:
        if revision.actor != COLLECTOR:
            return ()
        new, old = revision.event.object, revision.event.previous
        if old is None or not old.metadata.ownerReferences or old.metadata.deletionTimestamp is not None:
            return ()
        if new is not None and new.metadata.deletionTimestamp is None:
            return ()
        for reference, owner in owners(old, before):
            if owner is not None and not (owner.metadata.deletionTimestamp is not None and FOREGROUND in owner.metadata.finalizers):
                return (f"{revision.event.key} was collected at revision {revision.event.revision} though its owner {reference.kind} {reference.name} is there",)
        return ()


class OrphanNeverDeleted(Invariant):
    """A controller deletes only what it manages: not what was taken from it, or given up, before. (kubernetes/kubernetes#138818)"""

    name = "OrphanNeverDeleted"
    resources = ("pods", "replicasets.apps")

    def on_revision(self, revision: Revision, before: Snapshot) -> Iterable[str]:
        kind = MANAGERS.get(revision.actor)
        if kind is None:
            return ()
        new, old = revision.event.object, revision.event.previous
        deletes = old is not None and old.metadata.deletionTimestamp is None and (new is None or new.metadata.deletionTimestamp is not None)
        if old is None or not deletes or any(reference.controller and _kind_is(reference, kind) for reference in old.metadata.ownerReferences):
            return ()
        return (f"{revision.event.key} was deleted at revision {revision.event.revision} by {revision.actor}, which did not manage it",)


def _kind_is(reference: Any, qualified: str) -> bool:
    plural, _, group = qualified.partition(".")
    return bool(reference.kind.lower() + "s" == plural and reference.apiVersion.rpartition("/")[0] == group)


class OwnerDeletedImpliesCollected(Invariant):
    """At rest nothing is left whose owners, of built-in kinds, are all gone."""

    name = "OwnerDeletedImpliesCollected"

    def at_rest(self, simulation: Simulation) -> Iterable[str]:
        snapshot = simulation.snapshot
        for resource in snapshot.resources():
            if resource.startswith("events"):
                continue
            for obj in snapshot.all(resource).values():
                known = list(owners(obj, snapshot))
                if known and len(known) == len(obj.metadata.ownerReferences) and all(owner is None for _, owner in known):
                    yield f"{resource} {named(obj)} is left, though {known[0][0].kind} {known[0][0].name}, who owned it, is gone"


class FinalizersRespected(Invariant):
    """What has finalizers stays: it is marked as being deleted, and goes with the last of them."""

    name = "FinalizersRespected"

    def on_revision(self, revision: Revision, before: Snapshot) -> Iterable[str]:
        event = revision.event
        if event.object is not None:
            return ()
        last: Any = event.final if event.final is not None else event.previous
        if last is not None and last.metadata.finalizers:
            return (f"{event.key} was deleted at revision {event.revision} with the finalizers {', '.join(last.metadata.finalizers)}",)
        was = event.previous
        if was is not None and was.metadata.finalizers and was.metadata.deletionTimestamp is None:
            return (f"{event.key} was deleted at revision {event.revision} though it was not marked and had {', '.join(was.metadata.finalizers)}",)
        return ()


class NoStuckFinalizer(Invariant):
    """At rest no finalizer of Kubernetes' own keeps an object that is being deleted."""

    name = "NoStuckFinalizer"

    def at_rest(self, simulation: Simulation) -> Iterable[str]:
        snapshot = simulation.snapshot
        for resource in snapshot.resources():
            for obj in snapshot.all(resource).values():
                if obj.metadata.deletionTimestamp is None:
                    continue
                own = [name for name in obj.metadata.finalizers if "/" not in name]
                if resource == "namespaces":
                    own += [name for name in obj.spec.finalizers if name == "kubernetes"]
                foreign = [name for name in obj.metadata.finalizers if "/" in name]
                if own and not foreign and not _waits_for_others(obj, own, snapshot):
                    yield f"{resource} {named(obj)} is kept by its finalizer {own[0]}"


def _waits_for_others(obj: Any, own: list[str], snapshot: Snapshot) -> bool:
    """Whether what it waits for is itself kept by somebody else's finalizer, or by a node that does not answer."""
    name = obj.metadata.name
    for resource in snapshot.resources():
        for other in snapshot.all(resource).values():
            meta = other.metadata
            concerns = meta.namespace == name if "kubernetes" in own else any(r.uid == obj.metadata.uid for r in meta.ownerReferences)
            if concerns and meta.deletionTimestamp is not None and (meta.finalizers or resource == "pods"):
                return True
    return False


class NamespaceEmptyWhenGone(Invariant):
    """A namespace goes last: nothing is left in it then, and at rest nothing is in a namespace that is not there."""

    name = "NamespaceEmptyWhenGone"
    resources = ("namespaces",)

    def on_revision(self, revision: Revision, before: Snapshot) -> Iterable[str]:
        if revision.event.object is not None:
            return
        namespace = revision.event.key.name
        for resource in before.resources():
            for obj in before.list(resource, namespace):
                yield f"namespace {namespace} went at revision {revision.event.revision} with {resource} {named(obj)} in it"

    def at_rest(self, simulation: Simulation) -> Iterable[str]:
        snapshot = simulation.snapshot
        there = {name for _, name in snapshot.all("namespaces")}
        for resource in snapshot.resources():
            for namespace, name in snapshot.all(resource):
                if namespace and namespace not in there:
                    yield f"{resource} {namespace}/{name} is in a namespace that is not there"


class GenerationMovesWithSpecOnly(Invariant):
    """`metadata.generation` counts the versions of what is wanted, one by one: status never moves it, a changed spec always does.

    For kinds that have one. With some, labels, annotations or the mark of a deletion move it too. A pod's binding and the initialization
    of what is immutable do not count as a change of what is wanted: a pod that gets its node keeps its generation.
    """

    name = "GenerationMovesWithSpecOnly"

    def on_revision(self, revision: Revision, before: Snapshot) -> Iterable[str]:
        new, old = revision.event.object, revision.event.previous
        if new is None or old is None:
            return ()
        now, was = new.metadata.generation, old.metadata.generation
        if now == was == 0:
            return ()
        what = f"{revision.event.key} at revision {revision.event.revision}"
        if now == was:
            spec, spec_was = getattr(new, "spec", None), getattr(old, "spec", None)
            if spec is not spec_was and spec != spec_was and not _is_binding(new, old):
                return (f"{what} has another spec and still generation {now}",)
            return ()
        if now != was + 1:
            return (f"{what} has generation {now} after {was}",)
        if _wanted(new) == _wanted(old):
            return (f"{what} has generation {now} after {was}, and nothing but its status changed",)
        return ()


def _is_binding(new: Any, old: Any) -> bool:
    return bool(new.kind == "Pod" and not old.spec.nodeName and new.spec.nodeName)


def _wanted(obj: Any) -> tuple[Any, ...]:
    """All of an object that its users write."""
    meta = obj.metadata
    rest = tuple(getattr(obj, field) for field in obj.__struct_fields__ if field not in ("metadata", "status"))
    return (*rest, meta.labels, meta.annotations, meta.deletionTimestamp, meta.deletionGracePeriodSeconds, meta.finalizers, meta.ownerReferences)
