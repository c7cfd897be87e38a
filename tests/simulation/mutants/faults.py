"""Fault mixes of planted bugs: a family that fits, at times drawn from the seed."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from kubelet_lite.simulation.faults.network import Partition
from kubelet_lite.simulation.faults.watches import Compaction, DelayedWatches, EndedWatches
from kubelet_lite.simulation.step import Step
from kubelet_lite.simulation.virtual.tape import Tape
from tests.simulation.mutants.mutant import Faults

READERS = ("*", "controllers' informers", "kubelet-*", "default-scheduler")


def drawn(draw: Callable[[Random], Sequence[Step]]) -> Faults:
    """Steps made of a seed."""
    return lambda seed: draw(Tape(seed).random("planted"))


@drawn
def broken_watches(random: Random) -> Sequence[Step]:
    """Watches end in every way, are late, and cannot be opened for a while; the store forgets meanwhile."""
    steps: list[Step] = []
    for _ in range(3):
        at, seconds, part = random.uniform(1, 50), random.uniform(5, 20), random.choice(READERS)
        steps += [
            EndedWatches(at=random.uniform(1, 60), part=random.choice(READERS), may_miss=True, how=random.choice(("closed", "reset", "expired"))),
            random.choice((
                DelayedWatches(at=at, seconds=seconds, part=part, delay_seconds=seconds, may_miss=True),
                Partition(at=at, seconds=seconds, part=part, verbs=("watch",), may_miss=True),
            )),
            Compaction(at=at + seconds * random.uniform(0.3, 0.95)),
        ]
    return steps


@drawn
def compaction_on_the_spot(random: Random) -> Sequence[Step]:
    """The store forgets at the very moment at which the scenario writes, one or the other first."""
    return [Compaction(at=10.0 * number) for number in range(1, 9)]
