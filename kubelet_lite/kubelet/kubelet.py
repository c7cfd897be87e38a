"""A node's agent: registers the node, keeps its lease, and makes the pods bound to it true on a runtime.

One loop for all pods: events of the API, of the runtime and of probes mark a pod, and each marked pod gets a pass
(`pod_worker.PodWorker`): its status is written, then what `next_actions` says is carried out. One heap holds every time at which
a pod wants to be looked at again, so a node full of fake pods costs neither a task nor a timer a pod. Crash-only: all is
rebuilt from the API and the runtime. https://kubernetes.io/docs/concepts/architecture/#kubelet
"""
from __future__ import annotations

import heapq
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import anyio
from anyio.abc import TaskGroup

from kubelet_lite.actors import logs
from kubelet_lite.actors.actor import Actor
from kubelet_lite.actors.alarm import changed_within
from kubelet_lite.actors.environment import Environment
from kubelet_lite.api import identity
from kubelet_lite.api.coordination_v1 import Lease
from kubelet_lite.api.core_v1 import Node, Pod
from kubelet_lite.api.errors import AlreadyExists, ApiError, BadRequest, Conflict, Gone, NotFound, ServiceUnavailable
from kubelet_lite.api.requests import STRATEGIC_MERGE_PATCH, ListOptions, WatchEvent
from kubelet_lite.client.base import Client
from kubelet_lite.client.events import EventRecorder
from kubelet_lite.kubelet import node_status
from kubelet_lite.kubelet.log_query import query_log
from kubelet_lite.kubelet.node_status import FAKE_MACHINE, Machine
from kubelet_lite.kubelet.pod_worker import PodWorker
from kubelet_lite.kubelet.status_patch import difference
from kubelet_lite.runtimes.base import Runtime, RuntimeFailure
from kubelet_lite.wire.node_connection import LogQuery
from kubelet_lite.wire.usage import NodeUsage

RETRY_SECONDS: Final = 1.0
"""Between attempts to reach the API server."""
PASSES_AT_ONCE: Final = 50
"""Passes over immediate pods between two turns of the event loop: some milliseconds."""
_log = logs.get_logger()


class Kubelet(Actor):
    """`folder`: where volumes and logs of pods lie. `client` is used under the node's own identity."""

    def __init__(
        self, client: Client, environment: Environment, runtime: Runtime, *, node_name: str, node_address: str, folder: Path,
        machine: Machine = FAKE_MACHINE, labels: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"kubelet-{node_name}")
        self.node_name = node_name
        self.node_address = node_address
        self.client = client.acting_as(identity.node(node_name))
        self.environment = environment
        self.runtime = runtime
        self.folder = folder
        self.recorder = EventRecorder(self.client, environment, "kubelet", host=node_name)
        self.ready = anyio.Event()
        self.machine = machine
        """What it says of its machine when it registers."""
        self._labels = dict(labels or {})
        self.node = Node()
        self._lease: Lease | None = None
        """As it was last seen."""
        self._workers: dict[str, PodWorker] = {}
        self._marked: dict[str, None] = {}
        self._due: list[tuple[float, str]] = []
        self._changed = anyio.Event()
        self._tasks: TaskGroup
        self._passes = 0
        self._subscribed = False
        self._at_work = False
        """Whether it can be asked for anything."""

    def statistics(self) -> Mapping[str, float]:
        return {"pods": len(self._workers), "passes": self._passes, "marked": len(self._marked)}

    # ---- the actor

    async def run(self) -> None:
        self._workers.clear()
        self._marked.clear()
        self._due.clear()
        await self.runtime.start()
        if not self._subscribed:
            self.runtime.subscribe(self.mark)
            self._subscribed = True
        async with anyio.create_task_group() as self._tasks:
            self.recorder.write_in(self._tasks)
            await self._register()
            pods = await self._list()
            for pod in pods.items:
                self._pod_changed(pod)
            await self._end_strangers()
            self._tasks.start_soon(self._follow, pods.resource_version)
            self._tasks.start_soon(self._heartbeat)
            self.ready.set()
            self._at_work = True
            try:
                await self._work()
            finally:
                self._at_work = False

    def mark(self, uid: str) -> None:
        """Asks for a pass over a pod."""
        if uid in self._workers:
            self._marked[uid] = None
            self._changed.set()

    def unmark(self, uid: str) -> None:
        """A pass begins: it will see whatever marked the pod so far."""
        self._marked.pop(uid, None)

    def wake_at(self, uid: str, time: float) -> None:
        """Asks for a pass over a pod at a time (Unix seconds)."""
        heapq.heappush(self._due, (time, uid))
        self._changed.set()

    def spawn(self, function: Any, *arguments: Any) -> None:
        """Runs something as a child task of this actor."""
        self._tasks.start_soon(function, *arguments)

    async def _work(self) -> None:
        """Never ends."""
        immediate = 0
        while True:
            now = self.environment.now()
            self.runtime.advance(now)
            while self._due and self._due[0][0] <= now:
                self.mark(heapq.heappop(self._due)[1])
            if not self._marked:
                self._changed = anyio.Event()
                times = [time for time in (self._due[0][0] if self._due else None, self.runtime.next_change()) if time is not None]
                await changed_within(self._changed, min(times) - now if times else None)
                continue
            uid = next(iter(self._marked))
            del self._marked[uid]
            worker = self._workers.get(uid)
            if worker is None:
                continue
            self._passes += 1
            if not self.runtime.immediate:
                worker.request_pass()
                continue
            await worker.pass_over()
            immediate += 1
            if immediate % PASSES_AT_ONCE == 0:
                await self.environment.sleep(0)

    # ---- pods

    async def _list(self) -> Any:
        while True:
            try:
                return await self.client.list(Pod, options=ListOptions(field_selector=f"spec.nodeName={self.node_name}"))
            except ApiError as error:
                _log.warning("pods_not_listed", node=self.node_name, error=error.message)
                await self.environment.sleep(RETRY_SECONDS)

    async def _follow(self, resource_version: str) -> None:
        """Watches the node's pods; after a gap it lists again and takes the difference."""
        while True:
            options = ListOptions(
                field_selector=f"spec.nodeName={self.node_name}", resource_version=resource_version, allow_watch_bookmarks=True,
            )
            try:
                async with self.client.watch(Pod, options=options) as watch:
                    async for batch in watch:
                        for event in batch:
                            resource_version = event.object.metadata.resourceVersion
                            self._pod_event(event)
            except Gone:
                pods = await self._list()
                resource_version = pods.resource_version
                present = {pod.metadata.uid for pod in pods.items}
                for pod in pods.items:
                    self._pod_changed(pod)
                for uid in [uid for uid in self._workers if uid not in present]:
                    self._pod_gone(uid)
            except ApiError as error:
                _log.warning("watch_failed", node=self.node_name, error=error.message)
                await self.environment.sleep(RETRY_SECONDS)

    def _pod_event(self, event: WatchEvent) -> None:
        if event.type == "DELETED":
            self._pod_gone(event.object.metadata.uid)
        elif event.type != "BOOKMARK":
            self._pod_changed(event.object)

    def _pod_changed(self, pod: Pod) -> None:
        uid = pod.metadata.uid
        worker = self._workers.get(uid)
        if worker is None:
            worker = self._workers[uid] = PodWorker(self, pod)
        else:
            if int(pod.metadata.resourceVersion) <= int(worker.pod.metadata.resourceVersion):
                return  # its own write, or older
            worker.pod = pod
        self.mark(uid)

    def _pod_gone(self, uid: str) -> None:
        worker = self._workers.get(uid)
        if worker is not None:
            worker.gone = True
            self.mark(uid)

    def forget(self, uid: str) -> None:
        """A pod of which nothing is left, neither here nor in the API."""
        self._workers.pop(uid, None)

    def other_pods(self, uid: str) -> Sequence[Pod]:
        """The pods that the node has taken beside this one and that are not over."""
        return [w.pod for other, w in self._workers.items() if other != uid and w.counts]

    async def _end_strangers(self) -> None:
        """Takes down what runs for pods that are bound here no more."""
        for state in await self.runtime.pods():
            if state.uid not in self._workers:
                for sandbox in state.sandboxes:
                    await self.runtime.remove_sandbox(sandbox.id)

    # ---- the node

    async def _register(self) -> None:
        while True:
            now = self.environment.now()
            node = node_status.new_node(
                self.node_name, self.node_address, self.machine, f"{self.runtime.name}://{self.runtime.version}", self._labels, now,
            )
            try:
                try:
                    self.node = await self.client.create(node)
                except AlreadyExists:
                    self.node = await self.client.get(Node, self.node_name)
                before, after = self.node.status, node.status
                known = (before.allocatable, before.addresses, before.nodeInfo, _ready(self.node))
                if known != (after.allocatable, after.addresses, after.nodeInfo, "True"):
                    await self._write_status(self.node)
                    if before.nodeInfo.bootID not in ("", self.machine.boot_id):
                        self.recorder.record(
                            self.node, "Warning", "Rebooted", f"Node {self.node_name} has been rebooted, boot id: {self.machine.boot_id}",
                        )
                await self._renew_lease()
                return
            except ApiError as error:
                _log.warning("node_not_registered", node=self.node_name, error=error.message)
                await self.environment.sleep(RETRY_SECONDS)

    async def _heartbeat(self) -> None:
        """Renews the lease, and writes the node's status when it changed or has not been written for long."""
        written_at = self.environment.now()
        images = await self.runtime.images()
        while True:
            jitter = 1 + 0.04 * self.environment.random.random()
            await self.environment.sleep(node_status.RENEW_SECONDS * jitter)
            try:
                await self._renew_lease()
                present = await self.runtime.images()
                now = self.environment.now()
                node = await self.client.get(Node, self.node_name)
                if _ready(node) != "True" or present != images or now - written_at >= node_status.STATUS_SECONDS:
                    await self._write_status(node)
                    written_at, images = now, present
            except NotFound:
                await self._register()
            except ApiError as error:
                _log.warning("heartbeat_failed", node=self.node_name, error=error.message)

    async def _renew_lease(self) -> None:
        """From the lease as it was last seen, as the real kubelet does: one write, no read, unless somebody else wrote it or took it away."""
        now = self.environment.now()
        lease = self._lease
        if lease is not None:
            try:
                self._lease = await self.client.update(node_status.renewed(lease, now))
                return
            except (Conflict, NotFound):
                self._lease = None
        try:
            self._lease = await self.client.create(node_status.new_lease(self.node, now))
        except AlreadyExists:
            lease = await self.client.get(Lease, self.node_name, namespace=node_status.LEASE_NAMESPACE)
            self._lease = await self.client.update(node_status.renewed(lease, now))

    async def _write_status(self, node: Node) -> None:
        status = node_status.node_status(
            self.node_name, self.node_address, self.machine, f"{self.runtime.name}://{self.runtime.version}", await self.runtime.images(),
            node.status, self.environment.now(),
        )
        self.node = await self.client.patch(
            Node, self.node_name, {"status": difference(node.status, status)}, content_type=STRATEGIC_MERGE_PATCH, subresource="status",
        )

    # ---- NodeConnection

    async def logs(self, namespace: str, pod: str, uid: str, query: LogQuery) -> AsyncIterator[bytes]:
        """Raises BadRequest for a container that has not started, as the real kubelet does."""
        state = await self.runtime.state(uid)
        instances = [c for c in state.containers if c.name == query.container and c.state != "created"]
        if query.previous:
            if len(instances) < 2:
                raise BadRequest(f'previous terminated container "{query.container}" in pod "{pod}" not found')
            instances = instances[1:]
        if not instances:
            raise BadRequest(f'container "{query.container}" in pod "{pod}" is waiting to start: {self._waiting_reason(uid, query.container)}')
        follow = query.follow and not query.previous

        async def entries() -> AsyncIterator[bytes]:
            async for chunk in self.runtime.logs(instances[0].id, follow=follow):
                yield chunk

        async for data in query_log(entries(), query):
            yield data

    async def usage(self) -> NodeUsage:
        """Raises ServiceUnavailable while there is nobody to tell, or the runtime cannot."""
        if not self._at_work:
            raise ServiceUnavailable(f"the kubelet of node {self.node_name} does not run")
        try:
            return await self.runtime.usage()
        except (RuntimeFailure, OSError) as error:
            raise ServiceUnavailable(f"node {self.node_name}: {error}") from error

    def _waiting_reason(self, uid: str, container: str) -> str:
        worker = self._workers.get(uid)
        statuses = (*worker.pod.status.initContainerStatuses, *worker.pod.status.containerStatuses) if worker is not None else ()
        waiting = next((s.state.waiting for s in statuses if s.name == container), None)
        reason = waiting.reason if waiting is not None else "ContainerCreating"
        return IMAGE_TROUBLES.get(reason, reason)


def _ready(node: Node) -> str:
    return next((c.status for c in node.status.conditions if c.type == "Ready"), "")


IMAGE_TROUBLES: Final = {"ErrImagePull": "image can't be pulled", "ImagePullBackOff": "trying and failing to pull image"}
"""What `kubectl logs` says of a container in place of its reason for waiting."""
