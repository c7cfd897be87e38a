"""That something good happens, and that it comes to an end."""
from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from kubelet_lite.api.core_v1 import Node, Pod
from kubelet_lite.api.scheduling_rules import FINISHED
from kubelet_lite.controllers.loop import InformersActor
from kubelet_lite.simulation.archive import Revision
from kubelet_lite.simulation.invariant import Invariant
from kubelet_lite.simulation.invariants.facts import owners
from kubelet_lite.simulation.invariants.history import same
from kubelet_lite.simulation.snapshot import Snapshot

if TYPE_CHECKING:
    from kubelet_lite.simulation.simulation import Simulation

MINUTE: Final = 60.0
MOST_WRITES: Final = 120
"""Of one object by one part in a minute: twice as often as a part may do anything that it repeats each second."""
MOST_CREATES: Final = 100
"""Of objects that one owner manages, in a minute, beside three times its size: pods that are rejected are made again after a back-off."""
QUEUES: Final = ("ready", "busy", "active", "marked")
"""Statistics of parts that say how much they have to do at once."""


class NoHotLoop(Invariant):
    """No part writes one object, or makes objects for one owner, again and again without pausing: bounded in every virtual minute.

    Users may. kubernetes/kubernetes#88851, #131116
    """

    name = "NoHotLoop"

    def __init__(self) -> None:
        self._writes: dict[tuple[str, str, str, str], deque[float]] = {}
        """By actor and object, or by actor and owner's UID, when it wrote in the last minute."""

    def on_revision(self, revision: Revision, before: Snapshot) -> Iterable[str]:
        actor, event = revision.actor, revision.event
        if not actor:
            return ()
        key = event.key
        if event.previous is not None:
            if self._count((actor, key.resource, key.namespace, key.name), revision.time) > MOST_WRITES:
                return (f"{actor} wrote {key} {MOST_WRITES + 1} times within a minute, at revision {event.revision} again",)
            return ()
        for reference, owner in owners(event.object, before):
            if reference.controller:
                most = MOST_CREATES + 3 * (getattr(owner.spec, "replicas", None) or 0 if owner is not None else 0)
                count = self._count((actor, key.resource, reference.uid, ""), revision.time)
                if count > most:
                    return (f"{actor} made {count} {key.resource} for {reference.kind} {reference.name} within a minute, up to revision {event.revision}",)
        return ()

    def _count(self, key: tuple[str, str, str, str], now: float) -> int:
        times = self._writes.get(key)
        if times is None:
            times = self._writes[key] = deque()
        times.append(now)
        while times[0] < now - MINUTE:
            times.popleft()
        return len(times)


class QueueDrains(Invariant):
    """At rest no part has anything left to do at once, nor waits for what does not come."""

    name = "QueueDrains"

    def at_rest(self, simulation: Simulation) -> Iterable[str]:
        for actor, statistics in simulation.cluster.supervisor.statistics().items():
            for queue in QUEUES:
                if statistics.get(queue):
                    yield f"{actor} has {statistics[queue]:g} {queue}"


class CacheConverges(Invariant):
    """At rest every cache holds what there is: the informers' objects; the kubelets' pods; the scheduler's nodes, placed pods and promises."""

    name = "CacheConverges"

    def at_rest(self, simulation: Simulation) -> Iterable[str]:
        snapshot = simulation.snapshot
        for actor in simulation.cluster.supervisor.running():
            for informer in actor.informers if isinstance(actor, InformersActor) else ():
                there = snapshot.all(informer.resource.qualified)
                cached = {(obj.metadata.namespace, obj.metadata.name): obj for obj in informer.list()}
                for place in {**there, **cached} if informer.is_whole else ():
                    if not same(there.get(place), cached.get(place)):
                        yield f"the {informer.name} has another {'/'.join(place)} than there is"
        yield from self._counts(simulation, snapshot)

    def _counts(self, simulation: Simulation, snapshot: Snapshot) -> Iterable[str]:
        for name, statistics in simulation.cluster.supervisor.statistics().items():
            if name.startswith("kubelet-") and "pods" in statistics:  # not a program of the user's of such a name
                bound = sum(1 for pod in snapshot.list(Pod) if f"kubelet-{pod.spec.nodeName}" == name)
                if statistics["pods"] != bound:
                    yield f"{name} knows {statistics['pods']:g} pods, {bound} are bound to its node"
            elif "assumed" in statistics:
                placed = sum(1 for pod in snapshot.list(Pod) if pod.spec.nodeName and pod.status.phase not in FINISHED)
                for what, wanted in (("nodes", len(snapshot.all(Node))), ("assumed", 0), ("placed", placed)):
                    if statistics[what] != wanted:
                        yield f"{name} knows {statistics[what]:g} {what}, there are {wanted}"
