"""What a kubelet says of its node. Pure, but for the functions that read the machine.

https://kubernetes.io/docs/reference/node/node-status/
"""
from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from kubelet_lite.api import timestamps
from kubelet_lite.api.coordination_v1 import Lease, LeaseSpec
from kubelet_lite.api.core_v1 import (
    ContainerImage,
    DaemonEndpoint,
    Node,
    NodeAddress,
    NodeCondition,
    NodeDaemonEndpoints,
    NodeSpec,
    NodeStatus,
    NodeSystemInfo,
)
from kubelet_lite.api.meta_v1 import ObjectMeta, OwnerReference
from kubelet_lite.api.version import GIT_VERSION
from kubelet_lite.runtimes.base import Image

LEASE_NAMESPACE: Final = "kube-node-lease"
LEASE_SECONDS: Final = 40
RENEW_SECONDS: Final = 10.0
STATUS_SECONDS: Final = 300.0
"""nodeStatusReportFrequency: a status that did not change is written this often."""
MAX_PODS: Final = 110
MAX_IMAGES: Final = 50
_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """What the node stands on."""

    capacity: Mapping[str, str]
    architecture: str
    kernel: str = ""
    os_image: str = ""
    machine_id: str = ""
    boot_id: str = ""


FAKE_MACHINE: Final = Machine(
    capacity={"cpu": "32", "memory": "256Gi", "ephemeral-storage": "1Ti", "hugepages-1Gi": "0", "hugepages-2Mi": "0", "pods": str(MAX_PODS)},
    architecture="amd64",
)


def this_machine() -> Machine:
    """Cores, memory, disk and names of the machine that this runs on."""
    pages, page = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    disk = os.statvfs("/")
    return Machine(
        capacity={
            "cpu": str(os.cpu_count() or 1), "memory": f"{pages * page // 1024}Ki", "ephemeral-storage": f"{disk.f_blocks * disk.f_frsize // 1024}Ki",
            "hugepages-1Gi": "0", "hugepages-2Mi": "0", "pods": str(MAX_PODS),
        },
        architecture=_ARCHITECTURES.get(platform.machine(), platform.machine()), kernel=platform.release(), os_image=_os_name(),
        machine_id=_first_line("/etc/machine-id"), boot_id=_first_line("/proc/sys/kernel/random/boot_id"),
    )


def _os_name() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    except OSError:
        return platform.system()


def _first_line(path: str) -> str:
    try:
        with open(path) as file:
            return file.readline().strip()
    except OSError:
        return ""


def new_node(name: str, address: str, machine: Machine, runtime: str, labels: Mapping[str, str], now: float) -> Node:
    """The node as it registers itself."""
    own = {
        "beta.kubernetes.io/arch": machine.architecture, "beta.kubernetes.io/os": "linux", "kubernetes.io/arch": machine.architecture,
        "kubernetes.io/hostname": name, "kubernetes.io/os": "linux",
    }
    metadata = ObjectMeta(name=name, labels={**own, **labels}, annotations={"volumes.kubernetes.io/controller-managed-attach-detach": "true"})
    return Node(metadata=metadata, spec=NodeSpec(), status=node_status(name, address, machine, runtime, (), NodeStatus(), now))


def node_status(
    name: str, address: str, machine: Machine, runtime: str, images: Sequence[Image], known: NodeStatus, now: float, *, port: int = 0,
) -> NodeStatus:
    """`known`: the status as it stands, whose transition times are kept, and what others say in it."""
    moment = timestamps.format_time(now)
    before = {c.type: c for c in known.conditions}
    conditions = tuple(
        NodeCondition(
            type=type, status=status, reason=reason, message=message, lastHeartbeatTime=moment,
            lastTransitionTime=before[type].lastTransitionTime if type in before and before[type].status == status else moment,
        )
        for type, status, reason, message in (
            ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
            ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
            ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
            ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
        )
    )
    return replace(
        known, capacity=machine.capacity, allocatable=machine.capacity, conditions=conditions,
        addresses=(NodeAddress(type="InternalIP", address=address), NodeAddress(type="Hostname", address=name)),
        daemonEndpoints=NodeDaemonEndpoints(kubeletEndpoint=DaemonEndpoint(Port=port)),
        nodeInfo=NodeSystemInfo(
            machineID=machine.machine_id, systemUUID=machine.machine_id, bootID=machine.boot_id, kernelVersion=machine.kernel,
            osImage=machine.os_image, containerRuntimeVersion=runtime, kubeletVersion=GIT_VERSION, operatingSystem="linux",
            architecture=machine.architecture,
        ),
        images=tuple(ContainerImage(names=image.names, sizeBytes=image.size_bytes) for image in images[:MAX_IMAGES]),
    )


def new_lease(node: Node, now: float) -> Lease:
    owner = OwnerReference(apiVersion="v1", kind="Node", name=node.metadata.name, uid=node.metadata.uid)
    return Lease(
        metadata=ObjectMeta(name=node.metadata.name, namespace=LEASE_NAMESPACE, ownerReferences=(owner,)),
        spec=LeaseSpec(holderIdentity=node.metadata.name, leaseDurationSeconds=LEASE_SECONDS, renewTime=timestamps.format_micro_time(now)),
    )


def renewed(lease: Lease, now: float) -> Lease:
    """The same lease, held by its node from now on."""
    spec = replace(
        lease.spec, holderIdentity=lease.metadata.name, leaseDurationSeconds=LEASE_SECONDS, renewTime=timestamps.format_micro_time(now),
    )
    return replace(lease, spec=spec)
