"""The one tape of a run: every draw of it comes from here, by name, and can be replayed, and made plainer, by name.

There are two kinds of draws. A *stream* (UIDs, latencies of packets, jitter of actors) is a random.Random that follows from the seed and
its name alone: what one part draws never moves another part's numbers, in this version or the next. A *decision* (the order of ready
tasks, whether a fault strikes here) is a number in which 0 means that nothing unusual happens; those that are not 0 are written down
under the name and the count of its decisions so far, and are what a replay file keeps and what shrinking takes away one by one.
"""
from __future__ import annotations

import math
from collections.abc import Mapping
from random import Random
from typing import Final

from kubelet_lite.simulation.checked import checked

NEVER_PLAIN: Final = ("environment", "user ", "secrets ", "decisions ")
"""How the names of streams begin of which more than waits is drawn: names of objects, which would be the same again and again."""
Decisions = Mapping[str, Mapping[int, int]]
"""Name → how many decisions of that name came before → what was decided; what is not there was 0."""


class Tape:
    """`given`: decisions to be repeated; with them nothing else is decided. `plain`: names of streams whose every fraction is 0."""

    @checked
    def __init__(self, seed: int, given: Decisions | None = None, *, plain: frozenset[str] = frozenset()) -> None:
        self.seed = seed
        self.plain: Final = plain
        self._given = given
        self._streams: dict[str, Random] = {}
        self._counts: dict[str, int] = {}
        self._decided: dict[str, dict[int, int]] = {}

    def random(self, name: str) -> Random:
        """A stream: the same object each time."""
        stream = self._streams.get(name)
        if stream is None:
            stream = self._streams[name] = _Least() if name in self.plain else Random(f"{name}-{self.seed}")
        return stream

    def decide(self, name: str, choices: int, chance: float = 1.0) -> int:
        """0, or with a `chance` one of the numbers below `choices`. The name says what for; there may be many under one name."""
        assert choices > 0, f"nothing to choose from for {name}"
        count = self._counts.get(name, 0)
        self._counts[name] = count + 1
        if self._given is not None:
            decided = min(self._given.get(name, {}).get(count, 0), choices - 1)
        else:
            random = self.random(f"decisions {name}")
            decided = int(random.random() * choices) if chance >= 1 or random.random() < chance else 0
        if decided:
            self._decided.setdefault(name, {})[count] = decided
        return decided

    @property
    def streams(self) -> tuple[str, ...]:
        """The names of those that were drawn from and can be plain."""
        return tuple(name for name in self._streams if not name.startswith(NEVER_PLAIN))

    def happens(self, name: str, chance: float) -> bool:
        """A decision between no and yes, with this very chance of yes."""
        assert 0 <= chance < 1, f"what always happens is no decision: {name}"
        choices = max(2, math.ceil(1 / (1 - chance)))
        return self.decide(name, choices, chance * choices / (choices - 1)) > 0

    @property
    def decisions(self) -> Decisions:
        """Those so far that were not 0."""
        return self._decided


class _Least(Random):
    """The least wait each time. Bits stay random, so that UIDs stay unique (and Random would take them from `random` otherwise)."""

    def __init__(self) -> None:
        super().__init__(0)

    def random(self) -> float:
        return 0.0

    def getrandbits(self, k: int, /) -> int:
        return super().getrandbits(k)
