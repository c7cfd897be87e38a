"""The paths that are about no resource: versions, health, metrics, discovery, OpenAPI, the service account issuer.

https://kubernetes.io/docs/reference/using-api/health-checks/ https://kubernetes.io/docs/concepts/overview/kubernetes-api/
"""
from __future__ import annotations

import platform
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Final

import msgspec

from kubelet_lite.api.errors import MethodNotAllowed, NotFound
from kubelet_lite.apiserver import health, query
from kubelet_lite.apiserver.discovery import Discovery, Document, is_built_in
from kubelet_lite.apiserver.exchange import TEXT, Exchange
from kubelet_lite.apiserver.metrics import CONTENT_TYPE, Requests, exposition
from kubelet_lite.apiserver.negotiation import JSON, accepts, negotiate, not_acceptable
from kubelet_lite.registry.authorization.tokens import ISSUER
from kubelet_lite.wire.service_account_key import ServiceAccountKey

if TYPE_CHECKING:
    from kubelet_lite.apiserver.openapi.documents import OpenApi

VERSION: Final = "1.36.0"
GO_RESTFUL_ROOTS: Final = ("/api", "/version", "/.well-known", "/openid/v1/jwks")
"""What Kubernetes serves by its web services: below them an unknown path is a Status, elsewhere plain text."""
Statistics = Callable[[], Mapping[str, Mapping[str, float]]]


def version_info() -> dict[str, str]:
    """What /version says."""
    major, minor, _ = VERSION.split(".")
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return {
        "major": major, "minor": minor, "emulationMajor": major, "emulationMinor": minor, "minCompatibilityMajor": major,
        "minCompatibilityMinor": str(int(minor) - 1), "gitVersion": f"v{VERSION}", "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z", "goVersion": f"python{platform.python_version()}", "compiler": platform.python_implementation(),
        "platform": f"{platform.system().lower()}/{machine}",
    }


class Paths:
    """Serves them. `key` signs service account tokens; `checks`: what health depends on."""

    def __init__(
        self, discovery: Discovery, key: ServiceAccountKey, checks: Mapping[str, health.Check], requests: Requests,
        statistics: Statistics, yielding: Callable[[], Awaitable[None]],
    ) -> None:
        self._discovery = discovery
        self._openapi: OpenApi | None = None
        self._key = key
        self._checks = checks
        self._requests = requests
        self._statistics = statistics
        self._yielding = yielding

    async def serve(self, exchange: Exchange) -> None:
        """Answers a request that was authorized."""
        path = exchange.request.path
        first, _, rest = path.strip("/").partition("/")
        if first in health.ENDPOINTS:
            self._health(exchange, first, rest)
            return
        if exchange.request.method not in ("GET", "HEAD"):
            if first in ("api", "apis", "version"):
                raise MethodNotAllowed("the server does not allow this method on the requested resource", details={})
            exchange.plain(405, "Method Not Allowed\n")
            return
        match first, rest:
            case "", "":
                exchange.value(200, {"paths": self._all()})
            case "version", "":
                exchange.value(200, version_info())
            case "metrics", "":
                exchange.respond(200, exposition(self._requests, self._statistics()).encode(), CONTENT_TYPE)
            case ("api" | "apis"), _:
                self._discover(exchange, path, first, rest)
            case "openapi", "v2":
                self._open_api_v2(exchange)
            case "openapi", _ if rest == "v3" or rest.startswith("v3/"):
                await self._open_api_v3(exchange, rest[len("v3/"):])
            case ".well-known", "openid-configuration":
                exchange.respond(200, msgspec.json.encode(self._issuer()), JSON)
            case "openid", "v1/jwks":
                exchange.respond(200, msgspec.json.encode(self._key.jwks()), "application/jwk-set+json")
            case _:
                self._missing(exchange)

    def _missing(self, exchange: Exchange) -> None:
        path = exchange.request.path
        if any(path == root or path.startswith(f"{root}/") for root in GO_RESTFUL_ROOTS):
            raise NotFound("the server could not find the requested resource", details={})
        exchange.plain(404, "404 page not found\n")

    def _health(self, exchange: Exchange, endpoint: str, rest: str) -> None:
        found = health.answer(endpoint, rest, self._checks, exchange.values)
        if found is None:
            exchange.plain(404, "404 page not found\n")
            return
        status, text = found
        exchange.respond(status, text.encode(), TEXT, b"X-Content-Type-Options: nosniff\r\n")

    # ---- discovery and OpenAPI

    def _discover(self, exchange: Exchange, path: str, root: str, rest: str) -> None:
        accept = exchange.request.header(b"accept")
        found = self._discovery.document(path, accept)
        if found is None:
            group = rest.partition("/")[0]
            if root == "apis" and not is_built_in(group):
                exchange.plain(404, "404 page not found\n")
                return
            raise NotFound("the server could not find the requested resource", details={})
        if found.media_type == JSON:
            representation = negotiate(accept, transforms=False)
            if representation.media_type != JSON or exchange.pretty():
                exchange.json(200, found.body.rstrip(b"\n"), representation)
                return
        elif exchange.request.header(b"if-none-match") == found.etag:
            _unchanged(exchange, found)
            return
        more = b"" if found.media_type == JSON else b"Etag: %b\r\nVary: Accept\r\n" % found.etag.encode()
        exchange.respond(200, found.body, found.media_type, more)

    async def _open_api_v3(self, exchange: Exchange, path: str) -> None:
        openapi = self._opened()
        found = openapi.v3(path) if path else await openapi.v3_index(self._yielding)
        if found is None:
            exchange.plain(404, "404 page not found\n")
            return
        wanted = query.text(exchange.values, "hash")
        if wanted and wanted != found.hash:
            exchange.respond(301, b"", TEXT, f"Location: /openapi/v3/{path}?hash={found.hash}\r\n".encode())
            return
        exchange.cacheable = bool(wanted)
        self._document(exchange, found)

    def _open_api_v2(self, exchange: Exchange) -> None:
        accept = exchange.request.header(b"accept")
        binary = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf" in accept
        if accept and not binary and not accepts(accept, (JSON,)):
            raise not_acceptable((JSON,))
        self._document(exchange, self._opened().v2(binary=binary))

    def _opened(self) -> OpenApi:
        if self._openapi is None:
            from kubelet_lite.apiserver.openapi.documents import OpenApi  # its tables are not needed to start

            self._openapi = OpenApi(self._discovery.resources)
        return self._openapi

    @staticmethod
    def _document(exchange: Exchange, found: Document) -> None:
        if exchange.request.header(b"if-none-match") == found.etag:
            _unchanged(exchange, found)
        else:
            exchange.respond(200, found.body, found.media_type, b"Etag: %b\r\nVary: Accept-Encoding, Accept\r\n" % found.etag.encode())

    def _issuer(self) -> dict[str, object]:
        return {
            "issuer": ISSUER, "jwks_uri": f"{ISSUER}/openid/v1/jwks", "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"], "id_token_signing_alg_values_supported": ["ES256"],
        }

    def _all(self) -> list[str]:
        """What `/` lists."""
        paths = ["/.well-known/openid-configuration", "/metrics", "/openapi/v2", "/openapi/v3", "/openid/v1/jwks", "/version", "/apis"]
        paths += [f"/{endpoint}" for endpoint in health.ENDPOINTS]
        paths += [f"/{endpoint}/{name}" for endpoint in health.ENDPOINTS for name in self._checks]
        for group, versions in self._discovery.group_versions().items():
            root = f"/apis/{group}" if group else "/api"
            paths += [root, *(f"{root}/{version}" for version in versions)]
        return sorted(paths)


def _unchanged(exchange: Exchange, found: Document) -> None:
    exchange.respond(304, b"", found.media_type, b"Etag: %b\r\n" % found.etag.encode())
