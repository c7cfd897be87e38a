"""The schemas of custom resources, as their definitions give them, completed to OpenAPI definitions.

https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#publish-validation-schema-in-openapi
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from kubelet_lite.api.encoding import to_json
from kubelet_lite.registry.patch.schema import SchemaResource

Schema = dict[str, Any]
META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1"
_API_VERSION: Final = {
    "type": "string", "description": "APIVersion defines the versioned schema of this representation of an object: https://git.k8s.io/community/"
    "contributors/devel/sig-architecture/api-conventions.md#resources",
}
_KIND: Final = {
    "type": "string", "description": "Kind is a string value representing the REST resource this object represents: https://git.k8s.io/community/"
    "contributors/devel/sig-architecture/api-conventions.md#types-kinds",
}
_INSIDE: Final = ("properties", "items", "additionalProperties")
_VERSION_2: Final = frozenset((
    "type", "description", "format", "title", "required", "enum", "default", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
    "minLength", "maxLength", "pattern", "minItems", "maxItems", "uniqueItems", "multipleOf", "$ref", "allOf", *_INSIDE,
))
"""What a schema of version 2 may say beside extensions."""


def definition_name(resource: SchemaResource) -> str:
    """`com.example.stable.v1.CronTab`."""
    return ".".join((*reversed(resource.group.split(".")), resource.version, resource.kind))


def list_definition_name(resource: SchemaResource) -> str:
    return definition_name(resource).removesuffix(resource.kind) + resource.list_kind


def definitions(resources: Iterable[SchemaResource]) -> dict[str, Schema]:
    """Of the objects and their lists, in version 3."""
    found: dict[str, Schema] = {}
    for resource in resources:
        name = definition_name(resource)
        schema = _of_resource(to_json(resource.schema))
        schema["x-kubernetes-group-version-kind"] = _kinds(resource, resource.kind)
        found[name] = schema
        if "list" in resource.verbs:
            found[list_definition_name(resource)] = _list(resource, name)
    return found


def as_version_2(schema: Mapping[str, Any]) -> Schema:
    """Without what version 2 cannot say: alternatives, and null."""
    found: Schema = {}
    loose = schema.get("nullable") or schema.get("x-kubernetes-int-or-string")
    for key, part in schema.items():
        if not (key in _VERSION_2 or key.startswith("x-")) or (key == "type" and loose):
            continue
        if key == "allOf" and "$ref" not in part[0]:
            continue
        if key == "properties":
            part = {name: as_version_2(inner) for name, inner in part.items()}
        elif key in _INSIDE:
            if not isinstance(part, dict):
                continue
            part = as_version_2(part)
        found[key] = part
    return found


def _of_resource(schema: Schema) -> Schema:
    """With what every object has."""
    described = (schema.get("properties") or {}).get("metadata") or {}
    metadata = {"description": described.get("description") or f"Standard object's metadata: {_MORE}", "allOf": [_reference(f"{META}.ObjectMeta")]}
    properties = {**_with_embedded(schema.get("properties") or {}), "apiVersion": _API_VERSION, "kind": _KIND, "metadata": metadata}
    return {**_inner(schema), "type": "object", "properties": dict(sorted(properties.items()))}


_MORE: Final = "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata"


def _inner(schema: Schema) -> Schema:
    found = dict(schema)
    if "properties" in schema:
        found["properties"] = _with_embedded(schema["properties"])
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            found[key] = _any(schema[key])
    return found


def _with_embedded(properties: Mapping[str, Schema]) -> dict[str, Schema]:
    return {name: _any(inner) for name, inner in properties.items()}


def _any(schema: Schema) -> Schema:
    return _of_resource(schema) if schema.get("x-kubernetes-embedded-resource") else _inner(schema)


def _list(resource: SchemaResource, name: str) -> Schema:
    return {
        "description": f"{resource.list_kind} is a list of {resource.kind}", "type": "object", "required": ["items"],
        "properties": {
            "apiVersion": _API_VERSION, "kind": _KIND,
            "items": {"description": f"List of {resource.plural}", "type": "array", "items": _reference(name)},
            "metadata": {"description": f"Standard list metadata: {_MORE}", "allOf": [_reference(f"{META}.ListMeta")]},
        },
        "x-kubernetes-group-version-kind": _kinds(resource, resource.list_kind),
    }


def _kinds(resource: SchemaResource, kind: str) -> list[dict[str, str]]:
    return [{"group": resource.group, "kind": kind, "version": resource.version}]


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}
