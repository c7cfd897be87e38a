"""Simulations find every planted bug, within the same few seeds each time, by an invariant that is meant to; and none where none was planted.

`make soak` goes on for as long as it takes, and counts.
"""
from __future__ import annotations

from typing import Any

import pytest

from tests.simulation.mutants import MUTANTS
from tests.simulation.mutants.mutant import Mutant, hunt

SEEDS = range(4)
"""The hardest of these to find takes the last."""
CASES = list({(planted.scenario, planted.faults): planted for planted in MUTANTS}.values())
"""One for each scenario and fault mix."""


def sentence(planted: Any) -> str:
    return str(planted.name)


@pytest.mark.parametrize("planted", MUTANTS, ids=sentence)
def test_a_planted_bug_is_found(planted: Mutant) -> None:
    caught = hunt(planted, SEEDS)
    assert caught is not None, "no invariant was violated"
    assert caught.by in planted.expected, str(caught.failure)


@pytest.mark.parametrize("case", CASES, ids=sentence)
def test_nothing_is_found_where_nothing_was_planted(case: Mutant) -> None:
    case.run(0).raise_error()


def test_enough_of_the_known_bugs_are_planted() -> None:
    """Of the numbered classes of reliability.md."""
    numbers = {part for planted in MUTANTS for part in planted.bug.split(", ") if part.isdigit()}
    assert len(numbers) >= 22
