"""A server that answers as a test says, and remembers what it was asked."""
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec
from aiohttp import web

from kubelet_lite.client.http import HttpClient
from kubelet_lite.client.kubeconfig import Server


class Asked(msgspec.Struct):
    method: str
    path: str
    query: dict[str, str]
    headers: list[tuple[str, str]]
    body: object

    def header(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]


@asynccontextmanager
async def stub(*answers: Callable | tuple, **server) -> AsyncIterator[tuple[HttpClient, list[Asked]]]:
    """A client of a server that gives these answers in turn: (status, JSON[, headers]), or an aiohttp handler."""
    asked, left = [], list(answers)

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        data = await request.read()
        asked.append(Asked(
            request.method, request.raw_path.partition("?")[0], dict(request.query), list(request.headers.items()), msgspec.json.decode(data) if data else None,
        ))
        answer = left.pop(0)
        if callable(answer):
            return await answer(request)
        status, value, *headers = answer
        body = value if isinstance(value, bytes) else msgspec.json.encode(value)
        return web.Response(status=status, body=body, content_type="application/json", headers=headers[0] if headers else {})

    runner = web.ServerRunner(web.Server(handle), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        async with HttpClient(Server(url=f"http://127.0.0.1:{port}", **{"token": "secret", **server}), field_manager="tests") as client:
            yield client, asked
    finally:
        await runner.cleanup()
    assert not left, "not every answer was asked for"


def lines(*events: object, end: bytes = b"") -> Callable:
    """An answer that sends these JSON values as a stream, in pieces that do not end where the values do."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        data = b"".join(e if isinstance(e, bytes) else msgspec.json.encode(e) + b"\n" for e in events) + end
        for start in range(0, len(data), 37):
            await response.write(data[start : start + 37])
        await response.write_eof()
        return response

    return answer
