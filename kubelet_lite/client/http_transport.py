"""The connections beneath HttpClient: TLS, credentials, timeouts, retries where the server asks for them, failures as ApiErrors.

aiohttp is imported when the first request is made: it costs a fifth of a second.
"""
from __future__ import annotations

import base64
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import anyio
import msgspec

from kubelet_lite.actors.environment import Environment
from kubelet_lite.api.errors import ApiError, ServiceUnavailable
from kubelet_lite.client.kubeconfig import Server
from kubelet_lite.wire.certificates import client_context

if TYPE_CHECKING:
    import aiohttp

CONNECT_TIMEOUT_SECONDS: Final = 30.0
ANSWER_TIMEOUT_SECONDS: Final = 60.0
"""For a request that is no stream: as long as servers give one."""
MAX_RETRIES: Final = 10
"""How often a request is repeated when the server says when to (429 or 5xx with Retry-After)."""
MAX_RETRY_SECONDS: Final = 60.0
TOKEN_LIFETIME_SECONDS: Final = 60.0
"""How long a token that was read from a file is used before the file is read again."""
MAX_KEPT: Final = 256
_BREAKS: Final = re.compile(r"[\r\n]")


class Transport:
    """One server. Belongs to the event loop of its first request."""

    def __init__(self, server: Server, environment: Environment) -> None:
        self._server = server
        self._environment = environment
        self._session: aiohttp.ClientSession | None = None
        self._tls: Any = None
        self._token, self._token_read = server.token, float("-inf")

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def call(
        self, method: str, path: str, query: Mapping[str, str], body: bytes | None, *, headers: Sequence[tuple[str, str]], content_type: str,
    ) -> bytes:
        """The body of the answer. Raises an ApiError for any failure."""
        sent = [*headers, ("Content-Type", content_type)] if body is not None else headers
        for attempt in range(MAX_RETRIES + 1):
            try:
                with anyio.fail_after(ANSWER_TIMEOUT_SECONDS):
                    async with self._request(method, path, query, body, sent) as response:
                        data: bytes = await response.read()
            except TimeoutError as error:
                raise self._unreachable("no answer in time") from error
            if response.status < 400:
                return data
            wait = _retry_after(response.status, response.headers)
            if wait is None or attempt == MAX_RETRIES:
                raise _error(response.status, data)
            await self._environment.sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    @asynccontextmanager
    async def stream(
        self, method: str, path: str, query: Mapping[str, str], *, headers: Sequence[tuple[str, str]],
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        """An answer whose body comes as long as the server sends it: `chunks` reads it."""
        for attempt in range(MAX_RETRIES + 1):
            async with self._request(method, path, query, None, headers) as response:
                if response.status < 400:
                    yield response
                    return
                data = await response.read()
            wait = _retry_after(response.status, response.headers)
            if wait is None or attempt == MAX_RETRIES:
                raise _error(response.status, data)
            await self._environment.sleep(wait)

    async def chunks(self, response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        """What comes, as it comes. A connection that breaks is a ServiceUnavailable."""
        import aiohttp

        try:
            async for chunk in response.content.iter_any():
                yield chunk
        except (aiohttp.ClientError, OSError) as error:
            raise self._unreachable(str(error) or type(error).__name__) from error

    @asynccontextmanager
    async def _request(
        self, method: str, path: str, query: Mapping[str, str], body: bytes | None, headers: Sequence[tuple[str, str]],
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        import aiohttp
        from yarl import URL

        url = URL(f"{self._server.url}{path}?{_query_text(tuple(query.items()))}" if query else self._server.url + path, encoded=True)
        opened = False
        try:
            async with self._connected().request(
                method, url, data=body, headers=self._with_credentials(headers), ssl=self._tls, server_hostname=self._server.server_name or None,
                proxy=self._server.proxy or None, allow_redirects=False,
            ) as response:
                opened = True
                yield response
        except (aiohttp.ClientError, OSError) as error:
            if opened and not isinstance(error, aiohttp.ClientError):
                raise
            raise self._unreachable(str(error) or type(error).__name__) from error

    def _unreachable(self, why: str) -> ServiceUnavailable:
        return ServiceUnavailable(f"{self._server.url} cannot be reached: {why}")

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            import aiohttp

            self._tls = client_context(self._server.authority, self._server.pair, verify=self._server.verify) if self._server.url.startswith("https:") else True
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),  # each watch holds a connection: a limit would let watches lock requests out
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_SECONDS), cookie_jar=aiohttp.DummyCookieJar(),
                middlewares=(_send_once,),
            )
        return self._session

    def _with_credentials(self, headers: Sequence[tuple[str, str]]) -> Any:
        token = self._current_token()
        if token:
            credentials = f"Bearer {token}"
        elif self._server.username:
            credentials = "Basic " + base64.b64encode(f"{self._server.username}:{self._server.password}".encode()).decode()
        else:
            credentials = ""
        return _headers(tuple(headers), credentials)

    def _current_token(self) -> str:
        path, now = self._server.token_file, self._environment.monotonic()
        if path is not None and now - self._token_read > TOKEN_LIFETIME_SECONDS:
            self._token, self._token_read = path.read_text().strip(), now
        return self._token


@lru_cache(MAX_KEPT)
def _query_text(query: tuple[tuple[str, str], ...]) -> str:
    return urlencode(query)


@lru_cache(MAX_KEPT)
def _headers(headers: tuple[tuple[str, str], ...], credentials: str) -> Any:
    """Not to be changed: the requests of a client have few different ones."""
    from multidict import CIMultiDict, CIMultiDictProxy

    found = CIMultiDict((name, _BREAKS.sub("", value)) for name, value in headers)
    if credentials:
        found["Authorization"] = credentials
    return CIMultiDictProxy(found)


async def _send_once(request: aiohttp.ClientRequest, handler: Callable[[aiohttp.ClientRequest], Awaitable[aiohttp.ClientResponse]]) -> aiohttp.ClientResponse:
    """A write whose connection breaks is not sent again, as aiohttp would send a PUT or DELETE: it may have taken effect, and the answer to
    the second (NotFound, Conflict) would be about the first. aiohttp repeats nothing that fails with another error than these two."""
    import aiohttp

    try:
        return await handler(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        if request.method == "GET" or isinstance(error, aiohttp.ClientConnectorError):
            raise
        raise aiohttp.ClientConnectionError(str(error) or type(error).__name__) from error


def _retry_after(status: int, headers: Mapping[str, str]) -> float | None:
    """How long to wait before the same request again, if that helps."""
    value = headers.get("Retry-After", "")
    if (status != 429 and status < 500) or not value.isdecimal():
        return None
    return min(float(value), MAX_RETRY_SECONDS)


def _error(status: int, data: bytes) -> ApiError:
    """What the server says, or else that it said nothing."""
    try:
        answer = msgspec.json.decode(data)
    except msgspec.DecodeError:
        answer = None
    if isinstance(answer, dict) and answer.get("kind") == "Status":
        return ApiError.from_status(answer, status)
    text = data.decode("utf-8", "replace").strip()
    return ApiError.from_status({"message": text or f"the server answered with the status {status} and no words"}, status)
