"""The query of a request as typed options, with Kubernetes' messages for what is wrong.

https://kubernetes.io/docs/reference/generated/kubernetes-api/v1.36/#common-parameters
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final
from urllib.parse import parse_qs

import msgspec

from kubelet_lite.api.core_v1 import PodLogOptions
from kubelet_lite.api.errors import (
    BadRequest,
    FieldError,
    Invalid,
    forbidden,
    invalid,
    not_supported,
    required,
    shown,
    too_long,
)
from kubelet_lite.api.meta_v1 import DeleteOptions, Preconditions
from kubelet_lite.api.requests import APPLY_PATCH, FieldValidation, ListOptions

CACHED_QUERIES: Final = 1024
"""Queries whose options are remembered: clients ask the same few over and over."""
MAX_PARAMETERS: Final = 100
MAX_FIELD_MANAGER_BYTES: Final = 128
FIELD_VALIDATIONS: Final = ("", "Ignore", "Strict", "Warn")
_INT64: Final = range(-(2 ** 63), 2 ** 63)


class WriteOptions(msgspec.Struct, frozen=True, kw_only=True):
    """CreateOptions, UpdateOptions and PatchOptions in one."""

    dry_run: bool = False
    field_manager: str = ""
    field_validation: FieldValidation = "Warn"
    force: bool = False


@lru_cache(maxsize=CACHED_QUERIES)
def parameters(query: str) -> Mapping[str, Sequence[str]]:
    """The query's values by name, in order, empty ones kept. Raises BadRequest for too many."""
    if not query:
        return {}
    try:
        return parse_qs(query, keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
    except ValueError as error:
        raise BadRequest(str(error)) from error


def text(values: Mapping[str, Sequence[str]], name: str) -> str:
    """The first value, or ""."""
    found = values.get(name)
    return found[0] if found else ""


def flag(values: Mapping[str, Sequence[str]], name: str) -> bool | None:
    """Everything but `false` and `0` is true, also an empty value; None when it is not there."""
    found = values.get(name)
    return None if not found else found[0].lower() not in ("false", "0")


def number(values: Mapping[str, Sequence[str]], name: str) -> int | None:
    """Raises BadRequest for what is no int64."""
    found = values.get(name)
    if not found:
        return None
    value = found[0]
    sign = value[1:] if value[:1] in ("+", "-") else value
    if not (sign.isascii() and sign.isdigit()):
        raise BadRequest(f"strconv.ParseInt: parsing {shown(value)}: invalid syntax")
    result = int(value)
    if result not in _INT64:
        raise BadRequest(f"strconv.ParseInt: parsing {shown(value)}: value out of range")
    return result


@lru_cache(maxsize=CACHED_QUERIES)
def list_options(query: str) -> ListOptions:
    """ListOptions of a list, watch or deletecollection."""
    if not query:
        return ListOptions()
    values = parameters(query)
    return ListOptions(
        label_selector=text(values, "labelSelector"), field_selector=text(values, "fieldSelector"), limit=number(values, "limit") or 0,
        continue_=text(values, "continue"), resource_version=text(values, "resourceVersion"),
        resource_version_match=text(values, "resourceVersionMatch"), watch=bool(flag(values, "watch")),
        allow_watch_bookmarks=bool(flag(values, "allowWatchBookmarks")), send_initial_events=flag(values, "sendInitialEvents"),
        timeout_seconds=number(values, "timeoutSeconds"),
    )


@lru_cache(maxsize=CACHED_QUERIES)
def write_options(query: str, kind: str, content_type: str = "") -> WriteOptions:
    """The options of a create, update or patch; `kind` is what messages call them (`CreateOptions`)."""
    if not query and content_type != APPLY_PATCH:
        return WriteOptions()
    values = parameters(query)
    manager, validation, force = text(values, "fieldManager"), text(values, "fieldValidation"), flag(values, "force")
    errors: list[FieldError] = []
    if kind == "PatchOptions":
        if content_type == APPLY_PATCH:
            if not manager:
                errors.append(required("fieldManager", "is required for apply patch"))
        elif force is not None:
            errors.append(forbidden("force", "may not be specified for non-apply patch"))
    errors += _manager_errors(manager)
    dry_run = values.get("dryRun", ())
    errors += _dry_run_errors(dry_run)
    if validation not in FIELD_VALIDATIONS:
        errors.append(not_supported("fieldValidation", validation, FIELD_VALIDATIONS))
    _refuse(kind, errors)
    return WriteOptions(
        dry_run=bool(dry_run), field_manager=manager, field_validation=validation or "Warn", force=bool(force),  # type: ignore[arg-type]
    )


def _manager_errors(manager: str) -> list[FieldError]:
    errors = []
    if len(manager.encode()) > MAX_FIELD_MANAGER_BYTES:
        errors.append(too_long("fieldManager", MAX_FIELD_MANAGER_BYTES))
    if not manager.isprintable():
        errors.append(invalid("fieldManager", manager, "should only contain printable characters"))
    return errors


def _dry_run_errors(values: Sequence[str]) -> list[FieldError]:
    if all(value == "All" for value in values):
        return []
    return [not_supported("dryRun", list(values), ("All",))]


def _refuse(kind: str, errors: list[FieldError]) -> None:
    if errors:
        raise Invalid.of("meta.k8s.io", kind, "", errors)


def delete_options(query: str) -> DeleteOptions:
    """DeleteOptions of a request without a body."""
    if not query:
        return DeleteOptions()
    values = parameters(query)
    uid, version = (values.get(f"preconditions.{name}") for name in ("uid", "resourceVersion"))
    return DeleteOptions(
        gracePeriodSeconds=number(values, "gracePeriodSeconds"), orphanDependents=flag(values, "orphanDependents"),
        propagationPolicy=text(values, "propagationPolicy") or None, dryRun=tuple(values.get("dryRun", ())),
        preconditions=Preconditions(uid=uid[0] if uid else None, resourceVersion=version[0] if version else None) if uid or version else None,
    )


def log_options(query: str) -> PodLogOptions:
    """PodLogOptions of a request for a pod's log."""
    values = parameters(query)
    return PodLogOptions(
        container=text(values, "container"), follow=bool(flag(values, "follow")), previous=bool(flag(values, "previous")),
        sinceSeconds=number(values, "sinceSeconds"), sinceTime=text(values, "sinceTime") or None, timestamps=bool(flag(values, "timestamps")),
        tailLines=number(values, "tailLines"), limitBytes=number(values, "limitBytes"),
        insecureSkipTLSVerifyBackend=bool(flag(values, "insecureSkipTLSVerifyBackend")), stream=text(values, "stream") or None,
    )
