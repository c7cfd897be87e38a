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
from anyio.abc import TaskGroup

from kubelet_lite.actors import logs
from kubelet_lite.actors.actor import Actor
from kubelet_lite.actors.environment import Environment
from kubelet_lite.api.core_v1 import Binding, Node, ObjectReference, PersistentVolumeClaim, Pod
from kubelet_lite.api.errors import ApiError, Conflict, Gone, NotFound
from kubelet_lite.api.meta_v1 import ObjectMeta
from kubelet_lite.api.requests import ListOptions, WatchEvent
from kubelet_lite.client.base import Client
from kubelet_lite.client.events import EventRecorder
from kubelet_lite.scheduler import hints
from kubelet_lite.scheduler.decision import Decisions, Placement, Unschedulable
from kubelet_lite.scheduler.failures import KEEP, Failures
from kubelet_lite.scheduler.informed import Informed
from kubelet_lite.scheduler.node_table import NodeTable
from kubelet_lite.scheduler.plugins import default_profile
from kubelet_lite.scheduler.plugins.volume_binding import NOTHING_TO_BIND, Choice, VolumeBinding
from kubelet_lite.scheduler.pod_info import PodInfo, pod_info
from kubelet_lite.scheduler.preemption import Attempt
from kubelet_lite.scheduler.queue import SchedulingQueue, Waiting
from kubelet_lite.scheduler.volume_binder import NotBoundError, VolumeBinder

BATCH: Final = 100
"""Decisions that are written together."""
NODES_BETWEEN_AWAITS: Final = 100_000
"""Nodes looked at, pod for pod, before others may run: about 10 ms."""
FINISHED: Final = ("Succeeded", "Failed")
_log = logs.get_logger()


class Scheduler(Actor):
    """One scheduler, by name; pods choose theirs by spec.schedulerName."""

    def __init__(self, client: Client, environment: Environment, *, name: str = "default-scheduler") -> None:
        super().__init__(name)
        self._client = client
        self._environment = environment
        self._recorder = EventRecorder(client, environment, name, modern=True)
        self._failures = Failures(client, environment, self._recorder)
        self._bound = 0
        self._attempts = 0
        self.ready = anyio.Event()
        self._start_anew()

    def _start_anew(self) -> None:
        """Forgets all: what a run knows comes from its own list and watch."""
        self._nodes = NodeTable()
        self._queue = SchedulingQueue()
        self._assumed: dict[tuple[str, str], str] = {}
        self._changed = anyio.Event()

    def _look_around(self, tasks: TaskGroup) -> None:
        """Makes what decides: it follows other kinds of objects in tasks of this run."""
        self._tasks = tasks
        self._known = Informed(self._client, self._environment, tasks, self._object_changed)
        self._decisions = Decisions(self._nodes, default_profile(self._known), self._known)
        self._volumes = VolumeBinding(self._known)
        self._binder = VolumeBinder(self._client, self._environment, self._known)

    def statistics(self) -> Mapping[str, float]:
        active, backing_off, unschedulable = self._queue.sizes
        return {
            "nodes": len(self._nodes), "active": active, "backing_off": backing_off, "unschedulable": unschedulable,
            "attempts": self._attempts, "bound": self._bound,
        }

    async def run(self) -> None:
        self._start_anew()
        async with anyio.create_task_group() as tasks:
            self._look_around(tasks)
            nodes = await self._client.list(Node)
            for node in nodes.items:
                self._nodes.set_node(node)
            pods = await self._client.list(Pod)
            for pod in pods.items:
                self._pod_changed(pod)
            tasks.start_soon(self._follow, Node, nodes.resource_version, self._node_event)
            tasks.start_soon(self._follow, Pod, pods.resource_version, self._pod_event)
            self._recorder.write_in(tasks)
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
            self._queue.cluster_changed(self._environment.monotonic(), hints.NODE_GONE)
            return
        before = self._nodes.node(node.metadata.name)
        self._nodes.set_node(node)
        if helps := hints.node_changed(before, node):
            self._queue.cluster_changed(self._environment.monotonic(), helps)

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
            self._pod_has_node(key, pod)
            return
        if key in self._assumed or pod.spec.schedulerName != self.name:
            return
        if pod.metadata.deletionTimestamp is not None or pod.spec.schedulingGates:
            self._queue.remove(key)
            self._decisions.nominations.remove(key)
            return
        known = self._queue.get(key)
        if known is not None and known.info.pod.spec == pod.spec and known.info.pod.metadata.labels == pod.metadata.labels:
            info = msgspec.structs.replace(known.info, pod=pod)
            self._queue.update(info)
        else:
            info = pod_info(pod)
            self._queue.add(info, self._environment.monotonic())
        if pod.status.nominatedNodeName:
            self._decisions.nominations.add(info, pod.status.nominatedNodeName)
        elif known is not None and known.info.pod.status.nominatedNodeName:
            self._decisions.nominations.remove(key)

    def _pod_has_node(self, key: tuple[str, str], pod: Pod) -> None:
        was_assumed = self._assumed.pop(key, None) is not None
        self._queue.remove(key)
        self._decisions.nominations.remove(key)
        placed = self._nodes.placed(key)
        if placed is not None and self._nodes.name(placed.row) == pod.spec.nodeName and _counts_the_same(placed.info.pod, pod):
            self._nodes.refresh(msgspec.structs.replace(placed.info, pod=pod))
            if not was_assumed:
                return
        else:
            self._nodes.place(pod_info(pod), pod.spec.nodeName)
        self._queue.cluster_changed(self._environment.monotonic(), hints.POD_PLACED, lambda waiting: hints.means(waiting, pod))

    def _object_changed(self, kind: type[Any]) -> None:
        if kind is PersistentVolumeClaim:
            self._binder.claims_changed()
        helps = hints.OBJECT_CHANGED.get(kind)
        if helps is not None and self._queue.cluster_changed(self._environment.monotonic(), helps):
            self._changed.set()

    def _pod_gone(self, pod: Pod) -> None:
        key = pod.metadata.namespace, pod.metadata.name
        self._queue.remove(key)
        self._assumed.pop(key, None)
        self._decisions.nominations.remove(key)
        if self._nodes.remove(key):
            self._queue.cluster_changed(self._environment.monotonic(), hints.POD_GONE)

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
        lacking: Sequence[type[Any]] = ()
        tried = looked_at = 0
        while tried < BATCH and not lacking:
            waiting = self._queue.pop(self._environment.monotonic())
            if waiting is None:
                break
            needs = self._decisions.needs(waiting.info)
            if needs and self._known.lacks(needs):
                self._queue.put_back(waiting)
                lacking = needs
                continue
            tried += 1
            outcome = self._decisions.decide(waiting.info, self._environment.random)
            if isinstance(outcome, Placement):
                if self._assume(waiting, outcome):
                    placed.append((waiting, outcome))
            else:
                self._queue.failed(waiting, self._environment.monotonic(), outcome.plugins)
                self._note_promise(waiting.info, outcome.attempt)
                refused.append((waiting, outcome))
            looked_at += len(self._nodes)
            if looked_at >= NODES_BETWEEN_AWAITS:
                looked_at = 0
                await anyio.lowlevel.checkpoint()
        self._attempts += tried
        if placed:
            await self._bind(placed)
        for waiting, unschedulable in refused:
            await self._refuse(waiting, unschedulable)
        if lacking:
            await self._known.learn(lacking)
        return bool(tried or lacking)

    def _assume(self, waiting: Waiting, placement: Placement) -> bool:
        """Lets the decision count; whether the pod can be bound at once: volumes that wait for its node are bound before."""
        info, node_name = waiting.info, placement.node_name
        self._nodes.place(info, node_name)
        self._assumed[info.key] = node_name
        self._decisions.nominations.remove(info.key)
        choice = self._volumes.choose(info, self._nodes, node_name) if info.volumes else NOTHING_TO_BIND
        if choice == NOTHING_TO_BIND:
            return True
        self._tasks.start_soon(self._bind_with_volumes, waiting, placement, choice, self._binder.assume(choice, node_name))
        return False

    async def _bind_with_volumes(self, waiting: Waiting, placement: Placement, choice: Choice, assumed: Sequence[Any]) -> None:
        try:
            await self._binder.bind(choice, assumed)
        except NotBoundError as error:
            self._binder.revert(assumed)
            self._undo(waiting, error)
            await self._failures.report(waiting.info.pod, f'running PreBind plugin "VolumeBinding": {error}', reason="SchedulerError")
            self._changed.set()
            return
        await self._bind([(waiting, placement)])

    def _note_promise(self, info: PodInfo, attempt: Attempt) -> None:
        """A promise counts at once: the next pod leaves room."""
        if attempt.nomination is not None:
            self._decisions.nominations.add(info, attempt.nomination.node_name)
        elif attempt.hopeless:
            self._decisions.nominations.remove(info.key)

    async def _refuse(self, waiting: Waiting, outcome: Unschedulable) -> None:
        """Says why the pod has no node, and makes room for it where that was found to help."""
        info, nomination = waiting.info, outcome.attempt.nomination
        if nomination is None:
            await self._failures.report(info.pod, outcome.message, promised="" if outcome.attempt.hopeless else KEEP)
            return
        await self._failures.report(info.pod, outcome.message, promised=nomination.node_name)
        nominations = self._decisions.nominations
        for other in nominations.below(info, nomination.node_name):
            nominations.remove(other.key)
            await self._failures.void_promise(other.pod)
            self._queue.wake(other.key)
        if nominations.node_of(info.key) == nomination.node_name and not await self._failures.displace(info.pod, nomination):
            self._queue.wake(info.key)

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
        self._queue.cluster_changed(self._environment.monotonic(), hints.POD_GONE)
        _log.info("binding_failed", object="/".join(key), error=str(error))
        if not isinstance(error, (NotFound, Conflict)):
            self._queue.retry(waiting, self._environment.monotonic())


def _counts_the_same(old: Pod, new: Pod) -> bool:
    """Most updates of a pod are its status: on its node it counts for as much as before."""
    a, b = old.spec, new.spec
    return (
        old.metadata.labels == new.metadata.labels and (old.metadata.deletionTimestamp is None) == (new.metadata.deletionTimestamp is None)
        and a.containers == b.containers and a.initContainers == b.initContainers and a.overhead == b.overhead and a.resources == b.resources
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
