"""How a simulated run fails, beside the errors of what runs in it.

SimulationFailed
├── NothingCanHappen    every task waits and no timer is set
├── Spinning            tasks run without end and time stands still
├── TimeLimitExceeded   the run takes more virtual time than it may
├── NotSimulated        user code wants what no simulation has: threads, real sockets, processes, a blocking wait
├── FaultNotFired       a fault found nothing to strike: the run shows less than it claims
├── LeftBehind          tasks, connections or listeners outlive the run
└── UnhandledErrors     errors that reached the loop instead of whoever awaits
"""
from __future__ import annotations


class SimulationFailed(Exception):
    """The root of this tree."""


class NothingCanHappen(SimulationFailed):
    """A deadlock; the message says what each task waits for."""


class Spinning(SimulationFailed):
    """Too many steps at one instant; the message names the tasks that take them, or that refuse to be cancelled."""


class TimeLimitExceeded(SimulationFailed):
    """The message says what each task waits for."""


class NotSimulated(SimulationFailed):
    """The message says what was asked for, where, and what to use instead."""


class FaultNotFired(SimulationFailed):
    """The message names the faults that struck nothing."""


class LeftBehind(SimulationFailed):
    """Whoever starts something ends it; the message names what was left."""


class UnhandledErrors(SimulationFailed):
    """The first of them is the cause of this one."""
