"""What a status may say: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/ and Kubernetes' API conventions."""
from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from kubelet_lite.api.apps_v1 import Deployment, ReplicaSet
from kubelet_lite.api.core_v1 import ContainerStatus, Pod
from kubelet_lite.api.scheduling_rules import FINISHED
from kubelet_lite.simulation.archive import Revision
from kubelet_lite.simulation.invariant import Invariant
from kubelet_lite.simulation.invariants.facts import controller_uid, named
from kubelet_lite.simulation.running import ContainerBegan, ContainerMade
from kubelet_lite.simulation.snapshot import Snapshot

if TYPE_CHECKING:
    from kubelet_lite.simulation.simulation import Simulation

KUBELET: Final = "kubelet-"
OBSERVERS: Final = ("pods", "deployments.apps", "replicasets.apps", "replicationcontrollers", "poddisruptionbudgets.policy")
"""Kinds whose status says which generation it is of."""


class ReadyMeansContainersReady(Invariant):
    """Of a status that a kubelet wrote: `Ready` holds only where `ContainersReady` does, and this only where all containers are ready."""

    name = "ReadyMeansContainersReady"
    resources = ("pods",)

    def on_revision(self, revision: Revision, before: Snapshot) -> Iterable[str]:
        pod = revision.event.object
        if pod is None or not revision.actor.startswith(KUBELET):
            return
        said = {condition.type: condition.status == "True" for condition in pod.status.conditions}
        what = f"pod {named(pod)} is at revision {revision.event.revision}"
        if said.get("Ready") and not said.get("ContainersReady"):
            yield f"{what} Ready and not ContainersReady"
        if said.get("ContainersReady"):
            ready = {status.name for status in pod.status.containerStatuses if status.ready}
            for container in pod.spec.containers:
                if container.name not in ready:
                    yield f"{what} ContainersReady, and its container {container.name} is not ready"


class RestartsCounted(Invariant):
    """`restartCount` is how often a pod's container was made anew: it never falls, it rises with each new container that is shown and with
    nothing else, and at rest it is neither more than were made nor fewer than ran, but for the first."""

    name = "RestartsCounted"
    resources = ("pods",)
    answers = (ContainerMade, ContainerBegan)

    def __init__(self) -> None:
        self._shown: dict[tuple[str, str], tuple[int, str]] = {}
        """By the pod's UID and the container's name: the count that a kubelet wrote last, and the last container that it showed."""
        self._began_with: dict[tuple[str, str], int] = {}
        """Counts of pods that were there already when the run began."""
        self._made: dict[tuple[str, str], int] = {}
        self._begun: dict[tuple[str, str], int] = {}

    def on_answer(self, answer: Any, snapshot: Snapshot) -> Iterable[str]:
        counts = self._made if isinstance(answer, ContainerMade) else self._begun
        key = (answer.uid, answer.container)
        counts[key] = counts.get(key, 0) + 1
        return ()

    def on_revision(self, revision: Revision, before: Snapshot) -> Iterable[str]:
        pod = revision.event.object
        if pod is None:
            return
        for status in _containers(pod):
            key = (pod.metadata.uid, status.name)
            if revision.event.previous is None and status.containerID:
                self._began_with[key] = status.restartCount + 1
            if not revision.actor.startswith(KUBELET):
                continue
            count, shown = self._shown.get(key, (0, ""))
            self._shown[key] = (status.restartCount, status.containerID or shown)
            what = f"container {status.name} of pod {named(pod)} counts at revision {revision.event.revision} {status.restartCount} restarts"
            if status.restartCount < count:
                yield f"{what} after {count}"
            elif shown and status.containerID and (status.containerID != shown) != (status.restartCount > count):
                yield f"{what} as before, and is another" if status.containerID != shown else f"{what} after {count}, and is the same"

    def at_rest(self, simulation: Simulation) -> Iterable[str]:
        for pod in simulation.snapshot.list(Pod):
            for status in _containers(pod) if pod.status.phase not in FINISHED else ():
                key = (pod.metadata.uid, status.name)
                first = self._began_with.get(key, 0)
                most, least = first + self._made.get(key, 0) - 1, first + self._begun.get(key, 0) - 1
                if status.containerID and not least <= status.restartCount <= most:
                    yield f"container {status.name} of pod {named(pod)} counts {status.restartCount} restarts, and was started {least + 1} times"


def _containers(pod: Pod) -> Iterator[ContainerStatus]:
    yield from pod.status.initContainerStatuses
    yield from pod.status.containerStatuses


class ObservedGenerationIsTrue(Invariant):
    """`status.observedGeneration` is never ahead of what there is, and never goes back; and a Deployment that says it is rolled out, of the
    generation that it is at, has as many pods of its newest template as it wants, in one ReplicaSet."""

    name = "ObservedGenerationIsTrue"
    resources = OBSERVERS

    def on_revision(self, revision: Revision, before: Snapshot) -> Iterable[str]:
        event = revision.event
        new, old = event.object, event.previous
        if new is None or not revision.actor:
            return
        seen, generation = new.status.observedGeneration or 0, new.metadata.generation or 0
        if seen > generation:
            yield f"{event.key} is at generation {generation}, and its status at revision {event.revision} of {seen}"
        if old is not None and seen < (old.status.observedGeneration or 0):
            yield f"{event.key} was seen at generation {old.status.observedGeneration}, and at revision {event.revision} at {seen}"
        if isinstance(new, Deployment) and (old is None or new.status is not old.status) and is_rolled_out(new):
            sizes = [
                rs.spec.replicas or 0 for rs in before.list(ReplicaSet, new.metadata.namespace)
                if controller_uid(rs) == new.metadata.uid and has_template_of(rs, new)
            ]
            wanted = new.spec.replicas or 0
            if wanted and wanted not in sizes:
                yield f"{event.key} says at revision {event.revision} that it is rolled out, and its newest ReplicaSet has {max(sizes, default=0)} of {wanted}"


def is_rolled_out(deployment: Deployment) -> bool:
    """As `kubectl rollout status` reads it."""
    wanted, status = deployment.spec.replicas or 0, deployment.status
    counts = (status.replicas, status.updatedReplicas, status.availableReplicas)
    return (status.observedGeneration or 0) >= (deployment.metadata.generation or 0) and all(count == wanted for count in counts)


def has_template_of(rs: ReplicaSet, deployment: Deployment) -> bool:
    """Whether it is of the Deployment's newest template."""
    template, newest = rs.spec.template, deployment.spec.template
    if template is None or template.spec != newest.spec:
        return False
    labels = {key: value for key, value in template.metadata.labels.items() if key != "pod-template-hash"}
    return labels == dict(newest.metadata.labels) and template.metadata.annotations == newest.metadata.annotations
