"""The OpenAPI documents by path: made when first asked for, with a hash of their content, which is their ETag and part of their URL.

https://kubernetes.io/docs/concepts/overview/kubernetes-api/#openapi-v3
"""
from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final

import msgspec

from kubelet_lite.api.autoscaling_v1 import Scale
from kubelet_lite.api.meta_v1 import DeleteOptions, ListMeta, ObjectMeta, Status
from kubelet_lite.api.resources import RESOURCES, Resource
from kubelet_lite.apiserver.discovery import Document
from kubelet_lite.apiserver.negotiation import JSON
from kubelet_lite.apiserver.openapi import custom, protobuf
from kubelet_lite.apiserver.openapi.operations import PATCH_SCHEMA, paths
from kubelet_lite.apiserver.openapi.schemas import Schema, collect, list_type, subresource_type
from kubelet_lite.registry.patch.schema import SchemaResource

INFO: Final = {"title": "Kubernetes", "version": "v1.36.0"}
PROTOBUF_V2: Final = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
_SECURITY: Final = {"BearerToken": {"type": "apiKey", "description": "Bearer Token authentication", "name": "authorization", "in": "header"}}


class OpenApi:
    """One server's documents."""

    def __init__(self, resources: Callable[[], Sequence[Resource]] = lambda: RESOURCES) -> None:
        """`resources`: all that is served; the same sequence as long as nothing changes."""
        self._resources = resources
        self._made_of: Sequence[Resource] = ()
        self._group_versions: Mapping[str, Sequence[Resource]] = {}
        self._documents: dict[str, Document] = {}

    async def v3_index(self, yielding: Callable[[], Awaitable[None]]) -> Document:
        """`/openapi/v3`: where the document of each group version is. Makes them all the first time, with a pause after each."""
        urls = {}
        groups, made_of = self._paths(), self._made_of
        for path in groups:
            if path not in self._documents:
                await yielding()
            if self._resources() is not made_of:  # meanwhile others are served
                return await self.v3_index(yielding)
            urls[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={self._v3(path).hash}"}
        return self._kept("index", lambda: _document({"paths": urls}))

    def v3(self, path: str) -> Document | None:
        """The document of `api/v1`, `apis/apps/v1`, …; None for any other path."""
        return self._v3(path) if path in self._paths() else None

    def v2(self, *, binary: bool) -> Document:
        """`/openapi/v2`: everything in one document, as JSON or as the Protobuf that client-go reads."""
        own = [resource for resource in self._resources() if isinstance(resource, SchemaResource)]
        self._paths()
        if not binary:
            return self._kept("v2", lambda: _document(_merged(_v2_of_built_in(), _v2_of(own))))
        return self._kept("v2.pb", lambda: _hashed(_binary_v2_of_built_in() + protobuf.encode_parts(_v2_of(own)), PROTOBUF_V2))

    def _paths(self) -> Mapping[str, Sequence[Resource]]:
        """What is served, by the path of its document; documents of what has changed are forgotten."""
        resources = self._resources()
        if resources is not self._made_of:
            self._made_of, before = resources, self._group_versions
            self._group_versions = _by_path(resources)
            same = {path for path, group in self._group_versions.items() if before.get(path) == group}
            self._documents = {path: document for path, document in self._documents.items() if path in same}
        return self._group_versions

    def _v3(self, path: str) -> Document:
        return self._kept(path, lambda: _document(_v3(self._paths()[path])))

    def _kept(self, key: str, make: Callable[[], Document]) -> Document:
        found = self._documents.get(key)
        if found is None:
            found = self._documents[key] = make()
        return found


def _by_path(resources: Iterable[Resource]) -> dict[str, list[Resource]]:
    found: dict[str, list[Resource]] = {}
    for resource in resources:
        path = f"apis/{resource.api_version}" if resource.group else f"api/{resource.version}"
        found.setdefault(path, []).append(resource)
    return found


def _types(resources: Sequence[Resource]) -> list[Any]:
    kinds: list[Any] = [DeleteOptions, Status]
    for resource in resources:
        if isinstance(resource, SchemaResource):
            kinds += [ObjectMeta, ListMeta, Scale]
            continue
        kinds += [resource.type, list_type(resource), *(subresource_type(resource, sub.name) for sub in resource.subresources)]
    return [kind for kind in dict.fromkeys(kinds) if kind is not None]


def _schemas(resources: Sequence[Resource]) -> dict[str, Schema]:
    name, patch = PATCH_SCHEMA
    own = custom.definitions(resource for resource in resources if isinstance(resource, SchemaResource))
    return dict(sorted({**collect(_types(resources)), **own, name: dict(patch)}.items()))


def _v3(resources: Sequence[Resource]) -> dict[str, Any]:
    return {
        "openapi": "3.0.0", "info": INFO, "paths": paths(resources),
        "components": {"schemas": _schemas(resources), "securitySchemes": _SECURITY}, "security": [{"BearerToken": []}],
    }


# ---- version 2


Parts = dict[str, dict[str, Any]]
"""Paths and definitions of a document."""


def _v2_of(own: Sequence[SchemaResource]) -> Parts:
    return {
        "paths": {path: _item_v2(item) for path, item in paths(own).items()},
        "definitions": {name: _schema_v2(custom.as_version_2(schema)) for name, schema in custom.definitions(own).items()},
    }


def _merged(document: dict[str, Any], parts: Parts) -> dict[str, Any]:
    return {**document, **{name: {**document[name], **part} for name, part in parts.items()}}


@cache
def _binary_v2_of_built_in() -> bytes:
    return protobuf.encode(_v2_of_built_in())


@cache
def _v2_of_built_in() -> dict[str, Any]:
    """Half a second: that of custom resources, which come and go, is put beside it."""
    return {
        "swagger": "2.0", "info": INFO, "paths": {path: _item_v2(item) for path, item in paths(RESOURCES).items()},
        "definitions": {name: _schema_v2(schema) for name, schema in _schemas(RESOURCES).items()},
        "securityDefinitions": _SECURITY, "security": [{"BearerToken": []}],
    }


def _schema_v2(schema: Schema) -> Schema:
    """Version 2 knows no oneOf, and puts a reference beside its description."""
    found: Schema = {}
    for key, part in schema.items():
        match key:
            case "oneOf":
                found["type"] = "string"
            case "allOf":
                found |= _schema_v2(part[0])
            case "$ref":
                found[key] = part.replace("#/components/schemas/", "#/definitions/")
            case "properties":
                found[key] = {name: _schema_v2(value) for name, value in part.items()}
            case "items" | "additionalProperties":
                found[key] = _schema_v2(part)
            case _:
                found[key] = part
    return found


def _item_v2(item: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for method, operation in item.items():
        if method == "parameters":
            found[method] = [_parameter_v2(parameter) for parameter in operation]
            continue
        changed = {key: value for key, value in operation.items() if key not in ("requestBody", "responses", "parameters")}
        parameters = [_parameter_v2(parameter) for parameter in operation["parameters"]]
        content = operation.get("requestBody", {}).get("content", {})
        if content:
            body = _schema_v2(next(iter(content.values()))["schema"])
            parameters.append({"name": "body", "in": "body", "required": method != "delete", "schema": body})
        changed |= {"consumes": list(content) or ["*/*"], "produces": ["application/json", "application/yaml"], "schemes": ["https"]}
        changed["parameters"] = parameters
        changed["responses"] = {code: _response_v2(response) for code, response in operation["responses"].items()}
        found[method] = changed
    return found


def _parameter_v2(parameter: dict[str, Any]) -> dict[str, Any]:
    return {**{key: value for key, value in parameter.items() if key != "schema"}, **parameter["schema"]}


def _response_v2(response: dict[str, Any]) -> dict[str, Any]:
    found = {"description": response["description"]}
    content = response.get("content")
    return {**found, "schema": _schema_v2(next(iter(content.values()))["schema"])} if content else found


def _document(value: dict[str, Any]) -> Document:
    return _hashed(msgspec.json.encode(value) + b"\n", JSON)


def _hashed(body: bytes, media_type: str) -> Document:
    return Document(body, media_type, f'"{hashlib.sha512(body).hexdigest().upper()}"')
