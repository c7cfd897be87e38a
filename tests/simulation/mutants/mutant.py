"""A bug planted on purpose: what is broken, how, in which scenario it shows, and which invariant must see it."""
from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec
import pytest

from kubelet_lite.simulation.failure import Failure
from kubelet_lite.simulation.invariants import STANDARD
from kubelet_lite.simulation.simulation import Run, Scenario, Setting, play
from kubelet_lite.simulation.step import Step
from tests.simulation.mix import NODES

Plant = Callable[[pytest.MonkeyPatch], None]
Faults = Callable[[int], Sequence[Step]]
"""seed → steps."""
SETTING: Final = Setting(nodes=2, settle=True)
MIXED: Final = Setting(nodes=NODES, settle=True)
"""What the standard mix is drawn for."""


def no_faults(seed: int) -> Sequence[Step]:
    return ()


class Mutant(msgspec.Struct, frozen=True, kw_only=True):
    """`bug`: its number in reliability.md's list, or where it comes from. `expected`: the invariants that may see it, or the exception that
    its scenario meets."""

    bug: str
    plant: Plant
    scenario: Scenario
    faults: Faults
    expected: tuple[str, ...]
    setting: Setting = SETTING

    @property
    def name(self) -> str:
        return re.sub("_", " ", self.plant.__name__)

    def run(self, seed: int) -> Run:
        return play(self.scenario, seed=seed, setting=self.setting, steps=self.faults(seed), invariants=STANDARD)


class Caught(msgspec.Struct, frozen=True):
    """By which invariant, with which seed."""

    seed: int
    failure: Failure

    @property
    def by(self) -> str:
        """The name of the invariant, or of the exception that the run raised."""
        return self.failure.invariant or self.failure.kind.rpartition(".")[2]


MUTANTS: Final[list[Mutant]] = []


def mutant(
    bug: str, scenario: Scenario, *expected: str, faults: Faults = no_faults, setting: Setting = SETTING,
) -> Callable[[Plant], Plant]:
    """Plants the function that it decorates."""

    def add(plant: Plant) -> Plant:
        MUTANTS.append(Mutant(bug=bug, plant=plant, scenario=scenario, faults=faults, expected=expected, setting=setting))
        return plant

    return add


def hunt(planted: Mutant, seeds: Iterable[int]) -> Caught | None:
    """The first of these seeds whose run fails with the bug in place."""
    for seed in seeds:
        with pytest.MonkeyPatch.context() as patch:
            planted.plant(patch)
            error = planted.run(seed).error
        if error is not None:
            return Caught(seed, Failure.of(error))
    return None
