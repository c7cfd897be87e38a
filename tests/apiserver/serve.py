"""An API server with store and registry and nothing else: a fixture for tests, and `python -m tests.apiserver.serve` for hands and benchmarks.

Prints its URL and the admin's token; `--uvloop` runs it on uvloop, `--kubeconfig PATH` writes one.
"""
from __future__ import annotations

import argparse
import asyncio
import base64
import cProfile
import json
import pstats
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import anyio
import structlog

from kubelet_lite.actors.environment import Environment
from kubelet_lite.actors.supervisor import Supervisor
from kubelet_lite.api.identity import ADMIN
from kubelet_lite.apiserver.server import ApiServer
from kubelet_lite.registry.admission.chain import Admission
from kubelet_lite.registry.admission.plugin import World
from kubelet_lite.registry.authorization.authorizer import ClusterAuthorizer
from kubelet_lite.registry.bootstrap import bootstrap
from kubelet_lite.registry.custom.actor import Definitions
from kubelet_lite.registry.registry import Registry
from kubelet_lite.store import Store
from kubelet_lite.store.actor import StoreActor
from kubelet_lite.wire.certificates import CertificateAuthority
from kubelet_lite.wire.service_account_key import ServiceAccountKey

SERVICE_CIDR = "10.96.0.0/16"


class Served(NamedTuple):
    """A running server."""

    url: str
    token: str
    authority: CertificateAuthority
    registry: Registry
    server: ApiServer


@asynccontextmanager
async def serving(port: int = 0) -> AsyncIterator[Served]:
    """Runs one until the block ends."""
    environment = Environment.real()
    store = Store(now=environment.now)
    registry = Registry(store, environment)
    authorizer = ClusterAuthorizer(registry.view)
    registry.authorizer = authorizer
    bootstrap(registry, service_cidr=SERVICE_CIDR)
    registry.admission = Admission(World(view=registry.view, environment=environment, authorizer=authorizer, write=registry.write))
    authority = CertificateAuthority.create(environment.now())
    token = environment.token()
    async with Supervisor(environment) as supervisor:
        server = ApiServer(
            registry, authorizer, authority=authority, tokens={token: ADMIN}, key=ServiceAccountKey(), port=port,
            statistics=supervisor.statistics,
        )
        supervisor.start(StoreActor(store, environment))
        supervisor.start(Definitions(registry))
        supervisor.start(server)
        await server.ready.wait()
        yield Served(server.url, token, authority, registry, server)


def kubeconfig(served: Served) -> str:
    """For the admin."""
    authority = base64.b64encode(served.authority.certificate).decode()
    return json.dumps({
        "apiVersion": "v1", "kind": "Config", "current-context": "it",
        "clusters": [{"name": "it", "cluster": {"server": served.url, "certificate-authority-data": authority}}],
        "users": [{"name": "it", "user": {"token": served.token}}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
    })


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--kubeconfig")
    parser.add_argument("--uvloop", action="store_true")
    parser.add_argument("--profile", type=float, help="prints a profile after so many seconds")
    arguments = parser.parse_args()
    renderer = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*structlog.get_config()["processors"][:-1], renderer], logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    async with serving(arguments.port) as served:
        print(served.url, served.token, flush=True)
        if arguments.kubeconfig:
            Path(arguments.kubeconfig).write_text(kubeconfig(served))
        if arguments.profile:
            profile = cProfile.Profile()
            profile.enable()
            await anyio.sleep(arguments.profile)
            profile.disable()
            pstats.Stats(profile).sort_stats("tottime").print_stats(45)
            return
        await anyio.sleep_forever()


if __name__ == "__main__":
    if "--uvloop" in sys.argv:
        import uvloop

        uvloop.run(main())
    else:
        asyncio.run(main())
