"""What befalls the processes of a cluster, as its actors are in one: crashes anywhere and right behind a write, clocks that jump."""
from __future__ import annotations

from contextlib import ExitStack
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import anyio

from kubelet_lite.simulation.checked import Count, Positive, Shift
from kubelet_lite.simulation.crash import crash_actor
from kubelet_lite.simulation.faults.requests import RequestFault
from kubelet_lite.simulation.step import Fault

if TYPE_CHECKING:
    from kubelet_lite.simulation.faults.requests import Standing
    from kubelet_lite.simulation.gate import Request
    from kubelet_lite.simulation.simulation import Simulation
    from kubelet_lite.simulation.virtual.environment import SimulatedEnvironment


class CrashActor(Fault, frozen=True, kw_only=True):
    """Actors crash, each once: at once where they wait (`at_step` 0), or before that step, of those that they take within `seconds`."""

    at_step: Count = 0

    def may_begin(self, simulation: Simulation) -> bool:
        supervisor = simulation.cluster.supervisor
        return any(supervisor.incarnation_of(actor.name) is not None for actor in simulation.actors(self.part))

    async def play(self, simulation: Simulation) -> None:
        supervisor = simulation.cluster.supervisor
        names = [actor.name for actor in simulation.actors(self.part)]
        if not self.at_step:
            for name in names:
                if supervisor.kill(name):
                    simulation.struck(self)
            return
        with ExitStack() as stack:
            crashes = [stack.enter_context(crash_actor(simulation.environment, name, at_step=self.at_step)) for name in names]
            with anyio.move_on_after(self.seconds):
                for crash in crashes:
                    await crash.done.wait()
        for crash in crashes:
            if crash.happened:
                simulation.struck(self)

    def __str__(self) -> str:
        return f"{self.part} crashes" + (f" at its step {self.at_step}, within {self.seconds:g} s" if self.at_step else "")


class CrashAfterWrite(RequestFault, frozen=True, kw_only=True):
    """An actor crashes right behind its `at_write`-th write within `seconds`, before it hears of it (Sieve's *intermediate state*).

    Each actor once; a Program too, that asks over HTTP. To what is no actor an answer can be lost (LostAnswers).
    """

    at_write: Positive = 1

    async def after(self, request: Request, here: Standing) -> None:
        incarnation = request.incarnation
        if not request.writes or incarnation is None:
            return
        count = here.counts[incarnation.actor] = here.counts.get(incarnation.actor, 0) + 1
        if count == self.at_write and here.strikes():
            incarnation.kill()
            await anyio.sleep_forever()

    def __str__(self) -> str:
        return f"{self.whom} crashes right after its write {self.at_write}, within {self.seconds:g} s"


class ClockJump(Fault, frozen=True, kw_only=True):
    """A part's clock is wrong by `jump_seconds` for `seconds` (0: from now on).

    Parts with a clock: `controllers` (all of them share one), `scheduler`, each kubelet, each Program. What waits for a span of time is not disturbed.
    """

    jump_seconds: Shift = 60.0

    def may_begin(self, simulation: Simulation) -> bool:
        return bool(self._found(simulation))

    def _found(self, simulation: Simulation) -> list[SimulatedEnvironment]:
        return [environment for part, environment in simulation.environment.parts.items() if fnmatchcase(part, self.part)]

    async def play(self, simulation: Simulation) -> None:
        found = self._found(simulation)
        for environment in found:
            environment.clock_error_seconds += self.jump_seconds
            simulation.struck(self)
        if self.seconds:
            await simulation.sleep(self.seconds)
            for environment in found:
                environment.clock_error_seconds -= self.jump_seconds

    def __str__(self) -> str:
        return f"the clock of {self.part} jumps by {self.jump_seconds:+g} s" + (f" for {self.seconds:g} s" if self.seconds else "")
