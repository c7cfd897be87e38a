"""The network between a part and the API: partitions, latency, requests and answers that are lost."""
from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import anyio

from kubelet_lite.simulation.checked import Seconds
from kubelet_lite.simulation.faults.requests import RequestFault
from kubelet_lite.simulation.gate import PATIENCE_SECONDS

if TYPE_CHECKING:
    from kubelet_lite.simulation.faults.requests import Standing
    from kubelet_lite.simulation.gate import Request


class Partition(RequestFault, frozen=True, kw_only=True):
    """A part and the API do not reach each other. With `verbs=("watch",)` watches alone break.

    `how` refused: connections break, and new ones are refused. silent: nothing arrives and nobody is told; what was sent arrives at the
    end, unless the asker lost patience; watches stand still.
    """

    how: Literal["refused", "silent"] = "refused"

    def begin(self, here: Standing) -> None:
        if self.how == "refused":
            for _ in range(here.simulation.gate.cut(self.concerns, lambda request: request.lost("connection reset by peer"))):
                here.simulation.struck(self)

    async def before(self, request: Request, here: Standing) -> None:
        if not here.strikes():
            return
        if self.how == "refused":
            raise request.lost("connection refused")
        with anyio.move_on_after(PATIENCE_SECONDS):
            await here.over.wait()
            return
        raise request.lost("no answer in time")

    async def on_batch(self, request: Request, here: Standing) -> None:
        if self.how == "silent":
            here.simulation.struck(self)
            await here.over.wait()

    def __str__(self) -> str:
        watches = self.verbs == ("watch",)
        what = "watches of the API" if watches else "the API"
        return f"{self.part if watches and not self.resources else self.whom} is cut off from {what} for {self.seconds:g} s ({self.how})"


class Latency(RequestFault, frozen=True, kw_only=True):
    """Each request and each answer takes up to `most_seconds` on its way."""

    most_seconds: Seconds = 1.0

    async def before(self, request: Request, here: Standing) -> None:
        if here.strikes():
            await self._wait(here)

    async def after(self, request: Request, here: Standing) -> None:
        await self._wait(here)

    async def _wait(self, here: Standing) -> None:
        await here.simulation.sleep(here.simulation.tape.random(f"latency {self.part}").uniform(0, self.most_seconds))

    def __str__(self) -> str:
        return f"requests of {self.whom} take up to {self.most_seconds:g} s each way, for {self.seconds:g} s"


class LostRequests(RequestFault, frozen=True, kw_only=True):
    """Requests get lost before they take effect; the asker hears of it `after_seconds` later."""

    after_seconds: Seconds = PATIENCE_SECONDS

    async def before(self, request: Request, here: Standing) -> None:
        if here.strikes():
            await here.simulation.sleep(self.after_seconds)
            raise request.lost("no answer in time" if self.after_seconds else "connection reset by peer")

    def __str__(self) -> str:
        return f"requests of {self.whom} get lost for {self.seconds:g} s"


class LostAnswers(RequestFault, frozen=True, kw_only=True):
    """Writes take effect, but the answer gets lost; the asker hears of that `after_seconds` later."""

    after_seconds: Seconds = 0.0

    async def after(self, request: Request, here: Standing) -> None:
        if request.writes and here.strikes():
            await here.simulation.sleep(self.after_seconds)
            raise request.lost("no answer in time" if self.after_seconds else "connection reset by peer")

    def __str__(self) -> str:
        return f"answers to writes of {self.whom} get lost for {self.seconds:g} s"
