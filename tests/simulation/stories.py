"""A scenario, steps and invariants for tests of stories, shrinking and replay files: a Deployment that somebody scales."""
from __future__ import annotations

from kubelet_lite.api.apps_v1 import Deployment
from kubelet_lite.api.core_v1 import Pod
from kubelet_lite.api.requests import MERGE_PATCH
from kubelet_lite.simulation.invariant import always, eventually
from kubelet_lite.simulation.simulation import Run, Simulation, play
from kubelet_lite.simulation.snapshot import Snapshot
from kubelet_lite.simulation.step import Call, Fault, Step

WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: i}]}
"""


class ScaleWeb(Call, frozen=True, kw_only=True):
    replicas: int = 1

    async def play(self, simulation: Simulation) -> None:
        await simulation.client.patch(
            Deployment, "web", {"spec": {"replicas": self.replicas}}, content_type=MERGE_PATCH, namespace="default",
        )

    def __str__(self) -> str:
        return f"scales deployment default/web to {self.replicas}"


class Idle(Fault, frozen=True, kw_only=True):
    """A fault that changes nothing: shrinking takes it away."""

    async def play(self, simulation: Simulation) -> None:
        simulation.struck(self)
        await simulation.sleep(self.seconds)

    def __str__(self) -> str:
        return f"{self.part} idles"


async def run_web(simulation: Simulation) -> None:
    """Three pods run, and half a minute passes."""
    await simulation.cluster.apply(WEB)
    await simulation.until(lambda snapshot: len(running(snapshot)) >= 3)
    await simulation.sleep(30)


def running(snapshot: Snapshot) -> list[Pod]:
    return [pod for pod in snapshot.list(Pod) if pod.status.phase == "Running"]


def runs(snapshot: Snapshot) -> bool:
    return bool(running(snapshot))


def at_most_four(snapshot: Snapshot) -> str:
    count = len(snapshot.list(Pod))
    return f"deployment default/web has {count} pods" if count > 4 else ""


AT_MOST_FOUR = always(at_most_four, name="AtMostFour")
RUNS_AT_ALL = eventually(runs, within=20)
STEPS: tuple[Step, ...] = (
    ScaleWeb(at=2.37, replicas=2), Idle(at=3, part="scheduler", seconds=4.25), ScaleWeb(at=5.13, replicas=3), ScaleWeb(at=7.77, replicas=17),
    ScaleWeb(at=9, replicas=1),
)


def failed_run(seed: int = 1, steps: tuple[Step, ...] = STEPS) -> Run:
    return play(run_web, seed=seed, steps=steps, invariants=[AT_MOST_FOUR, RUNS_AT_ALL])
