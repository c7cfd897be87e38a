"""What the API server itself says of flow schemas and API services, and the objects that exist from the start."""
from __future__ import annotations

from typing import Any

import anyio

from kubelet_lite.api.apiregistration_v1 import APIService, APIServiceSpec, ServiceReference
from kubelet_lite.api.core_v1 import Service, ServicePort, ServiceSpec
from kubelet_lite.api.encoding import encode
from kubelet_lite.api.flowcontrol_v1 import (
    FlowSchema,
    FlowSchemaSpec,
    PriorityLevelConfiguration,
    PriorityLevelConfigurationReference,
)
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.registry.bootstrap import bootstrap
from kubelet_lite.registry.upkeep import Upkeep, available, dangling, with_condition
from tests.registry.world import World, in_world

SCHEMA = FlowSchema(
    metadata=ObjectMeta(name="fs"),
    spec=FlowSchemaSpec(matchingPrecedence=900, priorityLevelConfiguration=PriorityLevelConfigurationReference(name="mine")),
)


def api_service(**spec: Any) -> APIService:
    spec = {"group": "agg.example.com", "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 15, **spec}
    return APIService(metadata=ObjectMeta(name="v1.agg.example.com"), spec=APIServiceSpec(**spec))


@in_world
async def test_a_flow_schema_dangles_while_its_priority_level_is_not_there(world: World) -> None:
    bootstrap(world.registry, service_cidr="10.96.0.0/16")
    async with anyio.create_task_group() as group:
        group.start_soon(Upkeep(world.registry).run)
        await world.client.create(SCHEMA)
        await world.environment.sleep(1)
        assert (await world.client.get(FlowSchema, "fs")).status.conditions[0].status == "True"
        level = await world.client.get(PriorityLevelConfiguration, "workload-low")
        await world.client.create(PriorityLevelConfiguration(metadata=ObjectMeta(name="mine"), spec=level.spec))
        await world.environment.sleep(1)
        found = await world.client.get(FlowSchema, "fs")
        assert [(c.type, c.status, c.reason) for c in found.status.conditions] == [("Dangling", "False", "Found")]
        assert found.metadata.managedFields[-1].subresource == "status" or found.metadata.managedFields[0].subresource == "status"
        group.cancel_scope.cancel()


@in_world
async def test_nothing_is_written_of_what_exists_from_the_start(world: World) -> None:
    bootstrap(world.registry, service_cidr="10.96.0.0/16")
    revision = world.store.revision
    async with anyio.create_task_group() as group:
        group.start_soon(Upkeep(world.registry).run)
        await world.environment.sleep(1)
        group.cancel_scope.cancel()
    assert world.store.revision == revision


@in_world
async def test_no_placeholder_is_left_in_what_exists_from_the_start(world: World) -> None:
    bootstrap(world.registry, service_cidr="10.96.0.0/16")
    for event in world.store.events(after=0):
        assert b'"<' not in encode(event.object), event.key


def test_an_api_service_without_a_service_is_local() -> None:
    assert available(api_service(), None).reason == "Local"


def test_an_api_service_is_not_available_without_its_service_and_its_port() -> None:
    found = api_service(service=ServiceReference(namespace="default", name="s", port=443))
    assert available(found, None).message == 'service/s in "default" is not present'
    service = Service(metadata=ObjectMeta(name="s"), spec=ServiceSpec(ports=(ServicePort(port=80),)))
    assert available(found, service).reason == "ServicePortError"


def test_a_condition_that_says_nothing_new_changes_nothing() -> None:
    first = with_condition((), dangling(SCHEMA, False), "t1")
    assert with_condition(first, dangling(SCHEMA, False), "t2") is first
    assert with_condition(first, dangling(SCHEMA, True), "t2")[0].lastTransitionTime == "t2"
