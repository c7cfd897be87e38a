"""The store keeps its contracts; the same machine finds planted bugs (test_mutants.py)."""
from __future__ import annotations

from hypothesis import settings

from tests.store.machine import StoreMachine

TestStore = StoreMachine.TestCase
TestStore.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
