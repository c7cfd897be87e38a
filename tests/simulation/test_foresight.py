"""Probes that the fake runtime can foresee are left out: every pod's status goes the way, and at the times, it goes when each is run."""
from __future__ import annotations

import re
from typing import Any, Final

import pytest
from msgspec import json

from kubelet_lite.api.core_v1 import Container, Event, ExecAction, Pod, PodSpec, Probe
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.cluster import Cluster
from kubelet_lite.runtimes.base import ProbeAnswer
from kubelet_lite.runtimes.fake import Behaviour, FakeRuntime
from kubelet_lite.simulation.virtual.environment import SimulatedEnvironment
from kubelet_lite.simulation.virtual.run import simulate

Seen = dict[str, list[tuple[float, Any]]]
"""What was written when: statuses by pod, counts by pod and message of an Event Unhealthy."""
RANDOM: Final = re.compile("fake://[0-9a-f]{64}")
"""Container ids are drawn in the order in which pods of a node have their turn at one instant, which is nobody's promise."""
STEADY: Final = "steady"
BEHAVIOURS: Final = {
    STEADY: Behaviour(),
    "late": Behaviour(ready_after_seconds=47.3),
    "dies": Behaviour(alive_seconds=123.4),
    "ends": Behaviour(run_seconds=95.0, exit_code=1, runs=1),
}
PROBE: Final = Probe(exec=ExecAction(command=("true",)), periodSeconds=7, failureThreshold=2, initialDelaySeconds=3)


def pod(name: str) -> Pod:
    container = Container(name="c", image="x", readinessProbe=PROBE, livenessProbe=PROBE, startupProbe=PROBE if name == "late" else None)
    return Pod(metadata=ObjectMeta(name=name, namespace="default"), spec=PodSpec(containers=(container,)))


async def story(environment: SimulatedEnvironment) -> Seen:
    """Ten minutes of pods whose answers change by themselves, and of one whose answers a test changes."""
    seen: Seen = {}
    async with Cluster(nodes=2, environment=environment, behaviour=lambda pod, container, attempt: BEHAVIOURS[pod.metadata.name]) as cluster:
        store = cluster.store
        revision = store.revision

        def look() -> None:
            nonlocal revision
            for event in store.events(after=revision):
                if isinstance(event.object, Pod):
                    status = RANDOM.sub("", json.encode(event.object.status).decode())
                    seen.setdefault(event.key.name, []).append((environment.monotonic(), status))
                if isinstance(event.object, Event) and event.object.reason == "Unhealthy":
                    about = seen.setdefault(f"{event.object.involvedObject.name}: {event.object.message}", [])
                    about.append((environment.monotonic(), event.object.count))
            revision = store.revision

        environment.loop.before_time_passes.append(look)
        for name in BEHAVIOURS:
            await cluster.client.create(pod(name))
        await environment.sleep(60)
        steady = await cluster.client.get(Pod, STEADY, namespace="default")
        runtime = cluster.kubelets[steady.spec.nodeName].runtime
        assert isinstance(runtime, FakeRuntime)
        for ready, seconds in ((False, 90.0), (True, 5.0), (False, 3.0), (True, 100.0)):
            runtime.set_ready(steady.metadata.uid, "c", ready)
            await environment.sleep(seconds)
        await environment.sleep(600 - environment.monotonic())
        environment.loop.before_time_passes.remove(look)
    return seen


@pytest.mark.parametrize("seed", range(3))
def test_probes_left_out_change_nothing(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    run = 0
    probe = FakeRuntime.probe

    async def counted(self: FakeRuntime, container_id: str, kind: str) -> ProbeAnswer | None:
        nonlocal run
        run += 1
        return await probe(self, container_id, kind)

    monkeypatch.setattr(FakeRuntime, "probe", counted)
    seen, few, run = simulate(seed, story), run, 0
    monkeypatch.setattr(FakeRuntime, "foresee", lambda self, container_id, kind: None)
    expected = simulate(seed, story)
    assert seen == expected
    assert all(len(seen[name]) > 3 for name in BEHAVIOURS)
    assert few < run / 2
