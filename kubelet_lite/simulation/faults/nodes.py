"""What befalls machines, and the programs on them: they are gone for a while, with all that ran there, or they boot anew."""
from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, ClassVar

from msgspec.structs import replace

from kubelet_lite.kubelet.kubelet import Kubelet
from kubelet_lite.runtimes.fake import FakeRuntime
from kubelet_lite.simulation.checked import Seconds
from kubelet_lite.simulation.faults.containers import KUBELETS
from kubelet_lite.simulation.step import Fault

if TYPE_CHECKING:
    from kubelet_lite.actors.actor import Actor
    from kubelet_lite.actors.supervisor import Supervisor
    from kubelet_lite.simulation.simulation import Simulation


class StopActor(Fault, frozen=True, kw_only=True):
    """Actors are not there for `seconds`, and then start anew. What a stopped kubelet's containers do, they go on doing."""

    def may_begin(self, simulation: Simulation) -> bool:
        return bool(simulation.actors(self.part))

    async def play(self, simulation: Simulation) -> None:
        supervisor = simulation.cluster.supervisor
        stopped = simulation.actors(self.part)
        for actor in stopped:
            await supervisor.stop(actor)
            simulation.struck(self)
        await simulation.sleep(self.seconds)
        kubelets = simulation.cluster.kubelets.values()
        for actor in stopped:
            if not isinstance(actor, Kubelet) or actor in kubelets:  # else its machine is dead: it starts when that boots
                _start(supervisor, actor)

    def __str__(self) -> str:
        return f"{self.part} is not there for {self.seconds:g} s"


class NodeDeath(Fault, frozen=True, kw_only=True):
    """Machines lose their power: the kubelet and all containers are gone. After `seconds` they boot, and their kubelets start.

    `part`: a kubelet's name.
    """

    victims: ClassVar[str] = KUBELETS

    async def play(self, simulation: Simulation) -> None:
        supervisor, kubelets = simulation.cluster.supervisor, simulation.cluster.kubelets
        running = supervisor.running()
        struck = [kubelet for kubelet in kubelets.values() if kubelet in running and fnmatchcase(kubelet.name, self.part)]
        for kubelet in struck:
            del kubelets[kubelet.node_name]  # nobody connects to it
            await supervisor.stop(kubelet)
            assert isinstance(kubelet.runtime, FakeRuntime)
            kubelet.runtime.power_off()
            simulation.struck(self)
        await simulation.sleep(self.seconds)
        for kubelet in struck:
            kubelet.machine = replace(kubelet.machine, boot_id=simulation.environment.of(kubelet.name).uid())
            kubelets[kubelet.node_name] = kubelet
            _start(supervisor, kubelet)

    def __str__(self) -> str:
        return f"the machine of {self.part} is dead for {self.seconds:g} s"


class Reboot(NodeDeath, frozen=True, kw_only=True):
    """Machines boot anew, which takes less time than anybody needs to miss them."""

    seconds: Seconds = 15.0

    def __str__(self) -> str:
        return f"the machine of {self.part} boots anew, which takes {self.seconds:g} s"


def _start(supervisor: Supervisor, actor: Actor) -> None:
    """Unless another fault that is over has started it."""
    if actor not in supervisor.running():
        supervisor.start(actor)
