"""The shell around every controller: takes a key, gathers the view, has it planned, carries the plan out, waits until that is seen.

What it promises, and why, stands in `base.py`.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

import anyio

from kubelet_lite.actors.actor import Actor
from kubelet_lite.actors.environment import Environment
from kubelet_lite.api import identity
from kubelet_lite.client.base import Client
from kubelet_lite.client.cache import Informer, Informers
from kubelet_lite.client.events import EventRecorder
from kubelet_lite.controllers.base import Controller, Failure, Key
from kubelet_lite.controllers.carry_out import Executor
from kubelet_lite.controllers.own_writes import OwnWrites
from kubelet_lite.controllers.work_queue import WorkQueue

SHORTEST_WAKE_SECONDS: Final = 0.001
"""A plan that wants to be woken at once, again and again, must not keep everybody else from running."""


class ControllerActor(Actor):
    """Runs one controller. `client` is the cluster's: the controller acts under its own identity."""

    def __init__(self, controller: Controller[Any], client: Client, environment: Environment) -> None:
        super().__init__(controller.name)
        acting = client.acting_as(identity.controller(controller.account or controller.name))
        self.ready = anyio.Event()
        """Set once it has seen all there is."""
        self._controller = controller
        self._environment = environment
        self._recorder = EventRecorder(acting, environment, controller.event_source or controller.name)
        self._executor = Executor(acting, self._recorder)
        self._queue: WorkQueue[Key] = WorkQueue(environment)
        self._failures: dict[Key, tuple[Failure, ...]] = {}
        """What failed of the last plan of a key."""
        self._may_have_written = False
        """Whether an earlier run may have written what the informers have not seen, and forgotten that."""
        self._plans = self._writes = self._failed = 0
        controller.connect(self._enqueue)
        self._own_writes = OwnWrites(controller.informers())

    async def run(self) -> None:
        self._queue = WorkQueue(self._environment)
        self._failures = {}
        for informer in self._controller.informers():
            if self._may_have_written:
                await informer.refresh()
            await informer.wait_synced()
        self._may_have_written = True
        for key in self._controller.all_keys():
            self._queue.add(key)
        self.ready.set()
        async with anyio.create_task_group() as tasks:
            self._recorder.write_in(tasks)
            await self._queue.serve(partial(self._one, self._queue), self._controller.workers)

    def statistics(self) -> Mapping[str, float]:
        return {"plans": self._plans, "writes": self._writes, "failures": self._failed, **self._queue.statistics()}

    def _enqueue(self, key: Key, after_seconds: float) -> None:
        self._queue.add(key, after_seconds)

    async def _one(self, queue: WorkQueue[Key], key: Key) -> None:
        view = self._controller.view(key, self._failures.get(key, ()))
        if view is None:
            self._failures.pop(key, None)
            queue.forget(key)
            queue.done(key)
            return
        self._plans += 1
        now = self._environment.now()
        plan = self._controller.plan(view, now)
        outcome = await self._executor.carry_out(plan.actions, self._cause(key))
        self._writes += len(outcome.written) + len(outcome.deleted)
        if outcome.failures:
            self._failed += len(outcome.failures)
            self._failures[key] = tuple(outcome.failures)
            queue.retry(key)
        else:
            self._failures.pop(key, None)
            queue.forget(key)
        if plan.wake_at is not None:
            queue.add(key, max(plan.wake_at - now, SHORTEST_WAKE_SECONDS))
        self._own_writes.when_seen(outcome, lambda: queue.done(key))

    def _cause(self, key: Key) -> str:
        primary = self._controller.primary
        known = primary.get(key.name, key.namespace)
        return f"{primary.resource.qualified} {key}" + (f" at {known.metadata.resourceVersion}" if known is not None else "")


class InformersActor(Actor):
    """Runs informers that several controllers share."""

    def __init__(self, informers: Informers) -> None:
        super().__init__("controllers' informers")
        self._informers = informers

    @property
    def informers(self) -> Sequence[Informer[Any]]:
        return self._informers.all()

    async def run(self) -> None:
        async with anyio.create_task_group() as tasks:
            for informer in self._informers.all():
                tasks.start_soon(informer.run, name=informer.name)

    def statistics(self) -> Mapping[str, float]:
        return {
            f"{informer.resource.qualified}_{name}": value
            for informer in self._informers.all() for name, value in informer.statistics().items()
        }
