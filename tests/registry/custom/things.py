"""A definition and its objects, for tests: `@with_things` runs an async test in a world where definitions are seen to."""
from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import anyio

from kubelet_lite.api.apiextensions_v1 import CustomResourceDefinition, JSONSchemaProps
from kubelet_lite.api.custom_resources import has_condition
from kubelet_lite.api.encoding import from_json
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.resources import Resource
from kubelet_lite.api.unstructured import Unstructured
from kubelet_lite.registry.custom.actor import Definitions
from tests.registry.world import World, in_world

GROUP = "stable.example.com"
SPEC: dict[str, Any] = {
    "type": "object", "required": ["size"],
    "properties": {
        "size": {"type": "integer", "minimum": 1}, "color": {"type": "string", "default": "red", "enum": ["red", "blue"]},
        "replicas": {"type": "integer"}, "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "ports": {
            "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port"],
            "items": {"type": "object", "required": ["port"], "properties": {"port": {"type": "integer"}, "name": {"type": "string"}}},
        },
        "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
    },
}
STATUS: dict[str, Any] = {"type": "object", "properties": {"replicas": {"type": "integer"}, "selector": {"type": "string"}}}


def schema(value: Mapping[str, Any]) -> JSONSchemaProps:
    return from_json(JSONSchemaProps, value)


def version(name: str = "v1", *, spec: Mapping[str, Any] = SPEC, storage: bool = True, **more: Any) -> dict[str, Any]:
    whole = {"type": "object", "properties": {"spec": spec, "status": STATUS}}
    return {"name": name, "served": True, "storage": storage, "schema": {"openAPIV3Schema": whole}, **more}


def definition(*versions: dict[str, Any], plural: str = "things", kind: str = "Thing", scope: str = "Namespaced", **more: Any) -> CustomResourceDefinition:
    names = {"plural": plural, "kind": kind, **more.pop("names", {})}
    spec = {"group": GROUP, "scope": scope, "names": names, "versions": list(versions or (version(),)), **more}
    return from_json(CustomResourceDefinition, {"metadata": {"name": f"{plural}.{GROUP}"}, "spec": spec})


def thing(name: str = "t", *, api_version: str = "v1", **fields: Any) -> Unstructured:
    meta = {key: fields.pop(key) for key in ("labels", "finalizers", "resourceVersion") if key in fields}
    return Unstructured(
        kind="Thing", apiVersion=f"{GROUP}/{api_version}", metadata=ObjectMeta(name=name, namespace="default", **meta),
        fields=fields or {"spec": {"size": 1}},
    )


async def established(world: World, made: CustomResourceDefinition) -> Resource:
    """Creates a definition and waits until it serves; its preferred resource."""
    name = (await world.client.create(made)).metadata.name
    for _ in range(100):
        found = await world.client.get(CustomResourceDefinition, name)
        if has_condition(found, "Established"):
            served = await world.client.find_kind(f"{GROUP}/{made.spec.versions[0].name}", made.spec.names.kind)
            assert served is not None
            return served
        await world.environment.sleep(0.01)
    raise AssertionError(f"{name} was not established: {found.status}")


def with_things(*versions: dict[str, Any], **more: Any) -> Callable[[Callable[[World, Resource], Awaitable[None]]], Callable[[], None]]:
    """The test is handed the resource of such a definition."""

    def decorate(test: Callable[[World, Resource], Awaitable[None]]) -> Callable[[], None]:
        @functools.wraps(test)
        async def run(world: World) -> None:
            async with anyio.create_task_group() as group:
                group.start_soon(Definitions(world.registry).run)
                await test(world, await established(world, definition(*versions, **more)))
                group.cancel_scope.cancel()

        return in_world(run)

    return decorate
