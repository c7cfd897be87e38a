"""A quantity over time: a constant, or a broken line through corner points (seconds, value), level before its first and after its last.

As data, so that it stands in an annotation or a replay file, and so that what was used between two moments is exact.
"""
from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Final

Course = float | tuple[tuple[float, float], ...]
STEP_SECONDS: Final = 1.0


def course(function: Callable[[float], float], seconds: float, step_seconds: float = STEP_SECONDS) -> Course:
    """A function of time as a broken line: its values at every step from 0 to `seconds`. Raises ValueError for no time or no step."""
    if seconds <= 0 or step_seconds <= 0:
        raise ValueError(f"seconds={seconds}, step_seconds={step_seconds}: both must be more than 0")
    return tuple((number * step_seconds, function(number * step_seconds)) for number in range(int(seconds / step_seconds) + 1))


def check(course: Course, name: str) -> None:
    """Raises ValueError for what is no course; `name` is that of the field."""
    if isinstance(course, (int, float)):
        if course < 0:
            raise ValueError(f"{name}: {course} is less than 0")
        return
    if not course:
        raise ValueError(f"{name}: a course without any point")
    for seconds, value in course:
        if value < 0:
            raise ValueError(f"{name}: {value} at {seconds} seconds is less than 0")
    for (before, _), (after, _) in itertools.pairwise(course):
        if after <= before:
            raise ValueError(f"{name}: {after} seconds do not come after {before}")


def value_at(course: Course, seconds: float) -> float:
    if isinstance(course, (int, float)):
        return course
    before = course[0]
    for point in course:
        if seconds < point[0]:
            return _between(before, point, seconds) if seconds > before[0] else before[1]
        before = point
    return before[1]


def integral(course: Course, seconds: float) -> float:
    """The area beneath it from 0 to `seconds`."""
    if isinstance(course, (int, float)):
        return course * seconds
    inner = [point for point in course if 0 < point[0] < seconds]
    points = [(0.0, value_at(course, 0.0)), *inner, (seconds, value_at(course, seconds))]
    return sum((after[0] - before[0]) * (before[1] + after[1]) / 2 for before, after in itertools.pairwise(points))


class Meter:
    """Measures along a course that began at a moment (Unix seconds), and may be exchanged at any later one."""

    __slots__ = ("_before", "_course", "_since")

    def __init__(self, course: Course, since: float) -> None:
        self._course, self._since, self._before = course, since, 0.0

    def follow(self, course: Course, now: float) -> None:
        """The course that begins now."""
        self._before = self.total(now)
        self._course, self._since = course, now

    def value(self, now: float) -> float:
        return value_at(self._course, max(now - self._since, 0.0))

    def total(self, now: float) -> float:
        """The area beneath all courses until now."""
        return self._before + integral(self._course, max(now - self._since, 0.0))


def _between(before: tuple[float, float], after: tuple[float, float], seconds: float) -> float:
    share = (seconds - before[0]) / (after[0] - before[0])
    return before[1] + (after[1] - before[1]) * share
