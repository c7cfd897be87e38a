"""The standard mix of faults and of what users do, in the first minutes of a run: what `make soak` plays with every seed."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from kubelet_lite.simulation.draw import draw_steps
from kubelet_lite.simulation.step import Step
from kubelet_lite.simulation.virtual.tape import Tape

SECONDS: Final = 200.0
NODES: Final = 3


def standard_mix(seed: int) -> Sequence[Step]:
    return draw_steps(Tape(seed), seconds=SECONDS, nodes=NODES)
