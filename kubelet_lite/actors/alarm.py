"""Waiting for a change, and for a time at which there is something to do anyway: what every loop of an actor with timers does."""
from __future__ import annotations

import asyncio

import anyio


async def changed_within(change: anyio.Event, seconds: float | None) -> None:
    """Until the event is set. After so many seconds the clock sets it; None: never.

    For loops that look at everything again whatever has woken them. Costs less than `anyio.move_on_after`, which makes a cancel scope and
    ends the wait by an exception.
    """
    if seconds is None:
        await change.wait()
        return
    alarm = asyncio.get_running_loop().call_later(max(seconds, 0.0), change.set)
    try:
        await change.wait()
    finally:
        alarm.cancel()
