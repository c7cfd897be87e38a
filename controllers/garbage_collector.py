"""Deletes what belongs to nobody any more: background, foreground and orphan deletion by owner references, over every kind.

`judge` decides for one object what becomes of it, given the state of each of its owners; `release` for one that is being deleted,
given its dependants. The actor finds both out: in its informers, and whether an owner is truly gone, from the server itself, since
an informer may not have seen an owner yet. https://kubernetes.io/docs/concepts/architecture/garbage-collection/
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final, Literal, NamedTuple

import anyio
import msgspec
from anyio.abc import TaskGroup

from kubelet_lite.actors import logs
from kubelet_lite.actors.actor import Actor
from kubelet_lite.actors.environment import Environment
from kubelet_lite.api import identity
from kubelet_lite.api.apiextensions_v1 import CustomResourceDefinition
from kubelet_lite.api.custom_resources import resources_of
from kubelet_lite.api.encoding import to_json
from kubelet_lite.api.errors import ApiError, Conflict, NotFound
from kubelet_lite.api.meta_v1 import ObjectMeta, OwnerReference
from kubelet_lite.api.requests import MERGE_PATCH
from kubelet_lite.api.resources import RESOURCES, Resource, find_kind
from kubelet_lite.client.base import Client, Preconditions, Propagation
from kubelet_lite.client.cache import Change, Informer, Informers
from kubelet_lite.controllers.work_queue import WorkQueue

NAME: Final = "generic-garbage-collector"
FOREGROUND: Final = "foregroundDeletion"
ORPHAN: Final = "orphan"
WORKERS: Final = 5
IGNORED: Final = frozenset({"events", "events.events.k8s.io"})
"""Kinds that Kubernetes' collector leaves alone too."""
_log = logs.get_logger()

OwnerState = Literal["solid", "waiting", "absent"]
"""There; there, and waiting in foreground deletion for its dependants to go; not there."""


class Item(NamedTuple):
    """An object of any kind, by name: what the queue holds."""

    resource: str
    namespace: str
    name: str


class Keep(msgspec.Struct, frozen=True):
    """Nothing to do."""


class Remove(msgspec.Struct, frozen=True):
    """Deletes the object."""

    propagation: Propagation


class Disown(msgspec.Struct, frozen=True):
    """Takes references to these owners (UIDs) out of the object."""

    owners: frozenset[str]


class Release(msgspec.Struct, frozen=True):
    """Takes a finalizer out of the object: what it stood for is done."""

    finalizer: str


Verdict = Keep | Remove | Disown


def collectable() -> tuple[Resource, ...]:
    """The kinds that are looked after: all that can be listed, watched and deleted, each stored object once."""
    found: dict[str, Resource] = {}
    for resource in RESOURCES:
        if resource.qualified not in IGNORED and {"list", "watch", "delete"} <= set(resource.verbs):
            found.setdefault(resource.qualified, resource)
    return tuple(found.values())


def judge(obj: Any, owners: Mapping[str, OwnerState], has_dependants: bool) -> Verdict:
    """`owners`: the state of each owner by UID. An object with one owner that is there stays."""
    if not owners or obj.metadata.deletionTimestamp is not None:
        return Keep()
    absent = frozenset(uid for uid, state in owners.items() if state == "absent")
    waiting = frozenset(uid for uid, state in owners.items() if state == "waiting")
    if len(absent) + len(waiting) < len(owners):
        return Disown(absent | waiting) if absent or waiting else Keep()
    if waiting and has_dependants:
        return Remove("Foreground")
    if ORPHAN in obj.metadata.finalizers:
        return Remove("Orphan")
    return Remove("Foreground" if FOREGROUND in obj.metadata.finalizers else "Background")


def release(obj: Any, dependants: Sequence[Any]) -> Release | None:
    """For an object in foreground deletion: free to go when no dependant blocks it. For one whose dependants are to be orphaned:
    when none refers to it any more."""
    if obj.metadata.deletionTimestamp is None:
        return None
    if ORPHAN in obj.metadata.finalizers:
        return None if dependants else Release(ORPHAN)
    if FOREGROUND in obj.metadata.finalizers:
        blocked = any(r.blockOwnerDeletion for d in dependants for r in d.metadata.ownerReferences if r.uid == obj.metadata.uid)
        return None if blocked else Release(FOREGROUND)
    return None


class _Followed(NamedTuple):
    """A custom resource that is looked after; `scope` ends that."""

    resource: Resource
    scope: anyio.CancelScope


class GarbageCollector(Actor):
    """One informer a kind, shared with the controllers where they have one; of custom resources as their definitions come and go.
    `ready` once those of built-in kinds have seen what there is."""

    def __init__(self, informers: Informers, client: Client, environment: Environment) -> None:
        super().__init__("garbage-collector-controller")
        self._client = client.acting_as(identity.controller(NAME))
        self._environment = environment
        self._informers: dict[str, Informer[Any]] = {}
        """By the resource's qualified name."""
        self._custom: dict[str, _Followed] = {}
        """Those of custom resources among them."""
        self._owned: dict[str, dict[Item, None]] = {}
        """By the UID of an owner, whatever names it as one."""
        self._definitions: Informer[CustomResourceDefinition] = informers.of(CustomResourceDefinition)
        self._definitions.add_handler(self._definitions_changed)
        self._defined = anyio.Event()
        self._queue: WorkQueue[Item] = WorkQueue(environment)
        self._collected = 0
        self.ready = anyio.Event()
        for resource in collectable():
            informer: Informer[Any] = informers.of(resource)
            self._informers[resource.qualified] = informer
            informer.add_handler(partial(self._changed, resource))

    def statistics(self) -> Mapping[str, float]:
        return {"collected": self._collected, **self._queue.statistics()}

    async def run(self) -> None:
        self._queue = WorkQueue(self._environment)
        self._forget(list(self._custom))
        for informer in self._informers.values():
            await informer.wait_synced()
            for obj in informer.list():
                self._look_at(informer.resource, obj)
        self.ready.set()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._follow_definitions, tasks)
            await self._queue.serve(self._work, WORKERS)

    # ---- custom resources

    def _definitions_changed(self, changes: Sequence[Change[CustomResourceDefinition]]) -> None:
        self._defined.set()

    async def _follow_definitions(self, tasks: TaskGroup) -> None:
        while True:
            self._defined = anyio.Event()
            served = {found[0].qualified: found[0] for definition in self._definitions.list() if (found := resources_of(definition))}
            for name, followed in list(self._custom.items()):
                if name not in served or served[name].api_version != followed.resource.api_version:
                    followed.scope.cancel()
                    self._forget([name])
            for name, resource in served.items():
                if name not in self._custom:
                    followed = self._custom[name] = _Followed(resource, anyio.CancelScope())
                    tasks.start_soon(self._follow, followed)
            await self._defined.wait()

    def _forget(self, resources: Sequence[str]) -> None:
        """Custom resources that are not followed any more."""
        if not resources:
            return
        for name in resources:
            del self._custom[name], self._informers[name]
        for uid, items in list(self._owned.items()):
            left = {item: None for item in items if item.resource not in resources}
            if left:
                self._owned[uid] = left
            else:
                del self._owned[uid]

    async def _follow(self, followed: _Followed) -> None:
        resource = followed.resource
        informer: Informer[Any] = Informer(self._client, self._environment, resource)
        informer.add_handler(partial(self._changed, resource))
        self._informers[resource.qualified] = informer
        with followed.scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(informer.run, name=informer.name)
                await informer.wait_synced()
                for other in list(self._informers.values()):  # who has an owner of this kind could not be judged before
                    for obj in other.list():
                        if any(self._resource_of(reference) is resource for reference in obj.metadata.ownerReferences):
                            self._look_at(other.resource, obj)

    def _resource_of(self, reference: OwnerReference) -> Resource | None:
        found = find_kind(reference.apiVersion, reference.kind)
        if found is not None:
            return found
        group = reference.apiVersion.rpartition("/")[0]
        return next((f.resource for f in self._custom.values() if f.resource.group == group and f.resource.kind == reference.kind), None)

    # ---- what to look at

    def _changed(self, resource: Resource, changes: Sequence[Change[Any]]) -> None:
        for change in changes:
            before, after = _owners(change.old), _owners(change.new)
            if before != after:
                self._note_owners(resource, change.object.metadata, before, after)
            if change.new is not None and (change.new.metadata.finalizers or before != after):
                self._look_at(resource, change.new)
            for gone in before:
                if gone not in after:
                    self._look_at_owner(change.object, gone)
            if change.new is None or change.new.metadata.uid != _uid(change.old):
                for item, _ in self._dependants(_uid(change.old)):
                    self._queue.add(item)

    def _note_owners(self, resource: Resource, meta: ObjectMeta, before: Sequence[OwnerReference], after: Sequence[OwnerReference]) -> None:
        item = Item(resource.qualified, meta.namespace, meta.name)
        for reference in before:
            items = self._owned.get(reference.uid, {})
            items.pop(item, None)
            if not items:
                self._owned.pop(reference.uid, None)
        for reference in after:
            self._owned.setdefault(reference.uid, {})[item] = None

    def _look_at(self, resource: Resource, obj: Any) -> None:
        meta = obj.metadata
        if meta.ownerReferences and any(not self._is_solid(obj, reference) for reference in meta.ownerReferences):
            self._queue.add(Item(resource.qualified, meta.namespace, meta.name))
        if meta.deletionTimestamp is not None and (FOREGROUND in meta.finalizers or ORPHAN in meta.finalizers):
            self._queue.add(Item(resource.qualified, meta.namespace, meta.name))

    def _look_at_owner(self, obj: Any, reference: OwnerReference) -> None:
        found = self._cached_owner(obj, reference)
        if found is not None and found[1].metadata.deletionTimestamp is not None:
            self._look_at(*found)

    def _is_solid(self, obj: Any, reference: OwnerReference) -> bool:
        found = self._cached_owner(obj, reference)
        return found is not None and _state(found[1]) == "solid"

    def _cached_owner(self, obj: Any, reference: OwnerReference) -> tuple[Resource, Any] | None:
        resource = self._resource_of(reference)
        informer = self._informers.get(resource.qualified) if resource is not None else None
        if informer is None or resource is None:
            return None
        owner = informer.get(reference.name, obj.metadata.namespace if resource.namespaced else "")
        return (resource, owner) if owner is not None and owner.metadata.uid == reference.uid else None

    def _dependants(self, uid: str) -> Iterable[tuple[Item, Any]]:
        for item in list(self._owned.get(uid, ())):
            obj = self._informers[item.resource].get(item.name, item.namespace)
            if obj is not None and any(reference.uid == uid for reference in _owners(obj)):
                yield item, obj

    # ---- what to do

    async def _work(self, item: Item) -> None:
        try:
            await self._process(item)
        except ApiError as error:
            if not isinstance(error, Conflict):
                _log.info("not_collected", object=f"{item.resource} {item.namespace}/{item.name}", error=error.message)
            self._queue.retry(item)
        else:
            self._queue.forget(item)
        finally:
            self._queue.done(item)

    async def _process(self, item: Item) -> None:
        informer = self._informers.get(item.resource)
        obj = informer.get(item.name, item.namespace) if informer is not None else None
        if informer is None or obj is None:
            return
        if obj.metadata.deletionTimestamp is not None:
            await self._process_deleted(informer.resource, obj)
            return
        owners = await self._owner_states(obj)
        verdict = judge(obj, owners, next(iter(self._dependants(obj.metadata.uid)), None) is not None)
        match verdict:
            case Remove():
                await self._delete(informer.resource, obj, verdict.propagation)
            case Disown():
                await self._disown(informer.resource, obj, verdict.owners)

    async def _process_deleted(self, resource: Resource, obj: Any) -> None:
        dependants = list(self._dependants(obj.metadata.uid))
        if ORPHAN in obj.metadata.finalizers:
            for item, dependant in dependants:
                await self._disown(self._informers[item.resource].resource, dependant, frozenset({obj.metadata.uid}))
            dependants = []
        elif FOREGROUND in obj.metadata.finalizers:
            for item, _ in dependants:
                self._queue.add(item)
        step = release(obj, [dependant for _, dependant in dependants])
        if step is not None:
            remaining = [f for f in obj.metadata.finalizers if f != step.finalizer]
            await self._patch(resource, obj, {"finalizers": remaining or None})

    async def _owner_states(self, obj: Any) -> dict[str, OwnerState]:
        """Each owner's state; absence is the server's word."""
        states: dict[str, OwnerState] = {}
        for reference in obj.metadata.ownerReferences:
            cached = self._cached_owner(obj, reference)
            if cached is not None:
                states[reference.uid] = _state(cached[1])
                continue
            resource = self._resource_of(reference)
            if resource is None:  # a kind that nobody serves proves nothing
                states[reference.uid] = "solid"
                continue
            try:
                owner: Any = await self._client.get(resource, reference.name, namespace=obj.metadata.namespace if resource.namespaced else "")
            except NotFound:
                states[reference.uid] = "absent"
            else:
                states[reference.uid] = _state(owner) if owner.metadata.uid == reference.uid else "absent"
        return states

    async def _delete(self, resource: Resource, obj: Any, propagation: Propagation) -> None:
        meta = obj.metadata
        try:
            await self._client.delete(
                resource, meta.name, namespace=meta.namespace, propagation=propagation,
                preconditions=Preconditions(uid=meta.uid, resource_version=meta.resourceVersion),
            )
        except NotFound:
            return
        self._collected += 1

    async def _disown(self, resource: Resource, obj: Any, owners: frozenset[str]) -> None:
        kept = [to_json(reference) for reference in obj.metadata.ownerReferences if reference.uid not in owners]
        await self._patch(resource, obj, {"ownerReferences": kept or None})

    async def _patch(self, resource: Resource, obj: Any, metadata: dict[str, Any]) -> None:
        meta = obj.metadata
        change = {"metadata": {"uid": meta.uid, "resourceVersion": meta.resourceVersion, **metadata}}
        try:
            await self._client.patch(resource, meta.name, change, content_type=MERGE_PATCH, namespace=meta.namespace)
        except NotFound:
            return


def _state(owner: Any) -> OwnerState:
    meta = owner.metadata
    return "waiting" if meta.deletionTimestamp is not None and FOREGROUND in meta.finalizers else "solid"


def _owners(obj: Any) -> tuple[OwnerReference, ...]:
    return obj.metadata.ownerReferences if obj is not None else ()


def _uid(obj: Any) -> str:
    return obj.metadata.uid if obj is not None else ""
