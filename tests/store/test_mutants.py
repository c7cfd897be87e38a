"""The state machine finds every planted bug, always within the same few examples."""
from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.store.machine import StoreMachine
from tests.store.mutants import MUTANTS, Mutant, sentence

EXAMPLES = 300
FIXED = settings(
    max_examples=EXAMPLES, stateful_step_count=30, derandomize=True, database=None, deadline=None, phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("plant", MUTANTS, ids=sentence)
def test_a_planted_bug_is_found(plant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    with pytest.raises(Exception) as found:  # noqa: PT011 (a contract broken, or an assertion of the store itself)
        run_state_machine_as_test(StoreMachine, settings=FIXED)
    assert not isinstance(found.value, (AttributeError, NameError, TypeError)), "the mutant itself is broken"
