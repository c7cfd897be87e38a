"""What is seen of a run while it runs: a bar of the measured pods that are done, on stderr, in a terminal only."""
from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

REFRESH_SECONDS: Final = 0.5
"""Drawing it takes a millisecond of the time that is measured."""


class Bar:
    """No thread draws it: whoever counts the pods does, now and then."""

    def __init__(self, progress: Progress, name: str, total: int) -> None:
        self._progress = progress
        self._task = progress.add_task(f"{name}: preparing", total=total or None)
        self._name = name
        self._drawn_at = 0.0

    def begin(self) -> None:
        """From now on it is measured."""
        self._progress.update(self._task, description=self._name, refresh=True)

    def show(self, done: int) -> None:
        now = time.perf_counter()
        if now - self._drawn_at >= REFRESH_SECONDS:
            self._drawn_at = now
            self._progress.update(self._task, completed=done, refresh=True)


@contextmanager
def shown(name: str, total: int, console: Console | None = None) -> Iterator[Bar]:
    """`total`: measured pods; 0: nobody knows."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console or Console(stderr=True), auto_refresh=False, transient=True) as progress:
        yield Bar(progress, name, total)
