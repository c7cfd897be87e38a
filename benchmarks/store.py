"""The store alone: puts of an object of the size of a Lease, bare, and deliveries to a hundred watchers of one resource."""
from __future__ import annotations

import importlib.util
import time
from collections.abc import Iterable
from typing import Final

import anyio

from benchmarks.report import Row, main
from kubelet_lite.api.coordination_v1 import Lease, LeaseSpec
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.store import Key, Store

PUTS: Final = 500_000
KEYS: Final = 1_000
WATCHERS: Final = 100
WRITES: Final = 10_000
ROUNDS: Final = 3


def leases(count: int) -> list[Lease]:
    return [Lease(metadata=ObjectMeta(name=f"l{n}", namespace="ns", resourceVersion=str(n + 2)), spec=LeaseSpec(holderIdentity="n")) for n in range(count)]


def puts() -> Iterable[Row]:
    objects = leases(PUTS)
    keys = [Key("leases.coordination.k8s.io", "ns", f"l{n}") for n in range(KEYS)]
    best = 0.0
    for _ in range(ROUNDS):
        store = Store(now=time.time)
        revisions = [0] * KEYS
        begun = time.perf_counter()
        for number, obj in enumerate(objects):
            slot = number % KEYS
            revisions[slot] = store.put(keys[slot], obj, expected=revisions[slot])
        best = max(best, PUTS / (time.perf_counter() - begun))
    yield Row("puts", "throughput", best, "puts/s", f"bare, {KEYS} keys in turn; best of {ROUNDS}")


async def _deliveries() -> float:
    store = Store(now=time.time)
    objects = leases(WRITES)
    key = Key("leases.coordination.k8s.io", "ns", "l0")
    seen = 0
    everybody = anyio.Event()

    async def watch() -> None:
        nonlocal seen
        with store.watch("leases.coordination.k8s.io", after=0) as channel:
            while True:
                await channel.changed()
                batch = channel.poll()
                seen += len(batch)
                if seen % WATCHERS == 0:
                    everybody.set()

    async with anyio.create_task_group() as tasks:
        for _ in range(WATCHERS):
            tasks.start_soon(watch)
        await anyio.sleep(0.05)
        begun = time.perf_counter()
        revision = 0
        for obj in objects:
            everybody = anyio.Event()
            revision = store.put(key, obj, expected=revision)
            await everybody.wait()
        took = time.perf_counter() - begun
        tasks.cancel_scope.cancel()
    return WATCHERS * WRITES / took


def deliveries() -> Iterable[Row]:
    for loop in ("asyncio", "uvloop"):
        if loop == "uvloop" and importlib.util.find_spec("uvloop") is None:
            continue
        best = max(anyio.run(_deliveries, backend_options={"use_uvloop": loop == "uvloop"}) for _ in range(ROUNDS))
        workload = "watch-100" if loop == "asyncio" else f"watch-100-{loop}"
        yield Row(workload, "throughput", best, "events/s", f"{WATCHERS} watchers, one write a wake, loop of {loop}; best of {ROUNDS}")


WORKLOADS: Final = {"puts": puts, "watch-100": deliveries}

if __name__ == "__main__":
    main("store", WORKLOADS)
