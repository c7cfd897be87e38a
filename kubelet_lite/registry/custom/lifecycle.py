"""The controllers of definitions that run inside the API server: they write the conditions, and delete the instances of one that is deleted.

https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#delete-a-customresourcedefinition
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from anyio.abc import TaskGroup
from msgspec.structs import replace

from kubelet_lite.actors import logs
from kubelet_lite.api import timestamps
from kubelet_lite.api.apiextensions_v1 import CustomResourceDefinition
from kubelet_lite.api.core_v1 import Event, EventSource, ObjectReference
from kubelet_lite.api.custom_resources import has_condition, resource_of_version, resources_of, storage_version
from kubelet_lite.api.errors import ApiError, Conflict, NotFound
from kubelet_lite.api.identity import LOOPBACK
from kubelet_lite.api.meta_v1 import DeleteOptions, ObjectMeta
from kubelet_lite.api.requests import ListOptions, RequestContext
from kubelet_lite.api.resources import Resource, resource_of
from kubelet_lite.registry.custom import conditions
from kubelet_lite.registry.custom.conditions import terminating
from kubelet_lite.registry.custom.served import DEFINITIONS
from kubelet_lite.registry.registry import Registry

MANAGER: Final = "kube-apiserver"
EVENTS_NAMESPACE: Final = "default"
"""Where events about objects without a namespace are."""
RETRY_SECONDS: Final = 1.0
"""Between tries to delete instances when something refuses it."""
_DELETING: Final = terminating("InstanceDeletionInProgress", "CustomResource deletion is in progress")
_DELETED: Final = terminating("InstanceDeletionCompleted", "removed all instances", over=True)
_NEVER_ESTABLISHED: Final = terminating("NeverEstablished", "resource was never established", over=True)
_log = logs.get_logger()


class Lifecycle:
    """Of all definitions of one registry: there are few, so all are looked at whenever one has changed."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._ending: dict[str, None] = {}
        """UIDs of the definitions whose instances are being deleted."""
        self._noticed: dict[tuple[str, str], None] = {}
        """What has been said of which definition."""

    async def look(self, group: TaskGroup) -> None:
        """Does what is due. Each definition that is being deleted gets a task of its own."""
        await self.settle()
        for definition in self._definitions():
            uid = definition.metadata.uid
            for text in conditions.not_enforced(definition.spec):
                await self._notice(definition, text)
            if conditions.is_ending(definition) and uid not in self._ending:
                self._ending[uid] = None
                group.start_soon(self._end, definition)

    async def _notice(self, definition: CustomResourceDefinition, text: str) -> None:
        """An event about a definition, once."""
        meta, registry = definition.metadata, self._registry
        if (meta.uid, text) in self._noticed:
            return
        self._noticed[meta.uid, text] = None
        _log.warning("not_enforced", object=meta.name, what=text)
        now = registry.environment.now()
        second = timestamps.format_time(now)
        event = Event(
            metadata=ObjectMeta(name=f"{meta.name}.{int(now * 1e9) + len(self._noticed):x}", namespace=EVENTS_NAMESPACE),
            involvedObject=ObjectReference(
                kind=definition.kind, apiVersion=definition.apiVersion, name=meta.name, uid=meta.uid, resourceVersion=meta.resourceVersion,
            ),
            type="Warning", reason="NotEnforced", message=text, count=1, firstTimestamp=second, lastTimestamp=second,
            source=EventSource(component=MANAGER), reportingComponent=MANAGER,
        )
        try:
            await registry.create(RequestContext(identity=LOOPBACK, field_manager=MANAGER), resource_of(Event), EVENTS_NAMESPACE, event)
        except ApiError as error:
            _log.warning("event_not_written", object=meta.name, reason=event.reason, error=error.message)

    async def settle(self) -> None:
        """Brings every definition's status up to date."""
        self._registry.served()  # watches of what is served no more end now
        before = None
        while before is None or self._registry.view.changed(DEFINITIONS) != before:
            before = self._registry.view.changed(DEFINITIONS)
            for name in [definition.metadata.name for definition in self._definitions()]:
                definition = self._registry.view.get(DEFINITIONS, "", name)
                if definition is not None and (new := conditions.next_status(definition, self._definitions())) != definition.status:
                    await self._write(replace(definition, status=new))

    # ---- deleting instances

    async def _end(self, definition: CustomResourceDefinition) -> None:
        """Deletes all instances, waits until they are gone, and lets the definition go."""
        try:
            while not await self._try_to_end(definition.metadata.name, definition.metadata.uid):
                await self._registry.environment.sleep(RETRY_SECONDS)
        finally:
            self._ending.pop(definition.metadata.uid, None)

    async def _try_to_end(self, name: str, uid: str) -> bool:
        definition = self._definition(name, uid)
        if definition is None:
            return True
        if not has_condition(definition, "Established"):
            await self._write(conditions.ended(definition, _NEVER_ESTABLISHED))
            return True
        await self._say(definition, _DELETING)
        try:
            await self._delete_all((*resources_of(definition), resource_of_version(definition, storage_version(definition)))[0])
        except ApiError as error:
            _log.warning("instances_not_deleted", object=name, error=error.message)
            await self._say(self._definition(name, uid), terminating("InstanceDeletionFailed", f"could not issue all deletes: {error.message}"))
            return False
        definition = self._definition(name, uid)
        if definition is None:
            return True
        await self._write(conditions.ended(definition, _DELETED))
        return self._definition(name, uid) is None or not conditions.is_ending(definition)

    async def _delete_all(self, resource: Resource) -> None:
        """Returns when no instance is left."""
        registry = self._registry
        store = registry.store
        with store.watch(resource.qualified, after=store.revision) as channel:
            while left := registry.view.list(resource.qualified):
                namespaces = dict.fromkeys(obj.metadata.namespace for obj in left if obj.metadata.deletionTimestamp is None)
                for namespace in namespaces:
                    context = RequestContext(identity=LOOPBACK)
                    await registry.delete_collection(context, resource, namespace, ListOptions(), DeleteOptions())
                if registry.view.list(resource.qualified):
                    await channel.next_batch()

    # ---- reading and writing definitions

    def _definitions(self) -> Sequence[CustomResourceDefinition]:
        return self._registry.view.list(DEFINITIONS)

    def _definition(self, name: str, uid: str) -> CustomResourceDefinition | None:
        found: Any = self._registry.view.get(DEFINITIONS, "", name)
        return found if found is not None and found.metadata.uid == uid else None

    async def _say(self, definition: CustomResourceDefinition | None, condition: conditions.Condition) -> None:
        if definition is not None:
            await self._write(replace(definition, status=conditions.with_condition(definition.status, condition)))

    async def _write(self, new: CustomResourceDefinition) -> None:
        registry, meta = self._registry, new.metadata
        old = self._definition(meta.name, meta.uid)
        if old is None:
            return
        new = replace(new, status=conditions.timed(new.status, old.status, timestamps.format_time(registry.environment.now())))
        try:
            await registry.update(
                RequestContext(identity=LOOPBACK, field_manager=MANAGER), resource_of(CustomResourceDefinition), "", meta.name, new, subresource="status",
            )
        except (Conflict, NotFound):  # it has changed, or is gone: whoever did that has made the next look due
            return
