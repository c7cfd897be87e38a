"""One request and its answer: who asks, what was warned about, and how an answer is written (status, JSON or YAML, gzip).

https://kubernetes.io/docs/reference/using-api/api-concepts/
"""
from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from kubelet_lite.api.errors import ApiError
from kubelet_lite.api.identity import Identity
from kubelet_lite.apiserver import query
from kubelet_lite.apiserver.http_connection import BodyStream, HttpConnection, Request
from kubelet_lite.apiserver.negotiation import JSON, PLAIN, YAML, Representation
from kubelet_lite.registry.authorization.attributes import Attributes

GZIP_THRESHOLD_BYTES: Final = 128 * 1024
"""Answers larger than this are compressed for a client that accepts it: Kubernetes' own threshold."""
GZIP_LEVEL: Final = 1
GZIP_WINDOW: Final = 31
"""zlib's number for the gzip format."""
TEXT: Final = "text/plain; charset=utf-8"
MAX_WARNING_CHARACTERS: Final = 4096
"""Of all warnings of one answer, as in Kubernetes …"""
MAX_CUT_WARNING_CHARACTERS: Final = 256
"""… and of each one when they are more."""
_PRETTY_AGENTS: Final = ("curl", "Wget", "Mozilla/5.0")


class Exchange:
    """Made once for each request; `identity` is set by authentication."""

    __slots__ = ("_flow", "_values", "attributes", "audit_id", "cacheable", "connection", "identity", "request", "started", "status", "warnings")

    def __init__(self, connection: HttpConnection, request: Request, audit_id: str) -> None:
        self.connection = connection
        self.request = request
        self.audit_id = audit_id
        self.identity: Identity
        self.warnings: list[str] = []
        self.started = False
        """Whether an answer, or the head of one, has been written."""
        self.status = 0
        self.attributes: Attributes | None = None
        """What is asked for, once that is known."""
        self.cacheable = False
        """Whether what the URL names never changes."""
        self._values: Mapping[str, Sequence[str]] | None = None
        self._flow = b""

    @property
    def values(self) -> Mapping[str, Sequence[str]]:
        """The query's values."""
        if self._values is None:
            self._values = query.parameters(self.request.query)
        return self._values

    def classified(self, flow: bytes) -> None:
        """Header lines that say which flow schema and priority level the request fell under."""
        self._flow = flow

    # ---- answers

    def head(self, media_type: str, more: bytes = b"") -> bytes:
        """The answer's header lines."""
        warnings = b"".join(warning_lines(self.warnings)) if self.warnings else b""
        return b"Audit-Id: %b\r\nCache-Control: %b\r\nContent-Type: %b\r\n%b%b%b" % (
            self.audit_id.encode(), b"public, immutable" if self.cacheable else b"no-cache, private", media_type.encode(), warnings, self._flow, more,
        )

    def respond(self, status: int, body: bytes, media_type: str, more: bytes = b"") -> None:
        """A whole answer."""
        self.started = True
        self.status = status
        if len(body) > GZIP_THRESHOLD_BYTES and self.accepts_gzip():
            body = zlib.compress(body, GZIP_LEVEL, wbits=GZIP_WINDOW)
            more += b"Content-Encoding: gzip\r\nVary: Accept-Encoding\r\n"
        self.connection.respond(self.request, status, self.head(media_type, more), body)

    def start_stream(self, status: int, media_type: str, more: bytes = b"") -> BodyStream:
        """An answer in pieces."""
        self.started = True
        self.status = status
        return self.connection.start_stream(self.request, status, self.head(media_type, more))

    def accepts_gzip(self) -> bool:
        return self.request.method == "GET" and b"gzip" in self.request.headers.get(b"accept-encoding", b"")

    def plain(self, status: int, text: str) -> None:
        """Plain text, as Go's http.Error and http.NotFound write it."""
        self.respond(status, text.encode(), TEXT, b"X-Content-Type-Options: nosniff\r\n")

    def json(self, status: int, item: bytes, representation: Representation = PLAIN, more: bytes = b"") -> None:
        """Encoded JSON in the representation that was negotiated."""
        if representation.media_type == YAML:
            self.respond(status, to_yaml(item), YAML, more)
        elif self.pretty():
            self.respond(status, msgspec.json.format(item, indent=2), JSON, more)
        else:
            self.respond(status, item + b"\n", JSON, more)

    def value(self, status: int, value: Any, representation: Representation = PLAIN, more: bytes = b"") -> None:
        """Plain JSON values, keys in their order."""
        self.json(status, msgspec.json.encode(value), representation, more)

    def pretty(self) -> bool:
        """Whether a person reads the answer, who asked for it or uses a tool for people."""
        wanted = query.flag(self.values, "pretty") if self.request.query else None
        if wanted is None:
            return self.request.header(b"user-agent").startswith(_PRETTY_AGENTS)
        return wanted

    def fail(self, error: ApiError, representation: Representation = PLAIN) -> None:
        """An error as a Status."""
        more = b""
        retry = error.details.get("retryAfterSeconds")
        if retry:
            more = b"Retry-After: %d\r\n" % retry
        self.value(error.code, error.to_status(), representation, more)


def to_yaml(item: bytes) -> bytes:
    """Encoded JSON as YAML, keys sorted as Kubernetes' encoder does."""
    import yaml

    text: bytes = yaml.dump(
        msgspec.json.decode(item), Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), default_flow_style=False, encoding="utf-8",
        allow_unicode=True,
    )
    return text


def warning_lines(warnings: Iterable[str]) -> list[bytes]:
    """Warning headers (RFC 2616, code 299), each text once; when all are too long together, each is cut, and the last are left out."""
    texts = list(dict.fromkeys(text for text in warnings if text))
    if sum(map(len, texts)) > MAX_WARNING_CHARACTERS:
        texts = [text[:MAX_CUT_WARNING_CHARACTERS] for text in texts[:MAX_WARNING_CHARACTERS // MAX_CUT_WARNING_CHARACTERS]]
    return [f'Warning: 299 - "{_quotable(text)}"\r\n'.encode() for text in texts]


def _quotable(text: str) -> str:
    printable = "".join(character if character.isprintable() else " " for character in text)
    return printable.replace("\\", "\\\\").replace('"', '\\"')
