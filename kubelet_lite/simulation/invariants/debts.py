"""What is not as it must be, and since when: a controller owes it to put it right, in time."""
from __future__ import annotations

import math
from collections.abc import Hashable, Iterator

from kubelet_lite.simulation.invariants.facts import CALM_SECONDS, LAG_SECONDS, SHARED, STALE_SECONDS
from kubelet_lite.simulation.snapshot import Snapshot


class Debts:
    """What one controller owes. It is late LAG_SECONDS after it could know; of what was so before it was calm for
    CALM_SECONDS, STALE_SECONDS after the last fault that could strike it."""

    def __init__(self, controller: str) -> None:
        self._parts = (controller, *SHARED)
        self._owed: dict[Hashable, tuple[float, str]] = {}
        """Since when, and what is wrong."""
        self._first = math.inf
        """None of them is older."""

    def note(self, thing: Hashable, wrong: str, since: float) -> None:
        """From now on this is wrong with a thing; "": nothing. `since`: when what is new began to be."""
        if not wrong:
            self._owed.pop(thing, None)
        else:
            self._owed[thing] = (self._owed[thing][0] if thing in self._owed else since, wrong)
            self._first = min(self._first, since)

    def late(self, snapshot: Snapshot, now: float) -> Iterator[str]:
        """Whatever has been wrong for too long. To be asked before what is new is noted: until now it was as it was."""
        if now <= self._first + LAG_SECONDS:
            return
        self._first = min((since for since, _ in self._owed.values()), default=math.inf)
        calm = snapshot.calm_since(*self._parts)
        for since, wrong in self._owed.values():
            if now > (since + LAG_SECONDS if since > calm + CALM_SECONDS else max(since + LAG_SECONDS, calm + STALE_SECONDS)):
                yield f"{wrong}, for {now - since:.0f} s"

    def wrong(self) -> Iterator[str]:
        """All of it."""
        for _, what in self._owed.values():
            yield what
