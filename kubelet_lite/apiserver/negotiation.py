"""Which representation the client accepts: JSON or YAML, as the object itself, a Table or its metadata alone.

Two stages, as in Kubernetes: first the types a path produces at all, then the parameters of each accepted type.
https://kubernetes.io/docs/reference/using-api/api-concepts/#alternate-representations-of-resources
"""
from __future__ import annotations

from functools import lru_cache
from typing import Final

import msgspec

from kubelet_lite.api.errors import BadRequest, NotAcceptable, UnsupportedMediaType

JSON: Final = "application/json"
YAML: Final = "application/yaml"
PROTOBUF: Final = "application/vnd.kubernetes.protobuf"
OFFERED: Final = (JSON, YAML, PROTOBUF)
"""What messages name. Protobuf is read (apiserver/protobuf.py); answers are JSON or YAML."""
META_VERSIONS: Final = ("v1", "v1beta1")
TRANSFORMS: Final = ("Table", "PartialObjectMetadata", "PartialObjectMetadataList")
MAX_NESTING: Final = 1000
"""How deep a body may nest: far more than any object, far less than a parser's stack."""


class Representation(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer shall be."""

    media_type: str = JSON
    transform: str = ""
    """"", Table, PartialObjectMetadata or PartialObjectMetadataList."""
    meta_version: str = "v1"


PLAIN: Final = Representation()
_YAML: Final = Representation(media_type=YAML)


class _Clause(msgspec.Struct, frozen=True):
    type: str
    subtype: str
    quality: float
    parameters: dict[str, str]


@lru_cache(maxsize=256)
def _clauses(accept: str) -> tuple[_Clause, ...]:
    clauses = []
    for part in accept.split(","):
        media, *raw = (piece.strip() for piece in part.split(";"))
        kind, _, subtype = media.partition("/")
        parameters = {}
        quality = 1.0
        for item in raw:
            name, _, value = item.partition("=")
            if name == "q":
                try:
                    quality = float(value)
                except ValueError:
                    quality = 1.0
            elif name:
                parameters[name] = value
        clauses.append(_Clause(kind, subtype, quality, parameters))
    return tuple(sorted(clauses, key=lambda clause: -clause.quality))


@lru_cache(maxsize=256)
def accepts(accept: str, produced: tuple[str, ...]) -> bool:
    """The first stage: whether any accepted type is one that the path produces."""
    wanted = [part.split(";")[0].strip() for part in (accept or "*/*").split(",")]
    return any(want == "*/*" or want in produced for want in wanted)


def not_acceptable(produced: tuple[str, ...] = OFFERED) -> NotAcceptable:
    """The answer when `accepts` is false."""
    return NotAcceptable(f"406: Not Acceptable\n\nAvailable representations: {', '.join(produced)}", details={})


@lru_cache(maxsize=1024)
def _negotiate(accept: str, transforms: bool) -> Representation | None:
    if not accept:
        return PLAIN
    for clause in _clauses(accept):
        for offered in (PLAIN, _YAML):
            kind, _, subtype = offered.media_type.partition("/")
            if clause.type not in (kind, "*") or clause.subtype not in (subtype, "*"):
                continue
            transform = clause.parameters.get("as", "")
            if not transform:
                return offered
            version = clause.parameters.get("v", "")
            known = transform in TRANSFORMS and version in META_VERSIONS and clause.parameters.get("g") == "meta.k8s.io"
            if transforms and known:
                return Representation(media_type=offered.media_type, transform=transform, meta_version=version)
    return None


def negotiate(accept: str, *, transforms: bool) -> Representation:
    """The representation to answer in; NotAcceptable when there is none."""
    if not accepts(accept, OFFERED):
        raise not_acceptable()
    found = _negotiate(accept, transforms)
    if found is None:
        raise NotAcceptable(f"only the following media types are accepted: {', '.join(OFFERED)}")
    return found


_BODY_TYPES: Final = {JSON: JSON, YAML: YAML, PROTOBUF: PROTOBUF}


@lru_cache(maxsize=256)
def body_type(content_type: str, offered: tuple[str, ...] = OFFERED) -> str:
    """The media type of a request's body: JSON where none is said; UnsupportedMediaType for anything that is not offered."""
    media = content_type.split(";")[0].strip().lower()
    if not media:
        return JSON
    known = _BODY_TYPES.get(media)
    if known is None or known not in offered:
        raise UnsupportedMediaType(f"the body of the request was in an unknown format - accepted media types include: {', '.join(offered)}")
    return known


_OPENING: Final = b"[{"


def check_nesting(data: bytes) -> None:
    """Refuses a body that nests too deep; counts brackets only where there are enough of them to matter."""
    if data.count(b"{") + data.count(b"[") <= MAX_NESTING:
        return
    depth = 0
    in_string = escaped = False
    for byte in data:
        if in_string:
            if escaped:
                escaped = False
            elif byte == 0x5C:
                escaped = True
            elif byte == 0x22:
                in_string = False
        elif byte == 0x22:
            in_string = True
        elif byte in b"{[":
            depth += 1
            if depth > MAX_NESTING:
                raise BadRequest(f"the object provided is nested deeper than {MAX_NESTING} levels")
        elif byte in b"}]":
            depth -= 1
