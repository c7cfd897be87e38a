"""The API server: HTTPS on a loopback address, for every kind of client that speaks to a Kubernetes API server.

It adds only authentication and the wire; what may happen to an object is the registry's business.
https://kubernetes.io/docs/concepts/security/controlling-access/
"""
from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable, Coroutine, Mapping
from functools import lru_cache
from typing import Any, Final

import anyio
from anyio.abc import TaskGroup
from msgspec.structs import replace

from kubelet_lite.actors import logs
from kubelet_lite.actors.actor import Actor
from kubelet_lite.actors.supervisor import ActorKilled
from kubelet_lite.api.errors import ApiError, InternalError, NotFound
from kubelet_lite.api.identity import Identity
from kubelet_lite.api.resources import RESOURCES, Resource
from kubelet_lite.apiserver.authentication import Authenticator
from kubelet_lite.apiserver.discovery import Discovery, is_built_in
from kubelet_lite.apiserver.exchange import Exchange
from kubelet_lite.apiserver.flow_control import FlowControl
from kubelet_lite.apiserver.handlers import Handlers
from kubelet_lite.apiserver.http_connection import HttpConnection, Request, date_line
from kubelet_lite.apiserver.metrics import Requests
from kubelet_lite.apiserver.paths import Paths, Statistics
from kubelet_lite.apiserver.request_info import RequestInfo, request_info
from kubelet_lite.apiserver.routes import ResourcePath, route
from kubelet_lite.registry.authorization.authorizer import ClusterAuthorizer
from kubelet_lite.registry.authorization.reviews import Reviewer
from kubelet_lite.registry.authorization.tokens import ServiceAccountTokens
from kubelet_lite.registry.registry import Registry
from kubelet_lite.wire.certificates import SERVER_NAMES, CertificateAuthority, KeyPair, server_context
from kubelet_lite.wire.service_account_key import ServiceAccountKey

ADDRESS: Final = "127.0.0.1"
MAX_CONNECTIONS: Final = 4096
"""Open at once; those beyond it are closed at once."""
BACKLOG: Final = 1024
IDLE_SECONDS: Final = 90.0
"""A connection without a request for so long is closed, as by kube-apiserver; a head that does not end counts as none."""
SWEEP_SECONDS: Final = 30.0
CACHED_REQUESTS: Final = 8192
"""Methods and paths whose info is remembered; when full, all are forgotten at once."""
CERTIFICATE_NAMES: Final = frozenset(SERVER_NAMES)

_log = logs.get_logger()


class ApiServer(Actor):
    """`authority` signs its certificate and the clients'; `tokens` are the cluster's own bearer tokens. Without `authority` it speaks
    plain HTTP, which is for simulated networks. `port` 0: a free one; after the start `port` and `url` say which."""

    def __init__(
        self, registry: Registry, authorizer: ClusterAuthorizer, *, authority: CertificateAuthority | None, tokens: Mapping[str, Identity],
        key: ServiceAccountKey, port: int = 0, statistics: Statistics = dict,
    ) -> None:
        super().__init__("apiserver")
        environment = registry.environment
        self.port = port
        self.ready = anyio.Event()
        """Set when it listens, or when `failure` says why it never will."""
        self.failure: OSError | None = None
        """Why the port could not be had at the first start: a restart would not help."""
        self._registry = registry
        self._environment = environment
        self._authorizer = authorizer
        self._authority = authority
        accounts = ServiceAccountTokens(key, registry.view, environment)
        self._authenticator = Authenticator(tokens, accounts, authorizer, environment)
        registry.tokens = accounts
        registry.reviewer = Reviewer(authorizer, environment, self._authenticator.authenticate_token)
        self._flow_control = FlowControl(registry.view)
        self._handlers = Handlers(registry)
        self._requests = Requests()
        self._discovery = Discovery(registry.served, f"{ADDRESS}:{port}")
        self._paths = Paths(self._discovery, key, self._checks(), self._requests, statistics, lambda: environment.sleep(0))
        self._infos: dict[tuple[str, str], RequestInfo] = {}
        self._served: tuple[Resource, ...] = RESOURCES
        """What `_infos` were made of."""
        self._connections: dict[HttpConnection, None] = {}
        """In the order in which they were opened."""
        self._group: TaskGroup | None = None
        self._date = (-1, b"")

    @property
    def url(self) -> str:
        """Where it is reached."""
        return f"{'https' if self._authority is not None else 'http'}://{ADDRESS}:{self.port}"

    async def run(self) -> None:
        pair = self._authority.issue_server(self._environment.now(), addresses=self._addresses()) if self._authority is not None else None
        try:
            async with anyio.create_task_group() as self._group:
                try:
                    await self._listen(pair)
                except OSError as error:
                    if self.ready.is_set():
                        raise
                    self.failure = error
                    self.ready.set()
                    return
                self.ready.set()
                await self._sweep()
            raise ActorKilled("a task of the API server was cancelled")  # past anyio, whose group then ends as if its work were done
        finally:
            self._group = None
            for connection in list(self._connections):
                connection.transport.abort()  # a TLS client that never closes its side would keep ours open beyond the server's end
            self._connections.clear()

    def _addresses(self) -> tuple[str, ...]:
        """Under which addresses it is known: its own, and that of the Service which leads to it."""
        service = self._registry.view.get("services", "default", "kubernetes")
        return (ADDRESS, "::1", *(service.spec.clusterIPs if service is not None else ()))

    async def _listen(self, pair: KeyPair | None) -> None:
        context = server_context(pair, self._authority.certificate) if pair is not None and self._authority is not None else None
        server = await asyncio.get_running_loop().create_server(
            lambda: HttpConnection(self), ADDRESS, self.port, ssl=context, backlog=BACKLOG, reuse_address=True,
        )
        self.port = server.sockets[0].getsockname()[1]
        self._discovery.moved(f"{ADDRESS}:{self.port}")
        assert self._group is not None
        self._group.start_soon(self._close_at_end, server)

    async def _close_at_end(self, server: Any) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            server.close()
            for connection in list(self._connections):
                connection.shut()

    async def _sweep(self) -> None:
        """Closes connections that nobody uses."""
        while True:
            await self._environment.sleep(SWEEP_SECONDS)
            oldest = self._environment.monotonic() - IDLE_SECONDS
            for connection in list(self._connections):
                if not connection.busy and connection.last_activity < oldest:
                    connection.shut()

    def statistics(self) -> Mapping[str, float]:
        return {"connections": len(self._connections), "watches": self._handlers.watches.open, "requests_total": sum(self._requests.counts.values())}

    def _checks(self) -> dict[str, Callable[[], str]]:
        return {
            "ping": lambda: "",
            "log": lambda: "",
            "etcd": lambda: "" if self._registry.store.revision >= 0 else "the store is not there",
            "poststarthook/rbac/bootstrap-roles": lambda: "" if self._registry.view.get("namespaces", "", "default") is not None else "not finished",
        }

    # ---- what connections need

    def opened(self, connection: HttpConnection) -> None:
        if len(self._connections) >= MAX_CONNECTIONS:
            connection.shut()
        self._connections[connection] = None

    def closed(self, connection: HttpConnection) -> None:
        self._connections.pop(connection, None)

    def spawn(self, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        if self._group is not None:
            self._group.start_soon(run)

    def monotonic(self) -> float:
        return self._environment.monotonic()

    def http_date(self) -> bytes:
        second = int(self._environment.now())
        if self._date[0] != second:
            self._date = (second, date_line(second))
        return self._date[1]

    async def handle(self, connection: HttpConnection, request: Request) -> None:
        exchange = Exchange(connection, request, request.header(b"audit-id") or self._environment.uid())
        try:
            await self._serve(exchange)
        except ApiError as error:
            self._fail(exchange, error)
        except ConnectionAbortedError:  # what stands before the registry says that the client gets no answer
            connection.transport.abort()
        except Exception as error:  # what goes wrong in one request must not take the connection's others with it
            _log.error("request_failed", method=request.method, path=request.path, audit_id=exchange.audit_id, error=repr(error), exc_info=error)
            self._fail(exchange, InternalError("This request caused apiserver to panic. Look in the logs for details."))
        finally:
            self._requests.count(exchange.attributes, exchange.status)

    def _fail(self, exchange: Exchange, error: ApiError) -> None:
        if exchange.started:  # an answer that has begun can only be broken off
            exchange.connection.transport.abort()
        else:
            exchange.fail(error)

    async def _serve(self, exchange: Exchange) -> None:
        request = exchange.request
        refusal = refused_origin(request.headers.get(b"host", b""), request.headers.get(b"origin", b""))
        if refusal:
            exchange.plain(403, refusal)
            return
        exchange.identity = identity = self._authenticator.identify(exchange.connection, request)
        info = self._info(request)
        exchange.attributes = attributes = info.attributes
        exchange.classified(self._flow_control.headers(identity, attributes))
        self._authorizer.check(identity, attributes)
        if info.path is None:
            await self._paths.serve(exchange)
        elif info.route is None and info.path.group and not is_built_in(info.path.group):
            self._not_served(exchange, info.path)
        else:
            await self._handlers.serve(exchange, info)

    def _not_served(self, exchange: Exchange, path: ResourcePath) -> None:
        """Of groups that are none of Kubernetes' own, only a resource that there is says which part of it is missing."""
        if path.subresource and route(replace(path, subresource=""), self._registry.find) is not None:
            raise NotFound.of(path.group, path.plural, path.name)
        exchange.plain(404, "404 page not found\n")

    def _info(self, request: Request) -> RequestInfo:
        served = self._registry.served()
        if served is not self._served:
            self._served = served
            self._infos.clear()
        key = (request.method, request.path)
        info = self._infos.get(key)
        if info is None:
            if len(self._infos) >= CACHED_REQUESTS:
                self._infos.clear()
            info = self._infos[key] = request_info(request.method, request.path, self._registry.find)
        return info.asked(request.query) if info.selects and request.query else info


@lru_cache(maxsize=256)
def refused_origin(host: bytes, origin: bytes) -> str:
    """Why a browser's request from elsewhere is refused, or "": the host must be an address or a name of the certificate (no name that
    somebody rebinds to this machine), and a page may ask only the server it came from."""
    name = _host_name(host)
    if name and name not in CERTIFICATE_NAMES and not _is_address(name):
        return "the Host header names another server\n"
    if origin and origin.partition(b"://")[2] != host:
        return "cross-origin requests are not allowed\n"
    return ""


def _host_name(host: bytes) -> str:
    text = host.decode("latin-1").lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0]


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


