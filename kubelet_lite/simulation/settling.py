"""Waits until a cluster that is left alone has reached what is desired and is still: EventuallyStable, then Quiescence.

https://anvil-verifier.github.io (eventually stable reconciliation: if what is desired stays the same, it is reached, and stays)
"""
from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from kubelet_lite.simulation.archive import Revision
from kubelet_lite.simulation.invariant import InvariantViolated
from kubelet_lite.simulation.invariants.facts import joined
from kubelet_lite.simulation.invariants.stability import unmet

if TYPE_CHECKING:
    from kubelet_lite.simulation.simulation import Simulation

EVERY_SECONDS: Final = 5.0
LAST_WRITES: Final = 3
"""How many are named of a cluster that does not come to rest."""


class Stillness:
    """Looks at revisions as they come: when the last one was that a cluster at rest does not make."""

    def __init__(self, since: float) -> None:
        self.since = since
        self.last: deque[Revision] = deque(maxlen=LAST_WRITES)
        self._seen = 0

    def look(self, revisions: Sequence[Revision]) -> bool:
        """Whether there was any."""
        found = False
        for i in range(self._seen, len(revisions)):
            if not is_routine(revisions[i]):
                self.since = revisions[i].time
                self.last.append(revisions[i])
                found = True
        self._seen = len(revisions)
        return found


def is_routine(revision: Revision) -> bool:
    """What is written for ever: leases renewed, nodes' heartbeats, Events that end."""
    event = revision.event
    resource = event.key.resource
    if resource == "events":
        return event.object is None
    if event.object is None or event.previous is None:
        return False
    if resource == "leases.coordination.k8s.io":
        return bool(event.object.spec.holderIdentity == event.previous.spec.holderIdentity)
    return resource == "nodes" and _without_heartbeat(event.object) == _without_heartbeat(event.previous)


def _without_heartbeat(node: Any) -> tuple[Any, ...]:
    status = replace(node.status, conditions=tuple(replace(c, lastHeartbeatTime=None) for c in node.status.conditions))
    return node.spec, node.metadata.labels, node.metadata.annotations, node.metadata.deletionTimestamp, status


async def settle(simulation: Simulation, within: float, quiet: float) -> None:
    """Returns when nothing is unmet and nothing but routine was written for `quiet` seconds. Raises InvariantViolated: when something is
    unmet `within` seconds from now (EventuallyStable), or something is still being written then (Quiescence)."""
    began = simulation.environment.now()
    stillness = Stillness(began)
    missing: list[str] | None = None
    while True:
        snapshot, now = simulation.snapshot, simulation.environment.now()
        if stillness.look(simulation.archive.revisions) or missing is None or missing:
            missing = unmet(snapshot, now)
        if not missing and now - stillness.since >= quiet:
            missing = unmet(snapshot, now)
            if not missing:
                return
        if now - began > within and missing:
            raise InvariantViolated("EventuallyStable", f"not within {within:g} s: {joined(missing)}", revision=snapshot.revision, time=now)
        if now - began > within + quiet:
            written = joined(f"{r.actor or 'somebody'} {r.verb}d {r.event.key}" for r in stillness.last)
            raise InvariantViolated("Quiescence", f"after {within:g} s it is still written: {written}", revision=snapshot.revision, time=now)
        await simulation.sleep(EVERY_SECONDS)
