"""The scheduler's actor: watches nodes and pods, decides in memory, writes bindings in batches.

A decision counts at once (the pod is *assumed* on its node) and is undone when its binding fails. State is rebuilt from
list and watch at every start: a crash loses nothing and binds nothing twice, since the API server refuses a second binding.
https://kubernetes.io/docs/concepts/scheduling-eviction/kube-scheduler/
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import anyio
import anyio.lowlevel
import msgspec

from kubelet_lite.actors import logs
from kubelet_lite.actors.actor import Actor
from kubelet_lite.actors.environment import Environment
from kubelet_lite.api import timestamps
from kubelet_lite.api.core_v1 import Binding, Node, ObjectReference, Pod
from kubelet_lite.api.errors import ApiError, Conflict, Gone, NotFound
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.requests import STRATEGIC_MERGE_PATCH, ListOptions, WatchEvent
from kubelet_lite.client.base import Client
from kubelet_lite.client.events import EventRecorder
from kubelet_lite.scheduler.decision import Decisions, Placement, Unschedulable
from kubelet_lite.scheduler.node_table import NodeTable
from kubelet_lite.scheduler.plugins import default_profile
from kubelet_lite.scheduler.pod_info import PodInfo, pod_info
from kubelet_lite.scheduler.queue import SchedulingQueue, Waiting

BATCH: Final = 100
"""Decisions that are written together."""
NODES_BETWEEN_AWAITS: Final = 100_000
"""Nodes looked at, pod for pod, before others may run: about 10 ms."""
FINISHED: Final = ("Succeeded", "Failed")
NODE_CHANGE_HELPS: Final = frozenset({"NodeUnschedulable", "NodeName", "TaintToleration", "NodeAffinity", "NodePorts", "NodeResourcesFit"})
POD_GONE_HELPS: Final = frozenset({"NodePorts", "NodeResourcesFit"})
_log = logs.get_logger()


class Scheduler(Actor):
    """One scheduler, by name; pods choose theirs by spec.schedulerName."""

    def __init__(self, client: Client, environment: Environment, *, name: str = "default-scheduler") -> None:
        super().__init__(name)
        self._client = client
        self._environment = environment
        self._recorder = EventRecorder(client, environment, name, modern=True)
        self._bound = 0
        self._attempts = 0
        self.ready = anyio.Event()
        self._start_anew()

    def _start_anew(self) -> None:
        """Forgets all: what a run knows comes from its own list and watch."""
        self._nodes = NodeTable()
        self._decisions = Decisions(self._nodes, default_profile())
        self._queue = SchedulingQueue()
        self._assumed: dict[tuple[str, str], str] = {}
        self._changed = anyio.Event()

    def statistics(self) -> Mapping[str, float]:
        active, backing_off, unschedulable = self._queue.sizes
        return {
            "nodes": len(self._nodes), "active": active, "backing_off": backing_off, "unschedulable": unschedulable,
            "attempts": self._attempts, "bound": self._bound,
        }

    async def run(self) -> None:
        self._start_anew()
        async with anyio.create_task_group() as tasks:
            nodes = await self._client.list(Node)
            for node in nodes.items:
                self._nodes.set_node(node)
            pods = await self._client.list(Pod)
            for pod in pods.items:
                self._pod_changed(pod)
            tasks.start_soon(self._follow, Node, nodes.resource_version, self._node_event)
            tasks.start_soon(self._follow, Pod, pods.resource_version, self._pod_event)
            tasks.start_soon(self._recorder.run)
            self.ready.set()
            await self._schedule_for_ever()

    async def _follow(self, kind: type[Any], resource_version: str, handle: Any) -> None:
        """Watches one kind. A gap ends the actor: its supervisor starts it anew from a fresh list."""
        while True:
            options = ListOptions(resource_version=resource_version, allow_watch_bookmarks=True)
            try:
                async with self._client.watch(kind, options=options) as watch:
                    async for batch in watch:
                        for event in batch:
                            resource_version = event.object.metadata.resourceVersion
                            if event.type != "BOOKMARK":
                                handle(event)
                        self._changed.set()
            except Gone:
                _log.info("watch_expired", actor=self.name, kind=kind.__name__)
                raise
            except ApiError as error:
                _log.warning("watch_failed", actor=self.name, kind=kind.__name__, error=error.message)
                await self._environment.sleep(1.0)

    def _node_event(self, event: WatchEvent) -> None:
        node: Node = event.object
        if event.type == "DELETED":
            self._nodes.remove_node(node.metadata.name)
            return
        before = self._nodes.generation
        self._nodes.set_node(node)
        if self._nodes.generation != before:
            self._queue.cluster_changed(self._environment.monotonic(), NODE_CHANGE_HELPS)

    def _pod_event(self, event: WatchEvent) -> None:
        if event.type == "DELETED":
            self._pod_gone(event.object)
        else:
            self._pod_changed(event.object)

    def _pod_changed(self, pod: Pod) -> None:
        key = pod.metadata.namespace, pod.metadata.name
        if pod.status.phase in FINISHED:
            self._pod_gone(pod)
            return
        if pod.spec.nodeName:
            self._assumed.pop(key, None)
            self._queue.remove(key)
            placed = self._nodes.placed(key)
            if placed is None or self._nodes.name(placed.row) != pod.spec.nodeName or not _counts_the_same(placed.info.pod, pod):
                self._nodes.place(pod_info(pod), pod.spec.nodeName)
            return
        if key in self._assumed or pod.spec.schedulerName != self.name:
            return
        if pod.metadata.deletionTimestamp is not None or pod.spec.schedulingGates:
            self._queue.remove(key)
            return
        known = self._queue.get(key)
        if known is not None and known.info.pod.spec == pod.spec and known.info.pod.metadata.labels == pod.metadata.labels:
            self._queue.update(msgspec.structs.replace(known.info, pod=pod))
            return
        self._queue.add(pod_info(pod), self._environment.monotonic())

    def _pod_gone(self, pod: Pod) -> None:
        key = pod.metadata.namespace, pod.metadata.name
        self._queue.remove(key)
        self._assumed.pop(key, None)
        if self._nodes.remove(key):
            self._queue.cluster_changed(self._environment.monotonic(), POD_GONE_HELPS)

    async def _schedule_for_ever(self) -> None:
        while True:
            self._changed = anyio.Event()
            while await self._schedule_batch():
                pass
            wake_at = self._queue.wake_at()
            if wake_at is None:
                await self._changed.wait()
            else:
                with anyio.move_on_after(max(wake_at - self._environment.monotonic(), 0)):
                    await self._changed.wait()

    async def _schedule_batch(self) -> bool:
        """Decides for up to BATCH pods, then writes; whether there was any."""
        placed: list[tuple[Waiting, Placement]] = []
        refused: list[tuple[Waiting, Unschedulable]] = []
        looked_at = 0
        while len(placed) + len(refused) < BATCH:
            waiting = self._queue.pop(self._environment.monotonic())
            if waiting is None:
                break
            self._attempts += 1
            outcome = self._decisions.decide(waiting.info, self._environment.random)
            if isinstance(outcome, Placement):
                self._nodes.place(waiting.info, outcome.node_name)
                self._assumed[waiting.info.key] = outcome.node_name
                placed.append((waiting, outcome))
            else:
                self._queue.failed(waiting, self._environment.monotonic(), outcome.plugins)
                refused.append((waiting, outcome))
            looked_at += len(self._nodes)
            if looked_at >= NODES_BETWEEN_AWAITS:
                looked_at = 0
                await anyio.lowlevel.checkpoint()
        if placed:
            await self._bind(placed)
        for waiting, unschedulable in refused:
            await self._report(waiting.info, unschedulable.message)
        return bool(placed or refused)

    async def _bind(self, placed: Sequence[tuple[Waiting, Placement]]) -> None:
        answers = await self._client.bind([_binding(waiting.info, placement.node_name) for waiting, placement in placed])
        for (waiting, placement), error in zip(placed, answers, strict=True):
            pod = waiting.info.pod
            if error is None:
                self._bound += 1
                name = f"{pod.metadata.namespace}/{pod.metadata.name}"
                self._recorder.record(pod, "Normal", "Scheduled", f"Successfully assigned {name} to {placement.node_name}", action="Binding")
                continue
            self._undo(waiting, error)

    def _undo(self, waiting: Waiting, error: Exception) -> None:
        """Takes an assumption back. A pod that vanished or has a node by now is not tried again."""
        key = waiting.info.key
        if self._assumed.pop(key, None) is None:
            return
        self._nodes.remove(key)
        self._queue.cluster_changed(self._environment.monotonic(), POD_GONE_HELPS)
        _log.info("binding_failed", object="/".join(key), error=str(error))
        if not isinstance(error, (NotFound, Conflict)):
            self._queue.retry(waiting, self._environment.monotonic())

    async def _report(self, info: PodInfo, message: str) -> None:
        """Says on the pod, and by an event, why it has no node."""
        pod = info.pod
        self._recorder.record(pod, "Warning", "FailedScheduling", message, action="Scheduling")
        known = next((c for c in pod.status.conditions if c.type == "PodScheduled"), None)
        if known is not None and (known.status, known.reason, known.message) == ("False", "Unschedulable", message):
            return
        condition = {
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message,
            "observedGeneration": pod.metadata.generation,
            "lastTransitionTime": known.lastTransitionTime if known is not None and known.status == "False" else timestamps.format_time(self._environment.now()),
        }
        try:
            await self._client.patch(
                Pod, pod.metadata.name, {"status": {"conditions": [condition]}}, namespace=pod.metadata.namespace,
                subresource="status", content_type=STRATEGIC_MERGE_PATCH,
            )
        except ApiError as error:
            _log.info("status_not_written", object="/".join(info.key), error=error.message)


def _counts_the_same(old: Pod, new: Pod) -> bool:
    """Most updates of a pod are its status: on its node it counts for as much as before."""
    a, b = old.spec, new.spec
    return (
        a.containers == b.containers and a.initContainers == b.initContainers and a.overhead == b.overhead and a.resources == b.resources
        and _granted(old) == _granted(new)
    )


def _granted(pod: Pod) -> list[tuple[str, object, object]]:
    """The resources that containers were granted, where their resize makes them differ from the spec."""
    return [(s.name, s.resources, s.allocatedResources) for s in pod.status.containerStatuses if s.resources is not None]


def _binding(info: PodInfo, node_name: str) -> Binding:
    meta = info.pod.metadata
    return Binding(
        metadata=ObjectMeta(namespace=meta.namespace, name=meta.name, uid=meta.uid),
        target=ObjectReference(kind="Node", name=node_name),
    )
