"""A runtime without processes: containers start, run, exit, crash and answer probes as their behaviour says.

It lives in its kubelet's time: `next_change` names the moment at which a container changes by itself, `advance` lets it happen.
A behaviour comes from the function given to the runtime, else from the pod's annotation `kubelet-lite.dev/behaviour` (JSON:
the fields of Behaviour, or a map from container name to them), else a container runs for ever and is ready at once.

What a container uses is computed when somebody asks: as its behaviour says, else half of what it requests.
"""
from __future__ import annotations

import hashlib
import heapq
import math
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Final

import msgspec

from kubelet_lite.actors.environment import Environment
from kubelet_lite.api import quantities, timestamps
from kubelet_lite.api.core_v1 import Container, ContainerStateTerminated, Pod
from kubelet_lite.api.core_v1 import ContainerStatus as PodContainerStatus
from kubelet_lite.runtimes.base import (
    SIGKILL_EXIT_CODE,
    ContainerSpec,
    ContainerState,
    ContainerStatus,
    ExecResult,
    Foresight,
    Image,
    Listener,
    PodState,
    ProbeAnswer,
    Runtime,
    RuntimeFailure,
    Sandbox,
    SandboxSpec,
)
from kubelet_lite.runtimes.course import Course, Meter, check
from kubelet_lite.runtimes.images import parse
from kubelet_lite.runtimes.network.base import Network
from kubelet_lite.wire.usage import ContainerUsage, NodeUsage

ANNOTATION: Final = "kubelet-lite.dev/behaviour"
SCHEME: Final = "fake://"
LOST_EXIT_CODE: Final = 255
"""Of a container of which nobody saw how it ended, as CRI runtimes report it."""
USED_SHARE: Final = 0.5
"""Of what it requests, a container uses so much unless its behaviour says otherwise; …"""
UNREQUESTED: Final = {"cpu": 10.0, "memory": 32.0 * 1024 * 1024}
"""… and so much (millicores, bytes) of what it does not request."""
NODE_ITSELF: Final = {"cpu": 100.0, "memory": 512.0 * 1024 * 1024}
"""What a node uses beside its containers."""
NANOSECONDS: Final = 1_000_000
"""Of CPU time in a second at one millicore."""


class Behaviour(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One container's life. Seconds count from its start."""

    start_error: str = ""
    """The container cannot be started, with this message."""
    pull_error: str = ""
    """Its image cannot be pulled, with this message."""
    run_seconds: float | None = None
    """It exits by itself after so long; None: never."""
    exit_code: int = 0
    runs: int | None = None
    """Only so many instances exit by themselves; the next one runs for ever."""
    ready_after_seconds: float = 0.0
    """From then on startup and readiness probes succeed."""
    alive_seconds: float | None = None
    """From then on liveness probes fail."""
    stop_seconds: float = 0.0
    """How long it takes to end when it is asked to."""
    log: str = ""
    """What it writes when it starts."""
    cpu_millicores: Course | None = None
    """What it uses: a constant, or corner points `[[seconds, value], …]` of a broken line; None: half of what it requests, 10 without."""
    memory_bytes: Course | None = None
    """In the same way; without a request 32 MiB."""

    def __post_init__(self) -> None:
        for name in ("cpu_millicores", "memory_bytes"):
            wanted = getattr(self, name)
            if wanted is not None:
                check(wanted, name)


BehaviourOf = Callable[[Pod, Container, int], Behaviour | None]
"""(pod, container, attempt) → behaviour; None: as the annotation says."""
STEADY: Final = Behaviour()


class _Container:
    """A container and how it behaves."""

    __slots__ = (
        "asked", "behaviour", "cpu", "created_at", "exit_code", "finished_at", "hangs", "id", "late_seconds", "memory", "ready", "reason", "sandbox", "spec",
        "started_at", "state",
    )

    def __init__(self, id: str, sandbox: Sandbox, spec: ContainerSpec, asked: Container, behaviour: Behaviour, created_at: float) -> None:
        self.id = id
        self.sandbox = sandbox
        self.spec = spec
        self.asked = asked
        """As the pod has it."""
        self.behaviour = behaviour
        self.created_at = created_at
        self.started_at = self.finished_at = 0.0
        self.state: ContainerState = "created"
        self.exit_code = 0
        self.reason = ""
        self.ready: bool | None = None
        self.hangs = False
        self.late_seconds = 0.0
        """How much later than its behaviour says it gets ready."""
        self.cpu: Meter | None = None
        """Of millicores, and of bytes: made when somebody asks what it uses."""
        self.memory: Meter | None = None

    def status(self) -> ContainerStatus:
        return ContainerStatus(
            id=self.id, name=self.spec.name, sandbox_id=self.sandbox.id, attempt=self.spec.attempt, state=self.state, image=self.spec.image,
            image_id=self.spec.image_id, created_at=self.created_at, started_at=self.started_at, finished_at=self.finished_at,
            exit_code=self.exit_code, reason="StartError" if self.exit_code == 128 and not self.started_at else self.reason,
        )


def _meters(container: _Container) -> tuple[Meter, Meter]:
    """Of cpu and memory, counting since its start."""
    if container.cpu is None or container.memory is None:
        behaviour, began = container.behaviour, container.started_at
        cpu, memory = behaviour.cpu_millicores, behaviour.memory_bytes
        container.cpu = Meter(cpu if cpu is not None else _share(container.asked, "cpu"), began)
        container.memory = Meter(memory if memory is not None else _share(container.asked, "memory"), began)
    return container.cpu, container.memory


def _share(container: Container, resource: str) -> float:
    request = container.resources.requests.get(resource)
    if request is None:
        return UNREQUESTED[resource]
    return USED_SHARE * (quantities.milli(request) if resource == "cpu" else quantities.to_int(request))


class FakeRuntime(Runtime):
    """One node's pretended containers."""

    name = "fake"
    immediate = True
    has_files = False
    has_device_drivers = True

    def __init__(self, environment: Environment, network: Network, behaviour: BehaviourOf | None = None) -> None:
        self._environment = environment
        self._network = network
        self._behaviour = behaviour
        self._sandboxes: dict[str, dict[str, Sandbox]] = {}
        self._pods: dict[str, Pod] = {}
        self._containers: dict[str, dict[str, _Container]] = {}
        self._owners: dict[str, str] = {}
        self._images: dict[str, Image] = {}
        self._exits: list[tuple[float, int, str, int]] = []
        self._made = 0
        self._listeners: list[Listener] = []
        self.start_delays: list[Callable[[], float]] = []
        """Asked at each start of a container by how many seconds later it gets ready."""
        self._own_cpu, self._own_memory = Meter(NODE_ITSELF["cpu"], environment.now()), Meter(NODE_ITSELF["memory"], environment.now())
        self._is_measured = False
        """Whether anybody has asked yet what is used: only then …"""
        self._ended_cpu = 0.0
        """… what containers have used that ended since is counted (millicores times seconds)."""

    async def close(self) -> None:
        for sandboxes in self._sandboxes.values():
            for sandbox_id in sandboxes:
                self._network.detach(sandbox_id)
        for table in (self._sandboxes, self._pods, self._containers, self._owners):
            table.clear()
        self._exits.clear()

    def subscribe(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def adopt(self, pod: Pod) -> str:
        """Goes on with what the pod's status says that runs here, as if it had been started by this runtime; the sandbox's id."""
        uid, status = pod.metadata.uid, pod.status
        began = timestamps.parse_time(status.startTime) if status.startTime else self._environment.now()
        addresses = () if pod.spec.hostNetwork else tuple(address.ip for address in status.podIPs)
        sandbox = Sandbox(
            id=self._new_id(), uid=uid, namespace=pod.metadata.namespace, name=pod.metadata.name, addresses=addresses, created_at=began,
        )
        self._sandboxes.setdefault(uid, {})[sandbox.id] = sandbox
        self._pods[uid] = pod
        self._owners[sandbox.id] = uid
        specs = {container.name: container for container in (*pod.spec.initContainers, *pod.spec.containers)}
        for told in (*status.initContainerStatuses, *status.containerStatuses):
            last = told.lastState.terminated
            waits = told.state.running is None and told.state.terminated is None
            if last is not None and last.containerID:
                self._adopt(sandbox, pod, specs[told.name], told, last.containerID, told.restartCount - (0 if waits else 1), last)
            if not waits and told.containerID:
                self._adopt(sandbox, pod, specs[told.name], told, told.containerID, told.restartCount, told.state.terminated)
        return sandbox.id

    def _adopt(
        self, sandbox: Sandbox, pod: Pod, container: Container, told: PodContainerStatus, id: str, attempt: int, ended: ContainerStateTerminated | None,
    ) -> None:
        """One instance of a container; `ended`: how, if it did."""
        began = ended.startedAt if ended is not None else told.state.running.startedAt if told.state.running is not None else ""
        started_at = timestamps.parse_time(began) if began else sandbox.created_at
        spec = ContainerSpec(name=told.name, image=told.image, image_id=told.imageID, attempt=max(attempt, 0))
        made = _Container(id, sandbox, spec, container, self._behaviour_of(pod, container, spec.attempt), started_at)
        made.started_at, made.state = started_at, "running"
        self._containers.setdefault(sandbox.uid, {})[id] = made
        self._owners[id] = sandbox.uid
        if ended is not None:
            made.state, made.exit_code = "exited", ended.exitCode
            made.reason = ended.reason if ended.reason not in ("Completed", "Error") else ""
            made.finished_at = timestamps.parse_time(ended.finishedAt) if ended.finishedAt else started_at
        elif made.behaviour.run_seconds is not None and (made.behaviour.runs is None or spec.attempt < made.behaviour.runs):
            self._exit_at(id, max(started_at + made.behaviour.run_seconds, self._environment.now()), made.behaviour.exit_code)

    def adopt_image(self, names: Sequence[str], size_bytes: int) -> None:
        """An image that is on the node already."""
        for name in names:
            reference = str(parse(name))
            self._images[reference] = Image(
                id=f"sha256:{hashlib.sha256(reference.encode()).hexdigest()}", names=(reference,), size_bytes=size_bytes,
            )

    # ---- what tests and simulations do to a pod

    def running(self, uid: str) -> Sequence[str]:
        """The names of a pod's containers that run, in the order of their start."""
        return [c.spec.name for c in self._containers.get(uid, {}).values() if c.state == "running"]

    def crash(self, uid: str, container: str, exit_code: int = 1, reason: str = "") -> None:
        """The running instance of a container exits now."""
        self._exit(self._running(uid, container), exit_code, reason=reason)

    def run_out_of_memory(self, uid: str, container: str) -> None:
        """The running instance of a container is killed for what it uses."""
        self.crash(uid, container, SIGKILL_EXIT_CODE, "OOMKilled")

    def set_ready(self, uid: str, container: str, ready: bool | None) -> None:
        """What startup and readiness probes of the running instance answer from now on; None: what its behaviour says."""
        self._running(uid, container).ready = ready
        self._tell(uid)

    def set_hanging(self, uid: str, container: str, hangs: bool) -> None:
        """Whether the running instance does nothing any more: it answers no probe, and does not end when it is asked to."""
        self._running(uid, container).hangs = hangs
        self._tell(uid)

    def set_usage(self, uid: str, container: str, *, cpu_millicores: Course | None = None, memory_bytes: Course | None = None) -> None:
        """What the running instance of a container uses from now on, where a course begins; None: as before. Raises ValueError."""
        _follow(_meters(self._running(uid, container)), cpu_millicores, memory_bytes, self._environment.now())

    def set_own_usage(self, *, cpu_millicores: Course | None = None, memory_bytes: Course | None = None) -> None:
        """The same for what the node uses beside its containers."""
        _follow((self._own_cpu, self._own_memory), cpu_millicores, memory_bytes, self._environment.now())

    def power_off(self) -> None:
        """The machine loses its power: what ran is found dead, what was written stays. To be called when its kubelet is gone."""
        for uid, sandboxes in self._sandboxes.items():
            for container in self._containers.get(uid, {}).values():
                if container.state == "running":
                    self._exit(container, LOST_EXIT_CODE, reason="Unknown")
            for sandbox_id, sandbox in sandboxes.items():
                if sandbox.ready:
                    self._network.detach(sandbox_id)
                    sandboxes[sandbox_id] = msgspec.structs.replace(sandbox, ready=False)

    def _running(self, uid: str, name: str) -> _Container:
        for container in self._containers.get(uid, {}).values():
            if container.spec.name == name and container.state == "running":
                return container
        raise RuntimeFailure("ContainerNotFound", f"no container {name} of pod {uid} runs")

    # ---- time

    def next_change(self) -> float | None:
        return self._exits[0][0] if self._exits else None

    def advance(self, now: float) -> None:
        while self._exits and self._exits[0][0] <= now:
            time, _, container_id, exit_code = heapq.heappop(self._exits)
            container = self._find(container_id, missing_is_fine=True)
            if container is not None and container.state == "running":
                self._exit(container, exit_code, time)

    def _exit(self, container: _Container, exit_code: int, time: float | None = None, reason: str = "") -> None:
        container.state, container.exit_code, container.reason = "exited", exit_code, reason
        container.finished_at = self._environment.now() if time is None else time
        if self._is_measured:
            self._ended_cpu += _meters(container)[0].total(self._environment.now())
        self._tell(container.sandbox.uid)

    def _tell(self, uid: str) -> None:
        for listener in self._listeners:
            listener(uid)

    # ---- state

    async def state(self, uid: str) -> PodState:
        return PodState(
            uid=uid, sandboxes=tuple(reversed(self._sandboxes.get(uid, {}).values())),
            containers=tuple(c.status() for c in reversed(self._containers.get(uid, {}).values())),
        )

    async def pods(self) -> Sequence[PodState]:
        return [await self.state(uid) for uid in self._sandboxes]

    async def run_sandbox(self, spec: SandboxSpec) -> Sandbox:
        id = self._new_id()
        sandbox = Sandbox(
            id=id, uid=spec.uid, namespace=spec.namespace, name=spec.name, attempt=spec.attempt,
            addresses=self._network.attach(id, spec), created_at=self._environment.now(),
        )
        self._sandboxes.setdefault(spec.uid, {})[id] = sandbox
        self._pods[spec.uid] = spec.pod
        self._owners[id] = spec.uid
        return sandbox

    async def stop_sandbox(self, sandbox_id: str) -> None:
        uid = self._owners.get(sandbox_id)
        if uid is None:
            return
        for container in self._containers.get(uid, {}).values():
            if container.sandbox.id == sandbox_id and container.state == "running":
                self._exit(container, SIGKILL_EXIT_CODE)
        sandbox = self._sandboxes[uid][sandbox_id]
        if sandbox.ready:
            self._network.detach(sandbox_id)
            self._sandboxes[uid][sandbox_id] = msgspec.structs.replace(sandbox, ready=False)

    async def remove_sandbox(self, sandbox_id: str) -> None:
        await self.stop_sandbox(sandbox_id)
        uid = self._owners.pop(sandbox_id, None)
        if uid is None:
            return
        for container in [c for c in self._containers.get(uid, {}).values() if c.sandbox.id == sandbox_id]:
            await self.remove_container(container.id)
        del self._sandboxes[uid][sandbox_id]
        if not self._sandboxes[uid]:
            del self._sandboxes[uid]
            self._pods.pop(uid, None)

    # ---- images

    async def image(self, name: str) -> Image | None:
        reference = parse(name)
        return self._images.get(str(reference))

    async def pull(self, name: str) -> Image:
        reference = str(parse(name))
        for pod in self._pods.values():
            for container in (*pod.spec.initContainers, *pod.spec.containers):
                if container.image == name and (error := self._behaviour_of(pod, container, 0).pull_error):
                    raise RuntimeFailure("ErrImagePull", error)
        return self._images.setdefault(reference, Image(id=f"sha256:{hashlib.sha256(reference.encode()).hexdigest()}", names=(reference,)))

    async def images(self) -> Sequence[Image]:
        return tuple(self._images.values())

    # ---- containers

    async def create_container(self, sandbox_id: str, spec: ContainerSpec) -> str:
        uid = self._owners.get(sandbox_id)
        if uid is None or not self._sandboxes[uid][sandbox_id].ready:
            raise RuntimeFailure("CreateContainerError", f"sandbox {sandbox_id} is not ready")
        pod = self._pods[uid]
        container = next(c for c in (*pod.spec.initContainers, *pod.spec.containers) if c.name == spec.name)
        id = SCHEME + self._new_id()
        behaviour = self._behaviour_of(pod, container, spec.attempt)
        made = _Container(id, self._sandboxes[uid][sandbox_id], spec, container, behaviour, self._environment.now())
        self._containers.setdefault(uid, {})[id] = made
        self._owners[id] = uid
        return id

    async def start_container(self, container_id: str) -> None:
        container = self._known(container_id)
        behaviour, now = container.behaviour, self._environment.now()
        if behaviour.start_error:
            container.state, container.exit_code, container.finished_at = "exited", 128, now
            raise RuntimeFailure("RunContainerError", behaviour.start_error)
        container.state, container.started_at = "running", now
        container.late_seconds = sum(delay() for delay in self.start_delays)
        if behaviour.run_seconds is not None and (behaviour.runs is None or container.spec.attempt < behaviour.runs):
            self._exit_at(container_id, now + behaviour.run_seconds, behaviour.exit_code)
        self._tell(container.sandbox.uid)

    def _exit_at(self, container_id: str, time: float, exit_code: int) -> None:
        self._made += 1
        heapq.heappush(self._exits, (time, self._made, container_id, exit_code))

    async def stop_container(self, container_id: str, grace_seconds: float) -> None:
        """An immediate runtime never waits: a container that takes its time ends later, of itself."""
        container = self._find(container_id, missing_is_fine=True)
        if container is None or container.state != "running":
            return
        needs = math.inf if container.hangs else container.behaviour.stop_seconds
        if needs <= 0:
            self._exit(container, 0)
        elif grace_seconds <= 0:
            self._exit(container, SIGKILL_EXIT_CODE)
        else:
            in_time = needs <= grace_seconds
            self._exit_at(container_id, self._environment.now() + min(needs, grace_seconds), 0 if in_time else SIGKILL_EXIT_CODE)

    async def remove_container(self, container_id: str) -> None:
        uid = self._owners.pop(container_id, None)
        if uid is not None:
            self._containers[uid].pop(container_id, None)
            if not self._containers[uid]:
                del self._containers[uid]

    async def exec(self, container_id: str, command: Sequence[str], timeout_seconds: float) -> ExecResult:
        if self._known(container_id).state != "running":
            raise RuntimeFailure("ExecError", f"container {container_id} is not running")
        return ExecResult(0, b"")

    async def logs(self, container_id: str, *, follow: bool) -> AsyncIterator[bytes]:
        container = self._known(container_id)
        time = timestamps.format_micro_time(container.started_at)[:-1].encode() + b"000Z"
        text = container.behaviour.log.encode()
        yield b"".join(b"%b stdout F %b\n" % (time, line) for line in text.splitlines())
        if follow:
            yield b""
            while self._find(container_id, missing_is_fine=True) is container and container.state == "running":
                await self._environment.sleep(1.0)

    async def probe(self, container_id: str, kind: str) -> ProbeAnswer | None:
        container = self._find(container_id, missing_is_fine=True)
        if container is None or container.state != "running":
            return ProbeAnswer(False, "the container does not run")
        if container.hangs:
            return ProbeAnswer(False, "no answer in time")
        success = self._foresee(container, kind).success
        return ProbeAnswer(success, "" if success else "not alive any more" if kind == "Liveness" else "not ready")

    def foresee(self, container_id: str, kind: str) -> Foresight | None:
        container = self._find(container_id, missing_is_fine=True)
        return self._foresee(container, kind) if container is not None and container.state == "running" else None

    def _foresee(self, container: _Container, kind: str) -> Foresight:
        """Of one that runs."""
        if container.hangs:
            return Foresight(False, math.inf)
        if kind != "Liveness" and container.ready is not None:
            return Foresight(container.ready, math.inf)
        behaviour = container.behaviour
        changes_after = behaviour.alive_seconds if kind == "Liveness" else behaviour.ready_after_seconds + container.late_seconds
        if changes_after is None:
            return Foresight(True, math.inf)
        before = self._environment.now() - container.started_at < changes_after
        return Foresight(before == (kind == "Liveness"), container.started_at + changes_after if before else math.inf)

    async def usage(self) -> NodeUsage:
        self._is_measured = True
        now = self._environment.now()
        cpu, memory = self._ended_cpu + self._own_cpu.total(now), self._own_memory.value(now)
        found = []
        for uid, containers in self._containers.items():
            for container in containers.values():
                if container.state != "running":
                    continue
                cpu_meter, memory_meter = _meters(container)
                used, held = cpu_meter.total(now), memory_meter.value(now)
                cpu += used
                memory += held
                found.append(ContainerUsage(
                    pod_uid=uid, name=container.spec.name, id=container.id, started_at=container.started_at,
                    cpu_nanoseconds=round(used * NANOSECONDS), memory_bytes=round(held),
                ))
        return NodeUsage(time=now, cpu_nanoseconds=round(cpu * NANOSECONDS), memory_bytes=round(memory), containers=tuple(found))

    # ---- inside

    def _new_id(self) -> str:
        return f"{self._environment.random.getrandbits(256):064x}"

    def _find(self, container_id: str, *, missing_is_fine: bool) -> _Container | None:
        found = self._containers.get(self._owners.get(container_id, ""), {}).get(container_id)
        if found is None and not missing_is_fine:
            raise RuntimeFailure("ContainerNotFound", f"container {container_id} not found")
        return found

    def _known(self, container_id: str) -> _Container:
        found = self._find(container_id, missing_is_fine=False)
        assert found is not None
        return found

    def _behaviour_of(self, pod: Pod, container: Container, attempt: int) -> Behaviour:
        behaviour = self._behaviour(pod, container, attempt) if self._behaviour is not None else None
        text = pod.metadata.annotations.get(ANNOTATION)
        if behaviour is not None or text is None:
            return behaviour or STEADY
        try:
            return _parsed(text, container.name)
        except msgspec.MsgspecError as error:
            raise RuntimeFailure("CreateContainerError", f"annotation {ANNOTATION}: {error}") from error


def _follow(meters: tuple[Meter, Meter], cpu_millicores: Course | None, memory_bytes: Course | None, now: float) -> None:
    wanted = (("cpu_millicores", cpu_millicores), ("memory_bytes", memory_bytes))
    for name, course in wanted:
        if course is not None:
            check(course, name)
    for meter, (_, course) in zip(meters, wanted, strict=True):
        if course is not None:
            meter.follow(course, now)


def _parsed(text: str, container: str) -> Behaviour:
    try:
        by_name: Mapping[str, Behaviour] = msgspec.json.decode(text, type=dict[str, Behaviour])
    except msgspec.ValidationError:
        return msgspec.json.decode(text, type=Behaviour)
    return by_name.get(container, STEADY)
