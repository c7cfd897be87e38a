"""Schedules as cron writes them (`*/5 * * * *`, `@daily`), in the form and with the errors of the parser that Kubernetes uses.

https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/#schedule-syntax https://pkg.go.dev/github.com/robfig/cron/v3
"""
from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

import msgspec

from kubelet_lite.api.durations import DurationError, parse_duration
from kubelet_lite.api.time_zones import TimeZoneError, check_time_zone

LARGEST_NUMBER: Final = 2 ** 63 - 1


class CronError(ValueError):
    """Not a schedule, in the parser's words."""


class Schedule(msgspec.Struct, frozen=True):
    """The minutes at which something happens: those whose every part is in the set. `any_day`, `any_weekday`: the field was a star,
    so the other one alone decides about days; else either may match."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    any_day: bool
    any_weekday: bool
    time_zone: str = ""
    """Of a `TZ=` in front; empty: the scheduler's own."""
    every_seconds: int = 0
    """Of `@every`: so many seconds after the last time, whatever the sets say."""


class _Bounds(msgspec.Struct, frozen=True):
    low: int
    high: int
    names: Mapping[str, int] = {}


_MONTHS: Final = {name: i for i, name in enumerate(["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1)}
_WEEKDAYS: Final = {name: i for i, name in enumerate(["sun", "mon", "tue", "wed", "thu", "fri", "sat"])}
_FIELDS: Final = (_Bounds(0, 59), _Bounds(0, 23), _Bounds(1, 31), _Bounds(1, 12, _MONTHS), _Bounds(0, 6, _WEEKDAYS))
_DESCRIPTORS: Final = {
    "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0", "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}


@lru_cache(maxsize=1024)
def parse_schedule(text: str) -> Schedule:
    """Raises CronError."""
    if not text:
        raise CronError("empty spec string")
    zone = ""
    if text.startswith(("TZ=", "CRON_TZ=")):
        head, _, text = text.partition(" ")
        zone = head.partition("=")[2]
        try:
            check_time_zone(zone)
        except TimeZoneError as error:
            raise CronError(f"provided bad location {zone}: {error}") from None
        text = text.strip()
    if text.startswith("@every "):
        return Schedule(frozenset(), frozenset(), frozenset(), frozenset(), frozenset(), True, True, zone, _every(text))
    if text.startswith("@"):
        if text not in _DESCRIPTORS:
            raise CronError(f"unrecognized descriptor: {text}")
        text = _DESCRIPTORS[text]
    fields = text.split()
    if len(fields) != len(_FIELDS):
        raise CronError(f"expected exactly {len(_FIELDS)} fields, found {len(fields)}: [{' '.join(fields)}]")
    (minutes, _), (hours, _), (days, any_day), (months, _), (weekdays, any_weekday) = map(_field, fields, _FIELDS)
    return Schedule(minutes, hours, days, months, weekdays, any_day, any_weekday, zone)


def _every(text: str) -> int:
    try:
        return max(1, int(parse_duration(text.removeprefix("@every "))))
    except DurationError as error:
        raise CronError(f"failed to parse duration {text}: {error}") from None


def _field(text: str, bounds: _Bounds) -> tuple[frozenset[int], bool]:
    values: set[int] = set()
    star = False
    for part in text.split(","):
        if part:
            found, is_star = _range(part, bounds)
            values.update(found)
            star = star or is_star
    return frozenset(values), star


def _range(text: str, bounds: _Bounds) -> tuple[range, bool]:
    """`*`, `3`, `mon-fri`, each with `/step`."""
    limits, *steps = text.split("/")
    first, *rest = limits.split("-")
    star = first in ("*", "?")
    if star:
        start, end = bounds.low, bounds.high
    else:
        start = _number(first, bounds.names)
        if len(rest) > 1:
            raise CronError(f"too many hyphens: {text}")
        end = _number(rest[0], bounds.names) if rest else start
    step = 1
    if len(steps) > 1:
        raise CronError(f"too many slashes: {text}")
    if steps:
        step = _number(steps[0], {})
        if not rest:
            end = bounds.high
        star = star and step <= 1
    if start < bounds.low:
        raise CronError(f"beginning of range ({start}) below minimum ({bounds.low}): {text}")
    if end > bounds.high:
        raise CronError(f"end of range ({end}) above maximum ({bounds.high}): {text}")
    if start > end:
        raise CronError(f"beginning of range ({start}) beyond end of range ({end}): {text}")
    if step == 0:
        raise CronError(f"step of range should be a positive number: {text}")
    return range(start, end + 1, step), star


def _number(text: str, names: Mapping[str, int]) -> int:
    if text.lower() in names:
        return names[text.lower()]
    if not re.fullmatch(r"[-+]?\d+", text, re.ASCII):
        raise CronError(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax')
    number = int(text)
    if abs(number) > LARGEST_NUMBER:
        raise CronError(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": value out of range')
    if number < 0:
        raise CronError(f"negative number ({number}) not allowed: {text}")
    return number
