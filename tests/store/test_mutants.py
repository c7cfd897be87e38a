"""The state machine finds every planted bug, always within the same few examples; and none where none was planted."""
from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.store.machine import StoreMachine
from tests.store.mutants import MUTANTS, Mutant, sentence

EXAMPLES = 1_000
"""The hardest to find takes 275."""
FIXED = settings(
    max_examples=EXAMPLES, stateful_step_count=30, derandomize=True, database=None, deadline=None, phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
BROKEN_MUTANTS = (AttributeError, NameError, TypeError)


@pytest.mark.parametrize("plant", MUTANTS, ids=sentence)
def test_a_planted_bug_is_found(plant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    with pytest.raises(Exception) as found:  # noqa: PT011 (a contract broken, an assertion of the store, or its structures out of step)
        run_state_machine_as_test(StoreMachine, settings=FIXED)
    assert not isinstance(found.value, BROKEN_MUTANTS), "the mutant itself is broken"


def test_nothing_is_found_in_the_store_itself() -> None:
    run_state_machine_as_test(StoreMachine, settings=settings(FIXED, max_examples=200))
