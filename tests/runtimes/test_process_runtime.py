"""Real processes: what one container after the other does."""
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from kubelet_lite.actors.environment import Environment
from kubelet_lite.api.core_v1 import (
    Container,
    ContainerPort,
    EmptyDirVolumeSource,
    EphemeralContainer,
    HostAlias,
    Pod,
    PodDNSConfig,
    PodSecurityContext,
    PodSpec,
    SecurityContext,
    Volume,
)
from kubelet_lite.runtimes.base import ContainerSpec, Mount, RuntimeFailure, SandboxSpec
from kubelet_lite.runtimes.images import ImageMap
from kubelet_lite.runtimes.network.loopback import LoopbackNetwork
from kubelet_lite.runtimes.process import ProcessRuntime, processes


@pytest.fixture
def network():
    network = LoopbackNetwork()
    yield network
    network.close()


@pytest.fixture
async def runtime(tmp_path, network):
    runtime = ProcessRuntime(Environment.real(), tmp_path, ImageMap({"busybox": ""}), network)
    await runtime.start()
    yield runtime
    await runtime.close()


class Changes:
    """Waits until a container of the runtime has exited."""

    def __init__(self, runtime):
        self.runtime = runtime
        self.event = anyio.Event()
        runtime.subscribe(lambda uid: self.event.set())

    async def until_exited(self, container_id):
        with anyio.fail_after(20):
            while True:
                event = self.event = anyio.Event()
                state = await self.runtime.state("uid")
                status = next(c for c in state.containers if c.id == container_id)
                if status.state == "exited":
                    return status
                await event.wait()


async def run(runtime, *command, **more):
    sandbox = await runtime.run_sandbox(SandboxSpec(namespace="default", name="p", uid="uid", pod=Pod()))
    container_id = await runtime.create_container(sandbox.id, ContainerSpec(name="c", image="busybox", command=command, **more))
    await runtime.start_container(container_id)
    return container_id


def is_running(pid):
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


async def log_of(runtime, container_id, follow=False):
    data = b"".join([chunk async for chunk in runtime.logs(container_id, follow=follow)])
    return [line.split(b" ", 3)[1:] for line in data.splitlines()]


async def test_output_exit_code_and_environment(runtime):
    container = await run(runtime, "sh", "-c", "echo $A; echo oops >&2; exit 3", environment={"A": "x y"})
    status = await Changes(runtime).until_exited(container)
    assert (status.exit_code, status.state) == (3, "exited")
    assert sorted(await log_of(runtime, container)) == [[b"stderr", b"F", b"oops"], [b"stdout", b"F", b"x y"]]


async def test_the_pods_address_and_hostname_stand_in_the_environment(runtime):
    own = await run(runtime, "sh", "-c", "echo $POD_IP $HOSTNAME", pod_address="10.0.0.7", hostname="web-0")
    await Changes(runtime).until_exited(own)
    assert [text for _, _, text in await log_of(runtime, own)] == [b"10.0.0.7 web-0"]


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (PodSpec(containers=(Container(name="c", ports=(ContainerPort(containerPort=80, hostPort=8080),)),)), "hostPort 8080"),
        (PodSpec(containers=(Container(name="c", securityContext=SecurityContext(privileged=True)),)), "privileged"),
        (PodSpec(securityContext=PodSecurityContext(fsGroup=7)), "fsGroup"),
        (PodSpec(subdomain="s"), "subdomain"),
        (PodSpec(hostAliases=(HostAlias(ip="1.2.3.4"),)), "hostAliases"),
        (PodSpec(dnsConfig=PodDNSConfig()), "dnsConfig"),
        (PodSpec(volumes=(Volume(name="v", emptyDir=EmptyDirVolumeSource(medium="Memory")),)), "emptyDir.medium Memory"),
        (PodSpec(volumes=(Volume(name="v", emptyDir=EmptyDirVolumeSource(sizeLimit="1Mi")),)), "emptyDir.sizeLimit"),
        (PodSpec(ephemeralContainers=(EphemeralContainer(name="debug"),)), "ephemeral container debug"),
    ],
)
async def test_what_host_isolation_cannot_do_is_said(runtime, spec, says):
    (sentence,) = runtime.refusals(Pod(spec=spec))
    assert says in sentence


async def test_another_user_without_root_is_refused_with_the_reason(runtime, monkeypatch):
    def refuse(*arguments, **more):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("os.chown", refuse)
    with pytest.raises(RuntimeFailure) as failure:
        await run(runtime, "true", run_as_user=65000)
    assert failure.value.message == "changing to user 65000 needs root"


async def test_a_following_reader_gets_every_line_and_ends_with_the_process(runtime):
    container = await run(runtime, "sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.05; done; printf rest")
    with anyio.fail_after(20):
        lines = await log_of(runtime, container, follow=True)
    assert [text for _, _, text in lines] == [b"1", b"2", b"3", b"rest"]
    assert lines[-1][1] == b"P"


async def test_no_such_command_is_a_start_error(runtime):
    sandbox = await runtime.run_sandbox(SandboxSpec(namespace="default", name="p", uid="uid", pod=Pod()))
    container = await runtime.create_container(sandbox.id, ContainerSpec(name="c", image="busybox", command=("nosuch",)))
    with pytest.raises(RuntimeFailure, match="executable file not found in \\$PATH") as failure:
        await runtime.start_container(container)
    assert failure.value.reason == "RunContainerError"
    status = (await runtime.state("uid")).container("c")
    assert (status.state, status.exit_code, status.reason) == ("exited", 128, "StartError")


async def test_stop_asks_first_and_kills_what_does_not_listen(runtime):
    polite = await run(runtime, "sh", "-c", "trap 'exit 7' TERM; while :; do sleep 0.02; done")
    async for chunk in runtime.logs(polite, follow=False):
        assert not chunk
    deaf = await run(runtime, "sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.02; done")
    with anyio.fail_after(20):
        async for chunk in runtime.logs(deaf, follow=True):
            if chunk:
                break
        await runtime.stop_container(deaf, 0.1)
        await runtime.stop_container(polite, 10)
    codes = {c.id: c.exit_code for c in (await runtime.state("uid")).containers}
    assert codes[deaf] == 137
    assert codes[polite] in (7, 143)  # 143: asked before its trap was set


async def test_files_are_mounted_below_the_root_that_the_process_learns(runtime, tmp_path):
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "a").write_text("hello\n")
    mounts = (Mount(str(tmp_path / "conf"), "/etc/conf"),)
    container = await run(runtime, "sh", "-c", "cat $KUBELET_LITE_ROOT/etc/conf/a; pwd", mounts=mounts, working_directory="/work")
    await Changes(runtime).until_exited(container)
    (_, _, first), (_, _, second) = await log_of(runtime, container)
    assert first == b"hello"
    assert second.endswith(b"/root/work")


async def test_exec_runs_beside_the_container_and_may_time_out(runtime):
    container = await run(runtime, "sleep", "60", environment={"A": "1"})
    assert await runtime.exec(container, ["sh", "-c", "echo $A; exit 4"], 10) == type(await runtime.exec(container, ["true"], 10))(4, b"1\n")
    late = await runtime.exec(container, ["sleep", "60"], 0.05)
    assert late.timed_out


async def test_children_of_a_container_go_with_it(runtime):
    container = await run(runtime, "sh", "-c", "sleep 300 & echo $!; exit 0")
    await Changes(runtime).until_exited(container)
    child = int((await log_of(runtime, container))[0][2])
    with anyio.fail_after(20):
        while is_running(child):
            await anyio.sleep(0.01)


async def test_pods_have_addresses_of_their_own_and_clusters_do_not_meet(runtime, network):
    first = await runtime.run_sandbox(SandboxSpec(namespace="default", name="a", uid="1", pod=Pod()))
    second = await runtime.run_sandbox(SandboxSpec(namespace="default", name="b", uid="2", pod=Pod()))
    other = LoopbackNetwork()
    try:
        assert first.addresses != second.addresses
        assert other.range != network.range
    finally:
        other.close()


async def test_a_server_on_the_wildcard_address_is_told_of_its_own(runtime):
    code = "import socket, time\ns = socket.create_server(('', 0))\nprint('up', flush=True)\ntime.sleep(60)"
    container = await run(runtime, sys.executable, "-c", code)
    with anyio.fail_after(20):
        async for chunk in runtime.logs(container, follow=True):
            if chunk:
                break
    (remark,) = await runtime.remarks("uid")
    assert "bind the pod's own address, 127." in remark


def test_processes_of_a_dead_cluster_are_ended_and_those_of_a_living_one_are_not():
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    orphan = subprocess.Popen(["sleep", "300"], env={"KUBELET_LITE_OWNER": f"{dead.pid}:1"})
    mine = subprocess.Popen(["sleep", "300"], env={"KUBELET_LITE_OWNER": processes.owner()})
    try:
        processes.end_orphans()
        assert orphan.wait(20) == -signal.SIGKILL
        assert mine.poll() is None
    finally:
        mine.kill()
        mine.wait()


async def test_usage_is_that_of_the_whole_tree_and_of_the_machine(runtime):
    child = "import os\nheld, parent = bytearray(32 << 20), os.getppid()\nprint('up', flush=True)\nwhile os.getppid() == parent: pass"
    code = f"import subprocess, sys\nsubprocess.Popen(['setsid', sys.executable, '-c', {child!r}]).wait()"
    container = await run(runtime, sys.executable, "-c", code)
    with anyio.fail_after(20):
        async for chunk in runtime.logs(container, follow=True):
            if chunk:
                break
    before = await runtime.usage()
    with anyio.fail_after(60):
        while True:
            await anyio.sleep(0.05)
            after = await runtime.usage()
            if after.containers[0].cpu_nanoseconds - before.containers[0].cpu_nanoseconds >= 100_000_000:
                break
    (used,) = after.containers
    assert (used.id, used.name, used.pod_uid) == (container, "c", "uid")
    assert 32 << 20 <= used.memory_bytes < after.memory_bytes
    assert after.cpu_nanoseconds >= before.cpu_nanoseconds + 100_000_000
