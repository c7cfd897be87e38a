"""The runtime whose containers are processes of this machine: a process group each, no shell in between, a folder of their own.

A container's folder is its root: what is mounted lies in it at the path that the pod gives (linked, since host isolation has no
mount namespace), and the process learns where by KUBELET_LITE_ROOT. Its PATH, users and files are the machine's.
"""
from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import anyio

from kubelet_lite.actors.environment import Environment
from kubelet_lite.actors.logs import get_logger
from kubelet_lite.api.core_v1 import Container, Pod
from kubelet_lite.runtimes import folders
from kubelet_lite.runtimes.base import (
    ContainerSpec,
    ContainerState,
    ContainerStatus,
    ExecResult,
    Image,
    Listener,
    PodState,
    Runtime,
    RuntimeFailure,
    Sandbox,
    SandboxSpec,
)
from kubelet_lite.runtimes.images import ImageMap
from kubelet_lite.runtimes.network.base import Network
from kubelet_lite.runtimes.process import logs, processes, usage
from kubelet_lite.wire.usage import ContainerUsage, NodeUsage

ROOT_VARIABLE: Final = "KUBELET_LITE_ROOT"
ADDRESS_VARIABLE: Final = "POD_IP"
"""The pod's address, which a server is to bind; the pod may say otherwise."""
SCHEME: Final = "process://"
DEFAULT_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
START_ERROR_EXIT_CODE: Final = 128
MAX_EXEC_OUTPUT_BYTES: Final = 10 * 1024 * 1024
"""Of a command run in a container; the rest is read away."""
MAX_TERMINATION_MESSAGE_BYTES: Final = 4096
_log = get_logger()


class _Container:
    def __init__(self, id: str, sandbox: Sandbox, spec: ContainerSpec, folder: Path, created_at: float) -> None:
        self.id = id
        self.sandbox = sandbox
        self.spec = spec
        self.folder = folder
        self.log_path = (Path(spec.log_folder) if spec.log_folder else folder / "log") / f"{spec.attempt}.log"
        self.created_at = created_at
        self.started_at = self.finished_at = 0.0
        self.state: ContainerState = "created"
        self.process: processes.Process | None = None
        self.writer: logs.LogWriter | None = None
        self.exit_code = self.exit_signal = 0
        self.reason = self.message = ""
        self.exited = anyio.Event()

    @property
    def root(self) -> Path:
        return self.folder / "root"

    def status(self) -> ContainerStatus:
        return ContainerStatus(
            id=self.id, name=self.spec.name, sandbox_id=self.sandbox.id, attempt=self.spec.attempt, state=self.state, image=self.spec.image,
            image_id=self.spec.image_id, created_at=self.created_at, started_at=self.started_at, finished_at=self.finished_at,
            exit_code=self.exit_code, signal=0, reason=self.reason, message=self.message,
        )


class ProcessRuntime(Runtime):
    """One node's containers, below `folder`. Made and used on one running loop."""

    name = "process"

    def __init__(self, environment: Environment, folder: Path, images: ImageMap, network: Network) -> None:
        self._environment = environment
        self._folder = folder
        self._images = images
        self._network = network
        self._sandboxes: dict[str, Sandbox] = {}
        self._containers: dict[str, _Container] = {}
        self._listeners: list[Listener] = []
        self._used_images: dict[str, Image] = {}
        self._closing = False

    async def start(self) -> None:
        ended = processes.end_orphans()
        if ended:
            _log.info("orphans_ended", processes=ended)
        removed = folders.remove_abandoned()
        if removed:
            _log.info("abandoned_folders_removed", folders=removed)
        self._folder.mkdir(parents=True, exist_ok=True)

    async def close(self) -> None:
        self._closing = True
        for container in self._containers.values():
            if container.process is not None:
                container.process.kill_now()
        for sandbox_id in list(self._sandboxes):
            self._network.detach(sandbox_id)
        self._sandboxes.clear()
        self._containers.clear()

    def subscribe(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def refusals(self, pod: Pod) -> Sequence[str]:
        found: dict[str, None] = {}
        for container in (*pod.spec.initContainers, *pod.spec.containers):
            for sentence in _refused(pod, container):
                found[sentence] = None
        for sentence in _refused_of_pod(pod):
            found[sentence] = None
        if pod.spec.hostUsers is False:
            found["hostUsers: processes of the machine have no user namespace of their own"] = None
        return tuple(found)

    async def state(self, uid: str) -> PodState:
        return self._state(uid)

    def _state(self, uid: str) -> PodState:
        sandboxes = [s for s in self._sandboxes.values() if s.uid == uid]
        containers = [c.status() for c in self._containers.values() if c.sandbox.uid == uid]
        return PodState(uid=uid, sandboxes=tuple(reversed(sandboxes)), containers=tuple(reversed(containers)))

    async def pods(self) -> Sequence[PodState]:
        uids = {s.uid: None for s in self._sandboxes.values()} | {c.sandbox.uid: None for c in self._containers.values()}
        return [self._state(uid) for uid in uids]

    # ---- sandboxes

    async def run_sandbox(self, spec: SandboxSpec) -> Sandbox:
        id = self._new_id()
        addresses = self._network.attach(id, spec)
        sandbox = Sandbox(
            id=id, uid=spec.uid, namespace=spec.namespace, name=spec.name, attempt=spec.attempt, addresses=addresses,
            created_at=self._environment.now(),
        )
        self._sandboxes[id] = sandbox
        return sandbox

    async def stop_sandbox(self, sandbox_id: str) -> None:
        for container in list(self._containers.values()):
            if container.sandbox.id == sandbox_id and container.process is not None:
                container.process.signal(signal.SIGKILL)
                await container.exited.wait()
        sandbox = self._sandboxes.get(sandbox_id)
        if sandbox is not None and sandbox.ready:
            self._network.detach(sandbox_id)
            self._sandboxes[sandbox_id] = Sandbox(
                id=sandbox.id, uid=sandbox.uid, namespace=sandbox.namespace, name=sandbox.name, attempt=sandbox.attempt,
                addresses=sandbox.addresses, created_at=sandbox.created_at, ready=False,
            )

    async def remove_sandbox(self, sandbox_id: str) -> None:
        await self.stop_sandbox(sandbox_id)
        for container in [c for c in self._containers.values() if c.sandbox.id == sandbox_id]:
            await self.remove_container(container.id)
        self._sandboxes.pop(sandbox_id, None)

    # ---- images

    async def image(self, name: str) -> Image | None:
        image = self._images.image(name)
        if image is not None:
            self._used_images[image.id] = image
        return image

    async def pull(self, name: str) -> Image:
        image = self._images.pull(name)
        self._used_images[image.id] = image
        return image

    async def images(self) -> Sequence[Image]:
        return tuple(self._used_images.values())

    # ---- containers

    async def create_container(self, sandbox_id: str, spec: ContainerSpec) -> str:
        sandbox = self._sandboxes.get(sandbox_id)
        if sandbox is None or not sandbox.ready:
            raise RuntimeFailure("CreateContainerError", f"sandbox {sandbox_id} is not ready")
        id = SCHEME + self._new_id()
        folder = self._folder / sandbox.uid / f"{spec.name}-{spec.attempt}-{id[-8:]}"
        container = _Container(id, sandbox, spec, folder, self._environment.now())
        try:
            container.root.mkdir(parents=True)
            for mount in sorted(spec.mounts, key=lambda mount: mount.container_path):
                _link(container.root, mount.container_path, mount.host_path)
            if spec.termination_message_file:
                _link(container.root, spec.termination_message_path, spec.termination_message_file)
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise RuntimeFailure("CreateContainerError", f"cannot make the container's folder: {error}") from error
        self._containers[id] = container
        return id

    async def start_container(self, container_id: str) -> None:
        container = self._find(container_id)
        if container.state != "created" or self._closing:
            raise RuntimeFailure("RunContainerError", f"container {container_id} is {container.state}")
        outputs = [os.pipe2(os.O_CLOEXEC), os.pipe2(os.O_CLOEXEC)]
        try:
            command = self._command(container)
            folder = self._working_directory(container)
            container.process = processes.spawn(
                command, environment=self._variables(container), folder=folder, stdout=outputs[0][1], stderr=outputs[1][1],
                on_exit=lambda exit: self._exited(container, exit), user=container.spec.run_as_user,
                group=container.spec.run_as_group, supplemental_groups=container.spec.supplemental_groups,
            )
        except (OSError, ValueError, RuntimeFailure) as error:
            for reading, writing in outputs:
                os.close(reading)
                os.close(writing)
            message = _needs_root(container.spec) if isinstance(error, PermissionError) else ""
            message = message or f"failed to start containerd task: {error.args[-1] if isinstance(error, OSError) and error.args else error}"
            container.state, container.exit_code, container.reason, container.message = "exited", START_ERROR_EXIT_CODE, "StartError", message
            container.finished_at = self._environment.now()
            container.exited.set()
            raise RuntimeFailure("RunContainerError", message) from error
        container.writer = logs.LogWriter(container.log_path, self._environment.now)
        for stream, (reading, writing) in zip(("stdout", "stderr"), outputs, strict=True):
            os.close(writing)
            container.writer.attach(stream, reading)
        container.state, container.started_at = "running", self._environment.now()
        self._tell(container)

    async def stop_container(self, container_id: str, grace_seconds: float) -> None:
        container = self._containers.get(container_id)
        if container is None or container.process is None:
            return
        if grace_seconds > 0:
            container.process.signal(_signal_number(container.spec.stop_signal))
            with anyio.move_on_after(grace_seconds):
                await container.exited.wait()
        container.process.signal(signal.SIGKILL)
        await container.exited.wait()

    async def remove_container(self, container_id: str) -> None:
        await self.stop_container(container_id, 0)
        container = self._containers.pop(container_id, None)
        if container is not None:
            shutil.rmtree(container.folder, ignore_errors=True)

    async def exec(self, container_id: str, command: Sequence[str], timeout_seconds: float) -> ExecResult:
        container = self._find(container_id)
        if container.state != "running":
            raise RuntimeFailure("ExecError", f"container {container_id} is not running")
        reading, writing = os.pipe2(os.O_CLOEXEC)
        ended = anyio.Event()
        results: list[processes.Exit] = []

        def exited(exit: processes.Exit) -> None:
            results.append(exit)
            ended.set()

        output = _Output(reading)
        try:
            process = processes.spawn(
                command, environment=self._variables(container), folder=self._working_directory(container), stdout=writing, stderr=writing,
                on_exit=exited, user=container.spec.run_as_user, group=container.spec.run_as_group,
                supplemental_groups=container.spec.supplemental_groups,
            )
        except OSError as error:
            output.close()
            os.close(writing)
            raise RuntimeFailure("ExecError", f"failed to exec in container: {error.args[-1] if error.args else error}") from error
        os.close(writing)
        timed_out = False
        try:
            with anyio.move_on_after(timeout_seconds) as waiting:
                await ended.wait()
            timed_out = waiting.cancelled_caught
        finally:
            process.kill_now()
            output.finish()
        return ExecResult(results[0].code, bytes(output.data), timed_out)

    def logs(self, container_id: str, *, follow: bool) -> AsyncIterator[bytes]:
        container = self._find(container_id)
        return logs.read(container.log_path, container.writer, follow=follow)

    async def remarks(self, uid: str) -> Sequence[str]:
        found = []
        for container in self._containers.values():
            if container.sandbox.uid == uid and container.state == "running" and container.process is not None and container.sandbox.addresses:
                for port in processes.wildcard_ports(container.process.pid):
                    found.append(
                        f"container {container.spec.name} listens on port {port} of every address of this machine, where it meets all other pods: "
                        f"bind the pod's own address, {container.sandbox.addresses[0]}, which stands in {ADDRESS_VARIABLE}"
                    )
        return found

    async def usage(self) -> NodeUsage:
        running = [(c, c.process.pid) for c in self._containers.values() if c.state == "running" and c.process is not None]
        used = usage.of_trees([pid for _, pid in running])
        whole = usage.of_machine()
        return NodeUsage(
            time=self._environment.now(), cpu_nanoseconds=whole.cpu_nanoseconds, memory_bytes=whole.memory_bytes,
            containers=tuple(
                ContainerUsage(
                    pod_uid=c.sandbox.uid, name=c.spec.name, id=c.id, started_at=c.started_at, cpu_nanoseconds=used[pid].cpu_nanoseconds,
                    memory_bytes=used[pid].memory_bytes,
                )
                for c, pid in running
            ),
        )

    # ---- inside

    def _new_id(self) -> str:
        return f"{self._environment.random.getrandbits(256):064x}"

    def _find(self, container_id: str) -> _Container:
        container = self._containers.get(container_id)
        if container is None:
            raise RuntimeFailure("ContainerNotFound", f"container {container_id} not found")
        return container

    def _command(self, container: _Container) -> Sequence[str]:
        spec = container.spec
        image = self._images.image(spec.image)
        if image is None:
            raise RuntimeFailure("ErrImagePull", f'image "{spec.image}" is gone')
        command = spec.command or self._images.entrypoint_of(spec.image)
        words = (*command, *spec.args)
        if not words:
            raise RuntimeFailure("CreateContainerError", "no command specified")
        return words

    def _variables(self, container: _Container) -> Mapping[str, str]:
        own = container.spec.environment
        pod_address = container.spec.pod_address or next(iter(container.sandbox.addresses), "")
        address = {ADDRESS_VARIABLE: pod_address} if pod_address else {}
        return {
            "PATH": DEFAULT_PATH, "HOSTNAME": container.spec.hostname or container.sandbox.name, "HOME": str(container.root), **address, **own,
            ROOT_VARIABLE: str(container.root), processes.OWNER_VARIABLE: processes.owner(),
        }

    def _working_directory(self, container: _Container) -> str:
        folder = container.root / container.spec.working_directory.lstrip("/")
        folder.mkdir(parents=True, exist_ok=True)
        if container.spec.run_as_user is not None:
            os.chown(folder, container.spec.run_as_user, container.spec.run_as_group if container.spec.run_as_group is not None else -1)
        return str(folder)

    def _exited(self, container: _Container, exit: processes.Exit) -> None:
        if container.writer is not None:
            container.writer.finish()
        container.state, container.finished_at = "exited", self._environment.now()
        container.exit_code, container.exit_signal = exit.code, exit.signal
        if container.spec.termination_message_file:
            with open(container.spec.termination_message_file, "rb") as file:
                container.message = file.read(MAX_TERMINATION_MESSAGE_BYTES).decode("utf-8", "replace")
        if not container.message and exit.code and container.spec.message_from_logs:
            container.message = logs.last_lines(container.log_path).decode("utf-8", "replace")
        container.exited.set()
        self._tell(container)

    def _tell(self, container: _Container) -> None:
        if not self._closing:
            for listener in self._listeners:
                listener(container.sandbox.uid)


class _Output:
    """Collects what a command writes."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._loop = asyncio.get_running_loop()
        self.data = bytearray()
        os.set_blocking(descriptor, False)
        self._loop.add_reader(descriptor, self._read)

    def _read(self) -> bool:
        try:
            data = os.read(self._descriptor, logs.READ_BYTES)
        except BlockingIOError:
            return False
        if not data:
            self._loop.remove_reader(self._descriptor)
            return False
        if len(self.data) < MAX_EXEC_OUTPUT_BYTES:
            self.data += data
        return True

    def finish(self) -> None:
        while self._read():
            pass
        self.close()

    def close(self) -> None:
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)


def _link(root: Path, container_path: str, host_path: str) -> None:
    """Makes a path below the root lead to a path of the machine. A mount inside another one goes into that one's folder."""
    path = root / container_path.lstrip("/")
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink():
        path.unlink()
    elif path.is_dir() and not os.listdir(path):
        path.rmdir()
    if not path.exists():
        path.symlink_to(host_path)


def _needs_root(spec: ContainerSpec) -> str:
    """Why a process without root's rights cannot start this container; "" where nothing of its identity is in the way."""
    if os.geteuid() == 0:
        return ""
    if spec.run_as_user not in (None, os.geteuid()):
        return f"changing to user {spec.run_as_user} needs root"
    if spec.run_as_group not in (None, os.getegid()):
        return f"changing to group {spec.run_as_group} needs root"
    return "supplementalGroups need root" if spec.supplemental_groups else ""


def _signal_number(name: str) -> int:
    number: int = getattr(signal, name, signal.SIGTERM) if name else signal.SIGTERM
    return number


def _refused(pod: Pod, container: Container) -> Sequence[str]:
    found = []
    writable = {v.name for v in pod.spec.volumes if v.emptyDir is not None or v.hostPath is not None}
    where = f"container {container.name}"
    if container.resources.limits.get("cpu"):
        found.append(f"{where}: the cpu limit is not enforced on a process of the machine")
    if container.resources.limits.get("memory"):
        found.append(f"{where}: the memory limit is not enforced on a process of the machine")
    security = container.securityContext
    if security is not None and security.readOnlyRootFilesystem:
        found.append(f"{where}: readOnlyRootFilesystem is not enforced on a process of the machine")
    if security is not None and security.capabilities is not None and (security.capabilities.add or security.capabilities.drop):
        found.append(f"{where}: capabilities are not changed on a process of the machine")
    if security is not None and security.privileged:
        found.append(f"{where}: privileged gives a process of the machine no further rights")
    for port in container.ports:
        if port.hostPort and not pod.spec.hostNetwork:
            found.append(f"{where}: hostPort {port.hostPort} is not opened on the node's address")
    if container.tty or container.stdin:
        found.append(f"{where}: tty and stdin are not offered yet")
    if any(mount.readOnly and mount.name in writable for mount in container.volumeMounts):
        found.append(f"{where}: readOnly of volumeMounts is not enforced on a process of the machine")
    return found


def _refused_of_pod(pod: Pod) -> Sequence[str]:
    spec, found = pod.spec, []
    if spec.securityContext is not None and spec.securityContext.fsGroup is not None:
        found.append("securityContext.fsGroup: the group of volumes' files is not changed")
    if spec.subdomain:
        found.append("subdomain: processes of the machine use the machine's name resolution, which does not know the pod")
    if spec.setHostnameAsFQDN:
        found.append("setHostnameAsFQDN: HOSTNAME stays the short name")
    if spec.hostAliases:
        found.append("hostAliases: processes of the machine share its /etc/hosts")
    if spec.dnsConfig is not None:
        found.append("dnsConfig: processes of the machine share its /etc/resolv.conf")
    for volume in spec.volumes:
        if volume.emptyDir is not None and volume.emptyDir.medium:
            found.append(f"volume {volume.name}: emptyDir.medium {volume.emptyDir.medium} is not offered, the files lie on the machine's disk")
        if volume.emptyDir is not None and volume.emptyDir.sizeLimit:
            found.append(f"volume {volume.name}: emptyDir.sizeLimit is not enforced on a folder of the machine")
    for container in spec.ephemeralContainers:
        found.append(f"ephemeral container {container.name}: ephemeral containers are not started yet")
    return found
