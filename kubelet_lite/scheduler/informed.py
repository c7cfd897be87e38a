"""What the scheduler knows of the cluster beside nodes and pods: each kind is followed once some pod needs it.

What the scheduler is about to write can be assumed: it hides what the server says until the server says something newer.
"""
from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import anyio
import msgspec
from anyio.abc import TaskGroup

from kubelet_lite.actors.environment import Environment
from kubelet_lite.api.resources import resource_of
from kubelet_lite.client.base import Client
from kubelet_lite.client.cache import Change, Informer
from kubelet_lite.scheduler.polled import Polled
from kubelet_lite.scheduler.surroundings import Told

T = TypeVar("T")


class Assumption(msgspec.Struct, frozen=True):
    """An object as it will be, and the revision of what it was made from."""

    obj: Any
    made_from: str


class Informed:
    """Surroundings from informers, which run in the task group handed in."""

    def __init__(self, client: Client, environment: Environment, tasks: TaskGroup, told: Callable[[Change[Any]], None]) -> None:
        self._client = client
        self._environment = environment
        self._tasks = tasks
        self._told = told
        self._waited_for: dict[type[Any], anyio.Event] = {}
        self._informers: dict[type[Any], Informer[Any] | Polled[Any]] = {}
        self._synced: dict[type[Any], None] = {}
        self._generations: dict[type[Any], int] = {}
        self._moves = 0
        self._assumed: dict[tuple[type[Any], str, str], Assumption] = {}
        self._followers: dict[type[Any], list[Told]] = {}

    @property
    def moves(self) -> int:
        return self._moves

    def lacks(self, kinds: Iterable[type[Any]]) -> bool:
        """Whether any of the kinds is not known yet."""
        return any(kind not in self._synced for kind in kinds)

    def knows(self, kind: type[Any]) -> bool:
        return kind in self._synced

    def follow(self, kind: type[Any], told: Told) -> None:
        self._followers.setdefault(kind, []).append(told)
        for obj in self._informers[kind].list() if kind in self._informers else ():
            told((obj.metadata.namespace, obj.metadata.name), obj)

    async def learn(self, kinds: Iterable[type[Any]]) -> None:
        """Follows the kinds from now on; returns when they are known."""
        new = [kind for kind in dict.fromkeys(kinds) if kind not in self._informers]
        for kind in new:
            self._informers[kind] = follower = self._follower(kind)
            self._tasks.start_soon(follower.run)
        for kind in kinds:
            await self._informers[kind].wait_synced()
            self._synced[kind] = None
            self._moves += 1

    def _follower(self, kind: type[Any]) -> Informer[Any] | Polled[Any]:
        if "watch" not in resource_of(kind).verbs:
            return Polled(self._client, self._environment, kind, lambda: self._moved(kind))
        informer = Informer(self._client, self._environment, kind)
        informer.add_handler(self._handler(kind))
        return informer

    def _handler(self, kind: type[Any]) -> Callable[[Sequence[Change[Any]]], None]:
        def handle(changes: Sequence[Change[Any]]) -> None:
            for change in changes:
                meta = change.object.metadata
                known = self._assumed.get((kind, meta.namespace, meta.name))
                if known is not None and (change.new is None or _newer(meta.resourceVersion, known.made_from)):
                    del self._assumed[kind, meta.namespace, meta.name]
            self._moved(kind)
            for told in self._followers.get(kind, ()):
                for change in changes:
                    told((change.object.metadata.namespace, change.object.metadata.name), change.new)
            for change in changes:
                self._told(change)

        return handle

    def _moved(self, kind: type[Any]) -> None:
        self._moves += 1
        self._generations[kind] = self.changed(kind) + 1
        waited_for = self._waited_for.pop(kind, None)
        if waited_for is not None:
            waited_for.set()

    def get(self, kind: type[T], name: str, namespace: str = "") -> T | None:
        assumption = self._assumed.get((kind, namespace, name))
        if assumption is not None:
            obj: T = assumption.obj
            return obj
        informer = self._informers.get(kind)
        return informer.get(name, namespace) if informer is not None else None

    def list(self, kind: type[T], namespace: str = "") -> Sequence[T]:
        informer = self._informers.get(kind)
        found: Sequence[T] = informer.list(namespace) if informer is not None else ()
        if not any(assumed is kind for assumed, _, _ in self._assumed):
            return found
        return [self._assumption(obj) or obj for obj in found]

    def changed(self, kind: type[Any]) -> int:
        return self._generations.get(kind, 0)

    async def next_change(self, kind: type[Any]) -> None:
        await self._waited_for.setdefault(kind, anyio.Event()).wait()

    def _assumption(self, obj: T) -> T | None:
        meta: Any = obj.metadata  # type: ignore[attr-defined]
        found = self._assumed.get((type(obj), meta.namespace, meta.name))
        return found.obj if found is not None else None

    def assume(self, obj: Any) -> None:
        meta = obj.metadata
        self._assumed[type(obj), meta.namespace, meta.name] = Assumption(obj, meta.resourceVersion)
        self._moved(type(obj))

    def forget(self, obj: Any) -> None:
        meta = obj.metadata
        if self._assumed.pop((type(obj), meta.namespace, meta.name), None) is not None:
            self._moved(type(obj))


def _newer(revision: str, than: str) -> bool:
    return int(revision) > (int(than) if than else -math.inf)
