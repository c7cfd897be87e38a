"""Child processes without threads and without the process-wide child watcher: started directly, watched by pidfd on the loop.

Each container's process leads a session and a process group of its own; what it leaves behind is killed when it exits.
A marker in the environment tells, from outside, which cluster started a process and whether that cluster still lives.
"""
from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

OWNER_VARIABLE: Final = "KUBELET_LITE_OWNER"
"""`PID:START` of the process that runs the cluster; START in clock ticks since boot, so that a reused PID is told apart."""


LISTEN: Final = "0A"
"""The state of a listening socket in /proc/net/tcp."""


class Exit(msgspec.Struct, frozen=True):
    """How a process ended: `code` as a shell reports it (128 + signal)."""

    code: int
    signal: int = 0


class Process:
    """A started process. `on_exit` is called once, on the loop's thread."""

    def __init__(self, popen: subprocess.Popen[bytes], on_exit: Callable[[Exit], None]) -> None:
        self._popen = popen
        self._on_exit = on_exit
        self._loop = asyncio.get_running_loop()
        self.exit: Exit | None = None
        self._pidfd = os.pidfd_open(popen.pid)
        self._loop.add_reader(self._pidfd, self._exited)

    @property
    def pid(self) -> int:
        return self._popen.pid

    def signal(self, number: int) -> None:
        """To the whole process group."""
        if self.exit is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)

    def kill_now(self) -> None:
        """Kills the group and waits for the process: for the moment when the loop ends."""
        if self.exit is None:
            self.signal(signal.SIGKILL)
            self._popen.wait()
            self._exited()

    def _exited(self) -> None:
        status = self._popen.poll()
        if status is None:
            return
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self.exit = Exit(status) if status >= 0 else Exit(128 - status, -status)
        self._on_exit(self.exit)


def spawn(
    command: Sequence[str], *, environment: Mapping[str, str], folder: str, stdout: int, stderr: int, on_exit: Callable[[Exit], None],
    user: int | None = None, group: int | None = None, supplemental_groups: Sequence[int] = (),
) -> Process:
    """Starts a program, found on the PATH of its own environment. Raises OSError (not found, not executable, no such folder, …)."""
    program = _find(command[0], environment.get("PATH", os.defpath), folder)
    popen = subprocess.Popen(
        [command[0], *command[1:]], executable=program, env=dict(environment), cwd=folder, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr,
        start_new_session=True, user=user, group=group, extra_groups=list(supplemental_groups) or None,
    )
    return Process(popen, on_exit)


def _find(name: str, path: str, folder: str) -> str:
    if not name:
        raise FileNotFoundError(2, "no command specified")
    if "/" in name:
        found = os.path.join(folder, name)
        if not os.path.exists(found):
            raise FileNotFoundError(2, f'exec: "{name}": stat {name}: no such file or directory')
        if not os.access(found, os.X_OK) or os.path.isdir(found):
            raise PermissionError(13, f'exec: "{name}": permission denied')
        return found
    for part in path.split(os.pathsep):
        candidate = os.path.join(part or ".", name)
        if os.path.isfile(candidate) and os.access(candidate, os.X_OK):
            return candidate
    raise FileNotFoundError(2, f'exec: "{name}": executable file not found in $PATH')


def owner() -> str:
    """The marker of this process."""
    return f"{os.getpid()}:{_start_ticks(os.getpid())}"


def end_orphans() -> int:
    """Kills every process whose owner is dead; returns how many. Processes of living clusters are left alone."""
    marker = f"{OWNER_VARIABLE}=".encode()
    ended = 0
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                found = next((v for v in file.read().split(b"\0") if v.startswith(marker)), None)
        except OSError:
            continue
        if found is None or _is_alive(found[len(marker):].decode("ascii", "replace")):
            continue
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(int(name), signal.SIGKILL)
            ended += 1
    return ended


def _is_alive(mark: str) -> bool:
    pid, _, ticks = mark.partition(":")
    return pid.isdigit() and bool(ticks) and _start_ticks(int(pid)) == ticks


def _start_ticks(pid: int) -> str:
    """Field 22 of /proc/PID/stat; "" when there is no such process, or only its unreaped remains."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in (b"Z", b"X") else fields[19].decode()


def wildcard_ports(leader: int) -> list[int]:
    """The TCP ports on which a process group listens at every address of the machine at once."""
    inodes = _listening_everywhere()
    if not inodes:
        return []
    found: dict[int, None] = {}
    for pid in _group(leader):
        try:
            links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        except OSError:
            continue
        for link in links:
            if link.startswith("socket:[") and link[8:-1] in inodes:
                found[inodes[link[8:-1]]] = None
    return sorted(found)


def _listening_everywhere() -> dict[str, int]:
    """Inode → port of every listening socket that is bound to the wildcard address."""
    found = {}
    for name in ("tcp", "tcp6"):
        try:
            with open(f"/proc/net/{name}") as file:
                lines = file.readlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            address, _, port = fields[1].partition(":")
            if fields[3] == LISTEN and not address.strip("0"):
                found[fields[9]] = int(port, 16)
    return found


def _group(leader: int) -> list[int]:
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    group = int(file.read().rpartition(b")")[2].split()[2])
            except OSError:
                continue
            if group == leader:
                found.append(int(name))
    return found
