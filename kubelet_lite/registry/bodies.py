"""Bodies of requests as typed objects: over the wire bytes, in process the object itself.

https://kubernetes.io/docs/reference/using-api/api-concepts/#validation-for-unrecognized-or-duplicate-fields
"""
from __future__ import annotations

from typing import Any

import msgspec

from kubelet_lite.api import encoding
from kubelet_lite.api.errors import BadRequest
from kubelet_lite.api.requests import JSON_PATCH, MERGE_PATCH, Body, RequestContext
from kubelet_lite.api.resources import Resource
from kubelet_lite.registry.patch.json_patch import apply_json_patch
from kubelet_lite.registry.patch.merge_patch import apply_merge_patch


def typed(ctx: RequestContext, resource: Resource, body: Any) -> Any:
    """The object of a create or update."""
    if not isinstance(body, Body):
        return body
    return encoding.decode(resource.type, body.data)


def patch(ctx: RequestContext, resource: Resource, body: Any, content_type: str) -> Any:
    """A patch as plain JSON values."""
    if isinstance(body, Body):
        try:
            return msgspec.json.decode(body.data)
        except msgspec.DecodeError as error:
            raise BadRequest(f"error decoding patch: {error}") from error
    return encoding.to_json(body) if isinstance(body, msgspec.Struct) else body


def patched(ctx: RequestContext, resource: Resource, live: Any, changes: Any, content_type: str) -> Any:
    """The live object with a patch applied."""
    current = encoding.to_json(live)
    if content_type == MERGE_PATCH:
        new = apply_merge_patch(current, changes)
    elif content_type == JSON_PATCH:
        new = apply_json_patch(current, changes)
    else:
        raise BadRequest(content_type)
    return encoding.from_json(resource.type, new)
