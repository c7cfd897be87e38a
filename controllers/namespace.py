"""Empties a namespace that is being deleted, pods first, and lets it go when nothing is left; its conditions say what is.

`conditions` and `step` are pure; the actor deletes, counts and finalizes. What is left it asks the server, never an informer: an
object that was made a moment ago must not be forgotten.
https://kubernetes.io/docs/tasks/administer-cluster/namespaces/#deleting-a-namespace, KEP-5080 (ordered deletion)
"""
from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence
from typing import Any, Final

import anyio
import msgspec

from kubelet_lite.actors import logs
from kubelet_lite.actors.actor import Actor
from kubelet_lite.actors.environment import Environment
from kubelet_lite.api import identity, timestamps
from kubelet_lite.api.apiextensions_v1 import CustomResourceDefinition
from kubelet_lite.api.core_v1 import Namespace, NamespaceCondition, Pod
from kubelet_lite.api.custom_resources import resources_of
from kubelet_lite.api.errors import ApiError, Conflict, MethodNotAllowed, NotFound
from kubelet_lite.api.requests import ListOptions
from kubelet_lite.api.resources import RESOURCES, Resource, resource_of
from kubelet_lite.api.scheduling_rules import FINISHED
from kubelet_lite.client.base import Client, ObjectList
from kubelet_lite.client.cache import Change, Informer, Informers
from kubelet_lite.controllers.work_queue import WorkQueue

NAME: Final = "namespace-controller"
FINALIZER: Final = "kubernetes"
WORKERS: Final = 5
FIRST_RETRY_SECONDS: Final = 0.05
LONGEST_RETRY_SECONDS: Final = 5.0
"""Between looks at what is left: pods take their grace, finalizers their owners' time."""
_log = logs.get_logger()


class Remaining(msgspec.Struct, frozen=True):
    """What is left of a namespace: objects a resource (`pods.`, `deployments.apps`), and holders a finalizer."""

    instances: Mapping[str, int]
    finalizers: Mapping[str, int]


def unexpected(namespace: Namespace, resource: Resource, before: Sequence[Any], left: Sequence[Any], now: float) -> str:
    """What is wrong when objects of a resource are left after a delete: nothing where a finalizer holds one, or while pods may take their
    grace, counted from when the namespace was deleted."""
    if not left or any(obj.metadata.finalizers for obj in left):
        return ""
    if resource.type is Pod and namespace.metadata.deletionTimestamp is not None:
        graces = [pod.spec.terminationGracePeriodSeconds or 0 for pod in before if pod.status.phase not in FINISHED]
        if now - timestamps.parse_time(namespace.metadata.deletionTimestamp) < max(graces, default=0):
            return ""
    gvr = f"{resource.group}/{resource.version}, Resource={resource.plural}"
    return f"unexpected items still remain in namespace: {namespace.metadata.name} for gvr: {gvr}"


def conditions(known: Sequence[NamespaceCondition], remaining: Remaining, failures: Sequence[str], now: float) -> tuple[NamespaceCondition, ...]:
    """All five, in Kubernetes' order; transition times move with the status alone."""
    instances = ", ".join(f"{name} has {count} resource instances" for name, count in sorted(remaining.instances.items()))
    finalizers = ", ".join(f"{name} in {count} resource instances" for name, count in sorted(remaining.finalizers.items()))
    said = (
        ("NamespaceDeletionDiscoveryFailure", False, "ResourcesDiscovered", "All resources successfully discovered"),
        ("NamespaceDeletionGroupVersionParsingFailure", False, "ParsedGroupVersions", "All legacy kube types successfully parsed"),
        (
            ("NamespaceDeletionContentFailure", True, "ContentDeletionFailed", f"Failed to delete all resource types, {len(failures)} remaining: {', '.join(sorted(failures))}")
            if failures else
            ("NamespaceDeletionContentFailure", False, "ContentDeleted", "All content successfully deleted, may be waiting on finalization")
        ),
        (
            ("NamespaceContentRemaining", True, "SomeResourcesRemain", f"Some resources are remaining: {instances}")
            if instances else ("NamespaceContentRemaining", False, "ContentRemoved", "All content successfully removed")
        ),
        (
            ("NamespaceFinalizersRemaining", True, "SomeFinalizersRemain", f"Some content in the namespace has finalizers remaining: {finalizers}")
            if finalizers else ("NamespaceFinalizersRemaining", False, "ContentHasNoFinalizers", "All content-preserving finalizers finished")
        ),
    )
    before = {c.type: c for c in known}
    return tuple(_condition(before.get(type), type, "True" if status else "False", reason, message, now) for type, status, reason, message in said)


def _condition(known: NamespaceCondition | None, type: str, status: str, reason: str, message: str, now: float) -> NamespaceCondition:
    since = known.lastTransitionTime if known is not None and known.status == status else timestamps.format_time(now)
    return NamespaceCondition(type=type, status=status, reason=reason, message=message, lastTransitionTime=since)


def contents() -> tuple[Resource, ...]:
    """Every resource that a namespace may hold, each stored object once, pods first."""
    found: dict[str, Resource] = {}
    for resource in RESOURCES:
        if resource.namespaced and {"list", "delete"} <= set(resource.verbs) and resource.qualified != "events.events.k8s.io":
            found.setdefault(resource.qualified, resource)
    pods = resource_of(Pod)
    return (pods, *(resource for resource in found.values() if resource is not pods))


class NamespaceController(Actor):
    """Acts on namespaces with a deletionTimestamp."""

    def __init__(self, informers: Informers, client: Client, environment: Environment) -> None:
        super().__init__(NAME)
        self._client = client.acting_as(identity.controller(NAME))
        self._environment = environment
        self._namespaces: Informer[Namespace] = informers.of(Namespace)
        self._queue: WorkQueue[str] = WorkQueue(environment)
        self._tries: dict[str, int] = {}
        self._resources = contents()
        self.ready = anyio.Event()
        self._namespaces.add_handler(self._changed)

    def statistics(self) -> Mapping[str, float]:
        return self._queue.statistics()

    async def run(self) -> None:
        self._queue = WorkQueue(self._environment)
        self._tries.clear()
        await self._namespaces.wait_synced()
        self._changed([Change(None, namespace) for namespace in self._namespaces.list()])
        self.ready.set()
        await self._queue.serve(self._work, WORKERS)

    def _changed(self, changes: Sequence[Change[Namespace]]) -> None:
        for change in changes:
            if change.new is None:
                self._tries.pop(change.object.metadata.name, None)
            elif change.new.metadata.deletionTimestamp is not None and FINALIZER in change.new.spec.finalizers and (
                change.old is None or change.old.metadata.deletionTimestamp is None
            ):
                self._queue.add(change.new.metadata.name)

    async def _work(self, name: str) -> None:
        try:
            gone = await self._empty(name)
        except ApiError as error:
            gone = isinstance(error, NotFound)
            if not isinstance(error, (Conflict, NotFound)):
                _log.warning("namespace_not_emptied", object=name, error=error.message)
        finally:
            self._queue.done(name)
        if not gone:
            tries = self._tries[name] = self._tries.get(name, 0) + 1
            self._queue.add(name, min(FIRST_RETRY_SECONDS * 2.0 ** min(tries, 30), LONGEST_RETRY_SECONDS))

    async def _empty(self, name: str) -> bool:
        """Deletes what is there; whether the namespace is gone."""
        namespace = await self._client.get(Namespace, name)
        if namespace.metadata.deletionTimestamp is None or FINALIZER not in namespace.spec.finalizers:
            return True
        failures: list[str] = []
        remaining = await self._delete(namespace, self._resources[:1], failures)
        if not remaining.instances and not failures:
            remaining = await self._delete(namespace, (*self._resources[1:], *await self._custom_resources()), failures)
        await self._write_conditions(namespace, remaining, failures)
        if remaining.instances or failures:
            return False
        namespace = await self._client.get(Namespace, name)
        finalizers = tuple(f for f in namespace.spec.finalizers if f != FINALIZER)
        spec = msgspec.structs.replace(namespace.spec, finalizers=finalizers)
        await self._client.update(msgspec.structs.replace(namespace, spec=spec), subresource="finalize")
        return True

    async def _delete(self, namespace: Namespace, resources: Sequence[Resource], failures: list[str]) -> Remaining:
        """Deletes all objects of these resources; what is left of them."""
        instances: dict[str, int] = {}
        finalizers: collections.Counter[str] = collections.Counter()
        for resource in resources:
            found = await self._list(resource, namespace)
            if not found:
                continue
            try:
                await self._delete_all(resource, namespace.metadata.name, found)
            except ApiError as error:
                failures.append(error.message)
                continue
            left = await self._list(resource, namespace)
            if left:
                instances[f"{resource.plural}.{resource.group}"] = len(left)
                finalizers.update(finalizer for obj in left for finalizer in obj.metadata.finalizers)
            if wrong := unexpected(namespace, resource, found, left, self._environment.now()):
                failures.append(wrong)
        return Remaining(instances, finalizers)

    async def _custom_resources(self) -> Sequence[Resource]:
        definitions: ObjectList[CustomResourceDefinition] = await self._client.list(CustomResourceDefinition)
        served = [resources_of(definition) for definition in definitions.items]
        return [found[0] for found in served if found and found[0].namespaced]

    async def _list(self, resource: Resource, namespace: Namespace) -> Sequence[Any]:
        try:
            page: ObjectList[Any] = await self._client.list(resource, namespace=namespace.metadata.name, options=ListOptions())
        except NotFound:  # the definition of a custom resource went just now, and its instances before it
            return ()
        return page.items

    async def _delete_all(self, resource: Resource, namespace: str, items: Sequence[Any]) -> None:
        if all(obj.metadata.deletionTimestamp is not None for obj in items):
            return
        if "deletecollection" in resource.verbs:
            await self._client.delete_collection(resource, namespace=namespace, propagation="Background")
            return
        for obj in items:
            try:
                await self._client.delete(resource, obj.metadata.name, namespace=namespace, propagation="Background")
            except (NotFound, MethodNotAllowed):
                continue

    async def _write_conditions(self, namespace: Namespace, remaining: Remaining, failures: Sequence[str]) -> None:
        wanted = conditions(namespace.status.conditions, remaining, failures, self._environment.now())
        if wanted == namespace.status.conditions:
            return
        status = msgspec.structs.replace(namespace.status, conditions=wanted)
        await self._client.update(msgspec.structs.replace(namespace, status=status), subresource="status")
