"""Waiting for a change or a time."""
from __future__ import annotations

import asyncio

import anyio
import pytest

from kubelet_lite.actors.alarm import changed_within
from kubelet_lite.actors.environment import Environment
from kubelet_lite.simulation.virtual.run import simulate


@pytest.mark.parametrize(("seconds", "set_at", "ends"), [(10.0, None, 10.0), (10.0, 3.0, 3.0), (None, 7.0, 7.0), (0.0, None, 0.0), (-5.0, None, 0.0), (5.0, 0.0, 0.0)])
def test_it_ends_with_the_change_or_at_the_time_whichever_is_first(seconds: float | None, set_at: float | None, ends: float) -> None:
    async def main(environment: Environment) -> float:
        change = anyio.Event()
        if set_at is not None:
            asyncio.get_running_loop().call_later(set_at, change.set)
        began = environment.monotonic()
        await changed_within(change, seconds)
        assert change.is_set()
        return environment.monotonic() - began

    assert simulate(0, main) == pytest.approx(ends, abs=1e-6)


def test_nothing_rings_after_it() -> None:
    async def main(environment: Environment) -> None:
        change = anyio.Event()
        with anyio.move_on_after(1):
            await changed_within(change, 5)
        await environment.sleep(10)
        assert not change.is_set()

    simulate(0, main)
