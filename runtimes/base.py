"""What a container runtime promises, shaped like the CRI: sandboxes, containers, images, logs, commands in a container.

A kubelet drives it; it decides nothing itself (restarts, probes, order). What it cannot do it says by `refusals`, which the
kubelet turns into a condition and an event. https://kubernetes.io/docs/concepts/containers/cri/
"""
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Final, Literal

import msgspec

from kubelet_lite.api.core_v1 import Pod
from kubelet_lite.wire.usage import NodeUsage

ContainerState = Literal["created", "running", "exited"]
SIGKILL_EXIT_CODE: Final = 137


class RuntimeFailure(Exception):
    """The runtime could not do it. `reason` is what the container's waiting state and the event say (ErrImagePull,
    CreateContainerError, RunContainerError, …), `message` their text."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class Mount(msgspec.Struct, frozen=True, gc=False):
    """A file or folder of the machine that a container sees at a path of its own."""

    host_path: str
    container_path: str
    read_only: bool = False


class SandboxSpec(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """The pod's shared environment."""

    namespace: str
    name: str
    uid: str
    attempt: int = 0
    hostname: str = ""
    host_network: bool = False
    pod: Pod
    """The whole pod: a fake runtime reads its behaviour from it, a real one its DNS settings and namespaces."""


class Sandbox(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    id: str
    uid: str
    namespace: str
    name: str
    attempt: int = 0
    addresses: tuple[str, ...] = ()
    """The pod's addresses; empty with host_network (the node's count then)."""
    created_at: float = 0.0
    ready: bool = True


class ContainerSpec(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One start of one container: all is resolved, nothing refers to other objects."""

    name: str
    image: str
    image_id: str = ""
    attempt: int = 0
    """How often it was restarted."""
    command: tuple[str, ...] = ()
    """Replaces the image's entrypoint where it is not empty."""
    args: tuple[str, ...] = ()
    working_directory: str = ""
    environment: Mapping[str, str] = msgspec.field(default_factory=dict)
    hostname: str = ""
    """The pod's hostname; "" leaves it to the runtime."""
    pod_address: str = ""
    """The pod's address; "" stands for the sandbox's own."""
    mounts: tuple[Mount, ...] = ()
    stdin: bool = False
    tty: bool = False
    stop_signal: str = ""
    run_as_user: int | None = None
    run_as_group: int | None = None
    supplemental_groups: tuple[int, ...] = ()
    privileged: bool = False
    read_only_root: bool = False
    cpu_limit_milli: int | None = None
    memory_limit_bytes: int | None = None
    termination_message_path: str = "/dev/termination-log"
    termination_message_file: str = ""
    """The file of the machine behind that path, made by the kubelet; its content becomes the terminated state's message."""
    message_from_logs: bool = False
    """Without such a message the end of the log stands for it, where the container failed."""
    log_folder: str = ""
    """Where `ATTEMPT.log` is written, in CRI's format (`time stream tag text`)."""


class ContainerStatus(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    id: str
    name: str
    sandbox_id: str
    attempt: int
    state: ContainerState
    image: str = ""
    image_id: str = ""
    created_at: float = 0.0
    started_at: float = 0.0
    finished_at: float = 0.0
    exit_code: int = 0
    signal: int = 0
    reason: str = ""
    """Of an exit that is neither Completed nor Error: OOMKilled, StartError, …"""
    message: str = ""


class PodState(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """All that the runtime knows of one pod, newest first."""

    uid: str
    sandboxes: tuple[Sandbox, ...] = ()
    containers: tuple[ContainerStatus, ...] = ()

    def container(self, name: str) -> ContainerStatus | None:
        """The newest instance of a container."""
        return next((c for c in self.containers if c.name == name), None)


class Image(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    id: str
    names: tuple[str, ...]
    size_bytes: int = 0


class ExecResult(msgspec.Struct, frozen=True):
    exit_code: int
    output: bytes
    timed_out: bool = False


class ProbeAnswer(msgspec.Struct, frozen=True):
    success: bool
    output: str = ""


class Foresight(msgspec.Struct, frozen=True, gc=False):
    """What a probe would be answered from now until then (Unix seconds), unless the runtime tells its listeners of a change."""

    success: bool
    until: float


Listener = Callable[[str], None]
"""Called with a pod's UID, on the loop's thread, when the state of one of its containers or its sandbox has changed."""


class Runtime(ABC):
    """Every method may raise RuntimeFailure. Stopping or removing what is gone already is no failure."""

    name: str = ""
    version: str = "1.0"
    immediate: bool = False
    """Whether every method returns without waiting: such pods need no task of their own."""
    has_files: bool = True
    """Whether containers see files: volumes are made for such a runtime alone."""
    has_device_drivers: bool = False
    """Whether it stands for the driver of any device that a ResourceClaim may have: else such pods do not start."""

    async def start(self) -> None:  # noqa: B027
        """Before anything else: finds and ends what an earlier run of the cluster left behind."""

    @abstractmethod
    async def close(self) -> None:
        """Ends every container and sandbox."""

    @abstractmethod
    def subscribe(self, listener: Listener) -> None: ...

    def refusals(self, pod: Pod) -> Sequence[str]:
        """What the pod asks for and this runtime cannot do, one sentence each."""
        return ()

    @abstractmethod
    async def state(self, uid: str) -> PodState: ...

    @abstractmethod
    async def pods(self) -> Sequence[PodState]: ...

    @abstractmethod
    async def run_sandbox(self, spec: SandboxSpec) -> Sandbox: ...

    @abstractmethod
    async def stop_sandbox(self, sandbox_id: str) -> None: ...

    @abstractmethod
    async def remove_sandbox(self, sandbox_id: str) -> None: ...

    @abstractmethod
    async def image(self, name: str) -> Image | None:
        """The image if it is on the node. Raises RuntimeFailure("InvalidImageName", …) for a name that cannot be one."""

    @abstractmethod
    async def pull(self, name: str) -> Image:
        """Raises RuntimeFailure("ErrImagePull", …) with a message that says what to do."""

    @abstractmethod
    async def images(self) -> Sequence[Image]: ...

    @abstractmethod
    async def create_container(self, sandbox_id: str, spec: ContainerSpec) -> str:
        """Returns the container's id (with the runtime's scheme: `process://…`)."""

    @abstractmethod
    async def start_container(self, container_id: str) -> None: ...

    @abstractmethod
    async def stop_container(self, container_id: str, grace_seconds: float) -> None:
        """The stop signal, then after the grace SIGKILL; returns when the container has exited."""

    @abstractmethod
    async def remove_container(self, container_id: str) -> None: ...

    @abstractmethod
    async def exec(self, container_id: str, command: Sequence[str], timeout_seconds: float) -> ExecResult: ...

    @abstractmethod
    def logs(self, container_id: str, *, follow: bool) -> AsyncIterator[bytes]:
        """Whole entries of the container's log in CRI's format, oldest first; with `follow` an empty chunk where what exists ends,
        and then what comes until the container has exited."""

    async def probe(self, container_id: str, kind: str) -> ProbeAnswer | None:
        """The answer of a container that nobody can connect to (`kind`: Startup, Readiness, Liveness); None: the kubelet asks itself."""
        return None

    def foresee(self, container_id: str, kind: str) -> Foresight | None:
        """For runtimes that know what `probe` will answer: probes that can teach nothing are not run. None: nobody knows."""
        return None

    async def remarks(self, uid: str) -> Sequence[str]:
        """What a pod's running containers do that cannot work here, one sentence each: asked a little after they have started."""
        return ()

    def next_change(self) -> float | None:
        """When (Unix seconds) a container changes by itself, for runtimes that live in the kubelet's time."""
        return None

    def advance(self, now: float) -> None:  # noqa: B027
        """Lets everything happen that was to happen until now."""

    @abstractmethod
    async def usage(self) -> NodeUsage:
        """What the node and every container that runs on it use now. Asked only when somebody wants to know."""
