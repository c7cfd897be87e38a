"""The paths of a group version with their operations, as far as clients look at them: verbs, kinds, parameters, bodies.

https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from kubelet_lite.api.meta_v1 import DeleteOptions, Status
from kubelet_lite.api.resources import Resource, Subresource
from kubelet_lite.apiserver.openapi.schemas import name_of, names_of, subresource_name
from kubelet_lite.registry.bodies import CUSTOM_PATCHES

Operation = dict[str, Any]
_DRY_RUN: Final = ("dryRun", "string")
_MANAGER: Final = ("fieldManager", "string")
_VALIDATION: Final = ("fieldValidation", "string")
_LIST: Final = (
    ("allowWatchBookmarks", "boolean"), ("continue", "string"), ("fieldSelector", "string"), ("labelSelector", "string"), ("limit", "integer"),
    ("resourceVersion", "string"), ("resourceVersionMatch", "string"), ("sendInitialEvents", "boolean"), ("timeoutSeconds", "integer"),
    ("watch", "boolean"),
)
_DELETE: Final = (_DRY_RUN, ("gracePeriodSeconds", "integer"), ("orphanDependents", "boolean"), ("propagationPolicy", "string"))
_PARAMETERS: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "get": (), "list": _LIST, "create": (_DRY_RUN, _MANAGER, _VALIDATION), "update": (_DRY_RUN, _MANAGER, _VALIDATION),
    "patch": (_DRY_RUN, _MANAGER, _VALIDATION, ("force", "boolean")), "delete": _DELETE, "deletecollection": (*_DELETE, *_LIST),
}
_METHODS: Final = {"get": "get", "list": "get", "create": "post", "update": "put", "patch": "patch", "delete": "delete", "deletecollection": "delete"}
_ACTIONS: Final = {"get": "get", "list": "list", "create": "post", "update": "put", "patch": "patch", "delete": "delete", "deletecollection": "deletecollection"}
_COLLECTION: Final = ("list", "create", "deletecollection")
_ITEM: Final = ("get", "update", "patch", "delete")
PATCHES: Final = (
    "application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json",
)
_STATUS: Final = name_of(Status)
_DELETE_OPTIONS: Final = name_of(DeleteOptions)
_PATCH: Final = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch"
_LABELS: Final = {"namespace": "object name and auth scope, such as for teams and projects", "name": "name of the {kind}"}


def paths(resources: Iterable[Resource]) -> dict[str, Any]:
    """OpenAPI v3 path items."""
    found: dict[str, Any] = {}
    for resource in resources:
        root = f"/apis/{resource.group}/{resource.version}" if resource.group else f"/api/{resource.version}"
        place = f"{root}/namespaces/{{namespace}}/{resource.plural}" if resource.namespaced else f"{root}/{resource.plural}"
        _add(found, place, resource, None, [verb for verb in _COLLECTION if verb in resource.verbs])
        _add(found, f"{place}/{{name}}", resource, None, [verb for verb in _ITEM if verb in resource.verbs])
        if resource.namespaced and "list" in resource.verbs:
            _add(found, f"{root}/{resource.plural}", resource, None, ["list"])
        for sub in resource.subresources:
            _add(found, f"{place}/{{name}}/{sub.name}", resource, sub, [verb for verb in ("get", "create", "update", "patch", "delete") if verb in sub.verbs])
    return dict(sorted(found.items()))


def _add(found: dict[str, Any], path: str, resource: Resource, sub: Subresource | None, verbs: Sequence[str]) -> None:
    if not verbs:
        return
    item: dict[str, Any] = {_METHODS[verb]: _operation(verb, path, resource, sub) for verb in verbs}
    item["parameters"] = [
        {"name": name, "in": "path", "required": True, "description": text.format(kind=resource.kind), "schema": {"type": "string", "uniqueItems": True}}
        for name, text in _LABELS.items() if f"{{{name}}}" in path
    ]
    found[path] = item


def _operation(verb: str, path: str, resource: Resource, sub: Subresource | None) -> Operation:
    own, listed = names_of(resource)
    kind = own if sub is None else subresource_name(resource, sub.name)
    answer = kind
    if verb == "list":
        answer = listed
    elif verb == "deletecollection" or (verb == "delete" and sub is None):
        answer = _STATUS
    group, version, name = resource.group, resource.version, resource.kind
    if sub is not None:
        group, version, name = (sub.group if sub.version else group), sub.version or version, sub.kind
    scope = "Namespaced" if "{namespace}" in path else ""
    everywhere = "ForAllNamespaces" if verb == "list" and resource.namespaced and not scope else ""
    operation: Operation = {
        "tags": [f"{_tag(resource.group)}_{resource.version}"],
        "operationId": f"{_WORDS[verb]}{_camel(resource)}{scope}{resource.kind}{(sub.name.capitalize() if sub is not None else '')}{everywhere}",
        "parameters": [{"name": parameter, "in": "query", "schema": {"type": kind_of, "uniqueItems": True}} for parameter, kind_of in _PARAMETERS[verb]],
    }
    body = {"delete": _DELETE_OPTIONS, "deletecollection": _DELETE_OPTIONS, "create": kind, "update": kind}.get(verb)
    if body is not None:
        operation["requestBody"] = {"content": {"*/*": {"schema": _reference(body)}}}
    elif verb == "patch":
        operation["requestBody"] = {"required": True, "content": {media: {"schema": _reference(_PATCH)} for media in (PATCHES if resource.module else CUSTOM_PATCHES)}}
    content = {media: {"schema": _reference(answer)} for media in ("application/json", "application/yaml")} if answer is not None else {}
    operation["responses"] = {
        code: {"description": text, "content": content} for code, text in _RESPONSES[verb].items()
    } | {"401": {"description": "Unauthorized"}}
    operation["x-kubernetes-action"] = _ACTIONS[verb]
    operation["x-kubernetes-group-version-kind"] = {"group": group, "kind": name, "version": version}
    return operation


_WORDS: Final = {
    "get": "read", "list": "list", "create": "create", "update": "replace", "patch": "patch", "delete": "delete", "deletecollection": "deletecollection",
}
_RESPONSES: Final[dict[str, dict[str, str]]] = {
    "get": {"200": "OK"}, "list": {"200": "OK"}, "create": {"200": "OK", "201": "Created", "202": "Accepted"}, "update": {"200": "OK", "201": "Created"},
    "patch": {"200": "OK", "201": "Created"}, "delete": {"200": "OK", "202": "Accepted"}, "deletecollection": {"200": "OK"},
}


def _tag(group: str) -> str:
    return group.partition(".")[0] or "core"


def _camel(resource: Resource) -> str:
    return f"{_tag(resource.group).capitalize()}{resource.version.capitalize()}"


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


PATCH_SCHEMA: Final = (_PATCH, {"type": "object"})
