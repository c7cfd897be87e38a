"""Plays the operations of a workload on a cluster, or on what takes its place."""
from __future__ import annotations

import fnmatch
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, Protocol

import anyio
from anyio.abc import TaskGroup
from msgspec.structs import replace

from benchmarks.scheduling.cases import NODE, Operation, Workload, template
from kubelet_lite.api.core_v1 import (
    Namespace,
    Node,
    PersistentVolumeClaimVolumeSource,
    Pod,
    Volume,
)
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.resource_v1 import (
    Device,
    DeviceClass,
    ResourceClaim,
    ResourcePool,
    ResourceSlice,
    ResourceSliceSpec,
)
from kubelet_lite.api.storage_v1 import CSINode, CSINodeDriver, CSINodeSpec, VolumeNodeResources
from kubelet_lite.client.events import reference_to
from kubelet_lite.scheduler.devices.allocated import AllocatedDevices
from kubelet_lite.scheduler.devices.allocation import Allocator
from kubelet_lite.scheduler.devices.inventory import Inventory

HOSTNAME: Final = "kubernetes.io/hostname"


class World(Protocol):
    """Where objects are created. `pods` creates pods and, if it shall, waits until all have a node."""

    async def add(self, obj: Any) -> Any: ...

    async def remove(self, obj: Any) -> None: ...

    async def write_status(self, obj: Any) -> None: ...

    async def look_after_claims(self) -> None:
        """From now on ResourceClaims are made from templates, and released."""
        ...

    async def pods(self, pods: Iterator[Pod], *, measured: bool, wait: bool) -> None: ...

    async def steady_pods(self, pods: Iterator[Pod], *, at_once: int, seconds: float) -> None:
        """Measured: so many pods wait for a node at a time; one that has its node goes, and the next comes."""
        ...

    async def attempted(self) -> None:
        """Waits until every pod was tried, or is kept out of the queue."""
        ...

    def in_namespace(self, namespace: str) -> list[Pod]: ...


class Interpreter:
    """Plays one workload."""

    def __init__(self, workload: Workload, world: World, tasks: TaskGroup) -> None:
        self._workload, self._world, self._tasks = workload, world, tasks
        self._serial = itertools.count()
        self._namespaces: set[str] = set()
        self._made: list[Any] = []
        """Nodes, and what `createAny` and `createResourceDriver` made."""

    async def play(self) -> None:
        for index, operation in enumerate(self._workload.operations):
            await OPERATIONS[operation["opcode"]](self, index, operation)

    # Operations

    async def create_nodes(self, index: int, operation: Operation) -> None:
        whole: Node = template(operation.get("nodeTemplatePath", NODE))
        labelling, allocatable = operation.get("labelNodePrepareStrategy"), operation.get("nodeAllocatableStrategy", {})
        for number in range(self._workload.number(operation, "count")):
            name = whole.metadata.name or f"{whole.metadata.generateName}{next(self._serial)}"
            labels = {**whole.metadata.labels, HOSTNAME: name}
            if labelling:
                labels[labelling["labelKey"]] = labelling["labelValues"][number % len(labelling["labelValues"])]
            status = replace(whole.status, allocatable={**whole.status.capacity, **allocatable.get("nodeAllocatable", {})})
            self._made.append(await self._world.add(replace(whole, metadata=ObjectMeta(name=name, labels=labels), status=status)))
            if allocatable:
                await self._world.add(_csi_node(name, allocatable))

    async def create_namespaces(self, index: int, operation: Operation) -> None:
        path = operation.get("namespaceTemplatePath")
        labels = template(path).metadata.labels if path else {}
        for number in range(self._workload.number(operation, "count")):
            await self._namespace(f"{operation['prefix']}-{number}", labels)

    async def create_pods(self, index: int, operation: Operation) -> None:
        namespace = operation.get("namespace", f"namespace-{index}")
        await self._namespace(namespace)
        whole: Pod = template(operation.get("podTemplatePath", self._workload.pod_template))
        count = self._workload.number(operation, "count")
        if operation.get("steadyState"):
            seconds = float(self._workload.parameters[operation["durationParam"].removeprefix("$")].removesuffix("s"))
            await self._world.steady_pods((self._copy(whole, namespace) for _ in itertools.count()), at_once=count, seconds=seconds)
            return
        if "persistentVolumeTemplatePath" in operation:
            pods = iter([await self._with_volume(whole, namespace, operation) for _ in range(count)])
        else:
            pods = (self._copy(whole, namespace) for _ in range(count))
        wait = not operation.get("skipWaitToCompletion", False)
        await self._world.pods(pods, measured=operation.get("collectMetrics", False), wait=wait)

    async def create_pod_sets(self, index: int, operation: Operation) -> None:
        for number in range(self._workload.number(operation, "count")):
            await self.create_pods(index, {**operation["createPodsOp"], "namespace": f"{operation['namespacePrefix']}-{number}"})

    async def churn(self, index: int, operation: Operation) -> None:
        """From now to the end, objects come (and go, in mode `recreate`)."""
        namespace = f"namespace-{index}"
        await self._namespace(namespace)
        wholes = [template(path) for path in operation["templatePaths"]]

        async def go_on() -> None:
            made: list[Any] = []
            while True:
                if operation["mode"] == "recreate":
                    for obj in made:
                        await self._world.remove(obj)
                made = [await self._world.add(self._copy(whole, namespace)) for _ in range(operation.get("number", 1)) for whole in wholes]
                await anyio.sleep(operation["intervalMilliseconds"] / 1000)

        self._tasks.start_soon(go_on)

    async def delete_pods(self, index: int, operation: Operation) -> None:
        pods = self._world.in_namespace(operation["namespace"])

        async def go_on() -> None:
            for pod in pods:
                await self._world.remove(pod)
                await anyio.sleep(1 / operation["deletePodsPerSecond"])

        if operation.get("skipWaitToCompletion", False):
            self._tasks.start_soon(go_on)
        else:
            await go_on()

    async def barrier(self, index: int, operation: Operation) -> None:
        assert operation["stageRequirement"] == "Attempted", operation
        await self._world.attempted()

    async def create_any(self, index: int, operation: Operation) -> None:
        whole, namespace = template(operation["templatePath"]), operation.get("namespace", "")
        if namespace:
            await self._namespace(namespace)
        for number in range(self._workload.number(operation, "count") if "countParam" in operation else 1):
            name = whole.metadata.name.replace("TEMPLATE", str(number))
            self._made.append(await self._world.add(replace(whole, metadata=replace(whole.metadata, name=name, namespace=namespace))))

    async def create_resource_driver(self, index: int, operation: Operation) -> None:
        """A slice of devices for each node of these names."""
        await self._world.look_after_claims()
        driver, devices = operation["driverName"], self._workload.number(operation, "maxClaimsPerNode")
        for node in [obj.metadata.name for obj in self._made if isinstance(obj, Node) and fnmatch.fnmatch(obj.metadata.name, operation["nodes"])]:
            spec = ResourceSliceSpec(
                driver=driver, nodeName=node, pool=ResourcePool(name=node, generation=1, resourceSliceCount=1),
                devices=tuple(Device(name=f"instance-{number}") for number in range(devices)),
            )
            self._made.append(await self._world.add(ResourceSlice(metadata=ObjectMeta(name=f"{node}-{driver}"), spec=spec)))

    async def allocate_claims(self, index: int, operation: Operation) -> None:
        """Gives the claims of a namespace devices, on one node after the other."""
        classes = {obj.metadata.name: obj for obj in self._made if isinstance(obj, DeviceClass)}
        inventory, allocated = Inventory(obj for obj in self._made if isinstance(obj, ResourceSlice)), AllocatedDevices()
        nodes = itertools.cycle([obj for obj in self._made if isinstance(obj, Node)])
        for claim in [obj for obj in self._made if isinstance(obj, ResourceClaim) and obj.metadata.namespace == operation["namespace"]]:
            node = next(nodes)
            found = Allocator([claim], classes.get, allocated).allocate(inventory.reached_from(node), node.metadata.name, lambda: "")
            assert found is not None, f"{node.metadata.name} has no device left"
            claim = replace(claim, status=replace(claim.status, allocation=found[0]))
            allocated.know((claim.metadata.namespace, claim.metadata.name), claim)
            await self._world.write_status(claim)

    # Objects

    async def _namespace(self, name: str, labels: Mapping[str, str] | None = None) -> None:
        if name not in self._namespaces:
            self._namespaces.add(name)
            await self._world.add(Namespace(metadata=ObjectMeta(name=name, labels=dict(labels or {}))))

    def _copy(self, whole: Any, namespace: str) -> Any:
        meta = whole.metadata
        return replace(whole, metadata=ObjectMeta(
            name=f"{meta.generateName}{next(self._serial)}", namespace="" if isinstance(whole, Node) else namespace, labels=meta.labels,
        ))

    async def _with_volume(self, whole: Pod, namespace: str, operation: Operation) -> Pod:
        """The pod with a claim of its own, which is bound already."""
        pod = self._copy(whole, namespace)
        name = f"volume-{pod.metadata.name}"
        volume, claim = template(operation["persistentVolumeTemplatePath"]), template(operation["persistentVolumeClaimTemplatePath"])
        spec = volume.spec
        if spec.awsElasticBlockStore is not None:
            spec = replace(spec, awsElasticBlockStore=replace(spec.awsElasticBlockStore, volumeID=name))
        if spec.csi is not None:
            spec = replace(spec, csi=replace(spec.csi, volumeHandle=name))
        claim = await self._world.add(replace(
            claim, metadata=ObjectMeta(name=name, namespace=namespace, annotations=claim.metadata.annotations),
            spec=replace(claim.spec, volumeName=name, storageClassName=""), status=replace(claim.status, phase="Bound"),
        ))
        await self._world.add(replace(
            volume, metadata=ObjectMeta(name=name), spec=replace(spec, claimRef=reference_to(claim)), status=replace(volume.status, phase="Bound"),
        ))
        use = Volume(name="vol", persistentVolumeClaim=PersistentVolumeClaimVolumeSource(claimName=name))
        return replace(pod, spec=replace(pod.spec, volumes=(*pod.spec.volumes, use)))


Act = Callable[[Interpreter, int, Operation], Awaitable[None]]
OPERATIONS: Final[Mapping[str, Act]] = {
    "createNodes": Interpreter.create_nodes, "createNamespaces": Interpreter.create_namespaces, "createPods": Interpreter.create_pods,
    "createPodSets": Interpreter.create_pod_sets, "churn": Interpreter.churn, "deletePods": Interpreter.delete_pods, "barrier": Interpreter.barrier,
    "createAny": Interpreter.create_any, "createResourceDriver": Interpreter.create_resource_driver, "allocResourceClaims": Interpreter.allocate_claims,
}


@asynccontextmanager
async def playing(workload: Workload, world: World) -> AsyncIterator[None]:
    """Has played the workload; what goes on in the background ends with the block."""
    async with anyio.create_task_group() as tasks:
        await Interpreter(workload, world, tasks).play()
        yield
        tasks.cancel_scope.cancel()


def _csi_node(name: str, allocatable: Mapping[str, Any]) -> CSINode:
    drivers = tuple(
        CSINodeDriver(name=driver, nodeID=name, allocatable=VolumeNodeResources(count=limit["count"]))
        for driver, limit in allocatable.get("csiNodeAllocatable", {}).items()
    )
    migrated = allocatable.get("migratedPlugins")
    annotations = {"storage.alpha.kubernetes.io/migrated-plugins": ",".join(migrated)} if migrated else {}
    return CSINode(metadata=ObjectMeta(name=name, annotations=annotations), spec=CSINodeSpec(drivers=drivers))
