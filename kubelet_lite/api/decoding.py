"""The body of a request to a typed object: the strict decoder first, and the slow way when it refuses or a field is repeated.

What does not fit is a BadRequest in Kubernetes' form; unknown and repeated fields are all named, as field validation asks.
https://kubernetes.io/docs/reference/using-api/api-concepts/#field-validation
"""
from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, Generic, NamedTuple, TypeVar

import msgspec

from kubelet_lite.api import encoding, reading, yaml_text
from kubelet_lite.api.canonical import canonicalise
from kubelet_lite.api.errors import BadRequest
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.quantities import QuantityError
from kubelet_lite.api.reading import DecodingError
from kubelet_lite.api.requests import FieldValidation
from kubelet_lite.api.resources import find_kind
from kubelet_lite.api.timestamps import TimeError
from kubelet_lite.api.unstructured import Unstructured

T = TypeVar("T")
MOST_SHOWN: Final = 30
"""So much of a body that cannot be recognised stands in the message."""
LARGEST_WHOLE: Final = 1e21
"""From here on Go writes numbers with an exponent."""
_SCHEME: Final = 'in scheme "pkg/api/legacyscheme/scheme.go:30"'


class Decoded(NamedTuple, Generic[T]):
    """An object in canonical form, and what was wrong with it that field validation forgives: `unknown field "spec.foo"`."""

    object: T
    problems: tuple[str, ...] = ()


def decode_body(
    kind: type[T], data: bytes, content_type: str = "application/json", *, field_validation: FieldValidation = "Warn",
    any_version: bool = False,
) -> Decoded[T]:
    """`problems` are what Warning headers say. With `any_version` the body may name any apiVersion (DeleteOptions). Raises BadRequest."""
    is_yaml = "yaml" in content_type
    if not is_yaml:
        try:
            obj = encoding.decode(kind, data)
            if field_validation == "Ignore" or not _repeats(data):
                _check_names(kind, obj.apiVersion, obj.kind, any_version)  # type: ignore[attr-defined]
                return Decoded(encoding.named(canonicalise(obj)))
        except (msgspec.MsgspecError, UnicodeDecodeError, QuantityError, TimeError, RecursionError):
            pass  # the slow way finds it all, and says so in Kubernetes' words
    expected, _ = encoding.names_of(kind)
    try:
        value, yaml_problems = _parse_yaml(data) if is_yaml else (reading.parse(data), [])
    except (DecodingError, yaml_text.YamlError) as error:
        raise _unrecognised(expected, f"couldn't get version/kind; json parse error: {error}", data) from None
    if not isinstance(value, (reading.Pairs, Mapping)):
        raise _unrecognised(expected, "couldn't get version/kind; json parse error: json: cannot unmarshal into Go value of type struct", data)
    fields = dict(value)
    api_version, name = fields.get("apiVersion") or "", fields.get("kind") or ""
    if not isinstance(api_version, str) or not isinstance(name, str):
        raise _unrecognised(expected, "couldn't get version/kind; json parse error: json: cannot unmarshal into Go struct field of type string", data)
    _check_names(kind, api_version, name, any_version)
    try:
        decoded = from_value(kind, value)
    except RecursionError:
        raise _unfit(kind, api_version, name, "exceeded max depth") from None
    except DecodingError as error:
        raise _unfit(kind, api_version, name, str(error)) from None
    problems = (*yaml_problems, *decoded.problems)
    if problems and field_validation == "Strict":
        raise _unfit(kind, api_version, name, strict_message(problems))
    return Decoded(decoded.object, problems if field_validation == "Warn" else ())


def decode_unstructured(data: bytes, content_type: str = "application/json", *, kind: str, api_version: str) -> Decoded[Unstructured]:
    """A custom resource of this kind: only its metadata has a type, and of the rest repeated fields alone are found here. Raises BadRequest."""
    try:
        value, yaml_problems = _parse_yaml(data) if "yaml" in content_type else (reading.parse(data), [])
    except (DecodingError, yaml_text.YamlError) as error:
        raise _unrecognised(kind, f"couldn't get version/kind; json parse error: {error}", data) from None
    version = api_version.rpartition("/")[2]
    try:
        decoded = unstructured(value)
    except RecursionError:
        raise BadRequest(f'{kind} in version "{version}" cannot be handled as a {kind}: exceeded max depth') from None
    except DecodingError as error:
        raise BadRequest(f'{kind} in version "{version}" cannot be handled as a {kind}: {error}') from None
    obj = decoded.object
    if not obj.kind:
        raise BadRequest(f'{kind} in version "{version}" cannot be handled as a {kind}: Object \'Kind\' is missing in \'{data.decode("utf-8", "replace")}\'')
    if obj.apiVersion != api_version:
        raise BadRequest(f"the API version in the data ({obj.apiVersion}) does not match the expected API version ({api_version})")
    return Decoded(obj, (*yaml_problems, *decoded.problems))


def from_value(kind: type[T], value: Any) -> Decoded[T]:
    """JSON values (a patched object) to an object, with all problems. Raises DecodingError; kind and apiVersion are not looked at."""
    if kind is Unstructured:
        return unstructured(value)  # type: ignore[return-value]
    if not isinstance(value, reading.Pairs):
        try:
            return Decoded(encoding.named(canonicalise(encoding.decode(kind, encoding.encode_value(value)))))
        except (msgspec.MsgspecError, QuantityError, TimeError, RecursionError):
            pass
    data, problems = reading.read(kind, value)
    try:
        return Decoded(encoding.named(canonicalise(encoding.decode(kind, data))), tuple(problems))
    except (msgspec.MsgspecError, QuantityError, TimeError) as error:
        raise DecodingError(str(error)) from None


def unstructured(value: Any) -> Decoded[Unstructured]:
    """JSON values to an object without a type. Raises DecodingError."""
    if not isinstance(value, (reading.Pairs, Mapping)):
        raise DecodingError("json: cannot unmarshal into Go value of type map[string]interface {}")
    problems = list(reading.duplicates(value))
    fields = reading.plain(value)
    metadata = dict(value).get("metadata")
    data, found = reading.read(ObjectMeta, {} if metadata is None else metadata)
    problems += [p.replace('field "', 'field "metadata.', 1) for p in found if p.startswith("unknown")]
    api_version, kind = fields.pop("apiVersion", None) or "", fields.pop("kind", None) or ""
    if not isinstance(api_version, str) or not isinstance(kind, str):
        raise DecodingError("unable to decode apiVersion or kind")
    fields.pop("metadata", None)
    fields = {name: _as_go_writes(value) for name, value in fields.items()}
    try:
        meta = canonicalise(encoding.decode(ObjectMeta, data))
    except (msgspec.MsgspecError, TimeError) as error:
        raise DecodingError(str(error)) from None
    return Decoded(Unstructured(kind=kind, apiVersion=api_version, metadata=meta, fields=fields), tuple(problems))


def _as_go_writes(value: Any) -> Any:
    """Whole numbers have no fraction, however they were written."""
    if isinstance(value, dict):
        return {name: _as_go_writes(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_as_go_writes(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < LARGEST_WHOLE else value


def strict_message(problems: Iterable[str]) -> str:
    """What a refusal by strict field validation says."""
    return f"strict decoding error: {', '.join(problems)}"


def _parse_yaml(data: bytes) -> tuple[Any, list[str]]:
    value, duplicates = yaml_text.load(data)
    return value, [f"yaml: unmarshal errors:\n  {line}" for line in duplicates[:1]]


def _repeats(data: bytes) -> bool:
    """Whether any object of a JSON text has a field twice."""
    try:
        json.loads(data, object_pairs_hook=_unique)
    except _Repeated:
        return True
    return False


class _Repeated(Exception):
    """Ends the search."""


def _unique(pairs: list[tuple[str, Any]]) -> None:
    if len(dict(pairs)) != len(pairs):
        raise _Repeated


def _check_names(kind: Any, api_version: str, name: str, any_version: bool) -> None:
    expected, expected_version = encoding.names_of(kind)
    if name in ("", expected) and (any_version or api_version in ("", expected_version)):
        return
    if name in ("", expected) and find_kind(api_version, expected) is not None:
        raise BadRequest(f"the API version in the data ({api_version}) does not match the expected API version ({expected_version})")
    name, api_version = name or expected, api_version or expected_version
    if find_kind(api_version, name) is None:
        raise _unfit(kind, api_version, name, f'no kind "{name}" is registered for version "{api_version}" {_SCHEME}')
    version = api_version.rpartition("/")[2]
    raise _unfit(kind, api_version, name, f"converting ({version}.{name}) to ({expected_version.rpartition('/')[2]}.{expected}): unknown conversion")


def _unfit(kind: Any, api_version: str, name: str, why: str) -> BadRequest:
    expected, expected_version = encoding.names_of(kind)
    version = (api_version or expected_version).rpartition("/")[2]
    return BadRequest(f'{name or expected} in version "{version}" cannot be handled as a {expected}: {why}')


def _unrecognised(expected: str, why: str, data: bytes) -> BadRequest:
    body = json.dumps(data[:MOST_SHOWN].decode("utf-8", "replace"), ensure_ascii=False)
    shown = "<empty>" if not data else f"{body} ..." if len(data) > MOST_SHOWN else body
    return BadRequest(f"the object provided is unrecognized (must be of type {expected}): {why} ({shown})")
