"""Durations as Go writes and reads them (`1h30m`, `-1.5s`, `100ms`), to the nanosecond and with Go's errors.

https://pkg.go.dev/time#ParseDuration
"""
from __future__ import annotations

import re
from typing import Final

LARGEST_NANOSECONDS: Final = 2 ** 63 - 1
"""What an int64 holds; below zero it is one more."""
MOST_DIGITS: Final = 19
"""Of a number before its point, as many as an int64 has, and behind it, where more are below a nanosecond in every unit."""
_SECOND: Final = 10 ** 9
_UNITS: Final = {
    "ns": 1, "us": 10 ** 3, "µs": 10 ** 3, "μs": 10 ** 3, "ms": 10 ** 6, "s": _SECOND, "m": 60 * _SECOND, "h": 3600 * _SECOND,
}
"""In nanoseconds. Two different letters look like µ."""
_PART: Final = re.compile(r"(?=\.?[0-9])0*([0-9]*)\.?([0-9]*)([^.0-9]*)")


class DurationError(ValueError):
    """Not a duration, in Go's words."""


def parse_duration(text: str) -> float:
    """Its seconds. Raises DurationError."""
    negative = text.startswith("-")
    rest = text[1:] if text.startswith(("-", "+")) else text
    if rest == "0":
        return 0.0
    nanoseconds = end = 0
    while end < len(rest) or not rest:
        part = _PART.match(rest, end)
        if part is None or len(part[1]) > MOST_DIGITS:
            raise DurationError(f"time: invalid duration {_quoted(text)}")
        whole, fraction, unit = part[1], part[2][:MOST_DIGITS], part[3]
        if not unit:
            raise DurationError(f"time: missing unit in duration {_quoted(text)}")
        if unit not in _UNITS:
            raise DurationError(f"time: unknown unit {_quoted(unit)} in duration {_quoted(text)}")
        nanoseconds += int(f"0{whole}{fraction}") * _UNITS[unit] // 10 ** len(fraction)
        end = part.end()
    if nanoseconds > LARGEST_NANOSECONDS + negative:
        raise DurationError(f"time: invalid duration {_quoted(text)}")
    return (-nanoseconds if negative else nanoseconds) / _SECOND


def format_duration(seconds: float) -> str:
    """Of its whole seconds: 10s, 1m20s, 1h0m0s."""
    hours, rest = divmod(int(seconds), 3600)
    minutes, rest = divmod(rest, 60)
    return f"{hours}h{minutes}m{rest}s" if hours else f"{minutes}m{rest}s" if minutes else f"{rest}s"


def format_exact_duration(seconds: float) -> str:
    """To the millisecond, of a second at the least: 1.5s, 1m20s, 1h0m0.25s."""
    whole, thousandths = divmod(round(seconds * 1000), 1000)
    text = format_duration(whole)
    return f"{text[:-1]}.{thousandths:03d}".rstrip("0") + "s" if thousandths else text


def _quoted(text: str) -> str:
    """Every byte that is not printable ASCII as its number."""
    return '"' + "".join(
        f"\\{char}" if char in '"\\' else char if " " <= char < "\x80" else "".join(f"\\x{byte:02x}" for byte in char.encode("utf-8", "replace"))
        for char in text
    ) + '"'
