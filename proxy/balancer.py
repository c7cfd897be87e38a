"""Which backend the next client of a route gets: round robin, or the one it had before (session affinity)."""
from __future__ import annotations

import collections
from collections.abc import Iterator
from typing import Final

from kubelet_lite.proxy.routes import Backend, Route

MAX_REMEMBERED_CLIENTS: Final = 65_536
"""Clients with an affinity a route keeps; the longest unseen go first."""


class Balancer:
    """The state of one route. A new route takes over the turn and what is remembered of clients."""

    def __init__(self, route: Route) -> None:
        self.route = route
        self._turn = 0
        self._clients: collections.OrderedDict[str, tuple[Backend, float]] = collections.OrderedDict()

    def replace(self, route: Route) -> None:
        self.route = route
        if route.affinity_seconds is None:
            self._clients.clear()

    def candidates(self, client: str, now: float) -> Iterator[Backend]:
        """Backends in the order to try them: a backend that refuses the connection has most likely just gone."""
        backends = self.route.backends
        first = self._remembered(client, now)
        if first is not None:
            yield first
        start = self._turn
        self._turn = (self._turn + 1) % max(len(backends), 1)
        for offset in range(len(backends)):
            backend = backends[(start + offset) % len(backends)]
            if backend != first:
                yield backend

    def chosen(self, client: str, backend: Backend, now: float) -> None:
        """Remembers who served a client, where the Service asks for it."""
        if self.route.affinity_seconds is None:
            return
        self._clients[client] = (backend, now)
        self._clients.move_to_end(client)
        while len(self._clients) > MAX_REMEMBERED_CLIENTS:
            self._clients.popitem(last=False)

    def _remembered(self, client: str, now: float) -> Backend | None:
        if self.route.affinity_seconds is None:
            return None
        backend, seen = self._clients.get(client, (None, 0.0))
        if backend is None or backend not in self.route.backends or now - seen > self.route.affinity_seconds:
            self._clients.pop(client, None)
            return None
        return backend
