"""What befalls containers: they crash, run out of memory, hang, start slowly, are now ready and now not. Of the fake runtime."""
from __future__ import annotations

from abc import abstractmethod
from fnmatch import fnmatchcase
from functools import partial
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, NamedTuple

from msgspec import Meta

from kubelet_lite.api.core_v1 import Pod
from kubelet_lite.runtimes.base import RuntimeFailure
from kubelet_lite.runtimes.fake import FakeRuntime
from kubelet_lite.simulation.checked import Count, Name, Period, Seconds
from kubelet_lite.simulation.step import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kubelet_lite.simulation.simulation import Simulation


KUBELETS: Final = "kubelet-*"


class Running(NamedTuple):
    """A container that runs."""

    runtime: FakeRuntime
    uid: str
    container: str


class ContainerFault(Fault, frozen=True, kw_only=True):
    """Strikes a container that runs when it begins. `part`: the kubelet of its node; `pod`: a pattern of `namespace/name`; `container`: of
    its name. `nth`: which of those, in the order in which their pods were made, beginning anew behind the last."""

    victims: ClassVar[str] = KUBELETS
    pod: Name = "*"
    container: Name = "*"
    nth: Count = 0

    async def play(self, simulation: Simulation) -> None:
        found = list(self._running(simulation))
        if found:
            simulation.struck(self)
            await self.strike(found[self.nth % len(found)], simulation)

    @abstractmethod
    async def strike(self, found: Running, simulation: Simulation) -> None: ...

    def _running(self, simulation: Simulation) -> Iterator[Running]:
        runtimes = dict(runtimes_of(self.part, simulation))
        for pod in simulation.snapshot.list(Pod):
            runtime = runtimes.get(pod.spec.nodeName)
            if runtime is not None and fnmatchcase(f"{pod.metadata.namespace}/{pod.metadata.name}", self.pod):
                for name in runtime.running(pod.metadata.uid):
                    if fnmatchcase(name, self.container):
                        yield Running(runtime, pod.metadata.uid, name)

    def _target(self) -> str:
        container = "a container" if self.container == "*" else f"container {self.container}"
        return f"{container} of {'a pod' if self.pod == '*' else f'pod {self.pod}'}"


class CrashContainer(ContainerFault, frozen=True, kw_only=True):
    """It exits."""

    exit_code: Annotated[int, Meta(ge=0, le=255)] = 1

    async def strike(self, found: Running, simulation: Simulation) -> None:
        found.runtime.crash(found.uid, found.container, self.exit_code)

    def __str__(self) -> str:
        return f"{self._target()} exits with {self.exit_code}"


class OutOfMemory(ContainerFault, frozen=True, kw_only=True):
    """It is killed for what it uses: exit code 137, reason OOMKilled."""

    async def strike(self, found: Running, simulation: Simulation) -> None:
        found.runtime.run_out_of_memory(found.uid, found.container)

    def __str__(self) -> str:
        return f"{self._target()} is killed for lack of memory"


class Hang(ContainerFault, frozen=True, kw_only=True):
    """It does nothing for `seconds`: answers no probe, and does not end by itself when it is to be stopped."""

    async def strike(self, found: Running, simulation: Simulation) -> None:
        found.runtime.set_hanging(found.uid, found.container, True)
        await simulation.sleep(self.seconds)
        _if_it_runs(lambda: found.runtime.set_hanging(found.uid, found.container, False))

    def __str__(self) -> str:
        return f"{self._target()} hangs for {self.seconds:g} s"


class FlappingReadiness(ContainerFault, frozen=True, kw_only=True):
    """Its startup and readiness probes fail and succeed in turn, each for `every_seconds`."""

    every_seconds: Period = 5.0

    async def strike(self, found: Running, simulation: Simulation) -> None:
        ends = simulation.environment.monotonic() + self.seconds
        ready = False
        while (left := ends - simulation.environment.monotonic()) > 0:
            if not _if_it_runs(partial(found.runtime.set_ready, found.uid, found.container, ready)):
                return
            await simulation.sleep(min(self.every_seconds, left))
            ready = not ready
        _if_it_runs(lambda: found.runtime.set_ready(found.uid, found.container, None))

    def __str__(self) -> str:
        return f"{self._target()} is not ready and ready again every {self.every_seconds:g} s, for {self.seconds:g} s"


class SlowStart(Fault, frozen=True, kw_only=True):
    """Containers that start within `seconds` get ready `delay_seconds` later than otherwise. `part`: the kubelet of their node."""

    victims: ClassVar[str] = KUBELETS
    delay_seconds: Seconds = 30.0

    async def play(self, simulation: Simulation) -> None:
        runtimes = [runtime for _, runtime in runtimes_of(self.part, simulation)]

        def delay() -> float:
            simulation.struck(self)
            return self.delay_seconds

        for runtime in runtimes:
            runtime.start_delays.append(delay)
        await simulation.sleep(self.seconds)
        for runtime in runtimes:
            runtime.start_delays.remove(delay)

    def __str__(self) -> str:
        return f"containers of {self.part} that start within {self.seconds:g} s get ready {self.delay_seconds:g} s late"


def runtimes_of(kubelets: str, simulation: Simulation) -> Iterator[tuple[str, FakeRuntime]]:
    """Those of the kubelets that a pattern finds, with the names of their nodes."""
    for node, kubelet in simulation.cluster.kubelets.items():
        if fnmatchcase(kubelet.name, kubelets) and isinstance(kubelet.runtime, FakeRuntime):
            yield node, kubelet.runtime


def _if_it_runs(what: Callable[[], None]) -> bool:
    """Does it to a container that still runs, and says whether."""
    try:
        what()
    except RuntimeFailure:
        return False
    return True
