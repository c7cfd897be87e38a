"""Bodies of requests as typed objects: over the wire bytes, in process the object itself; and patches applied to typed objects.

What field validation forgives becomes a warning. https://kubernetes.io/docs/reference/using-api/api-concepts/#field-validation
"""
from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from kubelet_lite.api import encoding, reading, yaml_text
from kubelet_lite.api.canonical import canonicalise, parts
from kubelet_lite.api.decoding import decode_body, from_value, strict_message
from kubelet_lite.api.errors import ApiError, BadRequest, Invalid, UnsupportedMediaType, invalid
from kubelet_lite.api.quantities import QuantityError
from kubelet_lite.api.reading import DecodingError
from kubelet_lite.api.requests import APPLY_PATCH, JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH, Body, RequestContext
from kubelet_lite.api.restoring import misfit
from kubelet_lite.api.timestamps import TimeError
from kubelet_lite.registry.patch import apply_json_patch, apply_merge_patch, apply_strategic
from kubelet_lite.registry.patch.go_text import go_shown
from kubelet_lite.registry.patch.json_patch import unknown_fields
from kubelet_lite.registry.sharing import by_identity

MAX_SPECS: Final = 1024
"""Specs whose canonical form is remembered: many pods are made of one."""
CUSTOM_PATCHES: Final = (JSON_PATCH, MERGE_PATCH, APPLY_PATCH)
"""Of custom resources: no strategic merge patch, since a schema has no patch strategies."""
CONTENT_TYPES: Final = (JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH, APPLY_PATCH)


def typed(ctx: RequestContext, kind: type[Any], body: Any, *, any_version: bool = False) -> Any:
    """The object of a create or update, in canonical form. Raises BadRequest."""
    obj = decoded(ctx, kind, body, any_version=any_version)
    return obj if isinstance(body, Body) else canonical(obj)


def decoded(ctx: RequestContext, kind: type[Any], body: Any, *, any_version: bool = False) -> Any:
    """The same, but an object handed over in process is yet to be made `canonical`."""
    if isinstance(body, Body):
        found = decode_body(kind, body.data, body.content_type, field_validation=ctx.field_validation, any_version=any_version)
        if found.problems:
            ctx.warnings += found.problems
        return found.object
    if not isinstance(body, kind):
        raise BadRequest(f"the object provided is unrecognized (must be of type {kind.__name__})")
    return body


def canonical(obj: Any, live: Any = None) -> Any:
    """An object in canonical form; `live`, where there is one, is in it already. Raises BadRequest."""
    try:
        return _canonical(obj, live)
    except (QuantityError, TimeError) as error:
        name, api_version = encoding.names_of(type(obj))
        raise BadRequest(f'{name} in version "{api_version.rpartition("/")[2]}" cannot be handled as a {name}: {error}') from error


def _canonical(obj: Any, live: Any) -> Any:
    """Looks only at what the live object does not hold itself."""
    changed: dict[str, Any] = {}
    for name in parts(type(obj)):
        value = getattr(obj, name)
        if live is not None and value is getattr(live, name):
            continue
        if isinstance(value, msgspec.Struct):
            new = _canonical_spec(value) if name == "spec" and live is None else canonicalise(value)
            if new is not value:
                changed[name] = new
        elif isinstance(value, tuple):
            return canonicalise(obj)
    return replace(obj, **changed) if changed else obj


_canonical_spec: Final = by_identity(MAX_SPECS)(canonicalise)


class Patch(msgspec.Struct, frozen=True, kw_only=True):
    """A patch, parsed: `value` as plain JSON values, `problems` its repeated fields."""

    content_type: str
    value: Any
    problems: Sequence[str] = ()


def patch_of(body: Any, content_type: str) -> Patch:
    """Raises BadRequest for what is no JSON or YAML, UnsupportedMediaType for what is no patch."""
    if content_type not in CONTENT_TYPES:
        raise UnsupportedMediaType("415: Unsupported Media Type", details={})
    if not isinstance(body, Body):
        return Patch(content_type=content_type, value=encoding.to_json(body) if isinstance(body, msgspec.Struct) else body)
    if content_type == APPLY_PATCH:
        try:
            value, duplicates = yaml_text.load(body.data)
        except yaml_text.YamlError as error:
            raise BadRequest(f"error decoding YAML: {error}") from error
        return Patch(content_type=content_type, value=value, problems=duplicates)
    try:
        parsed = reading.parse(body.data)
    except DecodingError as error:
        raise BadRequest(f"error decoding patch: {error}") from error
    try:
        value, problems = reading.plain(parsed), [*reading.duplicates(parsed)]
    except RecursionError:
        raise BadRequest("error decoding patch: exceeded max depth") from None
    if content_type == JSON_PATCH:
        problems = [f"json patch {problem}" for problem in (*problems, *unknown_fields(value))]
    return Patch(content_type=content_type, value=value, problems=tuple(problems))


def unknown_format(accepted: Sequence[str]) -> UnsupportedMediaType:
    """What is said of a body that custom resources do not take."""
    return UnsupportedMediaType(f"the body of the request was in an unknown format - accepted media types include: {', '.join(accepted)}")


def patched(ctx: RequestContext, kind: type[Any], live: Any, patch: Patch) -> Any:
    """The live object with a patch applied, in canonical form; not for server-side apply."""
    names = _touched(kind, patch)
    if names is not None:
        new = _partly_patched(kind, live, patch, names)
        if new is not None:
            return new
    return merged(ctx, kind, applied(encoding.to_json(live), patch, kind), patch)


def applied(current: Any, patch: Patch, kind: type[Any]) -> Any:
    """Plain JSON values with a patch applied; not for server-side apply."""
    if patch.content_type == STRATEGIC_MERGE_PATCH:
        return apply_strategic(current, patch.value, kind)
    if patch.content_type == MERGE_PATCH:
        return apply_merge_patch(current, patch.value)
    return apply_json_patch(current, patch.value)


def _touched(kind: Any, patch: Patch) -> Mapping[str, str] | None:
    """The fields of the object that a patch can change (name on the wire → attribute); None: any."""
    if patch.content_type == JSON_PATCH or patch.problems or not isinstance(patch.value, dict):
        return None
    fields = _fields(kind)
    names = {name: fields[name] for name in patch.value if name in fields}
    return names if len(names) == len(patch.value) else None


@cache
def _fields(kind: Any) -> Mapping[str, str]:
    return {field.encode_name: field.name for field in msgspec.structs.fields(kind) if field.name not in ("kind", "apiVersion")}


def _partly_patched(kind: type[Any], live: Any, patch: Patch, names: Mapping[str, str]) -> Any | None:
    """The object when nothing of it but these fields need be looked at; None when something is wrong with the result."""
    changes = {name: change for name, change in patch.value.items() if not _is_so(getattr(live, names[name]), change)}
    current = {}
    for name in changes:
        value = getattr(live, names[name])
        if value is not None and (value or isinstance(value, (msgspec.Struct, bool, int))):
            current[name] = encoding.to_json(value)
    try:
        found = from_value(kind, applied(current, replace(patch, value=changes), kind))
    except DecodingError:
        return None
    if found.problems:
        return None
    return replace(live, **{names[name]: getattr(found.object, names[name]) for name in changes})


def _is_so(value: Any, change: Any) -> bool:
    """Whether a patch of a part says only what is so, as many do of metadata: which object is meant."""
    if not isinstance(value, msgspec.Struct) or not isinstance(change, dict):
        return False
    fields = _fields(type(value))
    return all(isinstance(said, str) and name in fields and getattr(value, fields[name]) == said for name, said in change.items())


def merged(ctx: RequestContext, kind: type[Any], value: Any, patch: Patch) -> Any:
    """What a patch made, as an object. Raises Invalid when it is none."""
    shown = patch.value if patch.content_type == STRATEGIC_MERGE_PATCH else value
    try:
        decoded = from_value(kind, value)
    except DecodingError as error:
        restored = patch.content_type == STRATEGIC_MERGE_PATCH and misfit(kind, value)
        raise unfit(shown, restored or str(error), patch) from error
    problems = patch.problems
    if decoded.problems:  # Go writes the patched object with sorted keys and reads it again
        problems = (*problems, *from_value(kind, _sorted(value)).problems)
    report(ctx, problems, shown, patch)
    return decoded.object


def report(ctx: RequestContext, problems: Sequence[str], shown: Any, patch: Patch) -> None:
    """Says what field validation wants said of a patch's result. Raises Invalid."""
    if problems and ctx.field_validation == "Strict":
        raise unfit(shown, strict_message(problems), patch)
    if problems and ctx.field_validation == "Warn":
        ctx.warnings += problems


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def unfit(value: Any, why: str, patch: Patch) -> ApiError:
    """What Kubernetes says of a patch whose result is no such object: without a kind, and with the patch as Go shows it."""
    strategic = patch.content_type == STRATEGIC_MERGE_PATCH
    shown = go_shown(value) if strategic else json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    error = Invalid.of("", "", "", [invalid("patch", shown, why)])
    del error.details["kind"]
    return error
