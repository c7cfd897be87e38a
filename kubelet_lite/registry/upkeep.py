"""Statuses of which the API server itself is the author: whether what a flow schema or an API service refers to is there.

In Kubernetes, too, these loops run inside the API server.
https://kubernetes.io/docs/concepts/cluster-administration/flow-control/ https://kubernetes.io/docs/tasks/extend-kubernetes/configure-aggregation-layer/
"""
from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import anyio
from msgspec.structs import replace

from kubelet_lite.actors.actor import Actor
from kubelet_lite.api import timestamps
from kubelet_lite.api.apiregistration_v1 import APIService, APIServiceCondition
from kubelet_lite.api.core_v1 import Service
from kubelet_lite.api.encoding import to_json
from kubelet_lite.api.flowcontrol_v1 import FlowSchema, FlowSchemaCondition
from kubelet_lite.api.identity import LOOPBACK
from kubelet_lite.api.requests import APPLY_PATCH, RequestContext
from kubelet_lite.api.resources import resource_of
from kubelet_lite.registry.registry import Registry

FLOW_SCHEMAS: Final = "flowschemas.flowcontrol.apiserver.k8s.io"
LEVELS: Final = "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io"
API_SERVICES: Final = "apiservices.apiregistration.k8s.io"
SERVICES: Final = "services"
FLOW_SCHEMA_MANAGER: Final = "api-priority-and-fairness-config-consumer-v1"
API_SERVICE_MANAGER: Final = "kube-apiserver"

Condition = TypeVar("Condition", bound=FlowSchemaCondition | APIServiceCondition)


class Upkeep(Actor):
    """Looks at all of a kind whenever one, or what it may refer to, has changed: there are few."""

    def __init__(self, registry: Registry) -> None:
        super().__init__("upkeep")
        self._registry = registry

    async def run(self) -> None:
        async with anyio.create_task_group() as group:
            for resource in (FLOW_SCHEMAS, LEVELS):
                group.start_soon(self._follow, resource, self.settle_flow_schemas)
            for resource in (API_SERVICES, SERVICES):
                group.start_soon(self._follow, resource, self.settle_api_services)

    async def _follow(self, resource: str, settle: Callable[[], Awaitable[None]]) -> None:
        store = self._registry.store
        with store.watch(resource, after=store.revision) as channel:
            await settle()
            while True:
                await channel.next_batch()
                await settle()

    async def settle_flow_schemas(self) -> None:
        registry, now = self._registry, self._now()
        for schema in registry.view.list(FLOW_SCHEMAS):
            level = registry.view.get(LEVELS, "", schema.spec.priorityLevelConfiguration.name)
            conditions = with_condition(schema.status.conditions, dangling(schema, level is not None), now)
            if conditions is not schema.status.conditions:
                applied = {
                    "apiVersion": schema.apiVersion, "kind": schema.kind, "metadata": {"name": schema.metadata.name},
                    "status": {"conditions": to_json(conditions)},
                }
                context = RequestContext(identity=LOOPBACK, field_manager=FLOW_SCHEMA_MANAGER, force=True)
                await registry.patch(context, resource_of(FlowSchema), "", schema.metadata.name, applied, APPLY_PATCH, subresource="status")

    async def settle_api_services(self) -> None:
        registry, now = self._registry, self._now()
        for found in registry.view.list(API_SERVICES):
            reference = found.spec.service
            service = registry.view.get(SERVICES, reference.namespace, reference.name) if reference is not None else None
            conditions = with_condition(found.status.conditions, available(found, service), now)
            if conditions is not found.status.conditions:
                new = replace(found, status=replace(found.status, conditions=conditions))
                context = RequestContext(identity=LOOPBACK, field_manager=API_SERVICE_MANAGER)
                await registry.update(context, resource_of(APIService), "", found.metadata.name, new, subresource="status")

    def _now(self) -> str:
        return timestamps.format_time(self._registry.environment.now())


def dangling(schema: FlowSchema, has_level: bool) -> FlowSchemaCondition:
    refers = f'This FlowSchema references the PriorityLevelConfiguration object named "{schema.spec.priorityLevelConfiguration.name}"'
    if has_level:
        return FlowSchemaCondition(type="Dangling", status="False", reason="Found", message=f"{refers} and it exists")
    return FlowSchemaCondition(type="Dangling", status="True", reason="NotFound", message=f"{refers} but there is no such object")


def available(found: APIService, service: Service | None) -> APIServiceCondition:
    reference = found.spec.service
    if reference is None:
        return APIServiceCondition(type="Available", status="True", reason="Local", message="Local APIServices are always available")
    where = f'service/{reference.name} in "{reference.namespace}"'
    if service is None:
        why = ("ServiceNotFound", f"{where} is not present")
    elif service.spec.type != "ExternalName" and reference.port not in [port.port for port in service.spec.ports]:
        why = ("ServicePortError", f"{where} is not listening on port {reference.port}")
    else:
        why = ("FailedDiscoveryCheck", f"kubelet-lite does not ask other API servers yet: {where} serves nothing here")
    return APIServiceCondition(type="Available", status="False", reason=why[0], message=why[1])


def with_condition(conditions: tuple[Condition, ...], new: Condition, now: str) -> tuple[Condition, ...]:
    """The conditions with `new` in its place; the very same ones when it says nothing new."""
    old = next((condition for condition in conditions if condition.type == new.type), None)
    since: Any = old.lastTransitionTime if old is not None and old.status == new.status else now
    new = replace(new, lastTransitionTime=since)
    if old is None:
        return (*conditions, new)
    return conditions if new == old else tuple(new if condition is old else condition for condition in conditions)
