"""What a kubelet does next for one pod, given the pod, the runtime's state and what it remembers. Pure.

Init containers run one after the other, sidecars stay up beside them, then all main containers start; a container that ended
starts again as its policy says; a pod that is deleted or over is taken down, sidecars last and in reverse order.
https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/, KEP-753 (sidecars)
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from kubelet_lite.api import timestamps
from kubelet_lite.api.core_v1 import Container, Pod
from kubelet_lite.api.durations import format_duration
from kubelet_lite.kubelet.memory import Ending, PodMemory, Reason
from kubelet_lite.kubelet.restart import BackOff, is_sidecar, next_back_off, should_start
from kubelet_lite.runtimes.base import ContainerStatus, PodState, Sandbox

RETRY_SECONDS: Final = 10.0
"""After a pass in which something failed or was held back."""
DEFAULT_GRACE_SECONDS: Final = 30.0
DEADLINE: Final = Ending("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")


class MountVolumes(msgspec.Struct, frozen=True):
    """Before anything else of a pod."""


class PrepareClaims(msgspec.Struct, frozen=True):
    """Before the sandbox of a pod with ResourceClaims."""


class RunSandbox(msgspec.Struct, frozen=True):
    attempt: int


class StopSandbox(msgspec.Struct, frozen=True):
    sandbox: Sandbox


class StartContainer(msgspec.Struct, frozen=True):
    """Pull, create, start, postStart hook. `back_off` is remembered when it is a restart."""

    container: Container
    attempt: int
    field_path: str
    back_off: BackOff | None = None


class HoldBack(msgspec.Struct, frozen=True):
    """A restart that has to wait: an event and a waiting reason."""

    container: Container
    field_path: str
    reason: Reason


class KillContainer(msgspec.Struct, frozen=True):
    """preStop hook, stop signal, SIGKILL after the grace. `message` is the Killing event's."""

    container: Container
    id: str
    grace_seconds: float
    message: str
    field_path: str


class RemoveContainer(msgspec.Struct, frozen=True):
    """An old instance that neither lastState nor `logs --previous` needs any more."""

    id: str


class EndPod(msgspec.Struct, frozen=True):
    """From now on the pod is over, whatever its containers do."""

    ending: Ending


class FinishPod(msgspec.Struct, frozen=True):
    """Nothing is left: the API object may go."""


Action = MountVolumes | PrepareClaims | RunSandbox | StopSandbox | StartContainer | HoldBack | KillContainer | RemoveContainer | EndPod | FinishPod


class NextActions(msgspec.Struct, frozen=True):
    """In order; KillContainers that follow each other happen at the same time. `wake_at`: when to look again though nothing happens."""

    actions: tuple[Action, ...]
    wake_at: float | None = None


def next_actions(pod: Pod, state: PodState, memory: PodMemory, now: float, *, over: bool) -> NextActions:
    """`over`: the pod's phase is terminal, apart from what still has to be taken down."""
    if memory.rejected:
        return NextActions((FinishPod(),) if pod.metadata.deletionTimestamp is not None else ())
    if pod.metadata.deletionTimestamp is not None or over or memory.ending is not None:
        return _take_down(pod, state, memory, now)
    deadline = _deadline(pod, memory)
    if deadline is not None and now >= deadline:
        return NextActions((EndPod(DEADLINE),), now)
    if not memory.volumes_ready:
        if now < memory.volumes_retry_at:
            return NextActions((), min(memory.volumes_retry_at, deadline or memory.volumes_retry_at))
        return NextActions((MountVolumes(),), deadline)
    if pod.spec.resourceClaims and not memory.claims_ready:
        if now < memory.claims_retry_at:
            return NextActions((), min(memory.claims_retry_at, deadline or memory.claims_retry_at))
        return NextActions((PrepareClaims(),), deadline)
    if not any(s.ready for s in state.sandboxes):
        return NextActions((RunSandbox(state.sandboxes[0].attempt + 1 if state.sandboxes else 0),), deadline)
    plan = _Pass(pod, state, memory, now)
    plan.init_containers()
    plan.remove_old()
    wakes = [time for time in (deadline, *plan.wakes) if time is not None]
    return NextActions(tuple(plan.actions), min(wakes, default=None))


def _deadline(pod: Pod, memory: PodMemory) -> float | None:
    if pod.spec.activeDeadlineSeconds is None:
        return None
    since = timestamps.parse_time(pod.status.startTime) if pod.status.startTime else memory.started_at
    return since + pod.spec.activeDeadlineSeconds


class _Pass:
    """One look at a pod that is to run."""

    def __init__(self, pod: Pod, state: PodState, memory: PodMemory, now: float) -> None:
        self._pod = pod
        self._state = state
        self._memory = memory
        self._now = now
        self.actions: list[Action] = []
        self.wakes: list[float | None] = []

    def init_containers(self) -> None:
        """Goes on with initialization; when it is done, with the main containers."""
        begun = any(self._state.container(c.name) is not None for c in self._pod.spec.containers)
        for container in self._pod.spec.initContainers:
            newest = self._state.container(container.name)
            if is_sidecar(container):
                if not self._keep_up(container, newest, init=True) and not begun:
                    return
            elif not begun and not self._run_once(container, newest):
                return
        for container in self._pod.spec.containers:
            self._keep_up(container, self._state.container(container.name), init=False)

    def _run_once(self, container: Container, newest: ContainerStatus | None) -> bool:
        """Whether the init container has succeeded."""
        if newest is not None and newest.state == "exited" and newest.exit_code == 0:
            return True
        if newest is None or (newest.state != "running" and should_start(container, self._pod, newest)):
            self._start(container, newest, init=True)
        return False

    def _keep_up(self, container: Container, newest: ContainerStatus | None, *, init: bool) -> bool:
        """Starts the container or starts it again; whether it is up (for a sidecar: so that what follows may start)."""
        if newest is None or newest.state != "running":
            if should_start(container, self._pod, newest):
                self._start(container, newest, init=init)
            return False
        facts = self._memory.probes.get(newest.id)
        trouble = ""
        probe = container.livenessProbe
        if newest.id in self._memory.hook_failed:
            trouble = "FailedPostStartHook"
        elif facts is not None and facts.started is False:
            trouble, probe = f"Container {container.name} failed startup probe", container.startupProbe
        elif facts is not None and facts.alive is False:
            trouble = f"Container {container.name} failed liveness probe"
        if trouble:
            again = should_start(container, self._pod, _as_killed(newest))
            if newest.id not in self._memory.hook_failed:
                trouble = f"{trouble}, will be restarted" if again else f"Stopping container {container.name}"
            grace = _grace(self._pod)
            if probe is not None and probe.terminationGracePeriodSeconds is not None and newest.id not in self._memory.hook_failed:
                grace = float(probe.terminationGracePeriodSeconds)
            self.actions.append(KillContainer(container, newest.id, grace, trouble, field_path(container, self._pod)))
            return False
        if newest.id in self._memory.starting:
            return False
        return container.startupProbe is None or (facts is not None and facts.started is True)

    def _start(self, container: Container, newest: ContainerStatus | None, *, init: bool) -> None:
        path = field_path(container, self._pod)
        image_back_off = self._memory.image_back_offs.get(container.image)
        if image_back_off is not None and image_back_off.holds(image_back_off.updated_at, self._now):
            self.wakes.append(min(self._now + RETRY_SECONDS, image_back_off.updated_at + image_back_off.seconds))
            message = f'Back-off pulling image "{container.image}"'
            known = self._memory.reasons.get(container.name)
            detail = f": {known.message}" if known is not None and known.reason == "ErrImagePull" else ""
            if known is not None and known.reason == "ImagePullBackOff":
                message = known.message
            self.actions.append(HoldBack(container, path, Reason("ImagePullBackOff", f"{message}{detail}")))
            return
        if newest is None or newest.state != "exited":
            self.actions.append(StartContainer(container, newest.attempt if newest is not None else 0, path))
            return
        back_off = self._memory.back_offs.get(container.name)
        since = newest.finished_at
        if back_off is not None and back_off.holds(since, self._now):
            self.wakes.append(min(self._now + RETRY_SECONDS, since + back_off.seconds))
            pod = f"{self._pod.metadata.name}_{self._pod.metadata.namespace}({self._pod.metadata.uid})"
            message = f"back-off {format_duration(back_off.seconds)} restarting failed container={container.name} pod={pod}"
            self.actions.append(HoldBack(container, path, Reason("CrashLoopBackOff", message)))
            return
        self.actions.append(StartContainer(container, newest.attempt + 1, path, next_back_off(back_off, since, self._now)))

    def remove_old(self) -> None:
        """Keeps the newest instance of each container and the one before it."""
        kept: dict[str, int] = {}
        for instance in self._state.containers:
            kept[instance.name] = kept.get(instance.name, 0) + 1
            if kept[instance.name] > 2 and instance.state == "exited":
                self.actions.append(RemoveContainer(instance.id))


def _take_down(pod: Pod, state: PodState, memory: PodMemory, now: float) -> NextActions:
    running = {c.name: c for c in state.containers if c.state == "running"}
    grace = _grace(pod)
    deleted = pod.metadata.deletionTimestamp is not None
    if deleted and pod.metadata.deletionGracePeriodSeconds is not None:
        grace = float(pod.metadata.deletionGracePeriodSeconds)
    main = [c for c in pod.spec.containers if c.name in running]
    init = [c for c in pod.spec.initContainers if c.name in running and not is_sidecar(c)]
    sidecars = [c for c in reversed(pod.spec.initContainers) if c.name in running and is_sidecar(c)]
    order = [*main, *init] or sidecars[:1]
    if order:
        return NextActions(tuple(
            KillContainer(c, running[c.name].id, grace, f"Stopping container {c.name}", field_path(c, pod)) for c in order
        ))
    sandbox = next((s for s in state.sandboxes if s.ready), None)
    if sandbox is not None:
        return NextActions((StopSandbox(sandbox),))
    return NextActions((FinishPod(),) if deleted else ())


def _grace(pod: Pod) -> float:
    seconds = pod.spec.terminationGracePeriodSeconds
    return DEFAULT_GRACE_SECONDS if seconds is None else float(seconds)


def _as_killed(status: ContainerStatus) -> ContainerStatus:
    return msgspec.structs.replace(status, state="exited", exit_code=137)


def field_path(container: Container, pod: Pod) -> str:
    """What the involvedObject of a container's event says."""
    kind = "initContainers" if any(c.name == container.name for c in pod.spec.initContainers) else "containers"
    return f"spec.{kind}{{{container.name}}}"


def containers_of(pod: Pod) -> Sequence[Container]:
    return (*pod.spec.initContainers, *pod.spec.containers)
