"""What a request carries besides its object: shared by client, registry and API server, so that all mean the same.

https://kubernetes.io/docs/reference/using-api/api-concepts/
"""
from __future__ import annotations

from typing import Any, Literal

import msgspec

from kubelet_lite.api.identity import Identity

FieldValidation = Literal["Ignore", "Warn", "Strict"]
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"


class RequestContext(msgspec.Struct, kw_only=True):
    """Who asks and how. One per request: `warnings` collects what the answer's Warning headers say."""

    identity: Identity
    field_manager: str = ""
    """Empty: the part of the user agent before the first slash."""
    dry_run: bool = False
    field_validation: FieldValidation = "Warn"
    force: bool = False
    """For server-side apply: take ownership of conflicting fields."""
    warnings: list[str] = msgspec.field(default_factory=list)
    cause: str = ""
    """The id of the event that led to this request: stands in the log records of what it causes."""
    authorized: bool = False
    """Whether this very request has been authorized already: the HTTP server does so before it reads a body."""


class Body(msgspec.Struct, frozen=True):
    """An object or patch as it came over the wire; in process the object itself is handed over instead."""

    data: bytes
    content_type: str = "application/json"


class ListOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The query of a list or watch; revisions and tokens are kept as strings, as Kubernetes does: they are opaque."""

    label_selector: str = ""
    field_selector: str = ""
    limit: int = 0
    continue_: str = ""
    resource_version: str = ""
    resource_version_match: str = ""
    watch: bool = False
    allow_watch_bookmarks: bool = False
    send_initial_events: bool | None = None
    timeout_seconds: int | None = None


class ListResult(msgspec.Struct, frozen=True, kw_only=True):
    """One page: `items` are the stored objects themselves (never to be changed)."""

    items: tuple[Any, ...]
    resource_version: str
    continue_: str = ""
    remaining: int | None = None


class WatchEvent(msgspec.Struct, frozen=True):
    """One change. `type` is ADDED, MODIFIED, DELETED, BOOKMARK; a BOOKMARK's object has only metadata.resourceVersion."""

    type: str
    object: Any
