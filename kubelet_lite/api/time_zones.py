"""Names of time zones, by the database of this machine. https://www.iana.org/time-zones"""
from __future__ import annotations

from functools import lru_cache


class TimeZoneError(ValueError):
    """No time zone of that name, in Go's words."""


@lru_cache(maxsize=1024)
def check_time_zone(name: str) -> None:
    """Raises TimeZoneError."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # only CronJobs need it

    if name in ("", "UTC", "Local"):
        return
    if ".." in name or name.startswith(("/", "\\")):
        raise TimeZoneError("time: invalid location name")
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise TimeZoneError(f"unknown time zone {name}") from None
