"""The scheduler's actor: watches nodes and pods, decides in memory, writes bindings in batches.

A decision counts at once (the pod is *assumed* on its node) and is undone when its binding fails. State is rebuilt from
list and watch at every start: a crash loses nothing and binds nothing twice, since the API server refuses a second binding.
https://kubernetes.io/docs/concepts/scheduling-eviction/kube-scheduler/
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import anyio
import anyio.lowlevel
import msgspec
from anyio.abc import TaskGroup

from kubelet_lite.actors import logs
from kubelet_lite.actors.actor import Actor
from kubelet_lite.actors.alarm import changed_within
from kubelet_lite.actors.environment import Environment
from kubelet_lite.api.core_v1 import Node, Pod
from kubelet_lite.api.errors import ApiError, Gone
from kubelet_lite.api.requests import ListOptions, WatchEvent
from kubelet_lite.api.scheduling_rules import FINISHED
from kubelet_lite.client import cache
from kubelet_lite.client.base import Client, ObjectList
from kubelet_lite.client.events import EventRecorder
from kubelet_lite.scheduler import extenders, profiles
from kubelet_lite.scheduler.binding import Bindings
from kubelet_lite.scheduler.configuration import DEFAULT, SchedulerConfiguration, Source, load
from kubelet_lite.scheduler.decision import Decisions, Placement, Unschedulable
from kubelet_lite.scheduler.failures import KEEP, Failures
from kubelet_lite.scheduler.framework import Change, Handle, Helped, Plugin, PluginError
from kubelet_lite.scheduler.informed import Informed
from kubelet_lite.scheduler.node_table import NodeTable, same_for_scheduling
from kubelet_lite.scheduler.nominations import Nominations
from kubelet_lite.scheduler.pod_changes import asks_the_same, counts_the_same
from kubelet_lite.scheduler.pod_info import PodInfo, pod_info
from kubelet_lite.scheduler.queue import Refuser, SchedulingQueue, Waiting
from kubelet_lite.scheduler.waiting_pods import WaitingPods

if TYPE_CHECKING:
    from kubelet_lite.client.manifests import Source as Manifests
    from kubelet_lite.scheduler.planning import Plan
    from kubelet_lite.scheduler.snapshot import Source as Snapshot

BATCH: Final = 100
"""Decisions that are written together."""
NODES_BETWEEN_AWAITS: Final = 100_000
"""Nodes looked at, pod for pod, before others may run: about 10 ms."""
RETRY_SECONDS: Final = 1.0
"""Between tries when the API server cannot be reached."""
_log = logs.get_logger()
T = TypeVar("T")


class Scheduler(Actor):
    """Serves all profiles of a configuration; pods choose theirs by spec.schedulerName. `plugins`: classes beside the default ones.

    Raises ConfigurationError."""

    def __init__(
        self, client: Client, environment: Environment, configuration: SchedulerConfiguration = DEFAULT, plugins: Sequence[type[Plugin]] = (), *,
        name: str = "default-scheduler",
    ) -> None:
        super().__init__(name)
        if configuration is not DEFAULT or plugins:
            profiles.check(configuration, plugins)
        self._client = client
        self._configuration = configuration
        self._plugins = tuple(plugins)
        self._environment = environment
        self._bound = 0
        self._attempts = 0
        self.ready = anyio.Event()
        self._nodes = NodeTable()

    @staticmethod
    def simulate(
        source: Snapshot, pods: Manifests, *, configuration: Source = DEFAULT, plugins: Sequence[type[Plugin]] = (), seed: int = 0,
    ) -> Plan:
        """Where pods would go, without a cluster: `source` is a snapshot of one, as `kubectl get nodes,pods -A -o json` prints it, or
        objects; `pods` are pods or workloads. See planning.py and snapshot.py."""
        from kubelet_lite.scheduler import planning

        return planning.simulate(source, pods, configuration=load(configuration), plugins=plugins, seed=seed)

    def _start_anew(self, tasks: TaskGroup) -> None:
        """Forgets all: what a run knows comes from its own list and watch. Plug-ins are made anew too."""
        self._asked_about: Waiting | None = None
        self._changed = anyio.Event()
        self._known = Informed(self._client, self._environment, tasks, self._object_changed)
        self._nominations = Nominations()
        waiting = WaitingPods()
        handle = Handle(self._nodes, self._known, self._nominations, waiting, self._client, self._environment)
        made = profiles.build(self._configuration, handle, self._plugins)
        self._decisions = {profile.name: Decisions(self._nodes, profile, self._nominations) for profile in made}
        recorders = {profile.name: EventRecorder(self._client, self._environment, profile.name, modern=True) for profile in made}
        for recorder in recorders.values():
            recorder.write_in(tasks)
        self._failures = {name: Failures(self._client, self._environment, recorder) for name, recorder in recorders.items()}
        self._queue = SchedulingQueue(
            order=made[0].queue_sort[0].queue_key, door=self._door, hint=self._hint,
            first_backoff_seconds=self._configuration.podInitialBackoffSeconds, longest_backoff_seconds=self._configuration.podMaxBackoffSeconds,
        )
        self._bindings = Bindings(
            nodes=self._nodes, queue=self._queue, waiting=waiting, environment=self._environment, tasks=tasks, profiles={p.name: p for p in made},
            recorders=recorders, failures=self._failures, client=self._client, freed=self._freed, bound=self._count_bound,
            extenders=self._extenders,
        )

    def _door(self, info: PodInfo) -> Refuser | None:
        name = info.pod.spec.schedulerName
        try:
            found = self._decisions[name].profile.refused_at_the_door(info)
        except PluginError as error:
            _log.warning("plugin_failed", object="/".join(info.key), error=str(error))
            return name, error.plugin
        return None if found is None else (name, found[0])

    def _hint(self, refuser: Refuser, change: Change) -> Helped:
        try:
            return self._decisions[refuser[0]].profile.helped_by(refuser[1], change)
        except PluginError as error:
            _log.warning("plugin_failed", kind=change.kind.__name__, error=str(error))
            return True

    def _tell(self, kind: type[Any], old: Any, new: Any) -> int:
        """Wakes the pods that a change could help; how many."""
        return self._queue.changed(Change(kind, old, new), self._environment.monotonic()) if self._queue.listens else 0

    def _count_bound(self) -> None:
        self._bound += 1

    def _freed(self, info: PodInfo) -> None:
        """An assumption was taken back: its node is as it was, and others may have it. A promise of before stands again."""
        if info.pod.status.nominatedNodeName:
            self._nominations.add(info, info.pod.status.nominatedNodeName)
        self._tell(Pod, info.pod, None)
        self._changed.set()

    def statistics(self) -> Mapping[str, float]:
        numbers: dict[str, float] = {"nodes": len(self._nodes), "placed": self._nodes.placed_pods, "attempts": self._attempts, "bound": self._bound}
        if self.ready.is_set():
            numbers |= dict(zip(("active", "backing_off", "unschedulable", "gated"), self._queue.sizes, strict=True))
            numbers["assumed"] = self._bindings.assumed
        return numbers

    async def run(self) -> None:
        while True:
            try:
                await self._run_until_gap()
            except* Gone:
                _log.info("watch_expired", actor=self.name)
                await self._environment.sleep(RETRY_SECONDS)

    async def _run_until_gap(self) -> None:
        """What was missed in a gap of a watch is seen in a fresh list."""
        self._nodes = NodeTable()
        async with extenders.opened(self._configuration.extenders, self._nodes) as self._extenders, anyio.create_task_group() as tasks:
            self._start_anew(tasks)
            nodes = await self._list(Node)
            for node in nodes.items:
                self._nodes.set_node(node)
            pods = await self._list(Pod)
            for pod in pods.items:
                self._pod_changed(pod)
            tasks.start_soon(self._follow, Node, nodes.resource_version, self._node_event)
            tasks.start_soon(self._follow, Pod, pods.resource_version, self._pod_event)
            self.ready.set()
            await self._schedule_for_ever()

    async def _list(self, kind: type[T]) -> ObjectList[T]:
        while True:
            try:
                return await self._client.list(kind)
            except ApiError as error:
                _log.warning("list_failed", actor=self.name, kind=kind.__name__, error=error.message)
                await self._environment.sleep(RETRY_SECONDS)

    async def _follow(self, kind: type[Any], resource_version: str, handle: Any) -> None:
        """Watches one kind. Raises Gone for a gap."""
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
                raise
            except ApiError as error:
                _log.warning("watch_failed", actor=self.name, kind=kind.__name__, error=error.message)
                await self._environment.sleep(RETRY_SECONDS)

    def _node_event(self, event: WatchEvent) -> None:
        node: Node = event.object
        before = self._nodes.node(node.metadata.name)
        if event.type == "DELETED":
            self._nodes.remove_node(node.metadata.name)
            self._tell(Node, node, None)
            return
        self._nodes.set_node(node)
        if before is None or not same_for_scheduling(before, node):
            self._tell(Node, before, node)

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
        if pod.spec.schedulerName not in self._decisions or self._bindings.refresh(key, pod) or self._refresh_asked_about(key, pod):
            return
        if pod.metadata.deletionTimestamp is not None:
            self._drop(key)
            self._nominations.remove(key)
            return
        known = self._queue.get(key)
        if known is not None and asks_the_same(known.info.pod, pod):
            info = msgspec.structs.replace(known.info, pod=pod)
            self._queue.update(info)
        else:
            info = pod_info(pod)
            self._queue.add(info, self._environment.monotonic())
        if pod.status.nominatedNodeName:
            self._nominations.add(info, pod.status.nominatedNodeName)
        elif known is not None and known.info.pod.status.nominatedNodeName:
            self._nominations.remove(key)

    def _refresh_asked_about(self, key: tuple[str, str], pod: Pod) -> bool:
        """News of the pod that extenders are being asked about; whether it is that one."""
        waiting = self._asked_about
        if waiting is None or waiting.info.key != key or waiting.info.pod.metadata.uid != pod.metadata.uid or pod.metadata.deletionTimestamp is not None:
            return False
        waiting.info = pod_info(pod)
        return True

    def _pod_has_node(self, key: tuple[str, str], pod: Pod) -> None:
        was_assumed = self._bindings.seen_bound(key)
        self._drop(key)
        self._nominations.remove(key)
        placed = self._nodes.placed(key)
        before = placed.info.pod if placed is not None else None
        if placed is not None and self._nodes.name(placed.row) == pod.spec.nodeName and counts_the_same(placed.info.pod, pod):
            self._nodes.refresh(msgspec.structs.replace(placed.info, pod=pod))
            if not was_assumed and placed.info.pod.metadata.labels == pod.metadata.labels:
                return
        else:
            self._nodes.place(pod_info(pod), pod.spec.nodeName)
        self._tell(Pod, None if was_assumed else before, pod)

    def _drop(self, key: tuple[str, str]) -> None:
        """The pod waits for no node any more."""
        self._queue.remove(key)
        if self._asked_about is not None and self._asked_about.info.key == key:
            self._asked_about = None

    def _object_changed(self, change: cache.Change[Any]) -> None:
        if self._tell(type(change.object), change.old, change.new):
            self._changed.set()

    def _pod_gone(self, pod: Pod) -> None:
        key = pod.metadata.namespace, pod.metadata.name
        self._drop(key)
        self._bindings.gone(key)
        self._nominations.remove(key)
        if self._nodes.remove(key):
            self._tell(Pod, pod, None)

    async def _schedule_for_ever(self) -> None:
        while True:
            self._changed = anyio.Event()
            while await self._schedule_batch():
                pass
            wake_at = self._queue.wake_at()
            await changed_within(self._changed, None if wake_at is None else wake_at - self._environment.monotonic())

    async def _schedule_batch(self) -> bool:
        """Decides for up to BATCH pods, then writes; whether there was any."""
        refused: list[tuple[Waiting, Unschedulable]] = []
        broken: list[tuple[Waiting, Exception]] = []
        lacking: Sequence[type[Any]] = ()
        tried = looked_at = 0
        while tried < BATCH and not lacking:
            waiting = self._queue.pop(self._environment.monotonic())
            if waiting is None:
                break
            decisions = self._decisions[waiting.info.pod.spec.schedulerName]
            try:
                needs = decisions.needs(waiting.info)
                if needs and self._known.lacks(needs):
                    self._queue.put_back(waiting)
                    lacking = needs
                    continue
                tried += 1
                if self._extenders is not None and self._extenders.interested(waiting.info):
                    found = await self._ask_extenders(self._extenders, decisions, waiting)
                    if found is None:
                        continue
                    outcome = found
                else:
                    outcome = decisions.decide(waiting.info, self._environment.random)
            except (PluginError, extenders.ExtenderError) as error:
                self._queue.retry(waiting, self._environment.monotonic())
                broken.append((waiting, error))
                continue
            if isinstance(outcome, Placement):
                self._nominations.remove(waiting.info.key)
                self._bindings.begin(waiting, outcome.node_name)
            else:
                self._fail(waiting, outcome)
                refused.append((waiting, outcome))
            looked_at += len(self._nodes)
            if looked_at >= NODES_BETWEEN_AWAITS:
                looked_at = 0
                await anyio.lowlevel.checkpoint()
        self._attempts += tried
        await self._bindings.write()
        for waiting, unschedulable in refused:
            await self._refuse(waiting, unschedulable)
        for waiting, failure in broken:
            await self._failures[waiting.info.pod.spec.schedulerName].report(waiting.info.pod, str(failure), reason="SchedulerError")
        if lacking:
            await self._known.learn(lacking)
        return bool(tried or lacking)

    async def _ask_extenders(self, asked: extenders.Extenders, decisions: Decisions, waiting: Waiting) -> Placement | Unschedulable | None:
        """None: meanwhile the pod vanished, or somebody else gave it a node. What was decided before is written first: this takes time."""
        await self._bindings.write()
        self._asked_about = waiting
        self._queue.flies(waiting)
        try:
            outcome = await asked.decide(decisions, waiting.info, self._environment.random)
        except (PluginError, extenders.ExtenderError):
            if self._asked_about is not waiting:
                return None
            self._asked_about = None
            raise
        if self._asked_about is not waiting:
            return None
        self._asked_about = None
        if isinstance(outcome, Placement):
            self._queue.landed(waiting)
        return outcome

    def _fail(self, waiting: Waiting, outcome: Unschedulable) -> None:
        """The pod waits; a promise counts at once: the next pod leaves room."""
        name, attempt = waiting.info.pod.spec.schedulerName, outcome.attempt
        self._queue.failed(waiting, self._environment.monotonic(), ((name, plugin) for plugin in outcome.plugins))
        if attempt.nomination is not None:
            self._nominations.add(waiting.info, attempt.nomination.node_name)
        elif attempt.hopeless:
            self._nominations.remove(waiting.info.key)

    async def _refuse(self, waiting: Waiting, outcome: Unschedulable) -> None:
        """Says why the pod has no node, and makes room for it where that was found to help."""
        await self._refuse_and_displace(waiting, outcome)
        for deed in outcome.attempt.deeds:
            await deed()

    async def _refuse_and_displace(self, waiting: Waiting, outcome: Unschedulable) -> None:
        info, nomination = waiting.info, outcome.attempt.nomination
        failures = self._failures[info.pod.spec.schedulerName]
        if nomination is None:
            await failures.report(info.pod, outcome.message, promised="" if outcome.attempt.hopeless else KEEP)
            return
        await failures.report(info.pod, outcome.message, promised=nomination.node_name)
        for other in self._nominations.below(info, nomination.node_name):
            self._nominations.remove(other.key)
            await failures.void_promise(other.pod)
            self._queue.wake(other.key)
        if self._nominations.node_of(info.key) != nomination.node_name:
            return
        leaving = [victim for victim in nomination.victims if not self._bindings.deny_waiting(victim.key, "preempted")]
        if not await failures.displace(info.pod, nomination.node_name, leaving):
            self._queue.wake(info.key)
