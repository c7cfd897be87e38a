"""What a trace shows."""
from __future__ import annotations

import re

import structlog

from kubelet_lite.actors.actor import Actor
from kubelet_lite.actors.supervisor import Supervisor
from kubelet_lite.api.core_v1 import ConfigMap
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.simulation.trace import Trace
from kubelet_lite.simulation.virtual.environment import SimulatedEnvironment
from kubelet_lite.simulation.virtual.run import simulate
from kubelet_lite.store.keys import Key
from kubelet_lite.store.store import Store, stamped

KEY = Key("configmaps", "default", "one")


def put(store: Store, data: str, expected: int) -> int:
    obj = ConfigMap(metadata=ObjectMeta(name="one", namespace="default"), data={"key": data})
    return store.put(KEY, stamped(obj, store.next_revision), expected=expected)


class Writer(Actor):
    """Writes a ConfigMap and says so."""

    def __init__(self, environment: SimulatedEnvironment, store: Store) -> None:
        super().__init__("writer")
        self._environment = environment
        self._store = store

    async def run(self) -> None:
        revision = put(self._store, "a", 0)
        await self._environment.sleep(1)
        structlog.get_logger().warning("half_way", object="default/one", set=frozenset())
        revision = put(self._store, "b", revision)
        await self._environment.sleep(1)
        final = self._store.get(KEY)
        self._store.delete(KEY, expected=revision, final=stamped(final, self._store.next_revision))


def test_a_trace_shows_store_events_and_log_records_in_their_order_and_time() -> None:
    async def main(environment: SimulatedEnvironment) -> str:
        trace = Trace(environment)
        store = Store(now=environment.now)
        put(store, "before", 0)
        store.delete(KEY, expected=store.revision, final=stamped(store.get(KEY), store.next_revision))
        with trace.logs(), trace.follow(store):
            async with Supervisor(environment) as supervisor:
                supervisor.start(Writer(environment, store))
                await environment.sleep(10)
                trace.add("the", "end")
        return trace.text()

    lines = [re.sub(r" [0-9a-f]{12}$", "", line) for line in simulate(0, main).splitlines()]
    first = 1 + int(re.findall(r"revision=(\d+)", lines[0])[0])
    assert lines == [
        f"0.000000000 - create configmaps default/one revision={first - 1}",
        f"0.000000000 - delete configmaps default/one revision={first}",
        f"0.000000000 - create configmaps default/one revision={first + 1}",
        "1.000000000 writer warning half_way object='default/one' set=frozenset()",
        f"1.000000000 - update configmaps default/one revision={first + 2}",
        f"2.000000000 - delete configmaps default/one revision={first + 3}",
        "10.000000000 - the end",
    ]


def test_equal_objects_have_equal_digests_and_others_do_not() -> None:
    def digest(data: str) -> str:
        async def main(environment: SimulatedEnvironment) -> str:
            trace = Trace(environment)
            store = Store(now=environment.now)
            with trace.follow(store):
                put(store, data, 0)
            return trace.text().split()[-1]

        return simulate(0, main)

    assert digest("a") == digest("a") != digest("b")


def test_log_records_go_where_they_went_before_after_the_block() -> None:
    async def main(environment: SimulatedEnvironment) -> str:
        trace = Trace(environment)
        with trace.logs():
            structlog.get_logger().info("inside")
        with structlog.testing.capture_logs() as records:
            structlog.get_logger().warning("outside")
        assert [record["event"] for record in records] == ["outside"]
        return trace.text()

    assert simulate(0, main) == "0.000000000 - info inside\n"
