"""All revisions by resource, as they come, and what was there at any of them: what answers of the API are compared with."""
from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from kubelet_lite.simulation.archive import Revision
from kubelet_lite.simulation.snapshot import Place, Snapshot


class History:
    """Grows by one revision at a time."""

    def __init__(self) -> None:
        self._revisions: dict[str, list[Revision]] = {}

    def add(self, revision: Revision) -> None:
        self.of(revision.event.key.resource).append(revision)

    def of(self, resource: str) -> list[Revision]:
        """Ascending. The same list each time."""
        found = self._revisions.get(resource)
        if found is None:
            found = self._revisions[resource] = []
        return found

    def position_after(self, resource: str, revision: int) -> int:
        """Where in `of(resource)` the first one later than `revision` stands or will stand."""
        return bisect_right(self.of(resource), revision, key=_number)

    def find(self, resource: str, revision: int) -> Revision | None:
        position = self.position_after(resource, revision) - 1
        found = self.of(resource)[position] if position >= 0 else None
        return found if found is not None and found.event.revision == revision else None

    def state_at(self, resource: str, revision: int, snapshot: Snapshot) -> Mapping[Place, Any]:
        """What was there at `revision`; `snapshot` is of a later one or the same, and has all that was added here."""
        later: Sequence[Revision] = self.of(resource)[self.position_after(resource, revision):]
        present: Mapping[Place, Any] = snapshot.all(resource)
        if not later:
            return present
        state = dict(present)
        for one in reversed(later):
            event = one.event
            place = (event.key.namespace, event.key.name)
            if event.previous is None:
                state.pop(place, None)
            else:
                state[place] = event.previous
        return state


def _number(revision: Revision) -> int:
    return revision.event.revision


def same(one: Any, other: Any) -> bool:
    """Whether two values are one object at one revision: the very value, or another form of it."""
    if one is other:
        return True
    if one is None or other is None:
        return False
    a, b = one.metadata, other.metadata
    return bool(a.uid == b.uid and a.resourceVersion == b.resourceVersion)
