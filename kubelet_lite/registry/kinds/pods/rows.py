"""The row of a pod in a table: what `kubectl get pods` shows."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from kubelet_lite.api.core_v1 import Container, ContainerStateTerminated, ContainerStatus, Pod
from kubelet_lite.api.scheduling_rules import FINISHED
from kubelet_lite.registry.kinds.ages import NONE, age, since

NODE_LOST: Final = "NodeLost"


class _Restarts:
    """How often containers were restarted, and when last."""

    def __init__(self) -> None:
        self.count = 0
        self.last = ""  # of the last end before a restart, in RFC 3339: these compare as texts

    def add(self, status: ContainerStatus) -> None:
        self.count += status.restartCount
        before = status.lastState.terminated
        if before is not None and before.finishedAt is not None:
            self.last = max(self.last, before.finishedAt)

    def shown(self, now: float) -> str:
        return f"{self.count} ({since(self.last, now)} ago)" if self.count and self.last else str(self.count)


def pod_row(pod: Pod, now: float) -> Sequence[Any]:
    reason, ready, restarts = _reason_ready_restarts(pod)
    total = len(pod.spec.containers) + sum(map(_is_sidecar, pod.spec.initContainers))
    status = pod.status
    gates = [gate.conditionType for gate in pod.spec.readinessGates]
    true = {condition.type for condition in status.conditions if condition.status == "True"}
    return (
        pod.metadata.name, f"{ready}/{total}", reason, restarts.shown(now), age(pod, now),
        status.podIPs[0].ip if status.podIPs else NONE, pod.spec.nodeName or NONE, status.nominatedNodeName or NONE,
        f"{sum(gate in true for gate in gates)}/{len(gates)}" if gates else NONE,
    )


def _reason_ready_restarts(pod: Pod) -> tuple[str, int, _Restarts]:
    status = pod.status
    reason = status.reason or status.phase
    if any(condition.type == "PodScheduled" and condition.reason == "SchedulingGated" for condition in status.conditions):
        reason = "SchedulingGated"
    initializing, ready, restarts, of_sidecars = _init_containers(pod)
    initialized = any(condition.type == "Initialized" and condition.status == "True" for condition in status.conditions)
    if initializing and not initialized:
        reason = initializing
    else:
        reason = initializing or reason
        restarts = of_sidecars
        running = 0
        for container in reversed(status.containerStatuses):
            restarts.add(container)
            state = container.state
            if state.waiting is not None and state.waiting.reason:
                reason = state.waiting.reason
            elif state.terminated is not None:
                reason = _ended(state.terminated)
            elif container.ready and state.running is not None:
                running += 1
        ready += running
        if reason == "Completed" and running:
            is_ready = any(condition.type == "Ready" and condition.status == "True" for condition in status.conditions)
            reason = "Running" if is_ready else "NotReady"
    if pod.metadata.deletionTimestamp is not None:
        if status.reason == NODE_LOST:
            reason = "Unknown"
        elif status.phase not in FINISHED:
            reason = "Terminating"
    return reason, ready, restarts


def _init_containers(pod: Pod) -> tuple[str, int, _Restarts, _Restarts]:
    """What initialization waits for (empty: nothing), ready sidecars, restarts of all, restarts of sidecars: up to the first not done."""
    sidecars = {container.name for container in pod.spec.initContainers if _is_sidecar(container)}
    all_restarts, sidecar_restarts, ready = _Restarts(), _Restarts(), 0
    for i, container in enumerate(pod.status.initContainerStatuses):
        all_restarts.add(container)
        sidecar = container.name in sidecars
        if sidecar:
            sidecar_restarts.add(container)
        state = container.state
        if state.terminated is not None and state.terminated.exitCode == 0:
            continue
        if sidecar and container.started:
            ready += container.ready
            continue
        if state.terminated is not None:
            return f"Init:{_ended(state.terminated)}", ready, all_restarts, sidecar_restarts
        if state.waiting is not None and state.waiting.reason not in ("", "PodInitializing"):
            return f"Init:{state.waiting.reason}", ready, all_restarts, sidecar_restarts
        return f"Init:{i}/{len(pod.spec.initContainers)}", ready, all_restarts, sidecar_restarts
    return "", ready, all_restarts, sidecar_restarts


def _ended(state: ContainerStateTerminated) -> str:
    if state.reason:
        return state.reason
    return f"Signal:{state.signal}" if state.signal else f"ExitCode:{state.exitCode}"


def _is_sidecar(container: Container) -> bool:
    return container.restartPolicy == "Always"
