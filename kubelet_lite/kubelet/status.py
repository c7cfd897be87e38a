"""A pod's status from its spec, the runtime's state and what the kubelet remembers. Pure.

https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from kubelet_lite.api import timestamps
from kubelet_lite.api.core_v1 import (
    Container,
    ContainerState,
    ContainerStateRunning,
    ContainerStateTerminated,
    ContainerStateWaiting,
    ContainerStatus,
    HostIP,
    Pod,
    PodCondition,
    PodIP,
    PodStatus,
)
from kubelet_lite.api.scheduling_rules import FINISHED
from kubelet_lite.kubelet.memory import PodMemory
from kubelet_lite.kubelet.restart import is_sidecar, restarts_after, should_start
from kubelet_lite.runtimes import base

OWN_CONDITIONS: Final = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
"""The conditions that a kubelet writes, in its order; all others stay as they are."""


def pod_status(pod: Pod, state: base.PodState, memory: PodMemory, *, node_address: str, now: float) -> PodStatus:
    """The whole status. The phase becomes terminal only when nothing of the pod is left on the node."""
    if memory.was_over:
        return pod.status
    has_init = bool(pod.spec.initContainers)
    waiting = "PodInitializing" if has_init else "ContainerCreating"
    if memory.rejected:
        assert memory.ending is not None
        return msgspec.structs.replace(
            pod.status, phase="Failed", reason=memory.ending.reason, message=f"Pod was rejected: {memory.ending.message}",
            startTime=timestamps.format_time(memory.started_at), observedGeneration=pod.metadata.generation,
        )
    known = {c.name: c for c in (*pod.status.initContainerStatuses, *pod.status.containerStatuses)}
    init = tuple(_container_status(c, pod, state, memory, waiting, known.get(c.name)) for c in pod.spec.initContainers)
    main = tuple(_container_status(c, pod, state, memory, waiting, known.get(c.name)) for c in pod.spec.containers)
    phase = phase_of(pod, init, main, memory)
    if phase in FINISHED and not is_over(state):
        phase = pod.status.phase if pod.status.phase not in FINISHED else "Running"
    addresses = _addresses(pod, state, node_address)
    ending = memory.ending
    status = msgspec.structs.replace(
        pod.status, phase=phase, observedGeneration=pod.metadata.generation,
        reason=ending.reason if ending is not None else "", message=ending.message if ending is not None else "",
        hostIP=node_address, hostIPs=(HostIP(ip=node_address),), podIP=addresses[0] if addresses else "",
        podIPs=tuple(PodIP(ip=address) for address in addresses), startTime=pod.status.startTime or timestamps.format_time(memory.started_at),
        initContainerStatuses=init, containerStatuses=main,
    )
    return msgspec.structs.replace(status, conditions=_conditions(pod, status, state, now))


def is_over(state: base.PodState) -> bool:
    """Whether neither a container runs nor the sandbox stands."""
    return not any(c.state == "running" for c in state.containers) and not any(s.ready for s in state.sandboxes)


def phase_of(pod: Pod, init: Sequence[ContainerStatus], main: Sequence[ContainerStatus], memory: PodMemory) -> str:
    """The phase, as if nothing were left on the node."""
    terminal = pod.metadata.deletionTimestamp is not None
    if memory.ending is not None:
        return "Failed"
    specs = {c.name: c for c in (*pod.spec.initContainers, *pod.spec.containers)}
    pending = failed = False
    for status in init:
        container = specs[status.name]
        if is_sidecar(container):
            begun = status.started or status.lastState.terminated is not None or status.state.terminated is not None
            pending = pending or not begun
        elif status.state.terminated is not None:
            failed = failed or status.state.terminated.exitCode != 0
            pending = pending or (status.state.terminated.exitCode != 0 and not terminal)
        elif status.state.waiting is not None and status.lastState.terminated is not None:
            failed = failed or status.lastState.terminated.exitCode != 0
            pending = True
        else:
            pending = True
    begun = any(s.state.running is not None or s.state.terminated is not None or s.lastState.terminated is not None for s in main)
    if failed and not begun and any(not _init_restarts(specs[s.name], pod, s) for s in init if not is_sidecar(specs[s.name])):
        return "Failed"
    if pending and not begun:
        return "Failed" if terminal and failed else "Pending"
    running = [s for s in main if s.state.running is not None]
    stopped = [s for s in main if s.state.running is None and _last_exit(s) is not None]
    if len(running) + len(stopped) < len(main):
        return "Pending" if not terminal else "Failed" if stopped else "Pending"
    if running:
        return "Running"
    codes = [exit.exitCode for s in stopped if (exit := _last_exit(s)) is not None]
    if not terminal and any(restarts_after(specs[s.name], pod, exit.exitCode) for s in stopped if (exit := _last_exit(s)) is not None):
        return "Running"
    return "Failed" if any(codes) else "Succeeded"


def _init_restarts(container: Container, pod: Pod, status: ContainerStatus) -> bool:
    exit = _last_exit(status)
    return exit is None or exit.exitCode == 0 or restarts_after(container, pod, exit.exitCode)


def _last_exit(status: ContainerStatus) -> ContainerStateTerminated | None:
    return status.state.terminated or (status.lastState.terminated if status.state.waiting is not None else None)


def _container_status(
    container: Container, pod: Pod, state: base.PodState, memory: PodMemory, waiting: str, known: ContainerStatus | None,
) -> ContainerStatus:
    instances = [c for c in state.containers if c.name == container.name]
    newest = instances[0] if instances else None
    if newest is None:
        if known is not None and known.state.terminated is not None and not should_start(container, pod, None):
            return msgspec.structs.replace(known, ready=False, started=False)
        reason = memory.reasons.get(container.name)
        shown = ContainerStateWaiting(reason=reason.reason, message=reason.message) if reason is not None else ContainerStateWaiting(reason=waiting)
        if memory.ending is not None and known is not None and known.state.waiting is not None:
            shown = known.state.waiting
        return ContainerStatus(
            name=container.name, image=container.image, ready=False, started=False, restartCount=known.restartCount if known is not None else 0,
            state=ContainerState(waiting=shown), lastState=known.lastState if known is not None else ContainerState(),
        )
    last = next((_terminated(c) for c in instances[1:] if c.state == "exited"), None)
    shown_state = _state(newest, memory, waiting)
    reason = memory.reasons.get(container.name)
    init_done = newest.state == "exited" and newest.exit_code == 0 and container in pod.spec.initContainers and not is_sidecar(container)
    if reason is not None and not init_done and should_start(container, pod, newest):
        last = shown_state.terminated or last
        shown_state = ContainerState(waiting=ContainerStateWaiting(reason=reason.reason, message=reason.message))
    started = newest.state == "running" and newest.id not in memory.starting and _is_started(container, newest, memory)
    return ContainerStatus(
        name=container.name, state=shown_state, lastState=ContainerState(terminated=last), restartCount=newest.attempt,
        image=newest.image or container.image, imageID=newest.image_id, containerID=newest.id, started=started,
        ready=init_done or (started and is_ready(container, newest, memory) and (container in pod.spec.containers or is_sidecar(container))),
    )


def _state(status: base.ContainerStatus, memory: PodMemory, waiting: str) -> ContainerState:
    if status.state == "exited":
        return ContainerState(terminated=_terminated(status))
    if status.state == "created" or status.id in memory.starting:
        return ContainerState(waiting=ContainerStateWaiting(reason=waiting))
    return ContainerState(running=ContainerStateRunning(startedAt=timestamps.format_time(status.started_at)))


def _terminated(status: base.ContainerStatus) -> ContainerStateTerminated:
    reason = status.reason or ("Completed" if status.exit_code == 0 else "Error")
    return ContainerStateTerminated(
        exitCode=status.exit_code, signal=status.signal, reason=reason, message=status.message,
        startedAt=timestamps.format_time(status.started_at), finishedAt=timestamps.format_time(status.finished_at), containerID=status.id,
    )


def _is_started(container: Container, status: base.ContainerStatus, memory: PodMemory) -> bool:
    if container.startupProbe is None:
        return True
    facts = memory.probes.get(status.id)
    return facts is not None and facts.started is True


def is_ready(container: Container, status: base.ContainerStatus, memory: PodMemory) -> bool:
    """Whether a running, started container may be sent traffic."""
    if container.readinessProbe is None:
        return True
    facts = memory.probes.get(status.id)
    return facts is not None and facts.ready is True


def _addresses(pod: Pod, state: base.PodState, node_address: str) -> tuple[str, ...]:
    if pod.spec.hostNetwork:
        return (node_address,)
    if state.sandboxes:
        return state.sandboxes[0].addresses
    return tuple(ip.ip for ip in pod.status.podIPs)


def _conditions(pod: Pod, status: PodStatus, state: base.PodState, now: float) -> tuple[PodCondition, ...]:
    known = {c.type: c for c in pod.status.conditions}
    unready = [s.name for s in _counted(pod, status) if not s.ready]
    containers_ready = _containers_ready(status.phase, unready)
    own = {
        "PodReadyToStartContainers": ("True" if any(s.ready for s in state.sandboxes) else "False", "", ""),
        "Initialized": _initialized(pod, status),
        "Ready": _ready(pod, known, containers_ready),
        "ContainersReady": containers_ready,
        "PodScheduled": ("True", "", ""),
    }
    moment = timestamps.format_time(now)
    written = tuple(
        _condition(type, *own[type], known.get(type), pod.metadata.generation, moment) for type in OWN_CONDITIONS
    )
    return (*(c for c in pod.status.conditions if c.type not in OWN_CONDITIONS), *written)


def _counted(pod: Pod, status: PodStatus) -> Iterable[ContainerStatus]:
    sidecars = {c.name for c in pod.spec.initContainers if is_sidecar(c)}
    yield from (s for s in status.initContainerStatuses if s.name in sidecars)
    yield from status.containerStatuses


def _containers_ready(phase: str, unready: Sequence[str]) -> tuple[str, str, str]:
    if phase == "Succeeded":
        return "False", "PodCompleted", ""
    if phase == "Failed":
        return "False", "PodFailed", ""
    if unready:
        return "False", "ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]"
    return "True", "", ""


def _initialized(pod: Pod, status: PodStatus) -> tuple[str, str, str]:
    if status.phase == "Succeeded":
        return "True", "PodCompleted", ""
    if any(s.started or s.state.terminated is not None or s.lastState.terminated is not None for s in status.containerStatuses):
        return "True", "", ""
    sidecars = {c.name for c in pod.spec.initContainers if is_sidecar(c)}
    incomplete = [s.name for s in status.initContainerStatuses if not (s.started if s.name in sidecars else s.ready)]
    if incomplete:
        return "False", "ContainersNotInitialized", f"containers with incomplete status: [{' '.join(incomplete)}]"
    return "True", "", ""


def _ready(pod: Pod, known: Mapping[str, PodCondition], containers_ready: tuple[str, str, str]) -> tuple[str, str, str]:
    if containers_ready[0] != "True":
        return containers_ready
    missing = []
    for gate in pod.spec.readinessGates:
        condition = known.get(gate.conditionType)
        if condition is None:
            missing.append(f'corresponding condition of pod readiness gate "{gate.conditionType}" does not exist.')
        elif condition.status != "True":
            missing.append(f'the status of pod readiness gate "{gate.conditionType}" is not "True", but {condition.status}')
    return ("False", "ReadinessGatesNotReady", ", ".join(missing)) if missing else ("True", "", "")


def _condition(type: str, status: str, reason: str, message: str, known: PodCondition | None, generation: int, moment: str) -> PodCondition:
    since = known.lastTransitionTime if known is not None and known.status == status else moment
    return PodCondition(type=type, status=status, reason=reason, message=message, lastTransitionTime=since, observedGeneration=generation)
