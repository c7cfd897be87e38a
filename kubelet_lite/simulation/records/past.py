"""Any moment of a recording as an API that can be read: `kubectl get`, `describe` and `get -w` work against it as they did then.

    async with Past(recording, serve=True) as past:
        past.go(120)              # behind so many revisions

Going forwards, watches deliver what happened; going backwards they end with 410, and clients list again. Writes are refused.
"""
from __future__ import annotations

import random
import socket
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, NoReturn

from kubelet_lite.actors.environment import Environment, HeldPort
from kubelet_lite.actors.supervisor import Supervisor
from kubelet_lite.api.core_v1 import PodLogOptions
from kubelet_lite.api.errors import BadRequest, MethodNotAllowed
from kubelet_lite.api.meta_v1 import DeleteOptions
from kubelet_lite.api.requests import ListOptions, ListResult, RequestContext
from kubelet_lite.api.resources import Resource
from kubelet_lite.cluster import Cluster
from kubelet_lite.registry.registry import Registry
from kubelet_lite.simulation.checked import Port, checked
from kubelet_lite.simulation.records.recording import Recording
from kubelet_lite.store.head import FIRST_REVISION
from kubelet_lite.store.keys import Key

REVIEW_GROUPS: Final = ("authorization.k8s.io", "authentication.k8s.io")
"""Creating an object of these asks a question and changes nothing."""


class Past(Cluster):
    """The API server alone. It stands behind the last revision at first."""

    @checked
    def __init__(self, recording: Recording, *, serve: bool = False, port: Port = 0) -> None:
        self._clock = _Clock()
        super().__init__(nodes=0, components=("apiserver",), serve=serve, port=port, environment=self._clock)
        self._revisions = recording.archive.revisions
        self.position = 0
        """Behind how many revisions it stands."""

    async def _start(self) -> None:
        """Without whatever would act upon what it finds."""
        self.store = self.new_store()
        self._api(self._service_cidr or self._open_network().service_cidr)
        self.supervisor = await self._stack.enter_async_context(Supervisor(self.environment))
        if self._serve:
            await self._start_server()
        self._restore(len(self._revisions))

    def new_registry(self, kind: type[Registry]) -> Registry:
        return super().new_registry(_PastRegistry)

    @property
    def length(self) -> int:
        """How many revisions there are."""
        return len(self._revisions)

    @checked
    def go(self, position: int) -> None:
        """Stands behind so many revisions."""
        if not 0 <= position <= self.length:
            raise ValueError(f"position {position}: there are 0 to {self.length}")
        if position < self.position:
            self._restore(position)
            return
        store = self.store
        for revision in self._revisions[self.position:position]:
            self._clock.moment = revision.time
            event = revision.event
            if event.object is None:
                store.delete(event.key, expected=store.mod_revision(event.key), final=event.final)
            else:
                store.put(event.key, event.object, expected=store.mod_revision(event.key))
        self.position = position

    def _restore(self, position: int) -> None:
        live: dict[Key, Any] = {}
        for revision in self._revisions[:position]:
            event = revision.event
            if event.object is None:
                del live[event.key]
            else:
                live[event.key] = event.object
        newest = self._revisions[position - 1] if position else None
        self.store.restore(live.items(), newest.event.revision if newest is not None else FIRST_REVISION)
        self._clock.moment = newest.time if newest is not None else self._revisions[0].time if self._revisions else None
        self.position = position


class _Clock(Environment):
    """The real world at another time: by which ages are told. None until there is a moment: certificates are made for now."""

    def __init__(self) -> None:
        self._real = Environment.real()
        self.random: random.Random = self._real.random
        self.moment: float | None = None

    def now(self) -> float:
        return self._real.now() if self.moment is None else self.moment

    def monotonic(self) -> float:
        return self._real.monotonic()

    def hold_port(self, host: str = "127.0.0.1", port: int = 0, *, kind: socket.SocketKind = socket.SOCK_STREAM) -> HeldPort:
        return self._real.hold_port(host, port, kind=kind)

    def secret_bits(self, count: int) -> int:
        return self._real.secret_bits(count)


class _PastRegistry(Registry):
    async def create(self, ctx: RequestContext, resource: Resource, namespace: str, body: Any, *, name: str = "", subresource: str = "") -> Any:
        if subresource or resource.group not in REVIEW_GROUPS:
            self._refuse()
        return await super().create(ctx, resource, namespace, body, name=name, subresource=subresource)

    async def update(self, *_: Any, **__: Any) -> tuple[Any, bool]:
        self._refuse()

    async def patch(self, *_: Any, **__: Any) -> tuple[Any, bool]:
        self._refuse()

    async def delete(self, ctx: RequestContext, resource: Resource, namespace: str, name: str, options: DeleteOptions) -> Any:
        self._refuse()

    async def delete_collection(
        self, ctx: RequestContext, resource: Resource, namespace: str, list_options: ListOptions, options: DeleteOptions,
    ) -> ListResult:
        self._refuse()

    async def bind(self, ctx: RequestContext, bindings: Sequence[Any]) -> Sequence[Exception | None]:
        self._refuse()

    def logs(self, ctx: RequestContext, namespace: str, name: str, options: PodLogOptions) -> AsyncIterator[bytes] | None:
        raise BadRequest("logs of containers are no part of a recording")

    def _refuse(self) -> NoReturn:
        raise MethodNotAllowed(f"this is revision {self.store.revision} of a recorded run: it can be read, not changed", details={})
