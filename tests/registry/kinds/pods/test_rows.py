"""What `kubectl get pods` shows of each state of a pod."""
from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from kubelet_lite.api.core_v1 import (
    Container,
    ContainerState,
    ContainerStateRunning,
    ContainerStateTerminated,
    ContainerStateWaiting,
    ContainerStatus,
    Pod,
    PodCondition,
    PodSpec,
    PodStatus,
)
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.timestamps import parse_time
from kubelet_lite.registry.kinds.pods.rows import pod_row

NOW = parse_time("2026-01-01T01:00:00Z")
RUNNING = ContainerState(running=ContainerStateRunning(startedAt="2026-01-01T00:00:00Z"))


def waiting(reason: str) -> ContainerState:
    return ContainerState(waiting=ContainerStateWaiting(reason=reason))


def ended(code: int = 0, reason: str = "", signal: int = 0, at: str = "2026-01-01T00:55:00Z") -> ContainerState:
    return ContainerState(terminated=ContainerStateTerminated(exitCode=code, reason=reason, signal=signal, finishedAt=at))


def status(state: ContainerState, *, ready: bool = False, restarts: int = 0, last: ContainerState | None = None, **more: Any) -> ContainerStatus:
    return ContainerStatus(name="c", state=state, ready=ready, restartCount=restarts, lastState=last or ContainerState(), **more)


def pod(phase: str, *statuses: ContainerStatus, init: tuple[ContainerStatus, ...] = (), **more: Any) -> Pod:
    return Pod(
        metadata=ObjectMeta(name="web", creationTimestamp="2026-01-01T00:00:00Z"),
        spec=PodSpec(containers=(Container(name="c"),) * max(1, len(statuses)), initContainers=(Container(name="c"),) * len(init)),
        status=PodStatus(phase=phase, containerStatuses=statuses, initContainerStatuses=init, **more),
    )


READY = PodCondition(type="Ready", status="True")


@pytest.mark.parametrize(("shown", "of"), [
    ("Pending", pod("Pending")),
    ("ContainerCreating", pod("Pending", status(waiting("ContainerCreating")))),
    ("Running", pod("Running", status(RUNNING, ready=True))),
    ("CrashLoopBackOff", pod("Running", status(waiting("CrashLoopBackOff"), restarts=3))),
    ("Error", pod("Failed", status(ended(1, "Error")))),
    ("ExitCode:3", pod("Failed", status(ended(3)))),
    ("Signal:9", pod("Failed", status(ended(137, signal=9)))),
    ("Completed", pod("Succeeded", status(ended(0, "Completed")))),
    ("Running", pod("Running", status(RUNNING, ready=True), status(ended(0, "Completed")), conditions=(READY,))),
    ("NotReady", pod("Running", status(ended(0, "Completed")), status(RUNNING, ready=True))),
    ("Evicted", pod("Failed", reason="Evicted")),
    ("Init:0/1", pod("Pending", status(waiting("PodInitializing")), init=(status(waiting("PodInitializing")),))),
    ("Init:ImagePullBackOff", pod("Pending", init=(status(waiting("ImagePullBackOff")),))),
    ("Init:Error", pod("Pending", init=(status(ended(1, "Error")),))),
    ("Init:1/2", pod("Pending", init=(status(ended(0, "Completed")), status(RUNNING)))),
    ("PodInitializing", pod("Pending", status(waiting("PodInitializing")), init=(status(ended(0, "Completed")),))),
])
def test_the_status_column(shown: str, of: Pod) -> None:
    assert pod_row(of, NOW)[2] == shown


def test_a_pod_that_is_being_deleted_is_terminating_unless_it_has_ended() -> None:
    def deleted(of: Pod) -> Pod:
        return replace(of, metadata=replace(of.metadata, deletionTimestamp="2026-01-01T01:00:00Z"))

    assert pod_row(deleted(pod("Running", status(RUNNING, ready=True))), NOW)[2] == "Terminating"
    assert pod_row(deleted(pod("Succeeded", status(ended(0, "Completed")))), NOW)[2] == "Completed"
    assert pod_row(deleted(pod("Running", reason="NodeLost")), NOW)[2] == "Unknown"


def test_restarts_tell_when_the_last_one_was() -> None:
    row = pod_row(pod("Running", status(RUNNING, ready=True, restarts=2, last=ended(1, "Error"))), NOW)
    assert row[:5] == ("web", "1/1", "Running", "2 (5m ago)", "60m")


def test_a_sidecar_counts_among_the_containers() -> None:
    of = pod("Running", status(RUNNING, ready=True), init=(status(RUNNING, ready=True, started=True),))
    of = replace(of, spec=replace(of.spec, initContainers=(Container(name="c", restartPolicy="Always"),)))
    assert pod_row(of, NOW)[1:3] == ("2/2", "Running")
