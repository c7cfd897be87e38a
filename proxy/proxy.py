"""The service proxy of a machine: watches Services and EndpointSlices and keeps the data path as `routes` says.

https://kubernetes.io/docs/reference/networking/virtual-ips/
"""
from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final

import anyio
from anyio.abc import TaskGroup

from kubelet_lite.actors import logs
from kubelet_lite.actors.actor import Actor
from kubelet_lite.actors.environment import Environment
from kubelet_lite.api.core_v1 import Service
from kubelet_lite.api.discovery_v1 import EndpointSlice
from kubelet_lite.api.errors import ApiError, Gone
from kubelet_lite.api.requests import ListOptions
from kubelet_lite.client.base import Client
from kubelet_lite.client.events import EventRecorder
from kubelet_lite.proxy.data_path import Bound, DataPath
from kubelet_lite.proxy.routes import Routes, routes

RETRY_SECONDS: Final = 1.0
_log = logs.get_logger()


class Proxy(Actor):
    """`node_addresses`: where node ports listen."""

    def __init__(
        self, client: Client, environment: Environment, data_path: DataPath, *, node_addresses: Sequence[str], name: str = "kube-proxy",
    ) -> None:
        super().__init__(name)
        self._client = client
        self._environment = environment
        self._data_path = data_path
        self._node_addresses = tuple(node_addresses)
        self._recorder = EventRecorder(client, environment, "kube-proxy")
        self._objects: dict[type[Any], dict[tuple[str, str], Any]] = {}
        self._changed = anyio.Event()
        self._routes: Routes = {}
        self._tasks: TaskGroup
        self.ready = anyio.Event()

    def spawn(self, function: Callable[..., Coroutine[Any, Any, Any]], *arguments: Any) -> None:
        """Runs something as a child task of this actor: a connection of a data path in this loop."""
        self._tasks.start_soon(function, *arguments)

    def statistics(self) -> Mapping[str, float]:
        return {"routes": len(self._routes)}

    async def run(self) -> None:
        self._objects = {Service: {}, EndpointSlice: {}}
        self._routes = {}
        async with anyio.create_task_group() as self._tasks:
            await self._follow(Service)
            await self._follow(EndpointSlice)
            self._recorder.write_in(self._tasks)
            self._tasks.start_soon(self._data_path.watch)
            try:
                while True:
                    self._changed = anyio.Event()
                    await self._apply()
                    self.ready.set()
                    await self._changed.wait()
            finally:
                with anyio.CancelScope(shield=True):
                    await self._data_path.close()

    async def _apply(self) -> None:
        wanted = routes(self._objects[Service].values(), self._objects[EndpointSlice].values(), self._node_addresses)
        if wanted == self._routes:
            return
        self._routes = wanted
        for bound in await self._data_path.apply(wanted):
            self._report(bound)

    def _report(self, bound: Bound) -> None:
        """Tells about a Service whose address or port could not be had as it is."""
        namespace, _, name = bound.service.partition("/")
        service = self._objects[Service].get((namespace, name))
        where = f"{bound.listen.address}:{bound.listen.port}/{bound.listen.protocol}"
        if service is None or (not bound.error and bound.port == bound.listen.port):
            return
        if bound.error:
            self._recorder.record(service, "Warning", "FailedToListen", f"nothing listens on {where}: {bound.error}")
        else:
            message = f"{where} needs privileges that this process does not have: {bound.listen.address}:{bound.port} stands for it"
            self._recorder.record(service, "Normal", "PortMapped", message)

    async def _follow(self, kind: type[Any]) -> None:
        """Lists now, then watches in a task of its own."""
        revision = await self._list(kind)
        self._tasks.start_soon(self._watch, kind, revision)

    async def _list(self, kind: type[Any]) -> str:
        while True:
            try:
                found: Any = await self._client.list(kind)
            except ApiError as error:
                _log.warning("list_failed", actor=self.name, kind=kind.__name__, error=error.message)
                await self._environment.sleep(RETRY_SECONDS)
                continue
            self._objects[kind] = {(o.metadata.namespace, o.metadata.name): o for o in found.items}
            self._changed.set()
            return str(found.resource_version)

    async def _watch(self, kind: type[Any], revision: str) -> None:
        while True:
            try:
                async with self._client.watch(kind, options=ListOptions(resource_version=revision, allow_watch_bookmarks=True)) as watch:
                    async for batch in watch:
                        for event in batch:
                            revision = event.object.metadata.resourceVersion
                            key = event.object.metadata.namespace, event.object.metadata.name
                            if event.type == "DELETED":
                                self._objects[kind].pop(key, None)
                            elif event.type != "BOOKMARK":
                                self._objects[kind][key] = event.object
                        self._changed.set()
            except Gone:
                revision = await self._list(kind)
            except ApiError as error:
                _log.warning("watch_failed", actor=self.name, kind=kind.__name__, error=error.message)
                await self._environment.sleep(RETRY_SECONDS)
