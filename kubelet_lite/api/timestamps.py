"""RFC 3339 times as Kubernetes writes them: whole seconds (Time) or microseconds (MicroTime), always in UTC.

https://pkg.go.dev/k8s.io/apimachinery/pkg/apis/meta/v1#Time
"""
from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ZERO: Final = datetime(1, 1, 1, tzinfo=UTC)
_FORM: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(?:Z|([+-])(\d\d):(\d\d))", re.ASCII)


class TimeError(ValueError):
    """Not a time in RFC 3339."""


@lru_cache(maxsize=1024)
def _second(unix: int) -> str:
    return (_EPOCH + timedelta(seconds=unix)).strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")


def format_time(unix: float) -> str:
    """`2026-01-02T03:04:05Z`: the fraction is cut off."""
    return _second(int(unix // 1)) + "Z"


def format_micro_time(unix: float) -> str:
    """`2026-01-02T03:04:05.000006Z`."""
    second, micros = divmod(round(unix * 1_000_000), 1_000_000)
    return f"{_second(second)}.{micros:06d}Z"


@lru_cache(maxsize=4096)
def _moment(text: str) -> tuple[datetime, int]:
    """The whole second, and the digits after it in microseconds (cut off)."""
    found = _FORM.fullmatch(text)
    if found is None:
        raise TimeError(f'parsing time "{text}" as "2006-01-02T15:04:05Z07:00": cannot parse')
    year, month, day, hour, minute, second, fraction, sign, offset_hours, offset_minutes = found.groups()
    try:
        moment = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second), tzinfo=UTC)
        if sign is not None:
            offset = timedelta(hours=int(offset_hours), minutes=int(offset_minutes))
            if int(offset_hours) > 24 or int(offset_minutes) > 59:
                raise ValueError("time zone offset")
            moment = moment - offset if sign == "+" else moment + offset
    except (ValueError, OverflowError):
        raise TimeError(f'parsing time "{text}": out of range') from None
    return moment, int((fraction or "0")[:6].ljust(6, "0"))


def parse_time(text: str) -> float:
    """Unix seconds. Raises TimeError."""
    moment, micros = _moment(text)
    return (moment - _EPOCH).total_seconds() + micros / 1_000_000


@lru_cache(maxsize=1024)
def _is_usual(second: str) -> bool:
    """Whether it is a second as all are written; of each come many times."""
    try:
        return _moment(f"{second}Z")[0] != _ZERO
    except TimeError:
        return False


def canonical_time(text: str) -> str | None:
    """A Time after Go read and wrote it: UTC, whole seconds; None for Go's zero time."""
    moment, _ = _moment(text)
    if moment == _ZERO:
        return None
    if len(text) == 20:
        return text
    return f"{_second(int((moment - _EPOCH).total_seconds()))}Z"


def _is_micro_time(text: str) -> bool:
    """Whether a text is a MicroTime as Kubernetes writes it; many lie within one second, which is remembered."""
    return len(text) == 27 and text[19] == "." and text[26] == "Z" and text[20:26].isdigit() and text.isascii() and _is_second(text[:19])


@lru_cache(maxsize=1024)
def _is_second(text: str) -> bool:
    """Whether it is one, of UTC and after Go's zero time, without the Z."""
    try:
        return _moment(f"{text}Z")[0] > _ZERO
    except TimeError:
        return False


def canonical_micro_time(text: str) -> str | None:
    """A MicroTime after Go read and wrote it. Go insists on six digits of fraction."""
    if len(text) == 27 and text[19] == "." and text[26] == "Z" and text[20:26].isdecimal() and text.isascii() and _is_usual(text[:19]):
        return text
    if _is_micro_time(text):
        return text
    found = _FORM.fullmatch(text)
    if found is None or found[7] is None or len(found[7]) < 6:
        raise TimeError(f'parsing time "{text}" as "2006-01-02T15:04:05.000000Z07:00": cannot parse')
    moment, micros = _moment(text)
    if moment == _ZERO and not micros:
        return None
    return f"{_second(int((moment - _EPOCH).total_seconds()))}.{micros:06d}Z"
