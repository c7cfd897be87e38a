"""Whole clusters in virtual time, on one core: how much faster than a clock one runs, how many begin, converge and end in a second, and
what starting and stopping one costs. Seconds are the processor's, of the one thread that all of it is. The process is warm: a first run,
not counted, loads modules and builds what clusters share."""
from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import anyio

from benchmarks.report import Row, main
from kubelet_lite.api.apps_v1 import Deployment, DeploymentSpec
from kubelet_lite.api.core_v1 import Container, HTTPGetAction, PodSpec, PodTemplateSpec, Probe
from kubelet_lite.api.meta_v1 import LabelSelector, ObjectMeta
from kubelet_lite.cluster import Cluster
from kubelet_lite.simulation.virtual.environment import SimulatedEnvironment
from kubelet_lite.simulation.virtual.run import simulate, simulated_environment
from kubelet_lite.simulation.virtual.tape import Tape

HOUR_SECONDS: Final = 3600.0
HOUR_NODES, HOUR_PODS = 100, 1_000
SEED_SECONDS: Final = 600.0
SEED_NODES, SEED_PODS = 5, 50
SEEDS: Final = 20
STARTS: Final = 30
START_NODES: Final = 3
MACHINE_EXAMPLES: Final = 50
MACHINE_STEPS: Final = 20
SERVERS: Final = 20
LONGEST_SECONDS: Final = 120.0
"""Of virtual time, for convergence."""
PROBE: Final = Probe(httpGet=HTTPGetAction(path="/", port=80), periodSeconds=10)


def deployment(pods: int) -> Deployment:
    labels = {"app": "web"}
    pod = PodSpec(containers=(Container(name="web", image="nginx:1", readinessProbe=PROBE),))
    return Deployment(
        metadata=ObjectMeta(name="web", namespace="default"),
        spec=DeploymentSpec(
            replicas=pods, selector=LabelSelector(matchLabels=labels),
            template=PodTemplateSpec(metadata=ObjectMeta(labels=labels), spec=pod),
        ),
    )


async def converged(cluster: Cluster, pods: int) -> None:
    await cluster.client.create(deployment(pods))
    await cluster.wait("deployment/web", f"jsonpath={{.status.availableReplicas}}={pods}", timeout_seconds=LONGEST_SECONDS)


def timed(seed: int, body: Callable[[SimulatedEnvironment], Coroutine[Any, Any, None]]) -> float:
    begun = time.process_time()
    simulate(seed, body)
    return time.process_time() - begun


def converged_hour(seed: int) -> tuple[float, float]:
    """Seconds of the whole run, and of the hour after convergence."""
    begun = time.process_time()
    with simulated_environment(Tape(seed)) as environment:
        ready, leave = asyncio.Event(), asyncio.Event()

        async def held() -> None:
            async with Cluster(nodes=HOUR_NODES, environment=environment) as cluster:
                await converged(cluster, HOUR_PODS)
                ready.set()
                await leave.wait()

        loop = environment.loop
        main = loop.create_task(held())
        loop.run_until_complete(ready.wait())
        since = time.process_time()
        loop.run_until_complete(asyncio.sleep(HOUR_SECONDS))
        hour = time.process_time() - since
        leave.set()
        loop.run_until_complete(main)
    return time.process_time() - begun, hour


async def one_seed(environment: SimulatedEnvironment) -> None:
    async with Cluster(nodes=SEED_NODES, environment=environment) as cluster:
        await converged(cluster, SEED_PODS)
        await anyio.sleep(SEED_SECONDS - environment.monotonic())


async def start_and_stop(environment: SimulatedEnvironment) -> None:
    async with Cluster(nodes=START_NODES, environment=environment):
        pass


def hour() -> Iterable[Row]:
    timed(0, start_and_stop)
    took, hour = converged_hour(1)
    note = f"{HOUR_NODES} nodes, {HOUR_PODS} pods with a readiness probe every 10 s; an hour took {hour:.2f} s"
    yield Row("hour", "speed", HOUR_SECONDS / hour, "x", note)
    yield Row("hour", "start, convergence and end", took - hour, "s", "the same cluster")


def seeds() -> Iterable[Row]:
    timed(0, one_seed)
    took = statistics.median(timed(seed, one_seed) for seed in range(1, 1 + SEEDS))
    yield Row("seeds", "throughput", 1 / took, "seeds/s", f"{SEED_NODES} nodes, {SEED_PODS} pods, {SEED_SECONDS:.0f} virtual seconds; median of {SEEDS}")


def start() -> Iterable[Row]:
    timed(0, start_and_stop)
    took = statistics.median(timed(seed, start_and_stop) for seed in range(1, 1 + STARTS))
    yield Row("start", "start and stop", took * 1000, "ms", f"{START_NODES} nodes; median of {STARTS}")


def machine() -> Iterable[Row]:
    from hypothesis import HealthCheck, settings
    from hypothesis.stateful import run_state_machine_as_test

    from kubelet_lite.testing import Faults, Workloads

    class Rollouts(Faults, Workloads):
        pass

    def run(examples: int) -> None:
        run_state_machine_as_test(Rollouts, settings=settings(
            max_examples=examples, stateful_step_count=MACHINE_STEPS, database=None, deadline=None, derandomize=True,
            suppress_health_check=list(HealthCheck),
        ))

    run(1)
    begun = time.thread_time()
    run(MACHINE_EXAMPLES)
    took = time.thread_time() - begun
    note = f"ClusterMachine with faults: {Rollouts.setting.nodes} nodes, some 10 pods, up to {MACHINE_STEPS} steps; settles at its end"
    yield Row("machine", "throughput", MACHINE_EXAMPLES / took, "examples/s", note)


def kube_server() -> Iterable[Row]:
    from kubelet_lite.testing.server import ServerThread

    took = []
    with TemporaryDirectory() as folder, ServerThread() as thread:
        for _ in range(1 + SERVERS):
            begun = time.perf_counter()
            with thread.serve(Path(folder)):
                pass
            took.append(time.perf_counter() - begun)
    yield Row("kube_server", "start and stop", statistics.median(took[1:]) * 1000, "ms", f"a test's server: HTTPS, 1 node; by the clock; median of {SERVERS}")


WORKLOADS: Final = {"hour": hour, "seeds": seeds, "start": start, "machine": machine, "kube_server": kube_server}

if __name__ == "__main__":
    main("simulation", WORKLOADS)
