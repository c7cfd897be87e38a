"""From a decision to a bound pod: Reserve, Permit, PreBind, Bind, PostBind.

The pod counts on its node from the decision on. What has to wait for nobody is bound in batches; else the pod goes its own way in a
task of its own. Whatever goes wrong is taken back, and the pod tried again.
https://kubernetes.io/docs/concepts/scheduling-eviction/scheduling-framework/#scheduling-cycle-binding-cycle
"""
from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import msgspec
from anyio.abc import TaskGroup

from kubelet_lite.actors import logs
from kubelet_lite.actors.environment import Environment
from kubelet_lite.api.core_v1 import Pod
from kubelet_lite.api.errors import ApiError, Conflict, NotFound
from kubelet_lite.client.base import Client
from kubelet_lite.client.events import EventRecorder
from kubelet_lite.scheduler.extenders import Extender, Extenders
from kubelet_lite.scheduler.failures import Failures
from kubelet_lite.scheduler.framework import Plugin, PluginError, Wait, defines
from kubelet_lite.scheduler.node_table import NodeTable
from kubelet_lite.scheduler.pod_info import PodInfo, pod_info
from kubelet_lite.scheduler.profile import Profile
from kubelet_lite.scheduler.queue import SchedulingQueue, Waiting
from kubelet_lite.scheduler.waiting_pods import WaitingPod, WaitingPods

Key = tuple[str, str]
NO_BINDER: Final = "no plugin bound the pod"
_log = logs.get_logger()


class Step(msgspec.Struct, frozen=True):
    """A PreBind plug-in at work, and those after it."""

    plugin: Plugin
    done: Awaitable[str | None]
    rest: Sequence[Plugin]


class Bindings:
    """All pods that are between their decision and their binding. `freed`: told when a pod left its node again; `bound`: when
    one was bound."""

    def __init__(
        self, *, nodes: NodeTable, queue: SchedulingQueue, waiting: WaitingPods, environment: Environment, tasks: TaskGroup, client: Client,
        profiles: Mapping[str, Profile], recorders: Mapping[str, EventRecorder], failures: Mapping[str, Failures], freed: Callable[[PodInfo], None],
        bound: Callable[[], None], extenders: Extenders | None,
    ) -> None:
        self._nodes, self._queue, self._waiting, self._environment, self._tasks, self._client = nodes, queue, waiting, environment, tasks, client
        self._extenders = extenders
        self._profiles, self._recorders, self._failures, self._freed, self._bound = profiles, recorders, failures, freed, bound
        self._assumed: dict[Key, tuple[Waiting, str]] = {}
        """All and only pods that count on a node (their second part) before the watch says so."""
        self._batches: dict[str, list[tuple[Waiting, str]]] = {}
        """By profile, what is written next."""

    @property
    def assumed(self) -> int:
        """How many pods count on a node that the watch does not speak of yet."""
        return len(self._assumed)

    # What the watch says meanwhile

    def refresh(self, key: Key, pod: Pod) -> bool:
        """News of a pod without a node; whether it is here."""
        known = self._assumed.get(key)
        if known is None or known[0].info.pod.metadata.uid != pod.metadata.uid:
            return False
        known[0].info = pod_info(pod)
        if pod.metadata.deletionTimestamp is not None:
            self.deny_waiting(key, "the pod is being deleted")
        return True

    def seen_bound(self, key: Key) -> bool:
        """The watch says that the pod has a node; whether it was here."""
        found = self._assumed.pop(key, None)
        if found is not None:
            self._queue.landed(found[0])
        return found is not None

    def gone(self, key: Key) -> None:
        """The pod is no more: what was reserved for it is free again."""
        found = self._assumed.pop(key, None)
        waiting = self._waiting.get(key)
        if waiting is not None:
            waiting.deny("", "the pod is gone")
        if found is not None:
            self._unreserve(*found)

    def deny_waiting(self, key: Key, reason: str) -> bool:
        """Sends a pod that waits at Permit back to the queue: displacing it takes no more than that. Whether it waits there."""
        waiting = self._waiting.get(key)
        if waiting is not None:
            waiting.deny("DefaultPreemption", reason)
        return waiting is not None

    # The way of one pod

    def begin(self, waiting: Waiting, node_name: str) -> None:
        """Lets the decision count, and takes the pod as far as it goes without waiting."""
        try:
            self._begin(waiting, node_name)
        except PluginError as error:
            self._tasks.start_soon(self._broke, waiting, node_name, str(error))

    def _begin(self, waiting: Waiting, node_name: str) -> None:
        info, profile = waiting.info, self._profile(waiting)
        self._nodes.place(info, node_name)
        self._assumed[info.key] = waiting, node_name
        for plugin in profile.reserve:
            reason = plugin.reserve(info, node_name)
            if reason is not None:
                self._tasks.start_soon(self._refused, waiting, node_name, plugin.name, reason)
                return
        waits: dict[str, float] = {}
        for plugin in profile.permit:
            verdict = plugin.permit(info, node_name)
            if isinstance(verdict, Wait):
                waits[plugin.name] = self._environment.monotonic() + verdict.seconds
            elif verdict is not None:
                self._tasks.start_soon(self._refused, waiting, node_name, plugin.name, verdict)
                return
        if waits:
            pod = WaitingPod(info, node_name, waits)
            self._waiting.add(pod)
            self._queue.flies(waiting)
            self._tasks.start_soon(self._on_its_own, waiting, node_name, self._after_permit(waiting, pod))
            return
        step = _next_step(waiting, node_name, profile.pre_bind)
        if step is not None or self._extender(waiting) is not None or profile.binds_alone:
            self._queue.flies(waiting)
            self._tasks.start_soon(self._on_its_own, waiting, node_name, self._alone(waiting, node_name, step))
        else:
            self._batches.setdefault(profile.name, []).append((waiting, node_name))

    async def _on_its_own(self, waiting: Waiting, node_name: str, way: Awaitable[None]) -> None:
        try:
            await way
        except PluginError as error:
            await self._broke(waiting, node_name, str(error))

    async def _after_permit(self, waiting: Waiting, pod: WaitingPod) -> None:
        denied = await pod.settled(self._environment)
        self._waiting.remove(pod.pod.key)
        if denied is not None:
            await self._refused(waiting, pod.node_name, *denied)
        else:
            await self._alone(waiting, pod.node_name, _next_step(waiting, pod.node_name, self._profile(waiting).pre_bind))

    async def _alone(self, waiting: Waiting, node_name: str, step: Step | None) -> None:
        while step is not None:
            failure = await step.done
            if failure is not None:
                await self._broke(waiting, node_name, f'running PreBind plugin "{step.plugin.name}": {failure}')
                return
            step = _next_step(waiting, node_name, step.rest)
        extender = self._extender(waiting)
        if extender is not None:
            failure = await extender.bind(waiting.info, node_name)
            if failure is None:
                self._is_bound(waiting, node_name)
            else:
                await self._broke(waiting, node_name, f"binding rejected: {failure}")
            return
        for plugin in self._profile(waiting).bind:
            if defines(plugin, "bind_all"):
                await self._bind_all(plugin, [(waiting, node_name)])
                return
            binding = plugin.bind(waiting.info, node_name)
            if binding is not None:
                failure = await binding
                if failure is None:
                    self._is_bound(waiting, node_name)
                else:
                    await self._broke(waiting, node_name, f'running Bind plugin "{plugin.name}": {failure}')
                return
        await self._broke(waiting, node_name, NO_BINDER)

    # Writing

    async def write(self) -> None:
        """Binds what has to wait for nobody."""
        batches, self._batches = self._batches, {}
        for name, placed in batches.items():
            binder = next((plugin for plugin in self._profiles[name].bind if defines(plugin, "bind_all")), None)
            if binder is not None:
                await self._bind_all(binder, placed)
                continue
            for waiting, node_name in placed:
                await self._broke(waiting, node_name, NO_BINDER)

    async def _bind_all(self, binder: Plugin, placed: Sequence[tuple[Waiting, str]]) -> None:
        answers = await binder.bind_all([(waiting.info, node_name) for waiting, node_name in placed])
        for (waiting, node_name), error in zip(placed, answers, strict=True):
            if error is None:
                self._is_bound(waiting, node_name)
            elif isinstance(error, (NotFound, Conflict)):
                await self._lost(waiting, node_name, error)
            else:
                await self._broke(waiting, node_name, f'running Bind plugin "{binder.name}": {error}')

    def _is_bound(self, waiting: Waiting, node_name: str) -> None:
        pod, profile = waiting.info.pod, self._profile(waiting)
        self._bound()
        text = f"Successfully assigned {pod.metadata.namespace}/{pod.metadata.name} to {node_name}"
        self._recorders[profile.name].record(pod, "Normal", "Scheduled", text, action="Binding")
        for plugin in profile.post_bind:
            try:
                plugin.post_bind(waiting.info, node_name)
            except PluginError as error:
                _log.warning("plugin_failed", object="/".join(waiting.info.key), error=str(error))

    # What goes wrong

    async def _refused(self, waiting: Waiting, node_name: str, plugin: str, reason: str) -> None:
        """A plug-in does not want the pod there: it waits until something changes that could alter that."""
        if self._undo(waiting, node_name):
            profile = self._profile(waiting)
            self._queue.failed(waiting, self._environment.monotonic(), ((profile.name, plugin),))
            await self._failures[profile.name].report(waiting.info.pod, f"0/1 nodes are available: 1 {reason}.")

    async def _broke(self, waiting: Waiting, node_name: str, message: str) -> None:
        """Something failed that may succeed the next time."""
        if self._undo(waiting, node_name):
            self._queue.retry(waiting, self._environment.monotonic())
            await self._failures[self._profile(waiting).name].report(waiting.info.pod, message, reason="SchedulerError")

    async def _lost(self, waiting: Waiting, node_name: str, error: ApiError) -> None:
        """Somebody else was faster: the pod has a node, is going or gone. Should it still be there for us, it is tried again."""
        if not self._undo(waiting, node_name):
            return
        _log.info("binding_failed", object="/".join(waiting.info.key), error=str(error))
        meta = waiting.info.pod.metadata
        try:
            now = await self._client.get(Pod, meta.name, namespace=meta.namespace)
        except ApiError as unreadable:
            still_ours = not isinstance(unreadable, NotFound)
        else:
            still_ours = now.metadata.uid == meta.uid and not now.spec.nodeName and now.metadata.deletionTimestamp is None
        if still_ours and meta.namespace and self._queue.get(waiting.info.key) is None and self._nodes.placed(waiting.info.key) is None:
            self._queue.retry(waiting, self._environment.monotonic())

    def _undo(self, waiting: Waiting, node_name: str) -> bool:
        """Takes an assumption back; whether the pod still needs a node: one that vanished, is going, or is bound by now is nobody's concern."""
        key = waiting.info.key
        known = self._assumed.get(key)
        if known is None or known[0] is not waiting:
            return False
        del self._assumed[key]
        self._unreserve(waiting, node_name)
        self._nodes.remove(key)
        self._freed(waiting.info)
        return waiting.info.pod.metadata.deletionTimestamp is None

    def _unreserve(self, waiting: Waiting, node_name: str) -> None:
        for plugin in reversed(self._profile(waiting).reserve):
            try:
                plugin.unreserve(waiting.info, node_name)
            except PluginError as error:
                _log.warning("plugin_failed", object="/".join(waiting.info.key), error=str(error))

    def _extender(self, waiting: Waiting) -> Extender | None:
        """Who binds the pod instead of plug-ins."""
        return self._extenders.binder(waiting.info) if self._extenders is not None else None

    def _profile(self, waiting: Waiting) -> Profile:
        return self._profiles[waiting.info.pod.spec.schedulerName]


def _next_step(waiting: Waiting, node_name: str, plugins: Sequence[Plugin]) -> Step | None:
    """The first PreBind plug-in that has something to do."""
    for i, plugin in enumerate(plugins):
        done = plugin.pre_bind(waiting.info, node_name)
        if done is not None:
            return Step(plugin, done, plugins[i + 1:])
    return None
