"""What the runs of the operators in `examples/` share: a served cluster, its kubeconfig in the environment, everything in the trace."""
from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import re
import tempfile
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from kubelet_lite import Cluster
from kubelet_lite.simulation.trace import Trace
from kubelet_lite.simulation.virtual.environment import SimulatedEnvironment
from kubelet_lite.simulation.virtual.loop import callback_owner

LOGGERS: Final = ("kopf", "httpx", "controller_kr8s")
"""Kopf tells what it handles, httpx each request."""
ADDRESS: Final = re.compile("0x[0-9a-f]+")


@asynccontextmanager
async def traced_cluster(environment: SimulatedEnvironment, trace: Trace) -> AsyncIterator[Cluster]:
    """Within the block all that happens is in the trace, and at its end every single step of the loop, as a digest."""
    with _digest_of_steps(environment) as digest, _logs(trace), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Kubernetes version .* is not supported")  # kr8s knows older ones
        async with Cluster(nodes=2, environment=environment, serve=True) as cluster:
            with trace.follow(cluster.store), kubeconfig_of(cluster):
                yield cluster
    trace.add("steps", f"{environment.loop.steps} {digest.hexdigest()}")


@contextmanager
def _digest_of_steps(environment: SimulatedEnvironment) -> Iterator[hashlib._Hash]:
    """Of when each step happened, and whose it was (some tasks of kopf have addresses in their names)."""
    digest = hashlib.sha256()

    def step(handle: asyncio.Handle) -> None:
        owner = callback_owner(handle)
        name = ADDRESS.sub("", owner.get_name()) if isinstance(owner, asyncio.Task) else type(owner).__qualname__
        digest.update(f"{environment.monotonic()} {name}\n".encode())

    environment.loop.before_step.append(step)
    try:
        yield digest
    finally:
        environment.loop.before_step.remove(step)


@contextmanager
def _logs(trace: Trace) -> Iterator[None]:
    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            trace.add(record.levelname, f"{record.created} {record.name} {record.getMessage()}")

    handler = Handler()
    loggers = [(logger, logger.level, logger.propagate) for logger in map(logging.getLogger, LOGGERS)]
    for logger, _, _ in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
    try:
        yield
    finally:
        for logger, level, propagate in loggers:
            logger.removeHandler(handler)
            logger.setLevel(level)
            logger.propagate = propagate


@contextmanager
def kubeconfig_of(cluster: Cluster) -> Iterator[None]:
    """Within the block programs find the cluster as they always do."""
    before = os.environ.get("KUBECONFIG")
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(cluster.kubeconfig)
        file.flush()
        os.environ["KUBECONFIG"] = file.name
        try:
            yield
        finally:
            if before is None:
                del os.environ["KUBECONFIG"]
            else:
                os.environ["KUBECONFIG"] = before
