"""Watches that end or are late, history that is forgotten, caches that are behind, states that nobody ever sees."""
from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import anyio

from kubelet_lite.api.errors import Expired
from kubelet_lite.simulation.checked import Seconds
from kubelet_lite.simulation.faults.requests import RequestFault, ResourceFault, Verb
from kubelet_lite.simulation.step import Fault

if TYPE_CHECKING:
    from kubelet_lite.simulation.faults.requests import Standing
    from kubelet_lite.simulation.gate import Request
    from kubelet_lite.simulation.simulation import Simulation


class EndedWatches(ResourceFault, frozen=True, kw_only=True):
    """The open watches of a part end. `how` closed: the server ends them, as after their timeout; reset: their connections break;
    expired: their revision is too old (410)."""

    how: Literal["closed", "reset", "expired"] = "closed"

    async def play(self, simulation: Simulation) -> None:
        revision = simulation.cluster.store.revision
        for _ in range(simulation.gate.cut(self._concerns, lambda request: _end(self.how, request, revision))):
            simulation.struck(self)

    def _concerns(self, request: Request) -> bool:
        return request.is_of(self.part) and (not self.resources or request.resource in self.resources)

    def __str__(self) -> str:
        return f"watches of {self.part} end ({self.how})"


class DelayedWatches(RequestFault, frozen=True, kw_only=True):
    """What watches tell comes `delay_seconds` late."""

    delay_seconds: Seconds = 5.0

    async def on_batch(self, request: Request, here: Standing) -> None:
        if here.strikes():
            with anyio.move_on_after(self.delay_seconds):
                await here.over.wait()

    def __str__(self) -> str:
        return f"watches of {self.whom} are {self.delay_seconds:g} s late for {self.seconds:g} s"


class Compaction(Fault, frozen=True, kw_only=True):
    """The store forgets all its history: who is behind cannot go on from there. Strikes nobody in particular."""

    async def play(self, simulation: Simulation) -> None:
        store = simulation.cluster.store
        store.compact(store.revision)
        simulation.struck(self)

    def __str__(self) -> str:
        return "the store forgets its history"


class StaleCache(RequestFault, frozen=True, kw_only=True):
    """The API server that a part talks to is behind (Sieve's *stale state*): watches stand still, and reads that are content with any
    revision (resourceVersion=0) get what was when this began. Then all goes on, and nothing is left out."""

    async def on_batch(self, request: Request, here: Standing) -> None:
        here.simulation.struck(self)
        await here.over.wait()

    def frozen_at(self, request: Request, here: Standing) -> int | None:
        here.simulation.struck(self)
        return here.began_at

    def __str__(self) -> str:
        return f"{self.whom} sees nothing new for {self.seconds:g} s"


class UnobservedStates(RequestFault, frozen=True, kw_only=True):
    """Watches break, and until the end can neither be opened nor replaced by lists (Sieve's *unobserved state*): what came and went
    in between is never seen."""

    verbs: tuple[Verb, ...] = ("list", "watch")

    def begin(self, here: Standing) -> None:
        revision = here.began_at
        for _ in range(here.simulation.gate.cut(self.concerns, lambda request: _end("expired", request, revision))):
            here.simulation.struck(self)

    async def before(self, request: Request, here: Standing) -> None:
        if here.strikes():
            raise request.lost("connection refused")

    def __str__(self) -> str:
        return f"{self.whom} misses what happens for {self.seconds:g} s"


def _end(how: str, request: Request, revision: int) -> Exception:
    match how:
        case "closed":
            return StopAsyncIteration()
        case "expired":
            return Expired(f"too old resource version: {revision} ({revision + 1})")
        case _:
            return request.lost("connection reset by peer")
