"""A server for each test, and a client that speaks HTTP to it without knowing Kubernetes."""
from __future__ import annotations

import asyncio
import io
import json
import ssl
from typing import Any

import aiohttp
import msgspec
import pytest_asyncio

from tests.apiserver.serve import serving


class Answer(msgspec.Struct):
    """`json` is None where the body is none."""

    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        return self.json["message"]

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.body.splitlines()]


class Http:
    """Sends as the admin unless a header says otherwise."""

    def __init__(self, served, session):
        self.served = served
        self.session = session

    async def __call__(self, method, path, body=None, *, token=True, **headers):
        sent = {"Accept-Encoding": "identity"} | {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            sent.setdefault("Authorization", f"Bearer {self.served.token}")
        data = body if isinstance(body, (bytes, str, io.IOBase, type(None))) else json.dumps(body)
        if data is not None:
            sent.setdefault("Content-Type", "application/json")
        async with self.session.request(method, f"{self.served.url}{path}", data=data, headers=sent) as answer:
            return Answer(answer.status, answer.headers, await answer.read())

    async def get(self, path, **headers):
        return await self("GET", path, **headers)

    async def post(self, path, body, **headers):
        return await self("POST", path, body, **headers)


@pytest_asyncio.fixture
async def http():
    ready, done = asyncio.get_running_loop().create_future(), asyncio.Event()

    async def serve():  # in a task of its own: a fixture's two halves run in different ones
        async with serving() as served:
            context = ssl.create_default_context(cadata=served.authority.certificate.decode())
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context), auto_decompress=False) as session:
                ready.set_result(Http(served, session))
                await done.wait()

    task = asyncio.create_task(serve())
    await asyncio.wait([ready, task], return_when=asyncio.FIRST_COMPLETED)
    yield ready.result() if ready.done() else await task
    done.set()
    await task


CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


def config_map(name, **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}
