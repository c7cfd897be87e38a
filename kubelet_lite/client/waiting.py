"""Waiting for an object to reach a state, in `kubectl wait`'s words: condition=Available, condition=Ready=False,
jsonpath={.status.phase}=Running, create, delete."""
from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import anyio

from kubelet_lite.api import encoding
from kubelet_lite.api.errors import BadRequest, Gone, NotFound
from kubelet_lite.api.requests import ListOptions
from kubelet_lite.api.resources import RESOURCES, Resource
from kubelet_lite.api.unstructured import Unstructured
from kubelet_lite.client.base import Client, ObjectList

_PATH = re.compile(r"jsonpath=\{?\.?(?P<path>[^}=]+)\}?(?:=(?P<value>.*))?")
_PART = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


def parse_name(text: str, resources: Sequence[Resource] = RESOURCES) -> tuple[Resource, str]:
    """`deployment/web`, `deploy/web`, `deployments.apps/web` → the first of these resources that is called so, and the name. Raises BadRequest."""
    kind, _, name = text.partition("/")
    kind = kind.lower()
    for resource in resources:
        if kind in (resource.plural, resource.singular, resource.qualified, resource.kind.lower(), *resource.short_names) and name:
            return resource, name
    raise BadRequest(f'"{text}" names no object: say KIND/NAME')


def predicate(condition: str) -> Callable[[Any | None], bool]:
    """Whether an object (None: there is none) satisfies a condition. Raises BadRequest for words it does not know."""
    if condition == "delete":
        return lambda obj: obj is None
    if condition == "create":
        return lambda obj: obj is not None
    if condition.startswith("condition="):
        type, _, status = condition.removeprefix("condition=").partition("=")
        return lambda obj: obj is not None and _condition(obj, type.lower(), (status or "True").lower())
    found = _PATH.fullmatch(condition)
    if found is not None:
        path, value = found["path"], found["value"]
        return lambda obj: obj is not None and _at(encoding.to_json(obj), path, value)
    raise BadRequest(f'"{condition}" is no condition: condition=TYPE[=STATUS], jsonpath={{.PATH}}[=VALUE], create or delete')


def _condition(obj: Any, type: str, status: str) -> bool:
    known = (obj.fields.get("status") if isinstance(obj, Unstructured) else encoding.to_json(obj.status)) or {}
    if known.get("observedGeneration") and known["observedGeneration"] < obj.metadata.generation:
        return False
    return any(str(c.get("type", "")).lower() == type and str(c.get("status", "")).lower() == status for c in known.get("conditions") or ())


def _at(value: Any, path: str, wanted: str | None) -> bool:
    for name, index in _PART.findall(path):
        if index:
            if not isinstance(value, list) or int(index) >= len(value):
                return False
            value = value[int(index)]
        elif not isinstance(value, dict) or name not in value:
            return False
        else:
            value = value[name]
    return wanted is None or (str(value).lower() if isinstance(value, bool) else str(value)) == wanted


async def wait(client: Client, what: str, condition: str, *, namespace: str = "default", timeout_seconds: float = 60.0) -> Any | None:
    """The object as it first satisfied the condition (None for `delete`). Raises TimeoutError, BadRequest or an ApiError."""
    try:
        resource, name = parse_name(what)
    except BadRequest:
        resource, name = parse_name(what, await client.resources())
    holds = predicate(condition)
    place = namespace if resource.namespaced else ""
    try:
        with anyio.fail_after(timeout_seconds):
            return await _wait(client, resource, name, place, holds)
    except TimeoutError:
        raise TimeoutError(f"{what} did not reach {condition} within {timeout_seconds:g} s") from None


async def _wait(client: Client, resource: Resource, name: str, namespace: str, holds: Callable[[Any | None], bool]) -> Any | None:
    selector = f"metadata.name={name}"
    while True:
        found: ObjectList[Any] = await client.list(resource, namespace=namespace, options=ListOptions(field_selector=selector))
        obj = found.items[0] if found.items else None
        if holds(obj):
            return obj
        options = ListOptions(field_selector=selector, resource_version=found.resource_version)
        try:
            async with client.watch(resource, namespace=namespace, options=options) as watch:
                async for batch in watch:
                    for event in batch:
                        obj = None if event.type == "DELETED" else event.object
                        if event.type != "BOOKMARK" and holds(obj):
                            return obj
        except (Gone, NotFound):
            continue
