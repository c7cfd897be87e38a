"""Objects of a kind that cannot be watched (metrics): listed again and again, from the moment at which somebody needs them.

Whoever serves them may not be there: then what was listed before stands, and a record of the log says why there is nothing newer.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, TypeVar, cast

import anyio

from kubelet_lite.actors import logs
from kubelet_lite.actors.environment import Environment
from kubelet_lite.api.errors import ApiError
from kubelet_lite.api.resources import resource_of
from kubelet_lite.client.base import Client

POLL_SECONDS: Final = 15.0
"""As often as metrics-server measures."""
PATIENCE_SECONDS: Final = 5.0
"""How long decisions wait for the first list: in vain, they are made without."""
_log = logs.get_logger()
T = TypeVar("T")


class Polled(Generic[T]):
    """`listed` is called after every attempt."""

    def __init__(self, client: Client, environment: Environment, kind: type[T], listed: Callable[[], None]) -> None:
        self._client, self._environment, self._kind, self._listed = client, environment, kind, listed
        self._found: dict[tuple[str, str], T] = {}
        self._tried = anyio.Event()
        self._trouble = ""

    async def run(self) -> None:
        while True:
            try:
                items = (await self._client.list(self._kind)).items
            except ApiError as error:
                self._say(error.message)
            else:
                self._say("")
                self._found = {_key(obj): obj for obj in items}
            self._listed()
            self._tried.set()
            await self._environment.sleep(POLL_SECONDS)

    def _say(self, trouble: str) -> None:
        if trouble and trouble != self._trouble:
            _log.warning("not_listed", resource=resource_of(self._kind).qualified, error=trouble)
        self._trouble = trouble

    async def wait_synced(self) -> None:
        with anyio.move_on_after(PATIENCE_SECONDS):
            await self._tried.wait()

    def get(self, name: str, namespace: str = "") -> T | None:
        return self._found.get((namespace, name))

    def list(self, namespace: str = "") -> Sequence[T]:
        return [obj for (where, _), obj in self._found.items() if not namespace or where == namespace]


def _key(obj: object) -> tuple[str, str]:
    meta = cast(Any, obj).metadata
    return meta.namespace, meta.name
